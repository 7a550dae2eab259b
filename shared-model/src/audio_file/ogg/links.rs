//! The chain of an Ogg file: streams one after another, each with header pages of its own. A look at
//! all pages finds where each begins and how long it is, without decoding more than its first page.

use super::codec::{FirstPacket, Headers, OggCodec};
use super::packets::Packets;
use super::page::{Found, Page, page_at};
use crate::audio_file::bytes::Bytes;
use crate::audio_file::codec::Undecodable;
use crate::audio_file::error::AudioFileError;

/// Streams joined in one file; later ones are not read.
const MAX_LINKS: usize = 10_000;
/// A place to jump to is kept each so many bytes.
const INDEX_BYTES: u64 = 1 << 14;
/// As much is lost at most where pages are missing: a larger step of granules is no hole.
const MAX_HOLE_SECS: u64 = 600;

/// The longest hole in frames.
pub(super) fn longest_hole(sample_rate_hz: u32) -> u64 {
    MAX_HOLE_SECS * u64::from(sample_rate_hz)
}

/// One stream of the chain.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Link {
    pub serial: u32,
    /// Where its first page begins.
    pub start: u64,
    pub sample_rate_hz: u32,
    pub channels: usize,
    /// Granule of the first decoded frame.
    pub origin: i64,
    /// Decoded frames that are not meant to be heard, at the beginning.
    pub skip: u64,
    /// Decoded frames with those, and with what was lost.
    pub total: u64,
    /// Pages to jump to: where each ends, and its granule.
    pub index: Vec<(u64, u64)>,
    last_granule: Option<u64>,
    /// Granules go backwards.
    is_irregular: bool,
    /// The longest way from granule to granule.
    longest_step: u64,
    /// Bytes of its pages, and of damage after the last.
    sound_bytes: u64,
    lost_after: u64,
    /// What the header of a damaged last page says.
    claimed: Option<u64>,
}

impl Link {
    fn new(serial: u32, start: u64) -> Self {
        Self {
            serial,
            start,
            sample_rate_hz: 0,
            channels: 0,
            origin: 0,
            skip: 0,
            total: 0,
            index: Vec::new(),
            last_granule: None,
            is_irregular: false,
            longest_step: 0,
            sound_bytes: 0,
            lost_after: 0,
            claimed: None,
        }
    }

    fn add(&mut self, page: &Page) {
        self.sound_bytes += page.end - page.position;
        self.lost_after = 0;
        self.claimed = None;
        if let Some(granule) = page.granule {
            let last = self.last_granule.unwrap_or(granule);
            // The last may cut off what the one before promised.
            self.is_irregular |= granule < last && !page.is_last;
            self.longest_step = self.longest_step.max(granule.saturating_sub(last));
            let last_index = self.index.last().map_or(self.start, |(end, _)| *end);
            if page.end - last_index >= INDEX_BYTES {
                self.index.push((page.end, granule));
            }
            self.last_granule = Some(granule);
        }
    }

    /// Frames that were lost after the last page.
    fn lost_frames(&self, so_far: u64) -> u64 {
        let share = self.lost_after as f64 / self.sound_bytes.max(1) as f64;
        let by_bytes = if share < 1.0 {
            (so_far as f64 * share) as u64
        } else {
            0
        };
        let claimed = self.claimed.zip(self.last_granule);
        let by_header = claimed.and_then(|(claimed, last)| claimed.checked_sub(last));
        let most = 3 * by_bytes + u64::from(self.sample_rate_hz);
        by_header
            .filter(|frames| *frames <= most)
            .unwrap_or(by_bytes)
    }
}

/// Reads the pages of one link into sound.
pub(super) struct LinkReader {
    packets: Packets,
    headers: Option<Headers>,
    pub codec: Option<OggCodec>,
    sequence: Option<u32>,
    packet: Vec<f32>,
}

impl LinkReader {
    pub fn new() -> Self {
        Self {
            packets: Packets::default(),
            headers: None,
            codec: None,
            sequence: None,
            packet: Vec::new(),
        }
    }

    /// What comes next does not continue what came.
    pub fn jump(&mut self) {
        self.packets.reset();
        self.sequence = None;
        if let Some(codec) = &mut self.codec {
            codec.reset();
        }
    }

    /// Appends the sound of a page's packets; gives whether something before or in it is lost.
    pub fn read(
        &mut self,
        bytes: &mut Bytes<'_>,
        page: &Page,
        samples: &mut Vec<f32>,
    ) -> Result<bool, AudioFileError> {
        let expected = self
            .sequence
            .is_none_or(|before| page.sequence == before.wrapping_add(1));
        let mut is_lost = !expected;
        if is_lost {
            self.jump();
        }
        self.sequence = Some(page.sequence);
        for packet in self.packets.of_page(bytes, page)? {
            if self.codec.is_none() && !self.take_header(&packet)? {
                continue;
            }
            if let Some(codec) = &mut self.codec {
                match codec.decode(&packet, &mut self.packet) {
                    Ok(()) => samples.extend_from_slice(&self.packet),
                    Err(Undecodable) if codec.is_no_sound(&packet) => {}
                    Err(Undecodable) => {
                        codec.reset();
                        is_lost = true;
                    }
                }
            }
        }
        Ok(is_lost)
    }

