//! A CTC network in an ONNX file, run on the CPU by rten: other people's teachers.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Mutex,
};

use rten::{Model, NodeId, ValueOrView};
use rten_tensor::{NdTensor, Tensor, prelude::*};
use shared_model::tokens::BLANK_ID;

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
    model: Model,
    features: NodeId,
    lengths: NodeId,
    outputs: Vec<NodeId>,
    /// Feature frames to one of its own.
    subsampling_factor: usize,
    vocab_size: usize,
    /// Why a pass after the first has failed.
    failure: Mutex<Option<String>>,
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
    /// - `subsampling_factor`: feature frames to one of its frames.
    ///
    /// # Errors
    /// A file that cannot be read or run, or that gives something else than such frames.
    pub fn read(
        path: &Path,
        n_mels: usize,
        subsampling_factor: usize,
    ) -> Result<Self, OnnxNetworkError> {
        let bytes =
            read_limited(path, MAX_FILE_BYTES).map_err(|source| OnnxNetworkError::Read {
                path: path.to_owned(),
                source,
            })?;
        let model = Model::load(bytes).map_err(|error| OnnxNetworkError::Load {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let wrong = |reason: String| OnnxNetworkError::Shape {
            path: path.to_owned(),
            reason,
        };
        let &[features, lengths] = model.input_ids() else {
            let count = model.input_ids().len();
            return Err(wrong(format!("it has {count} inputs, not two")));
        };
        let outputs: Vec<NodeId> = model.output_ids().iter().take(2).copied().collect();
        let mut network = Self {
            path: path.to_owned(),
            model,
            features,
            lengths,
            outputs,
            subsampling_factor,
            vocab_size: 0,
            failure: Mutex::default(),
        };
        let silence = vec![0.0; TRIAL_FRAMES * n_mels];
        let (shape, ..) = network.pass(silence, &[TRIAL_FRAMES]).map_err(wrong)?;
        let expected = TRIAL_FRAMES / subsampling_factor;
        if shape[1].abs_diff(expected) > 2 {
            return Err(wrong(format!(
                "of {TRIAL_FRAMES} frames it makes {}, not the {expected} of teacher.model.subsampling_factor = {subsampling_factor}",
                shape[1]
            )));
        }
        network.vocab_size = shape[2];
        Ok(network)
    }

    /// Classes of its log-probabilities, the blank first.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Feature frames to one of its frames.
    pub fn subsampling_factor(&self) -> usize {
        self.subsampling_factor
    }

    /// What it says of `[batch, time, n_mels]`, in at least `least_time` frames. A pass that fails
    /// says that all is blank, and [`Self::failure`] says why.
    pub fn log_probs(&self, features: Vec<f32>, lengths: &[usize], least_time: usize) -> LogProbs {
        let (batch, vocab) = (lengths.len(), self.vocab_size);
        let passed = self.pass(features, lengths).and_then(|passed| {
            let fits = passed.0[0] == batch && passed.0[2] == vocab;
            fits.then_some(passed)
                .ok_or_else(|| "it gave another shape than before".to_owned())
        });
        let ([_, own_time, _], values, own_lengths) = passed.unwrap_or_else(|reason| {
            let mut failure = self.failure.lock().unwrap_or_else(|held| held.into_inner());
            failure.get_or_insert(reason);
            ([batch, 0, vocab], vec![], vec![0; batch])
        });
        let time = own_time.max(least_time).max(1);
        let mut padded = vec![NEVER; batch * time * vocab];
        for frame in padded.chunks_mut(vocab) {
            frame[BLANK_ID as usize] = 0.0;
        }
        for (row, &length) in own_lengths.iter().enumerate() {
            let of_row = &values[row * own_time * vocab..][..length * vocab];
            padded[row * time * vocab..][..of_row.len()].copy_from_slice(of_row);
        }
        LogProbs {
            values: padded,
            time,
            lengths: own_lengths,
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

    /// Shape, values and lengths.
    fn pass(&self, features: Vec<f32>, lengths: &[usize]) -> Result<Passed, String> {
        let batch = lengths.len();
        let time = lengths.iter().copied().max().unwrap_or(0);
        let n_mels = features.len() / (batch * time).max(1);
        let features = Tensor::from_data(&[batch, time, n_mels], features);
        let frames: Vec<i32> = lengths.iter().map(|&length| length as i32).collect();
        let frames = NdTensor::from_data([batch], frames);
        let inputs: Vec<(NodeId, ValueOrView<'_>)> = vec![
            (self.features, features.view().into()),
            (self.lengths, frames.view().into()),
        ];
        let run = self.model.run(inputs, &self.outputs, None);
        let mut outputs = run.map_err(|error| error.to_string())?.into_iter();
        let log_probs: Tensor<f32> = outputs
            .next()
            .and_then(|value| value.try_into().ok())
            .ok_or("its first output is no tensor of f32")?;
        let shape: [usize; 3] = log_probs
            .shape()
            .to_vec()
            .try_into()
            .map_err(|shape: Vec<usize>| format!("its first output has {} axes", shape.len()))?;
        let own: Option<NdTensor<i32, 1>> = outputs.next().and_then(|value| value.try_into().ok());
        let own: Vec<usize> = match own {
            Some(own) => own.iter().map(|&length| length.max(0) as usize).collect(),
            None => lengths
                .iter()
                .map(|length| length.div_ceil(self.subsampling_factor))
                .collect(),
        };
        if own.len() != batch || shape[0] != batch {
            return Err(format!("it gives {} utterances of {batch}", own.len()));
        }
        let own = own.into_iter().map(|length| length.min(shape[1]));
        Ok((shape, log_probs.to_vec(), own.collect()))
    }
}

type Passed = ([usize; 3], Vec<f32>, Vec<usize>);
