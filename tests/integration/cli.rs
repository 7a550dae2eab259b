use std::fs;
use std::io::Read;
use std::process::Stdio;

use shared_model::bundle::Precision;
use tests::{fledge, fledge_command, repository, speech, text, wav_bytes, write_tiny_model};

const COMMANDS: [&str; 21] = [
    "prepare",
    "check",
    "tokenizer",
    "teach",
    "distill",
    "finetune",
    "run",
    "evaluate",
    "errors",
    "lm",
    "tune-decoder",
    "calibrate",
    "transcribe",
    "label",
    "study",
    "compare",
    "export",
    "inspect",
    "devices",
    "bench",
    "serve",
];

#[test]
fn every_command_has_help_on_standard_output() {
    let overview = fledge(["--help"]);
    overview.assert_done();
    for command in COMMANDS {
        assert!(overview.stdout.contains(command), "{command}");
        let help = fledge([command, "--help"]);
        help.assert_done();
        assert!(
            help.stdout.contains("Example"),
            "{command}: {}",
            help.stdout
        );
        assert_eq!(help.stderr, "");
    }
}

#[test]
fn usage_errors_are_one_line_and_exit_with_2() {
    for arguments in [
        &["frobnicate"][..],
        &["evaluate"],
        &["evaluate", "--model"],
        &["transcribe", "--model", "m"],
        &["run", "recipe.toml", "--device", "quantum"],
        &["serve", "x", "--port", "99999999"],
    ] {
        fledge(arguments).assert_refused(2, "--help");
    }
    let nothing = fledge::<_, &str>([]);
    assert_eq!(nothing.code, Some(2));
    assert!(nothing.stderr.contains("Usage"), "{nothing:#?}");
}

