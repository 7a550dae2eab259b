//! CTM of NIST's scoring tools: `recording channel start length word [confidence]` a line.

use std::collections::BTreeMap;

use super::Found;
use super::transcripts::{File, MAX_PIECE_SECS};
use crate::data::pieces::{TimedWord, pieces};

/// Adds utterances cut at pauses.
pub(super) fn add(file: &File<'_>, text: &str, found: &mut Found) {
    let mut recordings: BTreeMap<(&str, &str), Vec<TimedWord>> = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(";;") {
            continue;
        }
        match word(line) {
            Some((recording, channel, word)) => {
                let words = recordings.entry((recording, channel)).or_default();
                // `<eps>`, `<unk>` and their like are no words.
                if !word.text.starts_with('<') {
                    words.push(word);
                }
            }
            None => found.problem(file.path, format!("line \"{line}\" is no word of a CTM")),
        }
    }
    let mut previous = None;
    for ((recording, channel), mut words) in recordings {
        if previous.replace(recording) == Some(recording) {
            let reason = format!("channel {channel} of {recording}: channels are not read apart");
            found.problem(file.path, reason);
            continue;
        }
        let Some(audio_path) = file.audio_named(recording) else {
            found.problem(file.path, format!("{recording} has no audio file"));
            continue;
        };
        words.sort_by(|a, b| a.start_secs.total_cmp(&b.start_secs));
        for piece in pieces(&words, MAX_PIECE_SECS, None) {
            file.add(&audio_path, None, piece, found);
        }
    }
}

/// Recording, channel and word of a line.
fn word(line: &str) -> Option<(&str, &str, TimedWord)> {
    let mut fields = line.split_whitespace();
    let (recording, channel) = (fields.next()?, fields.next()?);
    let mut number = || -> Option<f64> {
        let value: f64 = fields.next()?.parse().ok()?;
        (0.0..1e6).contains(&value).then_some(value)
    };
    let (start_secs, length) = (number()?, number()?);
    let text = fields.next()?.to_owned();
    let confidence: Option<f32> = fields.next().and_then(|field| field.parse().ok());
    let word = TimedWord {
        text,
        start_secs,
        end_secs: start_secs + length,
        confidence: confidence.filter(|value| (0.0..=1.0).contains(value)),
    };
    Some((recording, channel, word))
}
