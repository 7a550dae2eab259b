//! `fledge lm` and `fledge tune-decoder`: their outputs in every form, and unusable inputs.

use std::fs;
use std::path::{Path, PathBuf};

use shared_model::decode::lm::NgramLm;
use tempfile::TempDir;
use tests::{Finished, fledge, repository, text};

const DATA: i32 = 3;
const USAGE: i32 = 2;

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }
    /// The transcripts of the starter corpus's training set, one a line.
    fn transcripts(&self) -> PathBuf {
        let manifest = repository().join("trainer/corpus/train.jsonl");
        let lines: Vec<String> = fs::read_to_string(manifest)
            .unwrap()
            .lines()
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                line["text"].as_str().unwrap().to_owned()
            })
            .collect();
        self.file("text.txt", lines.join("\n").as_bytes())
    }
    fn lm(&self, input: &Path, out: &str, more: &[&str]) -> Finished {
        let out = self.path(out);
        let fixed = [
            "lm",
            "--text",
            text(input),
            "--out",
            text(&out),
            "--json",
            "--quiet",
        ];
        fledge(fixed.iter().chain(more))
    }
    /// A copy of a shipped student with the starter corpus beside it.
    fn model(&self) -> PathBuf {
        let (from, to) = (
            repository().join("www/models/quick-tiny"),
            self.path("model"),
        );
        fs::create_dir(&to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        to
    }
}

fn dev() -> PathBuf {
    repository().join("trainer/corpus/dev.jsonl")
}

#[test]
fn every_form_of_a_model_gives_the_same_words_and_greedy_figures_beside() {
    let place = Place::new();
    let input = place.transcripts();
    let mut reports = Vec::new();
    for name in ["lm.arpa", "lm.arpa.gz", "lm.bin"] {
        let made = place.lm(&input, name, &["--perplexity", text(&input)]);
        made.assert_done();
        let report = made.json_lines().remove(0);
        assert_eq!(report["order"], 3);
        assert_eq!(report["ngrams"].as_array().unwrap().len(), 3);
        let bytes = fs::metadata(place.path(name)).unwrap().len();
        assert_eq!(report["bytes"], bytes);
        // Digits and commands: some forty words, one after another.
        let perplexity = report["perplexity"]["perplexity"].as_f64().unwrap();
        assert!((2.0..40.0).contains(&perplexity), "{perplexity}");

        let model = repository().join("www/models/quick-tiny");
        let evaluated = fledge([
            "evaluate",
            "--model",
            text(&model),
            "--manifest",
            text(&dev()),
            "--limit",
            "12",
            "--decoder",
            "beam",
            "--lm",
            text(&place.path(name)),
            "--device",
            "cpu",
            "--json",
            "--quiet",
        ]);
        evaluated.assert_done();
        let report = evaluated.json_lines().remove(0);
        assert_eq!(
            (&report["decoder"], &report["lm"]),
            (&"beam".into(), &name.into())
        );
        assert!(report["greedy"]["wer"].as_f64().unwrap() >= report["wer"].as_f64().unwrap());
        assert!(report["decoding_ratio"].as_f64().unwrap() > 0.0);
        reports.push((report["wer"].clone(), report["greedy"].clone()));
    }
    assert_eq!(reports[0], reports[1]);
    assert_eq!(
        reports[0], reports[2],
        "the rounding of the binary form changes nothing here"
    );
}

#[test]
fn a_model_is_pruned_until_it_fits() {
    let place = Place::new();
    let input = place.transcripts();
    place.lm(&input, "whole.bin", &[]).assert_done();
    let whole = fs::metadata(place.path("whole.bin")).unwrap().len();
    let limit = whole * 2 / 3;
    let made = place.lm(&input, "lm.bin", &["--max-bytes", &limit.to_string()]);
    made.assert_done();
    let report = made.json_lines().remove(0);
    let bytes = fs::read(place.path("lm.bin")).unwrap();
    assert!(bytes.len() as u64 <= limit);
    assert_eq!(report["bytes"], bytes.len());
    let lm = NgramLm::from_binary(&bytes).unwrap();
    assert_eq!(report["ngrams"], serde_json::json!(lm.num_ngrams()));
    // The reported threshold makes the same model.
    let threshold = report["prune"].to_string();
    place
        .lm(&input, "again.bin", &["--prune", &threshold])
        .assert_done();
    assert_eq!(fs::read(place.path("again.bin")).unwrap(), bytes);
}

