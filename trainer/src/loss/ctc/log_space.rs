//! Forward-backward over log-probabilities, as f64: a tight alignment can be improbable by hundreds
//! of nats at a frame and still be the only one left.

use super::lattice::Lattice;

/// Loss of one feasible utterance, nats; adds `weight` times its derivative with respect to
/// `log_probs` (`[frames, vocab]`) to `gradient`.
///
/// An utterance without any alignment of non-zero probability has an infinite loss: it is given
/// the value 0 and no gradient, like an infeasible one; if the cause is not a number among the
/// log-probabilities, the loss is not a number either, so that the caller can see it.
pub(super) fn forward_backward(
    lattice: &Lattice,
    log_probs: &[f32],
    vocab: usize,
    weight: f64,
    gradient: &mut [f32],
) -> f64 {
    let (frames, states) = (lattice.frames, lattice.states);
    let emission = |t: usize, s: usize| f64::from(log_probs[t * vocab + lattice.class(s)]);

    let mut alpha = vec![f64::NEG_INFINITY; frames * states];
    for s in lattice.window(0) {
        alpha[s] = emission(0, s);
    }
    for t in 1..frames {
        let (before, now) = alpha[(t - 1) * states..][..2 * states].split_at_mut(states);
        for s in lattice.window(t) {
            let one = if s >= 1 {
                before[s - 1]
            } else {
                f64::NEG_INFINITY
            };
            let two = if lattice.may_skip_to(s) {
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
            beta[lattice.window(t)].fill(0.0);
        } else {
            std::mem::swap(&mut beta, &mut next);
            beta.fill(f64::NEG_INFINITY);
            for s in lattice.window(t) {
                let stay = next[s] + emission(t + 1, s);
                let one = match s + 1 < states {
                    true => next[s + 1] + emission(t + 1, s + 1),
                    false => f64::NEG_INFINITY,
                };
                let two = match s + 2 < states && lattice.may_skip_to(s + 2) {
                    true => next[s + 2] + emission(t + 1, s + 2),
                    false => f64::NEG_INFINITY,
                };
                beta[s] = log_add(stay, one, two);
            }
        }
        for s in lattice.window(t) {
            let occupancy = (alpha[t * states + s] + beta[s] - log_likelihood).exp();
            gradient[t * vocab + lattice.class(s)] -= (weight * occupancy) as f32;
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
