//! Audio files to mono samples, by the same decoders as the trainer uses: a clip gives the same
//! samples, and so the same words, in the browser and natively.

use std::io::{Cursor, ErrorKind};

use shared_model::audio::{AudioError, downmix};
use symphonia::core::{
    codecs::audio::AudioDecoderOptions,
    errors::Error,
    formats::{FormatOptions, TrackType, probe::Hint, well_known::FORMAT_ID_MP3},
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

/// Frames at the start of an MP3 may refer to bits that were cut off with what was before them; so
/// many are replaced by silence, as the trainer does.
const TOLERATED_MP3_ERRORS: usize = 3;
/// Samples within which they may be.
const MP3_START_SAMPLES: usize = 6_000;

/// Decodes a whole file.
pub fn decode_file(mut bytes: Vec<u8>) -> Result<DecodedAudio, AudioFileError> {
    if bytes.is_empty() {
        return Err(AudioFileError::Empty);
    }
    fill_in_wav_length(&mut bytes);
    let has_length_tag = has_mp3_length_tag(&bytes);
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
    let is_mp3 = format.format_info().format == FORMAT_ID_MP3;
    let track = format
        .default_track(TrackType::Audio)
        .ok_or(AudioFileError::NoSamples)?;
    let track_id = track.id;
    // Without a tag the length of an MP3 is a guess.
    let expected_samples = track.num_frames.filter(|_| !is_mp3 || has_length_tag);
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|parameters| parameters.audio())
        .ok_or(AudioFileError::UnknownFormat)?;
    // Trimming by a guessed length would cut real sound.
    let options = AudioDecoderOptions::default().gapless(!is_mp3 || has_length_tag);
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &options)
        .map_err(|_| AudioFileError::UnknownFormat)?;

    let mut decoded = DecodedAudio {
        samples: Vec::new(),
        sample_rate_hz: 0,
    };
    let mut interleaved: Vec<f32> = Vec::new();
    let mut tolerated = 0;
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
        let buffer = match decoder.decode(&packet) {
            Ok(buffer) => buffer,
            Err(Error::DecodeError(_))
                if is_mp3
                    && tolerated < TOLERATED_MP3_ERRORS
                    && decoded.samples.len() < MP3_START_SAMPLES =>
            {
                tolerated += 1;
                let silent = decoded.samples.len() + packet.dur.get() as usize;
                decoded
                    .samples
                    .resize(silent.min(2 * MP3_START_SAMPLES), 0.0);
                continue;
            }
            Err(error) => return Err(AudioFileError::Damaged(error.to_string())),
        };
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
    if decoded.sample_rate_hz == 0 || decoded.samples.is_empty() {
        return Err(AudioFileError::NoSamples);
    }
    // Vorbis may end up to a block early.
    let slack = u64::from(decoded.sample_rate_hz) / 20;
    if let Some(expected) = expected_samples
        && (decoded.samples.len() as u64) + slack < expected
    {
        return Err(AudioFileError::Damaged(format!(
            "{} of {expected} samples are there",
            decoded.samples.len()
        )));
    }
    Ok(decoded)
}

/// Writes the real length into a WAV file whose writer did not know it: programs then put the
/// largest size they can, which the decoder refuses.
fn fill_in_wav_length(bytes: &mut [u8]) {
    const PLACEHOLDER_BYTES: u32 = 0x7fff_0000;
    const HEADER_SEARCH_BYTES: usize = 4096;
    if !(bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE")) {
        return;
    }
    let head = &bytes[..bytes.len().min(HEADER_SEARCH_BYTES)];
    let Some(data) = head
        .windows(8)
        .position(|window| window.starts_with(b"data"))
    else {
        return;
    };
    let declared = u32::from_le_bytes([
        bytes[data + 4],
        bytes[data + 5],
        bytes[data + 6],
        bytes[data + 7],
    ]);
    let there = bytes.len() - (data + 8);
    if declared >= PLACEHOLDER_BYTES && declared as usize > there {
        // Both fit: the declared length, which is larger, is 32 bits long.
        bytes[data + 4..data + 8].copy_from_slice(&(there as u32).to_le_bytes());
        let riff = (bytes.len() - 8) as u32;
        bytes[4..8].copy_from_slice(&riff.to_le_bytes());
    }
}

