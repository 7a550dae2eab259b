//! FLAC, Ogg Vorbis and MP3 through symphonia.

use std::io::{BufReader, Read, Seek, SeekFrom};

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions, well_known};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known::{FORMAT_ID_FLAC, FORMAT_ID_MP3, FORMAT_ID_OGG};
use symphonia::core::formats::{
    FormatId, FormatOptions, FormatReader, SeekMode, SeekTo, Track, TrackType,
};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::units::Timestamp;

use super::error::AudioFileError;
use super::mp3_frames::{self, Mp3Scan};
use super::sink::{Flow, MonoSink, stretch};
use super::{AudioInfo, Source};

/// Packets before the wanted stretch that a decoder needs to settle, in seconds.
const PREROLL_SECS: f64 = 1.0;
/// Up to here a stretch is reached by decoding from the start.
const SEEK_FROM_SECS: f64 = 4.0;
/// Frames at the start of an MP3 may refer to bits that were cut off with what was before them.
const TOLERATED_MP3_ERRORS: usize = 3;

struct Opened<'s> {
    reader: Box<dyn FormatReader + 's>,
    track_id: u32,
    track: Track,
    format: FormatId,
    rate_hz: u32,
    channels: usize,
    mp3: Option<Mp3Scan>,
}

pub(super) fn read_info(source: Source<'_>, file_bytes: u64) -> Result<AudioInfo, AudioFileError> {
    let opened = open(source, file_bytes)?;
    let duration_secs = match &opened.mp3 {
        Some(scan) => {
            let discard = if opened.is_gapless() {
                u64::from(opened.track.delay.unwrap_or(0) + opened.track.padding.unwrap_or(0))
            } else {
                0
            };
            let samples = scan.frames * scan.samples_per_frame;
            Some(samples.saturating_sub(discard))
        }
        None => opened.track.num_frames,
    }
    .map(|frames| frames as f64 / f64::from(opened.rate_hz));
    if duration_secs == Some(0.0) {
        return Err(AudioFileError::NoSamples);
    }
    Ok(AudioInfo {
        container: match opened.format {
            FORMAT_ID_FLAC => "flac",
            FORMAT_ID_OGG => "ogg",
            _ => "mp3",
        },
        sample_rate_hz: opened.rate_hz,
        channels: opened.channels,
        duration_secs,
    })
}

/// Decodes a stretch into `sink`.
pub(super) fn decode(
    source: Source<'_>,
    file_bytes: u64,
    offset_secs: f64,
    duration_secs: Option<f64>,
    sink: &mut MonoSink,
) -> Result<(), AudioFileError> {
    let mut opened = open(source, file_bytes)?;
    let mut decoder = opened.decoder()?;
    let (first, wanted) = stretch(opened.rate_hz, offset_secs, duration_secs);
    // A length that was only estimated must not reserve space or be missed.
    let declared = opened.track.num_frames.filter(|_| match &opened.mp3 {
        Some(scan) => scan.declared_frames.is_some(),
        None => true,
    });
    let seeked = offset_secs > SEEK_FROM_SECS && opened.seek(offset_secs - PREROLL_SECS);
    // The position of the first decoded frame is known from its packet after seeking.
    let mut position = (!seeked).then_some(0_u64);
    if let Some(position) = position {
        sink.begin(opened.rate_hz, declared, first - position, wanted)?;
    }
    let mut interleaved: Vec<f32> = Vec::new();
    let mut decoded = 0_u64;
    let mut tolerated = 0;
    loop {
        let packet = match opened.reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(SymphoniaError::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                break;
            }
            Err(error) => return Err(opened.failure(error, decoded)),
        };
        if packet.track_id != opened.track_id {
            continue;
        }
        let buffer = match decoder.decode(&packet) {
            Ok(buffer) => buffer,
            Err(SymphoniaError::DecodeError(_))
                if opened.mp3.is_some() && tolerated < TOLERATED_MP3_ERRORS && decoded < 6000 =>
            {
                tolerated += 1;
                let frames = opened.mp3.as_ref().map_or(0, |scan| scan.samples_per_frame);
                interleaved.clear();
                interleaved.resize(frames as usize * opened.channels, 0.0);
                decoded += frames;
                if position.is_some() {
                    sink.push(&interleaved, opened.channels)?;
                }
                continue;
            }
            Err(error) => return Err(opened.failure(error, decoded)),
        };
        if buffer.frames() == 0 {
            continue;
        }
        let channels = buffer.spec().channels().count();
        if buffer.spec().rate() != opened.rate_hz {
            return Err(AudioFileError::Unsupported(format!(
                "its sample rate changes from {} to {} Hz",
                opened.rate_hz,
                buffer.spec().rate()
            )));
        }
        buffer.copy_to_vec_interleaved(&mut interleaved);
        if position.is_none() {
            let start = opened.position_of(packet.pts.get(), packet.trim_start.get());
            position = Some(start);
            decoded = start;
            let skip = first.checked_sub(start).ok_or_else(|| {
                AudioFileError::Broken(format!("seeking to {offset_secs:.2} s overshot"))
            })?;
            let left = declared.map(|frames| frames.saturating_sub(start));
            sink.begin(opened.rate_hz, left, skip, wanted)?;
        }
        decoded += (interleaved.len() / channels.max(1)) as u64;
        if sink.push(&interleaved, channels)? == Flow::Enough {
            return Ok(());
        }
    }
    // An MP3 was judged by its frames. Vorbis may end up to a block early.
    let tolerance = match opened.format {
        FORMAT_ID_FLAC => 0,
        _ => u64::from(opened.rate_hz) / 20,
    };
    if let Some(expected) = declared
        && opened.mp3.is_none()
        && decoded + tolerance < expected
        && decoded > 0
    {
        return Err(AudioFileError::Truncated {
            got_secs: decoded as f64 / f64::from(opened.rate_hz),
            expected_secs: expected as f64 / f64::from(opened.rate_hz),
        });
    }
    if decoded > 0 && first >= decoded {
        return Err(AudioFileError::OffsetPastEnd {
            offset_secs,
            length_secs: decoded as f64 / f64::from(opened.rate_hz),
        });
    }
    if decoded == 0 {
        return Err(AudioFileError::NoSamples);
    }
    Ok(())
}

