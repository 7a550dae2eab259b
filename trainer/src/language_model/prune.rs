//! Entropy pruning: n-grams without which the model hardly changes are left out.

#[cfg(test)]
mod tests;

use shared_model::decode::lm::NgramLm;

use super::LmError;
use super::estimate::{Estimate, Level};

/// Where listed n-grams leave less of a history's mass, the difference is rounding.
const MIN_UNLISTED: f64 = 1e-9;

/// Prunes one estimate at any threshold.
///
/// The loss of an n-gram `(h, w)` is the relative entropy between the models with and without it
/// (Stolcke's equation 6), from which follows the relative change of perplexity `exp(loss) - 1`:
///
/// ```text
/// loss = -P(h) { p(w|h) [ln p(w|h') + ln b'(h) - ln p(w|h)] + (1 - sum over listed v of p(v|h)) [ln b'(h) - ln b(h)] }
/// ```
///
/// where `b'` is the back-off without it. `P(h)` is the history's share of the text: the product
/// of a Kneser-Ney model's own lower orders is not one, since those orders are made for backing
/// off (Chelba et al., Interspeech 2010).
pub struct Pruner<'a> {
    estimate: &'a Estimate,
    /// By order from 2, nats per word.
    losses: Vec<Vec<f64>>,
}

impl<'a> Pruner<'a> {
    /// Prepares to prune `estimate` at any threshold.
    pub fn new(estimate: &'a Estimate) -> Self {
        let losses = estimate
            .levels
            .windows(2)
            .map(|pair| losses(&pair[0], &pair[1], estimate.num_tokens))
            .collect();
        Self { estimate, losses }
    }

    /// The model without the n-grams that raise its perplexity by less than the share `threshold`
    /// (1e-7: a ten-millionth), from the highest order down: one that a longer n-gram begins with
    /// stays. Back-offs are computed anew, so every history's probabilities still sum to 1.
    ///
    /// # Errors
    /// More n-grams than a model holds.
    pub fn prune(&self, threshold: f64) -> Result<NgramLm, LmError> {
        let levels = &self.estimate.levels;
        let min_loss = threshold.ln_1p();
        let mut is_listed: Vec<Vec<bool>> = levels
            .iter()
            .map(|level| vec![false; level.keys.len()])
            .collect();
        is_listed[0].fill(true);
        for order in (2..=levels.len()).rev() {
            for index in 0..levels[order - 1].keys.len() {
                if is_listed[order - 1][index] || self.losses[order - 2][index] >= min_loss {
                    is_listed[order - 1][index] = true;
                    let prefix = levels[order - 1].prefixes[index] as usize;
                    is_listed[order - 2][prefix] = true;
                }
            }
        }
        let backoffs = backoffs(levels, &is_listed);
        self.estimate
            .listed_lm(|order, index| is_listed[order - 1][index], &backoffs)
    }

    /// Every n-gram's threshold: it is left out above it, unless a longer one begins with it.
    pub(super) fn thresholds(&self) -> Vec<f64> {
        let losses = self.losses.iter().flatten();
        losses.map(|loss| loss.exp_m1()).collect()
    }
}

/// What each n-gram of a level is worth, nats per word of the text.
fn losses(below: &Level, level: &Level, num_tokens: usize) -> Vec<f64> {
    let num_ngrams = level.keys.len();
    let mut losses = Vec::with_capacity(num_ngrams);
    for siblings in level.prefixes.chunk_by(|a, b| a == b) {
        let range = losses.len()..losses.len() + siblings.len();
        let history = siblings[0] as usize;
        let share = f64::from(below.counts[history]) / num_tokens as f64;
        let shorter = |index: usize| below.probs[level.suffixes[index] as usize];
        let unlisted = 1.0 - range.clone().map(|index| level.probs[index]).sum::<f64>();
        let unlisted_shorter = 1.0 - range.clone().map(shorter).sum::<f64>();
        let ln_backoff = below.backoffs[history].ln();
        for index in range {
            let (prob, shorter) = (level.probs[index], shorter(index));
            let new_backoff = (unlisted + prob) / (unlisted_shorter + shorter);
            let ln_new = new_backoff.ln();
            let gain =
                prob * (shorter.ln() + ln_new - prob.ln()) + unlisted * (ln_new - ln_backoff);
            losses.push((-share * gain).max(0.0));
        }
    }
    losses
}

/// Back-offs of every order when only some n-grams are listed: `b(h)` is what the listed n-grams
/// leave, over what the shorter history gives to the others.
fn backoffs(levels: &[Level], is_listed: &[Vec<bool>]) -> Vec<Vec<f64>> {
    let mut backoffs: Vec<Vec<f64>> = Vec::with_capacity(levels.len());
    // Probabilities of the order below in the pruned model, unlisted n-grams included.
    let mut below_probs = levels[0].probs.clone();
    for (order, level) in (2..).zip(&levels[1..]) {
        let is_listed = &is_listed[order - 1];
        let num_histories = below_probs.len();
        let (mut listed, mut listed_shorter) = (vec![0.0; num_histories], vec![0.0; num_histories]);
        for index in (0..level.keys.len()).filter(|&index| is_listed[index]) {
            let history = level.prefixes[index] as usize;
            listed[history] += level.probs[index];
            listed_shorter[history] += below_probs[level.suffixes[index] as usize];
        }
        let of_below: Vec<f64> = (0..num_histories)
            .map(|history| match 1.0 - listed_shorter[history] {
                left if left > MIN_UNLISTED => (1.0 - listed[history]) / left,
                // Every word is listed: the back-off is never used.
                _ => levels[order - 2].backoffs[history],
            })
            .collect();
        let probs = (0..level.keys.len()).map(|index| {
            if is_listed[index] {
                level.probs[index]
            } else {
                let backoff = of_below[level.prefixes[index] as usize];
                backoff * below_probs[level.suffixes[index] as usize]
            }
        });
        below_probs = probs.collect();
        backoffs.push(of_below);
    }
    backoffs.push(vec![1.0; below_probs.len()]);
    backoffs
}
