//! Lists of words that a text lacks: what is said today and not in old books.

use std::path::Path;

use super::LmError;
use crate::files::read_limited;

/// A list of words has some hundred kilobytes.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// Words, each with how often it counts: a word and a number a line, behind `#` a comment.
///
/// # Errors
/// A file that cannot be read, or a line of another form.
pub fn read_added_words(path: &Path) -> Result<Vec<(String, u32)>, LmError> {
    let bytes = read_limited(path, MAX_LIST_BYTES).map_err(|source| LmError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut words = Vec::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = str::from_utf8(line).map_err(|_| LmError::NotText {
            path: path.to_owned(),
            line: index + 1,
        })?;
        let line = line.split('#').next().unwrap_or_default();
        let parts: Vec<&str> = line.split_whitespace().collect();
        let entry = match parts[..] {
            [] => continue,
            [word, count] => count
                .parse()
                .ok()
                .filter(|&count| count > 0)
                .map(|count| (word, count)),
            _ => None,
        };
        let (word, count) = entry.ok_or_else(|| LmError::AddedWord {
            path: path.to_owned(),
            line: index + 1,
        })?;
        words.push((word.to_lowercase(), count));
    }
    Ok(words)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_word_and_its_count_stand_on_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.txt");
        std::fs::write(&path, "# new\n\nInternet 33\nweb\t5 # site\n").unwrap();
        let expected = [("internet".to_owned(), 33), ("web".to_owned(), 5)];
        assert_eq!(read_added_words(&path).unwrap(), expected);
        for wrong in [
            "internet",
            "internet 0",
            "internet many",
            "web site 3",
            "web -1",
        ] {
            std::fs::write(&path, format!("web 5\n{wrong}\n")).unwrap();
            let error = read_added_words(&path).unwrap_err().to_string();
            assert!(error.contains("line 2"), "{error}");
        }
        std::fs::write(&path, b"web 5\n\xff 3\n").unwrap();
        let error = read_added_words(&path).unwrap_err().to_string();
        assert!(error.contains("line 2: not UTF-8"), "{error}");
    }
}
