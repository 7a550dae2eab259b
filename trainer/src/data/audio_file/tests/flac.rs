//! FLAC files as people have them.

use super::*;

fn flac() -> Vec<u8> {
    std::fs::read(fixture("late-8k.flac")).unwrap()
}

#[test]
fn what_stands_before_and_after_the_frames_does_not_matter() {
    for name in [
        "late-8k.flac",
        "speech-16k.flac",
        "tone-44k1-stereo-quiet.flac",
    ] {
        let flac = std::fs::read(fixture(name)).unwrap();
        let plain = heard("x.flac", &flac).samples;
        let id3v1 = [&b"TAG"[..], &[b' '; 125]].concat();
        let id3v2 = [&b"ID3\x04\0\0\0\0\x02\0"[..], &[0x41; 256]].concat();
        let noise: Vec<u8> = (0..70_000_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        for file in [
            [&flac[..], &id3v1].concat(),
            [&id3v2[..], &flac].concat(),
            [&id3v2[..], &flac, &id3v1].concat(),
            [&flac[..], &noise].concat(),
            [&flac[..], b"\0"].concat(),
        ] {
            let heard = heard("x.flac", &file);
            assert_eq!(heard.samples, plain, "{name}");
            assert_eq!(heard.notices, [""; 0]);
        }
    }
}

#[test]
fn an_unknown_length_is_found() {
    let mut flac = flac();
    let plain = heard("x.flac", &flac).samples;
    // The last four of the 36 bits and the 32 before; the checksum of the sound stays.
    flac[21] &= 0xf0;
    flac[22..26].fill(0);
    assert_eq!(heard("x.flac", &flac).samples, plain);
    let (_folder, path) = write("x.flac", &flac[..flac.len() - 30]);
    assert!(
        message(&path).contains("is truncated"),
        "{}",
        message(&path)
    );
}

#[test]
fn a_damaged_frame_is_silence_and_moves_nothing() {
    let flac = flac();
    let plain = heard("x.flac", &flac).samples;
    // In the chirp at five seconds, which takes the most bytes.
    let at = flac.len() - 700;
    for length in [1, 40] {
        let mut bytes = flac.clone();
        for byte in &mut bytes[at..at + length] {
            *byte ^= 0x55;
        }
        let heard = heard("x.flac", &bytes);
        assert_eq!(heard.samples.len(), plain.len());
        assert_eq!(heard.notices.len(), 1, "{:?}", heard.notices);
        assert_eq!(heard.samples[..9 * 8192], plain[..9 * 8192]);
        assert_ne!(heard.samples, plain);
    }
}
