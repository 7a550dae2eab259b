//! A walk from frame to frame. An MP3 is a row of frames and nothing else: no header of the file,
//! no end mark, tags of other conventions before, between and after. The walk steps over tags,
//! finds the next frame after damage, and says how many frames were lost there.

use super::header::FrameHeader;
use super::info_tag::InfoTag;
use crate::audio_file::bytes::Bytes;
use crate::audio_file::error::AudioFileError;
use crate::audio_file::tags;

/// A first frame is looked for this far.
const MAX_LEADING_BYTES: u64 = 1 << 20;
/// Unknown bytes before the first and after the last frame are lost sound up to here.
const MAX_LOST_AT_ENDS_BYTES: u64 = 16_384;
/// Frames in a row that make a format believable where nothing was known before, or where frames of
/// the known format are found again.
const NEW_FORMAT_FRAMES: usize = 4;
const KNOWN_FORMAT_FRAMES: usize = 2;
/// Longest frame of free format that is looked for.
const MAX_FREE_BYTES: u64 = 6_000;
/// Frames whose mean length is the measure of what was lost.
const RECENT_FRAMES: f64 = 32.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    pub position: u64,
    pub bytes: usize,
    pub header: FrameHeader,
    pub tag: Option<InfoTag>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    Frame(Frame),
    /// Damage that was this many frames long.
    Lost(u64),
    /// The file ends inside a frame.
    Cut,
}

pub(super) struct Walk {
    position: u64,
    last: Option<FrameHeader>,
    /// Whether a frame ended here.
    is_synced: bool,
    /// Length of frames of free format, without padding.
    free_bytes: u64,
    mean_bytes: f64,
}

enum Next {
    Frame(FrameHeader),
    EndOrTag,
    Cut,
    Junk,
}

impl Walk {
    /// Begins at the first frame at or after `start`, if there is one.
    pub fn open(bytes: &mut Bytes<'_>, start: u64) -> Result<Option<Self>, AudioFileError> {
        let mut walk = Self {
            position: start,
            last: None,
            is_synced: false,
            free_bytes: 0,
            mean_bytes: 0.0,
        };
        let to = (start + MAX_LEADING_BYTES).min(bytes.len());
        let found = walk.find_frame(bytes, start, to)?;
        Ok(found.is_some().then_some(walk))
    }

    /// Length of frames of free format, 0 if there was none.
    pub fn free_bytes(&self) -> u64 {
        self.free_bytes
    }

    pub fn next(&mut self, bytes: &mut Bytes<'_>) -> Result<Option<Step>, AudioFileError> {
        while self.position + 4 <= bytes.len() {
            if let Some(step) = self.step_here(bytes)? {
                return Ok(Some(step));
            }
            let tag = tags::tag_bytes(bytes, self.position)?;
            // One that claims more than there is has a wrong size.
            if let Some(length) = tag.filter(|length| self.position + length <= bytes.len()) {
                self.position += length;
                self.is_synced = false;
                continue;
            }
            let lost = self.resync(bytes)?;
            if lost > 0 {
                return Ok(Some(Step::Lost(lost)));
            }
        }
        Ok(None)
    }

