//! A CTC network in an ONNX file, run on the CPU: other people's teachers. The engine is there in
//! builds with the feature `onnx`.

#[cfg_attr(not(feature = "onnx"), path = "absent.rs")]
mod engine;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Mutex,
};

use shared_model::tokens::BLANK_ID;

use engine::Engine;

use crate::exit_status::{ExitStatus, HasExitStatus};
use crate::files::read_limited;

const MAX_FILE_BYTES: u64 = 2 << 30;
/// Of the first pass, which finds out what the file gives.
const TRIAL_FRAMES: usize = 160;
/// Natural-log probability of what is certainly not there.
const NEVER: f32 = -23.0;

/// An ONNX file that cannot teach.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxNetworkError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no ONNX file, or has operations that are not known.
    #[error("{path} cannot be run: {reason}")]
    Load {
        /// The file.
        path: PathBuf,
        /// What the engine says.
        reason: String,
    },
    /// Its inputs or outputs are not those of a CTC network on log-mel features.
    #[error(
        "{path}: {reason}; expected features [batch, time, mels] and lengths [batch] in, \
         log-probabilities [batch, frames, tokens] out, as `fledge export --format onnx --for sherpa` writes"
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is otherwise.
        reason: String,
    },
}

impl HasExitStatus for OnnxNetworkError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Read { .. } | Self::Load { .. } | Self::Shape { .. } => ExitStatus::Data,
        }
    }
}

/// A loaded file. It normalises its features itself.
pub struct OnnxNetwork {
    path: PathBuf,
    engine: Engine,
    frames: FrameRate,
    vocab_size: usize,
    /// Why a pass after the first has failed.
    failure: Mutex<Option<String>>,
}

/// Where a file's frames lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRate {
    /// Feature frames to one of its own.
    pub subsampling_factor: usize,
    /// Its first frames that lie before the audio, as of networks that begin with a context: they are
    /// left out.
    pub offset: usize,
}

/// Natural-log probabilities of a batch. Behind an utterance's last frame a blank is certain.
#[derive(Debug, Clone, PartialEq)]
pub struct LogProbs {
    /// `[batch, time, vocab]`, row-major.
    pub values: Vec<f32>,
    /// Frames of a row, padding included.
    pub time: usize,
    /// Real frames of each row.
    pub lengths: Vec<usize>,
}

impl OnnxNetwork {
    /// Reads a file and makes a first pass.
    ///
    /// - `n_mels`: of the features that it will get.
    /// # Errors
    /// A file that cannot be read or run, or that gives something else than such frames.
    pub fn read(path: &Path, n_mels: usize, frames: FrameRate) -> Result<Self, OnnxNetworkError> {
        let bytes =
            read_limited(path, MAX_FILE_BYTES).map_err(|source| OnnxNetworkError::Read {
                path: path.to_owned(),
                source,
            })?;
        let engine = Engine::load(bytes).map_err(|reason| OnnxNetworkError::Load {
            path: path.to_owned(),
            reason,
        })?;
        let wrong = |reason: String| OnnxNetworkError::Shape {
            path: path.to_owned(),
            reason,
        };
        if engine.num_inputs() != 2 {
            let count = engine.num_inputs();
            return Err(wrong(format!("it has {count} inputs, not two")));
        }
        let mut network = Self {
            path: path.to_owned(),
            engine,
            frames,
            vocab_size: 0,
            failure: Mutex::default(),
        };
        let silence = vec![0.0; TRIAL_FRAMES * n_mels];
        let trial = network.pass(silence, &[TRIAL_FRAMES]).map_err(wrong)?;
        let factor = frames.subsampling_factor;
        let expected = TRIAL_FRAMES / factor;
        if trial.time.abs_diff(expected) > 2 {
            return Err(wrong(format!(
                "of {TRIAL_FRAMES} frames it makes {}, not the {expected} that one in {factor} would be",
                trial.time
            )));
        }
        network.vocab_size = trial.vocab;
        Ok(network)
    }

    /// Classes of its log-probabilities, the blank first.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Feature frames to one of its frames.
    pub fn subsampling_factor(&self) -> usize {
        self.frames.subsampling_factor
    }

