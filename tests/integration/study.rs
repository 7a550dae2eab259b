//! A study from its file to its report, with networks that compute in moments.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tests::{Finished, fledge, fledge_command, repository, text};

const STUDY: &str = r#"
name = "moments"
base = "BASE"
seeds = [1, 2]

[overrides]
compute.shards = 1
data.limit = 12
checkpoint.every_steps = 1

[[teacher]]
name = "shared"

[[arm]]
name = "two-steps"
label = "two steps"
role = "ours"
teacher = "shared"
sizes = ["small", "tiny"]
overrides = { distill.epochs = 4, finetune.epochs = 4 }

[[arm]]
name = "step-two"
label = "step two alone"
role = "baseline"
teacher = "shared"
sizes = ["small", "tiny"]
overrides = { distill.epochs = 1, finetune.epochs = 2 }

[[arm]]
name = "as-long"
role = "baseline"
teacher = "shared"
sizes = ["small", "tiny"]
seeds = [1]
overrides = { distill.epochs = 1 }
equal_compute = { of = "two-steps", rate = "step-two", epochs = "finetune.epochs" }
"#;

const CELLS: [&str; 7] = [
    "teacher-shared.seed1",
    "two-steps.seed1",
    "step-two.seed1",
    "as-long.seed1",
    "teacher-shared.seed2",
    "two-steps.seed2",
    "step-two.seed2",
];

struct Place {
    folder: TempDir,
}

impl Place {
    fn new(study: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = repository().join("recipes/smallest.toml");
        fs::create_dir(folder.path().join("study")).unwrap();
        let place = Self { folder };
        fs::write(place.file("study.toml"), study.replace("BASE", text(&base))).unwrap();
        place
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("study").join(name)
    }

    fn runs(&self) -> PathBuf {
        self.folder.path().join("runs")
    }

    fn arguments(&self, extra: &[&str]) -> Vec<String> {
        let (file, runs) = (self.file("study.toml"), self.runs());
        let mut arguments = vec!["study", text(&file), "--runs", text(&runs)];
        arguments.extend(["--device", "cpu", "--quiet"]);
        arguments.extend(extra);
        arguments.into_iter().map(str::to_owned).collect()
    }

    fn study(&self, extra: &[&str]) -> Finished {
        fledge(self.arguments(extra))
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.file(name)).unwrap()).unwrap()
    }

    fn record(&self, cell: &str) -> Value {
        self.json(&format!("cells/{cell}.json"))
    }

    /// Networks of the records, without what they cost.
    fn networks(&self) -> BTreeMap<String, Value> {
        let cells = fs::read_dir(self.file("cells")).unwrap();
        cells
            .map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let mut record = self.json(&format!("cells/{name}"));
                for network in record["networks"].as_array_mut().unwrap() {
                    for point in network["dev"].as_array_mut().unwrap() {
                        let point = point.as_object_mut().unwrap();
                        point.retain(|key, _| !key.ends_with("cpu_secs"));
                    }
                }
                (name, record["networks"].take())
            })
            .collect()
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.path().is_file());
    files
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn a_study_runs_reports_and_takes_another_arm_from_its_file_alone() {
    let place = Place::new(STUDY);
    let listed = place.study(&["--list-cells"]);
    listed.assert_done();
    assert_eq!(listed.stdout.lines().collect::<Vec<_>>(), CELLS);
    assert!(!place.runs().exists());
    place
        .study(&["--collect"])
        .assert_refused(3, "no cell of the study has a record");

    place.study(&[]).assert_done();
    check_budget(&place);
    check_figures(&place);

    // With the records alone, nothing is trained again and the report is the same.
    let before = files(&place.file(""));
    fs::remove_dir_all(place.runs()).unwrap();
    place.study(&[]).assert_done();
    assert!(!place.runs().exists());
    assert_eq!(files(&place.file("")), before);

    let arm = "\n[[arm]]\nname = \"again\"\nrole = \"ours\"\nteacher = \"shared\"\n\
               start = \"two-steps\"\nseeds = [1]\nsizes = [\"tiny\"]\n";
    let file = place.file("study.toml");
    fs::write(&file, fs::read_to_string(&file).unwrap() + arm).unwrap();
    let collected = place.study(&["--collect"]);
    collected.assert_done();
    assert_eq!(collected.stderr, "missing: again.seed1\n");
    let records = files(&place.file("cells"));
    place.study(&["--only", "again.seed1"]).assert_done();
    // The weights that it starts from were gone: trained again, their records as they were.
    assert!(place.runs().join("two-steps.seed1").is_dir());
    assert!(!place.runs().join("step-two.seed1").exists());
    let mut after = files(&place.file("cells"));
    assert!(after.remove("again.seed1.json").is_some());
    assert_eq!(after, records);
}

