//! Opus (RFC 6716) by `opus-pure`: a port of libopus in Rust without a dependency, as fast, and equal
//! to it up to rounding.

use opus_pure::{OpusDecoder, OpusMSDecoder};

use super::codec::Undecodable;
use super::error::AudioFileError;

/// Opus is decoded at this rate, whatever it was made from.
pub(super) const SAMPLE_RATE_HZ: u32 = 48_000;
/// The longest packet: 120 ms.
const MAX_PACKET_FRAMES: usize = 5760;

pub(super) struct OpusStream {
    decoder: Streams,
    channels: usize,
    skip: u64,
    gain: f32,
}

enum Streams {
    One(Box<OpusDecoder>),
    Several(Box<OpusMSDecoder>),
}

impl OpusStream {
    /// By the identification header (RFC 7845 section 5.1).
    pub fn new(head: &[u8]) -> Result<Self, AudioFileError> {
        let broken = || AudioFileError::Broken("its Opus header makes no sense".into());
        let byte = |at: usize| head.get(at).copied().ok_or_else(broken);
        let channels = usize::from(byte(9)?);
        if !(1..=32).contains(&channels) {
            return Err(broken());
        }
        let rate_hz = SAMPLE_RATE_HZ as i32;
        let decoder = match byte(18)? {
            0 => OpusDecoder::new(rate_hz, channels).map(|one| Streams::One(Box::new(one))),
            family => OpusMSDecoder::new(rate_hz, channels, family)
                .map(|several| Streams::Several(Box::new(several))),
        };
        let decoder = decoder.map_err(|_| broken())?;
        // The gain has 8 bits after the point, in decibels.
        let gain_db = f32::from(i16::from_le_bytes([byte(16)?, byte(17)?])) / 256.0;
        Ok(Self {
            decoder,
            channels,
            skip: u64::from(u16::from_le_bytes([byte(10)?, byte(11)?])),
            gain: 10.0_f32.powf(gain_db / 20.0),
        })
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Frames at the beginning that are not meant to be heard.
    pub fn skip(&self) -> u64 {
        self.skip
    }

    pub fn reset(&mut self) {
        // It fails for no state that a decoder can be in.
        let _ = match &mut self.decoder {
            Streams::One(decoder) => decoder.reset_state(),
            Streams::Several(decoder) => decoder.reset_state(),
        };
    }

    /// Decodes a packet into interleaved samples; gives the number of channels.
    pub fn decode(&mut self, packet: &[u8], samples: &mut Vec<f32>) -> Result<usize, Undecodable> {
        samples.clear();
        if packet.is_empty() {
            return Err(Undecodable);
        }
        samples.resize(MAX_PACKET_FRAMES * self.channels, 0.0);
        let decoded = match &mut self.decoder {
            Streams::One(decoder) => decoder.decode(packet, MAX_PACKET_FRAMES, samples),
            Streams::Several(decoder) => decoder.decode(packet, MAX_PACKET_FRAMES, samples),
        };
        let frames = decoded.map_err(|_| Undecodable)?;
        samples.truncate(frames * self.channels);
        if self.gain != 1.0 {
            samples.iter_mut().for_each(|sample| *sample *= self.gain);
        }
        Ok(self.channels)
    }
}
