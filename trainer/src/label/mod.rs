//! Transcripts of a recogniser as a manifest: what `distill` and `finetune` take in place of
//! transcripts written by people (pseudo-labels).

mod error;
mod hear;
mod onnx;
mod progress;
mod source;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use shared_model::bundle::LoadedModel;
use shared_model::recognizer::Recognizer;

use crate::data::{ManifestLine, Utterance, relative_path, rounded};
use crate::device::{DeviceKind, OpenDevice};
use crate::evaluate::{BrokenAudio, DecoderChoice, EvaluateError, check_broken, spread};
pub use error::LabelError;
use hear::{Ear, Label, hear};
pub use onnx::{OnnxRecognizer, OnnxSettings};
use progress::Progress;
pub use source::utterances_of;

/// Utterances whose labels are written together: after a stop no more than these are heard again.
const CHUNK: usize = 256;

/// Which labels are kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LabelOptions {
    /// Labels of less confidence are left out.
    pub min_confidence: f32,
    /// Shorter utterances are left out.
    pub min_secs: f64,
    /// Longer audio is cut at pauses.
    pub max_secs: f64,
}

/// What was written. Seconds and counts include what an earlier, stopped call wrote.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LabelReport {
    /// Lines of the manifest.
    pub utterances: usize,
    /// Words of them.
    pub words: usize,
    /// Audio of them.
    pub audio_seconds: f64,
    /// Utterances in which nothing was heard.
    pub without_words: usize,
    /// Labels of too little confidence.
    pub unsure: usize,
    /// Labels of too short audio.
    pub too_short: usize,
    /// Files that cannot be read, each with the reason.
    pub broken: Vec<String>,
}

/// What hears.
pub enum Labeller<'a> {
    /// One of our networks.
    Own {
        /// The network with its tokens.
        model: &'a LoadedModel,
        /// From posteriors to words.
        decoder: &'a DecoderChoice,
        /// Where the network computes.
        device: &'a OpenDevice,
    },
    /// Somebody else's, on the CPU.
    Onnx(&'a OnnxRecognizer),
}

impl<'a> Labeller<'a> {
    /// One for each thread.
    fn ear(&self) -> Result<Ear<'a>, EvaluateError> {
        match *self {
            Self::Own {
                model,
                decoder,
                device,
            } => {
                let decoder = decoder.build(&model.tokens)?;
                let recognizer = Recognizer::new(model, decoder, &device.device);
                let recognizer = recognizer?;
                Ok(Ear::Own(Box::new(recognizer)))
            }
            Self::Onnx(recognizer) => Ok(Ear::Onnx(recognizer)),
        }
    }

    /// An adapter is shared by no threads.
    fn most_threads(&self) -> usize {
        match self {
            Self::Own { device, .. } if device.kind == DeviceKind::Gpu => 1,
            Self::Own { .. } | Self::Onnx(_) => usize::MAX,
        }
    }
}

/// Writes a manifest of what `labeller` hears in `utterances`, in their order, into `out`. Until it
/// is whole it stands beside it as `OUT.partial`; the same call goes on after a stop.
///
/// - `labeller`: with the greatest number of threads.
/// - `progress(done, total)`: called from several threads.
///
/// # Errors
/// A device that fails, a stop, a manifest that cannot be written, or more than 1 % of unreadable
/// audio.
pub fn label(
    (labeller, threads): (&Labeller<'_>, usize),
    utterances: &[Utterance],
    out: &Path,
    options: LabelOptions,
    stop: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<LabelReport, LabelError> {
    if utterances.is_empty() {
        return Err(LabelError::Nothing);
    }
    let task = progress::digest(labeller, utterances, options)?;
    let mut written = Progress::open(out, task)?;
    let folder = out.parent().unwrap_or(Path::new(""));
    while written.done() < utterances.len() {
        let from = written.done();
        let chunk = &utterances[from..utterances.len().min(from + CHUNK)];
        let told = |done, _| progress(from + done, utterances.len());
        let heard = hear_all((labeller, threads), chunk, options, stop, &told)?;
        let mut lines = vec![];
        for result in heard {
            match result {
                Ok(labels) => take(labels, options, folder, &mut lines, &mut written.report)?,
                Err(broken) => written.report.broken.push(broken.reason),
            }
        }
        written.append(chunk.len(), &lines)?;
    }
    check_broken(
        written.report.broken.first().map(String::as_str),
        written.report.broken.len(),
        utterances.len(),
    )?;
    if written.report.utterances == 0 {
        return Err(LabelError::NothingHeard);
    }
    written.finish()
}

fn hear_all(
    (labeller, threads): (&Labeller<'_>, usize),
    chunk: &[Utterance],
    options: LabelOptions,
    stop: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<Result<Vec<Label>, BrokenAudio>>, LabelError> {
    let work = |ear: &mut Ear<'_>, index: usize| hear(ear, &chunk[index], options, stop);
    Ok(spread(
        chunk.len(),
        threads.min(labeller.most_threads()),
        stop,
        progress,
        &|| labeller.ear(),
        &work,
    )?)
}

/// Lines of those labels that are kept; the others are counted.
fn take(
    labels: Vec<Label>,
    options: LabelOptions,
    folder: &Path,
    lines: &mut Vec<u8>,
    report: &mut LabelReport,
) -> Result<(), LabelError> {
    if labels.is_empty() {
        report.without_words += 1;
    }
    for label in labels {
        if label.duration_secs < options.min_secs {
            report.too_short += 1;
            continue;
        }
        if label.confidence < options.min_confidence {
            report.unsure += 1;
            continue;
        }
        let Some(audio_filepath) = relative_path(folder, &label.audio_path) else {
            let path = label.audio_path.display();
            report
                .broken
                .push(format!("{path}: its name is not UTF-8 text: rename it"));
            continue;
        };
        report.utterances += 1;
        report.words += label.text.split_whitespace().count();
        report.audio_seconds += label.duration_secs;
        let line = ManifestLine {
            audio_filepath,
            member: label.member.as_deref(),
            duration: rounded(label.duration_secs),
            offset: (label.offset_secs > 0.0).then(|| rounded(label.offset_secs)),
            text: label.text,
            confidence: Some((label.confidence * 1e4).round() / 1e4),
            speaker: label.speaker.as_deref(),
            id: &label.id,
        };
        serde_json::to_writer(&mut *lines, &line).map_err(LabelError::json)?;
        writeln!(lines).map_err(LabelError::json)?;
    }
    Ok(())
}
