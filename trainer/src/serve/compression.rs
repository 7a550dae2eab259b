//! Text and WebAssembly travel compressed, as hosts of static sites send them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::write::GzEncoder;

/// A larger file is sent as it stands: it would be kept in memory.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// A larger one stays in gzip: brotli takes seconds for each of its megabytes.
const MAX_BROTLI_BYTES: u64 = 4 << 20;
/// Of all files that are kept compressed.
const MAX_KEPT_BYTES: usize = 128 << 20;

/// How a body is compressed, by its name in the headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Coding {
    Gzip,
    Brotli,
}

impl Coding {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }
}

/// What a browser can read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Codings {
    pub(super) gzip: bool,
    pub(super) brotli: bool,
}

/// Compresses each file once, until it changes. Who comes first gets gzip, which is quick; brotli, a
/// fifth smaller, is made beside it for those who come later.
pub(super) struct Compression {
    kept: Arc<Kept>,
    for_brotli: Sender<Wanted>,
}

/// A file in one of its states.
struct Wanted {
    path: PathBuf,
    tag: String,
}

#[derive(Default)]
struct Kept(Mutex<HashMap<(PathBuf, Coding), Compressed>>);

struct Compressed {
    tag: String,
    bytes: Arc<Vec<u8>>,
}

impl Compression {
    pub(super) fn new() -> Self {
        let kept = Arc::new(Kept::default());
        let (for_brotli, files) = channel();
        let to = Arc::clone(&kept);
        // Without it everybody gets gzip.
        let _ = std::thread::Builder::new().spawn(move || keep_in_brotli(&files, &to));
        Self { kept, for_brotli }
    }

    /// The file as the browser can read it, or `None` where it is too large or the browser reads no
    /// compression.
    ///
    /// - `tag`: of the file's present state.
    ///
    /// # Errors
    /// What the system says of the file.
    pub(super) fn of(
        &self,
        path: &Path,
        tag: &str,
        codings: Codings,
    ) -> io::Result<Option<(Coding, Arc<Vec<u8>>)>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        if length > MAX_FILE_BYTES {
            return Ok(None);
        }
        if codings.brotli && length <= MAX_BROTLI_BYTES {
            if let Some(bytes) = self.kept.get(path, Coding::Brotli, tag) {
                return Ok(Some((Coding::Brotli, bytes)));
            }
            let (path, tag) = (path.to_owned(), tag.to_owned());
            let _ = self.for_brotli.send(Wanted { path, tag });
        }
        if !codings.gzip {
            return Ok(None);
        }
        if let Some(bytes) = self.kept.get(path, Coding::Gzip, tag) {
            return Ok(Some((Coding::Gzip, bytes)));
        }
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        io::copy(&mut file, &mut encoder)?;
        encoder.flush()?;
        let bytes = self.kept.put(path, Coding::Gzip, tag, encoder.finish()?);
        Ok(Some((Coding::Gzip, bytes)))
    }
}

fn keep_in_brotli(files: &Receiver<Wanted>, kept: &Kept) {
    for Wanted { path, tag } in files {
        if kept.get(&path, Coding::Brotli, &tag).is_some() {
            continue;
        }
        // A file that is gone is asked for no more.
        if let Ok(bytes) = fs::read(&path)
            && let Ok(bytes) = brotli(&bytes)
        {
            kept.put(&path, Coding::Brotli, &tag, bytes);
        }
    }
}

fn brotli(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 11,
        lgwin: 22,
        size_hint: bytes.len(),
        ..Default::default()
    };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &bytes[..], &mut compressed, &parameters)?;
    Ok(compressed)
}

impl Kept {
    fn get(&self, path: &Path, coding: Coding, tag: &str) -> Option<Arc<Vec<u8>>> {
        let kept = self.lock();
        let copy = kept.get(&(path.to_owned(), coding));
        copy.filter(|copy| copy.tag == tag)
            .map(|copy| Arc::clone(&copy.bytes))
    }

    /// Keeps a compressed file, as long as there is room.
    fn put(&self, path: &Path, coding: Coding, tag: &str, bytes: Vec<u8>) -> Arc<Vec<u8>> {
        let bytes = Arc::new(bytes);
        let mut kept = self.lock();
        let held: usize = kept.values().map(|copy| copy.bytes.len()).sum();
        if held + bytes.len() <= MAX_KEPT_BYTES {
            let (tag, bytes) = (tag.to_owned(), Arc::clone(&bytes));
            kept.insert((path.to_owned(), coding), Compressed { tag, bytes });
        }
        bytes
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(PathBuf, Coding), Compressed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether compressing such a file makes it smaller: weights, audio and images hardly shrink.
pub(super) fn pays(content_type: &str) -> bool {
    content_type.starts_with("text/")
        || matches!(
            content_type,
            "application/json" | "application/manifest+json" | "application/wasm" | "image/svg+xml"
        )
}
