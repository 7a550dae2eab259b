//! Muon: momentum whose steps are made orthogonal (Jordan et al., 2024,
//! <https://kellerjordan.github.io/posts/muon>), sized as AdamW's (Liu et al., 2025,
//! arXiv 2502.16982, equation 4), so that both rules share one learning rate.

use burn::prelude::*;
use shared_model::{
    kernels::products::{Right, add_product},
    model::Operations,
};

use super::StepRate;

const MOMENTUM: f32 = 0.95;
/// Root mean square of AdamW's steps, of which a step of Muon gets as much.
const STEP_RMS: f64 = 0.2;
/// Newton and Schulz's iteration, with the coefficients of Jordan's: its singular values end
/// between 0.7 and 1.2 after five rounds.
const ROUNDS: usize = 5;
const COEFFICIENTS: [f32; 3] = [3.4445, -4.775, 2.0315];
const EPSILON: f32 = 1e-7;
/// Narrower matrices (the taps of a depthwise convolution) are not maps between layers.
const SMALLEST_SIDE: usize = 32;
/// The layers whose outputs are classes. Muon is for hidden layers; classes are steered by AdamW
/// (Jordan et al.), however many there are.
const HEADS: [&str; 2] = ["head", "phone_head"];

/// Whether a weight of this name (`model.head.weight`) and shape is a map between hidden layers.
pub(super) fn is_for(name: &str, shape: &[usize]) -> bool {
    let is_matrix = matches!(shape, [rows, columns] if (*rows).min(*columns) >= SMALLEST_SIDE);
    is_matrix && !name.split('.').any(|part| HEADS.contains(&part))
}

/// Sizes of a step of a weight of this shape: what is kept of the weight, and the factor of the
/// orthogonal matrix.
fn sizes([d_in, d_out]: [usize; 2], rate: StepRate, weight_decay: f32) -> (f64, f64) {
    let step = rate.learning_rate * STEP_RMS * (d_in.max(d_out) as f64).sqrt();
    (1.0 - rate.learning_rate * f64::from(weight_decay), step)
}

/// One step of a weight `[d_in, d_out]`; gives the weight and its momentum, as a composition of
/// burn's operations. burn has the rule, too, but keeps the momentum to itself, which a checkpoint
/// needs.
pub(super) fn step(
    weight: Tensor<2>,
    gradient: Tensor<2>,
    momentum: Option<Tensor<2>>,
    rate: StepRate,
    weight_decay: f32,
) -> (Tensor<2>, Tensor<2>) {
    let gradient = gradient * rate.scale;
    let momentum = match momentum {
        Some(before) => before * MOMENTUM + gradient.clone() * (1.0 - MOMENTUM),
        None => gradient.clone() * (1.0 - MOMENTUM),
    };
    // Nesterov's look ahead.
    let ahead = gradient * (1.0 - MOMENTUM) + momentum.clone() * MOMENTUM;
    let (kept, size) = sizes(weight.dims(), rate, weight_decay);
    (weight * kept - orthogonal(ahead) * size, momentum)
}

/// The nearest matrix with orthogonal rows (or columns, if there are more of them), roughly.
fn orthogonal(matrix: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = matrix.dims();
    let is_tall = rows > columns;
    let x = if is_tall { matrix.transpose() } else { matrix };
    let norm = x.clone().powi_scalar(2).sum().sqrt() + EPSILON;
    let mut x = x / norm.unsqueeze();
    let [a, b, c] = COEFFICIENTS;
    for _ in 0..ROUNDS {
        let square = x.clone().matmul(x.clone().transpose());
        let polynomial = square.clone() * b + square.clone().matmul(square) * c;
        x = x.clone() * a + polynomial.matmul(x);
    }
    if is_tall { x.transpose() } else { x }
}

/// [`step`] in slices on the host, in place.
pub(super) fn step_on_host(
    weight: &mut [f32],
    gradient: &[f32],
    momentum: &mut [f32],
    shape: [usize; 2],
    rate: StepRate,
    weight_decay: f32,
    operations: Operations,
) {
    let scale = rate.scale as f32 * (1.0 - MOMENTUM);
    let ahead = gradient.iter().zip(momentum).map(|(gradient, momentum)| {
        let new = gradient * scale;
        *momentum = *momentum * MOMENTUM + new;
        new + *momentum * MOMENTUM
    });
    let step = orthogonal_on_host(ahead.collect(), shape, operations);
    let (kept, size) = sizes(shape, rate, weight_decay);
    let (kept, size) = (kept as f32, size as f32);
    for (weight, step) in weight.iter_mut().zip(step) {
        *weight = *weight * kept - step * size;
    }
}