#[test]
fn a_model_holds_how_its_words_sound_within_its_limit_and_arpa_text_refuses_to() {
    let place = Place::new();
    let input = place.transcripts();
    let sounds = place.file(
        "sounds.dict",
        b"stop S T AA1 P\nGO G OW1\nzebra Z IY1 B R AH0\none W AH1 N\none(2) HH W AH1 N\n",
    );
    let more = ["--pronunciations", text(&sounds)];
    place.lm(&input, "plain.bin", &[]).assert_done();
    let made = place.lm(&input, "lm.bin", &more);
    made.assert_done();
    let report = made.json_lines().remove(0);
    let [plain, bytes] = ["plain.bin", "lm.bin"].map(|name| fs::read(place.path(name)).unwrap());
    // The corpus has no zebra.
    assert_eq!(report["pronunciations"]["words"], 3);
    assert_eq!(report["pronunciations"]["bytes"], bytes.len() - plain.len());
    let lm = NgramLm::from_binary(&bytes).unwrap();
    let ids = lm.word_ids().filter(|(_, word)| *word == "one");
    let of_one: Vec<&str> = ids.flat_map(|(id, _)| lm.pronunciations(id)).collect();
    assert_eq!(of_one, ["wʌn", "hwʌn"]);
    // Within the bytes of the model without them there are fewer n-grams.
    let limit = plain.len().to_string();
    let fitted = place.lm(
        &input,
        "fitted.bin",
        &[&more[..], &["--max-bytes", &limit]].concat(),
    );
    fitted.assert_done();
    assert!(fs::metadata(place.path("fitted.bin")).unwrap().len() <= plain.len() as u64);

    let refused = place.lm(&input, "lm.arpa", &more);
    refused.assert_refused(USAGE, "ARPA text cannot hold them");
    let wrong = place.file("wrong.dict", b"stop S T AA1 P\ngo G OOPS\n");
    let refused = place.lm(&input, "lm.bin", &["--pronunciations", text(&wrong)]);
    refused.assert_refused(DATA, "line 2 of the pronunciations");
    let others = place.file("others.dict", b"zebra Z IY1 B R AH0\n");
    let refused = place.lm(&input, "lm.bin", &["--pronunciations", text(&others)]);
    refused.assert_refused(DATA, "none of its words has a pronunciation");
}

#[test]
fn text_that_cannot_be_used_is_refused() {
    let place = Place::new();
    place
        .lm(&place.path("none.txt"), "lm.bin", &[])
        .assert_refused(DATA, "none.txt");
    let empty = place.file("empty.txt", b"");
    place
        .lm(&empty, "lm.bin", &[])
        .assert_refused(DATA, "empty.txt");
    let blank = place.file("blank.txt", b"\n ... \n\n");
    place
        .lm(&blank, "lm.bin", &[])
        .assert_refused(DATA, "blank.txt");
    let latin = place.file("latin.txt", b"fine\ncaf\xe9\n");
    place
        .lm(&latin, "lm.bin", &[])
        .assert_refused(DATA, "line 2");
    let damaged = place.file("cut.txt.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x4b");
    place
        .lm(&damaged, "lm.bin", &[])
        .assert_refused(DATA, "cut.txt.gz");
    assert!(!place.path("lm.bin").exists());
}

#[test]
fn wrong_arguments_of_lm_are_refused_before_anything_is_read() {
    let place = Place::new();
    let input = place.file("text.txt", b"one two\n");
    for (out, more, mentions) in [
        ("lm.txt", &[][..], ".arpa"),
        ("lm", &[], ".arpa"),
        ("nowhere/lm.bin", &[], "nowhere"),
        ("lm.bin", &["--order", "0"], "--order"),
        ("lm.bin", &["--order", "6"], "--order"),
        ("lm.bin", &["--min-count", "2,1"], "--min-count"),
        ("lm.bin", &["--min-count", "1,1,1,1"], "--min-count"),
        ("lm.bin", &["--prune", "-1"], "--prune"),
        (
            "lm.bin",
            &["--prune", "1e-8", "--max-bytes", "9"],
            "--max-bytes",
        ),
    ] {
        place.lm(&input, out, more).assert_refused(USAGE, mentions);
    }
    place
        .lm(&input, "lm.bin", &["--max-bytes", "9"])
        .assert_refused(DATA, "bytes");
    assert!(!place.path("lm.bin").exists());
}

#[test]
fn a_damaged_language_model_is_refused() {
    let place = Place::new();
    let input = place.transcripts();
    place.lm(&input, "lm.bin", &[]).assert_done();
    let whole = fs::read(place.path("lm.bin")).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    let mut newer = whole.clone();
    newer[8] = 77;
    let cases = [
        ("cut.bin", whole[..whole.len() / 2].to_vec(), "checksum"),
        ("changed.bin", changed, "checksum"),
        ("newer.bin", newer, "version 77"),
        ("empty.bin", Vec::new(), "empty.bin"),
        (
            "poem.arpa",
            b"The owl and the pussycat".to_vec(),
            "not an ARPA file",
        ),
    ];
    let model = place.model();
    for (name, bytes, mentions) in cases {
        let lm = place.file(name, &bytes);
        let clip = repository().join("www/samples/seven-two-nine-four.wav");
        let transcribed = fledge([
            "transcribe",
            text(&clip),
            "--model",
            text(&model),
            "--lm",
            text(&lm),
            "--quiet",
        ]);
        transcribed.assert_refused(DATA, mentions);
        let tuned = fledge([
            "tune-decoder",
            "--model",
            text(&model),
            "--manifest",
            text(&dev()),
            "--lm",
            text(&lm),
            "--quiet",
        ]);
        tuned.assert_refused(DATA, mentions);
    }
}

