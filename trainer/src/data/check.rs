//! A manifest looked over before training: every header is read.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use shared_model::features::FRAMES_PER_SEC;
use shared_model::tokens::Tokens;

use super::{DataError, Utterance, decode_16k, read_info, visit_manifest};
use crate::loss::min_frames;

/// How far a stated duration may be from the header's, seconds.
const DURATION_TOLERANCE_SECS: f64 = 0.1;

/// What to hold an utterance against.
pub struct CheckOptions<'a> {
    pub tokens: &'a Tokens,
    /// Encoder frames for feature frames.
    pub encoder_length: &'a dyn Fn(usize) -> usize,
    /// Decode everything instead of reading headers.
    pub decode: bool,
}

/// What a check found. Lists name utterances, one line each.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CheckReport {
    pub manifest: PathBuf,
    pub utterances: usize,
    pub audio_seconds: f64,
    pub shortest_seconds: f64,
    pub longest_seconds: f64,
    pub words: usize,
    pub speakers: usize,
    /// Utterances by container and sample rate, `flac 16000 Hz`.
    pub formats: HashMap<String, usize>,
    /// Missing or unreadable audio.
    pub broken: Vec<String>,
    /// Stated durations that the audio does not have.
    pub wrong_durations: Vec<String>,
    /// The same stretch of the same file again.
    pub duplicates: Vec<String>,
    /// No transcript.
    pub without_text: usize,
    /// Texts with characters that normalisation turned into spaces.
    pub unusual_characters: Vec<String>,
    /// Normalised texts that the tokens cannot spell.
    pub not_encodable: Vec<String>,
    /// More tokens than CTC can fit into the frames.
    pub infeasible: Vec<String>,
}

impl CheckReport {
    /// Entries that cannot be trained on or measured with.
    pub fn num_broken(&self) -> usize {
        self.broken.len()
    }
}

/// Reads a manifest and every audio header that it names.
pub fn check_manifest(path: &Path, options: &CheckOptions<'_>) -> Result<CheckReport, DataError> {
    let mut report = CheckReport {
        manifest: path.to_owned(),
        shortest_seconds: f64::INFINITY,
        ..CheckReport::default()
    };
    let mut seen = HashSet::new();
    let mut speakers = HashSet::new();
    visit_manifest(path, |utterance, raw_text| {
        report.utterances += 1;
        let stretch = (utterance.offset_secs * 1000.0).round() as u64;
        if !seen.insert((utterance.audio_path.clone(), stretch)) {
            report
                .duplicates
                .push(utterance.audio_path.display().to_string());
        }
        speakers.extend(utterance.speaker.clone());
        check_audio(&utterance, options, &mut report);
        check_text(&utterance, raw_text, options, &mut report);
    })?;
    report.speakers = speakers.len();
    if !report.shortest_seconds.is_finite() {
        report.shortest_seconds = 0.0;
    }
    Ok(report)
}

fn check_audio(utterance: &Utterance, options: &CheckOptions<'_>, report: &mut CheckReport) {
    let path = &utterance.audio_path;
    let info = match read_info(path) {
        Ok(info) => info,
        Err(error) => return report.broken.push(error.to_string()),
    };
    if options.decode {
        let duration = (utterance.duration_secs > 0.0).then_some(utterance.duration_secs);
        if let Err(error) = decode_16k(path, utterance.offset_secs, duration) {
            return report.broken.push(error.to_string());
        }
    }
    let stated = utterance.duration_secs;
    *report
        .formats
        .entry(format!("{} {} Hz", info.container, info.sample_rate_hz))
        .or_default() += 1;
    report.audio_seconds += stated;
    report.shortest_seconds = report.shortest_seconds.min(stated);
    report.longest_seconds = report.longest_seconds.max(stated);
    let Some(there) = info.duration_secs else {
        return;
    };
    if utterance.offset_secs >= there {
        report.broken.push(format!(
            "{}: has {there:.2} seconds; nothing is at {:.2} s",
            path.display(),
            utterance.offset_secs
        ));
    } else if utterance.offset_secs + stated > there + DURATION_TOLERANCE_SECS {
        report.wrong_durations.push(format!(
            "{}: {:.2} s stated, {:.2} s there",
            path.display(),
            stated,
            there - utterance.offset_secs
        ));
    }
}

fn check_text(
    utterance: &Utterance,
    raw_text: &str,
    options: &CheckOptions<'_>,
    report: &mut CheckReport,
) {
    let name = || utterance.audio_path.display();
    if utterance.text.is_empty() {
        report.without_text += 1;
        return;
    }
    report.words += utterance.text.split_whitespace().count();
    let unusual = raw_text.chars().find(|c| {
        !(c.is_ascii_alphanumeric() || c.is_whitespace() || ".,;:!?'\"-()\u{2019}".contains(*c))
    });
    if let Some(unusual) = unusual {
        report
            .unusual_characters
            .push(format!("{}: {unusual:?}", name()));
    }
    match options.tokens.encode(&utterance.text) {
        Err(error) => report.not_encodable.push(format!("{}: {error}", name())),
        Ok(targets) => {
            let frames = (utterance.duration_secs * FRAMES_PER_SEC) as usize;
            let frames = (options.encoder_length)(frames);
            let needed = min_frames(&targets);
            if frames < needed && utterance.duration_secs > 0.0 {
                report.infeasible.push(format!(
                    "{}: {needed} encoder frames needed, {frames} there",
                    name()
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_fault_of_a_manifest_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
        let fixtures = Path::new(&package).join("fixtures/audio");
        let speech = fixtures.join("speech-16k.ogg").display().to_string();
        let empty = folder.path().join("empty.wav");
        std::fs::write(&empty, "").unwrap();
        let line = |path: &str, secs: f64, text: &str| {
            serde_json::json!({"audio_filepath": path, "duration": secs, "text": text}).to_string()
        };
        let lines = [
            line(&speech, 1.0, "four seven two"),
            line(&speech, 1.0, "four seven two"),
            line(&empty.display().to_string(), 1.0, "x"),
            line("gone.wav", 1.0, "x"),
            line(
                &fixtures.join("speech-16k.mp3").display().to_string(),
                3.0,
                "caf\u{e9} & bar",
            ),
            line(
                &fixtures.join("speech-16k.flac").display().to_string(),
                0.3,
                "far too many words for a third of a second",
            ),
        ];
        let path = folder.path().join("m.jsonl");
        std::fs::write(&path, lines.join("\n")).unwrap();
        let tokens = Tokens::characters();
        let report = check_manifest(
            &path,
            &CheckOptions {
                tokens: &tokens,
                encoder_length: &|frames| frames / 4,
                decode: true,
            },
        )
        .unwrap();
        assert_eq!(report.utterances, 6);
        assert_eq!(report.num_broken(), 2, "{:?}", report.broken);
        assert_eq!(report.duplicates.len(), 1);
        assert_eq!(
            report.wrong_durations.len(),
            1,
            "{:?}",
            report.wrong_durations
        );
        assert_eq!(report.unusual_characters.len(), 1);
        assert_eq!(report.infeasible.len(), 1, "{:?}", report.infeasible);
        assert_eq!(report.formats["ogg 16000 Hz"], 2);
    }
}
