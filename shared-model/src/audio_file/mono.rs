//! Decoded blocks to what was asked for: the wanted stretch, one channel, one rate.

use crate::audio::{AudioError, StreamResampler};

use super::Block;
use super::error::AudioFileError;
use super::mixer::Mixer;
use super::notice::Notices;

/// Whether a decoder should go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    More,
    Enough,
}

/// Cuts, mixes and converts a stream of blocks, whose format may change on the way.
pub(super) struct MonoStream {
    max_secs: f64,
    target_rate_hz: Option<u32>,
    source_rate_hz: u32,
    mixer: Mixer,
    resampler: Option<StreamResampler>,
    /// Source frames still to leave out before the stretch.
    skip: u64,
    /// Source frames still wanted.
    left: u64,
    /// Source frames that came, left out or not.
    seen: u64,
    taken_secs: f64,
    mono: Vec<f32>,
}

impl MonoStream {
    /// Of frames of `rate_hz` that begin at `at_frame`, `skip` are left out and at most `wanted`
    /// taken, to `target_rate_hz` (absent: the first frames' rate).
    pub fn new(
        rate_hz: u32,
        channels: usize,
        at_frame: u64,
        (skip, wanted): (u64, Option<u64>),
        (target_rate_hz, max_secs): (Option<u32>, f64),
    ) -> Result<Self, AudioFileError> {
        let mut stream = Self {
            max_secs,
            target_rate_hz,
            source_rate_hz: rate_hz,
            mixer: Mixer::new(rate_hz, channels, at_frame + skip),
            resampler: None,
            skip,
            left: wanted.unwrap_or(u64::MAX),
            seen: at_frame,
            taken_secs: 0.0,
            mono: Vec::new(),
        };
        stream.make_resampler()?;
        Ok(stream)
    }

    /// The rate of the result.
    pub fn rate_hz(&self) -> u32 {
        self.target_rate_hz.unwrap_or(self.source_rate_hz)
    }

    /// Seconds of the source that were taken.
    pub fn taken_secs(&self) -> f64 {
        self.taken_secs
    }

    /// Seconds of the source that came, counted from its beginning.
    pub fn seen_secs(&self) -> f64 {
        self.seen as f64 / f64::from(self.source_rate_hz)
    }

    pub fn too_long(&self) -> AudioFileError {
        AudioFileError::TooLong {
            max_hours: self.max_secs / 3600.0,
        }
    }

    fn make_resampler(&mut self) -> Result<(), AudioError> {
        let (from, to) = (self.source_rate_hz, self.rate_hz());
        let is_needed = from != to;
        self.resampler = is_needed
            .then(|| StreamResampler::new(from, to))
            .transpose()?;
        Ok(())
    }

    /// The next frames; what is settled is appended to `out`.
    pub fn push(
        &mut self,
        block: &Block,
        out: &mut Vec<f32>,
        notices: &mut Notices,
    ) -> Result<Flow, AudioFileError> {
        let channels = block.channels.max(1);
        if block.rate_hz != self.source_rate_hz || channels != self.mixer.channels() {
            self.change_format(block.rate_hz, channels, out, notices)?;
        }
        let frames = (block.samples.len() / channels) as u64;
        self.seen += frames;
        let skipped = self.skip.min(frames);
        self.skip -= skipped;
        let taken = self.left.min(frames - skipped);
        let from = skipped as usize * channels;
        let samples = &block.samples[from..from + taken as usize * channels];
        if samples.iter().any(|s| !s.is_finite() || s.abs() > 1e6) {
            return Err(AudioFileError::Broken(
                "it has samples that are no numbers".into(),
            ));
        }
        self.left -= taken;
        self.taken_secs += taken as f64 / f64::from(self.source_rate_hz);
        // A ten-millionth for the sum's rounding.
        if self.taken_secs > self.max_secs * (1.0 + 1e-7) {
            return Err(self.too_long());
        }
        self.mixer.push(samples, &mut self.mono, notices);
        self.convert(out)?;
        Ok(if self.left == 0 {
            Flow::Enough
        } else {
            Flow::More
        })
    }

    /// Appends what is held back.
    pub fn finish(
        &mut self,
        out: &mut Vec<f32>,
        notices: &mut Notices,
    ) -> Result<(), AudioFileError> {
        self.mixer.finish(&mut self.mono, notices);
        self.convert(out)?;
        if let Some(resampler) = &mut self.resampler {
            out.extend(resampler.finish()?);
        }
        Ok(())
    }

    fn convert(&mut self, out: &mut Vec<f32>) -> Result<(), AudioFileError> {
        match &mut self.resampler {
            Some(resampler) => out.extend(resampler.push(&self.mono)?),
            None => out.extend_from_slice(&self.mono),
        }
        self.mono.clear();
        Ok(())
    }

    /// From here on the source has another rate or other channels.
    fn change_format(
        &mut self,
        rate_hz: u32,
        channels: usize,
        out: &mut Vec<f32>,
        notices: &mut Notices,
    ) -> Result<(), AudioFileError> {
        self.finish(out, notices)?;
        self.target_rate_hz = Some(self.rate_hz());
        let ratio = f64::from(rate_hz) / f64::from(self.source_rate_hz);
        let scaled = |frames: u64| match frames {
            u64::MAX => u64::MAX,
            frames => (frames as f64 * ratio).round() as u64,
        };
        (self.skip, self.left, self.seen) =
            (scaled(self.skip), scaled(self.left), scaled(self.seen));
        self.source_rate_hz = rate_hz;
        self.mixer = Mixer::new(rate_hz, channels, self.seen + self.skip);
        self.make_resampler()?;
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
