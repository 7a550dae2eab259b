//! Audio files to mono samples, by the same decoders as the trainer uses: a clip gives the same
//! samples, and so the same words, in the browser and natively.

use std::io::{Cursor, ErrorKind};

use shared_model::audio::{AudioError, downmix};
use symphonia::core::{
    codecs::audio::AudioDecoderOptions,
    errors::Error,
    formats::{FormatOptions, TrackType, probe::Hint},
    io::{MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
};

/// Longest file, seconds: what still fits into a tab's memory beside the decoded samples.
pub const MAX_SECS: f64 = 2.0 * 3600.0;

#[derive(Debug, Clone, PartialEq)]
pub struct DecodedAudio {
    /// Mono.
    pub samples: Vec<f32>,
    pub sample_rate_hz: u32,
}

#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum AudioFileError {
    #[error("the file is empty")]
    Empty,
    #[error("the file is not wav, flac, ogg vorbis or mp3")]
    UnknownFormat,
    #[error("the file holds no samples")]
    NoSamples,
    #[error("the file is damaged or cut short ({0})")]
    Damaged(String),
    #[error("the file is longer than {} minutes; cut it into pieces", MAX_SECS / 60.0)]
    TooLong,
    #[error(transparent)]
    Audio(#[from] AudioError),
}

/// Decodes a whole file.
pub fn decode_file(bytes: Vec<u8>) -> Result<DecodedAudio, AudioFileError> {
    if bytes.is_empty() {
        return Err(AudioFileError::Empty);
    }
    let stream = MediaSourceStream::new(
        Box::new(Cursor::new(bytes)),
        MediaSourceStreamOptions::default(),
    );
    let mut format = symphonia::default::get_probe()
        .probe(
            &Hint::new(),
            stream,
            FormatOptions::default(),
            MetadataOptions::default(),
        )
        .map_err(|_| AudioFileError::UnknownFormat)?;
    let track = format
        .default_track(TrackType::Audio)
        .ok_or(AudioFileError::NoSamples)?;
    let track_id = track.id;
    let expected_frames = track.num_frames;
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|parameters| parameters.audio())
        .ok_or(AudioFileError::UnknownFormat)?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|_| AudioFileError::UnknownFormat)?;

    let mut decoded = DecodedAudio {
        samples: Vec::new(),
        sample_rate_hz: 0,
    };
    let mut interleaved: Vec<f32> = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // Some readers report the end of the stream as an input error.
            Err(Error::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(AudioFileError::Damaged(error.to_string())),
        };
        if packet.track_id != track_id {
            continue;
        }
        let buffer = decoder
            .decode(&packet)
            .map_err(|error| AudioFileError::Damaged(error.to_string()))?;
        let (rate, channels) = (buffer.spec().rate(), buffer.spec().channels().count());
        if decoded.sample_rate_hz == 0 {
            decoded.sample_rate_hz = rate;
        } else if decoded.sample_rate_hz != rate {
            return Err(AudioFileError::Damaged(
                "its sample rate changes half-way".to_owned(),
            ));
        }
        buffer.copy_to_vec_interleaved(&mut interleaved);
        decoded.samples.extend(downmix(&interleaved, channels)?);
        if decoded.samples.len() as f64 > MAX_SECS * f64::from(rate) {
            return Err(AudioFileError::TooLong);
        }
    }
    if decoded.samples.is_empty() {
        return Err(AudioFileError::NoSamples);
    }
    if let Some(expected) = expected_frames
        && (decoded.samples.len() as u64) < expected
    {
        return Err(AudioFileError::Damaged(format!(
            "{} of {expected} samples are there",
            decoded.samples.len()
        )));
    }
    Ok(decoded)
}
