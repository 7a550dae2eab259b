//! Plain samples at a place in a file, as WAV and SPHERE have them.

use crate::audio::AudioError;

use super::bytes::Bytes;
use super::error::AudioFileError;
use super::notice::{AudioNotice, Notices};
use super::{AudioInfo, Block, Decoder};

const BLOCK_FRAMES: u64 = 4096;
/// Less than this is missing from many a file that is whole: its headers were counted as samples.
const UNTOLD_SECS: f64 = 0.1;

/// How one sample is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SampleKind {
    U8,
    I16,
    I24,
    I32,
    F32,
    F64,
    ALaw,
    MuLaw,
}

impl SampleKind {
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::ALaw | Self::MuLaw => 1,
            Self::I16 => 2,
            Self::I24 => 3,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// One little-endian sample as a float in `[-1, 1]`.
    fn read(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Self::U8, &[a]) => (f32::from(a) - 128.0) / 128.0,
            (Self::ALaw, &[a]) => a_law(a),
            (Self::MuLaw, &[a]) => mu_law(a),
            (Self::I16, &[a, b]) => f32::from(i16::from_le_bytes([a, b])) / 32_768.0,
            (Self::I24, &[a, b, c]) => i32::from_le_bytes([0, a, b, c]) as f32 / 2_147_483_648.0,
            (Self::I32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]) as f32 / 2_147_483_648.0,
            (Self::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Self::F64, &[a, b, c, d, e, f, g, h]) => {
                f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32
            }
            _ => 0.0,
        }
    }
}

/// ITU-T G.711 A-law.
fn a_law(byte: u8) -> f32 {
    let byte = byte ^ 0x55;
    let exponent = (byte >> 4) & 7;
    let mantissa = i32::from(byte & 0x0f);
    let magnitude = match exponent {
        0 => (mantissa << 4) + 8,
        e => ((mantissa << 4) + 0x108) << (e - 1),
    };
    let sign = if byte & 0x80 == 0 { -1.0 } else { 1.0 };
    sign * magnitude as f32 / 32_768.0
}

/// ITU-T G.711 mu-law.
fn mu_law(byte: u8) -> f32 {
    let byte = !byte;
    let exponent = (byte >> 4) & 7;
    let magnitude = (((i32::from(byte & 0x0f) << 3) + 0x84) << exponent) - 0x84;
    let sign = if byte & 0x80 == 0 { 1.0 } else { -1.0 };
    sign * magnitude as f32 / 32_768.0
}

/// Where the samples of a file are and what they mean.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PcmLayout {
    pub kind: SampleKind,
    pub big_endian: bool,
    pub channels: usize,
    pub sample_rate_hz: u32,
    pub data_offset: u64,
    /// Bytes of samples that are there.
    pub data_bytes: u64,
    /// Bytes that the header promises; absent where it says nothing.
    pub declared_bytes: Option<u64>,
}

impl PcmLayout {
    fn frame_bytes(&self) -> u64 {
        (self.channels * self.kind.bytes()) as u64
    }

    fn secs(&self, bytes: u64) -> f64 {
        (bytes / self.frame_bytes()) as f64 / f64::from(self.sample_rate_hz)
    }

    /// Limits.
    fn check(&self) -> Result<(), AudioFileError> {
        if !(1..=32).contains(&self.channels) {
            return Err(AudioError::Channels(self.channels).into());
        }
        if !(1000..=768_000).contains(&self.sample_rate_hz) {
            return Err(AudioError::SampleRate(self.sample_rate_hz).into());
        }
        if self.data_bytes < self.frame_bytes() {
            return Err(AudioFileError::NoSamples);
        }
        Ok(())
    }

    /// Seconds that are there and seconds that the header promises, where more than `untold_secs`
    /// is missing.
    fn missing(&self, untold_secs: f64) -> Option<(f64, f64)> {
        let expected_secs = self.secs(self.declared_bytes?);
        let got_secs = self.secs(self.data_bytes);
        (expected_secs > got_secs + untold_secs).then_some((got_secs, expected_secs))
    }
}

