#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

mod flac;
mod mp3;
#[cfg(unix)]
mod native;
mod ogg;
mod wav;

fn fixture(name: &str) -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&package).join("fixtures/audio").join(name)
}

fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// All of a file, and what was said of it.
struct Heard {
    samples: Vec<f32>,
    notices: Vec<String>,
}

fn read_blocks(path: &Path) -> (Vec<f32>, Vec<String>) {
    let mut blocks = FileBlocks::open(path).unwrap_or_else(|error| panic!("{error}"));
    let mut samples = Vec::new();
    while let Some(block) = blocks
        .next_block()
        .unwrap_or_else(|error| panic!("{error}"))
    {
        samples.extend_from_slice(block);
    }
    let notices = blocks.notices().collect();
    (samples, notices)
}

/// A file with these bytes by every way in, which must agree: block by block, in one piece, and by
/// its structure alone.
#[track_caller]
fn heard(name: &str, bytes: &[u8]) -> Heard {
    let (_folder, path) = write(name, bytes);
    let (samples, notices) = read_blocks(&path);
    assert_eq!(decode_16k(&path, 0.0, None).unwrap(), samples);
    let stated = read_info(&path).unwrap().duration_secs.unwrap();
    let secs = samples.len() as f64 / 16_000.0;
    assert!(
        (stated - secs).abs() < 0.001,
        "{stated} s by the header, {secs} s heard"
    );
    Heard { samples, notices }
}

/// 1 for sound of the same shape.
fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    let product: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    product / (rms(a) * rms(b) * length as f32)
}

