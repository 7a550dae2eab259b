#![allow(clippy::unwrap_used)]

use std::{
    future::Future,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use burn::prelude::Device;

use super::*;
use crate::{model::SubsamplingPadding, tokens::NUM_PHONE_TOKENS};

/// Runs a future to its end. A build with a GPU backend answers a read-back at a later poll.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::yield_now();
    }
}

fn tiny_recognizer() -> Recognizer {
    recognizer_of(false)
}

fn recognizer_of(phone_head: bool) -> Recognizer {
    let config = ModelConfig {
        n_mels: 16,
        d_model: 16,
        n_layers: 1,
        n_heads: 2,
        d_ffn: 32,
        conv_kernel: 3,
        subsampling_padding: SubsamplingPadding::Same,
        phone_head,
        ..ModelConfig::default()
    };
    let features = FeatureConfig {
        n_mels: 16,
        ..FeatureConfig::default()
    };
    let device = Device::flex();
    let model = CtcModel::init(&config, 3, &device).unwrap();
    Recognizer::from_model(
        model,
        &features,
        Tokens::characters(),
        Decoder::Greedy,
        &device,
    )
    .unwrap()
}

fn noise(num_samples: usize, amplitude: f32, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..num_samples)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            amplitude * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        })
        .collect()
}

/// Bursts of sweeping tones with short gaps: something that moves like speech.
fn babble(secs: f32, seed: u32) -> Vec<f32> {
    let mut samples = noise((secs * 16_000.0) as usize, 0.001, seed);
    for (i, sample) in samples.iter_mut().enumerate() {
        let t = i as f32 / 16_000.0 + seed as f32;
        let envelope = (0.5 + 0.5 * (t * 9.0).sin()).powi(2);
        *sample += 0.2 * envelope * (600.0 * t + 300.0 * (3.0 * t).sin()).sin();
    }
    samples
}

fn silence(secs: f32) -> Vec<f32> {
    vec![0.0; (secs * 16_000.0) as usize]
}

fn texts(words: &[Word]) -> Vec<&str> {
    words.iter().map(|word| word.text.as_str()).collect()
}

#[test]
fn no_sound_gives_no_words() {
    let recognizer = tiny_recognizer();
    for samples in [
        Vec::new(),
        vec![0.0; 1],
        silence(60.0),
        noise(60 * 16_000, 1.0 / 32768.0, 1),
        noise(5 * 16_000, 0.002, 2),
        vec![f32::NAN; 16_000],
        vec![0.3; 16_000],
    ] {
        let transcript = now(recognizer.transcribe(&samples)).unwrap();
        assert_eq!(transcript, Transcript::default());
    }
}

#[test]
fn leading_silence_moves_the_words_and_nothing_else() {
    let recognizer = tiny_recognizer();
    // The clip begins with as much silence as is kept of the 20 seconds.
    let clip = [silence(0.3), babble(3.0, 1), silence(0.3)].concat();
    let plain = now(recognizer.transcribe(&clip)).unwrap();
    assert!(
        !plain.words.is_empty(),
        "the random network should say something"
    );
    let late = [silence(20.0), clip, silence(8.0)].concat();
    let late = now(recognizer.transcribe(&late)).unwrap();
    assert_eq!(late.text, plain.text);
    for (a, b) in plain.words.iter().zip(&late.words) {
        assert!((b.start_secs - a.start_secs - 20.0).abs() < 1e-3);
        assert!((b.end_secs - a.end_secs - 20.0).abs() < 1e-3);
    }
}

