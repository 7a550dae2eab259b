//! Maps that give from some of their inputs what they gave from all of them.
//!
//! What a map loses with the inputs that a narrower network has not is regressed on those that it has:
//! least squares over what a trained network maps when it hears speech.

use std::collections::BTreeMap;

use burn::prelude::*;
use shared_model::{
    model::{CtcModel, Mode, ModelConfig, Operations},
    weights::{WeightError, WeightTensor, Weights},
};

use crate::{
    data::{Batches, DataError},
    train::shard::split,
};

/// Share of the mean square of an input that is added to each: kept weights move no farther than the
/// speech heard can tell.
const RIDGE: f64 = 1e-3;

/// Frames whose products are added up at once.
const FRAMES_AT_ONCE: usize = 4096;

/// Second moments of what the affine maps of a network get, by the name of the map.
pub(in crate::train) type Inputs = BTreeMap<String, Moments>;

/// Sums over frames of the products of all pairs of inputs, with an input that is always 1 behind the
/// others.
#[derive(Debug, Clone, Default)]
pub(in crate::train) struct Moments {
    /// Inputs, the last of them included.
    width: usize,
    /// `[width, width]`, row-major.
    sums: Vec<f64>,
    /// Not in the sums yet.
    waiting: Vec<Tensor<2>>,
}

impl Moments {
    /// Adds frames `[frames, d_in]`.
    fn add(&mut self, frames: Tensor<2>) {
        self.waiting.push(frames);
        let count: usize = self.waiting.iter().map(|frames| frames.dims()[0]).sum();
        if count >= FRAMES_AT_ONCE {
            self.settle();
        }
    }

    /// Puts what waits into the sums.
    fn settle(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let frames = Tensor::cat(std::mem::take(&mut self.waiting), 0);
        let [count, width] = frames.dims();
        self.width = width + 1;
        self.sums.resize(self.width * self.width, 0.0);
        let ones = Tensor::ones([count, 1], &frames.device());
        let frames = Tensor::cat(vec![frames, ones], 1);
        let products = frames.clone().transpose().matmul(frames).into_data();
        let sums = self.sums.iter_mut().zip(products.iter::<f32>());
        sums.for_each(|(sum, product)| *sum += f64::from(product));
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.sums[row * self.width + column]
    }

    /// What to add to rows `kept` and to the bias of a map, so that the rows left out are missed least:
    /// `[kept.len() + 1, columns.len()]`, row-major. `None` where the frames do not tell.
    ///
    /// - `map`: `[d_in, d_out]`.
    pub fn makes_up(
        &self,
        map: &WeightTensor,
        kept: &[usize],
        columns: &[usize],
    ) -> Option<Vec<f64>> {
        let inputs = self.width.checked_sub(1)?;
        let d_out = *map.shape.get(1)?;
        if map.shape[0] != inputs || kept.iter().any(|&row| row >= inputs) {
            return None;
        }
        let left_out: Vec<usize> = (0..inputs).filter(|row| !kept.contains(row)).collect();
        let known: Vec<usize> = kept.iter().copied().chain([inputs]).collect();
        let mean_square = kept.iter().map(|&row| self.at(row, row)).sum::<f64>();
        let ridge = RIDGE * mean_square / kept.len().max(1) as f64;
        let size = known.len();
        let mut gram = vec![0.0; size * size];
        for (i, &row) in known.iter().enumerate() {
            for (j, &column) in known.iter().enumerate() {
                gram[i * size + j] = self.at(row, column);
            }
            if i + 1 < size {
                gram[i * size + i] += ridge;
            }
        }
        let mut missing = vec![0.0; size * columns.len()];
        for (sums, &row) in missing.chunks_mut(columns.len().max(1)).zip(&known) {
            for &input in &left_out {
                let moment = self.at(row, input);
                for (sum, &column) in sums.iter_mut().zip(columns) {
                    *sum += moment * f64::from(map.data[input * d_out + column]);
                }
            }
        }
        solve(gram, size, missing, columns.len())
    }
}