#[test]
fn tuned_settings_and_language_model_are_used_from_the_model_folder() {
    let place = Place::new();
    place.lm(&place.transcripts(), "lm.bin", &[]).assert_done();
    let model = place.model();
    let tuned = fledge([
        "tune-decoder",
        "--model",
        text(&model),
        "--manifest",
        text(&dev()),
        "--lm",
        text(&place.path("lm.bin")),
        "--store-lm",
        "--limit",
        "12",
        "--beams",
        "4,8",
        "--device",
        "cpu",
        "--json",
    ]);
    tuned.assert_done();
    assert!(
        tuned.stderr.starts_with("beam  lm weight"),
        "{}",
        tuned.stderr
    );
    let report = tuned.json_lines().remove(0);
    let rows = tuned.stderr.lines().count() as u64 - 1;
    assert_eq!(report["trials"], rows, "a line for each trial");
    assert!(report["wer"].as_f64().unwrap() <= report["greedy_wer"].as_f64().unwrap());

    let evaluate = |more: &[&str]| {
        let fixed = [
            "evaluate",
            "--model",
            text(&model),
            "--limit",
            "12",
            "--decoder",
            "beam",
            "--device",
            "cpu",
            "--json",
            "--quiet",
            "--manifest",
        ];
        let dev = dev();
        let evaluated = fledge(fixed.iter().chain(&[text(&dev)]).chain(more));
        evaluated.assert_done();
        evaluated.json_lines().remove(0)
    };
    let stored = evaluate(&[]);
    assert_eq!(
        stored["wer"], report["wer"],
        "what was tuned is what is used"
    );
    assert_eq!(stored["lm"], "lm.bin");
    assert_eq!(evaluate(&["--no-lm"])["lm"], serde_json::Value::Null);

    let mut damaged = fs::read(model.join("lm.bin")).unwrap();
    damaged[20] ^= 1;
    fs::write(model.join("lm.bin"), damaged).unwrap();
    let clip = repository().join("www/samples/seven-two-nine-four.wav");
    fledge([
        "transcribe",
        text(&clip),
        "--model",
        text(&model),
        "--quiet",
    ])
    .assert_refused(DATA, "lm.bin has SHA-256");
}

#[test]
fn unusable_development_sets_are_refused() {
    let place = Place::new();
    let model = place.model();
    let empty = place.file("empty.jsonl", b"");
    let tune = |manifest: &Path, more: &[&str]| {
        let fixed = [
            "tune-decoder",
            "--model",
            text(&model),
            "--quiet",
            "--manifest",
        ];
        fledge(fixed.iter().chain(&[text(manifest)]).chain(more))
    };
    tune(&empty, &[]).assert_refused(DATA, "utterance");
    tune(&place.path("none.jsonl"), &[]).assert_refused(DATA, "none.jsonl");
    tune(&dev(), &["--beams", "8,4"]).assert_refused(USAGE, "--beams");
    tune(&dev(), &["--beams", "0", "--limit", "1"]).assert_refused(DATA, "beam");
    tune(&dev(), &["--store-lm"]).assert_refused(USAGE, "--lm");
}

#[test]
fn a_calibrated_model_has_the_error_that_calibrating_promised() {
    let place = Place::new();
    place.lm(&place.transcripts(), "lm.bin", &[]).assert_done();
    let (model, lm) = (place.model(), place.path("lm.bin"));
    let evaluate = |more: &[&str]| {
        let (manifest, model) = (dev(), text(&model));
        let fixed = ["evaluate", "--model", model, "--manifest", text(&manifest)];
        let options = ["--device", "cpu", "--json", "--quiet"];
        let finished = fledge(fixed.iter().chain(&options).chain(more));
        finished.assert_done();
        finished.json_lines().remove(0)
    };
    let calibrate = |more: &[&str]| {
        let (manifest, model) = (dev(), text(&model));
        let fixed = ["calibrate", "--model", model, "--manifest", text(&manifest)];
        let options = ["--lm", text(&lm), "--device", "cpu", "--json", "--quiet"];
        let finished = fledge(fixed.iter().chain(&options).chain(more));
        finished.assert_done();
        finished.json_lines().remove(0)
    };
    let close = |a: &serde_json::Value, b: &serde_json::Value| {
        let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    };
    let with_lm = ["--lm", text(&lm)];
    let dry = calibrate(&["--dry-run"]);
    assert_eq!(dry["stored"], false);
    close(
        &evaluate(&[])["calibration_error"],
        &dry["greedy"]["before"],
    );
    let stored = calibrate(&[]);
    close(
        &evaluate(&[])["calibration_error"],
        &stored["greedy"]["after"],
    );
    close(
        &evaluate(&with_lm)["calibration_error"],
        &stored["lm"]["after"],
    );
    let ratio = |key: &str| stored["greedy"][key].as_f64().unwrap();
    assert!(ratio("after") < ratio("before"), "{stored}");
}
