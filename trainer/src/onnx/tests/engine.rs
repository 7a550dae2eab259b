//! The independent engine that runs what is written: rten.

use rten::{Model, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};

/// A loaded file.
pub struct Engine(Model);

/// f32 values and their shape.
#[derive(Debug)]
pub struct Output {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl Engine {
    pub fn load(file: Vec<u8>) -> Self {
        Self(Model::load(file).unwrap())
    }

    fn outputs<const N: usize>(
        &self,
        inputs: Vec<(&str, ValueOrView<'_>)>,
        names: [&str; N],
    ) -> [rten::Value; N] {
        let id = |name: &str| self.0.node_id(name).unwrap();
        let inputs = inputs.into_iter().map(|(name, value)| (id(name), value));
        let outputs = self.0.run(inputs.collect(), &names.map(id), None);
        outputs.unwrap().try_into().unwrap()
    }

    /// `features`: `[lengths.len(), time, n_mels]`. Log-probabilities and their lengths.
    pub fn run_features(
        &self,
        features: &[f32],
        lengths: &[usize],
        n_mels: usize,
    ) -> (Output, Vec<usize>) {
        let time = features.len() / n_mels / lengths.len();
        let x = Tensor::from_data(&[lengths.len(), time, n_mels], features.to_vec());
        let lengths: Vec<i32> = lengths.iter().map(|&length| length as i32).collect();
        let lengths = NdTensor::from_data([lengths.len()], lengths);
        let inputs = vec![("x", x.view().into()), ("x_lens", lengths.view().into())];
        let [log_probs, lengths] = self.outputs(inputs, ["log_probs", "log_probs_len"]);
        let lengths: NdTensor<i32, 1> = lengths.try_into().unwrap();
        let lengths = lengths.iter().map(|&length| length as usize).collect();
        (Output::new(log_probs), lengths)
    }

    pub fn run_samples(&self, samples: &[f32]) -> Output {
        let samples = Tensor::from_data(&[1, samples.len()], samples.to_vec());
        let inputs = vec![("input_values", samples.view().into())];
        let [logits] = self.outputs(inputs, ["logits"]);
        Output::new(logits)
    }

    /// What a graph of one whole number gives.
    pub fn run_number<const N: usize>(&self, number: usize, outputs: [&str; N]) -> [Output; N] {
        let number = NdTensor::from_data([], vec![number as i32]);
        let inputs = vec![("number", number.view().into())];
        self.outputs(inputs, outputs).map(Output::new)
    }
}

impl Output {
    fn new(value: rten::Value) -> Self {
        let tensor: Tensor<f32> = value.try_into().unwrap();
        Self {
            shape: tensor.shape().to_vec(),
            values: tensor.to_vec(),
        }
    }

    /// The `frames` first frames of an utterance of `[batch, time, classes]`.
    pub fn utterance(&self, index: usize, frames: usize) -> &[f32] {
        let (time, classes) = (self.shape[1], self.shape[2]);
        &self.values[index * time * classes..][..frames * classes]
    }
}

/// The largest difference of two lists that are equally long.
#[track_caller]
pub fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    // NaN is no difference that is small.
    differences.fold(0.0, |most, d| if d <= most { most } else { d })
}
