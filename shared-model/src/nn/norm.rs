//! Layer norm, and batch norm over the real frames of a padded batch.

use burn::{module::Param, prelude::*, tensor::module};

use super::{
    branch::RunningNorm,
    builder::Builder,
    fusion,
    host::{self, ALONE},
    mask::FrameMask,
};
use crate::{
    kernels::{operations::Operations, running_norm::scale_by_channel},
    network::{BatchStats, Mode, NormKind},
    weights::{Init, WeightError, WeightTensor, Weights},
};

/// Added to the variance by both norms: PyTorch's default.
pub const EPSILON: f64 = 1e-5;

/// Weight of a new batch in the running statistics (PyTorch's `momentum`).
const BATCH_WEIGHT: f64 = 0.1;

/// A norm over channels with a trained scale and shift, `[channels]` each.
#[derive(Module, Debug)]
pub(crate) struct Norm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    /// Only a batch norm has them.
    #[module(skip)]
    running: Option<RunningStats>,
}

/// What a batch norm uses in evaluation. Plain values, so that no optimizer can meet them.
#[derive(Debug, Clone)]
struct RunningStats {
    /// The norm's name in the model.
    name: String,
    mean: Vec<f32>,
    variance: Vec<f32>,
}

impl RunningStats {
    fn norm(&self) -> RunningNorm {
        let inverse = |v: &f32| (1.0 / (f64::from(*v) + EPSILON).sqrt()) as f32;
        RunningNorm {
            mean: self.mean.clone(),
            inverse_std: self.variance.iter().map(inverse).collect(),
        }
    }

    /// Those of `stats` that are this norm's, but for batches whose activations overflowed: they must
    /// not spoil the running values for good.
    fn own(&self, stats: &[BatchStats]) -> Vec<HostStats> {
        let own = stats.iter().filter(|stats| stats.name == self.name);
        own.map(HostStats::read)
            .filter(HostStats::is_finite)
            .collect()
    }

    fn blend(&mut self, batch: &HostStats, weight: f64) {
        let count = batch.num_frames as f64;
        let unbiased = count / (count - 1.0).max(1.0);
        // In f64: statistics that are far off must leave nothing behind when they are replaced.
        let blend = |old: &mut f32, new: f64| {
            *old = (f64::from(*old) + weight * (new - f64::from(*old))) as f32;
        };
        for (old, new) in self.mean.iter_mut().zip(&batch.mean) {
            blend(old, *new);
        }
        for (old, new) in self.variance.iter_mut().zip(&batch.variance) {
            blend(old, new * unbiased);
        }
    }
}

/// [`BatchStats`] read back.
struct HostStats {
    mean: Vec<f64>,
    /// Biased.
    variance: Vec<f64>,
    num_frames: usize,
}

impl HostStats {
    fn read(stats: &BatchStats) -> Self {
        let read = |tensor: &Tensor<1>| tensor.to_data().iter::<f64>().collect();
        Self {
            mean: read(&stats.mean),
            variance: read(&stats.variance),
            num_frames: stats.num_frames,
        }
    }

    fn is_finite(&self) -> bool {
        let mut values = self.mean.iter().chain(&self.variance);
        values.all(|value| value.is_finite())
    }

    /// Statistics of all frames of several batches; `None` without a batch.
    fn pool(batches: &[Self]) -> Option<Self> {
        let num_frames: usize = batches.iter().map(|batch| batch.num_frames).sum();
        let channels = batches.first()?.mean.len();
        let average = |value: &dyn Fn(&Self) -> f64| {
            let sum = batches.iter().map(|b| b.num_frames as f64 * value(b));
            sum.sum::<f64>() / num_frames.max(1) as f64
        };
        let mean: Vec<f64> = (0..channels).map(|c| average(&|b| b.mean[c])).collect();
        let spread = |c: usize| average(&|b| b.variance[c] + (b.mean[c] - mean[c]).powi(2));
        Some(Self {
            variance: (0..channels).map(spread).collect(),
            mean,
            num_frames,
        })
    }
}

impl Norm {
    pub(crate) fn new(
        builder: Builder,
        channels: usize,
        kind: NormKind,
    ) -> Result<Self, WeightError> {
        match kind {
            NormKind::Layer => Self::layer(builder, channels),
            NormKind::Batch => Self::batch(builder, channels),
        }
    }

    pub(crate) fn layer(mut builder: Builder, channels: usize) -> Result<Self, WeightError> {
        Ok(Self {
            weight: builder.weight("weight", [channels], Init::Constant(1.0))?,
            bias: builder.weight("bias", [channels], Init::Constant(0.0))?,
            running: None,
        })
    }

