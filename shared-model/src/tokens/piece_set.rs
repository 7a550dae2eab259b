//! The set of pieces, and segmentation of text into them.

use std::collections::HashMap;

use super::{BLANK_ID, MAX_PIECE_BYTES, MAX_TOKENS, TokenError};

/// How the blank is written in `tokens.txt` (icefall's name).
pub(super) const BLANK_PIECE: &str = "<blk>";

/// SentencePiece's mark of a word's beginning, U+2581.
const WORD_MARK: char = '▁';

/// Longest part of a text quoted in an error.
const QUOTED_CHARS: usize = 60;

/// A closed set of pieces. `▁` (U+2581) at the start of a piece begins a word, as in SentencePiece;
/// a character set has `▁` itself as the space between words.
///
/// Pieces in angle brackets (`<unk>`, `<s>`) are never produced by [`Tokens::encode`] and give no
/// text in [`Tokens::decode`].
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    /// Every piece in id order, the blank first.
    pieces: Vec<String>,
    /// Id of every piece that can stand for text.
    ids: HashMap<String, u32>,
    /// Characters of the longest piece in `ids`.
    longest: usize,
}

impl Tokens {
    /// Blank, `▁`, apostrophe and a-z: 29 pieces.
    pub fn characters() -> Self {
        let pieces = std::iter::once(WORD_MARK)
            .chain(std::iter::once('\''))
            .chain('a'..='z')
            .map(String::from)
            .collect();
        Self::from_pieces(pieces).expect("the characters are different and none is a space")
    }

