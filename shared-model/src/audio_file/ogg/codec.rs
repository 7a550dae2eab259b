//! The codecs that Ogg carries: Vorbis, FLAC and, with the feature `audio-file-all`, Opus. Each begins with header packets.

use crate::audio_file::codec::{Codec, Undecodable};
use crate::audio_file::error::AudioFileError;
use crate::audio_file::flac::frame::StreamInfo;
#[cfg(feature = "audio-file-all")]
use crate::audio_file::opus::OpusStream;

/// A codec whose header packets are read.
pub(super) struct OggCodec {
    pub sample_rate_hz: u32,
    pub channels: usize,
    /// Frames at the beginning that are not meant to be heard.
    pub skip: u64,
    kind: Kind,
}

enum Kind {
    /// Whether the packet before is known, on which the next one builds.
    Vorbis {
        codec: Codec,
        is_primed: bool,
    },
    Flac(Codec),
    #[cfg(feature = "audio-file-all")]
    Opus(Box<OpusStream>),
}

impl OggCodec {
    /// Forgets what came before.
    pub fn reset(&mut self) {
        match &mut self.kind {
            Kind::Vorbis { codec, is_primed } => {
                codec.reset();
                *is_primed = false;
            }
            Kind::Flac(_) => {}
            #[cfg(feature = "audio-file-all")]
            Kind::Opus(stream) => stream.reset(),
        }
    }

    /// Whether a packet that cannot be decoded is none of sound.
    pub fn is_no_sound(&self, packet: &[u8]) -> bool {
        match &self.kind {
            Kind::Vorbis { .. } => packet.first().is_none_or(|kind| kind & 1 != 0),
            Kind::Flac(_) => packet.first() != Some(&0xff),
            #[cfg(feature = "audio-file-all")]
            Kind::Opus(_) => packet.starts_with(b"Opus"),
        }
    }

    /// Decodes a packet into interleaved samples, which may be none.
    pub fn decode(&mut self, packet: &[u8], samples: &mut Vec<f32>) -> Result<(), Undecodable> {
        samples.clear();
        let channels = match &mut self.kind {
            Kind::Vorbis { codec, is_primed } => {
                let channels = codec.decode(packet, samples)?;
                // The first half of the first block has nothing to overlap with.
                if !std::mem::replace(is_primed, true) {
                    samples.clear();
                }
                channels
            }
            Kind::Flac(codec) => codec.decode(packet, samples)?,
            #[cfg(feature = "audio-file-all")]
            Kind::Opus(stream) => stream.decode(packet, samples)?,
        };
        if channels == self.channels {
            Ok(())
        } else {
            samples.clear();
            Err(Undecodable)
        }
    }
}

/// Takes the header packets of a stream.
pub(super) struct Headers {
    first: Vec<u8>,
    kind: HeaderKind,
}

#[derive(Clone, Copy, PartialEq)]
enum HeaderKind {
    Vorbis,
    Flac,
    Opus,
}

/// What a stream's first packet says it is.
pub(super) enum FirstPacket {
    Headers(Headers),
    /// Sound of a codec that is not read.
    Foreign(&'static str),
    /// No sound, or nothing that is known.
    Other,
}

impl Headers {
    pub fn begin(packet: &[u8]) -> FirstPacket {
        let kind = match packet {
            p if p.starts_with(b"\x01vorbis") && p.len() >= 30 => HeaderKind::Vorbis,
            p if p.starts_with(b"\x7fFLAC") && p.len() >= 51 => HeaderKind::Flac,
            p if p.starts_with(b"OpusHead") && p.len() >= 19 => {
                if cfg!(not(feature = "audio-file-all")) {
                    return FirstPacket::Foreign("Opus");
                }
                HeaderKind::Opus
            }
            p if p.starts_with(b"Speex   ") => return FirstPacket::Foreign("Speex"),
            p if p.starts_with(b"PCM     ") => return FirstPacket::Foreign("OggPCM"),
            p if p.starts_with(b"CELT    ") => return FirstPacket::Foreign("CELT"),
            _ => return FirstPacket::Other,
        };
        FirstPacket::Headers(Self {
            first: packet.to_vec(),
            kind,
        })
    }

    /// Sample rate and channels, which the first packet has.
    fn format(&self) -> (u32, usize) {
        let p = &self.first;
        match self.kind {
            HeaderKind::Vorbis => (
                u32::from_le_bytes([p[12], p[13], p[14], p[15]]),
                usize::from(p[11]),
            ),
            HeaderKind::Flac => (0, 0),
            HeaderKind::Opus => (48_000, usize::from(p[9])),
        }
    }

    /// Takes the next packet; the codec once all headers are read, and whether this packet is sound
    /// already.
    pub fn next(&self, packet: &[u8]) -> Result<Option<(OggCodec, bool)>, AudioFileError> {
        let (mut sample_rate_hz, mut channels) = self.format();
        #[cfg_attr(
            not(feature = "audio-file-all"),
            expect(unused_mut, reason = "only Opus has frames to skip")
        )]
        let mut skip = 0;
        let mut is_sound = false;
        let kind = match self.kind {
            HeaderKind::Vorbis if packet.starts_with(b"\x05vorbis") => {
                let headers = [&self.first[..30], packet].concat();
                let codec = Codec::vorbis(&headers)?;
                Kind::Vorbis {
                    codec,
                    is_primed: false,
                }
            }
            HeaderKind::Flac if packet.first() == Some(&0xff) => {
                let info = StreamInfo::parse(&self.first[17..])?;
                (sample_rate_hz, channels) = (info.sample_rate_hz, info.channels);
                is_sound = true;
                Kind::Flac(Codec::flac(&info.block)?)
            }
            #[cfg(feature = "audio-file-all")]
            HeaderKind::Opus if packet.starts_with(b"OpusTags") => {
                let stream = OpusStream::new(&self.first)?;
                skip = stream.skip();
                Kind::Opus(Box::new(stream))
            }
            _ => return Ok(None),
        };
        if !(1000..=768_000).contains(&sample_rate_hz) || !(1..=32).contains(&channels) {
            return Err(AudioFileError::Unsupported(
                "its codec or sample rate is not supported".into(),
            ));
        }
        let codec = OggCodec {
            sample_rate_hz,
            channels,
            skip,
            kind,
        };
        Ok(Some((codec, is_sound)))
    }
}
