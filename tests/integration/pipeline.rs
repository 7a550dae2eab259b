//! A whole recipe on a slice of the starter corpus, command by command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;
use tests::{Finished, fledge, fledge_command, repository, text};

const STUDENTS: [&str; 3] = ["medium", "small", "tiny"];

/// The quick recipe, shortened: enough steps that the loss falls and words appear.
fn overrides() -> Vec<String> {
    [
        "data.limit=240",
        "data.batch_seconds=12",
        "augment.speeds=[1.0]",
        "augment.noise_share=0",
        "augment.band_limit_share=0",
        "augment.freq_masks=0",
        "augment.time_masks=0",
        "teacher.model.n_layers=2",
        "teacher.model.d_model=64",
        "teacher.model.d_ffn=128",
        // Wider than this teacher: its blocks are no start for them.
        "student.medium.init=random",
        "student.small.init=random",
        "teach.epochs=10",
        "teach.optim.warmup_steps=30",
        "distill.epochs=6",
        "distill.optim.warmup_steps=20",
        "finetune.epochs=4",
        "finetune.optim.warmup_steps=5",
    ]
    .iter()
    .flat_map(|set| ["--set".to_owned(), (*set).to_owned()])
    .collect()
}

fn train_command(command: &str, run: &Path, extra: &[&str]) -> Vec<String> {
    let recipe = repository().join("recipes/quick.toml");
    let mut arguments = vec![command.to_owned(), text(&recipe).to_owned()];
    arguments.extend(["--run", text(run), "--device", "cpu"].map(str::to_owned));
    arguments.extend(overrides());
    arguments.extend(extra.iter().map(|argument| (*argument).to_owned()));
    arguments
}

struct Run {
    _folder: TempDir,
    path: PathBuf,
    finished: Finished,
}

/// One run that all tests of this module look at.
fn finished_run() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let finished = fledge(train_command("run", &path, &["--json"]));
        Run {
            _folder: folder,
            path,
            finished,
        }
    })
}