    /// From pieces in id order, without the blank (ids start at 1).
    ///
    /// # Errors
    /// An empty, overlong or repeated piece, one with a space or control character in it, one that
    /// is called `<blk>`, or more than [`MAX_TOKENS`] in all.
    pub fn from_pieces(pieces: Vec<String>) -> Result<Self, TokenError> {
        if pieces.len() >= MAX_TOKENS {
            return Err(TokenError::File(format!(
                "{} pieces and the blank: at most {MAX_TOKENS} are allowed",
                pieces.len()
            )));
        }
        let mut all = Vec::with_capacity(pieces.len() + 1);
        all.push(BLANK_PIECE.to_string());
        let mut ids = HashMap::with_capacity(pieces.len());
        let mut specials: Vec<&str> = Vec::new();
        let mut longest = 0;
        for (id, piece) in (1u32..).zip(&pieces) {
            let wrong = |reason: &str| {
                Err(TokenError::File(format!(
                    "piece {piece:?} (id {id}) {reason}"
                )))
            };
            if piece.is_empty() {
                return wrong("is empty");
            }
            if piece.len() > MAX_PIECE_BYTES {
                return Err(TokenError::File(format!(
                    "piece with id {id} has {} bytes: at most {MAX_PIECE_BYTES} are allowed",
                    piece.len()
                )));
            }
            if piece.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return wrong("holds a space or control character");
            }
            if piece == BLANK_PIECE {
                return wrong("is the blank's name, which only id 0 may have");
            }
            if is_special(piece) {
                if specials.contains(&piece.as_str()) {
                    return wrong("occurs twice");
                }
                specials.push(piece);
            } else {
                if ids.insert(piece.clone(), id).is_some() {
                    return wrong("occurs twice");
                }
                longest = longest.max(piece.chars().count());
            }
        }
        all.extend(pieces);
        Ok(Self {
            pieces: all,
            ids,
            longest,
        })
    }

    /// Reads `token id` lines; `<blk>` must have id 0; ids must be 0..n without gaps, in any order;
    /// at most 65,536. Lines may end in CRLF.
    ///
    /// # Errors
    /// The line and what is wrong with it.
    pub fn from_txt(bytes: &[u8]) -> Result<Self, TokenError> {
        Self::from_pieces(super::tokens_txt::parse(bytes)?)
    }

    /// One `token id` line per piece, in id order.
    pub fn to_txt(&self) -> String {
        self.pieces
            .iter()
            .enumerate()
            .map(|(id, piece)| format!("{piece} {id}\n"))
            .collect()
    }

    /// Pieces, blank included.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Never: the blank is always there.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The piece with `id`, if there is one.
    pub fn piece(&self, id: u32) -> Option<&str> {
        self.pieces
            .get(usize::try_from(id).ok()?)
            .map(String::as_str)
    }

    /// The id of a piece that stands for text.
    pub fn id(&self, piece: &str) -> Option<u32> {
        self.ids.get(piece).copied()
    }

    /// Whether every piece is one character, so that `▁` stands only between words.
    pub(crate) fn is_character_set(&self) -> bool {
        self.longest <= 1
    }

    /// Ids of a normalised text. Characters one by one; with longer pieces the segmentation of
    /// least pieces (ties: longest first), so `tokens.txt` alone defines it. Never holds blank.
    ///
    /// With pieces longer than a character every word begins with `▁`; in a character set `▁`
    /// stands between words only. Runs of spaces count as one.
    ///
    /// # Errors
    /// The first character that no segmentation of the text can pass.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenError> {
        let marked = self.mark_words(text);
        // Byte offset of every character, and the end.
        let offsets: Vec<usize> = marked
            .char_indices()
            .map(|(at, _)| at)
            .chain([marked.len()])
            .collect();
        let num_chars = offsets.len() - 1;
        // From each character to the end: least pieces, and the length and id of the first of them.
        let mut best: Vec<Option<(usize, usize, u32)>> = vec![None; num_chars + 1];
        best[num_chars] = Some((0, 0, BLANK_ID));
        for from in (0..num_chars).rev() {
            for length in (1..=self.longest.min(num_chars - from)).rev() {
                let Some((rest, _, _)) = best[from + length] else {
                    continue;
                };
                if best[from].is_some_and(|(count, _, _)| count <= rest + 1) {
                    continue;
                }
                if let Some(&id) = self.ids.get(&marked[offsets[from]..offsets[from + length]]) {
                    best[from] = Some((rest + 1, length, id));
                }
            }
        }
        let mut ids = Vec::with_capacity(best[0].map_or(0, |(count, _, _)| count));
        let mut at = 0;
        while at < num_chars {
            let Some((_, length, id)) = best[at] else {
                return Err(self.no_token(&marked, &offsets, text));
            };
            ids.push(id);
            at += length;
        }
        Ok(ids)
    }

    /// Words joined by `▁`, with one before the first unless this is a character set.
    fn mark_words(&self, text: &str) -> String {
        let mut marked = String::with_capacity(text.len() + 3);
        for word in text.split_whitespace() {
            if !(marked.is_empty() && self.is_character_set()) {
                marked.push(WORD_MARK);
            }
            marked.push_str(word);
        }
        marked
    }

    fn no_token(&self, marked: &str, offsets: &[usize], text: &str) -> TokenError {
        let num_chars = offsets.len() - 1;
        let mut reachable = vec![false; num_chars + 1];
        reachable[0] = true;
        let mut furthest = 0;
        for from in 0..num_chars {
            if !reachable[from] {
                continue;
            }
            furthest = from;
            for length in 1..=self.longest.min(num_chars - from) {
                if self
                    .ids
                    .contains_key(&marked[offsets[from]..offsets[from + length]])
                {
                    reachable[from + length] = true;
                }
            }
        }
        let character = marked[offsets[furthest]..]
            .chars()
            .next()
            .unwrap_or(WORD_MARK);
        let mut quoted: String = text.chars().take(QUOTED_CHARS).collect();
        if quoted.len() < text.len() {
            quoted.push('…');
        }
        TokenError::NoToken {
            character: if character == WORD_MARK {
                ' '
            } else {
                character
            },
            text: quoted,
        }
    }

    /// Text of ids (repeats and blanks already removed): `▁` becomes a space, spaces at the ends
    /// and runs of them fall away; ids outside the set, blanks and special pieces give nothing.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut text = String::new();
        let pieces = ids
            .iter()
            .filter(|&&id| id != BLANK_ID)
            .filter_map(|&id| self.piece(id));
        for character in pieces
            .filter(|piece| !is_special(piece))
            .flat_map(str::chars)
        {
            if character != WORD_MARK {
                text.push(character);
            } else if !text.is_empty() && !text.ends_with(' ') {
                text.push(' ');
            }
        }
        if text.ends_with(' ') {
            text.pop();
        }
        text
    }
}

