//! Forward-backward over probabilities, each frame's divided by its greatest (Rabiner, 1989,
//! section V.A): sums and products only, where log space needs four exponentials a state.

use super::lattice::Lattice;

/// The least sum over states of forward times backward, both scaled to a greatest value of 1, that
/// is trusted. What either pass loses to underflow is below 1e-307 a state, so that at this sum it
/// is below the rounding of an f64.
const LEAST_TRUSTED_SUM: f64 = 1e-280;

/// Loss of one utterance, nats; adds `weight` times its derivative with respect to `log_probs`
/// (`[frames, vocab]`) to `gradient`. `None`, with `gradient` untouched, where the range of an f64
/// does not hold the utterance's alignments or a log-probability is not a number.
pub(super) fn forward_backward(
    lattice: &Lattice,
    log_probs: &[f32],
    vocab: usize,
    weight: f64,
    gradient: &mut [f32],
) -> Option<f64> {
    let (frames, states) = (lattice.frames, lattice.states);
    // Two states of probability 0 on the side that a pass looks to spare its loop the border.
    let width = states + 2;
    let skip: Vec<f64> = (0..width)
        .map(|s| f64::from(u8::from(s < states && lattice.may_skip_to(s))))
        .collect();

    let mut emissions = vec![0.0f64; frames * states];
    for (row, log_probs) in emissions
        .chunks_exact_mut(states)
        .zip(log_probs.chunks_exact(vocab))
    {
        let blank = f64::from(log_probs[lattice.class(0)]).exp();
        row[0] = blank;
        for (pair, &label) in row[1..].chunks_exact_mut(2).zip(lattice.target) {
            pair[0] = f64::from(log_probs[label as usize]).exp();
            pair[1] = blank;
        }
    }

    // Row t: two zeros, then the states.
    let mut alpha = vec![0.0f64; frames * width];
    let mut log_scale = 0.0;
    for t in 0..frames {
        let (start, end) = lattice.window(t).into_inner();
        let emission = &emissions[t * states..][start..=end];
        let (before, now) = alpha.split_at_mut(t * width);
        let row = &mut now[start + 2..end + 3];
        if t == 0 {
            row.copy_from_slice(emission);
        } else {
            let before = &before[(t - 1) * width..];
            let stay = &before[start + 2..end + 3];
            let one = &before[start + 1..end + 2];
            let two = &before[start..end + 1];
            let skip = &skip[start..=end];
            for (s, value) in row.iter_mut().enumerate() {
                *value = (stay[s] + one[s] + skip[s] * two[s]) * emission[s];
            }
        }
        log_scale += divide_by_greatest(row)?.ln();
    }
    let last = &alpha[(frames - 1) * width..];
    // An empty target has one state, whose neighbour is one of the zeros.
    let log_likelihood = log_scale + (last[states + 1] + last[states]).ln();

    // Turns `alpha` into occupancies. `beta`: the states, then two zeros.
    let mut beta = vec![0.0f64; width];
    let mut next = vec![0.0f64; width];
    for t in (0..frames).rev() {
        let (start, end) = lattice.window(t).into_inner();
        if t + 1 == frames {
            beta[start..=end].fill(1.0);
        } else {
            std::mem::swap(&mut beta, &mut next);
            let emission = &emissions[(t + 1) * states..][..states];
            for (value, emission) in next.iter_mut().zip(emission) {
                *value *= emission;
            }
            beta.fill(0.0);
            let stay = &next[start..=end];
            let one = &next[start + 1..=end + 1];
            let two = &next[start + 2..=end + 2];
            let skip = &skip[start + 2..=end + 2];
            let row = &mut beta[start..=end];
            for (s, value) in row.iter_mut().enumerate() {
                *value = stay[s] + one[s] + skip[s] * two[s];
            }
            divide_by_greatest(row)?;
        }
        let row = &mut alpha[t * width + start + 2..][..=end - start];
        let mut sum = 0.0;
        for (value, beta) in row.iter_mut().zip(&beta[start..=end]) {
            *value *= beta;
            sum += *value;
        }
        if sum.is_nan() || sum < LEAST_TRUSTED_SUM {
            return None;
        }
        for value in row {
            *value /= sum;
        }
    }

    for (t, row) in gradient.chunks_exact_mut(vocab).enumerate().take(frames) {
        for state in lattice.window(t) {
            let occupancy = alpha[t * width + state + 2];
            row[lattice.class(state)] -= (weight * occupancy) as f32;
        }
    }
    Some(-log_likelihood)
}

/// Divides by the greatest value and returns it; `None` if that is 0 or not finite.
fn divide_by_greatest(row: &mut [f64]) -> Option<f64> {
    let greatest = row.iter().copied().fold(0.0, f64::max);
    if greatest == 0.0 || !greatest.is_finite() {
        return None;
    }
    let factor = 1.0 / greatest;
    for value in row {
        *value *= factor;
    }
    factor.is_finite().then_some(greatest)
}
