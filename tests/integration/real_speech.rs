//! Real recordings in their real formats (mp3 at 16 kHz, ogg, flac, wav at 8 kHz), where the speech
//! corpus lies beside the clone. Elsewhere there is nothing to test and the test says so.

use std::fs;
use std::path::PathBuf;

use tests::{fledge, repository, text};

fn corpus() -> Option<PathBuf> {
    let folder = repository().parent()?.join("shared/corpus");
    folder.join("manifests").is_dir().then_some(folder)
}

#[test]
fn two_minutes_on_real_speech_end_with_students_that_can_be_measured() {
    let Some(corpus) = corpus() else {
        eprintln!("no speech corpus beside the clone: nothing to train on");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let manifest = |name: &str| corpus.join("manifests").join(name);

    // A slice with every format: the test reads them all, so it must find them all.
    let mut slice = String::new();
    for (name, extension, count) in [
        ("libri-train.jsonl", ".mp3", 60),
        ("libri-train.jsonl", ".flac", 5),
        ("libri-train.jsonl", ".ogg", 40),
        ("fsdd-train.jsonl", ".ogg", 30),
    ] {
        let lines = fs::read_to_string(manifest(name)).unwrap();
        let chosen: Vec<&str> = lines
            .lines()
            .filter(|line| line.contains(&format!("{extension}\"")))
            .take(count)
            .collect();
        assert_eq!(chosen.len(), count, "{extension} in {name}");
        for line in chosen {
            let mut entry: serde_json::Value = serde_json::from_str(line).unwrap();
            let path = corpus.join(entry["audio_filepath"].as_str().unwrap());
            entry["audio_filepath"] = text(&path).into();
            slice.push_str(&format!("{entry}\n"));
        }
    }
    let train = folder.path().join("train.jsonl");
    fs::write(&train, slice).unwrap();

    let recipe = repository().join("recipes/quick.toml");
    let dev = manifest("commands-dev.jsonl");
    let wav = manifest("fsdd-test.jsonl");
    let sets = [
        format!("data.train={}", text(&train)),
        format!("data.dev={}", text(&dev)),
        format!("data.test={{eight_khz = \"{}\"}}", text(&wav)),
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
    assert!(
        !run.join("quarantine.jsonl").exists() || {
            fs::read_to_string(run.join("quarantine.jsonl"))
                .unwrap()
                .is_empty()
        }
    );

    let measured = fledge([
        "evaluate",
        "--model",
        text(&run.join("models/small")),
        "--manifest",
        text(&wav),
        "--json",
        "--quiet",
        "--device",
        "cpu",
    ]);
    measured.assert_done();
    let measured = measured.json_lines().remove(0);
    assert_eq!(measured["utterances"], 60);
    assert_eq!(measured["words"], 60);
    let card: serde_json::Value =
        serde_json::from_slice(&fs::read(run.join("models/small/manifest.json")).unwrap()).unwrap();
    assert_eq!(card["evaluations"][0]["wer"], measured["wer"]);
}
