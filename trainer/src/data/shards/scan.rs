//! What a tar file holds.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::ShardError;
use crate::data::audio_file::{BLOCK_BYTES, MAX_MEMBER_BYTES, Member, is_audio_name};

/// A longer `.json` or `.txt` is refused.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// Samples of one tar file.
const MAX_SAMPLES: usize = 20_000_000;
/// Headers and a long name between two members.
const MAX_HEADERS_BYTES: u64 = 1 << 20;

/// Audio with what is said of it.
#[derive(Debug)]
pub(crate) struct Sample {
    /// The audio.
    pub member: Member,
    /// The object of the `.json`, with the text of the `.txt` where it has none.
    pub described: Map<String, Value>,
}

/// Whether a path is a tar file, or a folder that has some.
pub(crate) fn is_shards(path: &Path) -> bool {
    match path.is_dir() {
        true => tar_files(path).is_ok_and(|files| !files.is_empty()),
        false => is_tar(path),
    }
}

fn is_tar(path: &Path) -> bool {
    let extension = path.extension();
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case("tar"))
}

/// The tar files of a folder by name, or the only one.
///
/// # Errors
/// A folder that cannot be read.
pub(crate) fn tar_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = vec![];
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if is_tar(&path) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Hands every audio file of a tar file to `each`, in order, with what is said of it. Members of one
/// sample have one name but for the extension, and follow each other.
///
/// # Errors
/// A tar file that is damaged or cut off, or a member that cannot be used: what comes before has been
/// handed over.
pub(crate) fn scan(
    shard: &Path,
    mut each: impl FnMut(Sample) -> Result<(), ShardError>,
) -> Result<(), ShardError> {
    let read = |source| ShardError::Read {
        shard: shard.to_owned(),
        source,
    };
    let file = File::open(shard).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    let budget = Cell::new(0);
    let mut archive = tar::Archive::new(Metered {
        file,
        left: &budget,
    });
    let mut walk = Walk {
        shard,
        last: String::new(),
        end: 0,
        open: Open::default(),
        samples: 0,
    };
    let mut entries = archive.entries_with_seek().map_err(read)?;
    loop {
        budget.set(MAX_HEADERS_BYTES);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(|error| walk.damaged(&error, length))?;
        budget.set(MAX_TEXT_BYTES);
        walk.take(&mut entry, length, &mut each)?;
    }
    walk.finish(length, &mut each)
}

/// Reads no more than it may: sizes in a damaged file can be anything.
struct Metered<'a> {
    file: File,
    left: &'a Cell<u64>,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::other("a name or text is too long"));
        }
        let most = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = self.file.read(&mut buffer[..most])?;
        self.left.set(left - count as u64);
        Ok(count)
    }
}

impl Seek for Metered<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// A sample of which more may follow.
#[derive(Default)]
struct Open {
    key: String,
    audio: Option<Member>,
    json: Option<Map<String, Value>>,
    txt: Option<String>,
    /// The member that describes it.
    described_by: String,
}

struct Walk<'a> {
    shard: &'a Path,
    /// Name of the last member.
    last: String,
    /// Where the next header is.
    end: u64,
    open: Open,
    samples: usize,
}

