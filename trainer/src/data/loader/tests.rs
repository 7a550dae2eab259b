#![allow(clippy::unwrap_used)]

use std::path::Path;

use shared_model::features::FeatureConfig;
use shared_model::tokens::Tokens;

use super::*;
use crate::config::{AugmentConfig, Phase};
use crate::data::{Augmentation, Example, PipelineOptions, SpecMask, Utterance, plan_epoch};

/// Sixteen-bit WAVs of tones with noise, and their utterances: two speakers, 0.3 to 1.2 s.
fn examples(folder: &Path, count: usize) -> Vec<Example> {
    let tokens = Tokens::characters();
    (0..count)
        .map(|index| {
            let len = 4800 + index % 10 * 1600;
            let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
            bytes.extend(16_000_u32.to_le_bytes());
            bytes.extend(32_000_u32.to_le_bytes());
            bytes.extend(b"\x02\0\x10\0data\xff\xff\xff\xff");
            for i in 0..len {
                let sample = (i as f32 * 0.02 * (index + 1) as f32).sin() * 5000.0;
                bytes.extend((sample as i16).to_le_bytes());
            }
            let path = folder.join(format!("{index}.wav"));
            std::fs::write(&path, bytes).unwrap();
            let text = "yes no".to_owned();
            Example {
                targets: tokens.encode(&text).unwrap(),
                utterance: Utterance {
                    id: index.to_string(),
                    audio_path: path,
                    member: None,
                    offset_secs: 0.0,
                    duration_secs: len as f64 / 16_000.0,
                    text,
                    speaker: Some((index % 2).to_string()),
                    confidence: None,
                },
            }
        })
        .collect()
}

fn pipeline(examples: Vec<Example>, augment: bool, cache_bytes: usize) -> Arc<Pipeline> {
    let config = AugmentConfig {
        speeds: vec![0.9, 1.0, 1.1],
        band_limit_share: 0.5,
        noise_share: 0.5,
        join_share: 0.5,
        ..AugmentConfig::default()
    };
    let options = PipelineOptions {
        features: FeatureConfig::default(),
        augment: augment.then_some(Augmentation {
            config,
            seed: 5,
            max_secs: 10.0,
        }),
        cache_bytes,
    };
    Arc::new(Pipeline::new(examples, Tokens::characters(), options).unwrap())
}

fn plan(epoch: usize) -> EpochPlan {
    EpochPlan {
        epoch,
        gentle: false,
        ..EpochPlan::plain()
    }
}

/// Everything of a batch that a model sees.
type Contents = (Vec<f32>, Vec<usize>, Vec<Vec<u32>>, Vec<String>);

fn contents(loader: Loader) -> Vec<Contents> {
    loader
        .map(|batch| {
            let b = batch.unwrap();
            assert_eq!(b.features.len(), b.lengths.len() * b.time * b.n_mels);
            (b.features, b.lengths, b.targets, b.utterance_ids)
        })
        .collect()
}

#[test]
fn a_gentle_epoch_masks_nothing_and_adds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let examples = examples(folder.path(), 6);
    let config = AugmentConfig {
        speeds: vec![],
        gain_db: 0.0,
        band_limit_share: 1.0,
        noise_share: 1.0,
        join_share: 1.0,
        ..AugmentConfig::default()
    };
    let options = |augment| PipelineOptions {
        features: FeatureConfig::default(),
        augment,
        cache_bytes: 0,
    };
    let varied = options(Some(Augmentation {
        config,
        seed: 5,
        max_secs: 10.0,
    }));
    let tokens = Tokens::characters();
    let varied = Pipeline::new(examples.clone(), tokens.clone(), varied).unwrap();
    let plain = Pipeline::new(examples, tokens, options(None)).unwrap();
    let all: Vec<usize> = (0..6).collect();
    let features = |pipeline: &Pipeline, gentle| {
        let plan = EpochPlan { gentle, ..plan(1) };
        let batch = pipeline.batch(&all.clone().into(), plan).unwrap();
        let is_masked = batch.masks.iter().any(|mask| !mask.is_empty());
        (batch.features, is_masked)
    };
    let as_it_is = features(&plain, false);
    assert!(!as_it_is.1);
    assert_eq!(features(&varied, true), as_it_is);
    let varied = features(&varied, false);
    assert!(varied.1 && varied.0 != as_it_is.0);
}