/// The solution of `matrix * x = right` for a symmetric positive definite `matrix [size, size]` and
/// `right [size, columns]`, by Cholesky's factors; `None` if it is not definite.
fn solve(
    mut matrix: Vec<f64>,
    size: usize,
    mut right: Vec<f64>,
    columns: usize,
) -> Option<Vec<f64>> {
    for j in 0..size {
        for i in j..size {
            let products = (0..j).map(|k| matrix[i * size + k] * matrix[j * size + k]);
            let rest = matrix[i * size + j] - products.sum::<f64>();
            if i > j {
                matrix[i * size + j] = rest / matrix[j * size + j];
            } else if rest > 0.0 {
                matrix[j * size + j] = rest.sqrt();
            } else {
                return None;
            }
        }
    }
    for column in 0..columns {
        for i in 0..size {
            let known = (0..i).map(|k| matrix[i * size + k] * right[k * columns + column]);
            let rest = right[i * columns + column] - known.sum::<f64>();
            right[i * columns + column] = rest / matrix[i * size + i];
        }
        for i in (0..size).rev() {
            let known = (i + 1..size).map(|k| matrix[k * size + i] * right[k * columns + column]);
            let rest = right[i * columns + column] - known.sum::<f64>();
            right[i * columns + column] = rest / matrix[i * size + i];
        }
    }
    Some(right)
}

/// What every affine map of a network gets from these batches.
///
/// # Errors
/// A batch that cannot be made; within, weights that do not fit `config`.
pub(in crate::train) fn inputs_of(
    config: &ModelConfig,
    weights: &Weights,
    batches: Batches<'_>,
) -> Result<Result<Inputs, WeightError>, DataError> {
    let device = Device::flex();
    // Fused operations would tell nothing.
    let model = match CtcModel::from_weights(config, weights, &device) {
        Ok(model) => model.with_operations(Operations::Composed),
        Err(error) => return Ok(Err(error)),
    };
    let mut inputs = Inputs::new();
    for batch in batches {
        let batch = batch?;
        // Utterance by utterance: none has padding.
        for utterance in split(&batch, batch.lengths.len()) {
            let mut tell = |name: &str, x: Tensor<3>| {
                let [rows, time, width] = x.dims();
                let moments = inputs.entry(name.to_owned()).or_default();
                moments.add(x.reshape([rows * time, width]));
            };
            utterance.forward(&model, false, &device, &mut Mode::Observe(&mut tell));
        }
    }
    inputs.values_mut().for_each(Moments::settle);
    Ok(Ok(inputs))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn moments(frames: &[[f32; 3]]) -> Moments {
        let mut moments = Moments::default();
        let data = TensorData::new(frames.concat(), [frames.len(), 3]);
        moments.add(Tensor::from_data(data, &Device::flex()));
        moments.settle();
        moments
    }

    fn map() -> WeightTensor {
        WeightTensor {
            shape: vec![3, 2],
            data: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        }
    }

    #[test]
    fn an_input_that_follows_from_the_others_is_not_missed() {
        // The last input is twice the first and 3: its 5 and 6 go to the first row and the bias.
        let frames: Vec<[f32; 3]> = (0..40)
            .map(|i| {
                let (a, b) = ((i as f32 * 0.7).sin(), (i as f32 * 1.9).cos());
                [a, b, 2.0 * a + 3.0]
            })
            .collect();
        let added = moments(&frames).makes_up(&map(), &[0, 1], &[0, 1]).unwrap();
        for (value, want) in added.iter().zip([10.0, 12.0, 0.0, 0.0, 15.0, 18.0]) {
            assert!((value - want).abs() < 0.1, "{added:?}");
        }
        let of_one_column = moments(&frames).makes_up(&map(), &[1, 0], &[1]).unwrap();
        for (value, want) in of_one_column.iter().zip([0.0, 12.0, 18.0]) {
            assert!((value - want).abs() < 0.1, "{of_one_column:?}");
        }
    }

    #[test]
    fn an_input_that_nothing_tells_of_is_missed_by_its_mean_alone() {
        let frames = [[1., 0., 5.], [-1., 0., 7.], [0., 1., 5.], [0., -1., 7.]];
        let frames: Vec<[f32; 3]> = frames
            .into_iter()
            .chain([[1., 0., 7.], [-1., 0., 5.], [0., 1., 7.], [0., -1., 5.]])
            .collect();
        let added = moments(&frames).makes_up(&map(), &[0, 1], &[0, 1]).unwrap();
        for (value, want) in added.iter().zip([0.0, 0.0, 0.0, 0.0, 30.0, 36.0]) {
            assert!((value - want).abs() < 1e-6, "{added:?}");
        }
        // Of another map nothing is known, and silence tells nothing.
        let other = WeightTensor {
            shape: vec![4, 2],
            data: vec![0.0; 8],
        };
        assert!(moments(&frames).makes_up(&other, &[0], &[0]).is_none());
        assert!(
            moments(&[[0.0; 3]; 2])
                .makes_up(&map(), &[0], &[0])
                .is_none()
        );
    }
}
