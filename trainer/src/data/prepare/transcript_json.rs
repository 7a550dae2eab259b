//! JSON as recognisers write it: an object a line (NeMo, `fledge transcribe --json`), or a document
//! beside its audio (Whisper's `segments`, Vosk's `result`).

use std::path::Path;

use serde_json::Value;

use super::Found;
use super::transcripts::{File, MAX_PIECE_SECS};
use crate::data::pieces::{Piece, TimedWord, pieces};

/// Where the audio is.
const AUDIO: &[&str] = &["audio_filepath", "audio", "file", "path", "wav"];
/// What is said; NeMo's `text`, beside a `pred_text`, is the reference.
const TEXT: &[&str] = &["pred_text", "text", "transcript", "sentence"];
const WORDS: &[&str] = &["words", "result"];
const WORD: &[&str] = &["text", "word"];
const START: &[&str] = &["start", "offset"];
const CONFIDENCE: &[&str] = &["confidence", "conf", "probability"];
const SPEAKER: &[&str] = &["speaker"];

/// Adds what the lines of a file say, each of the audio that it names.
pub(super) fn add_lines(file: &File<'_>, text: &str, found: &mut Found) {
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let said = serde_json::from_str::<Value>(line);
        let added = said
            .map_err(|error| error.to_string())
            .and_then(|said| add_said(file, &said, None, found));
        if let Err(reason) = added {
            found.problem(file.path, format!("line {}: {reason}", index + 1));
        }
    }
}

/// Adds what a document says, of the audio that it names or that stands beside it.
pub(super) fn add_document(file: &File<'_>, text: &str, found: &mut Found) {
    let documents = match serde_json::from_str(text) {
        Ok(Value::Array(documents)) => documents,
        Ok(document) => vec![document],
        Err(error) => return found.problem(file.path, error),
    };
    let beside = file.audio_beside();
    for said in documents {
        if let Err(reason) = add_said(file, &said, beside.as_deref(), found) {
            found.problem(file.path, reason);
        }
    }
}

fn add_said(
    file: &File<'_>,
    said: &Value,
    beside: Option<&Path>,
    found: &mut Found,
) -> Result<(), String> {
    let audio_path = match string(said, AUDIO) {
        Some(name) => file
            .audio_named(name)
            .ok_or_else(|| format!("{name} is no audio file here"))?,
        None => beside
            .ok_or("names no audio file, and there is none of the same name")?
            .to_owned(),
    };
    let speaker = string(said, SPEAKER).map(str::to_owned);
    for piece in pieces_of(said)? {
        file.add(&audio_path, speaker.clone(), piece, found);
    }
    Ok(())
}

/// Segments as they are, else words cut at pauses, else the stretch that the object names.
fn pieces_of(said: &Value) -> Result<Vec<Piece>, String> {
    if let Some(segments) = said.get("segments").and_then(Value::as_array) {
        return segments.iter().map(stretch).collect();
    }
    let words = WORDS.iter().find_map(|key| said.get(key)?.as_array());
    if let Some(words) = words {
        let words: Option<Vec<TimedWord>> = words.iter().map(word).collect();
        let mut words = words.ok_or("has a word without text, start or end")?;
        words.sort_by(|a, b| a.start_secs.total_cmp(&b.start_secs));
        return Ok(pieces(&words, MAX_PIECE_SECS, None));
    }
    stretch(said).map(|piece| vec![piece])
}

fn stretch(said: &Value) -> Result<Piece, String> {
    let text = string(said, TEXT).ok_or("has no text")?.trim().to_owned();
    let start_secs = secs(said, START).unwrap_or(0.0);
    let end_secs = secs(said, &["end"])
        .or_else(|| Some(start_secs + secs(said, &["duration"])?))
        .unwrap_or(f64::INFINITY);
    // Whisper states the mean log-probability of its tokens.
    let mean_log_prob = said.get("avg_logprob").and_then(Value::as_f64);
    let confidence = confidence(said).or(mean_log_prob.map(|mean| mean.min(0.0).exp() as f32));
    Ok(Piece {
        start_secs,
        end_secs,
        text,
        confidence,
    })
}

fn word(said: &Value) -> Option<TimedWord> {
    Some(TimedWord {
        text: string(said, WORD)?.trim().to_owned(),
        start_secs: secs(said, &["start"])?,
        end_secs: secs(said, &["end"])?,
        confidence: confidence(said),
    })
}

fn string<'a>(said: &'a Value, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| said.get(key)?.as_str())
}

fn secs(said: &Value, keys: &[&str]) -> Option<f64> {
    let value = keys.iter().find_map(|key| said.get(key)?.as_f64())?;
    (0.0..1e6).contains(&value).then_some(value)
}

fn confidence(said: &Value) -> Option<f32> {
    let value = CONFIDENCE.iter().find_map(|key| said.get(key)?.as_f64())?;
    (0.0..=1.0).contains(&value).then_some(value as f32)
}
