//! Band-limited sample rate conversion (rubato), whole clips and live blocks.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, Fft, FixedAsync, FixedSync, Indexing, Resampler, SincInterpolationParameters,
    WindowFunction,
};

use super::{AudioError, usable_sample};

/// Sidelobes under -90 dB, and a passband that ends close to the Nyquist frequency.
const WINDOW: WindowFunction = WindowFunction::BlackmanHarris;

/// Filters are at least this many samples of the lower rate long, whatever that adds to the delay.
const MIN_FILTER_SAMPLES: usize = 160;

/// Converts a whole clip; no delay, `round(len * to / from)` samples out. NaN and infinite samples
/// count as 0.
///
/// # Errors
/// [`AudioError::SampleRate`] for a rate outside 1000 to 768000 Hz.
pub fn resample(samples: &[f32], from_hz: u32, to_hz: u32) -> Result<Vec<f32>, AudioError> {
    let mut stream = StreamResampler::new(from_hz, to_hz)?;
    let mut out = stream.push(samples)?;
    out.extend(stream.finish()?);
    Ok(out)
}

/// Converts live audio block by block; all blocks together equal [`resample`] of the whole,
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
        for rate in [from_hz, to_hz] {
            if !(1_000..=768_000).contains(&rate) {
                return Err(AudioError::SampleRate(rate));
            }
        }
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

fn greatest_common_divisor(mut a: usize, mut b: usize) -> usize {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::f64::consts::TAU;

    use proptest::prelude::*;

    use super::*;

    fn tone(hz: f64, rate_hz: u32, length: usize) -> Vec<f32> {
        (0..length)
            .map(|i| (TAU * hz * i as f64 / f64::from(rate_hz)).sin() as f32 * 0.5)
            .collect()
    }

    fn rms(samples: &[f32]) -> f32 {
        (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt()
    }

    #[test]
    fn tones_keep_their_phase_and_size_at_every_usual_rate() {
        let rates = [
            8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000,
            192_000, 44_101,
        ];
        for from_hz in rates {
            for hz in [100.0, 1000.0, 3000.0] {
                let out =
                    resample(&tone(hz, from_hz, from_hz as usize / 2), from_hz, 16_000).unwrap();
                let ideal = tone(hz, 16_000, 8_000);
                for i in 400..7600 {
                    let off = (out[i] - ideal[i]).abs();
                    assert!(
                        off < 0.01,
                        "{from_hz} Hz, tone of {hz}: sample {i} is off by {off}"
                    );
                }
            }
        }
    }

    #[test]
    fn tones_above_the_new_nyquist_frequency_vanish() {
        for (from_hz, hz) in [
            (48_000, 8_200.0),
            (48_000, 15_000.0),
            (44_100, 9_000.0),
            (22_050, 9_500.0),
            (192_000, 40_000.0),
        ] {
            let out = resample(&tone(hz, from_hz, from_hz as usize / 2), from_hz, 16_000).unwrap();
            let left = rms(&out[400..7600]);
            assert!(left < 1e-3, "{hz} Hz at {from_hz} leaves {left}");
        }
        // No image above 4 kHz: what is left after taking the tone away is next to nothing.
        let out = resample(&tone(3500.0, 8_000, 4_000), 8_000, 16_000).unwrap();
        let ideal = tone(3500.0, 16_000, 8_000);
        let image: Vec<f32> = out.iter().zip(&ideal).map(|(a, b)| a - b).collect();
        assert!(rms(&image[400..7600]) < 0.01);
    }

    #[test]
    fn the_passband_reaches_the_last_mel_band() {
        for from_hz in [44_100, 48_000] {
            let out = resample(
                &tone(7500.0, from_hz, from_hz as usize / 2),
                from_hz,
                16_000,
            )
            .unwrap();
            assert!(rms(&out[400..7600]) > 0.9 * 0.5 / 2f32.sqrt(), "{from_hz}");
        }
    }

    #[test]
    fn lengths_are_the_rounded_quotient_for_clips_of_any_length() {
        for (from_hz, to_hz) in [
            (44_100, 16_000),
            (8_000, 16_000),
            (11_025, 16_000),
            (16_000, 17_600),
            (1_000, 16_000),
            (768_000, 1_000),
            (16_000, 16_000),
        ] {
            for length in [0usize, 1, 2, 5, 100, 441, 1000, 4801] {
                let expected = (length as f64 * f64::from(to_hz) / f64::from(from_hz)).round();
                let out = resample(&vec![0.25; length], from_hz, to_hz).unwrap();
                assert!(
                    (out.len() as f64 - expected).abs() < 0.5,
                    "{length} at {from_hz} to {to_hz}"
                );
                assert!(out.iter().all(|s| s.is_finite() && s.abs() < 0.5));
            }
        }
    }

    #[test]
    fn rates_out_of_range_are_refused_and_unusable_samples_count_as_zero() {
        for rate in [0, 999, 768_001, u32::MAX] {
            assert_eq!(
                resample(&[0.0], rate, 16_000),
                Err(AudioError::SampleRate(rate))
            );
            assert_eq!(
                resample(&[0.0], 16_000, rate),
                Err(AudioError::SampleRate(rate))
            );
        }
        for from_hz in [16_000, 48_000, 11_025] {
            let broken = [f32::NAN, f32::INFINITY, -f32::INFINITY].repeat(500);
            assert!(
                resample(&broken, from_hz, 16_000)
                    .unwrap()
                    .iter()
                    .all(|&s| s == 0.0)
            );
        }
    }

    #[test]
    fn live_audio_is_held_back_for_less_than_40_ms() {
        for from_hz in [
            8_000u32, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000, 47_999,
        ] {
            let mut stream = StreamResampler::new(from_hz, 16_000).unwrap();
            let mut given = 0;
            for pushed in 1..=100 {
                given += stream
                    .push(&vec![0.1; from_hz as usize / 100])
                    .unwrap()
                    .len();
                let held_secs = f64::from(pushed) * 0.01 - given as f64 / 16_000.0;
                assert!(held_secs < 0.04, "{from_hz}: {held_secs} s");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_chopping_equals_the_whole_clip(
            pushes in proptest::collection::vec(0usize..3000, 0..8),
            rates in 0usize..4,
        ) {
            let (from_hz, to_hz) = [(44_100, 16_000), (8_000, 16_000), (11_025, 16_000), (16_000, 16_000)][rates];
            let clip = tone(440.0, from_hz, pushes.iter().sum());
            let whole = resample(&clip, from_hz, to_hz).unwrap();
            let mut stream = StreamResampler::new(from_hz, to_hz).unwrap();
            for _ in 0..2 {
                let (mut rest, mut streamed) = (clip.as_slice(), Vec::new());
                for &length in &pushes {
                    let (now, later) = rest.split_at(length);
                    rest = later;
                    streamed.extend(stream.push(now).unwrap());
                }
                streamed.extend(stream.finish().unwrap());
                prop_assert_eq!(&streamed, &whole);
            }
        }
    }
}
