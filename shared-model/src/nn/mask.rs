//! Which frames of a padded batch are real.

use std::cell::OnceCell;

use burn::prelude::*;

#[cfg(feature = "gpu")]
use super::adapter::Handle;
use super::host::{self, ALONE};

/// Added to attention scores of padded keys. Finite, so that an utterance without a single real
/// frame gives a uniform row instead of NaN.
const PADDED_KEY_SCORE: f32 = -1e9;

/// Valid frames of a batch at one time resolution.
///
/// Made once a forward pass and shared by all layers. When no utterance is padded every method
/// gives its input back.
pub(crate) struct FrameMask {
    lengths: Vec<usize>,
    time: usize,
    device: Device,
    /// Made when the first layer asks for them.
    padded: OnceCell<PaddedTensors>,
    #[cfg(feature = "gpu")]
    on_adapter: OnceCell<Handle>,
}

struct PaddedTensors {
    /// `[batch, time, 1]`: 1 where real, 0 where padded.
    real: Tensor<3>,
    /// `[batch, 1, 1, time]`: 0 where real, [`PADDED_KEY_SCORE`] where padded.
    key_bias: Tensor<4>,
}

impl FrameMask {
    /// `lengths`: valid frames of each utterance; `time`: frames of the padded batch.
    pub(crate) fn new(lengths: Vec<usize>, time: usize, device: &Device) -> Self {
        Self {
            lengths,
            time,
            device: device.clone(),
            padded: OnceCell::new(),
            #[cfg(feature = "gpu")]
            on_adapter: OnceCell::new(),
        }
    }

    fn padded(&self) -> Option<&PaddedTensors> {
        self.has_padding().then(|| {
            self.padded
                .get_or_init(|| PaddedTensors::new(&self.lengths, self.time, &self.device))
        })
    }

    /// What kernels of a graphics adapter read about the frames, made by `upload` the first time.
    #[cfg(feature = "gpu")]
    pub(crate) fn on_adapter(&self, upload: impl FnOnce(&Self) -> Handle) -> &Handle {
        self.on_adapter.get_or_init(|| upload(self))
    }

    /// The mask of frames that were resampled by `length`, a function from frames to frames.
    pub(crate) fn resized(&self, length: impl Fn(usize) -> usize) -> Self {
        let lengths = self.lengths.iter().map(|&frames| length(frames)).collect();
        Self::new(lengths, length(self.time), &self.device)
    }

    pub(crate) fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Frames of the padded batch.
    #[cfg(feature = "gpu")]
    pub(crate) fn time(&self) -> usize {
        self.time
    }

    /// Real frames of the whole batch.
    pub(crate) fn num_frames(&self) -> usize {
        self.lengths
            .iter()
            .map(|&length| length.min(self.time))
            .sum()
    }

    /// `[batch, time, channels]` with padded frames set to zero.
    pub(crate) fn zero_padding(&self, x: Tensor<3>) -> Tensor<3> {
        if ALONE {
            return self.zero_on_host(x);
        }
        match self.padded() {
            Some(padded) => x * padded.real.clone(),
            None => x,
        }
    }

    /// As [`Self::zero_padding`], read from the device and written back.
    fn zero_on_host(&self, x: Tensor<3>) -> Tensor<3> {
        if !self.has_padding() {
            return x;
        }
        let [_, time, channels] = x.dims();
        host::changed(x, |values| {
            let utterances = values.chunks_mut((time * channels).max(1));
            for (values, &length) in utterances.zip(&self.lengths) {
                values[length.min(time) * channels..].fill(0.0);
            }
        })
    }

    /// As [`Self::zero_padding`], for input whose padding may hold anything, NaN included.
    pub(crate) fn overwrite_padding(&self, x: Tensor<3>) -> Tensor<3> {
        if ALONE {
            return self.zero_on_host(x);
        }
        match self.padded() {
            Some(padded) => {
                let is_padding = padded.real.clone().equal_elem(0.0).expand(x.dims());
                x.mask_fill(is_padding, 0.0)
            }
            None => x,
        }
    }

    /// `[batch, heads, query, key]` scores with padded keys out of reach.
    pub(crate) fn hide_padded_keys(&self, scores: Tensor<4>) -> Tensor<4> {
        match self.padded() {
            Some(padded) => scores + padded.key_bias.clone(),
            None => scores,
        }
    }

    pub(crate) fn has_padding(&self) -> bool {
        self.lengths.iter().any(|&length| length < self.time)
    }
}

impl PaddedTensors {
    fn new(lengths: &[usize], time: usize, device: &Device) -> Self {
        let batch = lengths.len();
        let real: Vec<f32> = lengths
            .iter()
            .flat_map(|&length| (0..time).map(move |t| if t < length { 1.0 } else { 0.0 }))
            .collect();
        let key_bias = real.iter().map(|r| (1.0 - r) * PADDED_KEY_SCORE).collect();
        Self {
            real: host::tensor(real, [batch, time, 1], device),
            key_bias: host::tensor(key_bias, [batch, 1, 1, time], device),
        }
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;

    #[test]
    fn on_the_host_the_same_frames_are_zeroed() {
        let device = Device::flex();
        let x = Tensor::<3>::ones([2, 3, 2], &device);
        let mask = FrameMask::new(vec![1, 3], 3, &device);
        let on_host = host::values(mask.zero_on_host(x.clone()));
        assert_eq!(on_host, [[1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [1.0; 6]].concat());
        assert_eq!(on_host, host::values(mask.zero_padding(x)));
    }
}
