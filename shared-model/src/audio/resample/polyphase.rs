//! Band-limited sample rate conversion for a browser's engine, which converts a microphone's sound as it
//! comes: each sample is a weighted sum of 20 ms of the input. More work than by Fourier transforms, and
//! a fiftieth of the code to download.

use super::super::{AudioError, usable_sample};
use super::{MIN_FILTER_SAMPLES, check_rate, greatest_common_divisor};

/// Tables of more phases are interpolated: the error lies 100 dB below the signal.
const MAX_PHASES: u64 = 1024;

/// As the resampler of recordings: all blocks together equal the whole converted at once.
pub struct StreamResampler {
    /// Both rates, without what they have in common.
    from: u64,
    to: u64,
    /// `None` if the rates are equal.
    filter: Option<Filter>,
    /// Samples that later outputs need, the first of them number `first`, counted from half a filter
    /// before the input.
    input: Vec<f32>,
    first: u64,
    num_taken: u64,
    num_given: u64,
}

/// Weights of the samples around a point, for points at any phase between two samples.
struct Filter {
    /// Half of the weights of a phase.
    half: usize,
    phases: u64,
    /// One row for each phase, and one for the phase after the last.
    rows: Vec<f32>,
}

impl StreamResampler {
    /// # Errors
    /// [`AudioError::SampleRate`] for a rate outside 1000 to 768000 Hz.
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, AudioError> {
        check_rate(from_hz)?;
        check_rate(to_hz)?;
        let common = greatest_common_divisor(from_hz as usize, to_hz as usize) as u64;
        let (from, to) = (u64::from(from_hz) / common, u64::from(to_hz) / common);
        let mut resampler = Self {
            from,
            to,
            filter: (from != to).then(|| Filter::new(from_hz, to_hz, to)),
            input: Vec::new(),
            first: 0,
            num_taken: 0,
            num_given: 0,
        };
        resampler.begin();
        Ok(resampler)
    }

    /// Half a filter of silence comes before the input.
    fn begin(&mut self) {
        self.input.clear();
        let half = self.filter.as_ref().map_or(0, |filter| filter.half);
        self.input.resize(half.saturating_sub(1), 0.0);
        (self.first, self.num_taken, self.num_given) = (0, 0, 0);
    }

    /// The samples that are settled now. NaN and infinite samples count as 0.
    ///
    /// # Errors
    /// None: it is here for the resampler of recordings.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>, AudioError> {
        let usable = samples.iter().copied().map(usable_sample);
        self.num_taken += samples.len() as u64;
        if self.filter.is_none() {
            return Ok(usable.collect());
        }
        self.input.extend(usable);
        Ok(self.convert(u64::MAX))
    }

    /// The samples still held back by the filter; the resampler is fresh afterwards.
    ///
    /// # Errors
    /// As [`StreamResampler::push`].
    pub fn finish(&mut self) -> Result<Vec<f32>, AudioError> {
        let Some(filter) = &self.filter else {
            self.begin();
            return Ok(Vec::new());
        };
        let total = (self.num_taken * self.to + self.from / 2) / self.from;
        // The last output lies less than one sample behind the input.
        self.input.resize(self.input.len() + filter.half + 1, 0.0);
        let out = self.convert(total);
        self.begin();
        Ok(out)
    }

    /// All outputs below number `end` whose samples are there.
    fn convert(&mut self, end: u64) -> Vec<f32> {
        let Some(filter) = &self.filter else {
            return Vec::new();
        };
        let mut out = Vec::new();
        let mut used = 0;
        while self.num_given < end {
            let position = self.num_given * self.from;
            let start = (position / self.to - self.first) as usize;
            used = start.min(self.input.len());
            let Some(around) = self.input.get(start..start + 2 * filter.half) else {
                break;
            };
            out.push(filter.at(around, position % self.to, self.to));
            self.num_given += 1;
        }
        self.input.drain(..used);
        self.first += used as u64;
        out
    }
}

impl Filter {
    /// `to`: how many phases the ratio has.
    fn new(from_hz: u32, to_hz: u32, to: u64) -> Self {
        let lower_hz = from_hz.min(to_hz);
        // 20 ms of it or more, as in the resampler of recordings.
        let lower_samples = MIN_FILTER_SAMPLES.max(lower_hz as usize / 50);
        let half = (lower_samples * from_hz as usize).div_ceil(2 * lower_hz as usize);
        // The window's transition ends where the lower rate's band does.
        let cutoff =
            0.5 * f64::from(lower_hz) / f64::from(from_hz) * (1.0 - 8.0 / lower_samples as f64);
        let phases = to.min(MAX_PHASES);
        let mut rows = Vec::with_capacity((phases as usize + 1) * 2 * half);
        for phase in 0..=phases {
            let start = rows.len();
            let fraction = phase as f64 / phases as f64;
            rows.extend((0..2 * half).map(|at| {
                let distance = fraction + half as f64 - 1.0 - at as f64;
                weight(distance, cutoff, half as f64)
            }));
            // A constant stays what it is.
            let sum: f32 = rows[start..].iter().sum();
            rows[start..].iter_mut().for_each(|value| *value /= sum);
        }
        Self { half, phases, rows }
    }

    /// The value at `position / to` of a sample behind the middle of the samples around it.
    fn at(&self, around: &[f32], position: u64, to: u64) -> f32 {
        let row = |phase: u64| {
            let start = phase as usize * 2 * self.half;
            product(around, &self.rows[start..start + 2 * self.half])
        };
        let scaled = position * self.phases;
        let (phase, rest) = (scaled / to, scaled % to);
        let value = row(phase);
        if rest == 0 {
            return value;
        }
        value + (row(phase + 1) - value) * (rest as f64 / to as f64) as f32
    }
}

/// A sinc in Blackman and Harris's window of four terms ("On the use of windows for harmonic analysis
/// with the discrete Fourier transform", Proceedings of the IEEE 66, 1978); `cutoff` in cycles a sample.
fn weight(distance: f64, cutoff: f64, half: f64) -> f32 {
    use std::f64::consts::PI;
    let share = distance / half;
    if share.abs() >= 1.0 {
        return 0.0;
    }
    let phase = 2.0 * PI * cutoff * distance;
    let sinc = if phase.abs() < 1e-9 {
        1.0
    } else {
        phase.sin() / phase
    };
    let cos = |times: f64| (PI * share * times).cos();
    let window = 0.358_75 + 0.488_29 * cos(1.0) + 0.141_28 * cos(2.0) + 0.011_68 * cos(3.0);
    (sinc * window) as f32
}

/// Sum of products; eight sums side by side keep the processor's vector lanes busy.
fn product(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a_groups, a_rest) = a.as_chunks::<8>();
    let (b_groups, b_rest) = b.as_chunks::<8>();
    for (a, b) in a_groups.iter().zip(b_groups) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| a * b);
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}
