//! Every kernel against the composition of burn's operations that it stands for.

#![allow(clippy::unwrap_used)]

use burn::module::{Module, ModuleVisitor, Param};

use super::*;
use crate::{
    encoder::Frontend,
    network::{Mode, ModelConfig, SubsamplingPadding, TrainContext},
    nn::{
        attention::SelfAttention, builder::Builder, conv_module::ConvModule,
        feed_forward::FeedForward, mask::FrameMask, norm::Norm, pass::Pass,
        positions::RotaryTables,
    },
    weights::{Init, RandomInit, WeightError, WeightSource},
};

/// Of the largest value: rounding of sums of some hundred terms.
const TOLERANCE: f32 = 1e-5;

/// The same where factors have the 8 bits of bf16.
const BF16_TOLERANCE: f32 = 2e-2;

/// Weights whose norms and biases are not ones and zeros either.
struct Noise;

impl WeightSource for Noise {
    fn take(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>, WeightError> {
        let centre = match init {
            Init::Constant(value) => value,
            _ => 0.0,
        };
        let spread = Init::FanIn(shape[0].max(4));
        let values = RandomInit { seed: 2 }.take(name, shape, spread)?;
        Ok(values.into_iter().map(|value| centre + value).collect())
    }
}

fn noise(name: &str, shape: [usize; 3]) -> Tensor<3> {
    let values = RandomInit { seed: 1 }
        .take(name, &shape, Init::FanIn(1))
        .unwrap();
    let device = Device::flex().autodiff();
    Tensor::from_data(TensorData::new(values, shape), &device)
}

fn built<M>(make: impl FnOnce(Builder<'_>) -> Result<M, WeightError>) -> M {
    let device = Device::flex().autodiff();
    let mut source = Noise;
    make(Builder::new(&mut source, &device)).unwrap()
}

struct Gradients<'a> {
    of: &'a burn::tensor::Gradients,
    found: Vec<Vec<f32>>,
}

impl ModuleVisitor for Gradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.of).unwrap();
        self.found
            .push(gradient.into_data().iter::<f32>().collect());
    }
}

/// The real frames of `y`, and the gradients of their random projection: of `x` and of each
/// parameter.
fn observe<M: Module>(module: &M, x: &Tensor<3>, y: Tensor<3>, mask: &FrameMask) -> Vec<Vec<f32>> {
    let real = mask.zero_padding(y);
    let projection = noise("projection", real.dims());
    let gradients = (real.clone() * projection).sum().backward();
    let mut visitor = Gradients {
        of: &gradients,
        found: vec![],
    };
    module.visit(&mut visitor);
    let dx = x.grad(&gradients).unwrap();
    let more = [real.inner(), dx].map(|t| t.into_data().iter::<f32>().collect());
    visitor.found.extend(more);
    visitor.found
}

#[test]
fn rows_are_read_in_order_however_they_lie() {
    let x = Tensor::<2>::from_data([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], &Device::flex());
    let turned = x.swap_dims(0, 1).narrow(0, 1, 2);
    let turned = turned.try_into_primitive::<Flex>().unwrap();
    assert_eq!(rows_of(&turned).as_ref(), [2.0, 5.0, 3.0, 6.0]);
}

#[test]
fn a_branch_with_a_batch_norm_is_evaluated_as_its_composition() {
    let config = ModelConfig {
        d_model: 8,
        norm: crate::network::NormKind::Batch,
        conv_kernel: 3,
        ..ModelConfig::default()
    };
    let module = built(|builder| ConvModule::new(builder, &config));
    let x = noise("x", [2, 5, 8]);
    let device = x.device();
    let mask = FrameMask::new(vec![5, 3], 5, &device);
    let pass = Pass {
        mask: &mask,
        rotary: None,
        operations: Operations::Composed,
    };
    let composed = module.forward(x.clone(), pass, &mut Mode::Eval);
    let fused = module.fused(&x, pass, None).unwrap();
    let [composed, fused] = [composed, fused].map(|y| mask.zero_padding(y));
    let [composed, fused] =
        [composed, fused].map(|y| y.inner().into_data().iter::<f32>().collect::<Vec<f32>>());
    assert_same(&[fused], &[composed], TOLERANCE);
}

/// Compares what all operations find.
fn assert_all_same(run: impl Fn(Operations) -> Vec<Vec<f32>>) {
    let composed = run(Operations::Composed);
    assert_same(&run(Operations::Fused), &composed, TOLERANCE);
    // Without tiles it is the operation above once more.
    assert_same(&run(Operations::FusedBf16), &composed, BF16_TOLERANCE);
}

