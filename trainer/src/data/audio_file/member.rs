//! Files inside tar files, which are read where they lie.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use serde::{Deserialize, Serialize};

use super::error::Problem;

/// A larger member is refused.
pub(crate) const MAX_MEMBER_BYTES: u64 = 1 << 30;
/// Of a tar file: headers are one, contents are filled up to whole ones.
pub(crate) const BLOCK_BYTES: u64 = 512;

/// A file inside a tar file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// In the tar file.
    pub name: String,
    /// Where its content begins in the tar file.
    pub start_byte: u64,
    /// Length of its content.
    pub bytes: u64,
}

impl Member {
    /// The content alone, of the tar file that is open here.
    pub(super) fn section(&self, mut tar: File) -> Result<Section, Problem> {
        let header_at = self.check(&tar)?;
        tar.seek(SeekFrom::Start(header_at))?;
        self.check_header(&mut tar)?;
        Ok(Section {
            file: tar,
            start: self.start_byte,
            len: self.bytes,
            position: 0,
        })
    }

    /// The content, read into memory.
    pub(super) fn read(&self, tar: &mut File) -> Result<Vec<u8>, Problem> {
        let header_at = self.check(tar)?;
        tar.seek(SeekFrom::Start(header_at))?;
        self.check_header(tar)?;
        let mut content = Vec::new();
        // No more than the file has: that was checked.
        content.reserve_exact(self.bytes as usize);
        tar.take(self.bytes).read_to_end(&mut content)?;
        if (content.len() as u64) < self.bytes {
            return Err(Problem::CutOff);
        }
        Ok(content)
    }

    /// Where its header begins; an error if the tar file ends before the member does.
    fn check(&self, tar: &File) -> Result<u64, Problem> {
        let there = tar.metadata()?.len();
        let header_at = self.start_byte.checked_sub(BLOCK_BYTES);
        let end = self.start_byte.checked_add(self.bytes);
        match (header_at, end) {
            (Some(_), Some(_)) if self.bytes > MAX_MEMBER_BYTES => Err(Problem::LargeMember {
                max_mb: MAX_MEMBER_BYTES / 1_000_000,
            }),
            (Some(header_at), Some(end)) if end <= there => Ok(header_at),
            (Some(_), Some(_)) => Err(Problem::CutOff),
            _ => Err(Problem::NotThere),
        }
    }

    /// Reads the header before the content; an error if it is of something else.
    fn check_header(&self, tar: &mut impl Read) -> Result<(), Problem> {
        let mut header = tar::Header::new_old();
        tar.read_exact(header.as_mut_bytes())?;
        let is_it = header.entry_type().is_file()
            && header.entry_size().is_ok_and(|bytes| bytes == self.bytes);
        match is_it {
            true => Ok(()),
            false => Err(Problem::NotThere),
        }
    }
}

/// A part of a file as a file of its own.
pub(super) struct Section {
    file: File,
    start: u64,
    len: u64,
    position: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.len.saturating_sub(self.position);
        let most = buffer
            .len()
            .min(usize::try_from(rest).unwrap_or(usize::MAX));
        let count = self.file.read(&mut buffer[..most])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Section {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        let in_file = position.and_then(|position| self.start.checked_add(position));
        let (Some(position), Some(in_file)) = (position, in_file) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        self.file.seek(SeekFrom::Start(in_file))?;
        self.position = position;
        Ok(position)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_section_ends_where_it_ends_and_seeks_within_itself() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut section = Section {
            file,
            start: 2,
            len: 5,
            position: 0,
        };
        let mut text = String::new();
        section.seek(SeekFrom::Start(0)).unwrap();
        section.read_to_string(&mut text).unwrap();
        assert_eq!(text, "23456");
        assert_eq!(section.seek(SeekFrom::End(-2)).unwrap(), 3);
        let mut two = [0; 9];
        assert_eq!(section.read(&mut two).unwrap(), 2);
        assert_eq!(&two[..2], b"56");
        assert_eq!(section.seek(SeekFrom::Current(-4)).unwrap(), 1);
        assert!(section.seek(SeekFrom::Current(-9)).is_err());
        // Behind the end there is nothing.
        section.seek(SeekFrom::Start(7)).unwrap();
        assert_eq!(section.read(&mut two).unwrap(), 0);
    }
}