#[test]
fn log_probabilities_are_normalised_and_do_not_depend_on_padding() {
    let mut recognizer = tiny_recognizer();
    let clips = [babble(1.3, 1), babble(0.4, 2), babble(2.1, 3), Vec::new()];
    let alone: Vec<Vec<f32>> = clips
        .iter()
        .map(|c| now(recognizer.log_probs(c)).unwrap())
        .collect();
    for frame in alone[0].chunks(29) {
        let sum: f32 = frame.iter().map(|value| value.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-5);
    }
    let slices: Vec<&[f32]> = clips.iter().map(Vec::as_slice).collect();
    let batch = now(recognizer.log_probs_batch(&slices)).unwrap();
    recognizer = recognizer.with_pad_to_frames_multiple(64);
    let padded: Vec<Vec<f32>> = clips
        .iter()
        .map(|c| now(recognizer.log_probs(c)).unwrap())
        .collect();
    for other in [batch, padded] {
        for (a, b) in alone.iter().zip(&other) {
            assert_eq!(a.len(), b.len());
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }
}

#[test]
fn long_audio_reports_progress_and_can_be_stopped() {
    let recognizer = tiny_recognizer();
    let samples = [babble(50.0, 1), silence(5.0), babble(10.0, 2)].concat();
    let mut seen = Vec::new();
    let whole = now(
        recognizer.transcribe_with_progress(&samples, &mut |done, total| {
            seen.push((done, total));
            true
        }),
    )
    .unwrap();
    assert!(seen.len() >= 4, "{seen:?}");
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert!(
        seen.iter()
            .all(|(done, total)| done <= total && *total == 65.0)
    );
    assert!(
        whole
            .words
            .windows(2)
            .all(|pair| pair[0].start_secs <= pair[1].start_secs)
    );

    let first = now(recognizer.transcribe_with_progress(&samples, &mut |_, _| false)).unwrap();
    assert!(first.words.len() < whole.words.len());
    assert!(first.words.iter().all(|word| word.end_secs < 21.0));
}

#[test]
fn audio_that_comes_in_pieces_gives_the_words_of_the_whole() {
    let recognizer = tiny_recognizer();
    // More than two chunks, so that one begins inside the audio.
    let samples = babble(20.0, 1).repeat(70);
    let whole = now(recognizer.transcribe(&samples)).unwrap();
    assert!(whole.words.last().unwrap().end_secs > 1300.0);
    for size in [99_999, 4_000_000] {
        let mut transcription = recognizer.begin();
        let mut told = 0.0;
        let mut progress = |done: f32| {
            assert!(done > told, "{done} after {told}");
            told = done;
            true
        };
        for piece in samples.chunks(size) {
            now(transcription.push(piece, &mut progress)).unwrap();
        }
        let pieces = now(transcription.finish(&mut progress)).unwrap();
        assert_eq!(pieces, whole, "pieces of {size}");
    }
    let mut stopped = recognizer.begin();
    now(stopped.push(&samples, &mut |_| false)).unwrap();
    let stopped = now(stopped.finish(&mut |_| true)).unwrap();
    assert!(stopped.words.len() < whole.words.len() / 10);
}

#[test]
fn no_word_ends_behind_the_audio() {
    let recognizer = tiny_recognizer();
    let mut seen = 0;
    for extra in 0..8 {
        let samples = babble(1.5 + 0.005 * extra as f32, 1);
        let end_secs = samples.len() as f32 / 16_000.0;
        for word in now(recognizer.transcribe(&samples)).unwrap().words {
            assert!(word.start_secs <= word.end_secs && word.end_secs <= end_secs);
            seen += 1;
        }
    }
    assert!(seen > 0, "the random network should say something");
}

#[test]
fn mismatched_parts_are_refused() {
    let recognizer = tiny_recognizer();
    let tokens = Tokens::from_pieces(vec!["a".into(), "▁".into()]).unwrap();
    let model = recognizer.model.clone();
    let wrong = Recognizer::from_model(
        model.clone(),
        &FeatureConfig {
            n_mels: 16,
            ..FeatureConfig::default()
        },
        tokens,
        Decoder::Greedy,
        &Device::flex(),
    );
    assert!(matches!(
        wrong.err(),
        Some(RecognizeError::Vocabulary {
            tokens: 3,
            classes: 29
        })
    ));
    let wrong = Recognizer::from_model(
        model,
        &FeatureConfig::default(),
        Tokens::characters(),
        Decoder::Greedy,
        &Device::flex(),
    );
    assert!(matches!(
        wrong.err(),
        Some(RecognizeError::MelBands {
            features: 80,
            model: 16
        })
    ));
}

/// Pushes in blocks of `size`, finishes, and checks the contract of events on the way.
fn live(samples: &[f32], config: LiveConfig, size: usize) -> Vec<(u64, Transcript, usize)> {
    let mut live = LiveRecognizer::new(Rc::new(tiny_recognizer()), config).unwrap();
    let mut finals: Vec<(u64, Transcript, usize)> = Vec::new();
    let mut open: Option<u64> = None;
    let mut partials = 0;
    let mut take = |events: Vec<LiveEvent>| {
        for event in events {
            match event {
                LiveEvent::Partial {
                    segment,
                    transcript,
                } => {
                    // The segment is the one that is open, or the next one.
                    assert_eq!(segment, finals.len() as u64);
                    let ends = finals
                        .last()
                        .and_then(|(_, f, _)| f.words.last())
                        .map_or(0.0, |w| w.end_secs);
                    assert!(transcript.words.iter().all(|word| word.end_secs >= ends));
                    open = Some(segment);
                    partials += 1;
                }
                LiveEvent::Final {
                    segment,
                    transcript,
                } => {
                    assert_eq!(segment, finals.len() as u64);
                    finals.push((segment, transcript, std::mem::take(&mut partials)));
                    open = None;
                }
            }
        }
    };
    for block in samples.chunks(size) {
        take(now(live.push(block)).unwrap());
    }
    take(now(live.finish()).unwrap());
    assert_eq!(open, None, "finish leaves nothing open");
    assert!(now(live.finish()).unwrap().is_empty());
    finals
}

#[test]
fn each_burst_of_sound_is_one_segment_with_partials_and_a_final() {
    let samples = [
        silence(1.0),
        babble(2.0, 1),
        silence(1.5),
        babble(1.0, 2),
        silence(2.0),
        babble(1.5, 3),
    ]
    .concat();
    let finals = live(&samples, LiveConfig::default(), 800);
    assert_eq!(finals.len(), 3);
    for (found, secs) in finals.iter().zip([2.0f32, 1.0, 1.5]) {
        let most = (secs + 0.7 + 0.3) / LiveConfig::default().partial_interval_secs + 1.0;
        assert!(
            (2..=most as usize).contains(&found.2),
            "{} partials",
            found.2
        );
    }
}

#[test]
fn a_final_is_the_transcript_of_the_segments_samples() {
    let samples = [silence(1.0), babble(2.0, 1), silence(1.5)].concat();
    let finals = live(&samples, LiveConfig::default(), 1600);
    assert_eq!(finals.len(), 1);
    // Speech is noticed a few blocks late and the segment begins 0.4 s earlier: somewhere in the
    // leading silence, of which the offline path keeps 0.3 s.
    let offline = now(tiny_recognizer().transcribe(&samples)).unwrap();
    assert_eq!(texts(&finals[0].1.words), texts(&offline.words));
    for (a, b) in finals[0].1.words.iter().zip(&offline.words) {
        assert!((a.start_secs - b.start_secs).abs() < 0.011);
    }
}

#[test]
fn the_size_of_the_pushes_changes_no_final() {
    let samples = [
        silence(0.5),
        babble(3.0, 4),
        silence(1.0),
        babble(2.0, 5),
        silence(1.0),
    ]
    .concat();
    let whole: Vec<Transcript> = live(&samples, LiveConfig::default(), samples.len())
        .into_iter()
        .map(|f| f.1)
        .collect();
    for size in [77, 160, 4096] {
        let finals: Vec<Transcript> = live(&samples, LiveConfig::default(), size)
            .into_iter()
            .map(|f| f.1)
            .collect();
        assert_eq!(finals, whole, "pushes of {size}");
    }
}

#[test]
fn endless_sound_is_committed_piece_by_piece() {
    let config = LiveConfig {
        partial_interval_secs: 1.0,
        max_utterance_secs: 4.0,
        ..LiveConfig::default()
    };
    let finals = live(&babble(30.0, 6), config, 3200);
    assert!((7..=16).contains(&finals.len()), "{}", finals.len());
    let words: Vec<&Word> = finals.iter().flat_map(|f| &f.1.words).collect();
    assert!(
        words
            .windows(2)
            .all(|pair| pair[0].end_secs <= pair[1].start_secs + 0.05)
    );
    assert!(words.last().unwrap().end_secs > 25.0);
}

#[test]
fn silence_opens_nothing() {
    let samples = [silence(5.0), noise(80_000, 2e-4, 1)].concat();
    assert!(live(&samples, LiveConfig::default(), 1000).is_empty());
}

#[test]
fn live_settings_have_limits() {
    for (name, config) in [
        (
            "partial_interval_secs",
            LiveConfig {
                partial_interval_secs: 0.0,
                ..LiveConfig::default()
            },
        ),
        (
            "endpoint_silence_secs",
            LiveConfig {
                endpoint_silence_secs: f32::NAN,
                ..LiveConfig::default()
            },
        ),
        (
            "max_utterance_secs",
            LiveConfig {
                max_utterance_secs: 1e9,
                ..LiveConfig::default()
            },
        ),
    ] {
        let error = LiveRecognizer::new(Rc::new(tiny_recognizer()), config)
            .err()
            .unwrap();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn confidences_are_calibrated_where_the_model_is_and_the_means_of_letters_elsewhere() {
    let mut recognizer = tiny_recognizer();
    let ids = recognizer.tokens.encode("a b").unwrap();
    let vocab_size = recognizer.tokens.len();
    // Letters of probability e^-0.2 and e^-0.7, a space between them that is certain.
    let log_probs = ids
        .iter()
        .zip([-0.2, 0.0, -0.7])
        .flat_map(|(&id, log_prob)| {
            let mut frame = vec![-9.0; vocab_size];
            frame[id as usize] = log_prob;
            frame
        });
    let heard = Posteriors {
        log_probs: log_probs.collect(),
        phone_log_probs: Vec::new(),
        offset_secs: 0.0,
        end_secs: 1.0,
    };
    let confidences = |recognizer: &Recognizer| -> Vec<f32> {
        let mut writer = recognizer.writer();
        writer.take(&heard);
        let words = writer.finish().words;
        assert_eq!(texts(&words), ["a", "b"]);
        words.iter().map(|word| word.confidence).collect()
    };
    let close = |found: Vec<f32>, expected: [f32; 2]| {
        let pairs = found.into_iter().zip(expected);
        pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{a}, expected {b}"));
    };
    close(confidences(&recognizer), [(-0.2f32).exp(), (-0.7f32).exp()]);
    // ln odds 1 + 5 ln p: 0 and -2.5.
    recognizer.calibrations.greedy = Some(Calibration {
        weights: [1.0, 5.0, 0.0, 0.0, 0.0],
    });
    close(confidences(&recognizer), [0.5, 0.075_858_2]);
}

#[test]
fn the_decoder_decides_which_calibration_holds() {
    let calibration = |bias| {
        Some(Calibration {
            weights: [bias, 0.0, 0.0, 0.0, 0.0],
        })
    };
    let both = Calibrations {
        greedy: calibration(1.0),
        lm: calibration(2.0),
        phones: calibration(3.0),
    };
    let arpa = "\\data\\\nngram 1=3\n\\1-grams:\n-99 <s>\n-1 </s>\n-1 go\n\\end\\";
    let lm = crate::decode::lm::NgramLm::from_arpa(arpa.as_bytes()).unwrap();
    let sounding = lm.clone().with_pronunciations(|_| ["ɡO"]).unwrap();
    let (lm, sounding) = (Arc::new(lm), Arc::new(sounding));
    let list = ["go".to_owned()];
    let beam = |words: Option<&[String]>, lm| {
        let config = BeamConfig::default();
        Decoder::Beam(BeamDecoder::new(&Tokens::characters(), config, words, lm).unwrap())
    };
    assert_eq!(Decoder::Greedy.calibration(&both), both.greedy);
    assert_eq!(beam(None, Some(lm.clone())).calibration(&both), both.lm);
    let phones = BeamDecoder::of_phones(BeamConfig::default(), sounding).unwrap();
    let boosted = |text| {
        let list = BoostList::parse(text, 1.0).unwrap();
        Decoder::Beam(phones.boosting(&list).unwrap()).calibration(&both)
    };
    assert_eq!(boosted("go"), both.phones);
    assert_eq!(Decoder::Beam(phones).calibration(&both), both.phones);
    // Neither was measured.
    assert_eq!(beam(None, None).calibration(&both), None);
    assert_eq!(beam(Some(&list), Some(lm)).calibration(&both), None);
}

#[test]
fn phones_are_heard_beside_letters_where_the_network_has_a_head_for_them() {
    let mut with_phones = recognizer_of(true);
    let samples = babble(45.0, 1);
    let heard = now(with_phones.posteriors(&samples)).unwrap();
    let without = now(tiny_recognizer().posteriors(&samples)).unwrap();
    assert!(!heard.is_empty());
    assert_eq!(heard.len(), without.len());
    for (heard, without) in heard.iter().zip(&without) {
        assert_eq!(heard.log_probs, without.log_probs);
        assert!(without.phone_log_probs.is_empty());
        let frames = heard.log_probs.len() / with_phones.tokens.len();
        assert_eq!(heard.phone_log_probs.len(), frames * NUM_PHONE_TOKENS);
        for frame in heard.phone_log_probs.chunks(NUM_PHONE_TOKENS) {
            let sum: f32 = frame.iter().map(|value| value.exp()).sum();
            assert!((sum - 1.0).abs() < 1e-4, "{sum}");
        }
    }
    // Greedy decoding looks at letters alone, a search over letters as well.
    assert!(!with_phones.decoder.reads_phones());
    let config = BeamConfig::default();
    let beam = BeamDecoder::new(&with_phones.tokens, config, None, None).unwrap();
    with_phones.decoder = Decoder::Beam(beam);
    assert!(!with_phones.decoder.reads_phones());
}

/// Peaked phones of `go`, letters of `a`.
fn go_in_phones(tokens: &Tokens) -> Posteriors {
    let frames = |tokens: &Tokens, texts: [&str; 3]| -> Vec<f32> {
        let frame = |text: &str| {
            let id = tokens.encode(text).unwrap().first().copied().unwrap_or(0);
            (0..tokens.len() as u32).map(move |other| if other == id { -0.1 } else { -9.0 })
        };
        texts.into_iter().flat_map(frame).collect()
    };
    Posteriors {
        log_probs: frames(tokens, ["a", "a", "a"]),
        phone_log_probs: frames(&crate::tokens::phone_tokens(), ["", "ɡ", "O"]),
        offset_secs: 2.0,
        end_secs: 9.0,
    }
}

#[test]
fn a_decoder_of_phones_writes_words_of_the_phones_with_their_times_and_needs_a_head() {
    let arpa = "\\data\\\nngram 1=3\n\\1-grams:\n-99 <s>\n-1 </s>\n-1 go\n\\end\\";
    let lm = crate::decode::lm::NgramLm::from_arpa(arpa.as_bytes()).unwrap();
    let lm = Arc::new(lm.with_pronunciations(|_| ["ɡO"]).unwrap());
    let of_phones = || BeamDecoder::of_phones(BeamConfig::default(), lm.clone()).unwrap();
    let mut recognizer = recognizer_of(true);
    recognizer.decoder = Decoder::Beam(of_phones());
    let mut writer = recognizer.writer();
    writer.take(&go_in_phones(&recognizer.tokens));
    let words = writer.finish().words;
    assert_eq!(texts(&words), ["go"]);
    let frame_secs = recognizer.frame_secs();
    assert!((words[0].start_secs - (2.0 + frame_secs)).abs() < 1e-5);
    assert!((words[0].end_secs - (2.0 + 3.0 * frame_secs)).abs() < 1e-5);
    assert!((words[0].confidence - (-0.1f32).exp()).abs() < 1e-5);

    let tiny = tiny_recognizer();
    let decoder = Decoder::Beam(of_phones());
    let features = FeatureConfig {
        n_mels: tiny.config().n_mels,
        ..FeatureConfig::default()
    };
    let refused = Recognizer::from_model(
        tiny.model.clone(),
        &features,
        tiny.tokens.clone(),
        decoder,
        &tiny.device,
    );
    assert!(matches!(refused, Err(RecognizeError::NoPhones)));
}
