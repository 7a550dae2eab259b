use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use shared_model::bundle::Precision;
use tempfile::TempDir;
use tests::{
    Finished, fledge, fledge_command, repository, speech, sweep, text, wav_bytes, write_tiny_model,
};

const DATA: i32 = 3;
const USAGE: i32 = 2;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    write_tiny_model(&model, Precision::Int8);
    (folder, model)
}

#[test]
fn standard_input_and_pipes_give_the_words_of_the_file() {
    let (folder, model) = place();
    let bytes = wav_bytes(&speech(), 16_000, 1, 16);
    let audio = folder.path().join("a.wav");
    fs::write(&audio, &bytes).unwrap();
    let words = |finished: &Finished| {
        finished.assert_done();
        finished.json_lines()[0]["words"].clone()
    };
    let transcribe = |file: &str| {
        let mut command = fledge_command(["transcribe", file, "--model", text(&model), "--json"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that reads no input closes the pipe.
        let _ = stdin.write_all(&bytes);
        drop(stdin);
        Finished::from(child.wait_with_output().unwrap())
    };
    let expected = words(&transcribe(text(&audio)));
    assert!(!expected.as_array().unwrap().is_empty());
    assert_eq!(words(&transcribe("-")), expected);
    #[cfg(target_os = "linux")]
    assert_eq!(words(&transcribe("/dev/stdin")), expected);
}

#[test]
fn no_word_ends_behind_the_file() {
    let (folder, model) = place();
    let mut words = 0;
    for extra in [0, 100, 250, 333, 480, 600] {
        let num_samples = 24_000 + extra;
        let audio = folder.path().join(format!("{num_samples}.wav"));
        fs::write(
            &audio,
            wav_bytes(&sweep(num_samples, 16_000), 16_000, 1, 16),
        )
        .unwrap();
        let finished = fledge([
            "transcribe",
            text(&audio),
            "--model",
            text(&model),
            "--json",
        ]);
        finished.assert_done();
        for word in finished.json_lines()[0]["words"].as_array().unwrap() {
            words += 1;
            let end = word["end"].as_f64().unwrap();
            let length = num_samples as f64 / 16_000.0;
            assert!(end <= length + 1e-6, "{word} in {length} s");
            assert!(word["start"].as_f64().unwrap() <= end, "{word}");
        }
    }
    assert!(words > 0, "the untrained network should say something");
}

#[test]
fn quiet_is_quiet() {
    let (folder, model) = place();
    let audio = folder.path().join("long.wav");
    fs::write(
        &audio,
        wav_bytes(&sweep(200 * 16_000, 16_000), 16_000, 1, 16),
    )
    .unwrap();
    let arguments = [
        "transcribe",
        text(&audio),
        "--model",
        text(&model),
        "--device",
        "cpu",
    ];
    let told = fledge(arguments);
    told.assert_done();
    assert!(told.stderr.contains(" of 200 s"), "{told:#?}");
    let quiet = fledge(arguments.into_iter().chain(["--quiet"]));
    quiet.assert_done();
    assert_eq!(quiet.stderr, "");

    // A damaged file among a hundred is left out of an evaluation, quietly if asked.
    let clip = folder.path().join("a.wav");
    fs::write(&clip, wav_bytes(&speech(), 16_000, 1, 16)).unwrap();
    let line = |path: &str| serde_json::json!({"audio_filepath": path, "text": "one"}).to_string();
    let lines: Vec<String> = (0..100)
        .map(|i| line(if i == 50 { "gone.wav" } else { "a.wav" }))
        .collect();
    let manifest = folder.path().join("m.jsonl");
    fs::write(&manifest, lines.join("\n")).unwrap();
    let arguments = [
        "evaluate",
        "--manifest",
        text(&manifest),
        "--model",
        text(&model),
        "--device",
        "cpu",
    ];
    assert!(fledge(arguments).stderr.contains("left out: "));
    let quiet = fledge(arguments.into_iter().chain(["--quiet"]));
    quiet.assert_done();
    assert_eq!(quiet.stderr, "");
}

#[test]
fn check_prepare_and_evaluate_say_what_transcribe_says() {
    let (folder, model) = place();
    let good = wav_bytes(&speech(), 16_000, 1, 16);
    let fixture = |name: &str| fs::read(repository().join("tests/fixtures").join(name)).unwrap();
    let mp3 = fixture("clip-8khz.mp3");
    let files: [(&str, Vec<u8>); 8] = [
        ("good.wav", good.clone()),
        ("good.mp3", mp3.clone()),
        ("empty.wav", vec![]),
        ("text.mp3", b"this is no audio".to_vec()),
        ("header.wav", good[..44].to_vec()),
        (
            "half.flac",
            fixture("clip-quiet-44khz.flac")[..3000].to_vec(),
        ),
        ("half.mp3", mp3[..mp3.len() / 2].to_vec()),
        ("adpcm.wav", [&good[..20], &[2, 0], &good[22..]].concat()),
    ];
    for (name, bytes) in files {
        let source = folder.path().join("source");
        let _ = fs::remove_dir_all(&source);
        fs::create_dir(&source).unwrap();
        let audio = source.join(name);
        fs::write(&audio, bytes).unwrap();
        fs::write(audio.with_extension("txt"), "seven two nine four").unwrap();
        let manifest = folder.path().join("m.jsonl");
        let line = serde_json::json!({"audio_filepath": text(&audio), "text": "seven"});
        fs::write(&manifest, line.to_string()).unwrap();
        let out = folder.path().join("out");

        let transcribed = fledge(["transcribe", text(&audio), "--model", text(&model)]);
        let evaluate = [
            "evaluate",
            "--manifest",
            text(&manifest),
            "--model",
            text(&model),
            "--limit",
            "1",
        ];
        let others = [
            fledge(["check", text(&manifest)]),
            fledge(["prepare", "folder", text(&source), "--out", text(&out)]),
            fledge(evaluate),
        ];
        for other in &others {
            assert_eq!(
                other.code, transcribed.code,
                "{name}: {other:#?} {transcribed:#?}"
            );
            if transcribed.code == Some(DATA) {
                let reason = transcribed.error_lines()[0].split_once(name).unwrap().1;
                assert!(
                    other.stderr.contains(reason),
                    "{name}: {reason} in {other:#?}"
                );
            }
        }
    }
}

/// 16-bit stereo whose second channel is the first one upside down.
fn out_of_phase(samples: &[f32]) -> Vec<u8> {
    let mut bytes = wav_bytes(samples, 16_000, 2, 16);
    for frame in bytes[44..].chunks_exact_mut(4) {
        let left = i16::from_le_bytes([frame[0], frame[1]]);
        frame[2..].copy_from_slice(&(-left).to_le_bytes());
    }
    bytes
}

#[test]
fn evaluate_says_what_is_worth_knowing_of_a_file_as_transcribe_does() {
    let (folder, model) = place();
    let audio = folder.path().join("a.wav");
    fs::write(&audio, out_of_phase(&speech())).unwrap();
    let manifest = folder.path().join("m.jsonl");
    let line = serde_json::json!({"audio_filepath": text(&audio), "text": "seven"});
    fs::write(&manifest, line.to_string()).unwrap();
    let transcribed = fledge(["transcribe", text(&audio), "--model", text(&model)]);
    transcribed.assert_done();
    let is_notice = |line: &&str| line.starts_with(text(&audio));
    let notice = transcribed.stderr.lines().find(is_notice);
    let notice = notice.unwrap_or_else(|| panic!("no notice in {transcribed:#?}"));
    let evaluate = [
        "evaluate",
        "--manifest",
        text(&manifest),
        "--model",
        text(&model),
    ];
    let told = fledge(evaluate);
    told.assert_done();
    assert!(told.stderr.lines().any(|line| line == notice), "{told:#?}");
    let quiet = fledge(evaluate.into_iter().chain(["--quiet"]));
    quiet.assert_done();
    assert_eq!(quiet.stderr, "");
}

#[test]
fn what_cannot_be_measured_or_written_is_refused_before_the_work() {
    let (folder, model) = place();
    fs::write(
        folder.path().join("a.wav"),
        wav_bytes(&speech(), 16_000, 1, 16),
    )
    .unwrap();
    let manifest = folder.path().join("m.jsonl");
    let evaluate = |more: &[&str]| {
        let arguments = [
            "evaluate",
            "--manifest",
            text(&manifest),
            "--model",
            text(&model),
        ];
        fledge(arguments.iter().chain(more).copied())
    };
    fs::write(
        &manifest,
        "{\"audio_filepath\": \"a.wav\", \"duration\": 2.6}",
    )
    .unwrap();
    evaluate(&[]).assert_refused(DATA, "no utterance has a text");

    let line = "{\"audio_filepath\": \"a.wav\", \"text\": \"seven\"}";
    fs::write(&manifest, line).unwrap();
    let nowhere = folder.path().join("none/h.jsonl");
    evaluate(&["--hypotheses", text(&nowhere)]).assert_refused(USAGE, "--hypotheses");
    evaluate(&["--hypotheses", text(folder.path())]).assert_refused(USAGE, "is a folder");

    let hypotheses = folder.path().join("h.jsonl");
    let done = evaluate(&[
        "--hypotheses",
        text(&hypotheses),
        "--store",
        "mine",
        "--json",
    ]);
    done.assert_done();
    assert_eq!(done.json_lines()[0]["utterances"], 1);
    assert!(
        fs::read_to_string(&hypotheses)
            .unwrap()
            .contains("pred_text")
    );
    let card = fs::read_to_string(model.join("README.md")).unwrap();
    assert!(card.contains("mine"), "{card}");
}
