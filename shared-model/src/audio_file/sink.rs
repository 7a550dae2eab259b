//! Where decoders put their blocks: mixes channels, cuts out the wanted stretch, converts the rate.

use crate::audio::StreamResampler;

use super::error::AudioFileError;

/// Whether a decoder should go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    More,
    Enough,
}

/// Collects one channel of audio.
pub(super) struct MonoSink {
    max_secs: f64,
    target_rate_hz: Option<u32>,
    source_rate_hz: u32,
    resampler: Option<StreamResampler>,
    /// Source frames still to leave out before the stretch.
    skip: u64,
    /// Source frames still wanted.
    left: u64,
    /// Source frames taken.
    taken: u64,
    mono: Vec<f32>,
    samples: Vec<f32>,
}

impl MonoSink {
    /// `target_rate_hz` absent: the rate of the source. Longer than `max_secs` is an error.
    pub fn new(target_rate_hz: Option<u32>, max_secs: f64) -> Self {
        Self {
            max_secs,
            target_rate_hz,
            source_rate_hz: 0,
            resampler: None,
            skip: 0,
            left: 0,
            taken: 0,
            mono: vec![],
            samples: vec![],
        }
    }

    /// The rate of the samples.
    pub fn rate_hz(&self) -> u32 {
        self.target_rate_hz.unwrap_or(self.source_rate_hz)
    }

    pub fn into_samples(self) -> Vec<f32> {
        self.samples
    }

    fn too_long(&self) -> AudioFileError {
        AudioFileError::TooLong {
            max_hours: self.max_secs / 3600.0,
        }
    }

    /// Says what comes: `length` frames where known, of which `skip` are left out and at most
    /// `wanted` taken. Space is reserved for no more than the longest that is allowed.
    pub fn begin(
        &mut self,
        source_rate_hz: u32,
        length: Option<u64>,
        skip: u64,
        wanted: Option<u64>,
    ) -> Result<(), AudioFileError> {
        self.source_rate_hz = source_rate_hz;
        self.skip = skip;
        self.left = wanted.unwrap_or(u64::MAX);
        let rate = f64::from(source_rate_hz);
        let target = self.target_rate_hz.unwrap_or(source_rate_hz);
        if target != source_rate_hz {
            self.resampler = Some(StreamResampler::new(source_rate_hz, target)?);
        }
        if let Some(length) = length {
            let frames = length.saturating_sub(skip).min(self.left);
            let secs = frames as f64 / rate;
            if secs > self.max_secs {
                return Err(self.too_long());
            }
            self.samples
                .reserve_exact((secs * f64::from(target)) as usize + 4096);
        }
        Ok(())
    }

    /// The next frames, interleaved.
    pub fn push(&mut self, interleaved: &[f32], channels: usize) -> Result<Flow, AudioFileError> {
        let channels = channels.max(1);
        let frames = interleaved.chunks_exact(channels);
        let skipped = self.skip.min(frames.len() as u64);
        self.skip -= skipped;
        self.mono.clear();
        let share = 1.0 / channels as f32;
        for frame in frames
            .skip(skipped as usize)
            .take(usize::try_from(self.left).unwrap_or(usize::MAX))
        {
            let sum: f32 = frame.iter().sum();
            self.mono.push(sum * share);
        }
        if self.mono.iter().any(|s| !s.is_finite() || s.abs() > 1e6) {
            return Err(AudioFileError::Broken(
                "it has samples that are no numbers".into(),
            ));
        }
        self.left -= self.mono.len() as u64;
        self.taken += self.mono.len() as u64;
        if self.taken as f64 > self.max_secs * f64::from(self.source_rate_hz) {
            return Err(self.too_long());
        }
        match &mut self.resampler {
            Some(resampler) => {
                let converted = resampler.push(&self.mono)?;
                self.samples.extend_from_slice(&converted);
            }
            None => self.samples.extend_from_slice(&self.mono),
        }
        Ok(if self.left == 0 {
            Flow::Enough
        } else {
            Flow::More
        })
    }

    /// Flushes the rate conversion. Nothing taken is an error.
    pub fn finish(&mut self) -> Result<(), AudioFileError> {
        if self.taken == 0 {
            return Err(AudioFileError::NoSamples);
        }
        if let Some(resampler) = &mut self.resampler {
            let rest = resampler.finish()?;
            self.samples.extend_from_slice(&rest);
            let ratio = f64::from(self.target_rate_hz.unwrap_or(self.source_rate_hz))
                / f64::from(self.source_rate_hz);
            let length = (self.taken as f64 * ratio).round() as usize;
            self.samples.resize(length.max(1), 0.0);
        }
        Ok(())
    }
}

/// First source frame and number of source frames of a stretch given in seconds.
pub(super) fn stretch(
    rate_hz: u32,
    offset_secs: f64,
    duration_secs: Option<f64>,
) -> (u64, Option<u64>) {
    let frames = |secs: f64| (secs.clamp(0.0, 1e9) * f64::from(rate_hz)).round() as u64;
    (frames(offset_secs), duration_secs.map(|d| frames(d).max(1)))
}