    /// The frame at this very place, if it can be one.
    fn step_here(&mut self, bytes: &mut Bytes<'_>) -> Result<Option<Step>, AudioFileError> {
        let Some(header) = FrameHeader::parse(bytes.at(self.position, 4)?) else {
            return Ok(None);
        };
        let known = self.last.filter(|last| last.is_like(&header));
        if known.is_none() && !self.is_row(bytes, self.position, header, NEW_FORMAT_FRAMES)? {
            return Ok(None);
        }
        let length = self.length(bytes, self.position, header)?;
        let end = self.position + length;
        let next = self.look(bytes, end, header)?;
        let Some(last) = known.filter(|_| self.is_synced) else {
            return Ok(match next {
                Next::Junk | Next::Cut => None,
                _ => Some(self.accept(bytes, header, length)?),
            });
        };
        match next {
            Next::Cut => {
                let usual = self.position + last.frame_bytes(self.free_bytes);
                self.position = bytes.len();
                // A last frame whose header has a wrong length.
                let is_damaged = usual == bytes.len();
                Ok(Some(if is_damaged { Step::Lost(1) } else { Step::Cut }))
            }
            // One frame with other channels than both its neighbours has a damaged header.
            Next::Frame(next) if header.mono != last.mono && next.mono == last.mono => {
                self.position = end;
                Ok(Some(Step::Lost(1)))
            }
            Next::Junk => {
                // Either this header has a wrong length, or the next frame is damaged.
                let usual = self.position + last.frame_bytes(self.free_bytes);
                let is_end = usual == bytes.len();
                if usual != end && (is_end || self.is_row(bytes, usual, last, 1)?) {
                    self.position = usual;
                    return Ok(Some(Step::Lost(1)));
                }
                Ok(Some(self.accept(bytes, header, length)?))
            }
            _ => Ok(Some(self.accept(bytes, header, length)?)),
        }
    }

    fn accept(
        &mut self,
        bytes: &mut Bytes<'_>,
        header: FrameHeader,
        length: u64,
    ) -> Result<Step, AudioFileError> {
        let position = self.position;
        let tag = InfoTag::find(bytes.at(position, length.min(256) as usize)?, &header);
        if tag.is_none() {
            let is_like = self.last.is_some_and(|last| last.is_like(&header));
            if !is_like || self.mean_bytes == 0.0 {
                self.mean_bytes = length as f64;
            }
            self.mean_bytes += (length as f64 - self.mean_bytes) / RECENT_FRAMES;
        }
        self.last = Some(header);
        self.is_synced = true;
        self.position += length;
        Ok(Step::Frame(Frame {
            position,
            bytes: length as usize,
            header,
            tag,
        }))
    }

    /// Goes on to the next frame or tag behind damage; gives the number of frames that were lost.
    fn resync(&mut self, bytes: &mut Bytes<'_>) -> Result<u64, AudioFileError> {
        let from = self.position;
        let found = self.find_frame(bytes, from + 1, bytes.len())?;
        let to = found.unwrap_or(bytes.len());
        let is_first = self.last.is_none();
        self.position = to;
        self.is_synced = false;
        let lost = to - from;
        let at_an_end = is_first || found.is_none();
        if (at_an_end && lost > MAX_LOST_AT_ENDS_BYTES) || tags::holds_tag(bytes, from, to)? {
            return Ok(0);
        }
        let is_padding = lost <= MAX_LOST_AT_ENDS_BYTES
            && bytes.at(from, lost as usize)?.iter().all(|byte| *byte == 0);
        if at_an_end && is_padding {
            return Ok(0);
        }
        let mut mean = self.mean_bytes;
        if let Some(header) = FrameHeader::parse(bytes.at(to, 4)?)
            && is_first
        {
            if InfoTag::find(bytes.at(to, 256)?, &header).is_some() {
                return Ok(0);
            }
            mean = self.length(bytes, to, header)? as f64;
        }
        Ok((lost as f64 / mean.max(24.0)).round() as u64)
    }

    /// The first place from `from` on where a row of frames or a tag begins.
    fn find_frame(
        &mut self,
        bytes: &mut Bytes<'_>,
        from: u64,
        to: u64,
    ) -> Result<Option<u64>, AudioFileError> {
        const WINDOW: usize = 1 << 14;
        let mut position = from;
        while position + 4 <= to {
            let window = bytes.at(position, WINDOW)?;
            let last = window.len().saturating_sub(3);
            let candidate = window[..last].iter().enumerate().find(|(at, byte)| {
                let word = &window[*at..];
                match byte {
                    0xff => FrameHeader::parse(word).is_some(),
                    b'I' => word.starts_with(b"ID3") && word[3] < 5,
                    _ => false,
                }
            });
            let Some((at, byte)) = candidate.map(|(at, byte)| (at as u64, *byte)) else {
                position += last.max(1) as u64;
                continue;
            };
            position += at;
            if position + 4 > to {
                break;
            }
            if byte == b'I' {
                if self.last.is_some() && tags::tag_bytes(bytes, position)?.is_some() {
                    return Ok(Some(position));
                }
            } else if let Some(header) = FrameHeader::parse(bytes.at(position, 4)?) {
                let is_known = self.last.is_some_and(|last| last.is_like(&header));
                let frames = if is_known {
                    KNOWN_FORMAT_FRAMES
                } else {
                    NEW_FORMAT_FRAMES
                };
                if self.is_row(bytes, position, header, frames)? {
                    return Ok(Some(position));
                }
            }
            position += 1;
        }
        Ok(None)
    }