fn check_budget(place: &Place) {
    let record = place.record("as-long.seed1");
    let cost = |cell: &str, phase: &str| -> f64 {
        let record = place.record(cell);
        let cost = &record["costs"][phase]["training"]["cpu_secs"];
        cost.as_f64().unwrap()
    };
    // The teacher is the same for both.
    let budget = cost("two-steps.seed1", "distill") + cost("two-steps.seed1", "finetune");
    let per_epoch = cost("step-two.seed1", "finetune") / 2.0;
    let epochs = ((budget - cost("step-two.seed1", "distill")) / per_epoch).ceil() as i64;
    assert_eq!(record["budget"]["epochs"], epochs);
    assert_eq!(record["recipe"]["finetune.epochs"], epochs.to_string());
}

/// A figure of the report is the one that `fledge evaluate` gives for the model in the run folder.
fn check_figures(place: &Place) {
    let manifest = repository().join("trainer/corpus/dev.jsonl");
    let errors: Vec<u64> = ["1", "2"]
        .iter()
        .map(|seed| {
            let model = place
                .runs()
                .join(format!("two-steps.seed{seed}/models/tiny"));
            let finished = fledge([
                "evaluate",
                "--model",
                text(&model),
                "--manifest",
                text(&manifest),
                "--json",
                "--quiet",
            ]);
            let report = finished.json_lines().remove(0);
            assert_eq!(report["precision"], "f32");
            ["insertions", "deletions", "substitutions"]
                .map(|kind| report[kind].as_u64().unwrap())
                .iter()
                .sum()
        })
        .collect();
    let results = place.json("results.json");
    assert_eq!(results["missing"], serde_json::json!([]));
    let words = results["tests"][0]["words"].as_u64().unwrap();
    let wer = errors.iter().sum::<u64>() as f64 / (2 * words) as f64;
    let arm = results["arms"].as_array().unwrap();
    let arm = arm.iter().find(|arm| arm["name"] == "two-steps").unwrap();
    let tiny = &arm["networks"][1];
    assert_eq!(tiny["name"], "tiny");
    assert!((tiny["pooled"]["wer"].as_f64().unwrap() - wer).abs() < 1e-12);
    let shown = format!("| {:.2} |", 100.0 * wer);
    let report = fs::read_to_string(place.file("report.md")).unwrap();
    assert!(report.contains(&shown), "{shown} is not in {report}");
    // Two networks against two baselines.
    assert_eq!(results["comparisons"].as_array().unwrap().len(), 4);
    let page = fs::read_to_string(place.file("report.html")).unwrap();
    let plots = files(&place.file(""))
        .into_keys()
        .filter(|name| name.ends_with(".svg"));
    assert!(plots.count() >= 4);
    for outside in ["http://", "https://", "src=", "href="] {
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn a_killed_study_and_cells_by_number_give_the_records_of_an_undisturbed_one() {
    let study = STUDY.replace("seeds = [1, 2]", "seeds = [1]");
    let study = study.split("[[arm]]\nname = \"as-long\"").next().unwrap();
    let whole = Place::new(study);
    whole.study(&[]).assert_done();

    let killed = Place::new(study);
    let log = killed.runs().join("two-steps.seed1/metrics.csv");
    let mut child = fledge_command(killed.arguments(&["--index", "2"]))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The moment when the cell that it was asked for has made a step.
    let begun = Instant::now();
    while fs::read_to_string(&log).map_or(0, |text| text.lines().count()) < 2
        && begun.elapsed() < Duration::from_secs(60)
    {
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill();
    child.wait().unwrap();
    assert!(killed.file("cells/teacher-shared.seed1.json").exists());
    for index in ["3", "2"] {
        killed.study(&["--index", index]).assert_done();
    }
    assert_eq!(killed.networks(), whole.networks());
    assert_eq!(killed.networks().len(), 3);
}

#[test]
fn costs_are_told_before_and_after() {
    let place = Place::new(&STUDY.replace("seeds = [1, 2]", "seeds = [1]"));
    let costs = || {
        let told = place.study(&["--dry-run", "--json"]);
        told.assert_done();
        told.json_lines()
    };
    let before = costs();
    assert_eq!(before.len(), 4);
    assert!(
        before
            .iter()
            .all(|cell| cell["cpu_seconds"].as_f64().unwrap() > 0.0)
    );
    assert_eq!(before[0]["basis"], "default rate");
    assert_eq!(before[3]["state"], "needs costs");
    place.study(&["--index", "1"]).assert_done();
    let after = costs();
    assert_eq!(
        (&after[0]["state"], &after[0]["basis"]),
        (&"done".into(), &"measured".into())
    );
    assert_eq!(after[1]["basis"], "rate of finished cells");
}

#[test]
fn what_cannot_be_run_is_refused_in_a_line() {
    let place = Place::new(STUDY);
    place
        .study(&["--only", "two-steps.seed3"])
        .assert_refused(2, "no cell two-steps.seed3");
    place
        .study(&["--index", "0"])
        .assert_refused(2, "no cell 0");
    place
        .study(&["--index", "8"])
        .assert_refused(2, "has no cell 8");
    let file = place.file("study.toml");
    let wrong = fs::read_to_string(&file)
        .unwrap()
        .replace("distill.epochs = 1,", "distil.epochs = 1,");
    fs::write(&file, wrong).unwrap();
    place
        .study(&[])
        .assert_refused(2, "did you mean `distill`?");
    fs::remove_file(&file).unwrap();
    place
        .study(&["--list-cells"])
        .assert_refused(2, "cannot read study");
    assert!(!place.runs().exists());
}

#[test]
fn the_studies_of_the_repository_and_of_its_page_have_cells() {
    let list = |file: &Path| {
        let listed = fledge(["study", text(file), "--list-cells"]);
        listed.assert_done();
        listed.stdout.lines().count()
    };
    let studies = fs::read_dir(repository().join("studies")).unwrap();
    let files: Vec<PathBuf> = studies
        .map(|entry| entry.unwrap().path().join("study.toml"))
        .collect();
    assert!(files.len() > 1);
    assert!(files.iter().all(|file| list(file) > 5));

    // The page's study file, and the arm that it adds.
    let page = fs::read_to_string(repository().join("docs/study.md")).unwrap();
    let blocks = page.split("```toml\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    let root = format!("{}/", text(&repository()));
    let example = blocks.collect::<String>().replace("../../", &root);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    fs::write(&file, example).unwrap();
    // A teacher and four arms, three seeds.
    assert_eq!(list(&file), 15);
}

#[test]
fn what_a_model_heard_of_a_sample_is_told_apart_by_word_and_shown_as_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let manifest = repository().join("trainer/corpus/test.jsonl");
    let model = repository().join("www/models/quick-tiny");
    let heard = |out: &Path, seed: &str| {
        let finished = fledge([
            "evaluate",
            "--model",
            text(&model),
            "--manifest",
            text(&manifest),
            "--sample",
            "30",
            "--seed",
            seed,
            "--hypotheses",
            text(out),
            "--json",
            "--quiet",
            "--device",
            "cpu",
        ]);
        finished.assert_done();
        finished.json_lines().remove(0)
    };
    let (first, again, other) = (
        path("first.jsonl"),
        path("again.jsonl"),
        path("other.jsonl"),
    );
    let report = heard(&first, "1");
    heard(&again, "1");
    heard(&other, "2");
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    assert_eq!(read(&first).lines().count(), 30);
    assert_eq!(read(&first), read(&again));
    assert_ne!(read(&first), read(&other));

    let page = path("errors.html");
    let shown = fledge([
        "errors",
        text(&first),
        "--text",
        text(&repository().join("trainer/corpus/train.jsonl")),
        "--html",
        text(&page),
        "--json",
    ]);
    shown.assert_done();
    let analysis = shown.json_lines().remove(0);
    let words = &analysis["words"];
    assert_eq!(words["reference_len"], report["words"]);
    for kind in ["insertions", "deletions", "substitutions"] {
        assert_eq!(words[kind], report[kind], "{kind}");
    }
    assert!(!analysis["by_text_count"].as_array().unwrap().is_empty());
    assert!(read(&page).starts_with("<!doctype html>"));
    let shown = fledge(["errors", text(&first)]);
    shown.assert_done();
    assert!(shown.stdout.starts_with("Errors by kind."), "{shown:#?}");
    assert!(!shown.stdout.contains("times in the texts"));

    fledge(["errors", text(&path("none.jsonl"))]).assert_refused(3, "none.jsonl");
    let nowhere = path("none/errors.html");
    fledge(["errors", text(&first), "--html", text(&nowhere)]).assert_refused(2, "--html");
}

#[test]
fn two_systems_are_compared_by_what_they_heard() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = repository().join("trainer/corpus/test.jsonl");
    let heard = ["quick-medium", "quick-tiny"].map(|name| {
        let model = repository().join("www/models").join(name);
        let out = folder.path().join(format!("{name}.jsonl"));
        let finished = fledge([
            "evaluate",
            "--model",
            text(&model),
            "--manifest",
            text(&manifest),
            "--hypotheses",
            text(&out),
            "--json",
            "--quiet",
            "--device",
            "cpu",
        ]);
        (
            out,
            finished.json_lines().remove(0)["wer"].as_f64().unwrap(),
        )
    });
    let [(first, first_wer), (second, second_wer)] = heard;
    let compared = fledge(["compare", text(&first), text(&second), "--json"]);
    compared.assert_done();
    let result = compared.json_lines().remove(0);
    assert_eq!(result["first"]["wer"], first_wer);
    assert_eq!(result["second"]["wer"], second_wer);
    let difference = result["by_utterance"]["difference"].as_f64().unwrap();
    assert!((difference - (first_wer - second_wer)).abs() < 1e-12);
    let shown = fledge(["compare", text(&first), text(&second), "--examples", "1"]);
    shown.assert_done();
    assert!(
        shown
            .stdout
            .contains(&format!("A: WER {:.2} %", 100.0 * first_wer))
    );

    let some = fs::read_to_string(&second).unwrap();
    fs::write(&second, some.lines().next().unwrap()).unwrap();
    fledge(["compare", text(&first), text(&second)]).assert_refused(
        3,
        "the files are not of the same utterances: 99 of the first",
    );
    fs::write(&second, "{}\n").unwrap();
    fledge(["compare", text(&first), text(&second)]).assert_refused(3, "line 1: missing field");
}
