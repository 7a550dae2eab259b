//! The trial that a graphics card must pass: forward pass, gradients and one optimiser step of a
//! tiny network, against the CPU. The same trial compares networks of any size.

use std::fmt;
use std::sync::OnceLock;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::{Device, Tensor};
use burn::tensor::TensorData;
use burn::tensor::activation::log_softmax;
use shared_model::model::{CtcModel, CtcOutput, Mode, ModelConfig};
use shared_model::weights::WeightError;

use crate::fault;

/// Greatest difference that passes, relative to the greatest value of the same quantity. Float
/// summation order explains 1e-5 or so; a miscompiled kernel is off by orders more.
pub const TOLERANCE: f32 = 1e-3;

/// A network with fresh weights and a batch for it.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The network; dropout takes no part.
    pub config: ModelConfig,
    /// Real feature frames of each utterance: padding is part of the trial.
    pub lengths: Vec<usize>,
}

impl Trial {
    /// A moment's work on any device.
    pub fn tiny() -> Self {
        Self {
            config: ModelConfig {
                vocab_size: 12,
                d_model: 16,
                n_layers: 1,
                n_heads: 2,
                d_ffn: 32,
                conv_kernel: 5,
                dropout: 0.0,
                ..ModelConfig::default()
            },
            lengths: vec![40, 23, 9],
        }
    }
}

/// Greatest relative differences from the CPU.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Agreement {
    /// Of the logits of real frames, with gradients and without.
    pub forward: f32,
    /// Of the gradients of all weights.
    pub gradients: f32,
    /// Of the changes of all weights by one step of AdamW.
    pub step: f32,
}

impl Agreement {
    /// The greatest of the three.
    pub fn worst(&self) -> f32 {
        self.forward.max(self.gradients).max(self.step)
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "greatest difference: forward {:.1e}, gradients {:.1e}, optimiser step {:.1e}",
            self.forward, self.gradients, self.step
        )
    }
}

/// Why a device did not pass its trial.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum AdapterCheckError {
    /// It computes something else than the CPU.
    #[error("its results differ from the CPU's ({0}; at most {TOLERANCE:.0e} passes)")]
    Differs(Agreement),
    /// The network cannot be built.
    #[error(transparent)]
    Network(#[from] WeightError),
    /// The device gives up; the message of its panic.
    #[error("it failed the self-test: {0}")]
    Failed(String),
}

/// What a device computed, read back to the host.
#[derive(Debug, Clone)]
struct Computed {
    logits: Vec<f32>,
    gradients: Vec<Vec<f32>>,
    /// Change of each weight by the optimiser step.
    changes: Vec<Vec<f32>>,
}

/// Values that no symmetry hides errors in, the same everywhere.
fn pattern(count: usize, scale: f32) -> Vec<f32> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            scale * ((state >> 40) as f32 / 8_388_608.0 - 1.0)
        })
        .collect()
}

struct ReadGradients<'a> {
    gradients: &'a GradientsParams,
    values: Vec<Vec<f32>>,
}

impl ModuleVisitor for ReadGradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.values.push(read(gradient));
        }
    }
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The network of a trial, and what it makes of the batch.
fn forward(trial: &Trial, device: &Device) -> Result<(CtcModel, CtcOutput), WeightError> {
    let Trial { config, lengths } = trial;
    let (batch, frames) = (lengths.len(), lengths.iter().copied().max().unwrap_or(0));
    let model = CtcModel::init(config, 7, device)?;
    let features = TensorData::new(
        pattern(batch * frames * config.n_mels, 2.0),
        [batch, frames, config.n_mels],
    );
    let features = Tensor::<3>::from_data(features, device);
    let output = model.forward(features, lengths, &mut Mode::Eval);
    Ok((model, output))
}

/// Logits of real frames.
fn logits(output: &CtcOutput) -> Vec<f32> {
    let mut logits = read(output.logits.clone().without_autodiff());
    zero_padding(&mut logits, output);
    logits
}

/// Runs the trial on a device (without autodiff; it is added here).
fn compute(trial: &Trial, device: &Device) -> Result<Computed, WeightError> {
    let (model, output) = forward(trial, &device.clone().autodiff())?;
    let before = model.weights();
    // What is not differentiated may be computed by other kernels.
    let mut logits_of_both = logits(&output);
    logits_of_both.extend(logits(&forward(trial, device)?.1));
    let gradients = gradients(&model, output);
    let mut reader = ReadGradients {
        gradients: &gradients,
        values: Vec::new(),
    };
    model.visit(&mut reader);
    let gradient_values = reader.values;
    // A large epsilon: the first step of Adam is otherwise the sign of the gradient, which turns a
    // rounding error near zero into a whole step.
    let mut optimizer = AdamWConfig::new().with_epsilon(1.0).init();
    let after = optimizer.step(1e-2, model, gradients).weights();
    let changes = before
        .iter()
        .map(|(name, weight)| {
            let new = after.get(name).map_or(&[][..], |w| &w.data);
            weight.data.iter().zip(new).map(|(a, b)| b - a).collect()
        })
        .collect();
    Ok(Computed {
        logits: logits_of_both,
        gradients: gradient_values,
        changes,
    })
}

