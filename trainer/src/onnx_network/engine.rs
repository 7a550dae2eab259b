//! rten as the engine of ONNX files.

use rten::{Model, NodeId, ValueOrView};
use rten_tensor::{NdTensor, Tensor, prelude::*};

/// A file that can be run.
pub(super) struct Engine {
    model: Model,
    outputs: Vec<NodeId>,
}

/// What a file says of a batch.
pub(super) struct Output {
    /// `[batch, time, vocab]`
    pub shape: [usize; 3],
    /// Row-major.
    pub log_probs: Vec<f32>,
    /// Real frames of each row, if it says so.
    pub lengths: Option<Vec<i32>>,
}

impl Engine {
    /// # Errors
    /// Why it is no file that can be run.
    pub fn load(file: Vec<u8>) -> Result<Self, String> {
        let model = Model::load(file).map_err(|error| error.to_string())?;
        let outputs = model.output_ids().iter().take(2).copied().collect();
        Ok(Self { model, outputs })
    }

    pub fn num_inputs(&self) -> usize {
        self.model.input_ids().len()
    }

    /// - `features`: of this shape, `[batch, time, n_mels]`, row-major.
    /// - `lengths`: real frames of each row.
    ///
    /// # Errors
    /// Why there is no such output.
    pub fn run(
        &self,
        features: Vec<f32>,
        shape: [usize; 3],
        lengths: Vec<i32>,
    ) -> Result<Output, String> {
        let &[first, second] = self.model.input_ids() else {
            return Err("it does not have two inputs".to_owned());
        };
        let features = Tensor::from_data(&shape, features);
        let lengths = NdTensor::from_data([shape[0]], lengths);
        let inputs: Vec<(NodeId, ValueOrView<'_>)> = vec![
            (first, features.view().into()),
            (second, lengths.view().into()),
        ];
        let run = self.model.run(inputs, &self.outputs, None);
        let mut outputs = run.map_err(|error| error.to_string())?.into_iter();
        let log_probs: Tensor<f32> = outputs
            .next()
            .and_then(|value| value.try_into().ok())
            .ok_or("its first output is no tensor of f32")?;
        let shape: [usize; 3] = log_probs
            .shape()
            .to_vec()
            .try_into()
            .map_err(|shape: Vec<usize>| format!("its first output has {} axes", shape.len()))?;
        let lengths: Option<NdTensor<i32, 1>> =
            outputs.next().and_then(|value| value.try_into().ok());
        Ok(Output {
            shape,
            log_probs: log_probs.to_vec(),
            lengths: lengths.map(|lengths| lengths.to_vec()),
        })
    }
}
