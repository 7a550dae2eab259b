//! Band-limited sample rate conversion by the crate `rubato`.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, Fft, FixedAsync, FixedSync, Indexing, Resampler, SincInterpolationParameters,
    WindowFunction,
};

use super::super::{AudioError, usable_sample};
use super::{MIN_FILTER_SAMPLES, check_rate, greatest_common_divisor};

/// Sidelobes under -90 dB, and a passband that ends close to the Nyquist frequency.
const WINDOW: WindowFunction = WindowFunction::BlackmanHarris;

/// Converts live audio block by block; all blocks together equal [`resample`](super::resample()) of the whole,
/// however it is chopped. From 8 kHz up to 192 kHz a sample is held back for 30 ms at most.
pub struct StreamResampler {
    from_hz: u32,
    to_hz: u32,
    /// `None` if the rates are equal.
    filter: Option<Box<dyn Resampler<f32>>>,
    /// Input short of a block.
    pending: Vec<f32>,
    /// One converted block.
    block: Vec<f32>,
    /// Samples by which the filter's output lags.
    delay: usize,
    /// How many of them are still to be left out.
    to_skip: usize,
    num_taken: u64,
    num_given: u64,
}

impl StreamResampler {
    /// # Errors
    /// [`AudioError::SampleRate`] for a rate outside 1000 to 768000 Hz.
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, AudioError> {
        check_rate(from_hz)?;
        check_rate(to_hz)?;
        let (filter, delay) = if from_hz == to_hz {
            (None, 0)
        } else {
            let (filter, delay) = filter_for(from_hz, to_hz)?;
            (Some(filter), delay)
        };
        Ok(Self {
            from_hz,
            to_hz,
            filter,
            pending: Vec::new(),
            block: Vec::new(),
            delay,
            to_skip: delay,
            num_taken: 0,
            num_given: 0,
        })
    }

    /// The samples that are settled now. NaN and infinite samples count as 0.
    ///
    /// # Errors
    /// [`AudioError::Resample`] if the filter refuses its input, which it has no reason to.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>, AudioError> {
        let Some(filter) = &self.filter else {
            return Ok(samples.iter().copied().map(usable_sample).collect());
        };
        let needed = filter.input_frames_next();
        let mut out = Vec::with_capacity(
            (samples.len() as u64 * u64::from(self.to_hz) / u64::from(self.from_hz)) as usize
                + filter.output_frames_max(),
        );
        self.num_taken += samples.len() as u64;
        let mut rest = samples;
        loop {
            let (now, later) = rest.split_at(rest.len().min(needed - self.pending.len()));
            self.pending.extend(now.iter().copied().map(usable_sample));
            rest = later;
            if self.pending.len() < needed {
                return Ok(out);
            }
            self.convert_pending(&mut out)?;
        }
    }

    /// The samples still held back by the filter; the resampler is fresh afterwards.
    ///
    /// # Errors
    /// As [`StreamResampler::push`].
    pub fn finish(&mut self) -> Result<Vec<f32>, AudioError> {
        let (from, to) = (u64::from(self.from_hz), u64::from(self.to_hz));
        let total = (self.num_taken * to + from / 2) / from;
        let mut out = Vec::new();
        while self.filter.is_some() && self.num_given < total {
            self.convert_pending(&mut out)?;
        }
        let excess = usize::try_from(self.num_given.saturating_sub(total)).unwrap_or(usize::MAX);
        out.truncate(out.len().saturating_sub(excess));
        if let Some(filter) = &mut self.filter {
            filter.reset();
        }
        self.to_skip = self.delay;
        self.pending.clear();
        (self.num_taken, self.num_given) = (0, 0);
        Ok(out)
    }

    /// Filters the pending samples, with zeros where a block is not full.
    fn convert_pending(&mut self, out: &mut Vec<f32>) -> Result<(), AudioError> {
        let Some(filter) = &mut self.filter else {
            return Ok(());
        };
        let failed = |reason: &dyn std::fmt::Display| AudioError::Resample(reason.to_string());
        let indexing = Indexing::new().partial_len(self.pending.len());
        let room = filter.output_frames_next();
        self.block.resize(room, 0.0);
        let input = InterleavedSlice::new(&self.pending, 1, self.pending.len())
            .map_err(|error| failed(&error))?;
        let mut output =
            InterleavedSlice::new_mut(&mut self.block, 1, room).map_err(|error| failed(&error))?;
        let (_, written) = filter
            .process_into_buffer(&input, &mut output, Some(&indexing))
            .map_err(|error| failed(&error))?;
        self.pending.clear();
        let skipped = self.to_skip.min(written);
        self.to_skip -= skipped;
        self.num_given += (written - skipped) as u64;
        out.extend_from_slice(&self.block[skipped..written]);
        Ok(())
    }
}

/// A filter of 20 ms, half of which is its delay, over blocks of 20 ms by FFT where the rates have
/// a common multiple that short, else by interpolated sincs over blocks of 10 ms; and its delay in
/// samples of the output.
fn filter_for(from_hz: u32, to_hz: u32) -> Result<(Box<dyn Resampler<f32>>, usize), AudioError> {
    let failed =
        |error: rubato::ResamplerConstructionError| AudioError::Resample(error.to_string());
    let (from, to) = (from_hz as usize, to_hz as usize);
    let common = greatest_common_divisor(from, to);
    let (unit_in, unit_out) = (from / common, to / common);
    // An even number of units keeps the delay a whole number of samples.
    let wanted_lower = MIN_FILTER_SAMPLES.max(from.min(to) / 50);
    let units = (wanted_lower / unit_in.min(unit_out)) & !1;
    if units > 0 {
        let filter = Fft::new_custom(from, to, units * unit_in, 1, 1, WINDOW, FixedSync::Both);
        let filter = filter.map_err(failed)?;
        let delay = filter.output_delay();
        return Ok((Box::new(filter), delay));
    }
    let ratio = f64::from(to_hz) / f64::from(from_hz);
    let wanted_taps = (wanted_lower * from / from.min(to)).next_multiple_of(8);
    // Of a few lengths the one whose delay is nearest to a whole number of samples.
    let off_grid = |taps: &usize| {
        let delay = *taps as f64 * ratio / 2.0;
        delay - delay.floor()
    };
    let taps = (0..32)
        .map(|step| wanted_taps + 8 * step)
        .min_by(|a, b| off_grid(a).total_cmp(&off_grid(b)))
        .unwrap_or(wanted_taps);
    let parameters = SincInterpolationParameters::new(taps, WINDOW);
    let block = (from / 100).max(64);
    let filter = Async::new_sinc(ratio, 1.0, &parameters, block, 1, FixedAsync::Input);
    let filter = filter.map_err(failed)?;
    // The first output already lies one step behind the filter's start, which rubato's figure does
    // not count.
    let delay = filter.output_delay().saturating_sub(1);
    Ok((Box::new(filter), delay))
}
