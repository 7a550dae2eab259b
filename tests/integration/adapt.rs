//! A list of phrases to students that hear it, in the smallest way that there is: few phrases, few
//! clips, an epoch of each step.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{Finished, fledge, fledge_command, repository, text};

const LIST: &str = "open the (door|window)\nset it to <number:degrees> degrees\nstop\n";

fn model(name: &str) -> PathBuf {
    repository().join("www/models").join(name)
}

/// The folder of the voices: a test that finds none must fail, not skip.
fn list(folder: &Path) -> PathBuf {
    let found = Command::new("espeak-ng").arg("--version").output();
    found.expect("no espeak-ng: run scripts/install-test-tools.sh");
    let path = folder.join("list.txt");
    fs::write(&path, LIST).unwrap();
    path
}

fn adapt(list: &Path, run: &Path, extra: &[&str]) -> Finished {
    let from = model("english-tiny");
    let fixed = [
        "adapt",
        "--phrases",
        text(list),
        "--from",
        text(&from),
        "--run",
        text(run),
    ];
    let small = ["--minutes", "0.05", "--device", "cpu"];
    fledge(fixed.iter().chain(&small).chain(extra))
}

#[test]
fn a_list_becomes_a_student_with_its_threshold_its_card_and_figures() {
    let folder = tempfile::tempdir().unwrap();
    let (list, run) = (list(folder.path()), folder.path().join("run"));
    let recordings = folder.path().join("recordings");
    fs::create_dir(&recordings).unwrap();
    let clip = repository().join("www/samples/open-the-window.wav");
    for take in 0..48 {
        fs::copy(&clip, recordings.join(format!("{take}.wav"))).unwrap();
        fs::write(recordings.join(format!("{take}.txt")), "Open the window").unwrap();
    }
    let mine = ["--recordings", text(&recordings)];
    let finished = adapt(&list, &run, &[mine[0], mine[1], "--json"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let report = &finished.json_lines()[0];
    assert!(
        finished.stderr.contains("voices: espeak-ng"),
        "{}",
        finished.stderr
    );
    for when in ["before", "after"] {
        let figures = &report["students"][0][when];
        assert!(figures["phrases"].as_u64().unwrap() >= 24, "{report}");
        assert!(
            figures["phrase_error_rate"].as_f64().unwrap() < 1.0,
            "{report}"
        );
        assert!(figures["general_hours"].as_f64().unwrap() > 0.0, "{report}");
    }

    // The list is stored beside the model, with the threshold of the new weights.
    let student = run.join("models/english-tiny");
    let stored = fs::read_to_string(student.join("phrases.txt")).unwrap();
    assert!(
        stored.starts_with("#@ threshold ") && stored.ends_with(LIST),
        "{stored}"
    );
    let card = fs::read_to_string(student.join("README.md")).unwrap();
    for part in [
        "CC-BY-SA-4.0",
        "sentences of list.txt",
        "42 recordings of the phrases by the user",
    ] {
        assert!(card.contains(part), "{card}");
    }
    let recipe = fs::read_to_string(run.join("recipe.toml")).unwrap();
    assert_eq!(recipe.matches("recordings/taught.jsonl").count(), 3);
    // An eighth of them told how far to go.
    for tried in report["tried"].as_array().unwrap() {
        assert_eq!(tried["phrases"], 6, "{report}");
    }
    let strengths = ["30 %", "60 %", "100 %"];
    let report_text = fs::read_to_string(run.join("report.md")).unwrap();
    for strength in strengths {
        let line = format!("{strength} of the way to what was learned: ");
        assert!(finished.stderr.contains(&line), "{}", finished.stderr);
        assert!(report_text.contains(&line), "{report_text}");
    }

    // It hears with its list; the same command ends at once with the same report.
    let clip = repository().join("www/samples/open-the-window.wav");
    let list_there = student.join("phrases.txt");
    let arguments = [
        "transcribe",
        text(&clip),
        "--model",
        text(&student),
        "--phrases",
        text(&list_there),
    ];
    let heard = fledge(arguments.iter().chain(&["--device", "cpu", "--quiet"]));
    assert_eq!(heard.code, Some(0), "{}", heard.stderr);
    let again = adapt(&list, &run, &[mine[0], mine[1], "--json"]);
    assert_eq!(&again.json_lines()[0], report);
    // Another strength is exported from the same training, and leaving it out chooses again.
    let whole = adapt(
        &list,
        &run,
        &[&mine[..], &["--json", "--strength", "1"]].concat(),
    );
    assert_eq!(whole.json_lines()[0]["strength"], 1.0);
    let again = adapt(&list, &run, &[mine[0], mine[1], "--json"]);
    assert_eq!(again.json_lines()[0]["tried"], report["tried"]);
    adapt(&list, &run, &[]).assert_refused(2, "--recordings");
}

#[test]
fn what_cannot_be_adapted_is_told_in_one_line_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (list, run) = (list(folder.path()), folder.path().join("run"));
    let from = model("english-tiny");
    let mut silent = fledge_command([
        "adapt",
        "--phrases",
        text(&list),
        "--from",
        text(&from),
        "--run",
        text(&run),
    ]);
    let silent: Finished = silent.env("PATH", folder.path()).output().unwrap().into();
    silent.assert_refused(1, "apt-get install espeak-ng flite");
    fs::write(&list, "set timer 15 minutes\n").unwrap();
    adapt(&list, &run, &[]).assert_refused(3, "line 1");
    fs::write(&list, LIST).unwrap();
    adapt(&list, &run, &["--lm", text(&list)]).assert_refused(3, "list.txt");
    adapt(&list, &run, &["--speech", "none.jsonl"]).assert_refused(3, "none.jsonl");
    assert!(!run.exists());
    fs::create_dir(&run).unwrap();
    fs::write(run.join("thesis.txt"), "x").unwrap();
    adapt(&list, &run, &["--fresh"]).assert_refused(2, "holds no adaptation");
    assert_eq!(fs::read_dir(&run).unwrap().count(), 1);
}