fn json_file(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn evaluate(model: &Path, extra: &[&str]) -> serde_json::Value {
    let manifest = repository().join("trainer/corpus/test.jsonl");
    let mut arguments = vec![
        "evaluate",
        "--model",
        text(model),
        "--manifest",
        text(&manifest),
    ];
    arguments.extend(["--json", "--quiet", "--device", "cpu"]);
    arguments.extend(extra);
    let finished = fledge(arguments);
    finished.assert_done();
    finished.json_lines().remove(0)
}

#[test]
fn a_run_ends_with_a_teacher_and_three_students() {
    let run = finished_run();
    run.finished.assert_done();
    let lines = run.finished.json_lines();
    let names: Vec<_> = lines
        .iter()
        .map(|line| line["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["teacher", "medium", "small", "tiny"]);
    for file in [
        "recipe.toml",
        "resolved.toml",
        "env.json",
        "tokens.txt",
        "metrics.jsonl",
        "metrics.csv",
        "tensorboard",
        "evaluations",
        "models/small/config.json",
        "models/small/manifest.json",
        "models/small/tokens.txt",
        "models/small/README.md",
    ] {
        assert!(run.path.join(file).exists(), "{file}");
    }
}

/// Mean of a loss over the first and the last steps of a part of the run.
fn first_and_last(metrics: &[serde_json::Value], phase: &str) -> (f64, f64) {
    let losses: Vec<f64> = metrics
        .iter()
        .filter(|event| event["event"] == "step" && event["phase"] == phase)
        .map(|event| {
            let losses = event["losses"].as_array().unwrap();
            losses.iter().map(|pair| pair[1].as_f64().unwrap()).sum()
        })
        .collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let few = (losses.len() / 5).max(1);
    (mean(&losses[..few]), mean(&losses[losses.len() - few..]))
}

#[test]
fn losses_fall_and_the_best_student_beats_an_untrained_one() {
    let run = finished_run();
    let metrics: Vec<serde_json::Value> = fs::read_to_string(run.path.join("metrics.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for phase in ["teach", "distill"] {
        let (first, last) = first_and_last(&metrics, phase);
        assert!(last < 0.9 * first, "{phase}: {first} to {last}");
    }
    let untrained = tempfile::tempdir().unwrap();
    tests::write_tiny_model(untrained.path(), shared_model::bundle::Precision::F32);
    let untrained_cer = evaluate(untrained.path(), &[])["cer"].as_f64().unwrap();
    let best = STUDENTS
        .iter()
        .map(|name| {
            evaluate(&run.path.join("models").join(name), &[])["cer"]
                .as_f64()
                .unwrap()
        })
        .fold(f64::INFINITY, f64::min);
    assert!(
        best < 0.9 && best < untrained_cer,
        "{best} against {untrained_cer}"
    );
}

#[test]
fn evaluate_gives_the_figures_of_the_card_to_the_digit() {
    let run = finished_run();
    for name in STUDENTS {
        let folder = run.path.join("models").join(name);
        let report = evaluate(&folder, &[]);
        let manifest = json_file(&folder.join("manifest.json"));
        let card = &manifest["evaluations"][0];
        for key in [
            "wer",
            "wer_low",
            "wer_high",
            "cer",
            "words",
            "utterances",
            "precision",
        ] {
            assert_eq!(report[key], card[key], "{name}: {key}");
        }
        assert_eq!(report["parameters"], manifest["parameters"]);
        let stored = json_file(&run.path.join(format!("evaluations/{name}.starter.json")));
        assert_eq!(stored["wer"], report["wer"]);
        let page = fs::read_to_string(folder.join("README.md")).unwrap();
        let percent = format!("{:.2}", report["wer"].as_f64().unwrap() * 100.0);
        assert!(page.contains(&percent), "{percent} % in the card of {name}");
    }
}

#[test]
fn the_same_command_again_has_nothing_left_to_train() {
    let run = finished_run();
    let before = fs::read(run.path.join("models/tiny/manifest.json")).unwrap();
    let steps = |path: &Path| {
        let metrics = fs::read_to_string(path.join("metrics.jsonl")).unwrap();
        metrics.matches("\"event\":\"step\"").count()
    };
    let steps_before = steps(&run.path);
    fledge(train_command("run", &run.path, &["--quiet"])).assert_done();
    assert_eq!(steps(&run.path), steps_before);
    assert_eq!(
        fs::read(run.path.join("models/tiny/manifest.json")).unwrap(),
        before
    );
}

#[test]
fn a_run_folder_of_another_recipe_is_refused() {
    let run = finished_run();
    let finished = fledge(train_command("run", &run.path, &["--seed", "7"]));
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(finished.error_lines()[0].contains("seed"), "{finished:#?}");
}

/// What the Python package `safetensors` reads.
fn read_with_python(weights: &Path) -> serde_json::Value {
    let python = std::env::var("FLEDGE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = repository().join("tests/python/read_safetensors.py");
    let output = Command::new(&python)
        .args([text(&script), text(weights)])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{python} with the packages safetensors and numpy must read {}: {}",
        weights.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn exports_of_every_precision_load_and_python_reads_them() {
    let run = finished_run();
    let folder = tempfile::tempdir().unwrap();
    let mut sizes = Vec::new();
    for (precision, file) in [
        ("f32", "model.safetensors"),
        ("f16", "model.safetensors"),
        ("int8", "model-q8.safetensors"),
    ] {
        let out = folder.path().join(precision);
        let arguments = ["export", "--run", text(&run.path), "--student", "tiny"];
        let rest = ["--precision", precision, "--out", text(&out), "--quiet"];
        fledge(arguments.iter().chain(&rest)).assert_done();
        let weights = out.join("tiny").join(file);
        let read = read_with_python(&weights);
        let read = read["weights"].as_object().unwrap();
        sizes.push(
            read.values()
                .map(|w| w["sum_abs"].as_f64().unwrap())
                .sum::<f64>(),
        );
        let wer = evaluate(&out.join("tiny"), &["--limit", "10"])["wer"]
            .as_f64()
            .unwrap();
        assert!(wer.is_finite());
    }
    // Rounding moves single weights, hardly their sum.
    for size in &sizes {
        assert!((size / sizes[0] - 1.0).abs() < 0.01, "{sizes:?}");
    }
    let unknown = fledge(["export", "--run", text(&run.path), "--student", "huge"]);
    unknown.assert_refused(2, "huge");
    fledge(["export", "--run", text(folder.path())]).assert_refused(3, "not the folder of a run");
}

#[test]
fn parts_in_their_order_give_what_the_whole_gives() {
    let run = finished_run();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("parts");
    let early = fledge(train_command("distill", &path, &[]));
    assert_eq!(early.code, Some(2), "{early:#?}");
    assert!(
        early.error_lines()[0].contains("fledge teach"),
        "{early:#?}"
    );
    for part in ["teach", "distill", "finetune"] {
        fledge(train_command(part, &path, &["--quiet"])).assert_done();
    }
    fledge(["export", "--run", text(&path), "--all", "--quiet"]).assert_done();
    for name in STUDENTS {
        let weights = format!("models/{name}/model-q8.safetensors");
        assert_eq!(
            fs::read(path.join(&weights)).unwrap(),
            fs::read(run.path.join(&weights)).unwrap(),
            "{name}"
        );
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_the_same_command_continues() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut child = fledge_command(train_command("teach", &path, &["--set", "name=again"]))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let metrics = path.join("metrics.jsonl");
    let begun = std::time::Instant::now();
    while !fs::read_to_string(&metrics).is_ok_and(|text| text.contains("\"event\":\"step\"")) {
        assert!(begun.elapsed().as_secs() < 120, "no step was made");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let stopped = fs::read_to_string(&metrics).unwrap();
    assert!(
        stopped.contains("\"event\":\"checkpoint\""),
        "nothing was saved"
    );
    let again = fledge(train_command("teach", &path, &["--set", "name=again"]));
    again.assert_done();
    assert!(again.stderr.contains("continued at step"), "{again:#?}");
}

#[test]
fn a_dry_run_shows_the_whole_recipe_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let finished = fledge(train_command("run", &path, &["--dry-run"]));
    finished.assert_done();
    assert!(finished.stdout.contains("learning_rate"), "{finished:#?}");
    assert!(finished.stderr.contains("medium"), "{finished:#?}");
    assert!(finished.stdout.contains("\ndev = "), "{finished:#?}");
    assert!(!path.exists());
    let without_dev = fledge(train_command(
        "run",
        &path,
        &["--dry-run", "--set", "data.dev="],
    ));
    without_dev.assert_done();
    assert!(!without_dev.stdout.contains("\ndev = "), "{without_dev:#?}");
}
