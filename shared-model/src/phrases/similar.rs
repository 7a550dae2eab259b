//! Phrases that sound alike, by their letters.

use std::collections::{HashMap, HashSet};

use super::{
    edit_distance::letters_apart,
    grammar::{Expr, PhraseWarning, Source},
};

/// Texts that are compared, of all phrases together, and of one phrase.
const MAX_TEXTS: usize = 20_000;
const MAX_TEXTS_PER_PHRASE: usize = 32;
/// Longer texts are not compared: a letter more or less is no matter in them.
const MAX_CHARS: usize = 60;
/// Warnings that are given.
const MAX_WARNINGS: usize = 20;

/// Pairs of phrases that are the same, or a letter apart. What a rule may stand for is left out of
/// account: its alternatives are compared where they are phrases.
pub(super) fn warnings(source: &Source) -> Vec<PhraseWarning> {
    let texts = all_texts(source);
    // A text and a text that is one letter apart leave the same if a letter is left out of each, or
    // of one.
    let mut by_rest: HashMap<String, Vec<usize>> = HashMap::new();
    let (mut told, mut warnings) = (HashSet::new(), Vec::new());
    for (index, (phrase, text)) in texts.iter().enumerate() {
        for rest in rests(text) {
            let others = by_rest.entry(rest).or_default();
            for &other in others.iter() {
                let (other_phrase, other_text) = &texts[other];
                let is_near = other_phrase != phrase && letters_apart(text, other_text) <= 1;
                if is_near && warnings.len() < MAX_WARNINGS && told.insert((*other_phrase, *phrase))
                {
                    warnings.push(warning(
                        source,
                        (*other_phrase, other_text),
                        (*phrase, text),
                    ));
                }
            }
            // A text is not compared with itself, and a crowd of alike texts not pair by pair.
            if others.len() < MAX_WARNINGS && others.last() != Some(&index) {
                others.push(index);
            }
        }
    }
    warnings
}

fn warning(source: &Source, first: (usize, &str), second: (usize, &str)) -> PhraseWarning {
    let (first_at, at) = (source.phrases[first.0].at, source.phrases[second.0].at);
    let message = if first.1 == second.1 {
        format!("\"{}\" stands at {first_at} already", second.1)
    } else {
        format!(
            "\"{}\" sounds much like \"{}\" at {first_at}: one may be taken for the other",
            second.1, first.1
        )
    };
    PhraseWarning { at, message }
}

/// Texts with the number of their phrase.
fn all_texts(source: &Source) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    for (index, phrase) in source.phrases.iter().enumerate() {
        for text in texts(&phrase.body) {
            if text.chars().count() <= MAX_CHARS && all.len() < MAX_TEXTS && !text.is_empty() {
                all.push((index, text));
            }
        }
    }
    all
}

/// Some of the texts of an expression, all if there are few.
fn texts(expr: &Expr) -> Vec<String> {
    let mut found = match expr {
        Expr::Nothing => vec![String::new()],
        Expr::Word { text, .. } => vec![text.to_lowercase()],
        Expr::Rule { name, .. } => vec![format!("<{name}>")],
        Expr::Tagged(part, _) | Expr::Repeated(part) => texts(part),
        Expr::Optional(part) | Expr::AnyTimes(part) => {
            let mut found = texts(part);
            found.push(String::new());
            found
        }
        Expr::Choice(parts) => parts.iter().flat_map(texts).collect(),
        Expr::Sequence(parts) => parts.iter().fold(vec![String::new()], |before, part| {
            let after = texts(part);
            let pairs = before
                .iter()
                .flat_map(|a| after.iter().map(move |b| joined(a, b)));
            pairs.take(MAX_TEXTS_PER_PHRASE).collect()
        }),
    };
    found.truncate(MAX_TEXTS_PER_PHRASE);
    found
}

fn joined(a: &str, b: &str) -> String {
    let space = if a.is_empty() || b.is_empty() {
        ""
    } else {
        " "
    };
    format!("{a}{space}{b}")
}

/// The text, and the text without each of its letters.
fn rests(text: &str) -> Vec<String> {
    let without = text.char_indices().map(|(at, character)| {
        let mut rest = String::with_capacity(text.len());
        rest.push_str(&text[..at]);
        rest.push_str(&text[at + character.len_utf8()..]);
        rest
    });
    std::iter::once(text.to_owned()).chain(without).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let source = Source::read(text).unwrap();
        warnings(&source).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn phrases_a_letter_apart_are_both_named() {
        let told = told("turn on the light\nturn off\nturn on the night\nright\n");
        assert_eq!(
            told,
            [
                "line 3, column 1: \"turn on the night\" sounds much like \"turn on the light\" at line 1, \
              column 1: one may be taken for the other"
            ]
        );
    }

    #[test]
    fn the_same_phrase_twice_is_told_and_alternatives_of_one_phrase_are_not() {
        assert_eq!(told("(light|night|right) on\nstop\n"), Vec::<String>::new());
        let twice = told("stop [now]\ngo\nSTOP\n");
        assert_eq!(
            twice,
            ["line 3, column 1: \"stop\" stands at line 1, column 1 already"]
        );
        assert!(told("go up\ngo\nup\ndown\n").is_empty());
    }
}
