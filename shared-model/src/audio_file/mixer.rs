//! Channels to one. The mean, except where channels cancel each other: then one of them.

#[cfg(test)]
mod tests;

use super::notice::{AudioNotice, Notices};

/// Channels are judged over this long.
const WINDOW_SECS: f32 = 0.5;
/// The change from the mean to a channel, and back, takes this long.
const FADE_SECS: f32 = 0.01;
/// Power of the mean relative to what unrelated channels would give it (1): below this the
/// channels cancel. The better half of an inverted pair has no more than that left.
const CANCELLING: f32 = 0.1;
/// They cancel no longer from here on.
const NOT_CANCELLING: f32 = 0.5;
/// Mean power under which a window says nothing.
const SILENT_POWER: f32 = 1e-9;

/// Mixes interleaved frames of one format.
pub(super) struct Mixer {
    rate_hz: u32,
    channels: usize,
    /// Interleaved samples of the window that is not judged yet.
    window: Vec<f32>,
    /// Absent: the mean of all.
    chosen: Option<usize>,
    judged: bool,
    /// Frames before the window, from the file's beginning.
    at_frame: u64,
}

impl Mixer {
    /// `at_frame`: place of the first frame in the file.
    pub fn new(rate_hz: u32, channels: usize, at_frame: u64) -> Self {
        Self {
            rate_hz,
            channels: channels.max(1),
            window: Vec::new(),
            chosen: None,
            judged: false,
            at_frame,
        }
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    fn frames(&self, secs: f32) -> usize {
        ((secs * self.rate_hz as f32) as usize).max(1)
    }

    /// Takes interleaved frames, and appends what is settled to `mono`.
    pub fn push(&mut self, interleaved: &[f32], mono: &mut Vec<f32>, notices: &mut Notices) {
        if self.channels == 1 {
            mono.extend_from_slice(interleaved);
            return;
        }
        let window = self.frames(WINDOW_SECS) * self.channels;
        let mut rest = interleaved;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(window - self.window.len()));
            self.window.extend_from_slice(now);
            rest = later;
            if self.window.len() == window {
                self.mix_window(mono, notices);
            }
        }
    }

    /// What is held back.
    pub fn finish(&mut self, mono: &mut Vec<f32>, notices: &mut Notices) {
        if !self.window.is_empty() {
            self.mix_window(mono, notices);
        }
    }

    fn mix_window(&mut self, mono: &mut Vec<f32>, notices: &mut Notices) {
        let before = self.chosen;
        // A short rest of a longer file goes on as before.
        if !self.judged || self.window.len() >= self.frames(WINDOW_SECS / 4.0) * self.channels {
            self.judge();
        }
        if let Some(channel) = self.chosen.filter(|_| self.chosen != before) {
            let at_secs = self.at_frame as f64 / f64::from(self.rate_hz);
            notices.push(AudioNotice::ChannelsCancel { at_secs, channel });
        }
        let fade = if before == self.chosen || !self.judged {
            0
        } else {
            self.frames(FADE_SECS)
        };
        self.judged = true;
        let share = 1.0 / self.channels as f32;
        let value = |chosen: Option<usize>, frame: &[f32]| match chosen {
            Some(channel) => frame[channel],
            None => frame.iter().sum::<f32>() * share,
        };
        for (index, frame) in self.window.chunks_exact(self.channels).enumerate() {
            let now = value(self.chosen, frame);
            mono.push(if index < fade {
                let weight = index as f32 / fade as f32;
                value(before, frame) * (1.0 - weight) + now * weight
            } else {
                now
            });
        }
        self.at_frame += (self.window.len() / self.channels) as u64;
        self.window.clear();
    }

    /// Decides between the mean and a channel for this window.
    fn judge(&mut self) {
        let mut powers = vec![0.0_f32; self.channels];
        let mut of_sum = 0.0_f32;
        for frame in self.window.chunks_exact(self.channels) {
            for (power, sample) in powers.iter_mut().zip(frame) {
                *power += sample * sample;
            }
            let sum: f32 = frame.iter().sum();
            of_sum += sum * sum;
        }
        let total: f32 = powers.iter().sum();
        if total.is_nan() || total <= SILENT_POWER * self.window.len() as f32 {
            return;
        }
        let ratio = of_sum / total;
        let loudest = (0..powers.len())
            .max_by(|&a, &b| powers[a].total_cmp(&powers[b]).then(b.cmp(&a)))
            .unwrap_or(0);
        self.chosen = match self.chosen {
            None if ratio < CANCELLING => Some(loudest),
            Some(_) if ratio > NOT_CANCELLING => None,
            Some(channel) if powers[channel] * 100.0 < powers[loudest] => Some(loudest),
            other => other,
        };
    }
}
