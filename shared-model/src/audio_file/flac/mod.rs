//! FLAC, frame by frame. What follows the last frame does not matter; a frame whose checksum is wrong
//! is silence, and frames carry their place, so that nothing after it moves.

pub(super) mod frame;

use super::bytes::Bytes;
use super::codec::Codec;
use super::error::AudioFileError;
use super::notice::Notices;
use super::{AudioInfo, Block, Decoder};
use frame::{FrameHeader, StreamInfo, find_header, frame_end, header_at};

const MAX_METADATA_BLOCKS: usize = 10_000;
/// The last frame is looked for backwards in windows of this size.
const WINDOW_BYTES: u64 = 1 << 18;
/// A jump that lands within this is near enough.
const NEAR_BYTES: u64 = 1 << 17;
/// A hole of more than this is no hole but a wrong number.
const MAX_HOLE_SECS: u64 = 3600;
const SILENCE_FRAMES: u64 = 8192;

pub(super) struct FlacDecoder<'s> {
    bytes: Bytes<'s>,
    info: StreamInfo,
    codec: Codec,
    /// Number of the first sample of all.
    base: u64,
    /// Number of the sample after the last.
    end: u64,
    /// Where the first frame begins.
    first_frame: u64,
    /// Where the next frame should begin.
    position: u64,
    /// Number of the next sample.
    at: u64,
    silence: u64,
}

pub(super) fn open(mut bytes: Bytes<'_>, start: u64) -> Result<FlacDecoder<'_>, AudioFileError> {
    let (info, frames_at) = read_metadata(&mut bytes, start)?;
    let codec = Codec::flac(&info.block)?;
    let all = (frames_at, bytes.len());
    let Some((first_frame, first)) = find_header(&mut bytes, &info, all, |_| true)? else {
        return Err(AudioFileError::NoSamples);
    };
    let mut decoder = FlacDecoder {
        bytes,
        info,
        codec,
        base: first.first,
        end: 0,
        first_frame,
        position: first_frame,
        at: first.first,
        silence: 0,
    };
    decoder.end = decoder.find_end()?;
    Ok(decoder)
}

/// Stream information, and where the metadata end.
fn read_metadata(bytes: &mut Bytes<'_>, start: u64) -> Result<(StreamInfo, u64), AudioFileError> {
    let mut info = None;
    let mut position = start + 4;
    for _ in 0..MAX_METADATA_BLOCKS {
        let [kind, a, b, c]: [u8; 4] = bytes.array(position)?;
        let size = u64::from(u32::from_be_bytes([0, a, b, c]));
        if kind & 0x7f == 0 && info.is_none() {
            info = Some(StreamInfo::parse(bytes.at(position + 4, 34)?)?);
        }
        position += 4 + size;
        if kind & 0x80 != 0 || position >= bytes.len() {
            break;
        }
    }
    let info = info.ok_or(AudioFileError::NoSamples)?;
    Ok((info, position))
}

impl FlacDecoder<'_> {
    fn secs(&self, samples: u64) -> f64 {
        samples as f64 / f64::from(self.info.sample_rate_hz)
    }

    /// The end of the last whole frame, looked for from the end of the file; an error where the file
    /// ends early.
    fn find_end(&mut self) -> Result<u64, AudioFileError> {
        let expected = self.info.total.map(|total| self.base + total);
        let fits = |header: &FrameHeader| expected.is_none_or(|end| header.end() <= end);
        let (mut to, mut cut) = (self.bytes.len(), false);
        while to > self.first_frame {
            let from = to.saturating_sub(WINDOW_BYTES).max(self.first_frame);
            let mut headers = Vec::new();
            let mut position = from;
            while let Some((at, header)) =
                find_header(&mut self.bytes, &self.info, (position, to), fits)?
            {
                headers.push((at, header));
                position = at + 1;
            }
            while let Some((at, header)) = headers.pop() {
                if self.is_whole(at, header)? {
                    return self.judge_end(header.end(), expected, cut);
                }
                cut |= headers
                    .last()
                    .is_some_and(|(_, before)| before.end() == header.first);
            }
            to = from;
        }
        Err(AudioFileError::NoSamples)
    }

    fn judge_end(
        &self,
        end: u64,
        expected: Option<u64>,
        is_cut: bool,
    ) -> Result<u64, AudioFileError> {
        let got_secs = self.secs(end.saturating_sub(self.base));
        match expected {
            Some(expected) if expected > end => Err(AudioFileError::Truncated {
                got_secs,
                expected_secs: self.secs(expected - self.base),
            }),
            None if is_cut => Err(AudioFileError::CutShort { got_secs }),
            _ if end <= self.base => Err(AudioFileError::NoSamples),
            _ => Ok(end),
        }
    }

    /// Whether a frame is there in full: its checksum is right, and it can be decoded.
    fn is_whole(&mut self, at: u64, header: FrameHeader) -> Result<bool, AudioFileError> {
        let end = frame_end(&mut self.bytes, at, header, &self.info)?;
        if !end.is_whole {
            return Ok(false);
        }
        let packet = self.bytes.at(at, end.packet_bytes)?;
        Ok(self.codec.decode(packet, &mut Vec::new()).is_ok())
    }

    /// Decodes the frame at the position, if it is there and continues the sound.
    fn frame_here(
        &mut self,
        block: &mut Block,
        notices: &mut Notices,
    ) -> Result<bool, AudioFileError> {
        let Some(header) = header_at(&mut self.bytes, self.position, &self.info)? else {
            return Ok(false);
        };
        if header.first != self.at {
            return Ok(false);
        }
        let end = frame_end(&mut self.bytes, self.position, header, &self.info)?;
        let packet = self.bytes.at(self.position, end.packet_bytes)?;
        let channels = self.info.channels;
        let is_sound = end.is_whole && self.codec.decode(packet, &mut block.samples).is_ok();
        let samples = header.samples as usize * channels;
        if !is_sound || block.samples.len() != samples {
            block.samples.clear();
            block.samples.resize(samples, 0.0);
            notices.damaged(self.secs(self.at - self.base), self.secs(header.samples));
        }
        self.at = header.end();
        self.position = end.position;
        Ok(true)
    }

    /// Goes on to the next frame behind damage.
    fn find_next(&mut self, notices: &mut Notices) -> Result<bool, AudioFileError> {
        let (at, end) = (self.at, self.end);
        let furthest = at + MAX_HOLE_SECS * u64::from(self.info.sample_rate_hz);
        let fits =
            |header: &FrameHeader| (at..=furthest).contains(&header.first) && header.end() <= end;
        let rest = (self.position, self.bytes.len());
        let Some((position, header)) = find_header(&mut self.bytes, &self.info, rest, fits)? else {
            return Ok(false);
        };
        self.position = position;
        self.silence = header.first - at;
        if self.silence > 0 {
            notices.damaged(self.secs(at - self.base), self.secs(self.silence));
        }
        Ok(true)
    }
}