/// Whether the first frame of an MP3 is the Xing/Info tag, which says how long the file is.
fn has_mp3_length_tag(bytes: &[u8]) -> bool {
    const TAG_SEARCH_BYTES: usize = 4096;
    let start = match bytes {
        // An ID3v2 tag comes first: its size has seven bits a byte.
        &[b'I', b'D', b'3', _, _, _, a, b, c, d, ..] => {
            let size = [a, b, c, d]
                .iter()
                .fold(0, |size, byte| (size << 7) | usize::from(byte & 0x7f));
            size + 10
        }
        _ => 0,
    };
    let head = bytes.get(start..).unwrap_or_default();
    head[..head.len().min(TAG_SEARCH_BYTES)]
        .windows(4)
        .any(|window| window == b"Xing" || window == b"Info")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// A WAV file: format tag, channels, rate, bytes a sample, and the samples.
    fn wav(tag: u16, channels: u16, rate_hz: u32, width: u16, data: &[u8]) -> Vec<u8> {
        let block = channels * width;
        let mut bytes = b"RIFF".to_vec();
        bytes.extend((36 + data.len() as u32).to_le_bytes());
        bytes.extend(b"WAVEfmt ");
        bytes.extend(16u32.to_le_bytes());
        bytes.extend(tag.to_le_bytes());
        bytes.extend(channels.to_le_bytes());
        bytes.extend(rate_hz.to_le_bytes());
        bytes.extend((rate_hz * u32::from(block)).to_le_bytes());
        bytes.extend(block.to_le_bytes());
        bytes.extend((width * 8).to_le_bytes());
        bytes.extend(b"data");
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes
    }

    fn repeated(sample: &[u8]) -> Vec<u8> {
        sample.repeat(2_000)
    }

    #[test]
    fn half_scale_is_one_half_in_every_kind_of_wav() {
        for (tag, sample) in [
            (1, vec![192]),
            (1, vec![0, 0x40]),
            (1, vec![0, 0, 0x40]),
            (1, vec![0, 0, 0, 0x40]),
            (3, 0.5f32.to_le_bytes().to_vec()),
        ] {
            let width = sample.len() as u16;
            let decoded = decode_file(wav(tag, 1, 8_000, width, &repeated(&sample))).unwrap();
            assert_eq!(decoded.sample_rate_hz, 8_000);
            assert_eq!(decoded.samples, vec![0.5; 2_000], "{width} bytes");
        }
    }

    #[test]
    fn stereo_becomes_the_mean_of_both_channels() {
        let decoded = decode_file(wav(1, 2, 44_100, 2, &repeated(&[0, 0x40, 0, 0]))).unwrap();
        assert_eq!(decoded.samples, vec![0.25; 2_000]);
    }

    #[test]
    fn what_is_no_audio_is_told_apart() {
        assert_eq!(decode_file(Vec::new()), Err(AudioFileError::Empty));
        assert_eq!(
            decode_file(b"only text, whatever its name says".repeat(50)),
            Err(AudioFileError::UnknownFormat)
        );
        assert!(decode_file(wav(1, 1, 16_000, 2, &[])).is_err());
    }

    #[test]
    fn a_wav_that_was_cut_short_is_damaged() {
        let mut bytes = wav(1, 1, 16_000, 2, &[0; 64_000]);
        bytes.truncate(20_000);
        assert!(matches!(
            decode_file(bytes),
            Err(AudioFileError::Damaged(_))
        ));
    }

    #[test]
    fn a_wav_written_without_knowing_its_length_is_read_to_its_end() {
        let mut bytes = wav(1, 1, 16_000, 2, &[0; 64_000]);
        bytes[4..8].copy_from_slice(&0xffff_ffffu32.to_le_bytes());
        bytes[40..44].copy_from_slice(&0xffff_ffffu32.to_le_bytes());
        assert_eq!(decode_file(bytes).unwrap().samples.len(), 32_000);
    }

    #[test]
    fn the_length_tag_is_found_after_an_id3_tag() {
        let mut bytes = b"ID3\x04\x00\x00\x00\x00\x01\x00".to_vec();
        bytes.extend(vec![0; 128]);
        bytes.extend(b"\xff\xfb\x90\x00");
        assert!(!has_mp3_length_tag(&bytes));
        bytes.extend(b"....Xing");
        assert!(has_mp3_length_tag(&bytes));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            start in prop::sample::select(vec![&b"RIFF\0\0\0\0WAVEfmt "[..], b"fLaC", b"OggS", b"ID3\x04", b"\xff\xfb\x90\x00", b""]),
            rest in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let mut bytes = start.to_vec();
            bytes.extend(rest);
            let _ = decode_file(bytes);
        }

        #[test]
        fn no_change_of_a_wav_makes_it_panic(at in 0usize..60, value: u8) {
            let mut bytes = wav(1, 1, 16_000, 2, &[0; 400]);
            bytes[at] = value;
            let _ = decode_file(bytes);
        }
    }
}
