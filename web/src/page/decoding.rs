//! What is to become of sound: any words, some of them likelier, or the visitor's phrases and nothing
//! else.

use crate::{
    lm_choice::LmChoice,
    protocol::{Boosts, WantedPhrases},
};

#[derive(Debug, Clone, PartialEq)]
pub struct Decoding {
    /// What words are written with; phrases need no language model.
    pub lm: LmChoice,
    pub phrases: Option<WantedPhrases>,
    /// None with phrases.
    pub boosts: Boosts,
}

impl Decoding {
    /// The language model that has to be there.
    pub fn needed_lm(&self) -> LmChoice {
        match self.phrases {
            Some(_) => LmChoice::None,
            None => self.lm,
        }
    }
}
