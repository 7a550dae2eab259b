//! The kernels of our own on a graphics adapter, against burn's operations on the CPU. Software
//! adapters count, and a machine without any fails: a test that passes by finding nothing proves
//! nothing. In a process of its own: a driver that crashes must not take the other tests with it.

#![allow(clippy::unwrap_used)]

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use burn::{prelude::*, tensor::activation::log_softmax};
use cubecl::logging::{LaunchObservation, LaunchObserver};
use shared_model::{
    bundle::{Files, read_model},
    model::{
        CtcModel, Mode, ModelConfig, NormKind, Normalization, Operations, Positions,
        SubsamplingPadding,
    },
    recognizer::{Decoder, Recognizer},
};

/// Of a log-probability.
const TOLERANCE: f32 = 1e-3;

fn small() -> ModelConfig {
    ModelConfig {
        d_model: 36,
        n_layers: 2,
        n_heads: 3,
        d_ffn: 70,
        conv_kernel: 5,
        ..ModelConfig::default()
    }
}

/// Log-probabilities of the real frames, from features whose padding holds what must not be read.
fn log_probs(model: &CtcModel, lengths: &[usize], time: usize) -> Vec<f32> {
    let n_mels = model.config().n_mels;
    let mut state: u32 = 1;
    let mut features = Vec::with_capacity(lengths.len() * time * n_mels);
    for &length in lengths {
        for frame in 0..time {
            for _ in 0..n_mels {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (state >> 16) as f32 / 32_768.0 - 1.0;
                features.push(if frame < length {
                    3.0 * noise - 8.0
                } else {
                    1e4
                });
            }
        }
    }
    let shape = [lengths.len(), time, n_mels];
    let features = Tensor::from_data(TensorData::new(features, shape), &model.device());
    let output = model.forward(features, lengths, &mut Mode::Eval);
    let [_, out_time, vocab] = output.logits.dims();
    let values = log_softmax(output.logits, 2).into_data();
    let values: Vec<f32> = values.iter::<f32>().collect();
    let rows = values.chunks(out_time * vocab).zip(&output.lengths);
    rows.flat_map(|(row, &length)| row[..length * vocab].to_vec())
        .collect()
}

fn greatest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().chain(b).all(|value| value.is_finite()));
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

/// The network on both devices, of the same weights.
fn both(config: &ModelConfig) -> [CtcModel; 2] {
    let on_cpu = CtcModel::init(config, 3, &Device::flex()).unwrap();
    let mut weights = on_cpu.weights();
    // Norms that do more than nothing: batch norms' statistics, scales and shifts.
    for (name, weight) in &mut weights {
        if name.contains("norm") {
            for (index, value) in weight.data.iter_mut().enumerate() {
                *value += 0.3 * (index as f32).sin().abs();
            }
        }
    }
    [Device::flex(), Device::wgpu(Default::default())]
        .map(|device| CtcModel::from_weights(config, &weights, &device).unwrap())
}

#[test]
fn every_kind_of_network_is_computed_as_burn_does_on_the_cpu() {
    let _alone = alone();
    let configs = [
        small(),
        ModelConfig {
            norm: NormKind::Batch,
            positions: Positions::Sinusoid,
            ..small()
        },
        ModelConfig {
            positions: Positions::None,
            normalization: Normalization::None,
            subsampling_factor: 8,
            subsampling_padding: SubsamplingPadding::Paper,
            ..small()
        },
        // Sizes that nothing divides, and heads wider than a tile of keys.
        ModelConfig {
            d_model: 202,
            n_heads: 1,
            d_ffn: 65,
            vocab_size: 7,
            n_mels: 23,
            ..small()
        },
        ModelConfig {
            d_model: 64,
            n_heads: 4,
            d_ffn: 192,
            conv_kernel: 15,
            ..small()
        },
    ];
    for config in configs {
        let [on_cpu, on_adapter] = both(&config);
        let on_cpu = on_cpu.with_operations(Operations::Composed);
        for (lengths, time) in [
            (&[150][..], 150),
            (&[150], 256),
            (&[97, 33, 64], 97),
            (&[40, 3], 41),
            (&[1], 64),
        ] {
            let expected = log_probs(&on_cpu, lengths, time);
            let found = log_probs(&on_adapter, lengths, time);
            let error = greatest_difference(&expected, &found);
            assert!(
                error < TOLERANCE,
                "{error} for {lengths:?} of {time}, {config:?}"
            );
        }
    }
}

#[derive(Default)]
struct Launches(AtomicUsize);

impl LaunchObserver for Launches {
    fn launched(&self, _kernel: &'static str) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Launches of `work`, which must wait for what it computes.
fn launches(work: impl FnOnce()) -> usize {
    let launches = Arc::new(Launches::default());
    let observation = LaunchObservation::new(Arc::clone(&launches) as Arc<dyn LaunchObserver>);
    work();
    drop(observation);
    launches.0.load(Ordering::Relaxed)
}

/// Dispatches of an utterance of 5 s in burn's operations, of which these are half.
const MOST_LAUNCHES: [(&str, usize); 3] = [
    ("english-tiny", 224),
    ("english-medium", 434),
    ("english-teacher", 569),
];

#[test]
fn an_utterance_takes_at_most_half_of_the_dispatches_of_burns_operations() {
    let _alone = alone();
    for (name, most) in MOST_LAUNCHES {
        let loaded = read_model(&model_folder(name)).unwrap();
        let recognizer = |device| Recognizer::new(&loaded, Decoder::Greedy, &device).unwrap();
        // As the page's engine pads.
        let on_adapter =
            recognizer(Device::wgpu(Default::default())).with_pad_to_frames_multiple(32);
        let samples = noise(5 * 16_000);
        let mut found = vec![];
        let count = launches(|| found = block_on(on_adapter.log_probs(&samples)).unwrap());
        assert!(count <= most, "{count} dispatches for {name}");
        let on_cpu = recognizer(Device::flex()).with_operations(Operations::Composed);
        let expected = block_on(on_cpu.log_probs(&samples)).unwrap();
        let error = greatest_difference(&expected, &found);
        assert!(error < TOLERANCE, "{error} for {name}");
        println!("{name}: {count} dispatches, difference {error:.1e}");
    }
}

/// What is launched is counted over all threads.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn model_folder(name: &str) -> Files {
    let folder = tests::repository().join("www/models").join(name);
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let files = entries.map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        (name, std::fs::read(entry.path()).unwrap())
    });
    files.collect()
}

fn noise(num_samples: usize) -> Vec<f32> {
    let mut state: u32 = 1;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        0.2 * ((state >> 16) as f32 / 32_768.0 - 1.0)
    };
    (0..num_samples).map(next).collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
