use std::fs;
use std::path::{Path, PathBuf};

use shared_model::bundle::Precision;
use tempfile::TempDir;
use tests::{Finished, fledge, repository, speech, sweep, text, wav_bytes, write_tiny_model};

const DATA: i32 = 3;
const USAGE: i32 = 2;

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_tiny_model(&folder.path().join("model"), Precision::Int8);
        Self { folder }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }
    fn transcribe(&self, audio: &Path) -> Finished {
        fledge([
            "transcribe",
            text(audio),
            "--model",
            text(&self.path("model")),
            "--json",
        ])
    }
    fn evaluate(&self, manifest: &Path) -> Finished {
        fledge([
            "evaluate",
            "--manifest",
            text(manifest),
            "--model",
            text(&self.path("model")),
            "--json",
            "--quiet",
        ])
    }
    /// A broken file must be refused alone and as the only line of a manifest.
    #[track_caller]
    fn assert_audio_refused(&self, audio: &Path) {
        let name = audio.file_name().unwrap().to_str().unwrap();
        self.transcribe(audio).assert_refused(DATA, name);
        let line = serde_json::json!({
            "audio_filepath": audio, "duration": 2.0, "text": "seven two nine four",
        });
        let manifest = self.file("one.jsonl", format!("{line}\n").as_bytes());
        self.evaluate(&manifest).assert_refused(DATA, name);
    }
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(repository().join("tests/fixtures").join(name)).unwrap()
}

#[test]
fn an_empty_file_is_refused() {
    let place = Place::new();
    for name in ["empty.wav", "empty.mp3", "empty.flac", "empty"] {
        place.assert_audio_refused(&place.file(name, b""));
    }
}

#[test]
fn a_header_without_samples_is_refused() {
    let place = Place::new();
    let header = wav_bytes(&[], 16_000, 1, 16);
    place.assert_audio_refused(&place.file("header.wav", &header));
}

#[test]
fn a_truncated_mp3_is_refused() {
    let place = Place::new();
    let whole = fixture("clip-8khz.mp3");
    place.assert_audio_refused(&place.file("cut.mp3", &whole[..whole.len() / 2]));
    place.assert_audio_refused(&place.file("stub.mp3", &whole[..40]));
}

#[test]
fn a_truncated_flac_is_refused() {
    let place = Place::new();
    let whole = fixture("clip-quiet-44khz.flac");
    place.assert_audio_refused(&place.file("cut.flac", &whole[..whole.len() / 2]));
    place.assert_audio_refused(&place.file("stub.flac", &whole[..40]));
}

#[test]
fn text_renamed_to_wav_is_refused() {
    let place = Place::new();
    let poem = "The owl and the pussycat went to sea\n".repeat(50);
    place.assert_audio_refused(&place.file("poem.wav", poem.as_bytes()));
}

#[test]
fn a_missing_file_and_a_folder_are_refused() {
    let place = Place::new();
    place.assert_audio_refused(&place.path("nowhere.wav"));
    let folder = place.path("folder.wav");
    fs::create_dir(&folder).unwrap();
    place.assert_audio_refused(&folder);
}

#[test]
fn a_manifest_with_a_broken_line_is_refused_by_its_number() {
    let place = Place::new();
    let audio = place.file("a.wav", &wav_bytes(&speech(), 16_000, 1, 16));
    let good = serde_json::json!({"audio_filepath": audio, "duration": 2.0, "text": "seven"});
    for broken in [
        "{\"audio_filepath\": \"a.wav\", ",
        "[]",
        "{\"text\": \"no audio\"}",
        "\u{0}",
    ] {
        let manifest = place.file("m.jsonl", format!("{good}\n{broken}\n").as_bytes());
        let finished = place.evaluate(&manifest);
        finished.assert_refused(DATA, "m.jsonl");
        assert!(finished.error_lines()[0].contains('2'), "{finished:#?}");
    }
    place
        .evaluate(&place.file("none.jsonl", b""))
        .assert_refused(DATA, "none.jsonl");
    place
        .evaluate(&place.path("missing.jsonl"))
        .assert_refused(DATA, "missing.jsonl");
}

#[test]
fn more_than_one_percent_of_broken_audio_is_refused() {
    let place = Place::new();
    let audio = place.file("a.wav", &wav_bytes(&speech(), 16_000, 1, 16));
    let good = serde_json::json!({"audio_filepath": audio, "duration": 2.0, "text": "seven"});
    let bad = serde_json::json!({"audio_filepath": "gone.wav", "duration": 2.0, "text": "two"});
    let manifest = place.file("m.jsonl", format!("{good}\n{good}\n{bad}\n").as_bytes());
    let finished = place.evaluate(&manifest);
    assert_eq!(finished.code, Some(DATA), "{finished:#?}");
    assert!(
        finished.stderr.contains("gone.wav") && finished.stdout.is_empty(),
        "{finished:#?}"
    );
}

