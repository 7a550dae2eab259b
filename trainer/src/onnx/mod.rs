//! Networks for other people's programs, as ONNX files: for sherpa-onnx, which computes log-mel
//! features itself, and for transformers.js and whatever else takes a waveform.
//!
//! The files are written in protobuf's wire format by hand: nine small messages need no code
//! generator. They keep the integers of int8 weights, which programs expand when they load a file.

#![warn(missing_docs)]

mod card;
mod folders;
mod graph;
mod network;
#[cfg(test)]
mod tests;
mod waveform;
mod weights;
mod wire;

use std::path::PathBuf;

use shared_model::bundle::{BundleError, LoadedModel, Precision};
use shared_model::features::{FeatureConfig, FeatureError, FrontEnd};
use shared_model::weights::WeightError;

use crate::decoding_graph::GraphError;
use crate::exit_status::{ExitStatus, HasExitStatus};
pub use folders::{Audience, files, in_precision, stored_as, write};
use graph::Graph;
use network::{Frames, log_probs, repeated};
use weights::StoredWeights;
use wire::{Dimension, ElementType};

/// Feature frames of 10 ms for which sherpa-onnx expects one frame of a zipformer's output.
const SHERPA_SUBSAMPLING: usize = 4;

/// Feature frames of 10 ms for which programs expect one frame from a waveform: 20 ms, as those of
/// wav2vec 2.0 (Baevski et al., 2020).
const WAVEFORM_SUBSAMPLING: usize = 2;

/// The decoding graph in a folder for sherpa-onnx: see `decoding_graph`.
pub const GRAPH_FILE: &str = "HLG.fst";

/// A model that cannot be written as ONNX.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// sherpa-onnx computes other features than the model's.
    #[error(
        "sherpa-onnx computes log-mel features from 20 to 7600 Hz, and this model listens to {features}; \
         `--for transformers-js` writes a file that computes its own features, which sherpa-onnx reads too"
    )]
    Features {
        /// In words.
        features: String,
    },
    /// A precision that only model folders have.
    #[error("ONNX files hold f32 or int8 weights, not {0}; use --precision f32 or int8")]
    Precision(Precision),
    /// The model's features cannot be computed.
    #[error(transparent)]
    FrontEnd(#[from] FeatureError),
    /// The model lacks a weight.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The model cannot be stored in another precision.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The language model cannot become a graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A folder of something else.
    #[error(
        "{folder} holds {other}, which no such export writes: choose another folder, or empty this one"
    )]
    NotOurs {
        /// The folder.
        folder: PathBuf,
        /// The first file in it that is none of an export.
        other: String,
    },
    /// A folder that cannot be written.
    #[error("{folder}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl HasExitStatus for OnnxError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Precision(_) => ExitStatus::Usage,
            Self::Features { .. } | Self::NotOurs { .. } => ExitStatus::Data,
            Self::Folder { source, .. } => source.exit_status(),
            Self::FrontEnd(error) => error.exit_status(),
            Self::Weights(error) => error.exit_status(),
            Self::Bundle(error) => error.exit_status(),
            Self::Graph(error) => error.exit_status(),
        }
    }
}

/// sherpa-onnx's `zipformer_ctc`: log-mel features `x` f32 `[N, T, n_mels]` and their lengths `x_lens`
/// int64 `[N]` to `log_probs` f32 `[N, T', vocab]` and `log_probs_len` int64 `[N]`, a frame each 40 ms.
/// Matrices that the model has as integers are written as integers.
///
/// # Errors
/// [`OnnxError::Features`] for a model that listens to other features than sherpa-onnx computes.
pub fn from_features(model: &LoadedModel) -> Result<Vec<u8>, OnnxError> {
    check_sherpa_features(&model.features)?;
    let config = &model.model;
    let g = Graph::default();
    let utterances = Dimension::Named("N");
    let features = [
        utterances,
        Dimension::Named("T"),
        Dimension::Fixed(config.n_mels),
    ];
    let frames = Frames {
        x: g.input("x", ElementType::Float, &features),
        lengths: Some(g.input("x_lens", ElementType::Int64, &[utterances])),
    };
    let frames = log_probs(&g, stored(model), config, frames)?;
    let frames = repeated(frames, config.subsampling_factor / SHERPA_SUBSAMPLING);
    let shape = [
        utterances,
        Dimension::Named("T_out"),
        Dimension::Fixed(config.vocab_size),
    ];
    g.output("log_probs", frames.x, ElementType::Float, &shape);
    if let Some(lengths) = frames.lengths {
        g.output("log_probs_len", lengths, ElementType::Int64, &[utterances]);
    }
    let metadata = [
        ("model_type", "zipformer2_ctc".to_owned()),
        ("subsampling_factor", SHERPA_SUBSAMPLING.to_string()),
    ];
    Ok(g.into_model(&[metadata.to_vec(), description(model)].concat()))
}

/// For transformers.js, sherpa-onnx's `omnilingual` and others: samples `input_values` f32
/// `[1, num_samples]` at 16 kHz to `logits` f32 `[1, T', vocab]`, which are natural-log probabilities,
/// a frame each 20 ms. Matrices that the model has as integers are written as integers.
///
/// # Errors
/// Features that cannot be computed.
pub fn from_waveform(model: &LoadedModel) -> Result<Vec<u8>, OnnxError> {
    let config = &model.model;
    let g = Graph::default();
    let samples = [Dimension::Fixed(1), Dimension::Named("num_samples")];
    let samples = g.input("input_values", ElementType::Float, &samples);
    let frames = Frames {
        x: waveform::features(&model.features, samples)?,
        lengths: None,
    };
    let frames = log_probs(&g, stored(model), config, frames)?;
    let frames = repeated(frames, config.subsampling_factor / WAVEFORM_SUBSAMPLING);
    let shape = [
        Dimension::Fixed(1),
        Dimension::Named("T_out"),
        Dimension::Fixed(config.vocab_size),
    ];
    g.output("logits", frames.x, ElementType::Float, &shape);
    Ok(g.into_model(&description(model)))
}

fn stored(model: &LoadedModel) -> StoredWeights<'_> {
    StoredWeights {
        weights: &model.weights,
        int8: &model.int8,
    }
}

/// Whether sherpa-onnx computes these features, but for their number of bands, which it is told.
fn check_sherpa_features(features: &FeatureConfig) -> Result<(), OnnxError> {
    let usual = FeatureConfig::default();
    let edges = |config: &FeatureConfig| (config.low_hz, config.high_hz);
    let words = match features.front_end {
        FrontEnd::Kaldi if edges(features) == edges(&usual) => return Ok(()),
        FrontEnd::Kaldi => {
            let (low, high) = edges(features);
            let high = if high > 0.0 { high } else { high + 8000.0 };
            format!("log-mel features from {low} to {high} Hz")
        }
        FrontEnd::Paper => "the mel power of the paper's front end".to_owned(),
    };
    Err(OnnxError::Features { features: words })
}

/// What a file says about itself.
fn description(model: &LoadedModel) -> Vec<(&'static str, String)> {
    let card = &model.card;
    vec![
        ("version", "1".to_owned()),
        ("model_author", "fledge".to_owned()),
        ("comment", card.name.clone()),
        ("vocab_size", model.model.vocab_size.to_string()),
        ("language", card.language.clone()),
        ("license", card.license.clone()),
    ]
}
