//! A file's bytes at any position, through a buffer.

use std::io::{Error, Read, Seek, SeekFrom};

use super::Source;

const CHUNK_BYTES: usize = 1 << 16;

/// Random access to a source; what was read last is kept.
pub(super) struct Bytes<'s> {
    source: Source<'s>,
    len: u64,
    /// Position of the source itself.
    cursor: u64,
    /// Position of the buffer's first byte.
    start: u64,
    buffer: Vec<u8>,
}

impl<'s> Bytes<'s> {
    pub fn new(mut source: Source<'s>) -> Result<Self, Error> {
        let len = source.seek(SeekFrom::End(0))?;
        Ok(Self {
            source,
            len,
            cursor: len,
            start: 0,
            buffer: Vec::new(),
        })
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// `count` bytes from `position` on; fewer only where the file ends.
    pub fn at(&mut self, position: u64, count: usize) -> Result<&[u8], Error> {
        let position = position.min(self.len);
        let count = count.min(usize::try_from(self.len - position).unwrap_or(usize::MAX));
        let buffered = self.start..self.start + self.buffer.len() as u64;
        if position < buffered.start || position + count as u64 > buffered.end {
            if buffered.contains(&position) {
                self.buffer.drain(..(position - buffered.start) as usize);
            } else {
                self.buffer.clear();
            }
            self.start = position;
            self.fill(count)?;
        }
        let from = (position - self.start) as usize;
        let to = (from + count).min(self.buffer.len());
        Ok(&self.buffer[from..to])
    }

    /// As many of `N` bytes as there are, the rest zeros.
    pub fn array<const N: usize>(&mut self, position: u64) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        let found = self.at(position, N)?;
        array[..found.len()].copy_from_slice(found);
        Ok(array)
    }

    /// Where `pattern` begins first in `range`.
    pub fn find(&mut self, pattern: &[u8], from: u64, to: u64) -> Result<Option<u64>, Error> {
        let mut position = from;
        while position < to {
            let window = self.at(position, CHUNK_BYTES + pattern.len() - 1)?;
            if window.len() < pattern.len() {
                return Ok(None);
            }
            let found = window.windows(pattern.len()).position(|w| w == pattern);
            if let Some(found) = found {
                let place = position + found as u64;
                return Ok((place < to).then_some(place));
            }
            position += CHUNK_BYTES as u64;
        }
        Ok(None)
    }

    /// The source back, for who reads it in another way.
    #[cfg(feature = "audio-file-all")]
    pub fn into_source(self) -> Source<'s> {
        self.source
    }

    fn fill(&mut self, count: usize) -> Result<(), Error> {
        let have = self.buffer.len();
        let wanted = count.max(CHUNK_BYTES);
        let position = self.start + have as u64;
        if self.cursor != position {
            self.source.seek(SeekFrom::Start(position))?;
            self.cursor = position;
        }
        let missing = (wanted - have.min(wanted)) as u64;
        let read = (&mut self.source)
            .take(missing)
            .read_to_end(&mut self.buffer)?;
        self.cursor += read as u64;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn any_order_of_reads_gives_the_bytes_of_the_file() {
        let file: Vec<u8> = (0..300_000_u32).map(|i| (i * 7 % 251) as u8).collect();
        let mut bytes = Bytes::new(Box::new(Cursor::new(file.clone()))).unwrap();
        for (at, count) in [
            (0, 4),
            (65_530, 20),
            (3, 200_000),
            (299_999, 10),
            (1, 1),
            (400_000, 5),
        ] {
            let to = (at + count).min(file.len());
            assert_eq!(bytes.at(at as u64, count).unwrap(), &file[at.min(to)..to]);
        }
        assert_eq!(bytes.find(&file[131_070..131_080], 0, 300_000).unwrap(), {
            let pattern = &file[131_070..131_080];
            file.windows(10)
                .position(|w| w == pattern)
                .map(|p| p as u64)
        });
        assert_eq!(bytes.find(b"\xff\xff\xff", 0, 300_000).unwrap(), None);
    }
}
