//! The whole network: feature normalisation, encoder and CTC heads.

mod normalize;
#[cfg(test)]
mod tests;

pub use normalize::NORMALIZATION_EPSILON;

pub use crate::{
    kernels::operations::Operations,
    network::{
        BatchStats, Mode, ModelConfig, NormKind, Normalization, Positions, Product,
        SubsamplingPadding, TrainContext,
    },
    nn::{norm::EPSILON as NORM_EPSILON, positions::turn_rates},
};

use burn::{module::Param, prelude::*};

use crate::{
    encoder::{Encoder, Frontend},
    nn::{
        builder::Builder,
        fusion,
        host::{self, ALONE},
        linear::Linear,
        mask::FrameMask,
        norm::Norm,
    },
    tokens::NUM_PHONE_TOKENS,
    weights::{
        Init, Int8Weights, NamedVisitor, NamedWeights, RandomInit, WeightError, WeightSource,
        WeightTensor, Weights, visit_named,
    },
};

/// Result of a forward pass.
pub struct CtcOutput {
    /// `[batch, time', vocab]`, before log-softmax. Frames past `lengths` are padding.
    pub logits: Tensor<3>,
    /// `[batch, time', 41]`, before log-softmax, of a network with a phone head
    /// ([`crate::tokens::phone_tokens`]). Not read back from a device unless it is asked for.
    pub phone_logits: Option<Tensor<3>>,
    /// Output of each block, `[batch, time', d_model]`; the last is what the heads see.
    pub hidden: Vec<Tensor<3>>,
    /// Valid encoder frames per utterance.
    pub lengths: Vec<usize>,
}

/// Conformer encoder with a CTC head, and a second one for phones where the configuration has it.
///
/// The names of the module's parts are the names of the weights ([`Self::weights`]), and each
/// parameter's `ParamId` derives from its name: an optimizer's saved state fits every model of the
/// same configuration.
#[derive(Module, Debug)]
pub struct CtcModel {
    frontend: Frontend,
    encoder: Encoder,
    head: Linear,
    phone_head: Option<Linear>,
    #[module(skip)]
    config: ModelConfig,
    #[module(skip)]
    corpus: CorpusStats,
    #[module(skip)]
    operations: Operations,
}

/// Mean and standard deviation of the training corpus's features, `[n_mels]` each.
#[derive(Debug, Clone)]
struct CorpusStats {
    mean: Vec<f32>,
    std: Vec<f32>,
}

const CORPUS_MEAN: &str = "corpus_mean";
const CORPUS_STD: &str = "corpus_std";

impl CtcModel {
    /// A fresh network; the same seed gives the same weights on every device.
    ///
    /// # Errors
    /// [`WeightError::Config`] if the configuration is out of its limits.
    pub fn init(config: &ModelConfig, seed: u64, device: &Device) -> Result<Self, WeightError> {
        Self::from_source(config, &mut RandomInit { seed }, device)
    }

    /// A network from any source of weights; nothing is allocated before the shapes agree.
    ///
    /// # Errors
    /// [`WeightError::Config`] if the configuration is out of its limits, and whatever the source
    /// answers instead of a weight.
    pub fn from_source(
        config: &ModelConfig,
        source: &mut dyn WeightSource,
        device: &Device,
    ) -> Result<Self, WeightError> {
        config.validate()?;
        fusion::check_heads(config)?;
        let mut builder = Builder::new(source, device);
        let corpus = CorpusStats {
            mean: builder.buffer(CORPUS_MEAN, config.n_mels, Init::Constant(0.0))?,
            std: builder.non_negative_buffer(CORPUS_STD, config.n_mels, Init::Constant(1.0))?,
        };
        let frontend = Frontend::new(builder.scope("frontend"), config)?;
        let encoder = Encoder::new(builder.scope("encoder"), config)?;
        let mut head = |name: &str, classes: usize| {
            Linear::with_default_init(builder.scope(name), config.d_model, classes)
        };
        Ok(Self {
            frontend,
            encoder,
            head: head("head", config.vocab_size)?,
            phone_head: match config.phone_head {
                true => Some(head("phone_head", NUM_PHONE_TOKENS)?),
                false => None,
            },
            config: config.clone(),
            corpus,
            operations: Operations::default(),
        })
    }

