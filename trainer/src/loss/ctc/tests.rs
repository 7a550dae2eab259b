#![allow(clippy::unwrap_used)]

use burn::tensor::{Int, activation::log_softmax};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use shared_model::tokens::BLANK_ID;

use super::*;

fn random_log_probs(frames: usize, vocab: usize, seed: u64) -> Vec<f32> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut rows = vec![];
    for _ in 0..frames {
        let row: Vec<f32> = (0..vocab).map(|_| rng.random_range(-2.0f32..2.0)).collect();
        let norm = row.iter().map(|x| x.exp()).sum::<f32>().ln();
        rows.extend(row.iter().map(|x| x - norm));
    }
    rows
}

/// Sum over every path of classes that collapses to the target.
fn brute_force(log_probs: &[f32], vocab: usize, target: &[u32]) -> f64 {
    let frames = log_probs.len() / vocab;
    let mut total = 0.0f64;
    for index in 0..vocab.pow(frames as u32) {
        let mut rest = index;
        let mut path = vec![];
        for _ in 0..frames {
            path.push((rest % vocab) as u32);
            rest /= vocab;
        }
        let mut collapsed = path.clone();
        collapsed.dedup();
        collapsed.retain(|&c| c != BLANK_ID);
        if collapsed == target {
            let score: f64 = path
                .iter()
                .enumerate()
                .map(|(t, &c)| f64::from(log_probs[t * vocab + c as usize]))
                .sum();
            total += score.exp();
        }
    }
    -total.ln()
}

fn loss_of(log_probs: &[f32], vocab: usize, target: &[u32]) -> (f64, Vec<f32>) {
    let mut gradient = vec![0.0; log_probs.len()];
    let loss = forward_backward(log_probs, vocab, target, 1.0, &mut gradient);
    (loss, gradient)
}

#[test]
fn the_loss_of_an_utterance_is_told_per_label_and_not_where_there_is_none() {
    let log_probs = random_log_probs(4, 3, 5);
    let loss = ctc_loss_per_label(&log_probs, 3, &[2, 1]).unwrap();
    assert!((loss - brute_force(&log_probs, 3, &[2, 1]) / 2.0).abs() < 1e-6);
    for impossible in [&[][..], &[1, 1, 1], &[3]] {
        assert_eq!(ctc_loss_per_label(&log_probs, 3, impossible), None);
    }
}

#[test]
fn the_loss_is_the_sum_over_all_paths() {
    for frames in 1..=6 {
        let targets: [&[u32]; 8] = [
            &[],
            &[1],
            &[2, 1],
            &[1, 1],
            &[1, 2, 1],
            &[2, 2, 2],
            &[1, 1, 2, 2],
            &[1, 2, 1, 2, 1, 2],
        ];
        for target in targets {
            if !is_feasible(frames, target) {
                assert_eq!(
                    brute_force(&random_log_probs(frames, 3, 1), 3, target),
                    f64::INFINITY,
                    "{frames} frames, {target:?}"
                );
                continue;
            }
            let log_probs = random_log_probs(frames, 3, frames as u64);
            let expected = brute_force(&log_probs, 3, target);
            let (loss, _) = loss_of(&log_probs, 3, target);
            assert!(
                (loss - expected).abs() < 1e-5,
                "{frames} frames, {target:?}: {loss} instead of {expected}"
            );
        }
    }
}

#[test]
fn the_gradient_agrees_with_finite_differences() {
    let targets: [&[u32]; 4] = [&[], &[1, 2], &[2, 2, 1], &[3, 1, 3]];
    for target in targets {
        let log_probs = random_log_probs(7, 4, 9);
        let (_, gradient) = loss_of(&log_probs, 4, target);
        for i in 0..log_probs.len() {
            let step = 1e-2;
            let mut up = log_probs.clone();
            up[i] += step;
            let mut down = log_probs.clone();
            down[i] -= step;
            let slope = (loss_of(&up, 4, target).0 - loss_of(&down, 4, target).0)
                / (f64::from(up[i]) - f64::from(down[i]));
            assert!(
                (slope - f64::from(gradient[i])).abs() < 1e-4,
                "{target:?}, value {i}: {} instead of {slope}",
                gradient[i]
            );
        }
    }
}

#[test]
fn two_frames_of_one_label_can_be_computed_by_hand() {
    // p(blank), p(a): (0.4, 0.6) then (0.7, 0.3). Paths of "a": aa 0.18, a- 0.42, -a 0.12.
    let log_probs: Vec<f32> = [0.4f32, 0.6, 0.7, 0.3].iter().map(|p| p.ln()).collect();
    let (loss, gradient) = loss_of(&log_probs, 2, &[1]);
    assert!((loss + 0.72f64.ln()).abs() < 1e-6);
    // Occupancies: blank at frame 0 in "-a", a in "aa" and "a-"; and so on.
    let expected = [-0.12 / 0.72, -0.60 / 0.72, -0.42 / 0.72, -0.30 / 0.72];
    for (got, want) in gradient.iter().zip(expected) {
        assert!((got - want).abs() < 1e-6, "{gradient:?}");
    }
}

