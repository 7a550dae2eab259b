//! How many letters two texts are apart.

/// Letters put in, left out or changed, at least, to make one text of the other.
pub(super) fn letters_apart(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, a) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, b) in b.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::letters_apart;

    #[test]
    fn letters_are_put_in_left_out_or_changed() {
        for (a, b, expected) in [
            ("", "", 0),
            ("light", "light", 0),
            ("light", "lights", 1),
            ("light", "night", 1),
            ("on", "no", 2),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(letters_apart(a, b), expected);
            assert_eq!(letters_apart(b, a), expected);
        }
    }
}
