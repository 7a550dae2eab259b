//! Phrases on the command line: what is heard, what is refused, and the threshold that is stored.

use std::fs;
use std::path::PathBuf;

use tests::{fledge, repository, text};

fn model() -> PathBuf {
    repository().join("www/models/quick-medium")
}

fn clip(name: &str) -> PathBuf {
    repository().join(format!("www/samples/{name}.wav"))
}

/// Manifest of samples with their texts.
fn manifest(folder: &tempfile::TempDir, name: &str, texts: &[&str]) -> PathBuf {
    let lines = texts.iter().map(|text| {
        let path = clip(&text.replace(' ', "-"));
        format!(
            "{}\n",
            serde_json::json!({ "audio_filepath": path, "text": text })
        )
    });
    let path = folder.path().join(name);
    fs::write(&path, lines.collect::<String>()).unwrap();
    path
}

#[test]
fn the_grammar_of_the_recipes_hears_a_clip_with_its_slots() {
    let model = model();
    let grammar = repository().join("recipes/phrases/home.jsgf");
    let (timer, digits) = (
        clip("set-a-timer-for-five-minutes"),
        clip("seven-two-nine-four"),
    );
    let finished = fledge([
        "transcribe",
        text(&timer),
        text(&digits),
        "--model",
        text(&model),
        "--phrases",
        text(&grammar),
        "--json",
        "--quiet",
        "--device",
        "cpu",
    ]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let lines: Vec<serde_json::Value> = finished
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let phrase = &lines[0]["phrases"][0];
    assert_eq!(phrase["phrase"], "set a timer for {minutes} minutes");
    assert_eq!(phrase["slots"]["minutes"], 5);
    assert!(
        phrase["score"].as_f64().unwrap() > 0.35
            && phrase["end"].as_f64() > phrase["start"].as_f64()
    );
    assert_eq!(lines[1]["phrases"], serde_json::json!([]));
    assert_eq!(lines[1]["text"], "");
}

#[test]
fn a_list_is_evaluated_and_its_threshold_is_tuned_and_stored() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    fs::write(
        &list,
        "# mine\nopen the window\nstop the music\nturn (on|off) the kitchen light\n",
    )
    .unwrap();
    let said = manifest(
        &folder,
        "said.jsonl",
        &[
            "open the window",
            "stop the music",
            "turn on the kitchen light",
        ],
    );
    let other = manifest(
        &folder,
        "other.jsonl",
        &["seven two nine four", "zero eight three six one five"],
    );
    let model = model();
    let tuned = fledge([
        "tune-phrases",
        "--model",
        text(&model),
        "--phrases",
        text(&list),
        "--manifest",
        text(&said),
        "--reject",
        text(&other),
        "--json",
        "--quiet",
        "--device",
        "cpu",
    ]);
    assert_eq!(tuned.code, Some(0), "{}", tuned.stderr);
    let report: serde_json::Value = serde_json::from_str(&tuned.stdout).unwrap();
    assert_eq!(report["phrases"], 3);
    assert_eq!(report["curve"].as_array().unwrap().len(), 100);
    let stored = fs::read_to_string(&list).unwrap();
    assert!(stored.starts_with("#@ threshold 0."), "{stored}");
    assert!(
        stored.ends_with(
            "# mine\nopen the window\nstop the music\nturn (on|off) the kitchen light\n"
        )
    );
    let evaluated = fledge([
        "evaluate",
        "--model",
        text(&model),
        "--phrases",
        text(&list),
        "--manifest",
        text(&said),
        "--json",
        "--quiet",
        "--device",
        "cpu",
    ]);
    assert_eq!(evaluated.code, Some(0), "{}", evaluated.stderr);
    let figures: serde_json::Value = serde_json::from_str(&evaluated.stdout).unwrap();
    assert_eq!(
        (&figures["phrases"], &figures["outside"]),
        (&3.into(), &0.into())
    );
    assert_eq!(figures["threshold"], report["chosen"]["threshold"]);
    assert_eq!(figures["detection"], report["chosen"]["detection"]);
}

