#![allow(clippy::unwrap_used)]

use super::*;

fn recipe(extra: &[&str]) -> Recipe {
    let text = "name = \"x\"\n[data]\ntrain = \"a.jsonl\"\n[teacher]\n[[student]]\nname = \"s\"\n";
    let overrides: Vec<String> = extra.iter().map(|s| (*s).to_string()).collect();
    Recipe::parse(text, "test", Path::new("/r"), &overrides).unwrap()
}

#[test]
fn the_same_recipe_continues_and_another_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    drop(RunFolder::open(&path, &recipe(&[]), "text", false).unwrap());
    drop(RunFolder::open(&path, &recipe(&[]), "text", false).unwrap());
    let free = recipe(&["checkpoint.keep_last=7"]);
    drop(RunFolder::open(&path, &free, "text", false).unwrap());
    let other = recipe(&["teach.epochs=77"]);
    let error = RunFolder::open(&path, &other, "text", false).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("teach.epochs was 30 and is now 77"), "{text}");
    assert!(text.contains("--fresh"), "{text}");
    fs::create_dir_all(path.join("checkpoints/teach")).unwrap();
    drop(RunFolder::open(&path, &other, "text", true).unwrap());
    assert!(!path.join("checkpoints").exists());
}

#[test]
fn what_changes_the_result_cannot_change_between_two_starts() {
    let folder = tempfile::tempdir().unwrap();
    let begun = recipe(&["compute.shards=2"]);
    drop(RunFolder::open(folder.path(), &begun, "", false).unwrap());
    for (set, words) in [
        (
            "compute.bf16=true",
            "compute.bf16 was false and is now true",
        ),
        (
            "compute.fused=false",
            "compute.fused was true and is now false",
        ),
        ("compute.shards=3", "compute.shards was 2 and is now 3"),
        (
            "validation.every_epochs=2",
            "validation.every_epochs was 1 and is now 2",
        ),
    ] {
        let other = recipe(&["compute.shards=2", set]);
        let error = RunFolder::open(folder.path(), &other, "", false).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    let shards = RunFolder::begun_with_shards(folder.path());
    let mut left_open = recipe(&[]);
    left_open.compute.settle_shards(shards, 64);
    assert!(RunFolder::open(folder.path(), &left_open, "", false).is_ok());
    assert_eq!(
        RunFolder::begun_with_shards(&folder.path().join("none")),
        None
    );
}

#[test]
fn a_run_begun_before_a_key_was_added_goes_on_with_its_default() {
    let folder = tempfile::tempdir().unwrap();
    drop(RunFolder::open(folder.path(), &recipe(&[]), "", false).unwrap());
    let path = folder.path().join(RESOLVED);
    let whole = fs::read_to_string(&path).unwrap();
    let older: Vec<&str> = whole
        .lines()
        .filter(|line| !line.starts_with("min_confidence"))
        .collect();
    assert_eq!(older.len() + 1, whole.lines().count());
    let as_older = || fs::write(&path, older.join("\n")).unwrap();
    as_older();
    let asks = recipe(&["data.min_confidence=0.5"]);
    let error = RunFolder::open(folder.path(), &asks, "", false).unwrap_err();
    let words = "data.min_confidence was 0.0 and is now 0.5";
    assert!(error.to_string().contains(words), "{error}");
    drop(RunFolder::open(folder.path(), &recipe(&[]), "", false).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), whole);
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "years").unwrap();
    for fresh in [false, true] {
        let error = RunFolder::open(folder.path(), &recipe(&[]), "", fresh).unwrap_err();
        assert!(matches!(error, RunFolderError::NotARun { .. }));
    }
    assert!(folder.path().join("thesis.txt").exists());
}

#[test]
fn two_processes_cannot_use_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let held = RunFolder::open(folder.path(), &recipe(&[]), "", false).unwrap();
    let error = RunFolder::open(folder.path(), &recipe(&[]), "", false).unwrap_err();
    assert!(matches!(error, RunFolderError::InUse { .. }));
    drop(held);
    assert!(RunFolder::open(folder.path(), &recipe(&[]), "", false).is_ok());
}

#[test]
fn a_broken_file_is_noted_once() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::open(folder.path(), &recipe(&[]), "", false).unwrap();
    for _ in 0..2 {
        run.quarantine("a.wav", "no samples").unwrap();
        run.quarantine("b.wav", "not audio").unwrap();
    }
    let text = fs::read_to_string(folder.path().join("quarantine.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 2);
}
