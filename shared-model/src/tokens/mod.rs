//! Text to token ids and back. Blank is always id 0; `tokens.txt` alone is enough to decode.

mod accents;
mod normalize;
pub(crate) mod numbers;
mod phones;
mod piece_set;
mod pronunciations;
mod tokens_txt;

pub use normalize::normalize_text;
pub use phones::{NUM_PHONE_TOKENS, phone_character, phone_tokens};
pub use piece_set::Tokens;
pub use pronunciations::{
    MAX_PRONOUNCED_WORD_BYTES, MAX_PRONUNCIATION_PHONES, MAX_PRONUNCIATIONS,
    MAX_PRONUNCIATIONS_BYTES, MAX_PRONUNCIATIONS_PER_WORD, PronunciationError, Pronunciations,
};

/// The id of the CTC blank.
pub const BLANK_ID: u32 = 0;

/// Most pieces of a set, blank included.
pub const MAX_TOKENS: usize = 65_536;

/// Longest piece, in bytes of UTF-8.
pub const MAX_PIECE_BYTES: usize = 256;

/// A vocabulary that cannot be used, or text that it cannot write.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum TokenError {
    /// What is wrong with a line of `tokens.txt`.
    #[error("tokens.txt line {line}: {reason}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// What is wrong with the pieces as a whole.
    #[error("tokens.txt: {0}")]
    File(String),
    /// Text with a character that no piece has.
    #[error("character {character:?} of \"{text}\" has no token")]
    NoToken {
        /// The first such character.
        character: char,
        /// The text.
        text: String,
    },
}
