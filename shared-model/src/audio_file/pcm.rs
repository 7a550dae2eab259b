//! Plain samples at a place in a file, as WAV and SPHERE have them.

use std::io::{BufReader, Read, SeekFrom};

use crate::audio::AudioError;

use super::error::AudioFileError;
use super::sink::{Flow, MonoSink, stretch};
use super::{AudioInfo, Source};

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

    /// Limits, and whether the file has what its header promises.
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
        match self.declared_bytes {
            Some(declared) if declared > self.data_bytes => Err(AudioFileError::Truncated {
                got_secs: self.secs(self.data_bytes),
                expected_secs: self.secs(declared),
            }),
            _ => Ok(()),
        }
    }

    pub fn info(&self, container: &'static str) -> Result<AudioInfo, AudioFileError> {
        self.check()?;
        Ok(AudioInfo {
            container,
            sample_rate_hz: self.sample_rate_hz,
            channels: self.channels,
            duration_secs: Some(self.secs(self.data_bytes)),
        })
    }

    pub fn decode(
        &self,
        source: Source<'_>,
        offset_secs: f64,
        duration_secs: Option<f64>,
        sink: &mut MonoSink,
    ) -> Result<(), AudioFileError> {
        self.check()?;
        let frames = self.data_bytes / self.frame_bytes();
        let (first, wanted) = stretch(self.sample_rate_hz, offset_secs, duration_secs);
        if first >= frames {
            return Err(AudioFileError::OffsetPastEnd {
                offset_secs,
                length_secs: self.secs(self.data_bytes),
            });
        }
        sink.begin(self.sample_rate_hz, Some(frames - first), 0, wanted)?;
        source.seek(SeekFrom::Start(
            self.data_offset + first * self.frame_bytes(),
        ))?;
        let left = (frames - first).min(wanted.unwrap_or(u64::MAX)) * self.frame_bytes();
        let mut reader = BufReader::with_capacity(1 << 16, source).take(left);
        let sample_bytes = self.kind.bytes();
        let mut bytes = vec![0_u8; self.frame_bytes() as usize * 4096];
        let mut samples = Vec::with_capacity(self.channels * 4096);
        loop {
            let filled = fill(&mut reader, &mut bytes)?;
            if filled == 0 {
                return Ok(());
            }
            samples.clear();
            for sample in bytes[..filled].chunks_exact_mut(sample_bytes) {
                if self.big_endian {
                    sample.reverse();
                }
                samples.push(self.kind.read(sample));
            }
            if sink.push(&samples, self.channels)? == Flow::Enough {
                return Ok(());
            }
        }
    }
}

/// Reads until `buffer` is full or the input ends.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
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