#[test]
fn an_empty_target_is_all_blank() {
    let log_probs = random_log_probs(5, 3, 2);
    let expected: f64 = (0..5).map(|t| -f64::from(log_probs[t * 3])).sum();
    assert!((loss_of(&log_probs, 3, &[]).0 - expected).abs() < 1e-6);
}

#[test]
fn repeats_need_a_blank_between_them() {
    assert!(is_feasible(3, &[1, 1]));
    assert!(!is_feasible(2, &[1, 1]));
    assert!(is_feasible(2, &[1, 2]));
    assert!(!is_feasible(0, &[]));
    assert!(is_feasible(1, &[]));
}

#[test]
fn equal_neighbours_cost_one_more_frame_each() {
    assert_eq!(min_frames(&[]), 1);
    assert_eq!(min_frames(&[1, 2, 1]), 3);
    assert_eq!(min_frames(&[1, 1, 1]), 5);
}

#[test]
fn a_mean_counts_what_has_a_transcript_that_fits() {
    let targets = vec![vec![1, 2], vec![], vec![1, 1, 1], vec![3]];
    let frames = [10, 10, 2, 5];
    assert_eq!(label_weights(&frames, &targets), [0.5, 0.0, 0.0, 1.0]);
    assert_eq!(mean_weights(&frames, &targets), [0.25, 0.0, 0.0, 0.5]);
}

#[test]
fn infeasible_utterances_are_reported_and_add_nothing() {
    let device = Device::flex().autodiff();
    let log_probs = Tensor::<3>::from_data(
        TensorData::new(random_log_probs(3 * 4, 3, 5), [3, 4, 3]),
        &device,
    )
    .require_grad();
    let targets = vec![vec![1], vec![1, 1, 1, 1], vec![2]];
    let result = ctc_loss(log_probs.clone(), &[4, 4, 0], &targets);
    assert_eq!(result.infeasible, vec![1, 2]);
    assert!(result.value.is_finite() && result.value > 0.0);
    let gradient: Vec<f32> = log_probs
        .grad_remove(&mut result.loss.backward())
        .unwrap()
        .into_data()
        .iter::<f32>()
        .collect();
    assert!(gradient[..12].iter().any(|&g| g != 0.0));
    assert!(gradient[12..].iter().all(|&g| g == 0.0));
}

#[test]
fn improbable_but_only_alignments_keep_their_loss() {
    // Nine frames for nine labels: one path, each step of -300 nats.
    let target: Vec<u32> = (0..9).map(|i| 1 + i % 2).collect();
    let log_probs = vec![-300.0f32; 9 * 3];
    assert!((loss_of(&log_probs, 3, &target).0 - 2700.0).abs() < 1e-6);
}

#[test]
fn a_value_that_is_not_a_number_is_not_hidden() {
    let mut log_probs = random_log_probs(4, 3, 1);
    log_probs[4] = f32::NAN;
    assert!(loss_of(&log_probs, 3, &[1]).0.is_nan());
}

#[test]
fn loss_and_gradient_agree_with_burns_own() {
    let device = Device::flex().autodiff();
    let (batch, time, vocab) = (3, 12, 6);
    let logits = Tensor::<3>::from_data(
        TensorData::new(
            random_log_probs(batch * time, vocab, 3),
            [batch, time, vocab],
        ),
        &device,
    )
    .mul_scalar(2.0)
    .detach()
    .require_grad();
    let lengths = [12usize, 9, 5];
    let targets = vec![vec![1, 2, 2, 5], vec![3, 3, 4], vec![5]];

    let own = ctc_loss(log_softmax(logits.clone(), 2), &lengths, &targets);
    let own_gradient = logits.grad_remove(&mut own.loss.backward()).unwrap();

    let padded: Vec<i64> = targets
        .iter()
        .flat_map(|t| (0..4).map(|i| t.get(i).map_or(1, |&l| i64::from(l))))
        .collect();
    let per_utterance = burn::tensor::module::ctc_loss(
        log_softmax(logits.clone(), 2).swap_dims(0, 1),
        Tensor::<2, Int>::from_data(TensorData::new(padded, [3, 4]), &device),
        Tensor::<1, Int>::from_data([12, 9, 5], &device),
        Tensor::<1, Int>::from_data([4, 3, 1], &device),
        0,
    );
    let burn_loss = (per_utterance / Tensor::<1>::from_data([4.0, 3.0, 1.0], &device)).mean();
    let burn_gradient = logits.grad_remove(&mut burn_loss.backward()).unwrap();

    let burn_loss = burn_loss.into_scalar::<f32>();
    assert!((own.value - f64::from(burn_loss)).abs() < 1e-5);
    assert!((own.loss.into_scalar::<f32>() - burn_loss).abs() < 1e-5);
    let difference = (own_gradient - burn_gradient)
        .abs()
        .max()
        .into_scalar::<f32>();
    assert!(difference < 1e-5, "gradients differ by {difference}");
}

