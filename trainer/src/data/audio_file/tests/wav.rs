//! WAV files as people have them.

use super::*;

fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = (body.len() as u32).to_le_bytes();
    [&name[..], &size, body].concat()
}

/// A format chunk: codec, channels, bytes a second, block align and bits.
fn format(tag: u16, channels: u16, byte_rate: u32, block: u16, bits: u16) -> Vec<u8> {
    let mut body = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
    body.extend(16_000_u32.to_le_bytes());
    body.extend(byte_rate.to_le_bytes());
    body.extend([block.to_le_bytes(), bits.to_le_bytes()].concat());
    chunk(b"fmt ", &body)
}

fn riff(name: &[u8; 4], chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = [&b"WAVE"[..], &chunks.concat()].concat();
    chunk(name, &body)
}

fn samples() -> Vec<i16> {
    (0..4000)
        .map(|i| (i * 37 % 20_011) as i16 - 9_000)
        .collect()
}

fn data() -> Vec<u8> {
    samples().iter().flat_map(|s| s.to_le_bytes()).collect()
}

fn plain() -> Vec<f32> {
    samples().iter().map(|s| f32::from(*s) / 32_768.0).collect()
}

fn mono() -> Vec<u8> {
    format(1, 1, 32_000, 2, 16)
}

#[track_caller]
fn assert_plain(what: &str, file: &[u8]) {
    let heard = heard("x.wav", file);
    assert_eq!(heard.samples, plain(), "{what}");
    assert_eq!(heard.notices, [""; 0], "{what}");
}

#[test]
fn a_size_that_is_wrong_is_not_believed() {
    let with_size = |size: u32| {
        let mut data = chunk(b"data", &data());
        data[4..8].copy_from_slice(&size.to_le_bytes());
        riff(b"RIFF", &[mono(), data])
    };
    for size in [
        8_001,
        8_008,
        8_044,
        9_000,
        0,
        0xffff_ffff,
        0x7fff_ffff,
        0x8000_0000,
    ] {
        assert_plain(&format!("{size:#x}"), &with_size(size));
    }
    let heard = heard("x.wav", &with_size(80_000));
    assert_eq!(heard.samples, plain());
    assert!(
        heard.notices[0].contains("is cut short: 0.25 of 2.50 seconds"),
        "{:?}",
        heard.notices
    );
}

#[test]
fn samples_that_begin_with_letters_are_no_chunk() {
    let mut samples = data();
    samples[..8].copy_from_slice(b"LISTfmt ");
    let mut file = riff(b"RIFF", &[mono(), chunk(b"data", &samples)]);
    file[40..44].fill(0);
    assert_eq!(heard("x.wav", &file).samples.len(), 4000);
    // But an empty chunk before another is empty.
    let empty = riff(
        b"RIFF",
        &[mono(), chunk(b"data", b""), chunk(b"LIST", b"INFO")],
    );
    let (_folder, path) = write("x.wav", &empty);
    assert!(message(&path).contains("no samples"), "{}", message(&path));
}

#[test]
fn long_formats_are_read_by_their_64_bit_size() {
    let mut sizes = [0_u8; 28];
    sizes[8..16].copy_from_slice(&8_000_u64.to_le_bytes());
    for name in [b"RF64", b"BW64"] {
        let mut data = chunk(b"data", &data());
        data[4..8].fill(0xff);
        let tail = chunk(b"LIST", b"INFOafter the samples");
        assert_plain(
            "64",
            &riff(name, &[chunk(b"ds64", &sizes), mono(), data, tail]),
        );
    }
}

#[test]
fn tags_before_and_odd_chunks_without_padding_are_stepped_over() {
    let data = chunk(b"data", &data());
    let odd = chunk(b"LIST", b"INFO odd");
    let id3 = [&b"ID3\x03\0\0\0\0\x01\x10"[..], &[0; 144]].concat();
    let wav = riff(b"RIFF", &[mono(), data.clone()]);
    assert_plain("tag", &[&id3[..], &wav].concat());
    let odd = [&odd[..], b"!"].concat();
    let mut unpadded = odd.clone();
    unpadded[4] += 1;
    assert_plain(
        "unpadded",
        &riff(b"RIFF", &[mono(), unpadded.clone(), data.clone()]),
    );
    assert_plain(
        "before",
        &riff(b"RIFF", &[unpadded.clone(), mono(), data.clone()]),
    );
    let padded = [&unpadded[..], b"\0"].concat();
    assert_plain("padded", &riff(b"RIFF", &[mono(), padded, data.clone()]));
    // A size that leads into the middle of nothing.
    unpadded[4] += 90;
    assert_plain("lost", &riff(b"RIFF", &[mono(), unpadded, data]));
}

#[test]
fn the_bits_of_a_sample_decide_what_a_sample_is() {
    let data = chunk(b"data", &data());
    for (byte_rate, block) in [(32_000, 4), (0, 0), (64_000, 4), (1, 1), (32_000, 0xffff)] {
        let format = format(1, 1, byte_rate, block, 16);
        assert_plain("block align", &riff(b"RIFF", &[format, data.clone()]));
    }
    let stereo: Vec<u8> = samples()
        .iter()
        .flat_map(|s| [s.to_le_bytes(), s.to_le_bytes()].concat())
        .collect();
    let format = format(1, 2, 1, 2, 16);
    assert_plain("stereo", &riff(b"RIFF", &[format, chunk(b"data", &stereo)]));
}

#[test]
fn coded_samples_are_refused_with_the_command_that_converts_them() {
    for (tag, name) in [
        (0x02, "ADPCM"),
        (0x11, "ADPCM"),
        (0x31, "GSM"),
        (0x55, "MP3"),
        (0x1234, "0x1234"),
    ] {
        let file = riff(
            b"RIFF",
            &[format(tag, 1, 8_000, 256, 4), chunk(b"data", &data())],
        );
        let (_folder, path) = write("two words.wav", &file);
        let text = message(&path);
        let command = format!(
            "ffmpeg -i '{0}.wav' -c:a pcm_s16le '{0}.pcm.wav'",
            path.with_extension("").display()
        );
        assert!(text.contains(name) && text.contains(&command), "{text}");
        let of_check = read_info(&path).unwrap_err().to_string();
        assert_eq!(of_check, text);
    }
}

#[test]
fn channels_that_cancel_are_not_averaged_away() {
    let inverted: Vec<u8> = samples()
        .iter()
        .flat_map(|s| [s.to_le_bytes(), (-s).to_le_bytes()].concat())
        .collect();
    let file = riff(
        b"RIFF",
        &[format(1, 2, 64_000, 4, 16), chunk(b"data", &inverted)],
    );
    let heard = heard("x.wav", &file);
    assert_eq!(heard.samples, plain());
    assert_eq!(heard.notices.len(), 1);
    assert!(
        heard.notices[0]
            .ends_with("has channels that cancel each other from 0.00 s on: channel 1 is taken")
    );
}
