//! The one normaliser of references and hypotheses.

/// Lower case; letters a-z, apostrophes and single spaces; accents folded; digits spelled out;
/// everything else is a space.
pub fn normalize_text(text: &str) -> String {
    let _ = text;
    unimplemented!()
}