/// [`orthogonal`] of rows one after the other.
fn orthogonal_on_host(
    matrix: Vec<f32>,
    [rows, columns]: [usize; 2],
    operations: Operations,
) -> Vec<f32> {
    if rows > columns {
        let wide = transposed(&matrix, columns);
        let wide = orthogonal_on_host(wide, [columns, rows], operations);
        return transposed(&wide, rows);
    }
    let mut x = matrix;
    let norm = x.iter().map(|v| v * v).sum::<f32>().sqrt() + EPSILON;
    x.iter_mut().for_each(|value| *value /= norm);
    let [a, b, c] = COEFFICIENTS;
    let mut square = vec![0.0; rows * rows];
    for _ in 0..ROUNDS {
        square.fill(0.0);
        let shape = [rows, columns, rows];
        add_product(
            &mut square,
            &x,
            Right::Transposed(&x),
            1.0,
            shape,
            operations,
        );
        let mut polynomial: Vec<f32> = square.iter().map(|value| value * b).collect();
        // A product with its transpose is its own transpose.
        let right = Right::Transposed(&square);
        add_product(&mut polynomial, &square, right, c, [rows; 3], operations);
        let mut next: Vec<f32> = x.iter().map(|value| value * a).collect();
        let shape = [rows, rows, columns];
        add_product(
            &mut next,
            &polynomial,
            Right::Plain(&x),
            1.0,
            shape,
            operations,
        );
        x = next;
    }
    x
}

