//! Text to rules and phrases, in either form.

use super::{
    error::PhraseError,
    jsgf, list,
    syntax::{Phrase, Rule, StoredThreshold},
};

/// Longest text that is read.
pub const MAX_LIST_BYTES: usize = 8 << 20;
/// Rules that a file may have.
const MAX_RULES: usize = 2_000;

/// What a file holds, as it is written.
#[derive(Debug, Default)]
pub(in crate::phrases) struct Source {
    pub rules: Vec<Rule>,
    pub phrases: Vec<Phrase>,
    pub thresholds: Vec<StoredThreshold>,
}

impl Source {
    /// Reads either form, which the first line tells.
    pub(in crate::phrases) fn read(text: &str) -> Result<Self, PhraseError> {
        if text.len() > MAX_LIST_BYTES {
            return Err(PhraseError::TooLarge {
                what: "bytes",
                found: text.len() as u64,
                limit: MAX_LIST_BYTES as u64,
                advice: "",
            });
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let first = text.lines().find(|line| !line.trim().is_empty());
        let is_grammar = first.is_some_and(|line| line.trim_start().starts_with(jsgf::HEADER));
        let mut source = if is_grammar {
            jsgf::read(text)?
        } else {
            list::read(text)?
        };
        if source.phrases.is_empty() {
            return Err(PhraseError::Empty);
        }
        source.thresholds = text.lines().filter_map(stored_threshold).collect();
        Ok(source)
    }

    pub(super) fn add_rule(&mut self, rule: Rule) -> Result<(), PhraseError> {
        if let Some(first) = self.rules.iter().find(|known| known.name == rule.name) {
            let reason = format!(
                "<{}> was said to be something else at {}",
                rule.name, first.at
            );
            return Err(PhraseError::syntax(rule.at, reason));
        }
        if self.rules.len() == MAX_RULES {
            return Err(PhraseError::TooLarge {
                what: "rules",
                found: MAX_RULES as u64 + 1,
                limit: MAX_RULES as u64,
                advice: "",
            });
        }
        self.rules.push(rule);
        Ok(())
    }
}

/// What a comment with a threshold begins with, behind `#` or `//`.
const THRESHOLD_MARK: &str = "@ threshold";

fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("//").or_else(|| line.strip_prefix('#'))
}

fn stored_threshold(line: &str) -> Option<StoredThreshold> {
    let mut parts = comment(line)?
        .strip_prefix(THRESHOLD_MARK)?
        .split_whitespace();
    let threshold: f32 = parts.next()?.parse().ok()?;
    let model = parts.next()?.to_owned();
    (0.0..=1.0)
        .contains(&threshold)
        .then_some(StoredThreshold { model, threshold })
}

/// The text of a list with a model's threshold stored in it, in place of an older one of the same
/// model. Nothing else changes. `model`: its identity, without spaces; `name`: for people.
pub fn with_threshold(text: &str, threshold: f32, model: &str, name: &str) -> String {
    let is_grammar = text.trim_start().starts_with(jsgf::HEADER);
    let sign = if is_grammar { "//" } else { "#" };
    let new = format!("{sign}{THRESHOLD_MARK} {threshold:.3} {model} {name}");
    let is_old = |line: &str| stored_threshold(line).is_some_and(|stored| stored.model == model);
    let mut lines: Vec<&str> = text.lines().collect();
    match lines.iter().position(|line| is_old(line)) {
        Some(index) => lines[index] = &new,
        None if is_grammar => {
            let header = lines.iter().position(|line| line.contains(jsgf::HEADER));
            lines.insert(header.map_or(0, |index| index + 1), &new);
        }
        None => lines.insert(0, &new),
    }
    lines.join("\n") + "\n"
}

/// The text of a list without stored thresholds: what it says, whatever it was tuned for.
pub fn without_thresholds(text: &str) -> String {
    let kept = text.lines().filter(|line| stored_threshold(line).is_none());
    kept.map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_threshold_is_stored_once_a_model_and_read_back() {
        for (text, first) in [
            ("# lights\nturn on\n", 0),
            ("#JSGF V1.0;\ngrammar g;\npublic <x> = turn on;\n", 1),
        ] {
            let once = with_threshold(text, 0.25, "aaaa", "small");
            let twice = with_threshold(&once, 0.5, "bbbb", "tiny");
            let third = with_threshold(&twice, 0.75, "aaaa", "small");
            assert_eq!(third.lines().count(), text.lines().count() + 2);
            let source = Source::read(&third).unwrap();
            let found = source
                .thresholds
                .iter()
                .map(|t| (t.model.as_str(), t.threshold));
            let found: Vec<_> = found.collect();
            assert_eq!(found, [("bbbb", 0.5), ("aaaa", 0.75)]);
            assert!(third.lines().nth(first).unwrap().contains("@ threshold"));
            assert_eq!(source.phrases.len(), 1);
            assert_eq!(without_thresholds(&third), text);
        }
    }
}
