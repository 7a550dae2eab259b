//! TED-LIUM release 3: `<split>/stm/<talk>.stm` with segments of `<split>/sph/<talk>.sph`. The
//! release keeps training talks under `data/` and all three splits under `legacy/`.

use std::path::Path;

use super::{Entry, Found, audio_beside, extension_of, files_below, lines_of, name_of};

pub(super) fn find(source: &Path) -> Found {
    let mut found = Found::default();
    for path in files_below(source, &mut found) {
        if extension_of(&path) != "stm" {
            continue;
        }
        let above = path.parent().and_then(Path::parent);
        let split = match name_of(above).as_deref() {
            Some(name @ ("train" | "dev" | "test")) => {
                match name_of(above.and_then(Path::parent)).as_deref() {
                    // The same talks again, in the splits of the second release.
                    Some("legacy") => format!("legacy-{name}"),
                    _ => name.to_owned(),
                }
            }
            _ => "train".to_owned(),
        };
        for line in lines_of(&path, &mut found) {
            if line.starts_with(";;") || line.trim().is_empty() {
                continue;
            }
            let Some((talk, speaker, start, end, text)) = segment(&line) else {
                found.problem(&path, format!("line \"{line}\" is not a segment"));
                continue;
            };
            let Some(text) = transcript(text) else {
                continue;
            };
            let stem = above.unwrap_or(source).join("sph").join(talk);
            found.add(
                &split,
                Entry {
                    confidence: None,
                    id: format!("{talk}-{:07}-{:07}", centis(start), centis(end)),
                    audio_path: audio_beside(&stem, &["sph", "wav", "flac", "mp3"]),
                    segment: Some((start, Some(end))),
                    text,
                    speaker: Some(speaker.to_owned()),
                },
            );
        }
    }
    found
}

fn centis(secs: f64) -> u64 {
    (secs * 100.0).round() as u64
}

/// Talk, speaker, start, end and text of `talk channel speaker start end <labels> text`.
fn segment(line: &str) -> Option<(&str, &str, f64, f64, &str)> {
    let mut rest = line;
    let mut next = || {
        rest = rest.trim_start();
        let end = rest.find(char::is_whitespace)?;
        let word;
        (word, rest) = rest.split_at(end);
        Some(word)
    };
    let talk = next()?;
    next()?;
    let speaker = next()?;
    let start: f64 = next()?.parse().ok()?;
    let end: f64 = next()?.parse().ok()?;
    let text = rest.trim_start();
    let text = match text.strip_prefix('<').and_then(|t| t.split_once('>')) {
        Some((labels, text)) if labels.contains(',') => text,
        _ => text,
    };
    (start.is_finite() && end.is_finite()).then_some((talk, speaker, start, end, text))
}

/// The words: nothing for parts that are not to be scored; marks in brackets left out; the
/// release's split clitics ("it 's") joined.
fn transcript(text: &str) -> Option<String> {
    if text.contains("ignore_time_segment_in_scoring") {
        return None;
    }
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| !(word.starts_with('<') && word.ends_with('>')))
        .map(|word| word.split_once('(').map_or(word, |(word, _)| word))
        .filter(|word| !word.is_empty())
        .collect();
    Some(words.join(" ").replace(" '", "'"))
}