    /// What it says of `[batch, time, n_mels]`, in at least `least_time` frames. A pass that fails
    /// says that all is blank, and [`Self::failure`] says why.
    pub fn log_probs(&self, features: Vec<f32>, lengths: &[usize], least_time: usize) -> LogProbs {
        let (batch, vocab) = (lengths.len(), self.vocab_size);
        let passed = self.pass(features, lengths).and_then(|passed| {
            let fits = passed.vocab == vocab;
            fits.then_some(passed)
                .ok_or_else(|| "it gave another shape than before".to_owned())
        });
        let passed = passed.unwrap_or_else(|reason| {
            let mut failure = self.failure.lock().unwrap_or_else(|held| held.into_inner());
            failure.get_or_insert(reason);
            Passed {
                time: 0,
                vocab,
                values: vec![],
                lengths: vec![0; batch],
            }
        });
        let time = passed.time.max(least_time).max(1);
        let mut padded = vec![NEVER; batch * time * vocab];
        for frame in padded.chunks_mut(vocab) {
            frame[BLANK_ID as usize] = 0.0;
        }
        for (row, &length) in passed.lengths.iter().enumerate() {
            let of_row = &passed.values[row * passed.time * vocab..][..length * vocab];
            padded[row * time * vocab..][..of_row.len()].copy_from_slice(of_row);
        }
        LogProbs {
            values: padded,
            time,
            lengths: passed.lengths,
        }
    }

    /// Why a pass has failed, if one has.
    pub fn failure(&self) -> Option<OnnxNetworkError> {
        let failure = self.failure.lock().unwrap_or_else(|held| held.into_inner());
        failure.as_ref().map(|reason| OnnxNetworkError::Load {
            path: self.path.clone(),
            reason: reason.clone(),
        })
    }

    fn pass(&self, features: Vec<f32>, lengths: &[usize]) -> Result<Passed, String> {
        let batch = lengths.len();
        let time = lengths.iter().copied().max().unwrap_or(0);
        let n_mels = features.len() / (batch * time).max(1);
        let frames = lengths.iter().map(|&length| length as i32).collect();
        let output = self.engine.run(features, [batch, time, n_mels], frames)?;
        let own: Vec<usize> = match output.lengths {
            Some(own) => own.iter().map(|&length| length.max(0) as usize).collect(),
            None => {
                let factor = self.frames.subsampling_factor;
                let of_row = |length: &usize| length.div_ceil(factor) + self.frames.offset;
                lengths.iter().map(of_row).collect()
            }
        };
        let [rows, own_time, vocab] = output.shape;
        if own.len() != batch || rows != batch {
            return Err(format!("it gives {} utterances of {batch}", own.len()));
        }
        Ok(Passed {
            time: own_time,
            vocab,
            lengths: own.into_iter().map(|length| length.min(own_time)).collect(),
            values: output.log_probs,
        }
        .without_first(self.frames.offset))
    }
}

/// What a pass gives: `[batch, time, vocab]`, row-major, and the real frames of each row.
struct Passed {
    time: usize,
    vocab: usize,
    values: Vec<f32>,
    lengths: Vec<usize>,
}

impl Passed {
    /// Without the first `count` frames of each row.
    fn without_first(self, count: usize) -> Self {
        let count = count.min(self.time);
        if count == 0 {
            return self;
        }
        let width = (self.time * self.vocab).max(1);
        let rows = self.values.chunks(width);
        Self {
            time: self.time - count,
            values: rows
                .flat_map(|row| row[count * self.vocab..].to_vec())
                .collect(),
            lengths: self
                .lengths
                .iter()
                .map(|length| length.saturating_sub(count))
                .collect(),
            vocab: self.vocab,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_before_the_audio_are_left_out_of_every_row() {
        let passed = |values: &[f32], lengths: &[usize], time| Passed {
            time,
            vocab: 2,
            values: values.to_vec(),
            lengths: lengths.to_vec(),
        };
        let rows = [1., 2., 3., 4., 5., 6., 11., 12., 13., 14., 15., 16.];
        let cut = passed(&rows, &[3, 1], 3).without_first(1);
        assert_eq!(cut.values, [3., 4., 5., 6., 13., 14., 15., 16.]);
        assert_eq!((cut.time, cut.lengths), (2, vec![2, 0]));
        let none = passed(&rows, &[3, 1], 3).without_first(5);
        assert_eq!(
            (none.time, none.values, none.lengths),
            (0, vec![], vec![0, 0])
        );
    }
}
