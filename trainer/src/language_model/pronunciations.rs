//! Pronunciations from a file, and a model that gets them.

use std::path::Path;

use shared_model::decode::lm::NgramLm;
use shared_model::tokens::{MAX_PRONUNCIATIONS_BYTES, Pronunciations};

use super::LmError;

/// Reads a lexicon as the CMU Pronouncing Dictionary writes one.
///
/// # Errors
/// A file that cannot be read, is too long or no text, or a line that is wrong.
pub fn read_pronunciations(path: &Path) -> Result<Pronunciations, LmError> {
    let failed = |source| LmError::Read {
        path: path.to_owned(),
        source,
    };
    let wrong = |reason: String| LmError::Pronunciations {
        path: path.to_owned(),
        reason,
    };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > MAX_PRONUNCIATIONS_BYTES as u64 {
        return Err(wrong(format!(
            "{bytes} bytes, more than the limit of {MAX_PRONUNCIATIONS_BYTES}"
        )));
    }
    let text = String::from_utf8(std::fs::read(path).map_err(failed)?);
    let text = text.map_err(|_| wrong("not UTF-8 text; convert the file to UTF-8".to_owned()))?;
    Pronunciations::from_text(&text).map_err(|error| wrong(error.to_string()))
}

/// The same model with the pronunciations of its words.
///
/// # Errors
/// None of them has one.
pub fn with_pronunciations(lm: &NgramLm, all: &Pronunciations) -> Result<NgramLm, LmError> {
    let of = |word: &str| {
        let known = all.get(&word.to_lowercase()).unwrap_or_default();
        known.iter().map(String::as_str)
    };
    Ok(lm.clone().with_pronunciations(of)?)
}
