//! What `www/models` ships is what its cards say.

use std::fs;

use tests::{fledge, repository, text};

/// The manifest of a card's test set, relative to the repository. Real recordings lie beside a
/// clone, or nowhere.
fn manifest(set: &str) -> String {
    match set {
        "starter" => "trainer/corpus/test.jsonl".to_owned(),
        other => format!("../shared/corpus/manifests/{other}.jsonl"),
    }
}

#[test]
fn every_shipped_student_is_listed_and_measures_what_its_card_says() {
    let models = repository().join("www/models");
    let json = |path: std::path::PathBuf| -> serde_json::Value {
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    };
    let index = json(models.join("index.json"));
    let listed: Vec<&str> = index["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["path"].as_str().unwrap())
        .collect();
    let mut folders: Vec<String> = fs::read_dir(&models)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("manifest.json").is_file())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    folders.sort();
    let mut sorted = listed.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, folders);

    // The starter corpus is part of the repository; sets of real speech may be absent.
    let (mut measured_sets, mut absent) = (0, Vec::new());
    for name in listed {
        let folder = models.join(name);
        let card = json(folder.join("manifest.json"));
        for stored in card["evaluations"].as_array().unwrap() {
            let set = stored["set"].as_str().unwrap();
            let path = repository().join(manifest(set));
            if !path.is_file() {
                assert_ne!(set, "starter", "the starter corpus is not where it belongs");
                absent.push(format!("{name} on {set}"));
                continue;
            }
            measured_sets += 1;
            let mut arguments = vec![
                "evaluate",
                "--model",
                text(&folder),
                "--manifest",
                text(&path),
                "--device",
                "cpu",
                "--json",
                "--decoder",
                stored["decoder"].as_str().unwrap(),
            ];
            let lm = stored["lm"].as_str().map(|lm| models.join("lm").join(lm));
            if let Some(lm) = &lm {
                arguments.extend(["--lm", text(lm)]);
            }
            let finished = fledge(arguments);
            finished.assert_done();
            let measured = &finished.json_lines()[0];
            for figure in ["wer", "cer", "words", "utterances"] {
                assert_eq!(
                    measured[figure], stored[figure],
                    "{figure} of {name} on {set}"
                );
            }
        }
    }
    assert!(measured_sets >= 3, "nothing was measured");
    if !absent.is_empty() {
        eprintln!(
            "not measured, for want of the corpus: {}",
            absent.join(", ")
        );
    }
}