impl Opened<'_> {
    /// Whether encoder delay and padding may be cut off: not where symphonia only guessed the
    /// length (it would cut real sound), nor where the tag and the frames disagree.
    fn is_gapless(&self) -> bool {
        self.mp3
            .as_ref()
            .is_none_or(|scan| scan.declared_frames == Some(scan.frames))
    }

    /// The place in the decoded sound of a packet's first frame.
    fn position_of(&self, timestamp: i64, trimmed: u64) -> u64 {
        let delay = if self.is_gapless() {
            0
        } else {
            i64::from(self.track.delay.unwrap_or(0))
        };
        let trimmed = if self.is_gapless() { trimmed } else { 0 };
        u64::try_from(timestamp.saturating_add(delay)).unwrap_or(0) + trimmed
    }

    fn decoder(&self) -> Result<Box<dyn AudioDecoder>, AudioFileError> {
        let params = self
            .track
            .codec_params
            .as_ref()
            .and_then(|params| params.audio())
            .ok_or_else(|| AudioFileError::Unsupported("its codec is not known".into()))?;
        let options = AudioDecoderOptions::default().gapless(self.is_gapless());
        symphonia::default::get_codecs()
            .make_audio_decoder(params, &options)
            .map_err(|_| {
                AudioFileError::Unsupported(if params.codec == well_known::CODEC_ID_OPUS {
                    "Opus is not supported: convert it to wav, flac, ogg vorbis or mp3".into()
                } else {
                    "its codec is not supported: convert it to wav, flac, ogg vorbis or mp3".into()
                })
            })
    }

    fn seek(&mut self, to_secs: f64) -> bool {
        let ts = Timestamp::new((to_secs * f64::from(self.rate_hz)) as i64);
        let to = SeekTo::Timestamp {
            ts,
            track_id: self.track_id,
        };
        self.reader.seek(SeekMode::Accurate, to).is_ok()
    }

    /// symphonia's error in our words. Input that ends inside a known length is a truncated file.
    fn failure(&self, error: SymphoniaError, decoded: u64) -> AudioFileError {
        let expected = self.track.num_frames.unwrap_or(0);
        match error {
            SymphoniaError::IoError(error) => error.into(),
            SymphoniaError::DecodeError(_) if decoded < expected && self.mp3.is_none() => {
                AudioFileError::Broken(format!(
                    "truncated or damaged after {:.2} of {:.2} seconds",
                    decoded as f64 / f64::from(self.rate_hz),
                    expected as f64 / f64::from(self.rate_hz)
                ))
            }
            other => AudioFileError::Broken(other.to_string()),
        }
    }
}

/// The bytes as symphonia wants them.
struct Input<'s> {
    source: Source<'s>,
    num_bytes: u64,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.source.read(buffer)
    }
}

impl Seek for Input<'_> {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        self.source.seek(position)
    }
}

impl MediaSource for Input<'_> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.num_bytes)
    }
}