    fn batch(mut builder: Builder, channels: usize) -> Result<Self, WeightError> {
        let running = RunningStats {
            name: builder.path().to_string(),
            mean: builder.buffer("running_mean", channels, Init::Constant(0.0))?,
            variance: builder.non_negative_buffer("running_var", channels, Init::Constant(1.0))?,
        };
        let mut norm = Self::layer(builder, channels)?;
        norm.running = Some(running);
        Ok(norm)
    }

    /// `[batch, time, channels]` to the same shape. Padded frames come out arbitrary but finite.
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        mask: &FrameMask,
        operations: Operations,
        mode: &mut Mode,
    ) -> Tensor<3> {
        match (&self.running, mode.training()) {
            (None, _) => self.forward_layer(x, operations),
            (Some(running), None) => self.forward_running(x, running, operations),
            (Some(running), Some(context)) => {
                let (x, stats) = self.forward_batch(x, mask, &running.name);
                context.batch_stats.extend(stats);
                x
            }
        }
    }

    /// Layer norm; only for a norm that was made by [`Self::layer`].
    pub(crate) fn forward_layer(&self, x: Tensor<3>, operations: Operations) -> Tensor<3> {
        let (weight, bias) = self.weights();
        if fusion::are_tried(operations)
            && let Some(y) = fusion::norm(&x, self.weights(), None, EPSILON, operations)
        {
            return y;
        }
        module::layer_norm(x, weight, Some(bias), EPSILON)
    }

    /// Scale and shift, `[channels]` each.
    pub(crate) fn weights(&self) -> (Tensor<1>, Tensor<1>) {
        (self.weight.val(), self.bias.val())
    }

    /// Whether it is a layer norm.
    pub(crate) fn is_layer(&self) -> bool {
        self.running.is_none()
    }

    fn forward_running(
        &self,
        x: Tensor<3>,
        running: &RunningStats,
        operations: Operations,
    ) -> Tensor<3> {
        if fusion::is_on_adapter(&x, operations)
            && let Some(y) = fusion::norm(
                &x,
                self.weights(),
                Some(running.norm()),
                EPSILON,
                operations,
            )
        {
            return y;
        }
        let RunningNorm { mean, inverse_std } = running.norm();
        if ALONE {
            let (gamma, beta) = self.weights();
            let (gamma, beta) = (host::values(gamma), host::values(beta));
            return host::changed(x, |values| {
                let (mean, inverse_std) = (&mean[..], &inverse_std[..]);
                scale_by_channel(values, mean, inverse_std, [&gamma, &beta]);
            });
        }
        let device = x.device();
        let channels = mean.len();
        let mean = host::tensor(mean, [channels], &device);
        let inverse_std = host::tensor(inverse_std, [channels], &device);
        let scale = self.weight.val() * inverse_std;
        let shift = self.bias.val() - mean * scale.clone();
        x * scale.unsqueeze() + shift.unsqueeze()
    }

    /// What a batch norm normalises by in evaluation.
    pub(crate) fn running(&self) -> Option<RunningNorm> {
        self.running.as_ref().map(RunningStats::norm)
    }

    /// Normalises by the statistics of the real frames; gradients flow through them.
    fn forward_batch(
        &self,
        x: Tensor<3>,
        mask: &FrameMask,
        name: &str,
    ) -> (Tensor<3>, Option<BatchStats>) {
        let num_frames = mask.num_frames();
        let share = 1.0 / num_frames.max(1) as f64;
        let channel_mean = |x: Tensor<3>| x.sum_dim(0).sum_dim(1) * share; // [1, 1, channels]
        let mean = channel_mean(mask.zero_padding(x.clone()));
        let centred = x - mean.clone();
        let real = mask.zero_padding(centred.clone());
        let variance = channel_mean(real.clone() * real);
        let stats = (num_frames > 0).then(|| BatchStats {
            name: name.to_string(),
            mean: mean.without_autodiff().reshape([-1]),
            variance: variance.clone().without_autodiff().reshape([-1]),
            num_frames,
        });
        let scale = (variance + EPSILON).sqrt().recip() * self.weight.val().unsqueeze();
        (centred * scale + self.bias.val().unsqueeze(), stats)
    }

    /// Merges each batch's statistics into the running ones; the variance that is kept is unbiased.
    pub(crate) fn merge(&mut self, stats: &[BatchStats]) {
        if let Some(running) = &mut self.running {
            for batch in running.own(stats) {
                running.blend(&batch, BATCH_WEIGHT);
            }
        }
    }

    /// Puts the statistics of several batches in the place of the running ones, as if all frames had
    /// been in one batch. Without a batch the running ones stay.
    pub(crate) fn replace(&mut self, stats: &[BatchStats]) {
        if let Some(running) = &mut self.running
            && let Some(whole) = HostStats::pool(&running.own(stats))
        {
            running.blend(&whole, 1.0);
        }
    }

    /// Adds the running statistics to `weights`.
    pub(crate) fn save_buffers(&self, weights: &mut Weights) {
        let Some(running) = &self.running else {
            return;
        };
        for (name, data) in [
            ("running_mean", &running.mean),
            ("running_var", &running.variance),
        ] {
            weights.insert(
                format!("{}.{name}", running.name),
                WeightTensor {
                    shape: vec![data.len()],
                    data: data.clone(),
                },
            );
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{network::TrainContext, weights::RandomInit};

    #[test]
    fn a_batch_is_normalised_by_its_real_frames() {
        let device = Device::flex();
        let mut source = RandomInit { seed: 1 };
        let mut builder = Builder::new(&mut source, &device);
        let norm = Norm::new(builder.scope("norm"), 1, NormKind::Batch).unwrap();
        // Real values 1, 2 and 6: mean 3, biased variance (4 + 1 + 9) / 3.
        let x = Tensor::<3>::from_data([[[1.0], [2.0]], [[6.0], [50.0]]], &device);
        let mask = FrameMask::new(vec![2, 1], 2, &device);
        let mut context = TrainContext::new(1);
        let y = norm.forward(x, &mask, Operations::Fused, &mut Mode::Train(&mut context));
        let y: Vec<f32> = y.into_data().iter::<f32>().collect();
        let std = (14.0f32 / 3.0).sqrt();
        for (found, expected) in y.iter().zip([-2.0 / std, -1.0 / std, 3.0 / std]) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        let [stats] = context.batch_stats.try_into().ok().unwrap();
        assert_eq!((stats.name.as_str(), stats.num_frames), ("norm", 3));
        assert!((stats.mean.into_scalar::<f32>() - 3.0).abs() < 1e-6);
        assert!((stats.variance.into_scalar::<f32>() - 14.0 / 3.0).abs() < 1e-5);
    }

    #[test]
    fn replaced_statistics_are_those_of_all_frames_whatever_was_there() {
        let device = Device::flex();
        let mut source = RandomInit { seed: 1 };
        let mut builder = Builder::new(&mut source, &device);
        let mut norm = Norm::new(builder.scope("norm"), 1, NormKind::Batch).unwrap();
        let stats = |values: &[f32]| {
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>();
            BatchStats {
                name: "norm".into(),
                mean: Tensor::from_data([mean], &device),
                variance: Tensor::from_data([squares / values.len() as f32], &device),
                num_frames: values.len(),
            }
        };
        let batches = [&[1.0, 2.0, 6.0][..], &[-4.0], &[3.0, 5.0], &[f32::NAN]];
        norm.merge(&[stats(&[1000.0, 0.0])]);
        norm.replace(&batches.map(stats));
        let mut weights = Weights::new();
        norm.save_buffers(&mut weights);
        // The mean of six values, and their unbiased variance.
        let mean = 13.0 / 6.0;
        let squares: f32 = [1.0, 2.0, 6.0, -4.0, 3.0, 5.0]
            .iter()
            .map(|v: &f32| (v - mean).powi(2))
            .sum();
        assert!((weights["norm.running_mean"].data[0] - mean).abs() < 1e-5);
        assert!((weights["norm.running_var"].data[0] - squares / 5.0).abs() < 1e-4);
        norm.replace(&[]);
        let before = weights.clone();
        norm.save_buffers(&mut weights);
        assert_eq!(weights, before);
    }

    #[test]
    fn a_batch_without_a_real_frame_stays_finite_and_gathers_nothing() {
        let device = Device::flex();
        let mut source = RandomInit { seed: 1 };
        let mut builder = Builder::new(&mut source, &device);
        let norm = Norm::new(builder.scope("norm"), 4, NormKind::Batch).unwrap();
        let mask = FrameMask::new(vec![0], 3, &device);
        let mut context = TrainContext::new(1);
        let x = Tensor::ones([1, 3, 4], &device);
        let y = norm.forward(x, &mask, Operations::Fused, &mut Mode::Train(&mut context));
        assert!(y.into_data().iter::<f32>().all(|v| v.is_finite()));
        assert!(context.batch_stats.is_empty());
    }
}
