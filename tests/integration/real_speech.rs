//! A whole run on files as people have them: mp3, ogg, flac and wav at several rates, cut out of
//! longer files or without a transcript. They are the repository's own, and beside them real
//! recordings where the speech corpus lies beside the clone.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::{fledge, repository, text};

/// What a run learns from and is measured on.
struct Material {
    /// JSONL.
    train: String,
    dev: PathBuf,
    test: PathBuf,
    test_utterances: usize,
    test_words: usize,
}

/// The first `count` lines of a manifest whose file ends with `ending`, with absolute paths.
fn lines(manifest: &Path, root: &Path, ending: &str, count: usize) -> String {
    let manifest_text = fs::read_to_string(manifest).unwrap();
    let entries = manifest_text.lines().map(|line| {
        let mut entry: Value = serde_json::from_str(line).unwrap();
        let path = root.join(entry["audio_filepath"].as_str().unwrap());
        entry["audio_filepath"] = text(&path).into();
        entry
    });
    let has_ending = |entry: &Value| entry["audio_filepath"].as_str().unwrap().ends_with(ending);
    let chosen: Vec<Value> = entries.filter(has_ending).take(count).collect();
    assert_eq!(chosen.len(), count, "{ending} in {}", manifest.display());
    jsonl(chosen)
}

fn jsonl(entries: impl IntoIterator<Item = Value>) -> String {
    let lines = entries.into_iter().map(|entry| format!("{entry}\n"));
    lines.collect()
}

fn of_the_repository(folder: &Path) -> Material {
    let clips = repository().join("www/samples");
    let index: Value =
        serde_json::from_slice(&fs::read(clips.join("index.json")).unwrap()).unwrap();
    let sets = index["sets"].as_array().unwrap().iter();
    let all = sets.flat_map(|set| set["clips"].as_array().unwrap());
    let wavs = all.filter_map(|clip| {
        let file = clip["file"].as_str().unwrap();
        let wav = json!({"audio_filepath": text(&clips.join(file)), "text": clip["text"]});
        file.ends_with(".wav").then_some(wav)
    });
    let wavs = jsonl(wavs);
    let test = folder.join("wavs.jsonl");
    fs::write(&test, &wavs).unwrap();
    let fixtures = repository().join("tests/fixtures");
    let same_words = ["clip-8khz.mp3", "clip-quiet-44khz.flac"].map(
        |name| json!({"audio_filepath": text(&fixtures.join(name)), "text": "seven two nine four"}),
    );
    let more = repository().join("trainer/fixtures/audio");
    let untranscribed = [
        "speech-8k.mp3",
        "speech-16k-vbr-untagged.mp3",
        "speech-16k-stereo.mp3",
        "speech-16k-pages.ogg",
        "speech-16k.opus",
        "speech-16k-opus.webm",
        "speech-16k-aac.m4a",
    ]
    .map(|name| json!({"audio_filepath": text(&more.join(name))}));
    let starter = repository().join("trainer/corpus");
    Material {
        train: [
            lines(&starter.join("train.jsonl"), &starter, ".ogg", 60),
            wavs,
            jsonl(same_words),
            jsonl(untranscribed),
        ]
        .concat(),
        dev: starter.join("dev.jsonl"),
        test,
        test_utterances: 6,
        test_words: 27,
    }
}

fn of_the_corpus() -> Option<Material> {
    let corpus = repository().parent()?.join("shared/corpus");
    let manifests = corpus.join("manifests");
    if !manifests.is_dir() {
        return None;
    }
    let slices = [
        ("libri-train.jsonl", ".mp3", 60),
        ("libri-train.jsonl", ".flac", 5),
        ("libri-train.jsonl", ".ogg", 40),
        ("fsdd-train.jsonl", ".ogg", 30),
    ];
    let slices =
        slices.map(|(name, ending, count)| lines(&manifests.join(name), &corpus, ending, count));
    Some(Material {
        train: slices.concat(),
        dev: manifests.join("commands-dev.jsonl"),
        // 8 kHz.
        test: manifests.join("fsdd-test.jsonl"),
        test_utterances: 60,
        test_words: 60,
    })
}

#[test]
fn a_run_on_the_repositorys_own_files_ends_with_students_that_can_be_measured() {
    let folder = tempfile::tempdir().unwrap();
    let material = of_the_repository(folder.path());
    run_and_measure(folder.path(), &material);
}

#[test]
fn so_does_a_run_on_real_recordings_where_there_are_some() {
    if let Some(material) = of_the_corpus() {
        let folder = tempfile::tempdir().unwrap();
        run_and_measure(folder.path(), &material);
    }
}

fn run_and_measure(folder: &Path, material: &Material) {
    let run = folder.join("run");
    let train = folder.join("train.jsonl");
    fs::write(&train, &material.train).unwrap();

    let recipe = repository().join("recipes/quick.toml");
    let sets = [
        format!("data.train={}", text(&train)),
        format!("data.dev={}", text(&material.dev)),
        format!("data.test={{ours = \"{}\"}}", text(&material.test)),
        "data.batch_seconds=60".to_owned(),
        "teacher.model.n_layers=2".to_owned(),
        "teacher.model.d_model=64".to_owned(),
        "teacher.model.d_ffn=128".to_owned(),
        // Wider than this teacher: its blocks are no start for them.
        "student.medium.init=random".to_owned(),
        "student.small.init=random".to_owned(),
        "teach.epochs=3".to_owned(),
        "teach.optim.warmup_steps=5".to_owned(),
        "distill.epochs=2".to_owned(),
        "distill.optim.warmup_steps=2".to_owned(),
        "finetune.epochs=1".to_owned(),
        "finetune.optim.warmup_steps=2".to_owned(),
    ];
    let mut arguments = vec!["run".to_owned(), text(&recipe).to_owned()];
    arguments.extend(["--run", text(&run), "--device", "cpu", "--json"].map(str::to_owned));
    for set in sets {
        arguments.extend(["--set".to_owned(), set]);
    }
    let finished = fledge(arguments);
    finished.assert_done();
    let models = finished.json_lines();
    assert_eq!(models.len(), 4, "{finished:#?}");
    let quarantine = fs::read_to_string(run.join("quarantine.jsonl")).unwrap_or_default();
    assert_eq!(quarantine, "");

    let measured = fledge([
        "evaluate",
        "--model",
        text(&run.join("models/small")),
        "--manifest",
        text(&material.test),
        "--json",
        "--quiet",
        "--device",
        "cpu",
    ]);
    measured.assert_done();
    let measured = measured.json_lines().remove(0);
    assert_eq!(measured["utterances"], material.test_utterances);
    assert_eq!(measured["words"], material.test_words);
    let card: Value =
        serde_json::from_slice(&fs::read(run.join("models/small/manifest.json")).unwrap()).unwrap();
    assert_eq!(card["evaluations"][0]["wer"], measured["wer"]);
}