fn probe(
    kind: Sniffed,
    source: Source<'_>,
    num_bytes: u64,
) -> Result<Box<dyn FormatReader + '_>, AudioFileError> {
    source.seek(SeekFrom::Start(0))?;
    let stream = MediaSourceStream::new(
        Box::new(Input { source, num_bytes }),
        MediaSourceStreamOptions::default(),
    );
    symphonia::default::get_probe()
        .probe(
            &Hint::new(),
            stream,
            FormatOptions::default(),
            MetadataOptions::default(),
        )
        .map_err(|error| match (kind, error) {
            (Sniffed::Unknown, _) => AudioFileError::Unrecognised,
            (_, SymphoniaError::IoError(_)) => AudioFileError::NoSamples,
            (_, error) => AudioFileError::Broken(error.to_string()),
        })
}

fn open(source: Source<'_>, num_bytes: u64) -> Result<Opened<'_>, AudioFileError> {
    let kind = sniff(source)?;
    if kind == Sniffed::Ogg {
        check_ogg_pages(source, num_bytes)?;
    }
    let mp3 = match kind {
        Sniffed::Flac | Sniffed::Ogg => None,
        // The frames are walked before symphonia takes the source for good.
        Sniffed::Mp3 | Sniffed::Unknown => {
            let format = probe(kind, source, num_bytes)?.format_info().format;
            if format == FORMAT_ID_MP3 {
                let scan = mp3_frames::scan(source, num_bytes)?;
                scan.check()?;
                Some(scan)
            } else {
                None
            }
        }
    };
    let reader = probe(kind, source, num_bytes)?;
    let format = reader.format_info().format;
    let is_known = match &mp3 {
        Some(_) => format == FORMAT_ID_MP3,
        None => [FORMAT_ID_FLAC, FORMAT_ID_OGG].contains(&format),
    };
    if !is_known {
        return Err(AudioFileError::Unrecognised);
    }
    let track = reader
        .default_track(TrackType::Audio)
        .or_else(|| reader.first_track(TrackType::Audio))
        .cloned()
        .ok_or_else(|| AudioFileError::Unsupported("it has no sound track that is known".into()))?;
    let params = track
        .codec_params
        .as_ref()
        .and_then(|params| params.audio());
    let rate_hz = params
        .and_then(|params| params.sample_rate)
        .filter(|rate| (1000..=768_000).contains(rate))
        .ok_or_else(|| {
            AudioFileError::Unsupported("its codec or sample rate is not supported".into())
        })?;
    let channels = params
        .and_then(|params| params.channels.as_ref())
        .map_or(1, |channels| channels.count());
    Ok(Opened {
        track_id: track.id,
        track,
        reader,
        format,
        rate_hz,
        channels,
        mp3,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sniffed {
    Flac,
    Ogg,
    Mp3,
    Unknown,
}

/// A first look at the content; symphonia decides.
fn sniff(source: Source<'_>) -> Result<Sniffed, AudioFileError> {
    source.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    source.take(4).read_to_end(&mut head)?;
    Ok(match head.as_slice() {
        b"fLaC" => Sniffed::Flac,
        b"OggS" => Sniffed::Ogg,
        [b'I', b'D', b'3', _] => Sniffed::Mp3,
        [0xff, b, ..] if b & 0xe0 == 0xe0 => Sniffed::Mp3,
        _ => Sniffed::Unknown,
    })
}

/// Steps from page header to page header (RFC 3533 section 6); a page that is not all there means
/// that the file was cut.
fn check_ogg_pages(source: Source<'_>, file_bytes: u64) -> Result<(), AudioFileError> {
    let mut reader = BufReader::with_capacity(1 << 16, source);
    reader.seek(SeekFrom::Start(0))?;
    let mut position = 0_u64;
    while position < file_bytes {
        let mut head = [0_u8; 27];
        if file_bytes - position < 27 {
            return Err(AudioFileError::Broken(
                "truncated: its last page is cut".into(),
            ));
        }
        reader.read_exact(&mut head)?;
        if &head[..4] != b"OggS" {
            // Junk between or after pages is symphonia's to judge.
            return Ok(());
        }
        let segments = usize::from(head[26]);
        let mut table = [0_u8; 255];
        let table = &mut table[..segments];
        let body: u64 = match reader.read_exact(table) {
            Ok(()) => table.iter().map(|&length| u64::from(length)).sum(),
            Err(_) => {
                return Err(AudioFileError::Broken(
                    "truncated: its last page is cut".into(),
                ));
            }
        };
        position += 27 + segments as u64 + body;
        if position > file_bytes {
            return Err(AudioFileError::Broken(
                "truncated: its last page is cut".into(),
            ));
        }
        reader.seek_relative(body as i64)?;
    }
    Ok(())
}
