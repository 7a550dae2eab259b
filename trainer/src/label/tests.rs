#![allow(clippy::unwrap_used)]

use shared_model::decode::Word;

use super::hear::labels;
use super::*;
use crate::data::read_manifest;

fn model() -> LoadedModel {
    crate::model_folder::read(Path::new("../www/models/quick-tiny")).unwrap()
}

fn utterance(path: &Path, offset_secs: f64, duration_secs: f64) -> Utterance {
    Utterance {
        id: "a".to_owned(),
        audio_path: path.to_owned(),
        member: None,
        offset_secs,
        duration_secs,
        text: "not used".to_owned(),
        speaker: Some("ann".to_owned()),
        confidence: None,
    }
}

const OPTIONS: LabelOptions = LabelOptions {
    min_confidence: 0.0,
    min_secs: 0.0,
    max_secs: 15.0,
};

fn own<'a>(model: &'a LoadedModel, device: &'a OpenDevice) -> Labeller<'a> {
    Labeller::Own {
        model,
        decoder: &DecoderChoice::Greedy,
        device,
    }
}

fn run(
    model: &LoadedModel,
    utterances: &[Utterance],
    out: &Path,
    options: LabelOptions,
    stop: &AtomicBool,
) -> Result<LabelReport, LabelError> {
    let device = OpenDevice::cpu("no other is asked for");
    label(
        (&own(model, &device), 2),
        utterances,
        out,
        options,
        stop,
        &|_, _| {},
    )
}

fn word(text: &str, start_secs: f32, end_secs: f32, confidence: f32) -> Word {
    Word {
        text: text.to_owned(),
        start_secs,
        end_secs,
        confidence,
    }
}

#[test]
fn short_audio_keeps_its_bounds_and_long_audio_is_cut_at_its_pauses() {
    let words = [
        word("one", 0.5, 1.0, 0.5),
        word("two", 1.25, 2.0, 1.0),
        word("three", 6.0, 6.5, 0.25),
    ];
    let long = utterance(Path::new("x.wav"), 100.0, 8.0);
    let all = |max_secs| -> Vec<(f64, f64, String, f32, String)> {
        let labels = labels(&long, &words, 8.0, max_secs);
        let of = |l: Label| (l.offset_secs, l.duration_secs, l.text, l.confidence, l.id);
        labels.into_iter().map(of).collect()
    };
    let whole = (
        100.0,
        8.0,
        "one two three".to_owned(),
        1.75 / 3.0,
        "a".to_owned(),
    );
    assert_eq!(all(8.0), [whole]);
    let cut = all(5.0);
    assert_eq!(cut.len(), 2, "{cut:?}");
    assert!(
        (cut[0].0 - 100.2).abs() < 1e-6 && (cut[0].1 - 2.1).abs() < 1e-6,
        "{cut:?}"
    );
    assert_eq!((cut[0].2.as_str(), cut[0].3), ("one two", 0.75));
    assert!((cut[1].0 - 105.7).abs() < 1e-6, "{cut:?}");
    assert_eq!((cut[1].2.as_str(), cut[1].3), ("three", 0.25));
    assert_ne!(cut[0].4, cut[1].4);
    assert!(labels(&long, &[], 8.0, 9.0).is_empty());
}

