//! Where the frames of a clip lie, and the features of one of them.

use super::mel::{MelFilters, ln_in_place};
use super::{FeatureConfig, FeatureError, FrontEnd, FrontEndParts};
use crate::audio::{
    fft::{self, RealFft},
    mean, usable_sample,
};

/// Samples between frames: 10 ms.
const SHIFT: usize = 160;

const PRE_EMPHASIS: f32 = 0.97;

/// Mel power below which the logarithm does not look.
const LOG_FLOOR: f32 = f32::EPSILON;

/// Window, transform and filters of a front end, made once.
#[derive(Clone)]
pub(super) struct FramePlan {
    front_end: FrontEnd,
    n_mels: usize,
    window: Vec<f32>,
    fft: RealFft,
    filters: MelFilters,
}

/// Buffers of one frame's computation, so that frames allocate nothing.
#[derive(Clone)]
pub(super) struct Scratch {
    samples: Vec<f32>,
    padded: Vec<f32>,
    fft: fft::Scratch,
    power: Vec<f32>,
}

impl FramePlan {
    pub(super) fn new(config: &FeatureConfig) -> Result<Self, FeatureError> {
        let tau = std::f64::consts::TAU;
        let (window, fft_size): (Vec<f32>, usize) = match config.front_end {
            FrontEnd::Kaldi => {
                // Povey's window: like Hamming's, but zero at the ends.
                let hann = |i: usize| 0.5 - 0.5 * (tau * i as f64 / 399.0).cos();
                ((0..400).map(|i| hann(i).powf(0.85) as f32).collect(), 512)
            }
            FrontEnd::Paper => {
                let hann = |i: usize| 0.5 - 0.5 * (tau * i as f64 / 320.0).cos();
                ((0..320).map(|i| hann(i) as f32).collect(), 1024)
            }
        };
        Ok(Self {
            front_end: config.front_end,
            n_mels: config.n_mels,
            window,
            filters: MelFilters::new(config, fft_size)?,
            fft: RealFft::new(fft_size),
        })
    }

    pub(super) fn n_mels(&self) -> usize {
        self.n_mels
    }

    pub(super) fn parts(&self) -> FrontEndParts {
        let is_kaldi = self.front_end == FrontEnd::Kaldi;
        FrontEndParts {
            window: self.window.clone(),
            fft_size: self.fft.size(),
            shift: SHIFT,
            count_offset: self.count_offset(),
            lead: self.lead(),
            repeats_edges: is_kaldi,
            pre_emphasis: is_kaldi.then_some(PRE_EMPHASIS),
            log_floor: is_kaldi.then_some(LOG_FLOOR),
            bands: self.filters.bands(),
        }
    }

    pub(super) fn scratch(&self) -> Scratch {
        Scratch {
            samples: vec![0.0; self.window.len()],
            padded: vec![0.0; self.fft.size()],
            fft: self.fft.scratch(),
            power: vec![0.0; (self.fft.size() / 2 + 1).max(self.filters.num_bins())],
        }
    }

    pub(super) fn num_frames(&self, num_samples: usize) -> usize {
        match num_samples {
            0 => 0,
            _ => (num_samples + self.count_offset()) / SHIFT,
        }
    }

    /// Added to the samples of a clip, of which each [`SHIFT`] then gives a frame.
    fn count_offset(&self) -> usize {
        match self.front_end {
            FrontEnd::Kaldi => SHIFT / 2,
            FrontEnd::Paper => SHIFT,
        }
    }

    /// Samples that the first frame begins before the clip; each later one begins [`SHIFT`] later.
    fn lead(&self) -> usize {
        match self.front_end {
            FrontEnd::Kaldi => 120,
            FrontEnd::Paper => 160,
        }
    }

    /// Samples that must be known before a frame is settled.
    pub(super) fn samples_for(&self, frame: usize) -> usize {
        frame * SHIFT + self.window.len() - self.lead()
    }

    /// The earliest sample that this frame or a later one can need, once this frame is the first
    /// that is not settled. One more than the frame's own, for the paper's reflection about the
    /// last sample.
    pub(super) fn first_needed(&self, frame: usize) -> usize {
        (frame * SHIFT).saturating_sub(self.lead() + 1)
    }

    /// Adds one frame's features to `out`. `samples` begin at `offset` of a clip of which `known`
    /// samples are known; beyond its ends the clip is reflected.
    pub(super) fn compute(
        &self,
        frame: usize,
        samples: &[f32],
        offset: usize,
        known: usize,
        scratch: &mut Scratch,
        out: &mut Vec<f32>,
    ) {
        let position = frame * SHIFT;
        let inside = position >= self.lead() && self.samples_for(frame) <= known;
        if inside {
            let from = position - self.lead() - offset;
            let source = &samples[from..from + self.window.len()];
            for (to, &sample) in scratch.samples.iter_mut().zip(source) {
                *to = usable_sample(sample);
            }
        } else {
            for (index, to) in scratch.samples.iter_mut().enumerate() {
                let from = self.reflect(position + index, known);
                *to = usable_sample(samples[from - offset]);
            }
        }
        let padded = &mut scratch.padded;
        padded[self.window.len()..].fill(0.0);
        match self.front_end {
            FrontEnd::Kaldi => window_emphasised(&scratch.samples, &self.window, padded),
            FrontEnd::Paper => {
                for ((to, sample), window) in
                    padded.iter_mut().zip(&scratch.samples).zip(&self.window)
                {
                    *to = sample * window;
                }
            }
        }
        let spectrum = self.fft.transform(padded, &mut scratch.fft);
        for (power, value) in scratch.power.iter_mut().zip(spectrum) {
            *power = value.norm_sqr();
        }
        let start = out.len();
        self.filters.apply(&scratch.power, out);
        if self.front_end == FrontEnd::Kaldi {
            let bands = &mut out[start..];
            for value in bands.iter_mut() {
                // `f32::max` is a call on WebAssembly.
                let enough = *value > LOG_FLOOR;
                *value = if enough { *value } else { LOG_FLOOR };
            }
            ln_in_place(bands);
        }
    }

    /// The sample that stands for position `led` - [`Self::lead`] of a clip of `known` samples.
    /// Kaldi repeats the edge sample, torch does not.
    fn reflect(&self, led: usize, known: usize) -> usize {
        let (period, turn) = match self.front_end {
            FrontEnd::Kaldi => (2 * known, 2 * known - 1),
            FrontEnd::Paper if known == 1 => return 0,
            FrontEnd::Paper => (2 * (known - 1), 2 * (known - 1)),
        };
        let lead = self.lead() % period;
        let index = (led + period - lead) % period;
        if index < known { index } else { turn - index }
    }
}

/// Kaldi's preparation of a frame: mean removed, pre-emphasis within the frame (the first sample
/// stands for the one before it), window.
fn window_emphasised(samples: &[f32], window: &[f32], out: &mut [f32]) {
    let mean = mean(samples);
    out[0] = (samples[0] - mean) * (1.0 - PRE_EMPHASIS) * window[0];
    for ((to, pair), window) in out[1..]
        .iter_mut()
        .zip(samples.windows(2))
        .zip(&window[1..])
    {
        *to = ((pair[1] - mean) - PRE_EMPHASIS * (pair[0] - mean)) * window;
    }
}
