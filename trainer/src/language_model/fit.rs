//! The largest model within a number of bytes.

use shared_model::decode::lm::NgramLm;

use super::LmError;
use super::prune::Pruner;

/// A search ends when this much of the allowed bytes is used.
const ENOUGH: f64 = 0.995;
const MAX_TRIALS: usize = 24;

/// The outcome of [`fit_to_bytes`].
pub struct Fitted {
    /// The pruned model.
    pub lm: NgramLm,
    /// As `write` gave them.
    pub bytes: Vec<u8>,
    /// What pruning gives this model.
    pub threshold: f64,
}

/// Searches the pruning threshold at which the file that `write` makes of the model is just not
/// larger than `max_bytes`.
///
/// # Errors
/// A vocabulary that alone takes more.
pub fn fit_to_bytes(
    pruner: &Pruner<'_>,
    max_bytes: usize,
    write: impl Fn(&NgramLm) -> Result<Vec<u8>, LmError>,
) -> Result<Fitted, LmError> {
    let mut thresholds = pruner.thresholds();
    thresholds.sort_by(|a, b| b.total_cmp(a));
    let try_threshold = |threshold| {
        let lm = pruner.prune(threshold)?;
        let bytes = write(&lm)?;
        Ok::<_, LmError>(Fitted {
            lm,
            bytes,
            threshold,
        })
    };
    let whole = try_threshold(0.0)?;
    if whole.bytes.len() <= max_bytes {
        return Ok(whole);
    }
    let mut best = try_threshold(f64::INFINITY)?;
    if best.bytes.len() > max_bytes {
        return Err(LmError::DoesNotFit {
            bytes: best.bytes.len(),
            limit: max_bytes,
        });
    }
    // Of the n-grams by worth, the first `fits` fit and the first `exceeds` do not.
    let (mut fits, mut exceeds) = (0, thresholds.len());
    let mut exceeding_bytes = whole.bytes.len();
    for _ in 0..MAX_TRIALS {
        if best.bytes.len() as f64 >= ENOUGH * max_bytes as f64 || exceeds - fits < 2 {
            break;
        }
        // Bytes grow nearly in proportion to n-grams; a step of an eighth at least keeps the
        // search from creeping where they do not.
        let wanted = (max_bytes - best.bytes.len()) as f64;
        let share = wanted / (exceeding_bytes - best.bytes.len()) as f64;
        let step = (exceeds - fits) as f64 * share.clamp(0.125, 0.875);
        let middle = (fits + step as usize).clamp(fits + 1, exceeds - 1);
        let trial = try_threshold(thresholds[middle])?;
        if trial.bytes.len() <= max_bytes {
            (fits, best) = (middle, trial);
        } else {
            (exceeds, exceeding_bytes) = (middle, trial.bytes.len());
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::estimate::tests::corpus;
    use super::super::estimate::{EstimateConfig, estimate};
    use super::*;

    #[test]
    fn the_model_is_as_large_as_allowed_and_no_larger() {
        let lines: Vec<String> = (0..400u32)
            .map(|at| {
                let word = |salt: u32| format!("w{}", (at * salt) % (7 + salt));
                [word(3), word(5), word(11), word(17)].join(" ")
            })
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let estimate = estimate(&corpus(&lines), &EstimateConfig::new(3)).unwrap();
        let pruner = Pruner::new(&estimate);
        let write = |lm: &NgramLm| Ok(lm.to_arpa().into_bytes());
        let whole = estimate.to_lm().unwrap().to_arpa().len();
        let words = pruner.prune(f64::INFINITY).unwrap().to_arpa().len();
        let allowed = (whole + words) / 2;
        let fitted = fit_to_bytes(&pruner, allowed, write).unwrap();
        assert!(fitted.bytes.len() <= allowed);
        assert!(
            fitted.bytes.len() * 20 > allowed * 19,
            "{} of {allowed}",
            fitted.bytes.len()
        );
        let again = pruner.prune(fitted.threshold).unwrap();
        assert_eq!(again.to_arpa().into_bytes(), fitted.bytes);

        assert_eq!(fit_to_bytes(&pruner, whole, write).unwrap().threshold, 0.0);
        assert!(matches!(
            fit_to_bytes(&pruner, words - 1, write),
            Err(LmError::DoesNotFit { .. })
        ));
    }
}