#[test]
fn what_is_written_is_what_is_transcribed_and_the_same_call_goes_on_after_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let model = model();
    let manifest = Path::new("corpus/test.jsonl");
    let mut spoken = read_manifest(manifest).unwrap();
    spoken.truncate(6);
    spoken.push(utterance(Path::new("none.wav"), 0.0, 1.0));
    // One broken file in more than a hundred utterances is told and not fatal.
    let many: Vec<Utterance> = spoken.iter().cycle().take(7 + 300).cloned().collect();
    let many: Vec<Utterance> = many
        .into_iter()
        .enumerate()
        .filter(|(at, u)| *at < 7 || !u.audio_path.ends_with("none.wav"))
        .map(|(_, utterance)| utterance)
        .collect();
    let straight = folder.path().join("straight.jsonl");
    let report = run(&model, &many, &straight, OPTIONS, &AtomicBool::new(false)).unwrap();
    assert_eq!(report.broken.len(), 1, "{report:?}");
    let read = read_manifest(&straight).unwrap();
    assert_eq!(read.len(), report.utterances);
    let decoded = crate::data::decode_16k(
        &spoken[0].audio_path,
        spoken[0].offset_secs,
        Some(spoken[0].duration_secs),
    );
    let recognizer = Recognizer::new(
        &model,
        shared_model::recognizer::Decoder::Greedy,
        &OpenDevice::cpu("no other is asked for").device,
    );
    let heard = pollster::block_on(recognizer.unwrap().transcribe(&decoded.unwrap())).unwrap();
    assert_eq!(read[0].text, heard.text);
    assert_eq!(read[0].speaker, spoken[0].speaker);
    assert!(read[0].confidence.unwrap() > 0.0);
    assert!(read[0].audio_path.is_file(), "{:?}", read[0].audio_path);

    // A stop after the first chunk: the next call writes the same file.
    let resumed = folder.path().join("resumed.jsonl");
    let stop = AtomicBool::new(false);
    let device = OpenDevice::cpu("no other is asked for");
    let stopping = |done: usize, _: usize| {
        stop.fetch_or(done > CHUNK, std::sync::atomic::Ordering::Relaxed);
    };
    let stopped = label(
        (&own(&model, &device), 2),
        &many,
        &resumed,
        OPTIONS,
        &stop,
        &stopping,
    );
    assert!(matches!(
        stopped,
        Err(LabelError::Hear(EvaluateError::Stopped))
    ));
    assert!(!resumed.exists());
    let running = AtomicBool::new(false);
    let other = LabelOptions {
        max_secs: 9.0,
        ..OPTIONS
    };
    let refused = run(&model, &many, &resumed, other, &running);
    assert!(matches!(refused, Err(LabelError::OtherProgress { .. })));
    let again = run(&model, &many, &resumed, OPTIONS, &running).unwrap();
    assert_eq!(again, report);
    let bytes = |path: &Path| std::fs::read(path).unwrap();
    assert_eq!(bytes(&resumed), bytes(&straight));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn labels_are_left_out_by_confidence_and_length_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut report = LabelReport::default();
    let mut lines = vec![];
    let words = [word("one", 0.0, 1.0, 0.5)];
    let heard = |secs| {
        labels(
            &utterance(&folder.path().join("x.wav"), 0.0, 0.0),
            &words,
            secs,
            9.0,
        )
    };
    let options = LabelOptions {
        min_confidence: 0.5,
        min_secs: 1.0,
        ..OPTIONS
    };
    let sure = LabelOptions {
        min_confidence: 0.51,
        ..options
    };
    for (secs, options) in [(1.0, options), (0.9, options), (1.0, sure)] {
        take(heard(secs), options, folder.path(), &mut lines, &mut report).unwrap();
    }
    take(vec![], options, folder.path(), &mut lines, &mut report).unwrap();
    assert_eq!(
        String::from_utf8(lines).unwrap(),
        "{\"audio_filepath\":\"x.wav\",\"duration\":1.0,\"text\":\"one\",\"confidence\":0.5,\"speaker\":\"ann\",\"id\":\"a\"}\n"
    );
    let counts = (
        report.utterances,
        report.too_short,
        report.unsure,
        report.without_words,
    );
    assert_eq!(counts, (1, 1, 1, 1));
}

#[cfg(feature = "onnx")]
mod onnx_files {
    use super::*;
    use crate::onnx_network::FrameRate;

