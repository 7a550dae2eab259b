//! A model's weights as constants of a graph.

use shared_model::weights::{Int8Weights, WeightError, WeightTensor, Weights};

use super::graph::{Graph, Value};
use super::wire::ElementType;

/// Weights by name, some of them as integers.
#[derive(Clone, Copy)]
pub(super) struct StoredWeights<'a> {
    pub weights: &'a Weights,
    /// Those that are written as int8 with a scale per output channel; the others are f32.
    pub int8: &'a Int8Weights,
}

/// How a matrix `[rows, channels]` lies in the graph.
#[derive(Clone, Copy)]
enum Layout {
    /// As it is, for products.
    Rows,
    /// `[channels, rows / taps, taps]`, for convolutions over time: the taps are outermost in the rows.
    Taps(usize),
}

impl Layout {
    fn shape(self, rows: usize, channels: usize) -> Vec<usize> {
        match self {
            Self::Rows => vec![rows, channels],
            Self::Taps(taps) => vec![channels, rows / taps, taps],
        }
    }

    /// The values in the order of [`Self::shape`].
    fn arrange<T: Copy>(self, values: &[T], rows: usize, channels: usize) -> Vec<T> {
        match self {
            Self::Rows => values.to_vec(),
            Self::Taps(taps) => {
                let inputs = rows / taps;
                let of_channel = |channel| {
                    (0..rows).map(move |at| (at % taps * inputs + at / taps) * channels + channel)
                };
                (0..channels)
                    .flat_map(of_channel)
                    .map(|at| values[at])
                    .collect()
            }
        }
    }

    /// The shape in which one value a channel multiplies all of the channel's weights.
    fn scale_shape(self, channels: usize) -> Vec<usize> {
        match self {
            Self::Rows => vec![1, channels],
            Self::Taps(_) => vec![channels, 1, 1],
        }
    }
}

impl StoredWeights<'_> {
    fn get(&self, name: &str) -> Result<&WeightTensor, WeightError> {
        let missing = || WeightError::Missing {
            name: name.to_owned(),
        };
        self.weights.get(name).ok_or_else(missing)
    }

    /// The values of a vector.
    pub(super) fn values(&self, name: &str) -> Result<&[f32], WeightError> {
        Ok(&self.get(name)?.data)
    }

    /// `[rows, channels]` of a matrix.
    pub(super) fn dimensions(&self, name: &str) -> Result<[usize; 2], WeightError> {
        let shape = &self.get(name)?.shape;
        shape.as_slice().try_into().map_err(|_| WeightError::Shape {
            name: name.to_owned(),
            found: shape.clone(),
            expected: vec![0, 0],
        })
    }

    /// A matrix for products, `[rows, channels]`; `factors` multiply its channels.
    pub(super) fn matrix<'g>(
        &self,
        g: &'g Graph,
        name: &str,
        factors: Option<&[f32]>,
    ) -> Result<Value<'g>, WeightError> {
        self.arranged(g, name, Layout::Rows, factors)
    }

    /// A matrix as the kernel of a convolution over time, `[channels, rows / taps, taps]`.
    pub(super) fn kernel<'g>(
        &self,
        g: &'g Graph,
        name: &str,
        taps: usize,
    ) -> Result<Value<'g>, WeightError> {
        self.arranged(g, name, Layout::Taps(taps), None)
    }

    fn arranged<'g>(
        &self,
        g: &'g Graph,
        name: &str,
        layout: Layout,
        factors: Option<&[f32]>,
    ) -> Result<Value<'g>, WeightError> {
        let [rows, channels] = self.dimensions(name)?;
        let shape = layout.shape(rows, channels);
        if let Some(stored) = self.int8.get(name) {
            let scales = multiplied(stored.scales(), factors);
            let integers = layout.arrange(&stored.values(), rows, channels);
            let integers = g.int8s(&format!("{name}.q"), &shape, &integers);
            let scales = g.floats(
                &format!("{name}.scale"),
                &layout.scale_shape(channels),
                &scales,
            );
            // Two operators that are computed once, when the file is loaded. From DequantizeLinear
            // onnxruntime makes products with activations of 8 bits, which change the words.
            return Ok(integers.to(ElementType::Float) * scales);
        }
        let values: Vec<f32> = self
            .get(name)?
            .data
            .chunks(channels.max(1))
            .flat_map(|row| multiplied(row, factors))
            .collect();
        Ok(g.floats(name, &shape, &layout.arrange(&values, rows, channels)))
    }

    /// A vector, `[channels]`.
    pub(super) fn vector<'g>(
        &self,
        g: &'g Graph,
        name: &str,
        factors: Option<&[f32]>,
    ) -> Result<Value<'g>, WeightError> {
        let values = multiplied(self.values(name)?, factors);
        Ok(g.floats(name, &[values.len()], &values))
    }
}

fn multiplied(values: &[f32], factors: Option<&[f32]>) -> Vec<f32> {
    match factors {
        None => values.to_vec(),
        Some(factors) => values
            .iter()
            .zip(factors)
            .map(|(value, factor)| value * factor)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_that_are_outermost_come_to_lie_innermost() {
        // Two taps of three inputs and two channels; a value's digits are its tap, input and channel.
        let values = [0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121];
        let kernel = Layout::Taps(2).arrange(&values, 6, 2);
        assert_eq!(Layout::Taps(2).shape(6, 2), [2, 3, 2]);
        assert_eq!(kernel, [0, 100, 10, 110, 20, 120, 1, 101, 11, 111, 21, 121]);
    }
}
