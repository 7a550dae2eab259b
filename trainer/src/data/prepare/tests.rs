#![allow(clippy::unwrap_used)]

use super::*;
use crate::data::read_manifest;

const OPTIONS: PrepareOptions = PrepareOptions {
    depth: Depth::Decode,
    threads: 2,
    shard_bytes: 4000,
};

fn fixture(name: &str) -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&package).join("fixtures/audio").join(name)
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn put_audio(root: &Path, path: &str, name: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(fixture(name), path).unwrap();
}

/// Runs `prepare` into a folder beside the corpus, then reads one manifest back.
fn prepared(
    corpus: Corpus,
    root: &Path,
    split: &str,
) -> (PrepareReport, Vec<super::super::Utterance>) {
    let out = root.join("../out");
    let report = prepare(corpus, root, &out, &OPTIONS).unwrap();
    let utterances = read_manifest(&out.join(format!("{split}.jsonl"))).unwrap();
    for utterance in &utterances {
        assert!(utterance.audio_path.is_file(), "{utterance:?}");
    }
    (report, utterances)
}

fn root() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("corpus");
    fs::create_dir(&root).unwrap();
    (folder, root)
}

#[test]
fn librispeech_gives_a_manifest_per_split() {
    let (_folder, root) = root();
    let chapter = "LibriSpeech/dev-clean/84/121123";
    put_audio(
        &root,
        &format!("{chapter}/84-121123-0000.flac"),
        "speech-16k.flac",
    );
    put(
        &root,
        &format!("{chapter}/84-121123-0001.flac"),
        "not audio",
    );
    put(
        &root,
        &format!("{chapter}/84-121123.trans.txt"),
        "84-121123-0000 GO DO YOU HEAR\n84-121123-0001 BROKEN ONE\n84-121123-0002 MISSING ONE\n",
    );
    let (report, read) = prepared(Corpus::Librispeech, &root, "dev-clean");
    assert_eq!(report.manifests[0].utterances, 1);
    assert_eq!(report.problems.len(), 2, "{:?}", report.problems);
    assert_eq!(read[0].text, "go do you hear");
    assert_eq!(read[0].speaker.as_deref(), Some("84"));
    assert_eq!(read[0].id, "84-121123-0000");
    assert!((read[0].duration_secs - 0.3).abs() < 1e-3);
}

#[test]
fn tedlium_segments_keep_their_place_and_lose_their_marks() {
    let (_folder, root) = root();
    put_audio(&root, "legacy/test/sph/Talk_2010.sph", "tone-8k.sph");
    put_audio(&root, "data/sph/Other_2011.sph", "tone-8k.sph");
    put(
        &root,
        "legacy/test/stm/Talk_2010.stm",
        "Talk_2010 1 Talk_2010 0.05 0.15 <o,f0,male> it 's the <unk> idea(2) of a man\n\
         Talk_2010 1 inter 0.15 0.20 <o,,unknown> ignore_time_segment_in_scoring\n\
         nonsense\n",
    );
    put(
        &root,
        "data/stm/Other_2011.stm",
        "Other_2011 1 Other_2011 0.00 0.25 <NA> whole talk\n",
    );
    let (report, read) = prepared(Corpus::Tedlium, &root, "legacy-test");
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].text, "it's the idea of a man");
    assert_eq!(read[0].offset_secs, 0.05);
    assert!((read[0].duration_secs - 0.1).abs() < 1e-9);
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    let (_, train) = prepared(Corpus::Tedlium, &root, "train");
    assert_eq!(train[0].text, "whole talk");
}