/// Of a loss over real frames only: what lies past the lengths is no result.
fn gradients(model: &CtcModel, output: CtcOutput) -> GradientsParams {
    let [batch, time, vocab] = output.logits.dims();
    let mut weights = pattern(batch * time * vocab, 1.0);
    zero_padding(&mut weights, &output);
    let device = output.logits.device();
    let weights = Tensor::<3>::from_data(TensorData::new(weights, [batch, time, vocab]), &device);
    // The mean keeps gradients below the epsilon of the step under trial.
    let loss = (log_softmax(output.logits, 2) * weights).mean();
    GradientsParams::from_grads(loss.backward(), model)
}

/// Zeroes what lies past the lengths of `output`; `values`: shaped as its logits.
fn zero_padding(values: &mut [f32], output: &CtcOutput) {
    let [_, time, vocab] = output.logits.dims();
    for (row, &length) in output.lengths.iter().enumerate() {
        values[(row * time + length) * vocab..(row + 1) * time * vocab].fill(0.0);
    }
}

/// The CPU's results, computed once.
fn reference() -> Result<&'static Computed, AdapterCheckError> {
    static REFERENCE: OnceLock<Computed> = OnceLock::new();
    if let Some(known) = REFERENCE.get() {
        return Ok(known);
    }
    let computed = compute(&Trial::tiny(), &Device::flex())?;
    Ok(REFERENCE.get_or_init(|| computed))
}

/// Tries a device with [`Trial::tiny`].
///
/// # Errors
///
/// The device fails on the way, or what it computes differs by more than [`TOLERANCE`].
pub fn agreement(device: &Device) -> Result<Agreement, AdapterCheckError> {
    let agreement = differences(reference()?, &Trial::tiny(), device)?;
    if agreement.worst() <= TOLERANCE {
        Ok(agreement)
    } else {
        Err(AdapterCheckError::Differs(agreement))
    }
}

/// How far `device` is from the CPU in `trial`, whether much or little.
///
/// # Errors
///
/// The network cannot be built, or the device fails on the way.
pub fn compare_with_cpu(trial: &Trial, device: &Device) -> Result<Agreement, AdapterCheckError> {
    let expected = compute(trial, &Device::flex())?;
    differences(&expected, trial, device)
}

/// A panic on the way (drivers and shader compilers do) is a failed trial.
fn differences(
    expected: &Computed,
    trial: &Trial,
    device: &Device,
) -> Result<Agreement, AdapterCheckError> {
    let found = fault::trial(|| compute(trial, device)).map_err(AdapterCheckError::Failed)??;
    Ok(compare(expected, &found))
}

fn compare(expected: &Computed, found: &Computed) -> Agreement {
    Agreement {
        forward: relative_difference(&expected.logits, &found.logits),
        gradients: greatest(&expected.gradients, &found.gradients),
        step: greatest(&expected.changes, &found.changes),
    }
}

fn greatest(expected: &[Vec<f32>], found: &[Vec<f32>]) -> f32 {
    if expected.len() != found.len() {
        return f32::MAX;
    }
    // The scale is that of all tensors together: a gradient that is zero in exact arithmetic
    // (a bias before a normalisation) is rounding noise on both sides.
    let scale = expected
        .iter()
        .flatten()
        .fold(0.0_f32, |m, v| m.max(v.abs()));
    let mut worst = 0.0_f32;
    for (a, b) in expected.iter().zip(found) {
        worst = worst.max(difference(a, b));
    }
    relative(worst, scale)
}

fn relative_difference(expected: &[f32], found: &[f32]) -> f32 {
    let scale = expected.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let difference = difference(expected, found);
    relative(difference, scale)
}

fn relative(difference: f32, scale: f32) -> f32 {
    if scale > 0.0 && difference < f32::MAX {
        (difference / scale).min(f32::MAX)
    } else {
        difference
    }
}

/// Greatest absolute difference; the greatest number there is where a value is not finite or sizes
/// differ (infinity has no JSON).
fn difference(expected: &[f32], found: &[f32]) -> f32 {
    if expected.len() != found.len() || found.iter().any(|v| !v.is_finite()) {
        return f32::MAX;
    }
    expected
        .iter()
        .zip(found)
        .fold(0.0, |worst, (a, b)| worst.max((a - b).abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_agrees_with_itself() {
        let agreement = agreement(&Device::flex()).expect("flex passes its own test");
        assert_eq!(agreement.forward, 0.0);
        let reference = reference().expect("computed");
        let moved: usize = reference
            .changes
            .iter()
            .filter(|c| c.iter().any(|v| *v != 0.0))
            .count();
        assert!(moved > 10, "the optimiser step moved {moved} weights");
        assert_eq!(
            reference
                .gradients
                .iter()
                .filter(|g| g.iter().all(|v| *v == 0.0))
                .count(),
            0,
            "every weight has a gradient"
        );
    }

    #[test]
    fn one_wrong_value_or_a_nan_is_seen() {
        let good = reference().expect("computed").clone();
        let mut wrong = good.clone();
        wrong.gradients[0][0] += 1.0;
        assert!(compare(&good, &wrong).gradients > TOLERANCE);
        let mut wrong = good.clone();
        wrong.logits[3] = f32::NAN;
        assert_eq!(compare(&good, &wrong).forward, f32::MAX);
        let mut wrong = good.clone();
        wrong.changes.pop();
        assert_eq!(compare(&good, &wrong).step, f32::MAX);
    }
}
