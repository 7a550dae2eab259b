//! The token set of a recipe: characters, or pieces learned by byte-pair encoding from the
//! transcripts (Sennrich et al., 2016).

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use shared_model::tokens::Tokens;
use tokenizers::Trainer;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};

use super::DataError;
use crate::config::{TokenConfig, TokenKind};

/// Begins a word, as in SentencePiece.
const WORD_MARK: char = '\u{2581}';
/// Characters that every token set can spell with.
const ALPHABET: &str = "'abcdefghijklmnopqrstuvwxyz";
const MAX_TOKENS_BYTES: u64 = 1 << 20;

/// Tokens as `config` says: read from its file, characters, or pieces learned from `texts`
/// (normalised). The same texts give the same pieces.
///
/// # Errors
/// An unusable token file, or no text to learn from.
pub fn build_tokens<'a>(
    config: &TokenConfig,
    texts: impl Iterator<Item = &'a str>,
) -> Result<Tokens, DataError> {
    if let Some(path) = &config.file {
        return read_tokens(path);
    }
    match config.kind {
        TokenKind::Characters => Ok(Tokens::characters()),
        TokenKind::Bpe => learn_pieces(config.size, texts),
    }
}

/// Reads a `tokens.txt`.
///
/// # Errors
/// A file that cannot be read, or is none of tokens.
pub fn read_tokens(path: &Path) -> Result<Tokens, DataError> {
    let read_error = |source| DataError::ReadTokens {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::metadata(path).map_err(read_error)?.len();
    if bytes > MAX_TOKENS_BYTES {
        return Err(read_error(std::io::Error::other(format!(
            "it has {bytes} bytes, a token file at most {MAX_TOKENS_BYTES}"
        ))));
    }
    Tokens::from_txt(&std::fs::read(path).map_err(read_error)?).map_err(|source| {
        DataError::TokenFile {
            path: path.to_owned(),
            source,
        }
    })
}

/// `size` counts the blank.
fn learn_pieces<'a>(
    size: usize,
    texts: impl Iterator<Item = &'a str>,
) -> Result<Tokens, DataError> {
    let failure = |reason: String| DataError::WordPieces { size, reason };
    let mut counts: HashMap<String, u64> = HashMap::new();
    for word in texts.flat_map(str::split_whitespace) {
        *counts.entry(format!("{WORD_MARK}{word}")).or_default() += 1;
    }
    if counts.is_empty() {
        return Err(failure("there is no text to learn from".to_owned()));
    }
    let mut words: Vec<(String, u64)> = counts.into_iter().collect();
    words.sort();
    let alphabet: BTreeSet<char> = ALPHABET.chars().chain([WORD_MARK]).collect();
    let mut trainer = BpeTrainerBuilder::new()
        .vocab_size(size - 1)
        .min_frequency(1)
        .show_progress(false)
        .initial_alphabet(alphabet.iter().copied().collect())
        .build();
    trainer
        .feed(
            words.iter().flat_map(|(word, count)| {
                // A piece is decided by counts in proportion, so very large ones can be cut.
                std::iter::repeat_n(word.as_str(), (*count).min(1_000_000) as usize)
            }),
            |word| Ok(vec![word.to_owned()]),
        )
        .map_err(|source| DataError::TrainWordPieces { size, source })?;
    let mut model = BPE::default();
    trainer
        .train(&mut model)
        .map_err(|source| DataError::TrainWordPieces { size, source })?;
    let mut learned: Vec<(u32, String)> = model
        .get_vocab()
        .into_iter()
        .map(|(piece, id)| (id, piece))
        .collect();
    learned.sort();
    let pieces: Vec<String> = learned.into_iter().map(|(_, piece)| piece).collect();
    if pieces.len() + 1 < size {
        return Err(failure(format!(
            "the texts give only {} pieces; ask for fewer",
            pieces.len() + 1
        )));
    }
    Ok(Tokens::from_pieces(pieces)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn config(size: usize) -> TokenConfig {
        TokenConfig {
            kind: TokenKind::Bpe,
            size,
            file: None,
            pronunciations: None,
        }
    }

    const TEXTS: [&str; 4] = [
        "the cat sat on the mat and the dog sat there",
        "then the other cat went to the house of the dog",
        "there is no other house than the one on the hill",
        "the dog and the cat are on the mat in the house on the hill",
    ];

    #[test]
    fn pieces_fill_the_size_and_spell_every_letter() {
        let tokens = build_tokens(&config(64), TEXTS.into_iter()).unwrap();
        assert_eq!(tokens.len(), 64);
        let all = "the quick brown fox jumps over the lazy dog's vex";
        let ids = tokens.encode(all).unwrap();
        assert_eq!(tokens.decode(&ids), all);
        assert!(ids.iter().all(|&id| id > 0 && id < 64));
        // The most frequent word is one piece.
        assert_eq!(tokens.encode("the").unwrap().len(), 1);
    }

    #[test]
    fn the_same_texts_give_the_same_pieces() {
        let make = || {
            build_tokens(&config(64), TEXTS.into_iter())
                .unwrap()
                .to_txt()
        };
        assert_eq!(make(), make());
    }

    #[test]
    fn too_little_text_is_said_in_words() {
        let message = |size, texts: &[&'static str]| {
            build_tokens(&config(size), texts.iter().copied())
                .unwrap_err()
                .to_string()
        };
        assert!(message(64, &[]).ends_with("there is no text to learn from"));
        assert!(message(256, &TEXTS).contains("ask for fewer"));
    }
}
