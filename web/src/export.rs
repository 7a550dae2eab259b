//! Transcripts as files: plain text, SubRip and WebVTT subtitles, JSON.

use serde::Serialize;

use crate::{json, protocol::Word};

/// A pause this long ends a paragraph.
const PAUSE_SECS: f32 = 0.8;
/// What people read at once: subtitles of two lines of about 42 letters, for at most seven seconds.
const CUE_LETTERS: usize = 84;
const CUE_SECS: f32 = 7.0;
/// A paragraph of a long transcript.
const PARAGRAPH_SECS: f32 = 30.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    SubRip,
    WebVtt,
    Json,
}

impl Format {
    /// By the extension of its files.
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension {
            "txt" => Some(Self::Text),
            "srt" => Some(Self::SubRip),
            "vtt" => Some(Self::WebVtt),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain;charset=utf-8",
            Self::SubRip => "application/x-subrip;charset=utf-8",
            Self::WebVtt => "text/vtt;charset=utf-8",
            Self::Json => "application/json",
        }
    }

    /// The words as a file; `model` wrote them.
    pub fn write(self, model: &str, words: &[Word]) -> String {
        match self {
            Self::Text => text(words),
            Self::SubRip => sub_rip(words),
            Self::WebVtt => web_vtt(words),
            Self::Json => document(model, words),
        }
    }
}

/// How many of the first words make the next paragraph of a transcript.
pub fn paragraph(words: &[Word]) -> usize {
    run(words, PARAGRAPH_SECS, usize::MAX)
}

/// How many of the first words belong together: up to a pause, a length of time or of text.
fn run(words: &[Word], max_secs: f32, max_letters: usize) -> usize {
    let Some(first) = words.first() else {
        return 0;
    };
    let mut letters = first.text.chars().count();
    for (index, pair) in words.windows(2).enumerate() {
        let [before, word] = pair else { break };
        letters += 1 + word.text.chars().count();
        if word.start_secs - before.end_secs >= PAUSE_SECS
            || word.end_secs - first.start_secs > max_secs
            || letters > max_letters
        {
            return index + 1;
        }
    }
    words.len()
}

fn split(words: &[Word], length: impl Fn(&[Word]) -> usize) -> Vec<&[Word]> {
    let mut rest = words;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (part, later) = rest.split_at(length(rest).max(1));
        parts.push(part);
        rest = later;
    }
    parts
}

fn joined(words: &[Word]) -> String {
    spaced(words.iter().map(|word| word.text.as_str()))
}

/// Words with spaces between them.
pub fn spaced<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for word in words {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// A paragraph a line.
fn text(words: &[Word]) -> String {
    let lines = split(words, paragraph).into_iter().map(joined);
    lines.map(|line| line + "\n").collect()
}

fn cues(words: &[Word]) -> Vec<&[Word]> {
    split(words, |rest| run(rest, CUE_SECS, CUE_LETTERS))
}

/// `00:01:02,345`, with either mark before the milliseconds.
fn timestamp(secs: f32, mark: char) -> String {
    let ms = (f64::from(secs).max(0.0) * 1e3).round() as u64;
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!(
        "{hours:02}:{minutes:02}:{seconds:02}{mark}{:03}",
        ms % 1_000
    )
}

fn times(cue: &[Word], mark: char) -> String {
    let start = cue.first().map_or(0.0, |word| word.start_secs);
    let end = cue.last().map_or(0.0, |word| word.end_secs);
    format!("{} --> {}", timestamp(start, mark), timestamp(end, mark))
}

fn sub_rip(words: &[Word]) -> String {
    let cues = cues(words).into_iter().enumerate();
    cues.map(|(index, cue)| format!("{}\n{}\n{}\n\n", index + 1, times(cue, ','), joined(cue)))
        .collect()
}

fn web_vtt(words: &[Word]) -> String {
    let cues = cues(words).into_iter();
    let cues: String = cues
        .map(|cue| format!("\n{}\n{}\n", times(cue, '.'), joined(cue)))
        .collect();
    format!("WEBVTT\n{cues}")
}

/// The form that the embedded recognizer gives, too.
#[derive(Serialize)]
struct Document<'a> {
    model: &'a str,
    text: String,
    words: Vec<WordEntry<'a>>,
}

/// Seconds, and a confidence of 0 to 1; rounded as far as they mean anything.
#[derive(Serialize)]
struct WordEntry<'a> {
    text: &'a str,
    start: f64,
    end: f64,
    confidence: f64,
}

fn document(model: &str, words: &[Word]) -> String {
    // To the millisecond before, so that no word ends behind its recording; what f32 leaves of a whole
    // millisecond counts as one.
    let secs = |value: f32| (f64::from(value) * 1e3 + 0.05).floor() / 1e3;
    let document = Document {
        model,
        text: joined(words),
        words: words
            .iter()
            .map(|word| WordEntry {
                text: &word.text,
                start: secs(word.start_secs),
                end: secs(word.end_secs),
                confidence: (f64::from(word.confidence) * 1e4).round() / 1e4,
            })
            .collect(),
    };
    json::write(&document) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, start_secs: f32, end_secs: f32) -> Word {
        Word {
            text: text.to_owned(),
            start_secs,
            end_secs,
            confidence: 0.98768,
        }
    }

    fn spoken() -> Vec<Word> {
        vec![
            word("stop", 0.1, 0.42),
            word("it's", 0.5, 0.75),
            word("late", 3725.5, 3726.0),
        ]
    }

    #[test]
    fn text_has_a_paragraph_a_line() {
        assert_eq!(Format::Text.write("m", &spoken()), "stop it's\nlate\n");
        assert_eq!(Format::Text.write("m", &[]), "");
    }

    #[test]
    fn subtitles_are_byte_for_byte_what_players_read() {
        assert_eq!(
            Format::SubRip.write("m", &spoken()),
            "1\n00:00:00,100 --> 00:00:00,750\nstop it's\n\n\
             2\n01:02:05,500 --> 01:02:06,000\nlate\n\n"
        );
        assert_eq!(
            Format::WebVtt.write("m", &spoken()),
            "WEBVTT\n\n00:00:00.100 --> 00:00:00.750\nstop it's\n\n\
             01:02:05.500 --> 01:02:06.000\nlate\n"
        );
    }

    #[test]
    fn json_has_seconds_and_confidence_of_each_word() {
        assert_eq!(
            Format::Json.write("tiny", &spoken()[..1]),
            "{\"model\":\"tiny\",\"text\":\"stop\",\"words\":[{\"text\":\"stop\",\
             \"start\":0.1,\"end\":0.42,\"confidence\":0.9877}]}\n"
        );
    }

    #[test]
    fn a_cue_is_short_enough_to_be_read() {
        let words: Vec<Word> = (0..100)
            .map(|index| word("seventeen", index as f32 * 0.5, index as f32 * 0.5 + 0.4))
            .collect();
        for cue in cues(&words) {
            assert!(joined(cue).len() <= CUE_LETTERS, "{}", joined(cue));
            assert!(cue[cue.len() - 1].end_secs - cue[0].start_secs <= CUE_SECS);
        }
        assert_eq!(cues(&words).concat(), words);
    }

    #[test]
    fn formats_are_named_by_their_files() {
        for extension in ["txt", "srt", "vtt", "json"] {
            assert!(Format::from_extension(extension).is_some(), "{extension}");
        }
        assert_eq!(Format::from_extension("doc"), None);
    }
}
