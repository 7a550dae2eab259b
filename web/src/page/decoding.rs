//! What is to become of sound: any words, some of them likelier, or the visitor's phrases and nothing
//! else.

use crate::protocol::{Boosts, WantedPhrases};

#[derive(Debug, Clone, PartialEq)]
pub struct Decoding {
    /// Words are written with a language model; phrases need none.
    pub with_lm: bool,
    pub phrases: Option<WantedPhrases>,
    /// None with phrases.
    pub boosts: Boosts,
}

impl Decoding {
    /// Whether a language model has to be there.
    pub fn needs_lm(&self) -> bool {
        self.with_lm && self.phrases.is_none()
    }
}
