#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use shared_model::tokens::Tokens;

use crate::config::Recipe;
use crate::data::prepare::{Corpus, PrepareOptions, PrepareReport, prepare};
use crate::data::{
    BatchSource, CheckOptions, Depth, EpochPlan, RecipeData, Share, TrainingAudio, TrainingData,
    Utterance, check_manifest, decode_16k, read_manifest, wav_bytes,
};
use crate::fault::error_line;

const OPTIONS: PrepareOptions = PrepareOptions {
    depth: Depth::Decode,
    threads: 2,
    shard_bytes: 60_000,
};

/// A manifest of `count` tones of 0.5 to 1.4 s in WAV files, each spoken by one of three.
fn corpus(folder: &Path, count: usize) -> PathBuf {
    let mut lines = String::new();
    for index in 0..count {
        let len = 8000 + index % 10 * 1600;
        let tone = |i: usize| (i as f32 * 0.02 * (index + 1) as f32).sin() * 0.3;
        let samples: Vec<f32> = (0..len).map(tone).collect();
        fs::write(folder.join(format!("{index}.wav")), wav_bytes(&samples)).unwrap();
        let text = ["yes", "no", "go"][index % 3];
        lines += &format!(
            "{{\"audio_filepath\": \"{index}.wav\", \"duration\": {}, \"text\": \"{text}\", \"speaker\": \"{}\", \"id\": \"u/{index}.x\"}}\n",
            len as f64 / 16_000.0,
            index % 3
        );
    }
    let path = folder.join("train.jsonl");
    fs::write(&path, lines).unwrap();
    path
}

/// The corpus in tar files, and its manifest.
fn sharded(folder: &Path, manifest: &Path) -> (PrepareReport, PathBuf) {
    let out = folder.join("shards");
    let report = prepare(Corpus::Shards, manifest, &out, &OPTIONS).unwrap();
    (report, out)
}

fn by_id(mut utterances: Vec<Utterance>) -> Vec<Utterance> {
    utterances.sort_by(|a, b| a.id.cmp(&b.id));
    utterances
}

/// What is said of an utterance, without where it is.
fn said(utterance: &Utterance) -> (String, f64, String, Option<String>) {
    let Utterance {
        id,
        duration_secs,
        text,
        speaker,
        ..
    } = utterance.clone();
    (id, duration_secs, text, speaker)
}

#[test]
fn shards_say_and_sound_what_their_manifest_said_whichever_way_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let plain = corpus(folder.path(), 20);
    let (report, out) = sharded(folder.path(), &plain);
    assert_eq!(report.problems, [""; 0]);
    assert_eq!(report.manifests[0].utterances, 20);
    let want = by_id(read_manifest(&plain).unwrap());
    let by_manifest = read_manifest(&out.join("train.jsonl")).unwrap();
    // Mixed: manifests are often sorted.
    assert_ne!(by_manifest[0].id, "u/0.x");
    let by_folder = read_manifest(&out).unwrap();
    let described = folder.path().join("described");
    prepare(Corpus::Shards, &out, &described, &OPTIONS).unwrap();
    let by_description = read_manifest(&described.join("all.jsonl")).unwrap();
    for found in [by_manifest, by_folder, by_description] {
        let found = by_id(found);
        assert_eq!(found.len(), 20);
        let mut shards: Vec<&PathBuf> = found.iter().map(|u| &u.audio_path).collect();
        shards.sort();
        shards.dedup();
        assert!((5..15).contains(&shards.len()), "{shards:?}");
        for (found, want) in found.iter().zip(&want) {
            assert_eq!(said(found), said(want));
            let decoded = |u: &Utterance| decode_16k(u.audio(), 0.0, None).unwrap();
            assert!(decoded(found) == decoded(want), "{}", found.id);
        }
    }
}

