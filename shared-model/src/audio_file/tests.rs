#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use super::*;

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

const WHOLE: Stretch = Stretch {
    offset_secs: 0.0,
    duration_secs: None,
    rate_hz: None,
    max_secs: 60.0,
};

fn decoded(bytes: &[u8]) -> Result<DecodedAudio, AudioFileError> {
    decode(&mut Cursor::new(bytes), &WHOLE)
}

#[test]
fn half_scale_is_one_half_in_every_kind_of_wav_in_memory() {
    for (tag, sample) in [
        (1, vec![192]),
        (1, vec![0, 0x40]),
        (1, vec![0, 0, 0x40]),
        (1, vec![0, 0, 0, 0x40]),
        (3, 0.5f32.to_le_bytes().to_vec()),
    ] {
        let width = sample.len() as u16;
        let audio = decoded(&wav(tag, 1, 8_000, width, &sample.repeat(2_000))).unwrap();
        assert_eq!(audio.sample_rate_hz, 8_000);
        assert_eq!(audio.samples, vec![0.5; 2_000], "{width} bytes");
    }
}

#[test]
fn a_rate_that_is_asked_for_is_the_rate_that_comes() {
    let bytes = wav(1, 2, 48_000, 2, &[0, 0x40, 0, 0].repeat(4_800));
    let stretch = Stretch {
        rate_hz: Some(16_000),
        ..WHOLE
    };
    let audio = decode(&mut Cursor::new(&bytes), &stretch).unwrap();
    assert_eq!((audio.samples.len(), audio.sample_rate_hz), (1_600, 16_000));
    // The mean of both channels, away from the filter's edges.
    assert!((audio.samples[800] - 0.25).abs() < 1e-3);
}

#[test]
fn audio_longer_than_allowed_is_refused_by_its_header_and_by_its_samples() {
    let bytes = wav(1, 1, 1_000, 2, &[0; 2 * 60_001]);
    let is_too_long = |bytes: &[u8]| matches!(decoded(bytes), Err(AudioFileError::TooLong { max_hours }) if max_hours == 60.0 / 3600.0);
    assert!(is_too_long(&bytes));
    assert!(decoded(&wav(1, 1, 1_000, 2, &[0; 2 * 60_000])).is_ok());
    // A stretch of it is not too long.
    let stretch = Stretch {
        offset_secs: 10.0,
        duration_secs: Some(1.0),
        ..WHOLE
    };
    let audio = decode(&mut Cursor::new(&bytes), &stretch).unwrap();
    assert_eq!(audio.samples.len(), 1_000);
}

#[test]
fn what_is_no_audio_is_told_apart() {
    assert!(matches!(decoded(b""), Err(AudioFileError::Empty)));
    assert!(matches!(
        decoded(&b"only text, whatever its name says".repeat(50)),
        Err(AudioFileError::Unrecognised)
    ));
    assert!(matches!(
        decoded(&wav(1, 1, 16_000, 2, &[])),
        Err(AudioFileError::NoSamples)
    ));
    let mut cut = wav(1, 1, 16_000, 2, &[0; 64_000]);
    cut.truncate(20_000);
    let cut = decoded(&cut).unwrap();
    assert_eq!(cut.samples.len(), (20_000 - 44) / 2);
    assert!(matches!(cut.notices[..], [AudioNotice::CutShort { .. }]));
}