    /// A network from named weights.
    ///
    /// # Errors
    /// A configuration out of its limits; a weight that is missing, not part of the architecture, of
    /// another shape or not finite.
    pub fn from_weights(
        config: &ModelConfig,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, WeightError> {
        Self::from_quantized_weights(config, weights, &Int8Weights::default(), device)
    }

    /// As [`Self::from_weights`]; those that came as int8 stay so where the CPU multiplies them.
    ///
    /// # Errors
    /// As [`Self::from_weights`].
    pub fn from_quantized_weights(
        config: &ModelConfig,
        weights: &Weights,
        int8: &Int8Weights,
        device: &Device,
    ) -> Result<Self, WeightError> {
        let mut source = NamedWeights::new(weights, int8);
        let model = Self::from_source(config, &mut source, device)?;
        source.finish()?;
        Ok(model)
    }

    /// What the network looks like.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The device of the weights.
    pub fn device(&self) -> Device {
        self.head.device()
    }

    /// All weights and buffers by name (synchronous read-back: native only).
    pub fn weights(&self) -> Weights {
        let mut collector = WeightCollector::default();
        visit_named(self, &mut collector);
        let WeightCollector(mut weights) = collector;
        for norm in self.norms() {
            norm.save_buffers(&mut weights);
        }
        let (mean, std) = self.corpus_stats();
        for (name, values) in [(CORPUS_MEAN, mean), (CORPUS_STD, std)] {
            weights.insert(
                name.to_string(),
                WeightTensor {
                    shape: vec![values.len()],
                    data: values.to_vec(),
                },
            );
        }
        weights
    }

    /// - `features`: `[batch, time, n_mels]`, zero after each utterance's length (any value is
    ///   ignored there).
    /// - `lengths`: valid frames of each utterance, `<= time`.
    ///
    /// Normalises features as the configuration says, then encodes. An utterance too short for an encoder frame has length 0 in the output. `time'` is the
    /// encoder length of `time`, but at least 1.
    pub fn forward(&self, features: Tensor<3>, lengths: &[usize], mode: &mut Mode) -> CtcOutput {
        let (features, mask) = self.admit(features, lengths);
        let features = self.zeroed(features, &mask);
        let features = match self.config.normalization {
            Normalization::Utterance => normalize::by_utterance(features, &mask, self.operations),
            Normalization::None => features,
        };
        self.encode(features, &mask, mode)
    }

    /// As [`Self::forward`], with parts of the features hidden after they were normalised (SpecAugment,
    /// Park et al., 2019): the network finds the band's mean there, and what is visible stays as it
    /// is.
    ///
    /// - `visible`: `[batch, time, n_mels]`, 1 where the network may look, 0 where not.
    pub fn forward_masked(
        &self,
        features: Tensor<3>,
        lengths: &[usize],
        visible: Tensor<3>,
        mode: &mut Mode,
    ) -> CtcOutput {
        let (features, mask) = self.admit(features, lengths);
        let features = mask.overwrite_padding(features);
        let visible = lengthened(visible, features.dims()[1]);
        let features = match self.config.normalization {
            Normalization::Utterance => {
                normalize::by_utterance(features, &mask, self.operations) * visible
            }
            Normalization::None => {
                let mean = normalize::band_means(features.clone(), &mask);
                let shown = (features - mean.clone()) * visible + mean;
                mask.zero_padding(shown)
            }
        };
        self.encode(features, &mask, mode)
    }

    /// As [`Self::forward`], for features that were normalised already (live audio).
    pub(crate) fn forward_normalized(
        &self,
        features: Tensor<3>,
        lengths: &[usize],
        mode: &mut Mode,
    ) -> CtcOutput {
        let (features, mask) = self.admit(features, lengths);
        let features = self.zeroed(features, &mask);
        self.encode(features, &mask, mode)
    }

    /// The CTC head on some block's output: `[batch, time', d_model]` to logits `[batch, time', vocab]`.
    pub fn head(&self, hidden: Tensor<3>) -> Tensor<3> {
        self.head.forward(hidden)
    }

    /// The same network, computed as told; [`Operations::Fused`] unless told.
    pub fn with_operations(mut self, operations: Operations) -> Self {
        self.operations = operations;
        self
    }

    /// As set by [`Self::with_operations`].
    pub fn operations(&self) -> Operations {
        self.operations
    }

    /// Merges gathered statistics into the running ones (weight of the new batch 0.1, PyTorch's
    /// convention; unbiased variance). Reads the statistics back from the device.
    pub fn update_batch_norms(mut self, stats: &[BatchStats]) -> Self {
        self.frontend.batch_norm_mut().merge(stats);
        for block in self.encoder.blocks_mut() {
            block.batch_norm_mut().merge(stats);
        }
        self
    }

    /// Puts statistics gathered over any number of batches in the place of the running ones, as if all
    /// their frames had been in one batch: for a network whose layers were put together anew, which
    /// [`Self::update_batch_norms`] would follow only slowly. Reads the statistics back from the
    /// device.
    pub fn replace_batch_norms(mut self, stats: &[BatchStats]) -> Self {
        self.frontend.batch_norm_mut().replace(stats);
        for block in self.encoder.blocks_mut() {
            block.batch_norm_mut().replace(stats);
        }
        self
    }

    /// Mean and standard deviation of the corpus's features, from which the running normalisation
    /// of live audio starts; `[n_mels]` each.
    pub fn corpus_stats(&self) -> (&[f32], &[f32]) {
        (&self.corpus.mean, &self.corpus.std)
    }

    /// Replaces the corpus statistics, `[n_mels]` each.
    ///
    /// # Panics
    /// If there are more or fewer values than mel bands.
    pub fn with_corpus_stats(mut self, mean: Vec<f32>, std: Vec<f32>) -> Self {
        let n_mels = self.config.n_mels;
        assert_eq!(
            (mean.len(), std.len()),
            (n_mels, n_mels),
            "corpus statistics per mel band"
        );
        self.corpus = CorpusStats { mean, std };
        self
    }

    /// Makes sure that an encoder frame comes out, and says which frames are real.
    fn admit(&self, features: Tensor<3>, lengths: &[usize]) -> (Tensor<3>, FrameMask) {
        let [batch, time, _] = features.dims();
        assert_eq!(batch, lengths.len(), "one length an utterance");
        let device = features.device();
        let shortest = (1..)
            .find(|&frames| self.config.encoder_length(frames) > 0)
            .unwrap_or(1);
        let features = lengthened(features, shortest);
        let lengths = lengths.iter().map(|&length| length.min(time)).collect();
        let mask = FrameMask::new(lengths, time.max(shortest), &device);
        (features, mask)
    }

    /// The features with zeros behind each utterance, which a graphics adapter's kernels do not ask for.
    fn zeroed(&self, features: Tensor<3>, mask: &FrameMask) -> Tensor<3> {
        let is_adapters = fusion::on_adapter_alone()
            || (fusion::is_on_adapter(&features, self.operations) && !self.device().is_autodiff());
        if is_adapters {
            features
        } else {
            mask.overwrite_padding(features)
        }
    }

    fn encode(&self, features: Tensor<3>, mask: &FrameMask, mode: &mut Mode) -> CtcOutput {
        let (x, mask) = self.frontend.forward(features, mask, self.operations, mode);
        let hidden = self
            .encoder
            .forward(x.clone(), &mask, self.operations, mode);
        let last = hidden.last().cloned().unwrap_or(x);
        let mut classify = |head: &Linear| self.classify(head, last.clone(), &mask, mode);
        CtcOutput {
            logits: classify(&self.head),
            phone_logits: self.phone_head.as_ref().map(classify),
            hidden,
            lengths: mask.lengths().to_vec(),
        }
    }

    fn classify(
        &self,
        head: &Linear,
        hidden: Tensor<3>,
        mask: &FrameMask,
        mode: &mut Mode,
    ) -> Tensor<3> {
        if fusion::are_tried(self.operations)
            && let Some(y) = fusion::linear(&hidden, head.weights().pair, mask, self.operations)
        {
            return y;
        }
        head.observed(hidden, mode)
    }

    /// Every norm that may keep running statistics.
    fn norms(&self) -> impl Iterator<Item = &Norm> {
        let blocks = self.encoder.blocks().iter().map(|block| block.batch_norm());
        std::iter::once(self.frontend.batch_norm()).chain(blocks)
    }
}

/// `[batch, time, n_mels]` with zeros after it, if it has fewer than `least` frames.
fn lengthened(features: Tensor<3>, least: usize) -> Tensor<3> {
    let [batch, time, n_mels] = features.dims();
    if time >= least {
        return features;
    }
    if ALONE {
        return lengthened_on_host(features, least);
    }
    if fusion::on_adapter_alone() {
        // No utterance has a frame of the encoder then, and nothing of its values is read.
        return host::tensor(
            vec![0.0; batch * least * n_mels],
            [batch, least, n_mels],
            &features.device(),
        );
    }
    let more = Tensor::zeros([batch, least - time, n_mels], &features.device());
    match time {
        0 => more,
        _ => Tensor::cat(vec![features, more], 1),
    }
}

/// As [`lengthened`], read from the device and written back.
fn lengthened_on_host(features: Tensor<3>, least: usize) -> Tensor<3> {
    host::reshaped(features, |[batch, time, n_mels], values| {
        let mut longer = Vec::with_capacity(batch * least * n_mels);
        for utterance in 0..batch {
            longer.extend_from_slice(&values[utterance * time * n_mels..][..time * n_mels]);
            longer.resize((utterance + 1) * least * n_mels, 0.0);
        }
        *values = longer;
        [batch, least, n_mels]
    })
}

/// Reads every parameter.
#[derive(Default)]
struct WeightCollector(Weights);

impl NamedVisitor for WeightCollector {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let shape = tensor.dims().to_vec();
        let data = tensor.into_data().iter::<f32>().collect();
        self.0
            .insert(name.to_string(), WeightTensor { shape, data });
    }
}