#[test]
fn the_paper_recipe_has_exactly_the_published_parameter_counts() {
    let finished = fledge([
        "inspect",
        text(&repository().join("recipes/paper.toml")),
        "--json",
    ]);
    finished.assert_done();
    let view = &finished.json_lines()[0];
    assert_eq!(view["teacher"]["parameters"], 18_600_192);
    let students: Vec<_> = view["students"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["parameters"].as_u64().unwrap())
        .collect();
    assert_eq!(students, [9_462_528, 6_416_640, 3_370_752]);
    let parts = view["teacher"]["parts"].as_array().unwrap();
    let sum: u64 = parts
        .iter()
        .map(|part| part["parameters"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, 18_600_192);
}

#[test]
fn a_model_folder_is_described() {
    let folder = tempfile::tempdir().unwrap();
    for precision in [Precision::F32, Precision::F16, Precision::Int8] {
        let model = folder.path().join(format!("{precision:?}"));
        write_tiny_model(&model, precision);
        let finished = fledge(["inspect", text(&model), "--json"]);
        finished.assert_done();
        let view = &finished.json_lines()[0];
        assert_eq!(view["name"], "tiny");
        assert_eq!(view["tokens"], 29);
        let parts = view["parts"].as_array().unwrap();
        let sum: u64 = parts
            .iter()
            .map(|part| part["parameters"].as_u64().unwrap())
            .sum();
        assert_eq!(view["parameters"].as_u64().unwrap(), sum);
        fledge(["inspect", text(&model)]).assert_done();
    }
}

#[test]
fn evaluate_prints_one_object_with_every_figure_and_hypotheses_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    write_tiny_model(&model, Precision::Int8);
    let audio = folder.path().join("a.wav");
    fs::write(&audio, wav_bytes(&speech(), 16_000, 1, 16)).unwrap();
    let manifest = folder.path().join("m.jsonl");
    let texts = ["seven two", "nine four", "one", "seven two nine four"];
    let lines: Vec<_> = texts
        .iter()
        .map(|text| {
            serde_json::json!({"audio_filepath": "a.wav", "duration": 2.0, "text": text})
                .to_string()
        })
        .collect();
    fs::write(&manifest, lines.join("\n")).unwrap();
    let hypotheses = folder.path().join("heard.jsonl");
    let finished = fledge([
        "evaluate",
        "--model",
        text(&model),
        "--manifest",
        text(&manifest),
        "--json",
        "--hypotheses",
        text(&hypotheses),
    ]);
    finished.assert_done();
    assert_eq!(finished.stdout.lines().count(), 1);
    let report = &finished.json_lines()[0];
    for key in [
        "wer",
        "cer",
        "words",
        "insertions",
        "deletions",
        "substitutions",
        "utterances",
        "audio_seconds",
        "real_time_factor",
        "parameters",
        "bytes",
        "device",
        "wer_low",
        "wer_high",
        "decoder",
        "precision",
    ] {
        assert!(!report[key].is_null(), "{key} in {report}");
    }
    assert_eq!(report["utterances"], 4);
    assert_eq!(report["words"], 9);
    assert_eq!(report["decoder"], "greedy");
    let errors =
        ["insertions", "deletions", "substitutions"].map(|key| report[key].as_u64().unwrap());
    assert_eq!(
        report["wer"].as_f64().unwrap(),
        errors.iter().sum::<u64>() as f64 / 9.0
    );
    let heard = fs::read_to_string(&hypotheses).unwrap();
    let references: Vec<_> = heard
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .inspect(|line| {
            assert!(line["pred_text"].is_string() && line["audio_filepath"].is_string())
        })
        .map(|line| line["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(references, texts);
}

#[test]
fn evaluate_stores_its_figures_in_the_card_once_for_each_kind() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    write_tiny_model(&model, Precision::Int8);
    fs::write(
        folder.path().join("a.wav"),
        wav_bytes(&speech(), 16_000, 1, 16),
    )
    .unwrap();
    let manifest = folder.path().join("m.jsonl");
    let line = serde_json::json!({"audio_filepath": "a.wav", "duration": 2.0, "text": "one two"});
    fs::write(&manifest, line.to_string()).unwrap();
    let evaluate = |more: &[&str]| {
        let mut arguments = vec!["evaluate", "--model", text(&model)];
        arguments.extend(["--manifest", text(&manifest), "--device", "cpu", "--json"]);
        arguments.extend(more);
        fledge(arguments)
    };
    let stored = || -> Vec<(String, String)> {
        let card = fs::read(model.join("manifest.json")).unwrap();
        let card: serde_json::Value = serde_json::from_slice(&card).unwrap();
        let name = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let evaluations = card["evaluations"].as_array().unwrap();
        evaluations
            .iter()
            .map(|e| (name(&e["set"]), name(&e["decoder"])))
            .collect()
    };
    let before = stored().len();
    for _ in 0..2 {
        evaluate(&["--store", "mine"]).assert_done();
    }
    evaluate(&["--store", "mine", "--decoder", "beam"]).assert_done();
    let mine: Vec<(String, String)> = stored().split_off(before);
    let expected = ["greedy", "beam"].map(|decoder| ("mine".to_owned(), decoder.to_owned()));
    assert_eq!(mine, expected);
    let card = fs::read_to_string(model.join("README.md")).unwrap();
    assert!(card.contains("mine"), "{card}");

    // What the folder's own weights did not measure does not belong into its card.
    let refused = evaluate(&["--store", "mine", "--expand-int8"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    evaluate(&["--expand-int8"]).assert_done();
}

#[test]
fn figures_do_not_depend_on_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    write_tiny_model(&model, Precision::F32);
    let manifest = repository().join("trainer/corpus/dev.jsonl");
    let reports: Vec<_> = ["1", "3"]
        .into_iter()
        .map(|threads| {
            let finished = fledge([
                "evaluate",
                "--model",
                text(&model),
                "--manifest",
                text(&manifest),
                "--json",
                "--limit",
                "12",
                "--threads",
                threads,
                "--quiet",
            ]);
            finished.assert_done();
            assert_eq!(finished.stderr, "");
            let mut report = finished.json_lines().remove(0);
            for time in ["real_time_factor", "decoding_ratio"] {
                report.as_object_mut().unwrap().remove(time);
            }
            report
        })
        .collect();
    assert_eq!(reports[0], reports[1]);
}

#[test]
fn transcribe_prints_one_object_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    write_tiny_model(&model, Precision::F16);
    let samples = repository().join("www/samples");
    let (first, second) = (
        samples.join("stop-the-music.wav"),
        samples.join("open-the-window.wav"),
    );
    let finished = fledge([
        "transcribe",
        text(&first),
        text(&second),
        "--model",
        text(&model),
        "--json",
    ]);
    finished.assert_done();
    let objects = finished.json_lines();
    assert_eq!(objects.len(), 2);
    assert_eq!(objects[0]["file"], text(&first));
    assert_eq!(objects[1]["file"], text(&second));
    for object in &objects {
        let words = object["words"].as_array().unwrap();
        let joined: Vec<_> = words
            .iter()
            .map(|word| word["text"].as_str().unwrap())
            .collect();
        assert_eq!(joined.join(" "), object["text"].as_str().unwrap());
        for word in words {
            assert!(
                word["start"].as_f64().unwrap() <= word["end"].as_f64().unwrap(),
                "{word}"
            );
            assert!(
                (0.0..=1.0).contains(&word["confidence"].as_f64().unwrap()),
                "{word}"
            );
        }
    }
    let plain = fledge(["transcribe", text(&first), "--model", text(&model)]);
    plain.assert_done();
    assert_eq!(
        plain.stdout.trim_end(),
        objects[0]["text"].as_str().unwrap()
    );
}

#[test]
fn devices_lists_the_cpu() {
    let finished = fledge(["devices", "--json", "--no-self-test"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let devices = finished.json_lines();
    let cpu = devices
        .iter()
        .find(|device| device["backend"] == "cpu")
        .unwrap();
    assert!(cpu["name"].as_str().unwrap().contains("threads"), "{cpu}");
    assert_eq!(
        devices.iter().filter(|d| d["used_by_auto"] == true).count(),
        1
    );
}

#[test]
fn a_reader_that_leaves_early_is_no_panic() {
    let mut child = fledge_command(["--help"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert!(
        !stderr.contains("panicked") && !stderr.contains("bug"),
        "{status} {stderr}"
    );
}

/// Arguments for a measurement that takes a second: the quick recipe with small networks.
fn bench_train(extra: &[&str]) -> Vec<String> {
    let recipe = repository().join("recipes/quick.toml");
    let mut arguments: Vec<String> = ["bench", "train", "--recipe", text(&recipe)]
        .map(str::to_owned)
        .into();
    for network in ["teacher", "student.0", "student.1", "student.2"] {
        for setting in ["d_model=16", "d_ffn=16", "n_layers=1"] {
            arguments.extend(["--set".to_owned(), format!("{network}.model.{setting}")]);
        }
    }
    let size = ["--utterances", "2", "--seconds", "1", "--repeats", "1"];
    arguments.extend(
        size.iter()
            .chain(extra)
            .map(|&argument| argument.to_owned()),
    );
    arguments
}

#[test]
fn the_bench_measures_every_step_of_a_recipe() {
    let finished = fledge(bench_train(&["--json"]));
    finished.assert_done();
    let report: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    let names: Vec<&str> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["name"].as_str().unwrap())
        .collect();
    let students = ["medium", "small", "tiny"];
    let steps = students.map(|name| [format!("{name} EncRL"), format!("{name} CTC")]);
    let expected: Vec<String> = std::iter::once("teacher CTC".to_owned())
        .chain(steps.into_iter().flatten())
        .collect();
    assert_eq!(names, expected);
    for step in report["steps"].as_array().unwrap() {
        assert!(step["cpu_ms"].as_f64().unwrap() > 0.0, "{step}");
        assert!(step["gflop"].as_f64().unwrap() > 0.0, "{step}");
        let shares = step["shares"].as_object().unwrap();
        let parts = shares.iter().filter(|(name, _)| *name != "kernel");
        let sum: f64 = parts.map(|(_, share)| share.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{step}");
    }
    assert!(report["concurrency"]["cpu_ratio"].as_f64().unwrap() > 0.0);
    assert!(
        report["machine"]["matmul_gflop_per_sec_one_core"]
            .as_f64()
            .unwrap()
            > 0.0
    );

    let table = fledge(bench_train(&["--set", "compute.fused=false"]));
    table.assert_done();
    for part in [
        "fused operations: off",
        "teacher CTC",
        "3 students EncRL",
        "peak memory",
    ] {
        assert!(table.stdout.contains(part), "{part}: {}", table.stdout);
    }
}

#[test]
fn the_bench_refuses_a_batch_of_no_length() {
    let recipe = repository().join("recipes/quick.toml");
    let arguments = [
        "bench",
        "train",
        "--recipe",
        text(&recipe),
        "--seconds",
        "0",
    ];
    fledge(arguments).assert_refused(2, "--seconds is 0");
}