#[test]
fn a_stretch_of_a_longer_recording_is_cut_out_and_a_missing_file_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let samples: Vec<f32> = (0..80_000).map(|i| (i as f32 * 0.01).sin() * 0.5).collect();
    fs::write(folder.path().join("long.wav"), wav_bytes(&samples)).unwrap();
    let manifest = folder.path().join("m.jsonl");
    fs::write(
        &manifest,
        "{\"audio_filepath\": \"long.wav\", \"offset\": 1.5, \"duration\": 2.0, \"text\": \"yes\"}\n{\"audio_filepath\": \"gone.wav\", \"duration\": 2.0}\n",
    )
    .unwrap();
    let (report, out) = sharded(folder.path(), &manifest);
    assert_eq!(report.problems.len(), 1);
    assert!(report.problems[0].contains("gone.wav: no such file"));
    let [cut] = read_manifest(&out).unwrap().try_into().unwrap();
    assert_eq!((cut.offset_secs, cut.duration_secs), (0.0, 2.0));
    let found = decode_16k(cut.audio(), 0.0, None).unwrap();
    assert_eq!(found.len(), 32_000);
    for (found, want) in found.iter().zip(&samples[24_000..]) {
        assert!((found - want).abs() < 1e-4);
    }
}

/// Batches of the utterances of a manifest, or of those with these names in their order.
fn data(manifest: &Path, order: Option<&[Utterance]>, settings: &[&str]) -> RecipeData {
    let text =
        format!("name = \"x\"\n[data]\ntrain = {manifest:?}\nbatch_seconds = 5\n[teacher.model]\n");
    let settings: Vec<String> = settings.iter().map(|&s| s.to_owned()).collect();
    let recipe = Recipe::parse(&text, "x", Path::new("."), &settings).unwrap();
    let mut utterances = read_manifest(manifest).unwrap();
    if let Some(order) = order {
        let place = |id: &str| order.iter().position(|other| other.id == id);
        utterances.sort_by_key(|utterance| place(&utterance.id));
    }
    let tokens = Tokens::characters();
    let examples = utterances
        .into_iter()
        .map(|utterance| crate::data::Example {
            targets: tokens.encode(&utterance.text).unwrap(),
            utterance,
        });
    let data = TrainingData {
        train: examples.collect(),
        untranscribed: vec![],
        dev: vec![],
        dropped_train: Default::default(),
        dropped_dev: Default::default(),
    };
    RecipeData::new(&recipe, &tokens, data).unwrap()
}

fn plan(epoch: usize) -> EpochPlan {
    EpochPlan {
        epoch,
        gentle: false,
        ..EpochPlan::plain()
    }
}

/// All of an epoch that a network sees: features, targets, names and shards of its batches.
type Seen = Vec<(Vec<f32>, Vec<Vec<u32>>, Vec<String>, Vec<usize>)>;

fn epoch(data: &mut RecipeData, epoch: usize, skip: usize, share: &Share) -> Seen {
    let batches = data.epoch(TrainingAudio::All, plan(epoch), skip, share);
    let seen = batches.unwrap().map(|batch| {
        let b = batch.unwrap();
        (b.features, b.targets, b.utterance_ids, b.shards)
    });
    seen.collect()
}

#[test]
fn in_one_window_shards_give_the_batches_of_the_same_utterances_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let plain = corpus(folder.path(), 30);
    let (_, out) = sharded(folder.path(), &plain);
    let manifest = out.join("train.jsonl");
    let order = read_manifest(&manifest).unwrap();
    // Everything that may be drawn from other utterances is.
    let settings = [
        "augment.noise_share=0.5",
        "augment.join_share=0.5",
        "data.cache_mb=0",
    ];
    let mut of_shards = data(&manifest, None, &settings);
    let mut of_files = data(&plain, Some(&order), &settings);
    for number in 0..3 {
        let whole = Share::whole(4);
        let found = epoch(&mut of_shards, number, 0, &whole);
        assert!(found.len() > 3);
        assert!(found == epoch(&mut of_files, number, 0, &whole));
    }
}

