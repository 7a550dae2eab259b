use std::fs;
use std::path::{Path, PathBuf};

use shared_model::bundle::Precision;
use tempfile::TempDir;
use tests::{fledge, fledge_command, repository, speech, sweep, text, wav_bytes, write_tiny_model};

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    write_tiny_model(&model, Precision::Int8);
    (folder, model)
}

#[track_caller]
fn transcribe(audio: &Path, model: &Path) -> serde_json::Value {
    let finished = fledge(["transcribe", text(audio), "--model", text(model), "--json"]);
    finished.assert_done();
    finished.json_lines().remove(0)
}

/// Three output samples for each input sample, by lines: enough for a decoder that must not fail.
fn tripled(samples: &[f32]) -> Vec<f32> {
    let next = samples.iter().skip(1).chain(samples.last());
    samples
        .iter()
        .zip(next)
        .flat_map(|(a, b)| [*a, a + (b - a) / 3.0, a + (b - a) * 2.0 / 3.0])
        .collect()
}

#[test]
fn unusual_formats_are_read() {
    let (folder, model) = place();
    let wide = folder.path().join("wide.wav");
    fs::write(&wide, wav_bytes(&tripled(&speech()), 48_000, 2, 24)).unwrap();
    transcribe(&wide, &model);
    let fixtures = repository().join("tests/fixtures");
    transcribe(&fixtures.join("clip-8khz.mp3"), &model);
    transcribe(&fixtures.join("clip-quiet-44khz.flac"), &model);
}

#[test]
fn leading_silence_is_read_past() {
    let (folder, model) = place();
    let audio = folder.path().join("late.wav");
    let mut samples = vec![0.0; 20 * 16_000];
    samples.extend(speech());
    fs::write(&audio, wav_bytes(&samples, 16_000, 1, 16)).unwrap();
    let object = transcribe(&audio, &model);
    for word in object["words"].as_array().unwrap() {
        assert!(
            word["end"].as_f64().unwrap() <= samples.len() as f64 / 16_000.0 + 0.1,
            "{word}"
        );
    }
}

#[test]
fn a_silent_minute_has_no_words() {
    let (folder, model) = place();
    let audio = folder.path().join("silence.wav");
    fs::write(&audio, wav_bytes(&vec![0.0; 60 * 16_000], 16_000, 1, 16)).unwrap();
    let object = transcribe(&audio, &model);
    assert_eq!(object["text"], "");
    assert_eq!(object["words"], serde_json::json!([]));
}

#[test]
fn a_very_short_clip_is_no_error() {
    let (folder, model) = place();
    let audio = folder.path().join("blip.wav");
    fs::write(&audio, wav_bytes(&sweep(80, 16_000), 16_000, 1, 16)).unwrap();
    transcribe(&audio, &model);
}

/// A limit on the address space would count mapped code as well, so the kernel's own record of the
/// greatest resident size is read.
#[cfg(target_os = "linux")]
#[test]
fn forty_minutes_need_less_than_a_gigabyte() {
    let (folder, model) = place();
    let audio = folder.path().join("long.wav");
    let mut samples = sweep(60 * 16_000, 16_000);
    samples.extend(vec![0.0; 5 * 60 * 16_000]);
    let samples = samples.repeat(7);
    assert!(samples.len() >= 40 * 60 * 16_000);
    fs::write(&audio, wav_bytes(&samples, 16_000, 1, 16)).unwrap();
    drop(samples);
    let mut child = fledge_command([
        "transcribe",
        text(&audio),
        "--model",
        text(&model),
        "--json",
    ])
    .stdout(std::process::Stdio::null())
    .stderr(std::process::Stdio::null())
    .spawn()
    .unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak_kib = 0_u64;
    let exit = loop {
        if let Ok(text) = fs::read_to_string(&status) {
            let found = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = found.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            peak_kib = peak_kib.max(kib.unwrap_or(0));
        }
        if let Some(exit) = child.try_wait().unwrap() {
            break exit;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(exit.success(), "{exit}");
    assert!(peak_kib > 10_000, "the peak was not seen: {peak_kib} KiB");
    assert!(peak_kib < 1 << 20, "{} MiB", peak_kib >> 10);
}