#[test]
fn two_views_are_the_same_audio_under_masks_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let examples = examples(folder.path(), 6);
    let batch = |views| {
        let config = AugmentConfig {
            speeds: vec![0.9, 1.1],
            noise_share: 1.0,
            freq_masks: 2,
            time_masks: 0,
            ..AugmentConfig::default()
        };
        let options = PipelineOptions {
            features: FeatureConfig::default(),
            augment: Some(Augmentation {
                config,
                seed: 5,
                max_secs: 10.0,
            }),
            cache_bytes: 0,
        };
        let pipeline = Pipeline::new(examples.clone(), Tokens::characters(), options).unwrap();
        let plan = EpochPlan { views, ..plan(1) };
        pipeline
            .batch(&vec![0, 1, 2, 3, 4, 5].into(), plan)
            .unwrap()
    };
    let (single, double) = (batch(1), batch(2));
    assert_eq!((single.views, double.views), (1, 2));
    assert_eq!(double.lengths.len(), 12);
    let row = single.time * single.n_mels;
    let features = |batch: &Batch, at: usize| batch.features[at * row..][..row].to_vec();
    for utterance in 0..6 {
        let (first, second) = (2 * utterance, 2 * utterance + 1);
        assert_eq!(double.masks[first], single.masks[utterance]);
        assert_ne!(double.masks[first], double.masks[second]);
        for at in [first, second] {
            assert_eq!(features(&double, at), features(&single, utterance));
            assert_eq!(double.lengths[at], single.lengths[utterance]);
            assert_eq!(double.targets[at], single.targets[utterance]);
            assert_eq!(double.utterance_ids[at], single.utterance_ids[utterance]);
        }
    }
    assert!((double.audio_secs - 2.0 * single.audio_secs).abs() < 1e-9);
}

#[test]
fn masks_come_beside_features_that_they_do_not_change() {
    let folder = tempfile::tempdir().unwrap();
    let examples = examples(folder.path(), 6);
    let batch = |freq_masks| {
        let config = AugmentConfig {
            speeds: vec![0.9, 1.1],
            noise_share: 1.0,
            freq_masks,
            time_masks: 0,
            ..AugmentConfig::default()
        };
        let options = PipelineOptions {
            features: FeatureConfig::default(),
            augment: Some(Augmentation {
                config,
                seed: 5,
                max_secs: 10.0,
            }),
            cache_bytes: 0,
        };
        let pipeline = Pipeline::new(examples.clone(), Tokens::characters(), options).unwrap();
        pipeline
            .batch(&vec![0, 1, 2, 3, 4, 5].into(), plan(1))
            .unwrap()
    };
    let (masked, plain) = (batch(2), batch(0));
    assert_eq!(masked.features, plain.features);
    assert!(masked.masks.iter().filter(|mask| !mask.is_empty()).count() > 3);
    assert!(plain.masks.iter().all(SpecMask::is_empty));
    assert_eq!(plain.masks.len(), 6);
}

#[test]
fn phases_and_epochs_have_variations_of_their_own_and_repeat_them() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(examples(folder.path(), 24), true, 0);
    let seen = |phase, epoch| {
        let plan = EpochPlan {
            phase,
            ..plan(epoch)
        };
        let batches = plan_epoch(&pipeline.durations(plan), 4.0, 5, plan);
        let first = pipeline.batch(&vec![0, 1, 2, 3].into(), plan).unwrap();
        (batches, first.features, first.masks)
    };
    let all = [
        (Phase::Teach, 0),
        (Phase::Teach, 1),
        (Phase::Distill, 0),
        (Phase::Distill, 1),
        (Phase::Finetune, 0),
        (Phase::Finetune, 1),
    ];
    let all: Vec<_> = all.map(|(phase, epoch)| seen(phase, epoch)).into();
    for (at, (batches, features, masks)) in all.iter().enumerate() {
        for other in &all[..at] {
            assert_ne!(*batches, other.0);
            assert_ne!(*features, other.1);
            assert_ne!(*masks, other.2);
        }
    }
    assert_eq!(all[3], seen(Phase::Distill, 1));
}

#[test]
fn batches_do_not_depend_on_threads_cache_or_the_place_of_resuming() {
    let folder = tempfile::tempdir().unwrap();
    let examples = examples(folder.path(), 24);
    let load = |threads, cache_bytes, start| {
        let pipeline = pipeline(examples.clone(), true, cache_bytes);
        let batches = plan_epoch(&pipeline.durations(plan(2)), 4.0, 5, plan(2));
        contents(Loader::new(pipeline, batches, plan(2), start, threads))
    };
    let one = load(1, 0, 0);
    assert!(one.len() > 4);
    assert_eq!(one, load(4, 1 << 30, 0));
    assert_eq!(one[3..], load(2, 20_000, 3));
    let joined = one
        .iter()
        .flat_map(|batch| &batch.2)
        .filter(|t| t.len() > 6);
    assert!(joined.count() > 0, "some clips are joined");
}