#[test]
fn windows_are_the_same_for_every_number_of_processes_and_from_every_batch_on() {
    let folder = tempfile::tempdir().unwrap();
    let plain = corpus(folder.path(), 90);
    let (_, out) = sharded(folder.path(), &plain);
    let settings = ["data.window_mb=1", "data.cache_mb=1"];
    let mut data = data(&out.join("train.jsonl"), None, &settings);
    let whole = epoch(&mut data, 1, 0, &Share::whole(4));
    let ids = |seen: &Seen| -> Vec<Vec<String>> { seen.iter().map(|b| b.2.clone()).collect() };
    let mut all: Vec<String> = ids(&whole).concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 90);
    assert_ne!(ids(&whole), ids(&epoch(&mut data, 2, 0, &Share::whole(4))));
    // Of 2.7 MB, at most 1.5 are in the first of several windows: no shard is in two.
    let half: Vec<String> = ids(&whole)[..whole.len() / 3].concat();
    let of_first = read_manifest(&out).unwrap();
    let shards = of_first.iter().filter(|u| half.contains(&u.id));
    let mut shards: Vec<_> = shards.map(|u| u.audio_path.clone()).collect();
    shards.sort();
    shards.dedup();
    assert!(shards.len() < 30, "{}", shards.len());

    let rest = epoch(&mut data, 1, 7, &Share::whole(4));
    assert!(rest == whole[7..]);
    for size in [2, 3] {
        let parts: Vec<Seen> = (0..size)
            .map(|rank| epoch(&mut data, 1, 0, &Share::of(rank, size, 4)))
            .collect();
        for (number, (_, _, ids, shards)) in whole.iter().enumerate() {
            let mut want: Vec<_> = ids.iter().zip(shards).collect();
            let parts = parts.iter().map(|part| &part[number]);
            let mut found: Vec<_> = parts.flat_map(|p| p.2.iter().zip(&p.3)).collect();
            want.sort();
            found.sort();
            assert_eq!(found, want);
        }
    }
}

/// A tar file of these members, by the crate itself: directories, long names and all.
fn tar_of(path: &Path, members: &[(&str, &[u8])]) {
    let mut builder = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
        }
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.finish().unwrap();
}

fn tone() -> Vec<u8> {
    let samples: Vec<f32> = (0..16_000).map(|i| (i as f32 * 0.1).sin() * 0.2).collect();
    wav_bytes(&samples)
}

#[test]
fn tar_files_of_others_are_read_with_folders_long_names_and_without_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("of-others.tar");
    let tone = tone();
    let long = format!("{}/speech.WAV", "folder/of/a/long/name".repeat(8));
    tar_of(
        &path,
        &[
            ("README", b"who knows"),
            ("a/", b""),
            (
                "a/1.json",
                b"{\"text\": \"Yes!\", \"speaker\": 3, \"size\": [1]}",
            ),
            ("a/1.wav", &tone),
            ("a/1.png", b"a picture"),
            ("a/2.wav", &tone),
            ("a/2.txt", "\u{feff}No way\n".as_bytes()),
            ("a/2.json", b"{\"speaker\": \"anna\"}"),
            ("a/3.cls", b"7"),
            (&long, &tone),
        ],
    );
    let found = read_manifest(&path).unwrap();
    let texts: Vec<&str> = found.iter().map(|u| u.text.as_str()).collect();
    assert_eq!(texts, ["yes", "no way", ""]);
    let ids: Vec<&str> = found.iter().map(|u| u.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "speech"]);
    let speakers = found.iter().map(|u| u.speaker.as_deref());
    assert_eq!(
        speakers.collect::<Vec<_>>(),
        [Some("3"), Some("anna"), None]
    );
    // Without a duration the header of the audio says.
    assert!(found.iter().all(|u| u.duration_secs == 1.0));

    let tokens = Tokens::characters();
    let options = CheckOptions {
        tokens: &tokens,
        encoder_length: &|frames| frames / 4,
        depth: Depth::Decode,
        threads: 2,
    };
    let report = check_manifest(&path, &options).unwrap();
    assert_eq!((report.utterances, report.without_text), (3, 1));
    assert_eq!((report.num_broken(), report.duplicates.len()), (0, 0));
}

#[test]
fn what_is_wrong_is_told_with_shard_and_member() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.tar");
    let tone = tone();
    let long = vec![b'x'; (1 << 20) + 1];
    let message = |members: &[(&str, &[u8])]| {
        tar_of(&path, members);
        let told = error_line(&read_manifest(&path).unwrap_err());
        assert!(told.contains("bad.tar"), "{told}");
        told
    };
    for (members, want) in [
        (&[("a.json", &b"{}"[..])][..], "\"a.json\" has no audio"),
        (
            &[("a.wav", &tone[..]), ("b.wav", &tone), ("a.txt", b"yes")],
            "\"a.txt\" has no audio",
        ),
        (
            &[("a.wav", &tone), ("a.flac", &tone)],
            "\"a.flac\" is the second",
        ),
        (
            &[("a.json", b"[1]"), ("a.wav", &tone)],
            "\"a.json\" is not a JSON object",
        ),
        (
            &[("a.json", b"{\"te"), ("a.wav", &tone)],
            "\"a.json\" is not a JSON object",
        ),
        (
            &[("a.txt", b"\xff\xfe"), ("a.wav", &tone)],
            "\"a.txt\" cannot be read as text",
        ),
        (
            &[("a.txt", &long), ("a.wav", &tone)],
            "\"a.txt\" is longer than 1048576",
        ),
        (
            &[("a.json", b"{\"duration\": -1}"), ("a.wav", &tone)],
            "\"a.wav\" `duration` is -1",
        ),
        (&[("a.png", b"x")], "has no audio"),
        (&[], "has no audio"),
    ] {
        let told = message(members);
        assert!(told.contains(want), "{told} instead of {want}");
        assert_eq!(told.lines().count(), 1);
    }
    fs::write(
        &path,
        "no tar file at all, but long enough to be one".repeat(40),
    )
    .unwrap();
    let told = error_line(&read_manifest(&path).unwrap_err());
    assert!(told.contains("is damaged"), "{told}");
    fs::create_dir(folder.path().join("empty")).unwrap();
    let error = prepare(
        Corpus::Shards,
        &folder.path().join("empty"),
        folder.path(),
        &OPTIONS,
    );
    assert!(error_line(&error.unwrap_err()).contains("has no .tar file"));
}