    fn settings(model: &LoadedModel, folder: &Path) -> OnnxSettings {
        let tokens = folder.join("tokens.txt");
        std::fs::write(&tokens, model.tokens.to_txt()).unwrap();
        OnnxSettings {
            features: model.features.clone(),
            frames: FrameRate {
                subsampling_factor: model.model.subsampling_factor,
                offset: 0,
            },
            tokens,
        }
    }

    #[test]
    fn a_network_in_an_onnx_file_gives_the_labels_of_its_model_folder() {
        let folder = tempfile::tempdir().unwrap();
        let model = model();
        let file = folder.path().join("model.onnx");
        std::fs::write(&file, crate::onnx::from_features(&model).unwrap()).unwrap();
        let settings = settings(&model, folder.path());
        let mut spoken = read_manifest(Path::new("corpus/test.jsonl")).unwrap();
        spoken.truncate(30);
        let running = AtomicBool::new(false);
        let of_folder = folder.path().join("folder.jsonl");
        run(&model, &spoken, &of_folder, OPTIONS, &running).unwrap();
        let recognizer = OnnxRecognizer::read(&file, settings.clone()).unwrap();
        let labels = |name: &str, options| {
            let out = folder.path().join(name);
            let labeller = Labeller::Onnx(&recognizer);
            label((&labeller, 2), &spoken, &out, options, &running, &|_, _| {}).unwrap();
            read_manifest(&out).unwrap()
        };
        let (own, others) = (
            read_manifest(&of_folder).unwrap(),
            labels("file.jsonl", OPTIONS),
        );
        assert_eq!(own.len(), 30);
        // Our own recogniser leaves silence at the ends out of what its network hears.
        let same = own.iter().zip(&others).filter(|(a, b)| a.text == b.text);
        assert!(same.count() >= 28);
        // A network that begins too early is heard as late as told.
        let late = OnnxSettings {
            frames: FrameRate {
                offset: 20,
                ..settings.frames
            },
            ..settings.clone()
        };
        let late = OnnxRecognizer::read(&file, late).err().unwrap();
        assert!(late.to_string().contains("it makes 20"), "{late}");
        let wrong = folder.path().join("other.txt");
        std::fs::write(&wrong, "<blk> 0\na 1\nb 2\n").unwrap();
        let other = OnnxSettings {
            tokens: wrong,
            ..settings
        };
        let refused = OnnxRecognizer::read(&file, other).err().unwrap();
        assert!(refused.to_string().contains("3 tokens"), "{refused}");
    }

    #[test]
    fn long_audio_is_heard_piece_by_piece_with_times_of_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let model = model();
        let file = folder.path().join("model.onnx");
        std::fs::write(&file, crate::onnx::from_features(&model).unwrap()).unwrap();
        let settings = settings(&model, folder.path());
        let recognizer = OnnxRecognizer::read(&file, settings).unwrap();
        let spoken = read_manifest(Path::new("corpus/test.jsonl")).unwrap();
        let first = &spoken[0];
        let length = Some(first.duration_secs);
        let clip = crate::data::decode_16k(&first.audio_path, first.offset_secs, length).unwrap();
        let alone = {
            let mut heard = recognizer.begin(15.0);
            heard.push(&clip).unwrap();
            heard.finish().unwrap()
        };
        let pause = vec![0.0; 16_000];
        let mut heard = recognizer.begin(first.duration_secs + 1.0);
        for _ in 0..3 {
            heard.push(&clip).unwrap();
            heard.push(&pause).unwrap();
        }
        let words = heard.finish().unwrap();
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        let once: Vec<&str> = alone.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, once.repeat(3));
        let period = clip.len() as f32 / 16_000.0 + 1.0;
        for (index, word) in words.iter().enumerate() {
            let (round, place) = (index / once.len(), index % once.len());
            let expected = alone[place].start_secs + round as f32 * period;
            assert!(
                (word.start_secs - expected).abs() < 0.09,
                "{word:?} {expected}"
            );
        }
    }
}
