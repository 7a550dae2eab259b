//! Opus (RFC 6716) by `opus-decoder`: pure Rust without unsafe code, and held to the test vectors of
//! RFC 8251.

use opus_decoder::OpusMultistreamDecoder;

use super::codec::Undecodable;
use super::error::AudioFileError;

/// Opus is decoded at this rate, whatever it was made from.
pub(super) const SAMPLE_RATE_HZ: u32 = 48_000;
/// The longest packet: 120 ms.
const MAX_PACKET_FRAMES: usize = 5760;

pub(super) struct OpusStream {
    decoder: OpusMultistreamDecoder,
    channels: usize,
    skip: u64,
    gain: f32,
}

impl OpusStream {
    /// By the identification header (RFC 7845 section 5.1).
    pub fn new(head: &[u8]) -> Result<Self, AudioFileError> {
        let broken = || AudioFileError::Broken("its Opus header makes no sense".into());
        let byte = |at: usize| head.get(at).copied().ok_or_else(broken);
        let channels = usize::from(byte(9)?);
        let (streams, coupled, mapping) = match byte(18)? {
            0 => (1, channels.saturating_sub(1), vec![0, 1]),
            _ => (
                usize::from(byte(19)?),
                usize::from(byte(20)?),
                head.get(21..21 + channels).ok_or_else(broken)?.to_vec(),
            ),
        };
        if !(1..=32).contains(&channels) || streams > 32 || mapping.len() < channels {
            return Err(broken());
        }
        let mapping = &mapping[..channels];
        let decoder =
            OpusMultistreamDecoder::new(SAMPLE_RATE_HZ, channels, streams, coupled, mapping)
                .map_err(|_| broken())?;
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
        self.decoder.reset();
    }

    /// Decodes a packet into interleaved samples; gives the number of channels.
    pub fn decode(&mut self, packet: &[u8], samples: &mut Vec<f32>) -> Result<usize, Undecodable> {
        samples.clear();
        if packet.is_empty() {
            return Err(Undecodable);
        }
        samples.resize(MAX_PACKET_FRAMES * self.channels, 0.0);
        let frames = self
            .decoder
            .decode_float(packet, samples, false)
            .map_err(|_| Undecodable)?;
        samples.truncate(frames * self.channels);
        if self.gain != 1.0 {
            samples.iter_mut().for_each(|sample| *sample *= self.gain);
        }
        Ok(self.channels)
    }
}
