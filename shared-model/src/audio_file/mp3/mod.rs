//! MP3: walked frame by frame, so that tags, joined files and damage cost nothing but themselves.

mod free_format;
mod header;
mod info_tag;
mod walk;

use super::bytes::Bytes;
use super::codec::Codec;
use super::error::AudioFileError;
use super::notice::Notices;
use super::{AudioInfo, Block, Decoder};
use free_format::Repacker;
use header::FrameHeader;
use info_tag::InfoTag;
use walk::{Frame, Step, Walk};

/// Sound before a stretch that the decoder needs to settle.
const PREROLL_SECS: f64 = 1.0;
/// Frames at the start may refer to data that were cut off with what was before them.
const UNTOLD_FRAMES: u64 = 3;
/// Files joined in one; more than these are taken for one.
const MAX_PARTS: usize = 10_000;
/// Silence is given in pieces.
const SILENCE_FRAMES: u64 = 8192;

/// What belongs together: one file of those that were joined, or one format.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    header: FrameHeader,
    tag: Option<InfoTag>,
    /// Where its first frame begins.
    position: u64,
    /// Whole frames of sound.
    frames: u64,
    /// Frames that were lost to damage, by the bytes.
    lost: u64,
}

impl Part {
    /// Frames that were lost: where the tag says how many there were, exactly.
    fn exactly_lost(&self) -> u64 {
        let declared = self.tag.and_then(|tag| tag.frames);
        match declared.and_then(|declared| declared.checked_sub(self.frames)) {
            Some(missing) if self.lost > 0 && missing <= 2 * self.lost + 2 => missing,
            _ => self.lost,
        }
    }

    fn all_frames(&self) -> u64 {
        self.frames + self.exactly_lost()
    }

    /// Samples of one channel before and after the sound, where tag and frames agree.
    fn trim(&self) -> (u64, u64) {
        match self.tag {
            Some(tag) if tag.frames == Some(self.all_frames()) => (tag.delay, tag.padding),
            _ => (0, 0),
        }
    }

    /// First and last sample of the sound.
    fn sound(&self) -> (u64, u64) {
        let (delay, padding) = self.trim();
        let all = self.all_frames() * self.header.samples();
        (delay, all.saturating_sub(padding).max(delay))
    }

    fn secs(&self, frames: u64) -> f64 {
        (frames * self.header.samples()) as f64 / f64::from(self.header.sample_rate_hz)
    }

    /// An error for a file that ends early.
    fn check_end(&self, is_cut: bool, file_bytes: u64) -> Result<(), AudioFileError> {
        let there = self.all_frames();
        let cut_tag = |tag: InfoTag| tag.bytes.is_some_and(|b| self.position + b > file_bytes);
        let is_cut = is_cut || self.tag.is_some_and(cut_tag);
        match self.tag.and_then(|tag| tag.frames) {
            Some(declared) if declared > there + 1 || (declared > there && is_cut) => {
                Err(AudioFileError::Truncated {
                    got_secs: self.secs(there),
                    expected_secs: self.secs(declared),
                })
            }
            None if is_cut => Err(AudioFileError::CutShort {
                got_secs: self.secs(there),
            }),
            _ if there == 0 => Err(AudioFileError::NoSamples),
            _ => Ok(()),
        }
    }
}

pub(super) struct Mp3Decoder<'s> {
    bytes: Bytes<'s>,
    walk: Walk,
    codec: Codec,
    repacker: Repacker,
    parts: Vec<Part>,
    /// Which part is decoded; the first is entered with its first frame.
    part: Option<usize>,
    /// The codec's format.
    format: Option<(u32, bool)>,
    /// Samples of one channel of this part so far, before trimming.
    at: u64,
    /// Frames lost in this part so far: by the bytes, and exactly.
    lost: (u64, u64),
    /// Silence still to give.
    silence: u64,
    /// Samples of one channel that were given or left out.
    given: u64,
    given_secs: f64,
    /// Frames decoded since the start or a jump.
    settled: u64,
}