#[test]
fn other_files_go_on_after_a_broken_one() {
    let place = Place::new();
    let good = place.file("good.wav", &wav_bytes(&speech(), 16_000, 1, 16));
    let bad = place.file("bad.wav", b"RIFF");
    let model = place.path("model");
    let arguments = [
        "transcribe",
        text(&bad),
        text(&good),
        "--model",
        text(&model),
        "--json",
    ];
    let finished = fledge(arguments);
    assert_eq!(finished.code, Some(DATA), "{finished:#?}");
    let objects = finished.json_lines();
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0]["file"], text(&good));
    assert!(
        finished.error_lines()[0].contains("bad.wav"),
        "{finished:#?}"
    );
}

fn weights_file(model: &Path) -> PathBuf {
    ["model-q8.safetensors", "model.safetensors"]
        .map(|name| model.join(name))
        .into_iter()
        .find(|path| path.exists())
        .unwrap()
}

#[track_caller]
fn assert_model_refused(place: &Place, mentions: &str) {
    let audio = place.file("a.wav", &wav_bytes(&sweep(8000, 16_000), 16_000, 1, 16));
    place.transcribe(&audio).assert_refused(DATA, mentions);
    fledge(["inspect", text(&place.path("model")), "--json"]).assert_refused(DATA, mentions);
}

#[test]
fn a_model_with_a_flipped_byte_is_refused() {
    let place = Place::new();
    let weights = weights_file(&place.path("model"));
    let mut bytes = fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&weights, bytes).unwrap();
    assert_model_refused(&place, "safetensors");
}

#[test]
fn a_model_cut_short_is_refused() {
    let place = Place::new();
    let weights = weights_file(&place.path("model"));
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 3]).unwrap();
    assert_model_refused(&place, "safetensors");
    fs::remove_file(&weights).unwrap();
    assert_model_refused(&place, "safetensors");
}

#[test]
fn a_two_gigabyte_length_in_the_header_is_refused() {
    let place = Place::new();
    let weights = weights_file(&place.path("model"));
    let mut bytes = fs::read(&weights).unwrap();
    bytes[..8].copy_from_slice(&(2_u64 << 30).to_le_bytes());
    fs::write(&weights, bytes).unwrap();
    assert_model_refused(&place, "safetensors");
}

#[test]
fn a_broken_configuration_is_refused() {
    let place = Place::new();
    let config = place.path("model/config.json");
    let text = fs::read_to_string(&config).unwrap();
    for broken in ["", "{", "[1, 2]", &text.replace("16", "999999999")] {
        fs::write(&config, broken).unwrap();
        assert_model_refused(&place, "config.json");
    }
    fs::remove_file(&config).unwrap();
    assert_model_refused(&place, "config.json");
}

#[test]
fn a_folder_that_is_no_model_is_refused() {
    let place = Place::new();
    let audio = place.file("a.wav", &wav_bytes(&speech(), 16_000, 1, 16));
    let empty = place.path("empty");
    fs::create_dir(&empty).unwrap();
    for (model, mentions) in [
        (&empty, "empty"),
        (&place.path("gone"), "gone"),
        (&audio, "a.wav"),
    ] {
        fledge(["transcribe", text(&audio), "--model", text(model)]).assert_refused(DATA, mentions);
    }
}

#[test]
fn a_recipe_with_a_wrong_key_is_refused_with_a_suggestion() {
    let place = Place::new();
    let recipe = fs::read_to_string(repository().join("recipes/quick.toml")).unwrap();
    let wrong = place.file("wrong.toml", format!("sede = 1\n{recipe}").as_bytes());
    let run = place.path("run");
    for command in ["run", "teach", "distill", "finetune"] {
        fledge([command, text(&wrong), "--run", text(&run)]).assert_refused(USAGE, "sede");
    }
    let finished = fledge(["inspect", text(&wrong)]);
    finished.assert_refused(USAGE, "seed");
    assert!(!run.exists(), "a refused recipe must leave nothing behind");
}

#[test]
fn a_wrong_override_is_refused() {
    let place = Place::new();
    let recipe = repository().join("recipes/quick.toml");
    let run = place.path("run");
    for set in [
        "teach.optim.learning_rte=1",
        "seed=banana",
        "seed",
        "teacher.model.n_layers=0",
    ] {
        let arguments = ["run", text(&recipe), "--run", text(&run), "--set", set];
        let key = set.split('=').next().unwrap();
        fledge(arguments).assert_refused(USAGE, key.split('.').next_back().unwrap());
    }
}

#[test]
fn decoder_files_that_are_none_are_refused() {
    let place = Place::new();
    let audio = place.file("a.wav", &wav_bytes(&speech(), 16_000, 1, 16));
    let model = place.path("model");
    let nonsense = place.file("nonsense.arpa", b"\\data\\\nngram 1=99999999999\n");
    let missing = place.path("gone.arpa");
    for lm in [&nonsense, &missing] {
        let name = lm.file_name().unwrap().to_str().unwrap();
        fledge([
            "transcribe",
            text(&audio),
            "--model",
            text(&model),
            "--lm",
            text(lm),
        ])
        .assert_refused(DATA, name);
    }
}