#[test]
fn audio_is_as_long_as_batches_were_planned_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(examples(folder.path(), 24), true, 0);
    let plain = pipeline.durations(EpochPlan {
        gentle: true,
        ..plan(3)
    });
    let planned = pipeline.durations(plan(3));
    for (index, &secs) in planned.iter().enumerate() {
        let batch = pipeline.batch(&vec![index].into(), plan(3)).unwrap();
        let distance = (batch.audio_secs - f64::from(secs)).abs();
        assert!(distance < 2e-3, "{index}: {distance} s");
    }
    // Joined ones are longer by more than the slowest speed makes them.
    let joined = planned
        .iter()
        .zip(plain)
        .filter(|(planned, plain)| **planned > 1.5 * plain);
    assert!(joined.count() > 2);
}

#[test]
fn padding_is_zero_and_lengths_are_those_of_the_extractor() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(examples(folder.path(), 10), false, 0);
    let batch = pipeline.batch(&vec![0, 9, 3].into(), plan(0)).unwrap();
    assert_eq!(batch.lengths, [30, 120, 60]);
    assert_eq!(batch.time, 120);
    for (row, &length) in batch.features.chunks(120 * 80).zip(&batch.lengths) {
        assert!(row[length * 80..].iter().all(|&value| value == 0.0));
        assert!(row[..length * 80].iter().any(|&value| value != 0.0));
    }
    assert!((batch.audio_secs - (0.3 + 1.2 + 0.6)).abs() < 1e-6);
    assert_eq!(batch.utterance_ids, ["0", "9", "3"]);
}

#[test]
fn a_broken_file_is_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut examples = examples(folder.path(), 120);
    std::fs::write(&examples[7].utterance.audio_path, "no audio").unwrap();
    let loading = pipeline(examples.clone(), false, 0);
    let batches = plan_epoch(&loading.durations(plan(0)), 10.0, 5, plan(0));
    let loaded = contents(Loader::new(
        Arc::clone(&loading),
        batches.clone(),
        plan(0),
        0,
        2,
    ));
    assert_eq!(loaded.len(), batches.len());
    assert_eq!(loaded.iter().map(|batch| batch.1.len()).sum::<usize>(), 119);
    let listed = loading.quarantine().take_new();
    assert_eq!(listed.len(), 1);
    assert!(
        listed[0].reason.contains("is not audio"),
        "{}",
        listed[0].reason
    );

    examples[8].utterance.audio_path = folder.path().join("gone.wav");
    let failing = pipeline(examples, false, 0);
    let error = Loader::new(failing, batches, plan(0), 0, 2).find_map(Result::err);
    assert!(matches!(
        error,
        Some(DataError::TooManyBroken { broken: 2, .. })
    ));
}

#[test]
fn dropping_a_loader_half_way_stops_its_threads() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(examples(folder.path(), 40), false, 0);
    let batches: Vec<Vec<usize>> = (0..40).map(|i| vec![i]).collect();
    let mut loader = Loader::new(Arc::clone(&pipeline), batches, plan(0), 0, 3);
    assert_eq!(loader.num_batches(), 40);
    loader.next().unwrap().unwrap();
    assert!(loader.waited() > Duration::ZERO);
    drop(loader);
    assert_eq!(Arc::strong_count(&pipeline), 1);
}

#[test]
fn a_thread_that_panics_is_an_error_and_not_a_hang() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(examples(folder.path(), 2), false, 0);
    let mut loader = Loader::new(pipeline, vec![vec![99]], plan(0), 0, 1);
    assert!(matches!(loader.next(), Some(Err(DataError::Worker(_)))));
    assert!(loader.next().is_none());
}

#[test]
fn evaluation_batches_are_the_same_from_the_files_and_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = pipeline(examples(folder.path(), 12), false, 0);
    let batches = EvaluationBatches::new(pipeline, 5.0, 2);
    let read = || {
        let mut all = vec![];
        batches
            .for_each(Turn::every(), |_, batch| {
                all.push((batch.features.clone(), batch.utterance_ids.clone()));
                Ok::<(), DataError>(())
            })
            .unwrap();
        all
    };
    let first = read();
    assert_eq!(first.len(), batches.num_batches());
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(read(), first);
}
