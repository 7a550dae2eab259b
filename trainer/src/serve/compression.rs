//! Text and WebAssembly travel compressed, as hosts of static sites send them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::write::GzEncoder;

/// A larger file is sent as it stands: it would be kept in memory.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Of all files that are kept compressed.
const MAX_KEPT_BYTES: usize = 128 << 20;

/// Compresses each file once, until it changes.
#[derive(Default)]
pub(super) struct Compression {
    kept: Mutex<HashMap<PathBuf, Kept>>,
}

struct Kept {
    tag: String,
    bytes: Arc<Vec<u8>>,
}

impl Compression {
    /// The file in gzip, or `None` where it is too large.
    ///
    /// - `tag`: of the file's present state.
    ///
    /// # Errors
    /// What the system says of the file.
    pub(super) fn of(&self, path: &Path, tag: &str) -> io::Result<Option<Arc<Vec<u8>>>> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() > MAX_FILE_BYTES {
            return Ok(None);
        }
        if let Some(kept) = self.lock().get(path)
            && kept.tag == tag
        {
            return Ok(Some(Arc::clone(&kept.bytes)));
        }
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        io::copy(&mut file, &mut encoder)?;
        encoder.flush()?;
        let bytes = Arc::new(encoder.finish()?);
        let mut kept = self.lock();
        let held: usize = kept.values().map(|kept| kept.bytes.len()).sum();
        if held + bytes.len() <= MAX_KEPT_BYTES {
            let (tag, bytes) = (tag.to_owned(), Arc::clone(&bytes));
            kept.insert(path.to_owned(), Kept { tag, bytes });
        }
        Ok(Some(bytes))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
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
