//! What phone heads learn of a batch.

use std::ops::Range;

use crate::loss::mean_weights;

/// The phones of this process's rows of a batch.
#[derive(Debug, Clone)]
pub(super) struct PhoneTargets {
    /// By position among the rows; empty where a word has no pronunciation.
    pub targets: Vec<Vec<u32>>,
    /// Weight of each row's CTC loss in the batch's mean, which is over the rows that have phones.
    pub weights: Vec<f64>,
}

impl PhoneTargets {
    /// - `spelled`, `frames`: phones and encoder frames of all rows of the batch.
    /// - `own`: the rows of this process.
    pub fn new(spelled: &[Vec<u32>], frames: &[usize], own: Range<usize>) -> Self {
        let mut weights = mean_weights(frames, spelled);
        Self {
            targets: spelled[own.clone()].to_vec(),
            weights: weights.drain(own).collect(),
        }
    }

    /// Phones and weights of these rows.
    pub fn of(&self, rows: &[usize]) -> (Vec<Vec<u32>>, Vec<f64>) {
        let targets = rows.iter().map(|&row| self.targets[row].clone());
        (
            targets.collect(),
            rows.iter().map(|&row| self.weights[row]).collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_phones_or_with_too_many_count_for_nothing() {
        let spelled = [vec![2, 3], vec![], vec![2, 2, 2], vec![4]];
        let all = PhoneTargets::new(&spelled, &[10, 10, 4, 10], 0..4);
        assert_eq!(all.weights, [0.25, 0.0, 0.0, 0.5]);
        // Of another process the mean is the same.
        let own = PhoneTargets::new(&spelled, &[10, 10, 4, 10], 2..4);
        assert_eq!(own.weights, [0.0, 0.5]);
        assert_eq!(own.of(&[1]), (vec![vec![4]], vec![0.5]));
    }
}