    /// Takes a packet before the sound; whether it is sound itself.
    fn take_header(&mut self, packet: &[u8]) -> Result<bool, AudioFileError> {
        let Some(headers) = &self.headers else {
            if let FirstPacket::Headers(headers) = Headers::begin(packet) {
                self.headers = Some(headers);
            }
            return Ok(false);
        };
        let Some((codec, is_sound)) = headers.next(packet)? else {
            return Ok(false);
        };
        self.codec = Some(codec);
        Ok(is_sound)
    }
}

/// All streams with sound, one after another.
pub(super) fn read_links(bytes: &mut Bytes<'_>, start: u64) -> Result<Vec<Link>, AudioFileError> {
    let mut links = find_links(bytes, start)?;
    let mut ends: Vec<u64> = links.iter().skip(1).map(|link| link.start).collect();
    ends.push(bytes.len());
    let mut problem = None;
    for (link, end) in links.iter_mut().zip(ends) {
        match measure(bytes, link, end) {
            Ok(()) => {}
            Err(AudioFileError::Read(error)) => return Err(error.into()),
            Err(error) => problem = Some(error),
        }
    }
    links.retain(|link| link.total > link.skip);
    match (links.is_empty(), problem) {
        (true, Some(problem)) => Err(problem),
        (true, None) => Err(AudioFileError::NoSamples),
        _ => Ok(links),
    }
}

/// Steps from page to page.
fn find_links(bytes: &mut Bytes<'_>, start: u64) -> Result<Vec<Link>, AudioFileError> {
    let mut links: Vec<Link> = Vec::new();
    let (mut position, mut foreign) = (start, None);
    // Whether first pages are coming: streams that begin together are one link.
    let (mut is_group, mut has_sound) = (false, false);
    loop {
        match page_at(bytes, position)? {
            Found::End => break,
            Found::Cut => {
                return Err(AudioFileError::Broken(
                    "truncated: its last page is cut".into(),
                ));
            }
            Found::Junk(next) => {
                if let Some(link) = links.last_mut() {
                    link.lost_after += next - position;
                    link.claimed =
                        link.claimed
                            .max(super::page::claimed(bytes, position, link.serial)?);
                }
                position = next;
            }
            Found::Page(page) => {
                position = page.end;
                if page.is_first {
                    has_sound &= is_group;
                    is_group = true;
                    let packets = Packets::default().of_page(bytes, &page)?;
                    match Headers::begin(packets.first().map_or(&[], Vec::as_slice)) {
                        FirstPacket::Headers(_) if !has_sound && links.len() < MAX_LINKS => {
                            has_sound = true;
                            links.push(Link::new(page.serial, page.position));
                        }
                        FirstPacket::Foreign(codec) => foreign = Some(codec),
                        _ => {}
                    }
                    continue;
                }
                is_group = false;
                if let Some(link) = links.last_mut()
                    && link.serial == page.serial
                {
                    link.add(&page);
                }
            }
        }
    }
    match (links.is_empty(), foreign) {
        (true, Some(codec)) => Err(AudioFileError::ForeignCodec {
            codec: codec.to_owned(),
        }),
        (true, None) => Err(AudioFileError::Unsupported(
            "it has no sound track that is known".into(),
        )),
        _ => Ok(links),
    }
}

/// Reads headers and sound up to the first granule (all of it where granules do not count), and
/// works out the length.
fn measure(bytes: &mut Bytes<'_>, link: &mut Link, end: u64) -> Result<(), AudioFileError> {
    let mut reader = LinkReader::new();
    let (mut position, mut frames) = (link.start, 0_u64);
    let (mut is_lost, mut samples) = (false, Vec::new());
    let mut counts = !link.is_irregular && link.last_granule.is_some();
    while position < end {
        let page = match page_at(bytes, position)? {
            Found::Page(page) => page,
            Found::Junk(next) => {
                is_lost = true;
                reader.jump();
                position = next;
                continue;
            }
            Found::Cut | Found::End => break,
        };
        position = page.end;
        if page.serial != link.serial {
            continue;
        }
        samples.clear();
        is_lost |= reader.read(bytes, &page, &mut samples)?;
        let Some(codec) = &reader.codec else {
            continue;
        };
        (link.sample_rate_hz, link.channels) = (codec.sample_rate_hz, codec.channels);
        link.skip = codec.skip;
        counts &= link.longest_step <= longest_hole(link.sample_rate_hz);
        frames += (samples.len() / codec.channels) as u64;
        if let Some(granule) = page.granule.filter(|_| counts && frames > 0) {
            begin_at(link, granule, frames, page.is_last, is_lost);
            break;
        }
    }
    if reader.codec.is_none() {
        return Err(AudioFileError::Broken("its headers are damaged".into()));
    }
    let counted = link.last_granule.filter(|_| counts);
    link.total = match counted {
        Some(last) if frames > 0 => u64::try_from(last as i64 - link.origin).unwrap_or(0),
        _ => frames,
    };
    link.total += link.lost_frames(link.total);
    Ok(())
}

/// Where counting begins, by the first granule after `frames` frames. Granules may begin anywhere;
/// where the beginning is lost, they begin at 0.
fn begin_at(link: &mut Link, granule: u64, frames: u64, is_last: bool, is_lost: bool) {
    let before = granule as i64 - frames as i64;
    let nearest = longest_hole(link.sample_rate_hz) as i64;
    if (is_lost && before <= nearest) || (is_last && before < 0) {
        link.origin = 0;
        return;
    }
    link.origin = before;
    // Frames before the granule 0 are not meant to be heard.
    link.skip += u64::try_from(-before).unwrap_or(0);
}
