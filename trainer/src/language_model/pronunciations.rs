//! A model that gets the pronunciations of its words.

use shared_model::decode::lm::NgramLm;
use shared_model::tokens::Pronunciations;

use super::LmError;

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
