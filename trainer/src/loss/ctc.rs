//! Connectionist temporal classification (Graves et al., ICML 2006), exact.
//!
//! Forward-backward runs in plain Rust on the host, so it is the same on every device and costs one
//! read-back. The derivative with respect to a log-probability is minus the occupancy (the posterior
//! probability that the alignment passes through that class at that frame); it enters autodiff as
//! the constant factor of a sum, whose value is then replaced by the loss.

mod lattice;
mod log_space;
mod scaled;
#[cfg(test)]
mod tests;

use burn::prelude::*;

use self::lattice::Lattice;
use crate::device::read_back;

/// A CTC loss that can be differentiated.
pub struct CtcLoss {
    /// `[1]`
    pub loss: Tensor<1>,
    /// The same value on the host, in double precision: the weighted sum of the utterances' losses,
    /// nats.
    pub value: f64,
    /// Utterances whose transcript does not fit their frames; they add nothing.
    pub infeasible: Vec<usize>,
}

/// Fewest frames that `target` can be aligned to: one for each label and one blank between equal
/// neighbours; an empty target needs one frame.
pub fn min_frames(target: &[u32]) -> usize {
    let repeats = target.windows(2).filter(|pair| pair[0] == pair[1]).count();
    (target.len() + repeats).max(1)
}

/// Whether `target` can be aligned to `frames`.
pub fn is_feasible(frames: usize, target: &[u32]) -> bool {
    frames >= min_frames(target)
}

/// One over the number of labels of each utterance that CTC can learn from: it has a transcript, and
/// the transcript fits its `frames`. 0 for the others.
pub fn label_weights(frames: &[usize], targets: &[Vec<u32>]) -> Vec<f64> {
    let weight = |(&frames, target): (&usize, &Vec<u32>)| {
        let is_usable = !target.is_empty() && is_feasible(frames, target);
        if is_usable {
            1.0 / target.len() as f64
        } else {
            0.0
        }
    };
    frames.iter().zip(targets).map(weight).collect()
}

/// Weights of the mean over the utterances that CTC can learn from, each one's loss divided by its
/// number of labels (PyTorch's mean reduction).
pub fn mean_weights(frames: &[usize], targets: &[Vec<u32>]) -> Vec<f64> {
    let mut weights = label_weights(frames, targets);
    let count = weights.iter().filter(|&&w| w > 0.0).count().max(1) as f64;
    weights.iter_mut().for_each(|weight| *weight /= count);
    weights
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
    let host: Vec<f32> = read_back(log_probs.clone().detach())
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
    let value = values.iter().sum::<f64>();
    // The sum has the loss's gradient but not its value, which takes its place.
    let linear = (log_probs * gradient).sum();
    CtcLoss {
        loss: linear.clone() - linear.detach() + value,
        value,
        infeasible,
    }
}

/// CTC loss of one utterance per label, nats; `None` for an empty target, one that does not fit the
/// frames, and labels that there are no classes for.
///
/// - `log_probs`: `[frames, vocab]`, row-major, natural log, class 0 is blank.
pub fn ctc_loss_per_label(log_probs: &[f32], vocab: usize, target: &[u32]) -> Option<f64> {
    let frames = log_probs.len().checked_div(vocab)?;
    let labels_exist = target.iter().all(|&label| (label as usize) < vocab);
    if target.is_empty() || !labels_exist || !is_feasible(frames, target) {
        return None;
    }
    let mut gradient = vec![0.0; frames * vocab];
    let loss = forward_backward(log_probs, vocab, target, 1.0, &mut gradient);
    Some(loss / target.len() as f64)
}

/// Loss of one feasible utterance, nats; adds `weight` times its derivative with respect to
/// `log_probs` (`[frames, vocab]`) to `gradient`. See [`log_space::forward_backward`] for alignments
/// of probability 0 and what is not a number.
fn forward_backward(
    log_probs: &[f32],
    vocab: usize,
    target: &[u32],
    weight: f64,
    gradient: &mut [f32],
) -> f64 {
    let lattice = Lattice::new(target, log_probs.len() / vocab);
    scaled::forward_backward(&lattice, log_probs, vocab, weight, gradient).unwrap_or_else(|| {
        log_space::forward_backward(&lattice, log_probs, vocab, weight, gradient)
    })
}