#[test]
fn kaldi_folders_of_speechocean_are_read() {
    let (_folder, root) = root();
    put_audio(
        &root,
        "WAVE/SPEAKER0001/000010011.WAV",
        "speech-8k-mulaw.wav",
    );
    put(
        &root,
        "train/wav.scp",
        "000010011\tWAVE/SPEAKER0001/000010011.WAV\nx\tsox a.wav |\ny\tWAVE/none.WAV\n",
    );
    put(&root, "train/text", "000010011\tWE CALL IT BEAR\ny\tGONE\n");
    put(&root, "train/utt2spk", "000010011\t0001\n");
    let (report, read) = prepared(Corpus::Speechocean762, &root, "train");
    assert_eq!((read.len(), report.problems.len()), (1, 2));
    assert_eq!(read[0].text, "we call it bear");
    assert_eq!(read[0].speaker.as_deref(), Some("0001"));
}

#[test]
fn common_voice_tables_are_read_by_their_header() {
    let (_folder, root) = root();
    put_audio(&root, "clips/one.mp3", "speech-16k.mp3");
    put(
        &root,
        "train.tsv",
        "client_id\tpath\tsentence_id\tsentence\nabc\tone.mp3\t7\t\"He said \"\"no\"\".\"\nabc\tgone.mp3\t8\tGone\nshort\n",
    );
    let (report, read) = prepared(Corpus::CommonVoice, &root, "train");
    assert_eq!(read[0].text, "he said no");
    assert_eq!(read[0].speaker.as_deref(), Some("abc"));
    assert_eq!(report.problems.len(), 2, "{:?}", report.problems);
    let (_folder, empty) = self::root();
    let report = prepare(Corpus::CommonVoice, &empty, &empty.join("out"), &OPTIONS).unwrap();
    assert!(report.manifests.is_empty());
    assert!(report.problems[0].contains("has no train.tsv"));
}

#[test]
fn a_plain_folder_pairs_audio_with_text() {
    let (_folder, root) = root();
    put_audio(&root, "ann/hello.ogg", "speech-16k.ogg");
    put(&root, "ann/hello.txt", "Four, seven, 2!\n");
    put_audio(&root, "lonely.mp3", "speech-16k.mp3");
    put(&root, "notes.txt", "not about any audio");
    let (report, read) = prepared(Corpus::Folder, &root, "all");
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].text, "four seven two");
    assert_eq!(read[0].speaker.as_deref(), Some("ann"));
    assert_eq!(report.problems.len(), 2, "{:#?}", report.problems);
    assert!(report.problems[0].contains("notes.txt"));
    assert!(report.problems[1].contains("no transcript"));
    assert!(prepare(Corpus::Folder, &root.join("gone"), &root, &OPTIONS).is_err());
}

#[test]
fn kaldi_segments_place_utterances_in_recordings() {
    let (_folder, root) = root();
    put_audio(&root, "data/talk.ogg", "speech-16k.ogg");
    put(&root, "data/wav.scp", "talk talk.ogg\n");
    put(
        &root,
        "data/segments",
        "talk-1 talk 0.1 0.3\ntalk-2 talk 0.5 -1\ntalk-3 gone 0 1\ntalk-4 talk 0.4 0.2\nnonsense\n",
    );
    put(
        &root,
        "data/text",
        "talk-1 FOUR\ntalk-2 SEVEN\ntalk-3 GONE\ntalk-4 BACK\ntalk-5 LOST\n",
    );
    put(&root, "data/utt2spk", "talk-1 ann\ntalk-2 ann\n");
    let (report, read) = prepared(Corpus::Speechocean762, &root, "data");
    assert_eq!(read.len(), 2);
    assert_eq!((read[0].offset_secs, read[0].text.as_str()), (0.1, "four"));
    assert!((read[0].duration_secs - 0.2).abs() < 1e-3);
    assert_eq!((read[1].offset_secs, read[1].text.as_str()), (0.5, "seven"));
    assert!((read[1].duration_secs - 0.5).abs() < 0.05, "{:?}", read[1]);
    // Three lines of `segments` that are none, and the texts that are left without audio.
    assert_eq!(report.problems.len(), 6, "{:#?}", report.problems);
}