#[test]
fn a_shard_that_is_cut_off_anywhere_or_damaged_in_a_header_is_told_and_gives_what_comes_before() {
    let folder = tempfile::tempdir().unwrap();
    let plain = corpus(folder.path(), 2);
    let (_, out) = sharded(folder.path(), &plain);
    let shard = out.join("train-000000.tar");
    let whole = fs::read(&shard).unwrap();
    let manifest = read_manifest(&out.join("train.jsonl")).unwrap();
    let second = manifest[1].member.as_ref().unwrap().start_byte as usize;
    // Without the two blocks of zeros at the end there is no end.
    let content = whole.len() - 1024;
    for length in (1..=content).step_by(509).chain([512, second, content]) {
        fs::write(&shard, &whole[..length]).unwrap();
        let told = error_line(&read_manifest(&shard).unwrap_err());
        assert!(
            told.contains("train-000000.tar is cut off"),
            "{length}: {told}"
        );
        let described = folder.path().join("described");
        let report = prepare(Corpus::Shards, &shard, &described, &OPTIONS).unwrap();
        assert_eq!(report.problems.len(), 1, "{length}");
        let kept: usize = report.manifests.iter().map(|m| m.utterances).sum();
        assert!(kept < 2 || length > second, "{length}: {kept}");
        // The manifest knows nothing of it: the audio is found out to be missing.
        let error = decode_16k(manifest[1].audio(), 0.0, None);
        let is_there = length >= second + manifest[1].member.as_ref().unwrap().bytes as usize;
        match error {
            Ok(_) => assert!(is_there),
            Err(error) => {
                assert!(!is_there, "{error}");
                let told = error.to_string();
                assert!(told.contains("train-000000.tar/000000001.wav"), "{told}");
            }
        }
    }
    let mut damaged = whole.clone();
    damaged[second - 512 + 130] ^= 0x55;
    fs::write(&shard, &damaged).unwrap();
    let told = error_line(&read_manifest(&shard).unwrap_err());
    assert!(
        told.contains("is damaged after member \"000000000.json\""),
        "{told}"
    );
    // Other contents under the same name.
    fs::write(&shard, [vec![0; 512], whole].concat()).unwrap();
    let told = decode_16k(manifest[1].audio(), 0.0, None)
        .unwrap_err()
        .to_string();
    assert!(told.contains("is not where its manifest says"), "{told}");
}

#[test]
fn a_broken_member_is_quarantined_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let plain = corpus(folder.path(), 120);
    let (_, out) = sharded(folder.path(), &plain);
    let manifest = read_manifest(&out.join("train.jsonl")).unwrap();
    let broken = manifest[17].member.as_ref().unwrap();
    let mut shard = fs::read(&manifest[17].audio_path).unwrap();
    let at = broken.start_byte as usize;
    shard[at..at + 64].fill(0);
    fs::write(&manifest[17].audio_path, shard).unwrap();
    let mut data = data(&out.join("train.jsonl"), None, &["augment.noise_share=0"]);
    let seen = epoch(&mut data, 0, 0, &Share::whole(2));
    let count: usize = seen.iter().map(|batch| batch.2.len()).sum();
    assert_eq!(count, 119);
    let [(path, _)] = data.take_quarantined().try_into().unwrap();
    assert!(path.ends_with(&broken.name), "{path}");
}