/// The bytes back where no frames are found.
pub(super) fn open(
    mut bytes: Bytes<'_>,
    start: u64,
) -> Result<Result<Mp3Decoder<'_>, Bytes<'_>>, AudioFileError> {
    let mut start = start;
    let mut first = Walk::open(&mut bytes, start)?;
    if first.is_none() && start > 0 {
        // A tag that claims more than it has.
        start = 0;
        first = Walk::open(&mut bytes, start)?;
    }
    let Some(mut walk) = first else {
        return Ok(Err(bytes));
    };
    let parts = read_parts(&mut bytes, &mut walk)?;
    let Some(first) = parts.first() else {
        return Ok(Err(bytes));
    };
    if first.header.is_free() && !Repacker::has_room(&first.header, walk.free_bytes()) {
        let codec = "MP3 of free format and more than 320 kbit/s".to_owned();
        return Err(AudioFileError::ForeignCodec { codec });
    }
    let Some(walk) = Walk::open(&mut bytes, start)? else {
        return Ok(Err(bytes));
    };
    Ok(Ok(Mp3Decoder {
        bytes,
        walk,
        codec: Codec::mp3()?,
        repacker: Repacker::default(),
        parts,
        part: None,
        format: None,
        at: 0,
        lost: (0, 0),
        silence: 0,
        given: 0,
        given_secs: 0.0,
        settled: 0,
    }))
}

/// Walks once from end to end without decoding.
fn read_parts(bytes: &mut Bytes<'_>, walk: &mut Walk) -> Result<Vec<Part>, AudioFileError> {
    let mut parts: Vec<Part> = Vec::new();
    let (mut is_cut, mut lost_before) = (false, 0);
    while let Some(step) = walk.next(bytes)? {
        match step {
            Step::Frame(frame) => {
                if begins_part(parts.last(), &frame) && parts.len() < MAX_PARTS {
                    parts.push(Part {
                        header: frame.header,
                        tag: frame.tag,
                        position: frame.position,
                        frames: 0,
                        lost: std::mem::take(&mut lost_before),
                    });
                }
                if let Some(part) = parts.last_mut() {
                    part.frames += u64::from(frame.tag.is_none());
                }
            }
            Step::Lost(frames) => match parts.last_mut() {
                Some(part) => part.lost += frames,
                None => lost_before += frames,
            },
            Step::Cut => is_cut = true,
        }
    }
    if let Some(last) = parts.last() {
        last.check_end(is_cut, bytes.len())?;
    }
    Ok(parts)
}

fn begins_part(part: Option<&Part>, frame: &Frame) -> bool {
    frame.tag.is_some() || !part.is_some_and(|part| part.header.is_like(&frame.header))
}