impl Decoder for FlacDecoder<'_> {
    fn info(&self) -> AudioInfo {
        AudioInfo {
            container: "flac",
            sample_rate_hz: self.info.sample_rate_hz,
            channels: self.info.channels,
            duration_secs: Some(self.secs(self.end - self.base)),
        }
    }

    fn skip_to(&mut self, secs: f64) -> Result<u64, AudioFileError> {
        let target = self.base + (secs * f64::from(self.info.sample_rate_hz)) as u64;
        let (mut low, mut high) = (self.first_frame, self.bytes.len());
        while high - low > NEAR_BYTES {
            let middle = low + (high - low) / 2;
            let (base, end) = (self.base, self.end);
            let fits = |header: &FrameHeader| header.first >= base && header.end() <= end;
            let range = (middle, high);
            match find_header(&mut self.bytes, &self.info, range, fits)? {
                Some((at, header)) if header.first <= target && self.is_whole(at, header)? => {
                    low = at;
                    (self.position, self.at) = (at, header.first);
                }
                _ => high = middle,
            }
        }
        Ok(self.at - self.base)
    }

    fn next(&mut self, block: &mut Block, notices: &mut Notices) -> Result<bool, AudioFileError> {
        block.channels = self.info.channels;
        block.rate_hz = self.info.sample_rate_hz;
        block.samples.clear();
        while self.at < self.end {
            if self.silence > 0 {
                let now = self.silence.min(SILENCE_FRAMES);
                self.silence -= now;
                self.at += now;
                block.samples.resize(now as usize * block.channels, 0.0);
                return Ok(true);
            }
            if self.frame_here(block, notices)? {
                return Ok(true);
            }
            if !self.find_next(notices)? {
                break;
            }
        }
        Ok(false)
    }
}
