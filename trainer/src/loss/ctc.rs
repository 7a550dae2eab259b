//! Connectionist temporal classification (Graves et al., ICML 2006), exact.
//!
//! Forward-backward runs in plain Rust on the host, so it is the same on every device and costs one
//! read-back. The derivative with respect to a log-probability is minus the occupancy (the posterior
//! probability that the alignment passes through that class at that frame); it enters autodiff as
//! the constant factor of a sum.

use burn::prelude::*;
use shared_model::tokens::BLANK_ID;

/// A CTC loss that can be differentiated.
pub struct CtcLoss {
    /// `[1]`. Its gradient is the loss's; its value is not (it is the gradient times the
    /// log-probabilities).
    pub loss: Tensor<1>,
    /// The weighted sum of the utterances' losses, nats.
    pub value: f64,
    /// Utterances whose transcript does not fit their frames; they add nothing.
    pub infeasible: Vec<usize>,
}

/// Whether `target` can be aligned to `frames`: one frame per label and one blank between equal
/// neighbours; an empty target needs one frame.
pub fn is_feasible(frames: usize, target: &[u32]) -> bool {
    let repeats = target.windows(2).filter(|pair| pair[0] == pair[1]).count();
    frames > 0 && frames >= target.len() + repeats
}

/// Weights of the mean: each feasible utterance's loss divided by its number of labels (at least
/// one), averaged over feasible utterances (PyTorch's mean reduction). Infeasible ones have 0.
pub fn mean_weights(lengths: &[usize], targets: &[Vec<u32>]) -> Vec<f64> {
    let feasible: Vec<bool> = lengths
        .iter()
        .zip(targets)
        .map(|(&frames, target)| is_feasible(frames, target))
        .collect();
    let count = feasible.iter().filter(|&&f| f).count().max(1) as f64;
    feasible
        .iter()
        .zip(targets)
        .map(|(&f, target)| {
            if f {
                1.0 / (count * target.len().max(1) as f64)
            } else {
                0.0
            }
        })
        .collect()
}

/// Mean CTC loss with the weights of [`mean_weights`].
///
/// - `log_probs`: `[batch, time, vocab]`, natural log, class 0 is blank.
/// - `lengths`: real frames per utterance, `<= time`.
/// - `targets`: labels per utterance, without blanks.
pub fn ctc_loss(log_probs: Tensor<3>, lengths: &[usize], targets: &[Vec<u32>]) -> CtcLoss {
    let weights = mean_weights(lengths, targets);
    ctc_loss_weighted(log_probs, lengths, targets, &weights, 1)
}

/// Sum of the utterances' CTC losses times `weights`; utterances of weight 0 are not computed.
/// Shapes as in [`ctc_loss`]. `threads` is how many may work at once.
pub fn ctc_loss_weighted(
    log_probs: Tensor<3>,
    lengths: &[usize],
    targets: &[Vec<u32>],
    weights: &[f64],
    threads: usize,
) -> CtcLoss {
    let [batch, time, vocab] = log_probs.dims();
    assert!(
        lengths.len() == batch && targets.len() == batch && weights.len() == batch,
        "a CTC loss of {batch} utterances got {} lengths, {} targets, {} weights",
        lengths.len(),
        targets.len(),
        weights.len()
    );
    let device = log_probs.device();
    let host: Vec<f32> = log_probs
        .clone()
        .detach()
        .into_data()
        .iter::<f32>()
        .collect();
    let mut gradient = vec![0.0f32; host.len()];
    let mut values = vec![0.0f64; batch];
    let infeasible = (0..batch)
        .filter(|&u| !is_feasible(lengths[u].min(time), &targets[u]))
        .collect();

    let utterance = |u: usize, gradient: &mut [f32], value: &mut f64| {
        let frames = lengths[u].min(time);
        let labels_exist = targets[u].iter().all(|&label| (label as usize) < vocab);
        if weights[u] == 0.0 || !labels_exist || !is_feasible(frames, &targets[u]) {
            return;
        }
        let log_probs = &host[u * time * vocab..][..frames * vocab];
        let gradient = &mut gradient[..frames * vocab];
        let loss = forward_backward(log_probs, vocab, &targets[u], weights[u], gradient);
        *value = weights[u] * loss;
    };
    let stride = (time * vocab).max(1);
    let threads = threads.clamp(1, batch.max(1));
    if threads == 1 {
        for (u, (gradient, value)) in gradient.chunks_mut(stride).zip(&mut values).enumerate() {
            utterance(u, gradient, value);
        }
    } else {
        let per_thread = batch.div_ceil(threads);
        std::thread::scope(|scope| {
            let chunks = gradient
                .chunks_mut(stride * per_thread)
                .zip(values.chunks_mut(per_thread));
            for (chunk, (gradients, values)) in chunks.enumerate() {
                let utterance = &utterance;
                scope.spawn(move || {
                    let rows = gradients.chunks_mut(stride).zip(values);
                    for (row, (gradient, value)) in rows.enumerate() {
                        utterance(chunk * per_thread + row, gradient, value);
                    }
                });
            }
        });
    }

    let gradient = Tensor::<3>::from_data(
        TensorData::new(gradient, [batch, time, vocab]),
        &device.inner(),
    );
    let gradient = if log_probs.is_autodiff() {
        Tensor::from_inner(gradient)
    } else {
        gradient
    };
    CtcLoss {
        loss: (log_probs * gradient).sum(),
        value: values.iter().sum(),
        infeasible,
    }
}