#[test]
fn everything_that_a_folder_leaves_out_is_named_with_the_reason() {
    let (_folder, root) = root();
    put_audio(&root, "good.ogg", "speech-16k.ogg");
    put(&root, "good.txt", "four seven two");
    put(&root, "broken.m4a", "no audio at all");
    put(&root, "broken.txt", "words");
    put(&root, "picture.jpg", "no audio either");
    put(&root, "alone.txt", "a text without audio");
    put(&root, ".hidden", "of no interest");
    put_audio(&root, "mute.mp3", "speech-16k.mp3");
    put(&root, "mute.txt", " ... ");
    let (report, read) = prepared(Corpus::Folder, &root, "all");
    assert_eq!(read.len(), 1);
    let reason = |name: &str| {
        let problem = report.problems.iter().find(|p| p.contains(name));
        problem.unwrap_or_else(|| panic!("{name} in {:#?}", report.problems))
    };
    assert!(reason("broken.m4a").contains("is not audio"));
    assert!(reason("picture.jpg").contains("is not audio"));
    assert!(reason("alone.txt").contains("no audio file"));
    assert!(reason("mute.mp3").contains("empty transcript"));
    assert_eq!(report.problems.len(), 4, "{:#?}", report.problems);
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_a_circle_of_them_ends() {
    use std::os::unix::fs::symlink;
    let (folder, root) = root();
    put_audio(folder.path(), "elsewhere/ann/a.ogg", "speech-16k.ogg");
    put(folder.path(), "elsewhere/ann/a.txt", "four seven two");
    symlink(folder.path().join("elsewhere"), root.join("linked")).unwrap();
    symlink(&root, root.join("circle")).unwrap();
    symlink(root.join("nowhere"), root.join("dead.wav")).unwrap();
    let (report, read) = prepared(Corpus::Folder, &root, "all");
    assert_eq!(read.len(), 1);
    assert_eq!(report.problems.len(), 2, "{:#?}", report.problems);
    assert!(report.problems.iter().any(|p| p.contains("read already")));
    assert!(report.problems.iter().any(|p| p.contains("dead.wav")));
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_utf8_is_left_out_with_the_reason() {
    use std::os::unix::ffi::OsStrExt;
    let (_folder, root) = root();
    put_audio(&root, "good.ogg", "speech-16k.ogg");
    put(&root, "good.txt", "four seven two");
    for extension in ["ogg", "txt"] {
        let name = [b"caf\xe9.".as_slice(), extension.as_bytes()].concat();
        let copy = root.join(std::ffi::OsStr::from_bytes(&name));
        fs::copy(root.join("good").with_extension(extension), copy).unwrap();
    }
    let (report, read) = prepared(Corpus::Folder, &root, "all");
    assert_eq!(read.len(), 1);
    assert_eq!(report.problems.len(), 1, "{:#?}", report.problems);
    assert!(report.problems[0].contains("not UTF-8"));
}

/// Text, speaker, start, duration and confidence of an utterance.
type Said<'a> = (&'a str, Option<&'a str>, f64, f64, Option<f32>);

/// Every utterance, by start.
fn said(read: &[super::super::Utterance]) -> Vec<Said<'_>> {
    let mut said: Vec<_> = read
        .iter()
        .map(|u| {
            let text = u.text.as_str();
            let speaker = u.speaker.as_deref();
            (text, speaker, u.offset_secs, u.duration_secs, u.confidence)
        })
        .collect();
    said.sort_by(|a, b| a.2.total_cmp(&b.2));
    said
}

#[test]
fn subtitles_give_an_utterance_a_cue() {
    let (_folder, root) = root();
    put_audio(&root, "talk/a.flac", "speech-16k.flac");
    put(
        &root,
        "talk/a.en.vtt",
        "WEBVTT\n\nNOTE made by hand\n\nfirst\n00:00.000 --> 00:00.120 align:start\n<v Ann>Go <i>on</i>\nnow\n\n\
         00:00.150 --> 00:00.250\n[music]\n\n00:00.200 --> 00:00.1\nback\n",
    );
    put_audio(&root, "talk/b.flac", "speech-16k.flac");
    put(
        &root,
        "talk/b.srt",
        "\u{feff}1\r\n00:00:00,100 --> 00:00:00,300\r\nIt's 5 & <b>done</b>.\r\n",
    );
    put(
        &root,
        "talk/c.srt",
        "1\n00:00:00,100 --> 00:00:00,300\nlost\n",
    );
    let (report, read) = prepared(Corpus::Transcripts, &root, "all");
    assert_eq!(
        said(&read),
        [
            ("go on now", Some("Ann"), 0.0, 0.12, None),
            ("it's five and done", None, 0.1, 0.2, None),
        ]
    );
    let problems = report.problems.join("\n");
    assert_eq!(report.problems.len(), 2, "{problems}");
    assert!(
        problems.contains("are no times") && problems.contains("c.srt"),
        "{problems}"
    );
}

#[test]
fn ctm_words_are_cut_at_pauses() {
    let (_folder, root) = root();
    put_audio(&root, "a.flac", "speech-16k.flac");
    put(
        &root,
        "out.ctm",
        ";; recogniser X\na 1 0.00 0.05 go 0.5\na 1 0.06 0.04 <eps> 1\na 1 0.10 0.10 do 1.0\n\
         a 2 0.10 0.10 echo 1.0\nnone 1 0 1 lost\nbroken line\n",
    );
    let (report, read) = prepared(Corpus::Transcripts, &root, "all");
    assert_eq!(said(&read), [("go do", None, 0.0, 0.2, Some(0.75))]);
    let problems = report.problems.join("\n");
    assert_eq!(report.problems.len(), 3, "{problems}");
    for part in ["channel 2 of a", "none has no audio", "\"broken line\""] {
        assert!(problems.contains(part), "{problems}");
    }
}

#[test]
fn json_of_well_known_recognisers_is_read() {
    let (_folder, root) = root();
    for name in ["whisper", "vosk", "nemo", "fledge"] {
        put_audio(&root, &format!("{name}.flac"), "speech-16k.flac");
    }
    put(
        &root,
        "whisper.json",
        r#"{"text": "x", "segments": [{"start": 0.0, "end": 0.1, "text": " Go on.", "avg_logprob": -0.6931472}]}"#,
    );
    put(
        &root,
        "vosk.json",
        r#"{"result": [{"conf": 0.5, "start": 0.01, "end": 0.1, "word": "do"}], "text": "do"}"#,
    );
    put(
        &root,
        "lines.jsonl",
        "{\"audio_filepath\": \"nemo.flac\", \"duration\": 0.2, \"offset\": 0.02, \"text\": \"reference\", \"pred_text\": \"heard\"}\n\
         {\"file\": \"fledge.flac\", \"text\": \"you\", \"words\": [{\"text\": \"you\", \"start\": 0.03, \"end\": 0.2, \"confidence\": 0.25}]}\n\
         {\"file\": \"fledge.flac\"}\nnonsense\n{\"file\": \"none.wav\", \"text\": \"lost\"}\n",
    );
    let (report, read) = prepared(Corpus::Transcripts, &root, "all");
    assert_eq!(
        said(&read),
        [
            ("you", None, 0.0, 0.2, Some(0.25)),
            ("do", None, 0.0, 0.1, Some(0.5)),
            ("go on", None, 0.0, 0.1, Some(0.5)),
            ("heard", None, 0.02, 0.2, None),
        ]
    );
    let problems = report.problems.join("\n");
    assert_eq!(report.problems.len(), 3, "{problems}");
    for part in [
        "line 3: has no text",
        "line 4: ",
        "line 5: none.wav is no audio",
    ] {
        assert!(problems.contains(part), "{problems}");
    }
}
