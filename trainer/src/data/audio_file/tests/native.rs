//! Files that only the native build reads.

use super::*;

#[test]
fn what_browsers_record_and_phones_send_is_read() {
    let reference = decode_16k(&fixture("speech-16k.ogg"), 0.0, None).unwrap();
    for (name, container, least) in [
        ("speech-16k.aac", "adts", 0.9),
        ("speech-16k-aac.m4a", "mp4", 0.9),
        ("speech-16k-alac.m4a", "mp4", 0.999),
        ("speech-16k.opus", "ogg", 0.85),
        ("speech-16k-opus.webm", "matroska", 0.85),
        ("speech-16k-vorbis.mka", "matroska", 0.85),
        ("speech-16k.aiff", "aiff", 0.999),
        ("speech-16k.caf", "caf", 0.999),
    ] {
        let heard = heard(name, &std::fs::read(fixture(name)).unwrap());
        assert_eq!(read_info(&fixture(name)).unwrap().container, container);
        assert_eq!(heard.notices, [""; 0], "{name}");
        let secs = heard.samples.len() as f32 / 16_000.0;
        let expected = if least > 0.99 { 0.3 } else { 1.0 };
        assert!((secs - expected).abs() < 0.15, "{name}: {secs} s");
        // An encoder's delay of up to two frames of 1024 samples may remain.
        let best = (0..2200)
            .filter(|delay| *delay + 4000 < heard.samples.len())
            .map(|delay| {
                let rest = &heard.samples[delay..];
                likeness(&reference[..rest.len().min(14_000)], rest)
            })
            .fold(0.0, f32::max);
        assert!(best > least, "{name}: {best}");
    }
}

#[test]
fn a_pipe_is_read_like_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let flac = std::fs::read(fixture("speech-16k.flac")).unwrap();
    let writer = {
        let path = path.clone();
        std::thread::spawn(move || std::fs::write(path, flac).unwrap())
    };
    let (samples, _) = read_blocks(&path);
    writer.join().unwrap();
    assert_eq!(
        samples,
        decode_16k(&fixture("speech-16k.flac"), 0.0, None).unwrap()
    );
}
