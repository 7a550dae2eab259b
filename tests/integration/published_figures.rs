//! Tables and plots of the documents are held to the cards of the shipped models.

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::repository;

fn read_json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// `45.9 (43.9 to 48.1)`, as the tables have it.
fn rate(evaluation: &serde_json::Value) -> String {
    let percent = |key: &str| 100.0 * evaluation[key].as_f64().unwrap();
    let [wer, low, high] = ["wer", "wer_low", "wer_high"].map(percent);
    format!("{wer:.1} ({low:.1} to {high:.1})")
}

/// `2,502,605`.
fn grouped(count: u64) -> String {
    match count / 1000 {
        0 => count.to_string(),
        thousands => format!("{},{:03}", grouped(thousands), count % 1000),
    }
}

/// `2.7 MB`, `0.33 MB`: two digits.
fn megabytes(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    if megabytes < 1.0 {
        format!("{megabytes:.2} MB")
    } else {
        format!("{megabytes:.1} MB")
    }
}

#[test]
fn the_tables_of_shipped_students_say_what_their_cards_say() {
    let families = [
        ("english", "libri-test", &[None, Some("english.bin")][..]),
        ("quick", "starter", &[None]),
    ];
    let texts = ["README.md", "RESULTS.md"]
        .map(|name| (name, fs::read_to_string(repository().join(name)).unwrap()));
    for (family, set, language_models) in families {
        for size in ["medium", "small", "tiny"] {
            let name = format!("{family}-{size}");
            let manifest = repository().join(format!("www/models/{name}/manifest.json"));
            let manifest = read_json(&manifest);
            let files = manifest["files"].as_array().unwrap();
            let bytes = files.iter().map(|file| file["bytes"].as_u64().unwrap());
            let parameters = manifest["parameters"].as_u64().unwrap();
            let mut cells = vec![
                format!("`{name}`"),
                grouped(parameters),
                megabytes(bytes.sum()),
            ];
            let evaluations = manifest["evaluations"].as_array().unwrap();
            cells.extend(language_models.iter().map(|lm| {
                let is_it = |e: &&serde_json::Value| e["set"] == set && e["lm"].as_str() == *lm;
                rate(evaluations.iter().find(is_it).unwrap())
            }));
            let row = format!("| {} |", cells.join(" | "));
            for (document, text) in &texts {
                let has_it = text.lines().any(|line| line.starts_with(&row));
                assert!(has_it, "{document} has no row {row}");
            }
        }
    }
}

#[test]
fn the_plot_of_the_english_family_shows_what_its_cards_say() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made.svg");
    let model = |size: &str| repository().join(format!("www/models/english-{size}"));
    let output = Command::new("python3")
        .arg(repository().join("scripts/plot-family.py"))
        .args(["--set", "libri-test", "--lm"])
        .arg(repository().join("www/models/lm/english.bin"))
        .arg("--out")
        .arg(&made)
        .args(["tiny", "small", "medium", "teacher"].map(model))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let drawn = fs::read_to_string(repository().join("docs/english-wer.svg")).unwrap();
    let made = fs::read_to_string(made).unwrap();
    assert!(
        made == drawn,
        "run scripts/plot-family.py as RESULTS.md says"
    );
}
