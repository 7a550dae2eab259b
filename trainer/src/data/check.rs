//! A manifest looked over before training: every file is decoded, or its header read.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use shared_model::features::FRAMES_PER_SEC;
use shared_model::tokens::Tokens;

use super::{AudioFileError, DataError, Depth, Examined, Utterance, examine, visit_manifest};
use crate::fault::error_line;
use crate::loss::min_frames;
use crate::parallel::{Task, run_all};

/// How far a stated duration may be from what is there, seconds.
const DURATION_TOLERANCE_SECS: f64 = 0.1;

/// What to hold an utterance against.
pub struct CheckOptions<'a> {
    /// Vocabulary that has to spell the transcripts.
    pub tokens: &'a Tokens,
    /// Encoder frames for feature frames.
    pub encoder_length: &'a dyn Fn(usize) -> usize,
    /// How closely the audio is looked at.
    pub depth: Depth,
    /// Files are read on so many threads.
    pub threads: usize,
}

/// Utterances of one piece of work.
const UTTERANCES_PER_TASK: usize = 32;

/// What a check found. Lists name utterances, one line each.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CheckReport {
    /// The manifest.
    pub manifest: PathBuf,
    /// Its entries, unusable ones included.
    pub utterances: usize,
    /// Of the usable ones, together.
    pub audio_seconds: f64,
    /// Of the usable ones; 0 if there is none.
    pub shortest_seconds: f64,
    /// Of the usable ones.
    pub longest_seconds: f64,
    /// Of the normalised transcripts, together.
    pub words: usize,
    /// Different names of speakers.
    pub speakers: usize,
    /// Utterances by container and sample rate, `flac 16000 Hz`.
    pub formats: HashMap<String, usize>,
    /// Missing or unreadable audio.
    pub broken: Vec<String>,
    /// Usable audio with something to say about it: damage, channels that cancel each other.
    pub notices: Vec<String>,
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

/// Reads a manifest and looks at all audio that it names.
///
/// # Errors
/// A manifest that cannot be read. Entries that cannot be used are in the report.
pub fn check_manifest(path: &Path, options: &CheckOptions<'_>) -> Result<CheckReport, DataError> {
    let mut report = CheckReport {
        manifest: path.to_owned(),
        shortest_seconds: f64::INFINITY,
        ..CheckReport::default()
    };
    let mut seen = HashSet::new();
    let mut speakers = HashSet::new();
    let mut utterances = Vec::new();
    visit_manifest(path, |utterance, raw_text| {
        report.utterances += 1;
        let stretch = (utterance.offset_secs * 1000.0).round() as u64;
        let name = utterance.audio().name();
        if !seen.insert((name.clone(), stretch)) {
            report.duplicates.push(name.display().to_string());
        }
        speakers.extend(utterance.speaker.clone());
        check_text(&utterance, raw_text, options, &mut report);
        utterances.push(utterance);
    })?;
    for (utterance, verdict) in utterances.iter().zip(verdicts(&utterances, options)) {
        note_audio(utterance, verdict, &mut report);
    }
    report.speakers = speakers.len();
    if !report.shortest_seconds.is_finite() {
        report.shortest_seconds = 0.0;
    }
    Ok(report)
}

/// Verdicts on the audio of utterances, in their order.
fn verdicts(
    utterances: &[Utterance],
    options: &CheckOptions<'_>,
) -> impl Iterator<Item = Result<Examined, AudioFileError>> {
    let depth = options.depth;
    let look = move |utterance: &Utterance| {
        let duration_secs = (utterance.duration_secs > 0.0).then_some(utterance.duration_secs);
        examine(
            utterance.audio(),
            utterance.offset_secs,
            duration_secs,
            depth,
        )
    };
    let tasks = utterances.chunks(UTTERANCES_PER_TASK).map(|some| {
        let task = move || some.iter().map(look).collect::<Vec<_>>();
        Box::new(task) as Task<'_, Vec<Result<Examined, AudioFileError>>>
    });
    run_all(options.threads, tasks.collect())
        .into_iter()
        .flatten()
}

fn note_audio(
    utterance: &Utterance,
    verdict: Result<Examined, AudioFileError>,
    report: &mut CheckReport,
) {
    let found = match verdict {
        Ok(found) => found,
        Err(error) => return report.broken.push(error_line(&error)),
    };
    report.notices.extend(found.notices);
    let (info, there) = (found.info, found.length_secs);
    let stated = if utterance.duration_secs > 0.0 {
        utterance.duration_secs
    } else {
        there
    };
    *report
        .formats
        .entry(format!("{} {} Hz", info.container, info.sample_rate_hz))
        .or_default() += 1;
    report.audio_seconds += stated;
    report.shortest_seconds = report.shortest_seconds.min(stated);
    report.longest_seconds = report.longest_seconds.max(stated);
    if stated > there + DURATION_TOLERANCE_SECS {
        report.wrong_durations.push(format!(
            "{}: {stated:.2} s stated, {there:.2} s there",
            utterance.audio().name().display()
        ));
    }
}

fn check_text(
    utterance: &Utterance,
    raw_text: &str,
    options: &CheckOptions<'_>,
    report: &mut CheckReport,
) {
    let name = utterance.audio().name();
    let name = || name.display();
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
                depth: Depth::Decode,
                threads: 2,
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
