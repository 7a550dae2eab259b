//! Ogg: streams one after another, pages with checksums and with places in time.

mod codec;
mod links;
mod packets;
mod page;

use super::bytes::Bytes;
use super::error::AudioFileError;
use super::notice::Notices;
use super::{AudioInfo, Block, Decoder};
use links::{Link, LinkReader, longest_hole, read_links};
use page::{Found, Page, page_at};

/// Sound before a stretch that decoders need to settle.
const PREROLL_SECS: f64 = 1.0;
const SILENCE_FRAMES: u64 = 8192;

pub(super) struct OggDecoder<'s> {
    bytes: Bytes<'s>,
    links: Vec<Link>,
    /// The link that is read, and its reader.
    link: usize,
    reader: LinkReader,
    /// Where the next page should begin.
    position: u64,
    origin: i64,
    /// Decoded frames of this link, lost ones as well.
    decoded: u64,
    /// Sound that waits until a granule says where it belongs.
    held: Vec<f32>,
    /// Something was lost since the last granule.
    is_lost: bool,
    /// The decoder begins in the middle: what is lost so is not worth saying.
    is_settling: bool,
    silence: u64,
    given_secs: f64,
}

pub(super) fn open(mut bytes: Bytes<'_>, start: u64) -> Result<OggDecoder<'_>, AudioFileError> {
    let links = read_links(&mut bytes, start)?;
    let (position, origin) = (links[0].start, links[0].origin);
    Ok(OggDecoder {
        bytes,
        links,
        link: 0,
        reader: LinkReader::new(),
        position,
        origin,
        decoded: 0,
        held: Vec::new(),
        is_lost: false,
        is_settling: false,
        silence: 0,
        given_secs: 0.0,
    })
}

impl OggDecoder<'_> {
    fn current(&self) -> &Link {
        &self.links[self.link]
    }

    fn secs(&self, frames: u64) -> f64 {
        frames as f64 / f64::from(self.current().sample_rate_hz)
    }

    /// Counts `frames` more; gives those of them that are to be heard.
    fn take(&mut self, frames: u64) -> std::ops::Range<usize> {
        let Link { skip, total, .. } = *self.current();
        let (from, to) = (self.decoded, self.decoded + frames);
        let start = skip.clamp(from, to) - from;
        let end = (total.clamp(from, to) - from).max(start);
        self.decoded = to;
        self.given_secs += self.secs(end - start);
        start as usize..end as usize
    }

    /// Silence in the place of lost frames.
    fn lose(&mut self, frames: u64, notices: &mut Notices) {
        let at_secs = self.given_secs;
        let range = self.take(frames);
        self.silence += range.len() as u64;
        if !std::mem::replace(&mut self.is_settling, false) {
            notices.damaged(at_secs, self.secs(range.len() as u64));
        }
    }

    /// Reads a page; sound whose place is known goes into `block`.
    fn read_page(
        &mut self,
        page: &Page,
        block: &mut Block,
        notices: &mut Notices,
    ) -> Result<(), AudioFileError> {
        self.is_lost |= self.reader.read(&mut self.bytes, page, &mut self.held)?;
        let Some(codec) = &self.reader.codec else {
            return Ok(());
        };
        let channels = codec.channels;
        let frames = (self.held.len() / channels) as u64;
        if let Some(granule) = page.granule {
            let end = (self.decoded + frames) as i64 + self.origin;
            let hole = granule as i64 - end;
            let longest = longest_hole(codec.sample_rate_hz) as i64;
            if self.is_lost && (0..=longest).contains(&hole) {
                self.lose(hole as u64, notices);
            } else if !page.is_last {
                self.origin += hole;
            }
            self.is_lost = false;
        } else if self.is_lost && frames < 1 << 20 {
            return Ok(());
        }
        if self.silence > 0 {
            // What is held comes after it.
            return Ok(());
        }
        self.release(block);
        Ok(())
    }

    /// Gives what was held.
    fn release(&mut self, block: &mut Block) {
        let (channels, rate_hz) = (self.current().channels, self.current().sample_rate_hz);
        let range = self.take((self.held.len() / channels) as u64);
        (block.channels, block.rate_hz) = (channels, rate_hz);
        block.samples.clear();
        let samples = &self.held[range.start * channels..range.end * channels];
        block.samples.extend_from_slice(samples);
        self.held.clear();
    }

    /// The end of a link: what its last pages should have had is silence.
    fn end_link(&mut self, notices: &mut Notices) {
        let frames = (self.held.len() / self.current().channels) as u64;
        let missing = self.current().total.saturating_sub(self.decoded + frames);
        if missing > 0 {
            if self.is_lost {
                self.lose(missing, notices);
            } else {
                self.silence += self.take(missing).len() as u64;
            }
        }
    }

    fn begin_link(&mut self) {
        self.link += 1;
        self.reader = LinkReader::new();
        self.held.clear();
        (self.decoded, self.is_lost) = (0, false);
        if let Some(link) = self.links.get(self.link) {
            (self.position, self.origin) = (link.start, link.origin);
        }
    }

    /// Goes on by one page, or to the next link.
    fn advance(&mut self, block: &mut Block, notices: &mut Notices) -> Result<(), AudioFileError> {
        let link_end = self
            .links
            .get(self.link + 1)
            .map_or(self.bytes.len(), |next| next.start);
        if self.position >= link_end {
            self.end_link(notices);
            if self.silence == 0 {
                self.release(block);
                self.begin_link();
            }
            return Ok(());
        }
        match page_at(&mut self.bytes, self.position)? {
            Found::Page(page) => {
                self.position = page.end;
                if page.serial == self.current().serial {
                    self.read_page(&page, block, notices)?;
                }
            }
            Found::Junk(next) => {
                self.reader.jump();
                self.is_lost = true;
                self.position = next;
            }
            Found::Cut | Found::End => self.position = link_end,
        }
        Ok(())
    }
}

