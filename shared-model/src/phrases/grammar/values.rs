//! What the words of a slot mean.

use serde::{Deserialize, Serialize};

use crate::tokens::numbers::{TENS, UNITS};

/// What a slot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SlotValue {
    /// Of `<number>`.
    Number(u64),
    /// Of anything else: digits (`"007"`), letters (`"abc"`), a date (`"2026-03-21"`, `"03-21"`,
    /// `"friday"`), a rule's tag, or the words themselves.
    Text(String),
}

/// How words become a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::phrases) enum ValueKind {
    Words,
    Number,
    Digits,
    Letters,
    Date,
}

impl ValueKind {
    /// The value of what was said for a slot.
    pub(in crate::phrases) fn value(self, words: &[&str]) -> SlotValue {
        match self {
            Self::Words => SlotValue::Text(words.join(" ")),
            Self::Number => SlotValue::Number(number(words)),
            Self::Digits => SlotValue::Text(words.iter().map(|word| digit(word)).collect()),
            Self::Letters => SlotValue::Text(letters(words)),
            Self::Date => SlotValue::Text(date(words)),
        }
    }
}

const ORDINALS: [&str; 20] = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

fn place(words: &[&str], word: &str) -> Option<u64> {
    words
        .iter()
        .position(|known| *known == word)
        .map(|p| p as u64)
}

/// What a word below one hundred adds to a number.
fn small(word: &str) -> Option<u64> {
    place(&UNITS, word).or_else(|| place(&TENS, word).map(|tens| 20 + 10 * tens))
}

/// `<number>`: words that say nothing of their own ("and", "a") count as nothing.
fn number(words: &[&str]) -> u64 {
    let (mut thousands, mut below) = (0, 0);
    for word in words {
        match *word {
            "hundred" => below = below.max(1) * 100,
            "thousand" => {
                thousands = below.max(1) * 1000;
                below = 0;
            }
            other => below += small(other).unwrap_or(0),
        }
    }
    thousands + below
}

fn digit(word: &str) -> String {
    let value = if word == "oh" { Some(0) } else { small(word) };
    value.unwrap_or(0).to_string()
}

/// `<letters>`: by the letter itself or its name.
fn letters(words: &[&str]) -> String {
    let mut text = String::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        text.push(match *word {
            "double" => {
                words.next();
                'w'
            }
            "ay" => 'a',
            "see" | "sea" => 'c',
            "aitch" => 'h',
            "eye" => 'i',
            "ef" | "eff" => 'f',
            "el" | "ell" => 'l',
            "em" => 'm',
            "en" => 'n',
            "cue" => 'q',
            "are" => 'r',
            "ess" => 's',
            "you" => 'u',
            "ex" => 'x',
            "why" => 'y',
            // The others begin with the letter that they name.
            other => other.chars().next().unwrap_or_default(),
        });
    }
    text
}

/// `<date>`: `2026-03-21`, `03-21`, or a word such as "friday".
fn date(words: &[&str]) -> String {
    let month_at = words.iter().position(|word| MONTHS.contains(word));
    let Some(month_at) = month_at else {
        return words.join(" ");
    };
    let month = place(&MONTHS, words[month_at]).unwrap_or(0) + 1;
    let (before, after) = (&words[..month_at], &words[month_at + 1..]);
    let is_behind = before.iter().any(|word| ordinal(word).is_some());
    let (day, year) = if is_behind {
        (before.iter().filter_map(|word| day_part(word)).sum(), after)
    } else {
        day_of(after)
    };
    match year_of(year) {
        Some(year) => format!("{year:04}-{month:02}-{day:02}"),
        None => format!("{month:02}-{day:02}"),
    }
}

fn ordinal(word: &str) -> Option<u64> {
    let plain = place(&ORDINALS, word).map(|place| place + 1);
    plain.or((word == "thirtieth").then_some(30))
}

fn day_part(word: &str) -> Option<u64> {
    ordinal(word).or_else(|| small(word))
}

/// The day that words begin with, and the words behind it.
fn day_of<'a>(words: &'a [&'a str]) -> (u64, &'a [&'a str]) {
    let words = words.strip_prefix(&["the"]).unwrap_or(words);
    let Some((first, rest)) = words.split_first() else {
        return (0, words);
    };
    let value = day_part(first).unwrap_or(0);
    let is_tens = matches!(*first, "twenty" | "thirty");
    match rest.first().and_then(|next| day_part(next)) {
        // "twenty one", but "twenty nineteen" is the year behind the day.
        Some(unit) if is_tens && unit < 10 => (value + unit, &rest[1..]),
        _ => (value, rest),
    }
}

fn year_of(words: &[&str]) -> Option<u64> {
    let (first, rest) = words.split_first()?;
    if *first == "two" {
        return Some(number(words));
    }
    let century = small(first)?;
    let rest: u64 = rest.iter().filter_map(|word| small(word)).sum();
    Some(century * 100 + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(kind: ValueKind, text: &str) -> String {
        let words: Vec<&str> = text.split(' ').collect();
        match kind.value(&words) {
            SlotValue::Number(number) => number.to_string(),
            SlotValue::Text(text) => text,
        }
    }

    #[test]
    fn numbers_come_back_as_digits() {
        for (words, expected) in [
            ("zero", "0"),
            ("fifteen", "15"),
            ("forty two", "42"),
            ("a hundred", "100"),
            ("three hundred and seven", "307"),
            ("a thousand", "1000"),
            ("twelve thousand and five", "12005"),
            (
                "nine hundred ninety nine thousand nine hundred and ninety nine",
                "999999",
            ),
        ] {
            assert_eq!(value(ValueKind::Number, words), expected, "{words}");
        }
    }

    #[test]
    fn digits_keep_their_zeros_and_letters_have_names() {
        assert_eq!(value(ValueKind::Digits, "zero oh seven"), "007");
        assert_eq!(
            value(ValueKind::Letters, "a bee sea double you zed"),
            "abcwz"
        );
    }

    #[test]
    fn dates_are_numbers_where_a_month_was_said() {
        for (words, expected) in [
            ("tomorrow", "tomorrow"),
            ("march third", "03-03"),
            ("the twenty first of december", "12-21"),
            ("may the thirtieth", "05-30"),
            ("june twenty one", "06-21"),
            ("july twenty twenty nineteen", "2019-07-20"),
            ("july fourth nineteen oh five", "1905-07-04"),
            (
                "the second of january two thousand and twelve",
                "2012-01-02",
            ),
            ("august thirty first twenty twenty six", "2026-08-31"),
        ] {
            assert_eq!(value(ValueKind::Date, words), expected, "{words}");
        }
    }
}