/// Loss of one feasible utterance, nats; adds `weight` times its derivative with respect to
/// `log_probs` (`[frames, vocab]`) to `gradient`. Sums over paths are kept in log space as f64: a
/// tight alignment can be improbable by hundreds of nats at a frame and still be the only one left.
///
/// An utterance without any alignment of non-zero probability has an infinite loss: it is given
/// the value 0 and no gradient, like an infeasible one; if the cause is not a number among the
/// log-probabilities, the loss is not a number either, so that the caller can see it.
fn forward_backward(
    log_probs: &[f32],
    vocab: usize,
    target: &[u32],
    weight: f64,
    gradient: &mut [f32],
) -> f64 {
    let frames = log_probs.len() / vocab;
    let states = 2 * target.len() + 1;
    let label = |s: usize| {
        if s.is_multiple_of(2) {
            BLANK_ID as usize
        } else {
            target[s / 2] as usize
        }
    };
    // A label may be entered from the label before it, unless they are equal.
    let may_skip = |s: usize| s >= 3 && s % 2 == 1 && target[s / 2] != target[s / 2 - 1];
    // States that a path can be in at frame t: reachable from the start and able to reach the end.
    let first = |t: usize| states.saturating_sub(2 * (frames - t));
    let last = |t: usize| (2 * t + 1).min(states - 1);
    let emission = |t: usize, s: usize| f64::from(log_probs[t * vocab + label(s)]);

    let mut alpha = vec![f64::NEG_INFINITY; frames * states];
    for (s, value) in alpha.iter_mut().enumerate().take(last(0) + 1) {
        if s >= first(0) {
            *value = emission(0, s);
        }
    }
    for t in 1..frames {
        let (before, now) = alpha[(t - 1) * states..][..2 * states].split_at_mut(states);
        for s in first(t)..=last(t) {
            let one = if s >= 1 {
                before[s - 1]
            } else {
                f64::NEG_INFINITY
            };
            let two = if may_skip(s) {
                before[s - 2]
            } else {
                f64::NEG_INFINITY
            };
            now[s] = log_add(before[s], one, two) + emission(t, s);
        }
    }
    let end = &alpha[(frames - 1) * states..];
    let last_label = if states > 1 {
        end[states - 2]
    } else {
        f64::NEG_INFINITY
    };
    let log_likelihood = log_add(end[states - 1], last_label, f64::NEG_INFINITY);
    if log_likelihood == f64::NEG_INFINITY {
        return 0.0;
    }
    if !log_likelihood.is_finite() {
        return f64::NAN;
    }

    // `beta[s]`: log-probability of everything after frame t, being in state s at t.
    let mut beta = vec![f64::NEG_INFINITY; states];
    let mut next = vec![f64::NEG_INFINITY; states];
    for t in (0..frames).rev() {
        if t == frames - 1 {
            for value in &mut beta[first(t)..] {
                *value = 0.0;
            }
        } else {
            std::mem::swap(&mut beta, &mut next);
            beta.fill(f64::NEG_INFINITY);
            for s in first(t)..=last(t) {
                let stay = next[s] + emission(t + 1, s);
                let one = match s + 1 < states {
                    true => next[s + 1] + emission(t + 1, s + 1),
                    false => f64::NEG_INFINITY,
                };
                let two = match s + 2 < states && may_skip(s + 2) {
                    true => next[s + 2] + emission(t + 1, s + 2),
                    false => f64::NEG_INFINITY,
                };
                beta[s] = log_add(stay, one, two);
            }
        }
        for s in first(t)..=last(t) {
            let occupancy = (alpha[t * states + s] + beta[s] - log_likelihood).exp();
            gradient[t * vocab + label(s)] -= (weight * occupancy) as f32;
        }
    }
    -log_likelihood
}

/// `ln(e^a + e^b + e^c)`; not a number if any of them is not.
fn log_add(a: f64, b: f64, c: f64) -> f64 {
    let max = a.max(b).max(c);
    if max == f64::NEG_INFINITY {
        return a + b + c;
    }
    // `max` skips what is not a number, the sum does not.
    max + ((a - max).exp() + (b - max).exp() + (c - max).exp()).ln()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::{Int, activation::log_softmax};
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

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

        assert!((own.value - f64::from(burn_loss.into_scalar::<f32>())).abs() < 1e-5);
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
            let result =
                ctc_loss_weighted(log_probs.clone(), &lengths, &targets, &weights, threads);
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
}
