//! Tar files of a corpus, written one after the other.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::data::audio_file::{BLOCK_BYTES, Member};
use crate::files::partial_path;

/// A member as it was written.
pub(crate) struct Written {
    /// Name of its tar file.
    pub shard: String,
    /// Where in it.
    pub member: Member,
}

/// Fills tar files up to a size. A tar file has its name when it is whole.
pub(crate) struct ShardWriter {
    folder: PathBuf,
    stem: String,
    shard_bytes: u64,
    /// How many are whole.
    number: usize,
    open: Option<(tar::Builder<BufWriter<File>>, PathBuf)>,
    /// Of the one that is open.
    position: u64,
}

impl ShardWriter {
    /// Writes `STEM-000000.tar` and so on, which are closed when they have `shard_bytes`.
    pub fn new(folder: &Path, stem: &str, shard_bytes: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            stem: stem.to_owned(),
            shard_bytes,
            number: 0,
            open: None,
            position: 0,
        }
    }

    /// Appends members that belong together. Their names are short and ASCII.
    ///
    /// # Errors
    /// What the system says.
    pub fn append(&mut self, members: &[(String, &[u8])]) -> io::Result<Vec<Written>> {
        if self.position >= self.shard_bytes {
            self.close()?;
        }
        let shard = format!("{}-{:06}.tar", self.stem, self.number);
        if self.open.is_none() {
            let path = self.folder.join(&shard);
            let file = File::create(partial_path(&path))?;
            self.open = Some((tar::Builder::new(BufWriter::new(file)), path));
            self.position = 0;
        }
        let mut written = vec![];
        for (name, content) in members {
            let Some((builder, _)) = &mut self.open else {
                continue;
            };
            let bytes = content.len() as u64;
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes);
            header.set_mode(0o644);
            header.set_mtime(0);
            builder.append_data(&mut header, name, *content)?;
            let member = Member {
                name: name.clone(),
                start_byte: self.position + BLOCK_BYTES,
                bytes,
            };
            self.position = (member.start_byte + bytes).next_multiple_of(BLOCK_BYTES);
            let shard = shard.clone();
            written.push(Written { shard, member });
        }
        Ok(written)
    }

    /// Ends the tar file that is open and gives it its name.
    ///
    /// # Errors
    /// What the system says.
    pub fn close(&mut self) -> io::Result<()> {
        let Some((builder, path)) = self.open.take() else {
            return Ok(());
        };
        let mut file = builder.into_inner()?;
        file.flush()?;
        file.get_ref().sync_all()?;
        fs::rename(partial_path(&path), &path)?;
        self.number += 1;
        self.position = 0;
        Ok(())
    }
}
