//! Text to token ids and back. Blank is always id 0; `tokens.txt` alone is enough to decode.

mod accents;
mod normalize;
mod numbers;
mod piece_set;
mod tokens_txt;

pub use normalize::normalize_text;
pub use piece_set::Tokens;

/// The id of the CTC blank.
pub const BLANK_ID: u32 = 0;

/// Most pieces of a set, blank included.
pub const MAX_TOKENS: usize = 65_536;

/// Longest piece, in bytes of UTF-8.
pub const MAX_PIECE_BYTES: usize = 256;

#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum TokenError {
    #[error("tokens.txt line {line}: {reason}")]
    Line { line: usize, reason: String },
    #[error("tokens.txt: {0}")]
    File(String),
    #[error("character {character:?} of \"{text}\" has no token")]
    NoToken { character: char, text: String },
}
