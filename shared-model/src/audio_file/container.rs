//! Containers that symphonia reads: MP4, Matroska, AIFF, CAF and ADTS.

use std::io::{Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use symphonia::core::codecs::audio::{
    AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known::CODEC_ID_OPUS,
};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known::{
    FORMAT_ID_ADTS, FORMAT_ID_AIFF, FORMAT_ID_CAF, FORMAT_ID_ISOMP4, FORMAT_ID_MKV,
};
use symphonia::core::formats::{FormatId, FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;

use super::bytes::Bytes;
use super::codec::Undecodable;
use super::error::AudioFileError;
use super::notice::Notices;
use super::opus::{self, OpusStream};
use super::{AudioInfo, Block, Decoder, Source};

/// A packet whose length nobody says is taken for this long where it is damaged.
const UNKNOWN_PACKET_SECS: f64 = 0.02;

pub(super) struct ContainerDecoder<'s> {
    reader: Box<dyn FormatReader + 's>,
    track: Track,
    decoder: PacketDecoder,
    info: AudioInfo,
    given_secs: f64,
}

enum PacketDecoder {
    Symphonia(Box<dyn AudioDecoder>),
    Opus { stream: OpusStream, skip: u64 },
}

/// Opens the container that begins at `start`.
pub(super) fn open(bytes: Bytes<'_>, start: u64) -> Result<ContainerDecoder<'_>, AudioFileError> {
    let len = bytes.len().saturating_sub(start);
    let input = Input {
        source: Arc::new(Mutex::new(bytes.into_source())),
        start,
        len,
        position: 0,
    };
    let mut counted = open_once(input.clone())?;
    let duration_secs = counted.count()?;
    if duration_secs <= 0.0 {
        return Err(AudioFileError::NoSamples);
    }
    let mut decoder = open_once(input)?;
    decoder.info = AudioInfo {
        duration_secs: Some(duration_secs),
        ..counted.info
    };
    Ok(decoder)
}

fn open_once(input: Input<'_>) -> Result<ContainerDecoder<'_>, AudioFileError> {
    let stream = MediaSourceStream::new(Box::new(input), MediaSourceStreamOptions::default());
    let reader = symphonia::default::get_probe()
        .probe(
            &Hint::new(),
            stream,
            FormatOptions::default(),
            MetadataOptions::default(),
        )
        .map_err(|error| match error {
            SymphoniaError::IoError(error) => error.into(),
            _ => AudioFileError::Unrecognised,
        })?;
    let container = container_name(reader.format_info().format)?;
    let track = reader
        .default_track(TrackType::Audio)
        .or_else(|| reader.first_track(TrackType::Audio))
        .cloned()
        .ok_or_else(|| AudioFileError::Unsupported("it has no sound track that is known".into()))?;
    let params = track
        .codec_params
        .as_ref()
        .and_then(|params| params.audio())
        .ok_or_else(|| AudioFileError::Unsupported("its codec is not known".into()))?;
    let (decoder, opus_channels) = packet_decoder(params, container)?;
    let sample_rate_hz = match &decoder {
        PacketDecoder::Opus { .. } => Some(opus::SAMPLE_RATE_HZ),
        PacketDecoder::Symphonia(_) => params.sample_rate,
    };
    let sample_rate_hz = sample_rate_hz
        .filter(|rate| (1000..=768_000).contains(rate))
        .ok_or_else(|| AudioFileError::Unsupported("its sample rate is not supported".into()))?;
    let channels = params.channels.as_ref().map(|channels| channels.count());
    let info = AudioInfo {
        container,
        sample_rate_hz,
        channels: opus_channels.or(channels).unwrap_or(1).max(1),
        duration_secs: None,
    };
    Ok(ContainerDecoder {
        reader,
        track,
        decoder,
        info,
        given_secs: 0.0,
    })
}

fn container_name(format: FormatId) -> Result<&'static str, AudioFileError> {
    Ok(match format {
        FORMAT_ID_ADTS => "adts",
        FORMAT_ID_AIFF => "aiff",
        FORMAT_ID_CAF => "caf",
        FORMAT_ID_ISOMP4 => "mp4",
        FORMAT_ID_MKV => "matroska",
        _ => return Err(AudioFileError::Unrecognised),
    })
}

fn packet_decoder(
    params: &AudioCodecParameters,
    container: &str,
) -> Result<(PacketDecoder, Option<usize>), AudioFileError> {
    if params.codec == CODEC_ID_OPUS {
        let mut head = params.extra_data.as_deref().unwrap_or_default().to_vec();
        if container == "mp4" && head.len() >= 18 {
            // The fields are as in Ogg, but with the high byte first.
            head[10..12].reverse();
            head[12..16].reverse();
            head[16..18].reverse();
        }
        let stream = OpusStream::new(&head)?;
        let (skip, channels) = (stream.skip(), stream.channels());
        return Ok((PacketDecoder::Opus { stream, skip }, Some(channels)));
    }
    let decoder = symphonia::default::get_codecs()
        .make_audio_decoder(params, &AudioDecoderOptions::default())
        .map_err(|_| AudioFileError::ForeignCodec {
            codec: "sound of a codec that is not known".to_owned(),
        })?;
    Ok((PacketDecoder::Symphonia(decoder), None))
}

impl ContainerDecoder<'_> {
    fn next_packet(&mut self) -> Result<Option<Packet>, AudioFileError> {
        loop {
            match self.reader.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track.id => return Ok(Some(packet)),
                Ok(Some(_)) | Err(SymphoniaError::ResetRequired) => {}
                Ok(None) => return Ok(None),
                Err(SymphoniaError::IoError(error))
                    if error.kind() == std::io::ErrorKind::UnexpectedEof =>
                {
                    return Ok(None);
                }
                Err(SymphoniaError::IoError(error)) => return Err(error.into()),
                Err(error) => return Err(AudioFileError::Broken(error.to_string())),
            }
        }
    }

    /// Frames of a packet that are to be heard, by the container.
    fn told_frames(&self, packet: &Packet) -> Option<u64> {
        let base = self.track.time_base?;
        let ticks = packet.dur.get();
        // Ticks of a millisecond are too coarse to be added up.
        let is_exact = base.denom.get() >= self.info.sample_rate_hz && base.numer.get() == 1;
        let secs = ticks as f64 / f64::from(base.denom.get());
        let frames = (secs * f64::from(self.info.sample_rate_hz)).round() as u64;
        (is_exact && ticks > 0).then_some(frames)
    }

    /// Length in seconds: by the packets where they say it, else by decoding.
    fn count(&mut self) -> Result<f64, AudioFileError> {
        let (mut frames, mut secs) = (0_u64, 0.0);
        let mut samples = Vec::new();
        while let Some(packet) = self.next_packet()? {
            let is_opus = matches!(self.decoder, PacketDecoder::Opus { .. });
            if let Some(told) = self.told_frames(&packet).filter(|_| !is_opus) {
                frames += told;
            } else if let Ok((channels, rate_hz)) = self.decode(&packet, &mut samples) {
                secs += (samples.len() / channels) as f64 / f64::from(rate_hz);
            }
        }
        // The packet table of a CAF says how much of the last packet is meant.
        let most = self
            .track
            .num_frames
            .filter(|_| self.info.container == "caf");
        let frames = frames.min(most.unwrap_or(u64::MAX));
        Ok(secs + frames as f64 / f64::from(self.info.sample_rate_hz))
    }

    /// Interleaved samples of a packet; gives channels and rate.
    fn decode(
        &mut self,
        packet: &Packet,
        samples: &mut Vec<f32>,
    ) -> Result<(usize, u32), Undecodable> {
        match &mut self.decoder {
            PacketDecoder::Opus { stream, skip } => {
                let channels = stream.decode(&packet.data, samples)?;
                let frames = (samples.len() / channels) as u64;
                let skipped = frames.min(*skip);
                *skip -= skipped;
                samples.drain(..skipped as usize * channels);
                Ok((channels, opus::SAMPLE_RATE_HZ))
            }
            PacketDecoder::Symphonia(decoder) => {
                let buffer = decoder.decode(packet).map_err(|_| Undecodable)?;
                let channels = buffer.spec().channels().count().max(1);
                let rate_hz = buffer.spec().rate();
                buffer.copy_to_vec_interleaved(samples);
                if samples.iter().any(|sample| !sample.is_finite()) {
                    return Err(Undecodable);
                }
                Ok((channels, rate_hz))
            }
        }
    }
}