/// Plain samples of an open file.
pub(super) struct PcmDecoder<'s> {
    bytes: Bytes<'s>,
    layout: PcmLayout,
    container: &'static str,
    /// Frames before the next block.
    position: u64,
}

impl<'s> PcmDecoder<'s> {
    /// A file that ends early is an error, unless `plays_cut`.
    pub fn new(
        bytes: Bytes<'s>,
        layout: PcmLayout,
        container: &'static str,
        plays_cut: bool,
    ) -> Result<Self, AudioFileError> {
        layout.check()?;
        if let Some((got_secs, expected_secs)) = layout.missing(0.0)
            && !plays_cut
        {
            return Err(AudioFileError::Truncated {
                got_secs,
                expected_secs,
            });
        }
        Ok(Self {
            bytes,
            layout,
            container,
            position: 0,
        })
    }

    fn frames(&self) -> u64 {
        self.layout.data_bytes / self.layout.frame_bytes()
    }
}

impl Decoder for PcmDecoder<'_> {
    fn info(&self) -> AudioInfo {
        AudioInfo {
            container: self.container,
            sample_rate_hz: self.layout.sample_rate_hz,
            channels: self.layout.channels,
            duration_secs: Some(self.layout.secs(self.layout.data_bytes)),
        }
    }

    fn skip_to(&mut self, secs: f64) -> Result<u64, AudioFileError> {
        let frame = (secs * f64::from(self.layout.sample_rate_hz)) as u64;
        self.position = frame.min(self.frames());
        Ok(self.position)
    }

    fn next(&mut self, block: &mut Block, notices: &mut Notices) -> Result<bool, AudioFileError> {
        let layout = &self.layout;
        let wanted = BLOCK_FRAMES.min(self.frames() - self.position);
        let at = layout.data_offset + self.position * layout.frame_bytes();
        let bytes = self
            .bytes
            .at(at, (wanted * layout.frame_bytes()) as usize)?;
        block.channels = layout.channels;
        block.rate_hz = layout.sample_rate_hz;
        block.samples.clear();
        let mut swapped = [0_u8; 8];
        for sample in bytes.chunks_exact(layout.kind.bytes()) {
            let value = if layout.big_endian {
                let swapped = &mut swapped[..sample.len()];
                swapped.copy_from_slice(sample);
                swapped.reverse();
                layout.kind.read(swapped)
            } else {
                layout.kind.read(sample)
            };
            block.samples.push(value);
        }
        let frames = (block.samples.len() / layout.channels) as u64;
        self.position += frames;
        if frames == 0
            && let Some((got_secs, expected_secs)) = layout.missing(UNTOLD_SECS)
        {
            notices.push(AudioNotice::CutShort {
                got_secs,
                expected_secs,
            });
        }
        Ok(frames > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn companded_bytes_give_the_values_of_the_g711_tables() {
        // Table 1a/2a of ITU-T G.711, scaled to 16 bits: extremes and the smallest steps.
        assert_eq!(mu_law(0x00), -32_124.0 / 32_768.0);
        assert_eq!(mu_law(0x80), 32_124.0 / 32_768.0);
        assert_eq!(mu_law(0xff), 0.0);
        assert_eq!(mu_law(0xfe), 8.0 / 32_768.0);
        assert_eq!(a_law(0xd5), 8.0 / 32_768.0);
        assert_eq!(a_law(0x55), -8.0 / 32_768.0);
        assert_eq!(a_law(0xaa), 32_256.0 / 32_768.0);
    }

    #[test]
    fn each_kind_of_sample_reads_half_scale_as_one_half() {
        for (kind, bytes) in [
            (SampleKind::U8, vec![192]),
            (SampleKind::I16, vec![0, 0x40]),
            (SampleKind::I24, vec![0, 0, 0x40]),
            (SampleKind::I32, vec![0, 0, 0, 0x40]),
            (SampleKind::F32, 0.5_f32.to_le_bytes().to_vec()),
            (SampleKind::F64, 0.5_f64.to_le_bytes().to_vec()),
        ] {
            assert_eq!(kind.read(&bytes), 0.5, "{kind:?}");
            assert_eq!(kind.bytes(), bytes.len());
        }
    }
}
