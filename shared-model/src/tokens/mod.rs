//! Text to token ids and back. Blank is always id 0; `tokens.txt` alone is enough to decode.

mod normalize;

pub use normalize::normalize_text;

/// The id of the CTC blank.
pub const BLANK_ID: u32 = 0;

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

/// A closed set of pieces. `▁` (U+2581) at the start of a piece begins a word, as in SentencePiece;
/// a character set has `▁` itself as the space between words.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {}

impl Tokens {
    /// Blank, `▁`, apostrophe and a-z: 29 pieces.
    pub fn characters() -> Self {
        unimplemented!()
    }
    /// From pieces in id order, without the blank (ids start at 1).
    pub fn from_pieces(pieces: Vec<String>) -> Result<Self, TokenError> {
        let _ = pieces;
        unimplemented!()
    }
    /// Reads `token id` lines; `<blk>` must have id 0; ids must be 0..n without gaps; at most 65,536.
    pub fn from_txt(bytes: &[u8]) -> Result<Self, TokenError> {
        let _ = bytes;
        unimplemented!()
    }
    pub fn to_txt(&self) -> String {
        unimplemented!()
    }
    /// Pieces, blank included.
    pub fn len(&self) -> usize {
        unimplemented!()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn piece(&self, id: u32) -> Option<&str> {
        let _ = id;
        unimplemented!()
    }
    /// Ids of a normalised text. Characters one by one; with longer pieces the segmentation of
    /// least pieces (ties: longest first), so `tokens.txt` alone defines it. Never holds blank.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenError> {
        let _ = text;
        unimplemented!()
    }
    /// Text of ids (repeats and blanks already removed).
    pub fn decode(&self, ids: &[u32]) -> String {
        let _ = ids;
        unimplemented!()
    }
}