impl Mp3Decoder<'_> {
    fn current(&self) -> &Part {
        &self.parts[self.part.unwrap_or(0).min(self.parts.len() - 1)]
    }

    /// Takes a step of the walk. What it gives is put into `block`, unless that is absent.
    fn step(
        &mut self,
        block: Option<&mut Block>,
        notices: &mut Notices,
    ) -> Result<bool, AudioFileError> {
        match self.walk.next(&mut self.bytes)? {
            None | Some(Step::Cut) => return Ok(false),
            Some(Step::Lost(frames)) => self.lose(frames, block.is_some().then_some(notices)),
            Some(Step::Frame(frame)) => {
                if self.is_first_of_part(&frame) {
                    self.enter_part();
                }
                if frame.tag.is_some() {
                    return Ok(true);
                }
                let range = self.take(frame.header.samples());
                // Delay is decoded, too: what follows builds on it.
                if let Some(block) = block {
                    self.decode(&frame, block, notices)?;
                    let channels = block.channels;
                    block.samples.truncate(range.end * channels);
                    block.samples.drain(..range.start * channels);
                }
            }
        }
        Ok(true)
    }

    fn is_first_of_part(&self, frame: &Frame) -> bool {
        let next = self.part.map_or(0, |part| part + 1);
        self.parts
            .get(next)
            .is_some_and(|part| frame.position >= part.position)
    }

    fn enter_part(&mut self) {
        // What was lost before the first frame is already counted.
        if self.part.is_some() {
            self.at = 0;
            self.lost = (0, 0);
        }
        self.part = Some(self.part.map_or(0, |part| part + 1));
        self.codec.reset();
        self.repacker.reset();
        self.settled = 0;
    }

    /// Counts `samples` of one channel; gives those of them that are not delay or padding.
    fn take(&mut self, samples: u64) -> std::ops::Range<usize> {
        let (from, to) = self.current().sound();
        let start = from.clamp(self.at, self.at + samples) - self.at;
        let end = to.clamp(self.at, self.at + samples) - self.at;
        self.at += samples;
        let end = end.max(start);
        self.given += end - start;
        self.given_secs += (end - start) as f64 / f64::from(self.current().header.sample_rate_hz);
        start as usize..end as usize
    }

    /// Puts silence in the place of lost frames.
    fn lose(&mut self, frames: u64, notices: Option<&mut Notices>) {
        let part = self.current();
        let (lost, exactly) = (part.lost.max(1), part.exactly_lost());
        let samples = part.header.samples();
        let rate_hz = f64::from(part.header.sample_rate_hz);
        self.lost.0 += frames;
        let due = (self.lost.0 as f64 * exactly as f64 / lost as f64).round() as u64;
        let now = due.saturating_sub(self.lost.1);
        self.lost.1 = due;
        let at_secs = self.given_secs;
        let range = self.take(now * samples);
        self.silence += range.len() as u64;
        self.codec.reset();
        self.repacker.reset();
        if let Some(notices) = notices {
            notices.damaged(at_secs, range.len() as f64 / rate_hz);
        }
    }

    /// A whole frame, as silence where it cannot be decoded.
    fn decode(
        &mut self,
        frame: &Frame,
        block: &mut Block,
        notices: &mut Notices,
    ) -> Result<(), AudioFileError> {
        let header = &frame.header;
        let format = (header.sample_rate_hz, header.mono);
        if self.format != Some(format) {
            // The codec keeps to the format of its first frame.
            self.codec = Codec::mp3()?;
            self.format = Some(format);
        }
        let samples = header.samples() as usize * header.channels();
        let packet = self.bytes.at(frame.position, frame.bytes)?;
        let decoded = if header.is_free() {
            let packet = self.repacker.repack(packet, header);
            packet.and_then(|packet| self.codec.decode(&packet, &mut block.samples).ok())
        } else {
            self.codec.decode(packet, &mut block.samples).ok()
        };
        if decoded.is_none() || block.samples.len() != samples {
            block.samples.clear();
            block.samples.resize(samples, 0.0);
            if self.settled >= UNTOLD_FRAMES {
                let secs = header.samples() as f64 / f64::from(header.sample_rate_hz);
                notices.damaged((self.given_secs - secs).max(0.0), secs);
            }
        }
        self.settled += 1;
        block.channels = header.channels();
        block.rate_hz = header.sample_rate_hz;
        Ok(())
    }
}

impl Decoder for Mp3Decoder<'_> {
    fn info(&self) -> AudioInfo {
        let first = &self.parts[0].header;
        let secs = |part: &Part| {
            let (from, to) = part.sound();
            (to - from) as f64 / f64::from(part.header.sample_rate_hz)
        };
        AudioInfo {
            container: "mp3",
            sample_rate_hz: first.sample_rate_hz,
            channels: first.channels(),
            duration_secs: Some(self.parts.iter().map(secs).sum()),
        }
    }

    fn skip_to(&mut self, secs: f64) -> Result<u64, AudioFileError> {
        let rate_hz = self.parts[0].header.sample_rate_hz;
        if self
            .parts
            .iter()
            .any(|part| part.header.sample_rate_hz != rate_hz)
        {
            return Ok(0);
        }
        let target = ((secs - PREROLL_SECS).max(0.0) * f64::from(rate_hz)) as u64;
        let mut untold = Notices::default();
        // A frame more than is stepped over must not pass the target.
        while self.given + 1152 < target && self.step(None, &mut untold)? {
            if self.given + 1152 < target {
                self.silence = 0;
            }
        }
        let skipped = self.given - self.silence;
        self.settled = 0;
        Ok(skipped)
    }

    fn next(&mut self, block: &mut Block, notices: &mut Notices) -> Result<bool, AudioFileError> {
        block.samples.clear();
        let mut is_more = true;
        while is_more && block.samples.is_empty() {
            if self.silence == 0 {
                is_more = self.step(Some(&mut *block), notices)?;
            }
            if self.silence > 0 {
                let header = self.current().header;
                let now = self.silence.min(SILENCE_FRAMES);
                self.silence -= now;
                block.channels = header.channels();
                block.rate_hz = header.sample_rate_hz;
                block.samples.resize(now as usize * block.channels, 0.0);
            }
        }
        Ok(!block.samples.is_empty())
    }
}