/// `<unk>`, `<s>` and the like, which stand for no text.
fn is_special(piece: &str) -> bool {
    piece.len() > 2 && piece.starts_with('<') && piece.ends_with('>')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(pieces: &[&str]) -> Tokens {
        Tokens::from_pieces(pieces.iter().map(|p| p.to_string()).collect()).unwrap()
    }

    fn spelled(tokens: &Tokens, text: &str) -> Vec<String> {
        let ids = tokens.encode(text).unwrap();
        ids.iter()
            .map(|&id| tokens.piece(id).unwrap().to_string())
            .collect()
    }

    #[test]
    fn the_character_set_has_29_pieces_with_the_blank_first() {
        let tokens = Tokens::characters();
        assert_eq!(tokens.len(), 29);
        assert_eq!(tokens.piece(0), Some("<blk>"));
        assert_eq!(tokens.piece(1), Some("▁"));
        assert_eq!(tokens.piece(2), Some("'"));
        assert_eq!(tokens.piece(28), Some("z"));
        assert_eq!(tokens.piece(29), None);
        assert_eq!(tokens.encode("a b").unwrap(), [3, 1, 4]);
        assert_eq!(tokens.decode(&[3, 1, 4]), "a b");
    }

    #[test]
    fn segmentation_takes_the_fewest_pieces_and_longest_first_on_ties() {
        let tokens = set(&["▁", "a", "b", "c", "d", "▁ab", "▁a", "bcd", "cd"]);
        // ▁ab cd and ▁a bcd are both two pieces.
        assert_eq!(spelled(&tokens, "abcd"), ["▁ab", "cd"]);
        // Greedy longest match would need ▁ab, c, b, ...; here it is the same count.
        assert_eq!(spelled(&tokens, "a bcd"), ["▁a", "▁", "bcd"]);
        // Longest first alone would give ▁ab c d for "abcd" without cd; least pieces gives two.
        let tokens = set(&["▁", "a", "b", "c", "d", "▁ab", "▁a", "bcd"]);
        assert_eq!(spelled(&tokens, "abcd"), ["▁a", "bcd"]);
    }

    #[test]
    fn segmentation_has_as_few_pieces_as_an_exhaustive_search_finds() {
        fn fewest(pieces: &[&str], text: &str) -> usize {
            if text.is_empty() {
                return 0;
            }
            let firsts = pieces.iter().filter_map(|p| text.strip_prefix(p));
            firsts
                .map(|rest| 1 + fewest(pieces, rest))
                .min()
                .unwrap_or(usize::MAX / 2)
        }
        let pieces = ["▁", "a", "b", "aa", "ab", "bab", "▁ab", "aab▁a"];
        let tokens = set(&pieces);
        for bits in 0u32..1 << 9 {
            let text: String = (0..9)
                .map(|i| if bits >> i & 1 == 1 { 'a' } else { 'b' })
                .collect();
            let text = format!("{} {}", &text[..4], &text[4..]);
            let marked = format!("▁{}", text.replace(' ', "▁"));
            assert_eq!(
                tokens.encode(&text).unwrap().len(),
                fewest(&pieces, &marked),
                "{text}"
            );
        }
    }

    #[test]
    fn a_character_without_a_token_is_named() {
        let error = Tokens::characters().encode("abc é").unwrap_err();
        assert_eq!(
            error,
            TokenError::NoToken {
                character: 'é',
                text: "abc é".into()
            }
        );
        let error = set(&["a", "b"]).encode("a b").unwrap_err();
        assert_eq!(
            error,
            TokenError::NoToken {
                character: ' ',
                text: "a b".into()
            }
        );
    }

    #[test]
    fn special_pieces_and_unknown_ids_give_no_text() {
        let tokens = set(&["<unk>", "▁a", "b", "▁"]);
        assert_eq!(tokens.decode(&[1, 2, 0, 3, 99, 4, 4, 2, 4]), "ab a");
        assert!(tokens.encode("<unk>").is_err());
    }

    #[test]
    fn unusable_pieces_are_refused() {
        for pieces in [
            ["a", "a"],
            ["", "a"],
            ["a b", "c"],
            ["<blk>", "a"],
            ["<s>", "<s>"],
        ] {
            let pieces = pieces.iter().map(|p| p.to_string()).collect();
            assert!(matches!(
                Tokens::from_pieces(pieces),
                Err(TokenError::File(_))
            ));
        }
        assert!(Tokens::from_pieces(vec!["x".repeat(MAX_PIECE_BYTES + 1)]).is_err());
    }

    proptest! {
        #[test]
        fn any_normalised_text_survives_the_round_trip(text in "[a-z' ]{0,60}") {
            let expected = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let longer: Vec<String> = ('a'..='z').map(String::from)
                .chain(["▁", "'", "▁the", "ing", "▁a", "er", "▁'"].map(String::from)).collect();
            for tokens in [Tokens::characters(), Tokens::from_pieces(longer).unwrap()] {
                let ids = tokens.encode(&text).unwrap();
                prop_assert!(!ids.contains(&BLANK_ID));
                prop_assert_eq!(tokens.decode(&ids), expected.clone());
            }
        }
    }
}