fn assert_same(fused: &[Vec<f32>], composed: &[Vec<f32>], tolerance: f32) {
    assert_eq!(fused.len(), composed.len());
    for (index, (a, b)) in fused.iter().zip(composed).enumerate() {
        assert_eq!(a.len(), b.len());
        let scale = b.iter().fold(1.0f32, |most, value| most.max(value.abs()));
        let distance = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        let worst = distance.fold(0.0, f32::max) / scale;
        assert!(worst < tolerance, "tensor {index}: {worst}");
    }
}

/// Networks with fewer channels than are summed at once, some more, and a multiple; utterances
/// shorter than half a kernel, an empty one, and batches without padding.
fn cases() -> Vec<(ModelConfig, Vec<usize>, usize)> {
    let config = |d_model, n_heads, conv_kernel, dropout| ModelConfig {
        d_model,
        n_heads,
        conv_kernel,
        dropout,
        d_ffn: 3 * d_model - 2,
        n_mels: 9,
        ..ModelConfig::default()
    };
    vec![
        (config(6, 1, 3, 0.0), vec![5, 5], 5),
        (config(38, 1, 9, 0.3), vec![3, 1, 0], 3),
        (config(64, 4, 15, 0.1), vec![40, 17], 41),
        (config(36, 3, 1, 0.5), vec![1], 1),
    ]
}

/// Compares `forward` with fused operations and without, in training with the same seed.
fn compare<M: Module>(
    module: &M,
    (config, lengths, time): (ModelConfig, Vec<usize>, usize),
    with_rotary: bool,
    forward: impl Fn(&M, Tensor<3>, Pass<'_>, &mut Mode) -> Tensor<3>,
) {
    let device = Device::flex().autodiff();
    let mask = FrameMask::new(lengths.clone(), time, &device);
    let rotary = RotaryTables::new(time, config.d_model / config.n_heads, &device);
    let run = |operations| {
        let x = noise("x", [lengths.len(), time, config.d_model]).require_grad();
        let mut context = TrainContext::new(3);
        let pass = Pass {
            mask: &mask,
            rotary: with_rotary.then_some(&rotary),
            operations,
        };
        let y = forward(module, x.clone(), pass, &mut Mode::Train(&mut context));
        observe(module, &x, y, &mask)
    };
    assert_all_same(run);
}

#[test]
fn the_feed_forward_branch_equals_its_composition() {
    for case in cases() {
        let branch = built(|builder| FeedForward::new(builder, &case.0));
        compare(&branch, case, false, FeedForward::forward);
    }
}

#[test]
fn the_attention_branch_equals_its_composition() {
    for case in cases() {
        let branch = built(|builder| SelfAttention::new(builder, &case.0));
        for with_rotary in [false, true] {
            compare(&branch, case.clone(), with_rotary, SelfAttention::forward);
        }
    }
}

#[test]
fn the_convolution_branch_equals_its_composition() {
    for case in cases() {
        let branch = built(|builder| ConvModule::new(builder, &case.0));
        compare(&branch, case, false, ConvModule::forward);
    }
}

#[test]
fn layer_norm_equals_its_composition() {
    for case in cases() {
        let norm = built(|builder| Norm::layer(builder, case.0.d_model));
        compare(&norm, case, false, |norm, x, pass, _| {
            norm.forward_layer(x, pass.operations)
        });
    }
}

#[test]
fn the_front_end_equals_its_composition() {
    for subsampling_padding in [SubsamplingPadding::Same, SubsamplingPadding::Paper] {
        for (lengths, time) in [(vec![33, 20], 34), (vec![16], 16), (vec![47, 47], 47)] {
            let config = ModelConfig {
                subsampling_padding,
                subsampling_factor: 8,
                n_mels: 9,
                d_model: 20,
                ..ModelConfig::default()
            };
            let front_end = built(|builder| Frontend::new(builder, &config));
            let device = Device::flex().autodiff();
            let mask = FrameMask::new(lengths.clone(), time, &device);
            let run = |operations| {
                let x = noise("x", [lengths.len(), time, config.n_mels]).require_grad();
                let (y, mask) = front_end.forward(
                    mask.zero_padding(x.clone()),
                    &mask,
                    operations,
                    &mut Mode::Eval,
                );
                observe(&front_end, &x, y, &mask)
            };
            assert_all_same(run);
        }
    }
}

#[test]
fn strided_views_are_read_in_order() {
    let norm = built(|builder| Norm::layer(builder, 4));
    let x = noise("x", [4, 3, 2]).swap_dims(0, 2);
    let apart = |operations| norm.forward_layer(x.clone(), operations).inner();
    let worst = (apart(Operations::Fused) - apart(Operations::Composed))
        .abs()
        .max();
    assert!(worst.into_scalar::<f32>() < TOLERANCE);
}
