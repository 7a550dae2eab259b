//! A corpus in tar files trains what its utterances in files of their own train.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{fledge, repository, text, weight_files};

const RECIPE: &str = r#"
name = "sharded"
[data]
limit = 40
batch_seconds = 15
[augment]
noise_share = 0.3
join_share = 0.3
[teacher.model]
n_layers = 1
d_model = 32
d_ffn = 32
n_heads = 2
[[student]]
name = "small"
[student.model]
n_layers = 1
d_model = 16
d_ffn = 16
n_heads = 2
[teach]
epochs = 2
[distill]
epochs = 1
[finetune]
epochs = 1
[compute]
shards = 2
"#;

/// Shards of the corpus in the repository.
fn sharded(folder: &Path) -> PathBuf {
    let manifest = repository().join("trainer/corpus/train.jsonl");
    let out = folder.join("shards");
    let arguments = ["prepare", "shards", text(&manifest), "--out", text(&out)];
    fledge(arguments.into_iter().chain(["--shard-mb", "2", "--json"])).assert_done();
    out
}

/// A manifest of the shards' audio as files, which `tar` has unpacked.
fn unpacked(shards: &Path) -> PathBuf {
    let folder = shards.with_file_name("files");
    fs::create_dir(&folder).unwrap();
    let mut lines = String::new();
    for line in fs::read_to_string(shards.join("train.jsonl"))
        .unwrap()
        .lines()
    {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        let shard = line["audio_filepath"].as_str().unwrap().to_owned();
        let to = folder.join(&shard);
        if !to.exists() {
            fs::create_dir(&to).unwrap();
            let mut tar = Command::new("tar");
            tar.arg("-xf").arg(shards.join(&shard)).arg("-C").arg(&to);
            assert!(tar.status().unwrap().success());
        }
        let name = line["member"]["name"].as_str().unwrap().to_owned();
        line["audio_filepath"] = format!("{shard}/{name}").into();
        line.as_object_mut().unwrap().remove("member");
        lines += &format!("{line}\n");
    }
    let manifest = folder.join("train.jsonl");
    fs::write(&manifest, lines).unwrap();
    manifest
}

/// What a run trains, and its losses as they were logged.
fn trained(manifest: &Path, run: &Path) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
    let recipe = run.with_extension("toml");
    fs::write(&recipe, RECIPE).unwrap();
    let data = format!("data.train={}", text(manifest));
    let arguments = ["run", text(&recipe), "--run", text(run), "--device", "cpu"];
    fledge(arguments.into_iter().chain(["--set", &data])).assert_done();
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let losses = metrics.lines().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        (line["event"] == "step").then(|| line["losses"].to_string())
    });
    (weight_files(run, &["weights", "models"]), losses.collect())
}

#[test]
fn shards_train_bit_for_bit_what_the_same_files_train() {
    let folder = tempfile::tempdir().unwrap();
    let shards = sharded(folder.path());
    let tars = fs::read_dir(&shards).unwrap().flatten();
    let tars = tars.filter(|entry| entry.path().extension().is_some_and(|e| e == "tar"));
    assert!(tars.count() > 2);
    let checked = fledge(["check", text(&shards.join("train.jsonl")), text(&shards)]);
    assert_eq!(checked.code, Some(0), "{checked:#?}");

    let files = trained(&unpacked(&shards), &folder.path().join("of-files"));
    assert!(files.1.len() > 8, "{:?}", files.1);
    let of_shards = trained(
        &shards.join("train.jsonl"),
        &folder.path().join("of-shards"),
    );
    assert_eq!(of_shards.1, files.1);
    assert!(of_shards.0 == files.0);
}

#[test]
fn a_shard_that_is_cut_off_is_refused_by_name_and_checked_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let shards = sharded(folder.path());
    let shard = shards.join("train-000001.tar");
    let whole = fs::read(&shard).unwrap();
    fs::write(&shard, &whole[..whole.len() / 2]).unwrap();
    fledge(["check", text(&shards)]).assert_refused(3, "train-000001.tar is cut off");
    // The manifest knows what should be there.
    let checked = fledge(["check", text(&shards.join("train.jsonl"))]);
    assert_eq!(checked.code, Some(3), "{checked:#?}");
    assert!(checked.stderr.contains("the tar file ends before it does"));
    let out = folder.path().join("again");
    let again = fledge(["prepare", "shards", text(&shards), "--out", text(&out)]);
    assert_eq!(again.code, Some(0), "{again:#?}");
    assert!(
        again.stderr.contains("train-000001.tar is cut off"),
        "{again:#?}"
    );
    assert!(out.join("all.jsonl").exists());
}