impl Decoder for OggDecoder<'_> {
    fn info(&self) -> AudioInfo {
        let first = &self.links[0];
        let secs = |link: &Link| (link.total - link.skip) as f64 / f64::from(link.sample_rate_hz);
        AudioInfo {
            container: "ogg",
            sample_rate_hz: first.sample_rate_hz,
            channels: first.channels,
            duration_secs: Some(self.links.iter().map(secs).sum()),
        }
    }

    fn skip_to(&mut self, secs: f64) -> Result<u64, AudioFileError> {
        let [link] = self.links.as_slice() else {
            return Ok(0);
        };
        let wanted = ((secs - PREROLL_SECS).max(0.0) * f64::from(link.sample_rate_hz)) as u64;
        let wanted = (link.skip + wanted) as i64 + link.origin;
        let place = link
            .index
            .iter()
            .rfind(|(_, granule)| *granule as i64 <= wanted);
        let Some((page_end, granule)) = place.copied() else {
            return Ok(0);
        };
        let mut unheard = Vec::new();
        while self.reader.codec.is_none() {
            match page_at(&mut self.bytes, self.position)? {
                Found::Page(page) => {
                    self.position = page.end;
                    if page.serial == self.links[0].serial {
                        self.reader.read(&mut self.bytes, &page, &mut unheard)?;
                    }
                }
                Found::Junk(next) => self.position = next,
                Found::Cut | Found::End => return Err(AudioFileError::NoSamples),
            }
        }
        self.reader.jump();
        self.position = page_end;
        self.decoded = u64::try_from(granule as i64 - self.origin).unwrap_or(0);
        (self.is_lost, self.is_settling) = (true, true);
        let skipped = self.decoded.saturating_sub(self.links[0].skip);
        self.given_secs = self.secs(skipped);
        Ok(skipped)
    }

    fn next(&mut self, block: &mut Block, notices: &mut Notices) -> Result<bool, AudioFileError> {
        block.samples.clear();
        while self.link < self.links.len() {
            if self.silence > 0 {
                let link = self.current();
                (block.channels, block.rate_hz) = (link.channels, link.sample_rate_hz);
                let now = self.silence.min(SILENCE_FRAMES);
                self.silence -= now;
                block.samples.resize(now as usize * block.channels, 0.0);
                return Ok(true);
            }
            if !self.held.is_empty() && !self.is_lost {
                self.release(block);
            } else {
                self.advance(block, notices)?;
            }
            if !block.samples.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