    /// Whether a frame is at `position` and `count` like it follow, or the file or its sound ends
    /// before.
    fn is_row(
        &mut self,
        bytes: &mut Bytes<'_>,
        position: u64,
        header: FrameHeader,
        count: usize,
    ) -> Result<bool, AudioFileError> {
        let here = FrameHeader::parse(bytes.at(position, 4)?);
        if !here.is_some_and(|here| here.is_like(&header)) {
            return Ok(false);
        }
        let mut header = here.unwrap_or(header);
        let mut position = position;
        for index in 0..count {
            let length = self.length(bytes, position, header)?;
            if length < 24 {
                return Ok(false);
            }
            position += length;
            match self.look(bytes, position, header)? {
                Next::Frame(next) => header = next,
                // One frame at the end of much else is chance.
                Next::EndOrTag => return Ok(index > 0 || self.last.is_some()),
                Next::Cut => return Ok(index > 0),
                Next::Junk => return Ok(false),
            }
        }
        Ok(true)
    }

    /// What is at the end of a frame.
    fn look(
        &mut self,
        bytes: &mut Bytes<'_>,
        end: u64,
        header: FrameHeader,
    ) -> Result<Next, AudioFileError> {
        if end > bytes.len() {
            return Ok(Next::Cut);
        }
        // Three bytes are no frame and no tag.
        if end + 4 > bytes.len() {
            return Ok(Next::EndOrTag);
        }
        let next = FrameHeader::parse(bytes.at(end, 4)?);
        Ok(match next.filter(|next| next.is_like(&header)) {
            Some(next) => Next::Frame(next),
            None if tags::tag_bytes(bytes, end)?.is_some() => Next::EndOrTag,
            None => Next::Junk,
        })
    }

    /// Length of a frame. That of free format is the distance to the next header like it.
    fn length(
        &mut self,
        bytes: &mut Bytes<'_>,
        position: u64,
        header: FrameHeader,
    ) -> Result<u64, AudioFileError> {
        if !header.is_free() {
            return Ok(header.frame_bytes(0));
        }
        let is_known = self
            .last
            .is_some_and(|last| last.is_free() && last.is_like(&header));
        if !is_known {
            self.free_bytes = free_bytes(bytes, position, header)?.unwrap_or(0);
        }
        Ok(header.frame_bytes(self.free_bytes))
    }
}

/// Length of frames of free format without padding: a distance at which two headers follow.
fn free_bytes(
    bytes: &mut Bytes<'_>,
    position: u64,
    header: FrameHeader,
) -> Result<Option<u64>, AudioFileError> {
    let padding = header.frame_bytes(0);
    for distance in 24 + padding..MAX_FREE_BYTES {
        let Some(next) = FrameHeader::parse(bytes.at(position + distance, 4)?) else {
            continue;
        };
        if !next.is_like(&header) || next.mono != header.mono {
            continue;
        }
        let free_bytes = distance - padding;
        let third = position + distance + next.frame_bytes(free_bytes);
        let is_third = third + 4 > bytes.len()
            || FrameHeader::parse(bytes.at(third, 4)?).is_some_and(|third| third.is_like(&header));
        if is_third {
            return Ok(Some(free_bytes));
        }
    }
    Ok(None)
}