#[test]
fn threads_do_not_change_the_result() {
    let device = Device::flex().autodiff();
    let log_probs = Tensor::<3>::from_data(
        TensorData::new(random_log_probs(5 * 8, 4, 6), [5, 8, 4]),
        &device,
    )
    .require_grad();
    let targets = vec![vec![1], vec![2, 2], vec![], vec![3, 1], vec![1, 2, 3]];
    let lengths = [8, 7, 6, 5, 8];
    let weights = mean_weights(&lengths, &targets);
    let run = |threads| {
        let result = ctc_loss_weighted(log_probs.clone(), &lengths, &targets, &weights, threads);
        let gradient = log_probs.grad_remove(&mut result.loss.backward()).unwrap();
        (result.value, gradient.into_data())
    };
    let (value, gradient) = run(1);
    for threads in [2, 3, 9] {
        let other = run(threads);
        assert_eq!(other.0, value);
        assert_eq!(other.1, gradient);
    }
}

/// Loss and gradient by one of the two ways of summing.
fn both_ways(log_probs: &[f32], vocab: usize, target: &[u32]) -> [(Option<f64>, Vec<f32>); 2] {
    let lattice = Lattice::new(target, log_probs.len() / vocab);
    let mut scaled = vec![0.0; log_probs.len()];
    let mut log_space = scaled.clone();
    [
        (
            scaled::forward_backward(&lattice, log_probs, vocab, 0.7, &mut scaled),
            scaled,
        ),
        (
            Some(log_space::forward_backward(
                &lattice,
                log_probs,
                vocab,
                0.7,
                &mut log_space,
            )),
            log_space,
        ),
    ]
}

#[test]
fn probabilities_and_log_space_agree() {
    let targets: [&[u32]; 6] = [
        &[],
        &[1],
        &[4, 4, 4],
        &[1, 2, 3, 4, 1, 2, 3, 4],
        &[2; 30],
        &[1, 3, 1, 3, 3, 1, 2, 2, 4, 1, 3, 2, 1, 4, 4, 2],
    ];
    for (seed, target) in targets.into_iter().enumerate() {
        for sharpness in [1.0, 4.0, 10.0] {
            let log_probs: Vec<f32> = random_log_probs(60, 5, seed as u64)
                .iter()
                .map(|x| sharpness * x)
                .collect();
            let [(scaled, gradient), (log_space, expected)] = both_ways(&log_probs, 5, target);
            let (scaled, log_space) = (scaled.unwrap(), log_space.unwrap());
            assert!(
                (scaled - log_space).abs() < 1e-9 * log_space.abs().max(1.0),
                "{target:?} times {sharpness}: {scaled} instead of {log_space}"
            );
            for (got, want) in gradient.iter().zip(&expected) {
                assert!((got - want).abs() < 1e-6, "{target:?} times {sharpness}");
            }
        }
    }
}

/// Label 1 is sure at every frame but two, where it is improbable by 500 nats each: what leads
/// through it both times is lost beside 1, and only log space sees it.
#[test]
fn alignments_beyond_the_range_of_a_double_are_summed_in_log_space() {
    // Three frames, target 1 2: the states that get through are far below the greatest at a frame.
    let rows = [
        [-900.0f32, 0.0, -900.0],
        [0.0, -900.0, -900.0],
        [-900.0, -900.0, 0.0],
    ];
    let log_probs = rows.concat();
    for target in [&[1u32, 2][..], &[2, 1], &[2], &[1, 2, 1]] {
        let [_, (log_space, expected)] = both_ways(&log_probs, 3, target);
        let (loss, _) = loss_of(&log_probs, 3, target);
        assert!(
            (loss - log_space.unwrap()).abs() < 1e-9,
            "{target:?}: {loss}"
        );
        let mut gradient = vec![0.0; log_probs.len()];
        forward_backward(&log_probs, 3, target, 0.7, &mut gradient);
        for (got, want) in gradient.iter().zip(&expected) {
            assert!((got - want).abs() < 1e-6, "{target:?}");
        }
    }
    let [(scaled, gradient), _] = both_ways(&log_probs, 3, &[2, 1]);
    assert_eq!(scaled, None);
    assert!(gradient.iter().all(|&g| g == 0.0));
}