impl Decoder for ContainerDecoder<'_> {
    fn info(&self) -> AudioInfo {
        self.info.clone()
    }

    fn next(&mut self, block: &mut Block, notices: &mut Notices) -> Result<bool, AudioFileError> {
        while let Some(packet) = self.next_packet()? {
            block.samples.clear();
            match self.decode(&packet, &mut block.samples) {
                Ok((channels, rate_hz)) => {
                    (block.channels, block.rate_hz) = (channels, rate_hz);
                    // The last packet of an encoder is fuller than the sound.
                    if let Some(told) = self.told_frames(&packet)
                        && rate_hz == self.info.sample_rate_hz
                    {
                        block.samples.truncate(told as usize * channels);
                    }
                }
                Err(Undecodable) => {
                    (block.channels, block.rate_hz) =
                        (self.info.channels, self.info.sample_rate_hz);
                    let unknown = UNKNOWN_PACKET_SECS * f64::from(block.rate_hz);
                    let frames = self.told_frames(&packet).unwrap_or(unknown as u64);
                    let frames = frames.min(u64::from(block.rate_hz)) as usize;
                    block.samples.clear();
                    block.samples.resize(frames * block.channels, 0.0);
                    notices.damaged(self.given_secs, frames as f64 / f64::from(block.rate_hz));
                }
            }
            let frames = block.samples.len() / block.channels.max(1);
            self.given_secs += frames as f64 / f64::from(block.rate_hz.max(1));
            if frames > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The bytes from the container's beginning on, as symphonia wants them.
#[derive(Clone)]
struct Input<'s> {
    source: Arc<Mutex<Source<'s>>>,
    start: u64,
    len: u64,
    position: u64,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        source.seek(SeekFrom::Start(self.start + self.position))?;
        let read = source.read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Input<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        self.position = position.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl MediaSource for Input<'_> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len)
    }
}
