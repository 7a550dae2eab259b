//! SubRip (`.srt`) and WebVTT (`.vtt`, <https://www.w3.org/TR/webvtt1>).

use super::Found;
use super::transcripts::File;
use crate::data::pieces::Piece;

/// Adds a cue an utterance.
pub(super) fn add(file: &File<'_>, text: &str, found: &mut Found) {
    let Some(audio_path) = file.audio_beside() else {
        found.problem(file.path, "has no audio file of the same name beside it");
        return;
    };
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if !line.contains("-->") {
            continue;
        }
        let said: Vec<&str> = lines
            .by_ref()
            .take_while(|line| !line.trim().is_empty())
            .collect();
        let Some((start_secs, end_secs)) = times(line) else {
            found.problem(file.path, format!("\"{}\" are no times", line.trim()));
            continue;
        };
        let (text, speaker) = words(&said.join(" "));
        // A cue of sounds alone.
        if text.is_empty() {
            continue;
        }
        let piece = Piece {
            start_secs,
            end_secs,
            text,
            confidence: None,
        };
        file.add(&audio_path, speaker, piece, found);
    }
}

/// Both ends of `00:01:02,500 --> 00:01:04.000 align:start`.
fn times(line: &str) -> Option<(f64, f64)> {
    let (start, rest) = line.split_once("-->")?;
    let end = rest.split_whitespace().next()?;
    let (start, end) = (secs(start.trim())?, secs(end)?);
    (end > start).then_some((start, end))
}

/// Seconds of `[hours:]minutes:seconds[.,]thousandths`.
fn secs(time: &str) -> Option<f64> {
    let mut total = 0.0;
    let mut parts = 0;
    for part in time.split(':') {
        let value: f64 = part.replace(',', ".").parse().ok()?;
        if !(0.0..1e6).contains(&value) {
            return None;
        }
        total = total * 60.0 + value;
        parts += 1;
    }
    matches!(parts, 2 | 3).then_some(total)
}

/// What is said, without tags and without sounds in brackets, and the speaker of a `<v NAME>`.
fn words(cue: &str) -> (String, Option<String>) {
    let mut text = String::with_capacity(cue.len());
    let mut speaker = None;
    let mut rest = cue;
    while let Some(at) = rest.find(['<', '{', '[', '(', '♪']) {
        text.push_str(&rest[..at]);
        let opened = &rest[at..];
        let closing = match opened.chars().next() {
            Some('<') => '>',
            Some('{') => '}',
            Some('[') => ']',
            Some('(') => ')',
            _ => '♪',
        };
        let inside_from = opened.chars().next().map_or(0, char::len_utf8);
        let Some(length) = opened[inside_from..].find(closing) else {
            // Opened and never closed: the sign alone is dropped.
            rest = &opened[inside_from..];
            continue;
        };
        let inside = &opened[inside_from..inside_from + length];
        if let Some(name) = inside.strip_prefix("v ") {
            speaker = Some(name.trim().to_owned());
        }
        rest = &opened[inside_from + length + closing.len_utf8()..];
        // Tags may stand inside of a word.
        if !matches!(closing, '>' | '}') {
            text.push(' ');
        }
    }
    text.push_str(rest);
    let text = text.replace("&nbsp;", " ").replace("&amp;", " and ");
    let words: Vec<&str> = text.split_whitespace().collect();
    (words.join(" "), speaker)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_those_of_both_formats() {
        assert_eq!(times("00:01:02,500 --> 01:00:04,000"), Some((62.5, 3604.0)));
        assert_eq!(times("00:02.000 --> 00:03.250 line:0"), Some((2.0, 3.25)));
        for wrong in [
            "00:02 --> 00:01",
            "-->",
            "a:b --> c:d",
            "1 --> 2",
            "00:-1 --> 00:02",
        ] {
            assert_eq!(times(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn tags_and_sounds_are_no_words() {
        let of = |cue: &str| words(cue).0;
        assert_eq!(of("<i>W</i>ell, {\\an8}go on!"), "Well, go on!");
        assert_eq!(of("[music] (laughs) yes ♪ la la ♪"), "yes");
        assert_eq!(of("salt &amp; pepper"), "salt and pepper");
        assert_eq!(of("two < three"), "two three");
        assert_eq!(
            words("<v Ann Lee>Hello"),
            ("Hello".to_owned(), Some("Ann Lee".to_owned()))
        );
    }

    proptest! {
        #[test]
        fn no_cue_makes_the_reader_panic(cue in "[a-z<>{}()\\[\\]♪ &;:,.\\->0-9]{0,60}") {
            let _ = (words(&cue), times(&cue));
        }
    }
}
