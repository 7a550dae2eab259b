//! The whole network: feature normalisation, encoder and CTC head.

use burn::prelude::*;
use serde::{Deserialize, Serialize};

use crate::weights::{WeightError, WeightSource, Weights};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Mel bands a frame.
    pub n_mels: usize,
    /// Output classes, blank (id 0) included.
    pub vocab_size: usize,
    /// How features are normalised inside the model.
    pub normalization: Normalization,
    /// Time reduction before the blocks: 4 or 8.
    pub subsampling_factor: usize,
    /// Padding of the subsampling convolutions.
    pub subsampling_padding: SubsamplingPadding,
    /// Width of the encoder.
    pub d_model: usize,
    pub n_layers: usize,
    pub n_heads: usize,
    /// Width of the feed-forward modules.
    pub d_ffn: usize,
    /// Kernel of the depthwise convolution, odd.
    pub conv_kernel: usize,
    pub dropout: f64,
    pub positions: Positions,
    /// Norm in the front end and in the convolution module.
    pub norm: NormKind,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            n_mels: 80,
            vocab_size: 29,
            normalization: Normalization::Utterance,
            subsampling_factor: 4,
            subsampling_padding: SubsamplingPadding::Same,
            d_model: 144,
            n_layers: 6,
            n_heads: 4,
            d_ffn: 576,
            conv_kernel: 15,
            dropout: 0.1,
            positions: Positions::Rotary,
            norm: NormKind::Layer,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalization {
    /// Mean and variance of each band over the utterance's real frames.
    Utterance,
    /// None (the paper).
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubsamplingPadding {
    /// One frame on each side: `ceil(L / 2)` per convolution, every length >= 1 gives a frame.
    Same,
    /// The paper's second convolution has none: `floor((L - 1) / 2)`.
    Paper,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// Rotary positions in attention.
    Rotary,
    /// The paper's absolute sinusoids, added before the blocks.
    Sinusoid,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormKind {
    /// Does not depend on padding or on the other utterances of a batch.
    Layer,
    /// The paper's BatchNorm; statistics over real frames only.
    Batch,
}

impl ModelConfig {
    /// Checks every field against its limits before anything is allocated.
    pub fn validate(&self) -> Result<(), WeightError> {
        unimplemented!()
    }
    /// Encoder frames for `feature_frames` feature frames.
    pub fn encoder_length(&self, feature_frames: usize) -> usize {
        let _ = feature_frames;
        unimplemented!()
    }
    /// Seconds between encoder frames.
    pub fn encoder_frame_secs(&self) -> f32 {
        self.subsampling_factor as f32 * crate::features::FRAME_SHIFT_SECS
    }
    /// Trainable parameters per part and in all (`("front end", n)`, `("block 1", n)`, ..., `("head", n)`).
    pub fn parameter_counts(&self) -> Vec<(String, usize)> {
        unimplemented!()
    }
    pub fn num_parameters(&self) -> usize {
        self.parameter_counts().iter().map(|(_, n)| n).sum()
    }
}

/// What a forward pass may do besides computing: nothing in evaluation, dropout and the collection
/// of batch statistics in training.
pub enum Mode<'a> {
    Eval,
    Train(&'a mut TrainContext),
}

/// State of one training forward pass. The same seed gives the same dropout masks on every device.
pub struct TrainContext {
    pub rng: rand_xoshiro::Xoshiro256PlusPlus,
    /// Statistics gathered by batch norms, to be merged into the running ones after the step.
    pub batch_stats: Vec<BatchStats>,
}

impl TrainContext {
    pub fn new(seed: u64) -> Self {
        let _ = seed;
        unimplemented!()
    }
}

/// One batch norm's statistics over the real frames of a batch.
pub struct BatchStats {
    /// The norm's name, `encoder.blocks.3.conv.norm`.
    pub name: String,
    pub mean: Vec<f32>,
    /// Biased variance.
    pub variance: Vec<f32>,
    pub num_frames: usize,
}

/// Result of a forward pass.
pub struct CtcOutput {
    /// `[batch, time', vocab]`, before log-softmax. Frames past `lengths` are padding.
    pub logits: Tensor<3>,
    /// Output of each block, `[batch, time', d_model]`; the last is what the head sees.
    pub hidden: Vec<Tensor<3>>,
    /// Valid encoder frames per utterance.
    pub lengths: Vec<usize>,
}

/// Conformer encoder with a CTC head.
#[derive(Module, Debug)]
pub struct CtcModel {
    // fields are private to the model; use `weights` and `from_weights`
    n_mels: usize,
}

impl CtcModel {
    /// A fresh network.
    pub fn init(config: &ModelConfig, seed: u64, device: &Device) -> Result<Self, WeightError> {
        let _ = (config, seed, device);
        unimplemented!()
    }
    /// A network from any source of weights; nothing is allocated before the shapes agree.
    pub fn from_source(
        config: &ModelConfig,
        source: &mut dyn WeightSource,
        device: &Device,
    ) -> Result<Self, WeightError> {
        let _ = (config, source, device);
        unimplemented!()
    }
    /// A network from named weights; missing, unknown, misshapen or non-finite ones are errors.
    pub fn from_weights(
        config: &ModelConfig,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, WeightError> {
        let _ = (config, weights, device);
        unimplemented!()
    }
    pub fn config(&self) -> &ModelConfig {
        unimplemented!()
    }
    /// All weights and buffers by name (synchronous read-back: native only).
    pub fn weights(&self) -> Weights {
        unimplemented!()
    }
    /// - `features`: `[batch, time, n_mels]`, zero after each utterance's length (any value is
    ///   ignored there).
    /// - `lengths`: valid frames of each utterance, `<= time`.
    ///
    /// Normalises features as the configuration says, then encodes.
    pub fn forward(&self, features: Tensor<3>, lengths: &[usize], mode: &mut Mode) -> CtcOutput {
        let _ = (features, lengths, mode);
        unimplemented!()
    }
    /// As [`Self::forward`], for features that were normalised already (live audio).
    pub fn forward_normalized(
        &self,
        features: Tensor<3>,
        lengths: &[usize],
        mode: &mut Mode,
    ) -> CtcOutput {
        let _ = (features, lengths, mode);
        unimplemented!()
    }
    /// The CTC head on some block's output: `[batch, time', d_model]` to logits `[batch, time', vocab]`.
    pub fn head(&self, hidden: Tensor<3>) -> Tensor<3> {
        let _ = hidden;
        unimplemented!()
    }
    /// Merges gathered statistics into the running ones (weight of the new batch 0.1, PyTorch's
    /// convention; unbiased variance).
    pub fn update_batch_norms(self, stats: &[BatchStats]) -> Self {
        let _ = stats;
        unimplemented!()
    }
    /// Mean and standard deviation of the corpus's features, from which the running normalisation
    /// of live audio starts; `[n_mels]` each.
    pub fn corpus_stats(&self) -> (&[f32], &[f32]) {
        unimplemented!()
    }
    pub fn with_corpus_stats(self, mean: Vec<f32>, std: Vec<f32>) -> Self {
        let _ = (mean, std);
        unimplemented!()
    }
}
