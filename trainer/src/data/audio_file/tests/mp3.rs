//! MP3 files as people have them, made of the fixtures' frames.

use super::*;

fn read(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

/// Frames of `speech-16k.mp3` are of one length; the first holds the tag.
const FRAME_BYTES: usize = 216;
const FRAME_SAMPLES: usize = 576;

/// The frames of the fixture again and again, without a tag.
fn long() -> Vec<u8> {
    read("speech-16k.mp3")[FRAME_BYTES..].repeat(7)
}

/// An ID3v2 tag with this body.
fn id3v2(body: &[u8]) -> Vec<u8> {
    let size = [21, 14, 7, 0].map(|shift| (body.len() >> shift) as u8 & 0x7f);
    [b"ID3\x03\0\0", &size[..], body].concat()
}

/// A title in UTF-16, with its byte order mark: set bits as in a frame's header.
fn utf16_title() -> Vec<u8> {
    let text = b"\x01\xff\xfeT\0w\0o\0";
    id3v2(&[b"TIT2\0\0\0\x09\0\0", &text[..]].concat())
}

fn ape(items: &[u8]) -> Vec<u8> {
    let part = |flags: u32| {
        let mut part = b"APETAGEX\xd0\x07\0\0".to_vec();
        part.extend((items.len() as u32 + 32).to_le_bytes());
        part.extend(1_u32.to_le_bytes());
        part.extend(flags.to_le_bytes());
        part.extend([0; 8]);
        part
    };
    [&part(0xa000_0000)[..], items, &part(0x8000_0000)].concat()
}

fn id3v1() -> Vec<u8> {
    [&b"TAG"[..], &[b' '; 125]].concat()
}

#[test]
fn tags_of_any_size_and_kind_around_the_frames_change_nothing() {
    let mp3 = read("speech-16k.mp3");
    let plain = heard("x.mp3", &mp3).samples;
    let picture = vec![0xa5; 3 << 20];
    let sync_words = [0xff, 0xfb, 0x90, 0x64].repeat(8_000);
    let lyrics = b"LYRICSBEGINla la000006LYRICS200".to_vec();
    let old_ape = ape(b"key\0value")[32..].to_vec();
    for (name, file) in [
        ("large", [&id3v2(&picture)[..], &mp3].concat()),
        ("sync words", [&id3v2(&sync_words)[..], &mp3].concat()),
        ("two", [&id3v2(&[0; 50])[..], &utf16_title(), &mp3].concat()),
        ("title", [&utf16_title()[..], &mp3, &id3v1()].concat()),
        ("ape before", [&ape(&sync_words)[..], &mp3].concat()),
        (
            "all after",
            [&mp3[..], &ape(b"x"), &lyrics, &id3v1()].concat(),
        ),
        ("old ape", [&mp3[..], &old_ape, &id3v1()].concat()),
        ("padding", [&mp3[..], &[0; 700]].concat()),
        (
            "wrong size",
            [&b"ID3\x03\0\0\x7f\x7f\x7f\x7f"[..], &[0; 90], &mp3].concat(),
        ),
    ] {
        let heard = heard("x.mp3", &file);
        assert_eq!(heard.samples, plain, "{name}");
        assert_eq!(heard.notices, [""; 0], "{name}");
    }
}

#[test]
fn files_joined_into_one_are_heard_one_after_another() {
    let mp3 = read("speech-16k.mp3");
    let one = heard("x.mp3", &mp3).samples;
    let tagged = [&utf16_title()[..], &mp3].concat();
    let with_end = [&mp3[..], &id3v1()].concat();
    for file in [
        [&tagged[..], &tagged].concat(),
        [&mp3[..], &mp3].concat(),
        [&with_end[..], &tagged].concat(),
    ] {
        let heard = heard("x.mp3", &file);
        assert_eq!(heard.samples, [&one[..], &one].concat());
        assert_eq!(heard.notices, [""; 0]);
    }
}

#[test]
fn a_rate_or_a_number_of_channels_that_changes_is_followed() {
    let first = heard("x.mp3", &read("speech-16k.mp3")).samples;
    let second = heard("x.mp3", &read("speech-8k.mp3")).samples;
    let joined = [read("speech-16k.mp3"), read("speech-8k.mp3")].concat();
    assert_eq!(
        heard("x.mp3", &joined).samples,
        [&first[..], &second].concat()
    );

    // Frames alone, so that nothing but their headers tells.
    let mono = read("speech-16k.mp3")[FRAME_BYTES..].to_vec();
    let stereo = read("speech-16k-stereo.mp3")[FRAME_BYTES..].to_vec();
    let heard = heard("x.mp3", &[&mono[..], &stereo].concat());
    assert_eq!(
        heard.samples.len(),
        (mono.len() + stereo.len()) / FRAME_BYTES * FRAME_SAMPLES
    );
    let (a, b) = heard
        .samples
        .split_at(mono.len() / FRAME_BYTES * FRAME_SAMPLES);
    assert!(likeness(a, b) > 0.9, "{}", likeness(a, b));
}

#[test]
fn free_format_is_read() {
    let reference = heard("x.ogg", &read("speech-16k.ogg")).samples;
    let heard = heard("x.mp3", &read("speech-16k-free.mp3"));
    assert!(heard.samples.len().abs_diff(16_000) < 2500);
    // Without a tag the encoder's delay stays.
    let best = (0..1500)
        .map(|delay| likeness(&reference[..14_000], &heard.samples[delay..]))
        .fold(0.0, f32::max);
    assert!(best > 0.95, "{best}");
    assert_eq!(heard.notices, [""; 0]);
}

/// Sound outside of these samples is the same.
#[track_caller]
fn assert_same_outside(damaged: &[f32], whole: &[f32], from: usize, to: usize, what: &str) {
    assert_eq!(damaged.len(), whole.len(), "{what}: times move");
    for (i, (a, b)) in damaged.iter().zip(whole).enumerate() {
        let is_near = i + 4 * FRAME_SAMPLES > from && i < to + 6 * FRAME_SAMPLES;
        assert!(
            is_near || (a - b).abs() < 1e-3,
            "{what}: {a}, not {b} at {i}"
        );
    }
}

#[test]
fn a_damaged_moment_costs_that_moment_and_no_time() {
    let whole = long();
    let sound = heard("x.mp3", &whole).samples;
    for position in (0..whole.len() - 4096).step_by(3671) {
        for noise in [0x00, 0xff, 0x5a] {
            let mut bytes = whole.clone();
            let mut state = position as u32 + noise;
            for byte in &mut bytes[position..position + 4096] {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = if noise == 0x5a {
                    (state >> 24) as u8
                } else {
                    noise as u8
                };
            }
            let heard = heard("x.mp3", &bytes);
            let (from, to) = (position / FRAME_BYTES, (position + 4096) / FRAME_BYTES + 1);
            let what = format!("{noise:#x} at {position}");
            // Zeros before the first frame are padding as well as damage: they are left out.
            if position == 0 && noise == 0 {
                continue;
            }
            let (from, to) = (from * FRAME_SAMPLES, to * FRAME_SAMPLES);
            assert_same_outside(&heard.samples, &sound, from, to, &what);
            assert!(
                heard.notices.iter().any(|n| n.contains("is damaged at")),
                "{what}"
            );
        }
    }
}

#[test]
fn no_single_bit_of_a_frame_header_costs_more_than_its_frame() {
    let whole = long();
    let sound = heard("x.mp3", &whole).samples;
    for frame in [0, 1, 77, whole.len() / FRAME_BYTES - 1] {
        for bit in 0..32 {
            let mut bytes = whole.clone();
            bytes[frame * FRAME_BYTES + bit / 8] ^= 0x80 >> (bit % 8);
            let heard = heard("x.mp3", &bytes);
            let from = frame * FRAME_SAMPLES;
            let what = format!("bit {bit} of frame {frame}");
            assert_same_outside(&heard.samples, &sound, from, from + FRAME_SAMPLES, &what);
        }
    }
}

#[test]
fn of_a_variable_bit_rate_the_tag_tells_how_much_was_lost() {
    // A tag of all frames before frames of several lengths.
    let vbr = read("speech-16k-vbr-untagged.mp3").repeat(6);
    let untagged = heard("x.mp3", &vbr).samples;
    let frames = (untagged.len() / FRAME_SAMPLES) as u32;
    let mut tag = read("speech-16k.mp3")[..FRAME_BYTES].to_vec();
    let at = tag.windows(4).position(|w| w == b"Info").unwrap();
    tag[at..at + 12].copy_from_slice(&[b"Xing\0\0\0\x01", &frames.to_be_bytes()[..]].concat());
    tag[at + 12..].fill(0);
    for position in [5_000, 20_001, 28_765] {
        let mut bytes = [&tag[..], &vbr].concat();
        bytes[position..position + 3000].fill(0xaa);
        assert_eq!(heard("x.mp3", &bytes).samples.len(), untagged.len());
    }
}

#[test]
fn text_and_other_bytes_are_no_mp3() {
    let utf16: Vec<u8> = "Das ist ein Brief.\n"
        .repeat(12)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for bytes in [
        [&b"\xff\xfe"[..], &utf16].concat(),
        id3v2(&[7; 300]),
        [
            &id3v2(&[0; 40])[..],
            b"and then a letter".repeat(20).as_slice(),
        ]
        .concat(),
        [0xff, 0xfb, 0x90, 0x64].repeat(500),
    ] {
        let (_folder, path) = write("x.mp3", &bytes);
        assert!(
            message(&path).contains("is not audio that can be read"),
            "{}",
            message(&path)
        );
        assert!(read_info(&path).is_err());
    }
}
