//! Mean of the weights after each of the last epochs.

use shared_model::weights::Weights;

/// A running mean over snapshots of a network's weights.
#[derive(Debug, Clone, Default)]
pub(super) struct Averaging {
    /// Sums, as f32: a handful of snapshots of similar size.
    pub sums: Weights,
    pub count: usize,
}

impl Averaging {
    pub fn add(&mut self, weights: &Weights) {
        if self.count == 0 {
            self.sums = weights.clone();
        } else {
            for (name, sum) in &mut self.sums {
                if let Some(weight) = weights.get(name) {
                    for (sum, value) in sum.data.iter_mut().zip(&weight.data) {
                        *sum += value;
                    }
                }
            }
        }
        self.count += 1;
    }

    pub fn mean(&self) -> Option<Weights> {
        if self.count == 0 {
            return None;
        }
        let mut mean = self.sums.clone();
        for weight in mean.values_mut() {
            for value in &mut weight.data {
                *value /= self.count as f32;
            }
        }
        Some(mean)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use shared_model::weights::WeightTensor;

    use super::*;

    #[test]
    fn the_mean_is_over_what_was_added() {
        let weights = |value: f32| {
            Weights::from([(
                "w".into(),
                WeightTensor {
                    shape: vec![2],
                    data: vec![value, -value],
                },
            )])
        };
        let mut average = Averaging::default();
        assert!(average.mean().is_none());
        for value in [1.0, 2.0, 6.0] {
            average.add(&weights(value));
        }
        assert_eq!(average.mean().unwrap(), weights(3.0));
    }
}