#[test]
fn all_that_a_list_is_judged_by_is_measured_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let (list, curve) = (folder.path().join("list.txt"), folder.path().join("c.svg"));
    fs::write(&list, "open the window\nstop the music\n").unwrap();
    let said = manifest(
        &folder,
        "said.jsonl",
        &["open the window", "stop the music"],
    );
    let other = manifest(&folder, "other.jsonl", &["seven two nine four"]);
    // Without a text, the sound is one that nobody says.
    let sounds = folder.path().join("sounds.jsonl");
    let digits = clip("seven-two-nine-four");
    let line = serde_json::json!({ "audio_filepath": digits, "text": "" });
    fs::write(&sounds, format!("{line}\n")).unwrap();
    let finished = fledge([
        "bench",
        "phrases",
        "--model",
        text(&model()),
        "--phrases",
        text(&list),
        "--manifest",
        text(&said),
        "--reject",
        text(&other),
        "--reject",
        text(&sounds),
        "--curve",
        text(&curve),
        "--json",
        "--quiet",
        "--device",
        "cpu",
    ]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let report: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    let found = &report["models"][0];
    assert_eq!(found["report"]["phrases"], 2);
    assert_eq!(found["report"]["phrase_error_rate"], 0.0);
    let names = [&found["rejected"][0]["name"], &found["rejected"][1]["name"]];
    assert_eq!(names, ["other", "sounds"]);
    assert_eq!(found["rejected"][1]["at_threshold"]["count"], 0);
    let delays = &found["delays"];
    assert_eq!(
        (&delays["clips"], &delays["answered"]),
        (&2.into(), &2.into())
    );
    let median_ms = delays["median_ms"].as_f64().unwrap();
    assert!((0.0..1500.0).contains(&median_ms), "{median_ms}");
    assert!(fs::read_to_string(&curve).unwrap().contains("<svg"));
}

#[test]
fn sentences_of_a_grammar_are_drawn_and_none_comes_twice_where_all_differ() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    let draw = |content: &str, more: &[&str]| {
        fs::write(&list, content).unwrap();
        fledge(["sentences", "--phrases", text(&list)].iter().chain(more))
    };
    let twelve = draw("turn (on|off)\nstop\n", &["--count", "12"]);
    assert_eq!(twelve.stdout.lines().count(), 12, "{}", twelve.stderr);
    let different = draw("turn (on|off)\nstop\n", &["--count", "12", "--different"]);
    let mut lines: Vec<&str> = different.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["stop", "turn off", "turn on"]);
    let endless = draw("say <more>\n<more> = again <more>\n", &[]);
    assert_eq!(endless.code, Some(3), "{}", endless.stderr);
    assert!(
        endless.stderr.contains("no sentence of it ends"),
        "{}",
        endless.stderr
    );
}

#[test]
fn a_wrong_list_is_one_line_with_its_place_and_alike_phrases_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    let (model, clip) = (model(), clip("open-the-window"));
    let run = |content: &str, more: &[&str]| {
        fs::write(&list, content).unwrap();
        let fixed = [
            "transcribe",
            text(&clip),
            "--model",
            text(&model),
            "--phrases",
            text(&list),
            "--device",
            "cpu",
        ];
        fledge(fixed.iter().chain(more))
    };
    for (content, place, words) in [
        (
            "open the window\nset timer 15 minutes\n",
            "line 2, column 11",
            "write \"fifteen\"",
        ),
        ("turn-on\n", "line 1, column 1", "cannot write '-'"),
        ("turn (on|off\n", "line 1, column 6", "never closed"),
        ("go <nmber>\n", "line 1, column 4", "did you mean <number>?"),
        ("\n", "list.txt", "holds no phrase"),
    ] {
        let finished = run(content, &[]);
        assert_eq!(finished.code, Some(3), "{content}: {}", finished.stderr);
        assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
        assert!(
            finished.stderr.contains(place) && finished.stderr.contains(words),
            "{}",
            finished.stderr
        );
    }
    let alike = run("open the window\nopen the windows\n", &[]);
    assert_eq!(alike.code, Some(0));
    assert!(
        alike
            .stderr
            .contains("\"open the windows\" sounds much like \"open the window\""),
        "{}",
        alike.stderr
    );
    assert_eq!(run("go\n", &["--no-lm"]).code, Some(2));
    assert_eq!(run("go\n", &["--threshold", "2"]).code, Some(2));
}

#[test]
fn boosted_phrases_are_likelier_and_a_wrong_line_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("boost.txt");
    let (model, clip) = (model(), clip("stop-the-music"));
    let run = |content: &str, more: &[&str]| {
        fs::write(&list, content).unwrap();
        let fixed = [
            "transcribe",
            text(&clip),
            "--model",
            text(&model),
            "--boost",
            text(&list),
            "--device",
            "cpu",
            "--quiet",
        ];
        fledge(fixed.iter().chain(more))
    };
    let heard = |content: &str, more: &[&str]| {
        let finished = run(content, more);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        finished.stdout.trim().to_owned()
    };
    assert_eq!(heard("top :0\n", &[]), "stop the music");
    assert_eq!(heard("top :30\n", &[]), "top the music");
    assert_eq!(heard("top\n", &["--boost-weight", "30"]), "top the music");
    for (content, words) in [
        (
            "stop\nset 5\n",
            "line 2: the model cannot write \"5\": write \"five\"",
        ),
        ("stop :much\n", "line 1: \"much\" is no weight"),
        ("# nothing\n", "holds no phrase"),
    ] {
        let finished = run(content, &[]);
        assert_eq!(finished.code, Some(3), "{content}: {}", finished.stderr);
        assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    }
    assert_eq!(run("stop\n", &["--decoder", "greedy"]).code, Some(2));
    assert_eq!(run("stop\n", &["--phrases", text(&list)]).code, Some(2));
}
