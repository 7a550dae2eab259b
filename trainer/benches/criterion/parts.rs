//! Each part of Fledge on one core: `cargo bench -p benches`.
//!
//! Audio is a clip of the starter corpus, the network the shipped `quick-small`.

#![allow(clippy::unwrap_used, reason = "a bench has nobody to report to")]

use std::{
    hint::black_box,
    path::{Path, PathBuf},
};

use burn::{prelude::*, tensor::activation::log_softmax};
use criterion::{Criterion, criterion_group, criterion_main};
use shared_model::{
    decode::{BeamConfig, BeamDecoder, LogProbs, greedy},
    features::{FeatureConfig, FeatureExtractor},
    metrics::word_errors,
    model::Mode,
    recognizer::{Decoder, Recognizer},
};
use trainer::{
    bench::{Options, TeacherStep},
    config::Recipe,
    data::{decode_16k, read_manifest},
    loss::ctc_loss,
    model_folder,
};

fn repository() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&package).join("../../..")
}

fn clip() -> Vec<f32> {
    let manifest = repository().join("trainer/corpus/test.jsonl");
    let clip = read_manifest(&manifest).unwrap().swap_remove(0);
    decode_16k(clip.audio(), clip.offset_secs, Some(clip.duration_secs)).unwrap()
}

fn recognizer() -> Recognizer {
    let folder = repository().join("www/models/quick-small");
    let loaded = model_folder::read(&folder).unwrap();
    Recognizer::new(&loaded, Decoder::Greedy, &Device::flex()).unwrap()
}

fn features(criterion: &mut Criterion) {
    let (clip, extractor) = (
        clip(),
        FeatureExtractor::new(&FeatureConfig::default()).unwrap(),
    );
    criterion.bench_function("features of 3.2 s", |bencher| {
        bencher.iter(|| extractor.extract(black_box(&clip)));
    });
}

fn encoder(criterion: &mut Criterion) {
    let recognizer = recognizer();
    let features = recognizer.window_features(&clip());
    let (frames, device) = (features.num_frames(), Device::flex());
    let shape = [1, frames, features.n_mels];
    let features = Tensor::<3>::from_data(TensorData::new(features.data, shape), &device);
    criterion.bench_function("encoder forward, quick-small, 3.2 s", |bencher| {
        bencher.iter(|| {
            let model = recognizer.model();
            model
                .forward(features.clone(), &[frames], &mut Mode::Eval)
                .logits
        });
    });
}

fn decoding(criterion: &mut Criterion) {
    let recognizer = recognizer();
    let features = recognizer.window_features(&clip());
    let shape = [1, features.num_frames(), features.n_mels];
    let frames = [features.num_frames()];
    let features = Tensor::<3>::from_data(TensorData::new(features.data, shape), &Device::flex());
    let output = recognizer
        .model()
        .forward(features, &frames, &mut Mode::Eval);
    let log_probs: Vec<f32> = log_softmax(output.logits, 2).into_data().iter().collect();
    let log_probs = LogProbs::new(&log_probs, recognizer.tokens().len());
    let beam = BeamDecoder::new(recognizer.tokens(), BeamConfig::default(), None, None).unwrap();
    criterion.bench_function("greedy search, 3.2 s", |bencher| {
        bencher.iter(|| greedy(black_box(log_probs)));
    });
    criterion.bench_function("beam search, 3.2 s", |bencher| {
        bencher.iter(|| beam.decode(black_box(log_probs)));
    });
}

fn ctc(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    let (batch, time, vocab) = (16, 200, 29);
    let wave = |i: usize| (i as f32 * 0.37).sin() * 4.0;
    let values: Vec<f32> = (0..batch * time * vocab).map(wave).collect();
    let data = TensorData::new(values, [batch, time, vocab]);
    let log_probs = log_softmax(Tensor::<3>::from_data(data, &device), 2).detach();
    let targets: Vec<Vec<u32>> = vec![(0..100).map(|i| 1 + i * 7 % 28).collect(); batch];
    let lengths = vec![time; batch];
    criterion.bench_function("CTC, 16 x 200 frames, 100 labels", |bencher| {
        bencher.iter(|| {
            let leaf = log_probs.clone().require_grad();
            ctc_loss(leaf, &lengths, &targets).loss.backward()
        });
    });
}

fn step(criterion: &mut Criterion) {
    let recipe = Recipe::load(&repository().join("recipes/quick.toml"), &[]).unwrap();
    let options = Options {
        utterances: 4,
        seconds: 3.0,
        repeats: 1,
    };
    let mut teacher = TeacherStep::new(&recipe, 29, options).unwrap();
    let mut group = criterion.benchmark_group("training");
    group.sample_size(10);
    group.bench_function("teacher's CTC step, 12 s", |bencher| {
        bencher.iter(|| teacher.run());
    });
}

fn wer(criterion: &mut Criterion) {
    let words = |step: usize| -> String {
        let words: Vec<String> = (0..1000).map(|i| format!("w{}", i * step % 97)).collect();
        words.join(" ")
    };
    let (reference, hypothesis) = (words(5), words(7));
    criterion.bench_function("word errors of 1000 words", |bencher| {
        bencher.iter(|| word_errors(black_box(&reference), black_box(&hypothesis)));
    });
}

criterion_group!(parts, features, encoder, decoding, ctc, step, wer);
criterion_main!(parts);