fn message(path: &Path) -> String {
    let text = decode_16k(path, 0.0, None).unwrap_err().to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

/// A WAV of 16-bit mono samples whose data chunk claims `data_bytes`.
fn wav(samples: &[i16], data_bytes: u32) -> Vec<u8> {
    let mut bytes = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    bytes.extend(16_000_u32.to_le_bytes());
    bytes.extend(32_000_u32.to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend(data_bytes.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    bytes
}

fn rms(samples: &[f32]) -> f32 {
    (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt()
}

/// Frequency of a tone by its upward zero crossings.
fn pitch_hz(samples: &[f32], rate_hz: u32) -> f32 {
    let crossings = samples
        .windows(2)
        .filter(|w| w[0] <= 0.0 && w[1] > 0.0)
        .count();
    crossings as f32 * rate_hz as f32 / samples.len() as f32
}

#[test]
fn every_container_gives_its_rate_channels_and_length() {
    for (name, container, rate_hz, channels, secs) in [
        ("speech-16k.flac", "flac", 16_000, 1, 0.3),
        ("speech-16k.mp3", "mp3", 16_000, 1, 1.0),
        ("speech-8k.mp3", "mp3", 8_000, 1, 1.0),
        ("speech-16k.ogg", "ogg", 16_000, 1, 1.0),
        ("speech-8k-mulaw.wav", "wav", 8_000, 1, 0.5),
        ("tone-44k1-stereo-quiet.flac", "flac", 44_100, 2, 0.15),
        ("tone-48k-stereo-24bit.wav", "wav", 48_000, 2, 0.03),
        ("tone-8k.sph", "sphere", 8_000, 1, 0.25),
    ] {
        let info = read_info(&fixture(name)).unwrap();
        assert_eq!(
            (info.container, info.sample_rate_hz, info.channels),
            (container, rate_hz, channels),
            "{name}"
        );
        let stated = info.duration_secs.unwrap();
        assert!((stated - secs).abs() < 0.001, "{name}: {stated}");
        let (samples, rate) = decode_file(&fixture(name)).unwrap();
        assert_eq!(rate, rate_hz);
        let decoded = samples.len() as f64 / f64::from(rate);
        assert!((decoded - secs).abs() < 0.001, "{name}: {decoded}");
        let at_16k = decode_16k(&fixture(name), 0.0, None).unwrap();
        assert!(
            (at_16k.len() as f64 / 16_000.0 - secs).abs() < 0.001,
            "{name}"
        );
    }
}

#[test]
fn lossy_containers_hold_the_same_speech_at_the_same_time() {
    let reference = decode_16k(&fixture("speech-16k.ogg"), 0.0, None).unwrap();
    for name in ["speech-16k.mp3", "speech-16k-vbr-untagged.mp3"] {
        let other = decode_16k(&fixture(name), 0.0, None).unwrap();
        // The untagged file keeps the encoder's delay of 1105 samples.
        let delay: usize = if name.contains("untagged") { 1105 } else { 0 };
        let product = |shift: usize| -> f32 {
            reference
                .iter()
                .zip(&other[shift..])
                .map(|(a, b)| a * b)
                .sum()
        };
        let best = (delay..delay + 50)
            .chain(delay.saturating_sub(50)..delay)
            .max_by(|&a, &b| product(a).total_cmp(&product(b)))
            .unwrap();
        assert!(best.abs_diff(delay) <= 1, "{name}: {best}");
        let likeness = product(best) / (rms(&reference) * rms(&other) * reference.len() as f32);
        assert!(likeness > 0.95, "{name}: {likeness}");
    }
}

#[test]
fn tones_come_out_at_their_pitch_and_level() {
    let (wav24, rate) = decode_file(&fixture("tone-48k-stereo-24bit.wav")).unwrap();
    assert!((pitch_hz(&wav24, rate) - 440.0).abs() < 35.0);
    assert!(
        (rms(&wav24) - 0.5012 * std::f32::consts::FRAC_1_SQRT_2).abs() < 0.01,
        "{}",
        rms(&wav24)
    );
    let (sphere, rate) = decode_file(&fixture("tone-8k.sph")).unwrap();
    assert!((pitch_hz(&sphere, rate) - 440.0).abs() < 5.0);
    assert!((rms(&sphere) - 0.3544).abs() < 0.005);
}

#[test]
fn wavs_with_sizes_that_cannot_be_meant_are_read_to_their_end() {
    let samples: Vec<i16> = (0..800).map(|i| i * 10 + 5).collect();
    for claimed in [1600, 0xffff_ffff, 0x7fff_ffff - 36, 0] {
        let (_folder, path) = write("x.wav", &wav(&samples, claimed));
        let (read, rate) = decode_file(&path).unwrap();
        assert_eq!((read.len(), rate), (800, 16_000), "{claimed:#x}");
        assert_eq!(read[799], f32::from(samples[799]) / 32_768.0);
    }
}

#[test]
fn stereo_is_mixed_and_floats_beyond_numbers_are_refused() {
    let mut stereo = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x03\0\x02\0".to_vec();
    stereo.extend(16_000_u32.to_le_bytes());
    stereo.extend(128_000_u32.to_le_bytes());
    stereo.extend(b"\x08\0\x20\0data\x10\0\0\0");
    let mut broken = stereo.clone();
    for value in [0.5_f32, -0.25, 1.0, 0.0] {
        stereo.extend(value.to_le_bytes());
    }
    let (_folder, path) = write("x.wav", &stereo);
    assert_eq!(decode_file(&path).unwrap().0, [0.125, 0.5]);
    for value in [f32::NAN, 0.0, 0.0, 0.0] {
        broken.extend(value.to_le_bytes());
    }
    let (_folder, path) = write("x.wav", &broken);
    assert!(message(&path).contains("no numbers"));
}

#[test]
fn a_name_that_lies_about_the_content_does_not_matter() {
    let mp3 = std::fs::read(fixture("speech-16k.mp3")).unwrap();
    let (_folder, path) = write("x.wav", &mp3);
    assert_eq!(
        decode_16k(&path, 0.0, None).unwrap(),
        decode_16k(&fixture("speech-16k.mp3"), 0.0, None).unwrap()
    );
}

#[test]
fn files_that_are_no_audio_are_told_apart_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    assert!(message(folder.path()).ends_with("is a folder, expected an audio file"));
    assert!(message(&folder.path().join("gone.wav")).ends_with("no such file"));
    for (bytes, expected) in [
        (&b""[..], "is empty (0 bytes)"),
        (
            b"This is a letter, not a recording.\n",
            "is not audio that can be read",
        ),
        (b"RIFF\x24\0\0\0WAVE", "has a header but no samples"),
        (&wav(&[], 0), "has a header but no samples"),
        (b"fLaC", "has a header but no samples"),
        (
            b"NIST_1A\n   1024\nsample_rate -i 8000\nend_head\n",
            "has a header but no samples",
        ),
    ] {
        let (_folder, path) = write("x.wav", bytes);
        let text = message(&path);
        assert!(text.contains(expected), "{text}");
        assert!(read_info(&path).is_err(), "{text}");
    }
}

#[test]
fn files_cut_short_are_errors_at_any_place_of_the_cut() {
    for name in [
        "speech-16k.flac",
        "tone-44k1-stereo-quiet.flac",
        "speech-16k.mp3",
        "speech-8k.mp3",
        "speech-16k.ogg",
        "tone-8k.sph",
    ] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        for percent in [5, 20, 50, 70, 90, 97] {
            let (_folder, path) = write(name, &bytes[..bytes.len() * percent / 100]);
            let text = decode_16k(&path, 0.0, None)
                .map(|samples| samples.len())
                .expect_err(&format!("{name} at {percent} %"))
                .to_string();
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }
    let mp3 = std::fs::read(fixture("speech-16k.mp3")).unwrap();
    let (_folder, path) = write("x.mp3", &mp3[..mp3.len() / 2]);
    assert!(
        message(&path).contains("is truncated: 0.50 of 1.08"),
        "{}",
        message(&path)
    );
    let vbr = std::fs::read(fixture("speech-16k-vbr-untagged.mp3")).unwrap();
    let (_folder, path) = write("x.mp3", &vbr[..vbr.len() - 40]);
    assert!(
        message(&path).contains("ends inside a frame"),
        "{}",
        message(&path)
    );
}

#[test]
fn a_stretch_equals_that_part_of_the_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.wav");
    let samples: Vec<i16> = (0..16_000 * 20).map(|i| (i % 7919) as i16).collect();
    std::fs::write(&path, wav(&samples, samples.len() as u32 * 2)).unwrap();
    let (whole, _) = decode_file(&path).unwrap();
    let part = decode_16k(&path, 12.5, Some(0.25)).unwrap();
    assert_eq!(part, whole[200_000..204_000]);
    let tail = decode_16k(&path, 19.5, Some(5.0)).unwrap();
    assert_eq!(tail, whole[312_000..]);
    assert!(
        decode_16k(&path, 20.5, None)
            .unwrap_err()
            .to_string()
            .contains("nothing is at 20.50 s")
    );
    for name in ["speech-16k.flac", "speech-16k.ogg", "speech-16k.mp3"] {
        let whole = decode_16k(&fixture(name), 0.0, None).unwrap();
        let part = decode_16k(&fixture(name), 0.1, Some(0.1)).unwrap();
        assert_eq!(part, whole[1600..3200], "{name}");
        assert!(decode_16k(&fixture(name), 1.5, None).is_err(), "{name}");
    }
}

#[test]
fn seeking_into_a_file_arrives_at_the_very_sample() {
    // The MP3 is too small for a tag, so it keeps the encoder's delay and padding.
    for (name, length, tolerance) in [
        ("late-8k.flac", 45_600, 0.0),
        ("late-8k.mp3", 82 * 576, 1e-4),
        ("late-8k.ogg", 45_600, 1e-4),
    ] {
        let (whole, _) = decode_file(&fixture(name)).unwrap();
        assert_eq!(whole.len(), length, "{name}");
        for offset_secs in [4.7, 5.02] {
            let stretch = Stretch {
                offset_secs,
                duration_secs: Some(0.6),
                ..WHOLE
            };
            let part = decode((&fixture(name)).into(), &stretch).unwrap().samples;
            let start = (offset_secs * 8000.0).round() as usize;
            assert_eq!(part.len(), 4800, "{name}");
            assert!(rms(&part) > 0.003, "{name}: the chirp is in it");
            let difference = part
                .iter()
                .zip(&whole[start..])
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(
                difference <= tolerance,
                "{name} at {offset_secs}: {difference}"
            );
        }
    }
}

#[test]
fn a_tag_at_either_end_of_an_mp3_is_no_cut() {
    let mp3 = std::fs::read(fixture("speech-16k.mp3")).unwrap();
    let plain = decode_16k(&fixture("speech-16k.mp3"), 0.0, None).unwrap();
    let mut id3 = b"ID3\x04\0\0\0\0\x01\x00".to_vec();
    id3.resize(10 + 128, 0);
    let tail = [b"TAG".to_vec(), vec![b' '; 125]].concat();
    let (_folder, path) = write("x.mp3", &[id3, mp3, tail].concat());
    assert_eq!(decode_16k(&path, 0.0, None).unwrap().len(), plain.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_a_reader_panic(
        head in prop::sample::select(vec![
            &b"RIFF\x24\0\0\0WAVEfmt "[..], b"fLaC\0\0\0\x22", b"OggS\0\x02", b"ID3\x04",
            b"NIST_1A\n   1024\n", b"\xff\xf3\x14\xc4", b"",
        ]),
        body in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let (_folder, path) = write("x.bin", &[head, &body].concat());
        let _ = read_info(&path);
        let _ = decode_16k(&path, 0.0, None);
    }

    #[test]
    fn no_damage_to_a_file_makes_a_reader_panic(
        name in prop::sample::select(vec![
            "speech-16k.flac", "speech-8k.mp3", "speech-16k.ogg", "tone-48k-stereo-24bit.wav", "tone-8k.sph",
            "speech-16k-pages.ogg", "speech-16k-free.mp3", "speech-16k.aac", "speech-16k-aac.m4a",
            "speech-16k-alac.m4a", "speech-16k.opus", "speech-16k-opus.webm", "speech-16k-vorbis.mka",
            "speech-16k.aiff", "speech-16k.caf",
        ]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        in_header in any::<bool>(),
    ) {
        let mut bytes = std::fs::read(fixture(name)).unwrap();
        let range = if in_header { bytes.len().min(200) } else { bytes.len() };
        for (index, value) in flips {
            bytes[index.index(range)] = value;
        }
        let (_folder, path) = write("x.bin", &bytes);
        let _ = read_info(&path);
        let _ = decode_16k(&path, 0.05, Some(0.1));
        if let Err(error) = decode_16k(&path, 0.0, None) {
            prop_assert_eq!(error.to_string().lines().count(), 1);
        }
    }
}
