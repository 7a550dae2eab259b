//! What a network looks like: every shape follows from this.

use serde::{Deserialize, Serialize};

use crate::{features::FRAME_SHIFT_SECS, tokens::NUM_PHONE_TOKENS, weights::WeightError};

/// Everything that fixes a network's shapes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Conformer blocks.
    pub n_layers: usize,
    /// Heads of self-attention; they share `d_model` among them.
    pub n_heads: usize,
    /// Width of the feed-forward modules.
    pub d_ffn: usize,
    /// Kernel of the depthwise convolution, odd.
    pub conv_kernel: usize,
    /// Probability with which dropout zeroes a value in training.
    pub dropout: f64,
    /// How attention knows where a frame is.
    pub positions: Positions,
    /// Norm in the front end and in the convolution module.
    pub norm: NormKind,
    /// A second CTC head on the last block, whose classes are phones: what a lexicon and a language
    /// model turn into words. The other one spells for everything else.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub phone_head: bool,
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
            phone_head: false,
        }
    }
}

/// How features are normalised inside the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Normalization {
    /// Mean and variance of each band over the utterance's real frames.
    Utterance,
    /// None (the paper).
    None,
}

/// Padding of the subsampling convolutions, for `L` frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SubsamplingPadding {
    /// One frame on each side: `ceil(L / 2)` per convolution, every length >= 1 gives a frame.
    Same,
    /// The paper's second convolution has none: `floor((L - 1) / 2)`.
    Paper,
}

/// How attention knows where a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// Rotary positions in attention.
    Rotary,
    /// The paper's absolute sinusoids, added before the blocks.
    Sinusoid,
    /// Not at all.
    None,
}

/// Norm in the front end and in the convolution module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum NormKind {
    /// Does not depend on padding or on the other utterances of a batch.
    Layer,
    /// The paper's BatchNorm; statistics over real frames only.
    Batch,
}

/// More weights than any machine this is meant for can train.
const MAX_PARAMETERS: usize = 1_000_000_000;

impl ModelConfig {
    /// Checks every field against its limits before anything is allocated.
    ///
    /// # Errors
    /// [`WeightError::Config`] with the first field that is wrong and what was expected.
    pub fn validate(&self) -> Result<(), WeightError> {
        let ranges = [
            ("n_mels", self.n_mels, 8, 256),
            ("vocab_size", self.vocab_size, 2, 65536),
            ("d_model", self.d_model, 8, 2048),
            ("n_layers", self.n_layers, 1, 64),
            ("n_heads", self.n_heads, 1, 256),
            ("d_ffn", self.d_ffn, 8, 16384),
            ("conv_kernel", self.conv_kernel, 1, 255),
        ];
        for (name, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return config_error(format!("{name} is {value}: expected {least} to {most}"));
            }
        }
        let Self {
            d_model, n_heads, ..
        } = *self;
        if !d_model.is_multiple_of(n_heads) {
            return config_error(format!(
                "d_model is {d_model}: expected a multiple of n_heads ({n_heads})"
            ));
        }
        if self.positions == Positions::Rotary && !(d_model / n_heads).is_multiple_of(2) {
            return config_error(format!(
                "d_model / n_heads is {}: rotary positions need an even number",
                d_model / n_heads
            ));
        }
        if self.positions == Positions::Sinusoid && !d_model.is_multiple_of(2) {
            return config_error(format!(
                "d_model is {d_model}: sinusoid positions need an even number"
            ));
        }
        if self.conv_kernel.is_multiple_of(2) {
            return config_error(format!(
                "conv_kernel is {}: expected an odd number",
                self.conv_kernel
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return config_error(format!(
                "dropout is {}: expected 0 or more and less than 1",
                self.dropout
            ));
        }
        if ![4, 8].contains(&self.subsampling_factor) {
            return config_error(format!(
                "subsampling_factor is {}: expected 4 or 8",
                self.subsampling_factor
            ));
        }
        let total = self.num_parameters();
        if total > MAX_PARAMETERS {
            return config_error(format!(
                "the configuration has {total} parameters: expected at most {MAX_PARAMETERS}"
            ));
        }
        Ok(())
    }

    /// Seconds between encoder frames.
    pub fn encoder_frame_secs(&self) -> f32 {
        self.subsampling_factor as f32 * FRAME_SHIFT_SECS
    }

    /// Trainable parameters per part (`("front end", n)`, `("block 1", n)`, ..., `("head", n)`, and
    /// `("phone head", n)` where there is one).
    pub fn parameter_counts(&self) -> Vec<(String, usize)> {
        let Self {
            n_mels,
            vocab_size,
            d_model,
            d_ffn,
            conv_kernel,
            ..
        } = *self;
        let linear = |d_in: usize, d_out: usize| (d_in + 1) * d_out;
        let norm = 2 * d_model;
        let later_convs = if self.subsampling_factor == 8 { 2 } else { 1 };
        let front_end =
            linear(3 * n_mels, d_model) + norm + later_convs * linear(3 * d_model, d_model);
        let feed_forward = norm + linear(d_model, d_ffn) + linear(d_ffn, d_model);
        let attention = norm + linear(d_model, 3 * d_model) + linear(d_model, d_model);
        let conv = norm
            + linear(d_model, 2 * d_model)
            + linear(conv_kernel, d_model)
            + norm
            + linear(d_model, d_model);
        let block = 2 * feed_forward + attention + conv + norm;

        let mut counts = vec![("front end".to_string(), front_end)];
        counts.extend((1..=self.n_layers).map(|n| (format!("block {n}"), block)));
        counts.push(("head".to_string(), linear(d_model, vocab_size)));
        if self.phone_head {
            let parameters = linear(d_model, NUM_PHONE_TOKENS);
            counts.push(("phone head".to_string(), parameters));
        }
        counts
    }

    /// Trainable parameters in all.
    pub fn num_parameters(&self) -> usize {
        self.parameter_counts().iter().map(|(_, n)| n).sum()
    }
}

fn config_error(message: String) -> Result<(), WeightError> {
    Err(WeightError::Config(message))
}
