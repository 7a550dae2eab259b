//! `tokens.txt`: one `token id` line per piece, as icefall and sherpa-onnx write it.

use super::piece_set::BLANK_PIECE;
use super::{MAX_PIECE_BYTES, MAX_TOKENS, TokenError};

/// Room for every piece at full length, with its id.
const MAX_BYTES: usize = 4 << 20;

/// Pieces in id order, without the blank.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<String>, TokenError> {
    if bytes.len() > MAX_BYTES {
        return Err(TokenError::File(format!(
            "{} bytes: at most {MAX_BYTES} are allowed",
            bytes.len()
        )));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut entries: Vec<(usize, usize, &str)> = Vec::new();
    for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let number = number + 1;
        let wrong = |reason: String| TokenError::Line {
            line: number,
            reason,
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = std::str::from_utf8(line).map_err(|_| wrong("not UTF-8 text".into()))?;
        if line.trim().is_empty() {
            continue;
        }
        let (piece, id) = line
            .trim_end()
            .rsplit_once([' ', '\t'])
            .ok_or_else(|| wrong("expected a token, a space and its id".into()))?;
        let piece = piece.trim_end_matches([' ', '\t']);
        let id: usize = id
            .parse()
            .ok()
            .filter(|_| id.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| wrong(format!("the id {:?} is not a number", shorten(id))))?;
        if id >= MAX_TOKENS {
            return Err(wrong(format!(
                "id {id}: at most {MAX_TOKENS} tokens are allowed"
            )));
        }
        if piece.is_empty() {
            return Err(wrong("the token is empty".into()));
        }
        if piece.len() > MAX_PIECE_BYTES {
            return Err(wrong(format!(
                "the token has {} bytes: at most {MAX_PIECE_BYTES} are allowed",
                piece.len()
            )));
        }
        if piece.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(wrong("the token holds a space or control character".into()));
        }
        if (piece == BLANK_PIECE) != (id == 0) {
            return Err(wrong(format!(
                "{piece:?} has id {id}: {BLANK_PIECE} and only it must have id 0"
            )));
        }
        if entries.len() >= MAX_TOKENS {
            return Err(wrong(format!("at most {MAX_TOKENS} tokens are allowed")));
        }
        entries.push((id, number, piece));
    }
    entries.sort_unstable();
    for (expected, &(id, line, _)) in entries.iter().enumerate() {
        if id < expected {
            return Err(TokenError::Line {
                line,
                reason: format!("id {id} occurs twice"),
            });
        }
        if id > expected {
            return Err(TokenError::File(format!("no token has id {expected}")));
        }
    }
    if entries.is_empty() {
        return Err(TokenError::File("no tokens in it".into()));
    }
    Ok(entries
        .into_iter()
        .skip(1)
        .map(|(_, _, piece)| piece.to_string())
        .collect())
}

fn shorten(text: &str) -> String {
    text.chars().take(20).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::{TokenError, Tokens};

    fn line_of(text: &str) -> usize {
        match Tokens::from_txt(text.as_bytes()) {
            Err(TokenError::Line { line, .. }) => line,
            other => panic!("{text:?} gave {other:?}"),
        }
    }

    #[test]
    fn a_file_written_by_icefall_is_read() {
        let text = "<blk> 0\n<sos/eos> 1\n<unk> 2\n▁the 3\ns 4\n▁ 5\n";
        let tokens = Tokens::from_txt(text.as_bytes()).unwrap();
        assert_eq!(tokens.len(), 6);
        assert_eq!(tokens.piece(3), Some("▁the"));
        assert_eq!(tokens.to_txt(), text);
    }

    #[test]
    fn line_ends_byte_order_mark_tabs_order_and_a_missing_last_newline_do_not_matter() {
        let plain = Tokens::from_txt(b"<blk> 0\na 1\nb 2\n").unwrap();
        assert_eq!(
            Tokens::from_txt(b"\xef\xbb\xbf<blk> 0\r\na\t1\r\n\r\nb   2").unwrap(),
            plain
        );
        assert_eq!(Tokens::from_txt(b"b 2\n<blk> 0\na 1").unwrap(), plain);
    }

    #[test]
    fn the_faulty_line_is_named() {
        assert_eq!(line_of("<blk> 0\na one\n"), 2);
        assert_eq!(line_of("<blk> 0\na\n"), 2);
        assert_eq!(line_of("<blk> 0\na 1\nb 1\n"), 3);
        assert_eq!(line_of("a 0\n"), 1);
        assert_eq!(line_of("<blk> 1\n"), 1);
        assert_eq!(line_of("<blk> 0\na 65536\n"), 2);
        assert_eq!(line_of("<blk> 0\na 99999999999999999999999\n"), 2);
        assert_eq!(line_of("<blk> 0\na +1\n"), 2);
        assert_eq!(line_of("<blk> 0\na b 1\n"), 2);
    }

    #[test]
    fn gaps_repeated_pieces_bad_utf8_and_an_empty_file_are_errors() {
        for bytes in [
            b"".as_slice(),
            b"\n\n",
            b"<blk> 0\na 2\n",
            b"a 1\n",
            b"<blk> 0\na 1\na 2\n",
            b"<blk> 0\n\xff 1\n",
        ] {
            assert!(Tokens::from_txt(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Tokens::from_txt(&bytes);
        }

        #[test]
        fn text_that_looks_like_tokens_never_panics_and_reads_back(
            text in "(<blk> 0\r?\n)?([a▁<> \t]{0,3} [0-9]{1,2}\r?\n){0,6}"
        ) {
            if let Ok(tokens) = Tokens::from_txt(text.as_bytes()) {
                prop_assert_eq!(Tokens::from_txt(tokens.to_txt().as_bytes()).unwrap(), tokens);
            }
        }
    }
}