impl Walk<'_> {
    fn take<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        length: u64,
        each: &mut impl FnMut(Sample) -> Result<(), ShardError>,
    ) -> Result<(), ShardError> {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let (start_byte, bytes) = (entry.raw_file_position(), entry.size());
        let end = start_byte.checked_add(bytes);
        self.last.clone_from(&name);
        let Some(end) = end.filter(|&end| end <= length) else {
            return Err(self.cut_off());
        };
        self.end = end.next_multiple_of(BLOCK_BYTES);
        if !entry.header().entry_type().is_file() {
            return Ok(());
        }
        if std::str::from_utf8(&entry.path_bytes()).is_err() {
            return Err(self.member("has a name that is not UTF-8 text"));
        }
        let (key, extension) = match name.rsplit_once('.') {
            Some((key, extension)) => (key, extension.to_ascii_lowercase()),
            None => (name.as_str(), String::new()),
        };
        let is_description = extension == "json" || extension == "txt";
        if !is_description && !is_audio_name(Path::new(&name)) {
            return Ok(());
        }
        if key != self.open.key {
            self.close(each)?;
            self.open.key = key.to_owned();
        }
        if is_description {
            return self.describe(entry, &extension);
        }
        if bytes > MAX_MEMBER_BYTES {
            let most = MAX_MEMBER_BYTES / 1_000_000;
            return Err(self.member(&format!("has {bytes} bytes, more than {most} MB")));
        }
        if self.open.audio.is_some() {
            return Err(self.member("is the second audio file of its name"));
        }
        self.open.audio = Some(Member {
            name,
            start_byte,
            bytes,
        });
        Ok(())
    }

    /// Takes a `.json` or `.txt` in.
    fn describe<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        extension: &str,
    ) -> Result<(), ShardError> {
        if entry.size() > MAX_TEXT_BYTES {
            return Err(self.member(&format!("is longer than {MAX_TEXT_BYTES} bytes")));
        }
        let mut text = String::new();
        if let Err(error) = entry.read_to_string(&mut text) {
            return Err(self.member(&format!("cannot be read as text: {error}")));
        }
        let text = text.trim_start_matches('\u{feff}');
        self.open.described_by.clone_from(&self.last);
        if extension == "txt" {
            self.open.txt = Some(text.trim().to_owned());
            return Ok(());
        }
        match serde_json::from_str(text) {
            Ok(Value::Object(object)) => self.open.json = Some(object),
            Ok(_) => return Err(self.member("is not a JSON object")),
            Err(error) => return Err(self.member(&format!("is not a JSON object ({error})"))),
        }
        Ok(())
    }

    /// Hands over the sample that is complete.
    fn close(
        &mut self,
        each: &mut impl FnMut(Sample) -> Result<(), ShardError>,
    ) -> Result<(), ShardError> {
        let open = std::mem::take(&mut self.open);
        let Some(member) = open.audio else {
            return match open.described_by.is_empty() {
                true => Ok(()),
                false => Err(ShardError::Member {
                    shard: self.shard.to_owned(),
                    member: open.described_by,
                    reason: "has no audio file of the same name before or after it".to_owned(),
                }),
            };
        };
        let mut described = open.json.unwrap_or_default();
        if let (Some(text), false) = (open.txt, described.contains_key("text")) {
            described.insert("text".to_owned(), text.into());
        }
        self.samples += 1;
        if self.samples > MAX_SAMPLES {
            return Err(self.member(&format!("comes after {MAX_SAMPLES} others")));
        }
        each(Sample { member, described })
    }

    fn finish(
        mut self,
        length: u64,
        each: &mut impl FnMut(Sample) -> Result<(), ShardError>,
    ) -> Result<(), ShardError> {
        self.close(each)?;
        // A tar file ends with blocks of zeros: one that was cut off between two members has none.
        if self.end + BLOCK_BYTES > length && length > 0 {
            return Err(self.cut_off());
        }
        match self.samples {
            0 => Err(ShardError::Empty {
                shard: self.shard.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn member(&self, reason: &str) -> ShardError {
        ShardError::Member {
            shard: self.shard.to_owned(),
            member: self.last.clone(),
            reason: reason.to_owned(),
        }
    }

    fn cut_off(&self) -> ShardError {
        ShardError::CutOff {
            shard: self.shard.to_owned(),
            member: self.last.clone(),
        }
    }

    /// A header that cannot be read; a part of one is the end of a file that was cut off.
    fn damaged(&self, error: &io::Error, length: u64) -> ShardError {
        if self.end + BLOCK_BYTES > length {
            return self.cut_off();
        }
        ShardError::Damaged {
            shard: self.shard.to_owned(),
            after: self.last.clone(),
            reason: error.to_string().replace('\n', " "),
        }
    }
}