/// The transpose of rows of `columns` values.
fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let column = |at: usize| matrix.iter().skip(at).step_by(columns).copied();
    (0..columns).flat_map(column).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn numbers(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().iter().collect()
    }

    fn rate(learning_rate: f64, scale: f64) -> StepRate {
        StepRate {
            learning_rate,
            scale,
            clip_value: 0.0,
        }
    }

    #[test]
    fn singular_values_become_nearly_one_and_directions_stay() {
        // U diag(3, 0.5) V' of two rotations, by hand.
        let (u, v) = ([0.6f32, 0.8], [0.8f32, 0.6]);
        let matrix = |s: [f32; 2]| {
            let at = |i: usize, j: usize| {
                let (u1, v1) = (u[i], v[j]);
                let (u2, v2) = ([-u[1], u[0]][i], [-v[1], v[0]][j]);
                s[0] * u1 * v1 + s[1] * u2 * v2
            };
            Tensor::<2>::from_data(
                [[at(0, 0), at(0, 1)], [at(1, 0), at(1, 1)]],
                &Device::flex(),
            )
        };
        let found = numbers(orthogonal(matrix([3.0, 0.5])));
        // Read along the singular directions.
        let along = |l: [f32; 2], r: [f32; 2]| {
            l[0] * (found[0] * r[0] + found[1] * r[1]) + l[1] * (found[2] * r[0] + found[3] * r[1])
        };
        let (u2, v2) = ([-u[1], u[0]], [-v[1], v[0]]);
        for (value, at) in [(along(u, v), "first"), (along(u2, v2), "second")] {
            assert!((0.65..1.25).contains(&value), "{at}: {value}");
        }
        for value in [along(u, v2), along(u2, v)] {
            assert!(value.abs() < 1e-4, "{value}");
        }
    }

    #[test]
    fn tall_matrices_are_treated_as_their_transposes() {
        let wide = Tensor::<2>::from_data([[1.0f32, 2.0, -1.0], [0.5, 0.0, 3.0]], &Device::flex());
        let tall = orthogonal(wide.clone().transpose()).transpose();
        for (a, b) in numbers(orthogonal(wide)).iter().zip(numbers(tall)) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }

    #[test]
    fn a_step_has_adamws_size_whatever_the_gradients_size() {
        let device = Device::flex();
        let side = 40;
        let values: Vec<f32> = (0..side * side)
            .map(|i| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0)
            .collect();
        let gradient = Tensor::<2>::from_data(TensorData::new(values, [side, side]), &device);
        let zero = Tensor::<2>::zeros([side, side], &device);
        for scale in [1.0, 1e-3] {
            let (weight, _) = step(zero.clone(), gradient.clone(), None, rate(0.1, scale), 0.0);
            let square: f32 = numbers(weight).iter().map(|w| w * w).sum();
            let rms = f64::from((square / (side * side) as f32).sqrt());
            assert!((0.6..1.3).contains(&(rms / (0.1 * STEP_RMS))), "{rms}");
        }
    }

    #[test]
    fn slices_on_the_host_follow_the_composed_rule() {
        let device = Device::flex();
        for shape in [[36, 70], [70, 36], [40, 40]] {
            let len = shape[0] * shape[1];
            let values = |salt: usize| -> Vec<f32> {
                let value = |i: usize| ((i * 7919 + salt) % 1009) as f32 / 504.5 - 1.0;
                (0..len).map(value).collect()
            };
            let tensor = |values: &[f32]| {
                Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &device)
            };
            let (start, gradients) = (values(1), [values(2), values(3)]);
            let (mut composed, mut remembered) = (tensor(&start), None);
            let (mut weight, mut momentum) = (start, vec![0.0; len]);
            for gradient in &gradients {
                let rate = rate(0.1, 0.5);
                let stepped = step(composed, tensor(gradient), remembered, rate, 0.01);
                (composed, remembered) = (stepped.0, Some(stepped.1));
                let operations = Operations::Fused;
                step_on_host(
                    &mut weight,
                    gradient,
                    &mut momentum,
                    shape,
                    rate,
                    0.01,
                    operations,
                );
            }
            for (a, b) in weight.iter().zip(numbers(composed)) {
                assert!((a - b).abs() < 1e-5, "{shape:?}: {a} {b}");
            }
        }
    }

    #[test]
    fn steps_are_those_of_burns_own_rule() {
        use burn::optim::{AdjustLrFn, MuonConfig, Optimizer as _};
        let device = Device::flex();
        let theirs = MuonConfig::new()
            .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
            .build();
        let values = |salt: usize| {
            let values: Vec<f32> = (0..36 * 70)
                .map(|i| ((i * 7919 + salt) % 1009) as f32 / 504.5 - 1.0)
                .collect();
            Tensor::<2>::from_data(TensorData::new(values, [36, 70]), &device)
        };
        let (mut ours, mut momentum) = (values(1), None);
        let (mut burns, mut state) = (values(1), None);
        for gradient in [values(2), values(3), values(4)] {
            let stepped = step(ours, gradient.clone(), momentum, rate(0.1, 1.0), 0.0);
            (ours, momentum) = (stepped.0, Some(stepped.1));
            (burns, state) = theirs.step(0.1, burns, gradient, state);
        }
        for (a, b) in numbers(ours).iter().zip(numbers(burns)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    #[test]
    fn momentum_and_decay_can_be_followed_by_hand() {
        let device = Device::flex();
        let eye = |x: f32| Tensor::<2>::from_data([[x, 0.0], [0.0, x]], &device);
        let (_, momentum) = step(eye(2.0), eye(1.0), None, rate(0.1, 0.5), 0.0);
        assert!((numbers(momentum.clone())[0] - 0.025).abs() < 1e-7);
        let (weight, momentum) = step(eye(2.0), eye(0.0), Some(momentum), rate(0.1, 1.0), 0.5);
        assert!((numbers(momentum)[0] - 0.02375).abs() < 1e-7);
        // 2 (1 - 0.1 * 0.5) less a step of 0.1 * 0.2 * sqrt 2 times a singular value near one.
        let step = (1.9 - numbers(weight)[0]) / (0.1 * 0.2 * 2f32.sqrt());
        assert!((0.65..1.25).contains(&step), "{step}");
    }

    #[test]
    fn only_maps_between_layers_are_stepped_so() {
        let up = "model.encoder.blocks.0.ffn1.up.weight";
        assert!(is_for(up, &[144, 432]));
        assert!(is_for("projections.0", &[96, 144]));
        for shape in [&[15, 144][..], &[144, 29], &[144], &[3, 144, 144]] {
            assert!(!is_for(up, shape), "{shape:?}");
        }
        // Of characters, and of as many pieces as a hidden layer has channels.
        for classes in [29, 128, 256] {
            assert!(!is_for("model.head.weight", &[144, classes]));
            assert!(!is_for("model.phone_head.weight", &[144, classes]));
        }
    }
}
