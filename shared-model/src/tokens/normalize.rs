//! The one normaliser of references and hypotheses.

#[cfg(test)]
mod tests;

use super::{accents, numbers};

/// Lower case; letters a-z, apostrophes and single spaces; accents folded; digits spelled out;
/// everything else is a space.
///
/// Apostrophes stay inside a word (`don't`, `o'clock`) and fall away at its ends, where they cannot
/// be told from quotation marks. Numbers: `42`, `1,000`, `3.5` and `21st` as they are read aloud
/// (`1984` as a plain number), more than nine digits in a row and leading zeros digit by digit; `&`
/// is "and", `%` is "percent". Normalising twice changes nothing.
pub fn normalize_text(text: &str) -> String {
    let characters = fold(text);
    let mut spelled = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let character = characters[at];
        let starts_number = character.is_ascii_digit()
            || (character == '.' && (at == 0 || characters[at - 1].is_whitespace()));
        if starts_number && let Some((words, used)) = numbers::spell(&characters[at..]) {
            at += used;
            spelled.push(' ');
            spelled.push_str(&words);
            if characters.get(at) != Some(&'\'') {
                spelled.push(' ');
            }
            continue;
        }
        match character {
            'a'..='z' | '\'' => spelled.push(character),
            '&' => spelled.push_str(" and "),
            '%' => spelled.push_str(" percent "),
            _ => spelled.push(' '),
        }
        at += 1;
    }
    // Two apostrophes in a row are a quotation mark.
    let mut normalized = String::with_capacity(spelled.len());
    for part in spelled.split("''").flat_map(str::split_whitespace) {
        let word = part.trim_matches('\'');
        if !word.is_empty() {
            if !normalized.is_empty() {
                normalized.push(' ');
            }
            normalized.push_str(word);
        }
    }
    normalized
}

/// Lower case, one kind of apostrophe, Latin letters without their marks, ASCII digits.
fn fold(text: &str) -> Vec<char> {
    let mut folded = Vec::with_capacity(text.len());
    for character in text.chars().flat_map(char::to_lowercase) {
        match character {
            '\u{ff01}'..='\u{ff5e}' => {
                // Full-width forms lie at a fixed distance from ASCII.
                let ascii = u8::try_from(u32::from(character) - 0xfee0).unwrap_or(b' ');
                folded.push(char::from(ascii).to_ascii_lowercase());
            }
            '‘' | '’' | '‛' | '′' | 'ʼ' | 'ʹ' | 'ʻ' | '´' | '`' => folded.push('\''),
            _ if character.is_ascii() => folded.push(character),
            _ => match accents::fold(character) {
                Some(plain) => folded.extend(plain.chars()),
                None => folded.push(character),
            },
        }
    }
    folded
}
