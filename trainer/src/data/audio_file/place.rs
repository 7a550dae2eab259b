//! Where audio is: in a file of its own, or inside a tar file.

use std::fs::File;
use std::path::{Path, PathBuf};

use shared_model::audio_file::AudioSource;

use super::error::Problem;
use super::{AudioFileError, Member};

/// A file of audio, or a member of a tar file.
#[derive(Debug, Clone, Copy)]
pub struct AudioPlace<'a> {
    path: &'a Path,
    member: Option<&'a Member>,
}

impl<'a, P: AsRef<Path> + ?Sized> From<&'a P> for AudioPlace<'a> {
    fn from(path: &'a P) -> Self {
        Self::new(path.as_ref(), None)
    }
}

impl<'a> AudioPlace<'a> {
    /// A file; `member`: what of it, if it is a tar file.
    pub fn new(path: &'a Path, member: Option<&'a Member>) -> Self {
        Self { path, member }
    }

    /// For people: the path, and behind it that inside the tar file.
    pub fn name(self) -> PathBuf {
        match self.member {
            Some(member) => self.path.join(&member.name),
            None => self.path.to_owned(),
        }
    }

    /// The bytes of the audio file.
    pub(super) fn open(self) -> Result<Box<dyn AudioSource>, Problem> {
        let file = open(self.path)?;
        Ok(match self.member {
            Some(member) => Box::new(member.section(file)?),
            None => Box::new(file),
        })
    }

    /// As [`super::FileBlocks::open`]: pipes and standard input, too.
    pub(super) fn open_any(self) -> Result<Box<dyn AudioSource>, Problem> {
        if self.path.as_os_str() == "-" {
            return Ok(Box::new(super::spool::spool(std::io::stdin().lock())?));
        }
        match self.open() {
            Err(Problem::NotRegular) => Ok(Box::new(super::spool::spool(File::open(self.path)?)?)),
            opened => opened,
        }
    }
}

/// Opens a regular file.
fn open(path: &Path) -> Result<File, Problem> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(Problem::Folder);
    }
    if !metadata.is_file() {
        return Err(Problem::NotRegular);
    }
    Ok(File::open(path)?)
}

/// The stored bytes of several members of one tar file, which are given from its front to its back.
///
/// # Errors
/// The tar file cannot be opened; in place of a member, what is wrong with it.
pub fn read_members<'a>(
    tar: &'a Path,
    members: impl Iterator<Item = &'a Member>,
) -> Result<Vec<Result<Vec<u8>, AudioFileError>>, AudioFileError> {
    let mut file = open(tar).map_err(|problem| problem.in_file(tar))?;
    let read = members.map(|member| {
        let content = member.read(&mut file);
        content.map_err(|problem| problem.in_file(&AudioPlace::new(tar, Some(member)).name()))
    });
    Ok(read.collect())
}
