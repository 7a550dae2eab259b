//! What a student learns from its teacher in step 1 (EncRL, arXiv 2505.16991, section 3).
//!
//! Teacher tensors are constants: they come without autodiff. `total_frames` is the number of real
//! encoder frames in the whole batch, of which the tensors may be one part.

use burn::{
    prelude::*,
    tensor::activation::{log_softmax, softmax},
};

/// Divisor of similarities in the contrastive loss.
const CLIP_TEMPERATURE: f64 = 0.07;

/// Keeps norms away from zero.
const NORM_FLOOR: f64 = 1e-6;

/// How the contrastive loss compares two utterance means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clip {
    /// Dot products as they are (the paper's code).
    Dot,
    /// Cosines.
    Cosine,
}

/// `[batch, time, 1]`: 1 at real frames, 0 at padding.
pub fn frame_mask(lengths: &[usize], time: usize, device: &Device) -> Tensor<3> {
    let values: Vec<f32> = lengths
        .iter()
        .flat_map(|&length| (0..time).map(move |t| if t < length { 1.0 } else { 0.0 }))
        .collect();
    Tensor::from_data(TensorData::new(values, [lengths.len(), time, 1]), device)
}

/// Means over real frames: `[batch, time, d_model]` to `[batch, d_model]`.
pub fn utterance_means(hidden: Tensor<3>, lengths: &[usize]) -> Tensor<2> {
    let [batch, time, d_model] = hidden.dims();
    let device = hidden.device().inner();
    let counts: Vec<f32> = lengths.iter().map(|&l| l.max(1) as f32).collect();
    let counts = Tensor::<2>::from_data(TensorData::new(counts, [batch, 1]), &device);
    // Padding may hold anything, even values that are not numbers, so it is replaced, not weighed.
    let padding = frame_mask(lengths, time, &device)
        .lower_elem(0.5)
        .expand([batch, time, d_model]);
    hidden
        .mask_fill(padding, 0.0)
        .sum_dim(1)
        .reshape([batch, d_model])
        / counts
}

/// Symmetric contrastive loss between utterance means `[batch, d_model]`: each student mean should
/// find its own teacher mean among the batch's, and the reverse. One utterance has nothing to be
/// told apart from: 0.
pub fn clip_loss(student: Tensor<2>, teacher: Tensor<2>, kind: Clip) -> Tensor<1> {
    let [batch, _] = student.dims();
    if batch < 2 {
        return student.sum() * 0.0;
    }
    let (student, teacher) = match kind {
        Clip::Dot => (student, teacher),
        Clip::Cosine => (unit(student), unit(teacher)),
    };
    let similarity = student.matmul(teacher.transpose()) / CLIP_TEMPERATURE;
    let own = Tensor::<2>::eye(batch, &similarity.device().inner());
    let to_teacher = (log_softmax(similarity.clone(), 1) * own.clone()).sum();
    let to_student = (log_softmax(similarity, 0) * own).sum();
    (to_teacher + to_student) / (-2.0 * batch as f64)
}

/// Mean over real frames and classes of the squared difference of log-posteriors.
/// Both `[batch, time, vocab]`, logits of the same frames.
pub fn mse_log_posterior_loss(
    student_logits: Tensor<3>,
    teacher_logits: Tensor<3>,
    lengths: &[usize],
    total_frames: usize,
) -> Tensor<1> {
    let [_, _, vocab] = student_logits.dims();
    let difference = log_softmax(student_logits, 2) - log_softmax(teacher_logits, 2);
    let per_frame = difference.powi_scalar(2).sum_dim(2) / vocab as f64;
    masked_sum(per_frame, lengths) / total_frames.max(1) as f64
}

/// KL(teacher || student) at `temperature`, times its square (Hinton et al., 2015, keeps the
/// gradient's scale), mean over real frames. Both `[batch, time, vocab]` logits.
pub fn kl_loss(
    student_logits: Tensor<3>,
    teacher_logits: Tensor<3>,
    lengths: &[usize],
    total_frames: usize,
    temperature: f64,
) -> Tensor<1> {
    let student = log_softmax(student_logits / temperature, 2);
    let teacher_log = log_softmax(teacher_logits.clone() / temperature, 2);
    let teacher = softmax(teacher_logits / temperature, 2);
    let per_frame = (teacher * (teacher_log - student)).sum_dim(2);
    masked_sum(per_frame, lengths) * (temperature * temperature / total_frames.max(1) as f64)
}

/// Squared distance of features scaled to length 1 (twice one minus their cosine), mean over real
/// frames. Both `[batch, time, d_model]`.
pub fn feature_loss(
    student: Tensor<3>,
    teacher: Tensor<3>,
    lengths: &[usize],
    total_frames: usize,
) -> Tensor<1> {
    let difference = unit(student) - unit(teacher);
    let per_frame = difference.powi_scalar(2).sum_dim(2);
    masked_sum(per_frame, lengths) / total_frames.max(1) as f64
}

/// Vectors of the last dimension scaled to length 1.
fn unit<const D: usize>(vectors: Tensor<D>) -> Tensor<D> {
    let norm = (vectors.clone().powi_scalar(2).sum_dim(D - 1) + NORM_FLOOR * NORM_FLOOR).sqrt();
    vectors / norm
}

/// Sum of `[batch, time, 1]` over real frames.
fn masked_sum(per_frame: Tensor<3>, lengths: &[usize]) -> Tensor<1> {
    masked_frames(per_frame, lengths).sum()
}

/// `[batch, time, 1]` with zeros where there is no real frame.
pub(super) fn masked_frames(per_frame: Tensor<3>, lengths: &[usize]) -> Tensor<3> {
    let [_, time, _] = per_frame.dims();
    let padding = frame_mask(lengths, time, &per_frame.device().inner()).lower_elem(0.5);
    per_frame.mask_fill(padding, 0.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn cube(values: &[f32], shape: [usize; 3]) -> Tensor<3> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
    }

    fn value(loss: Tensor<1>) -> f32 {
        loss.into_scalar::<f32>()
    }

    fn close(got: f32, want: f32) {
        assert!((got - want).abs() < 1e-5, "{got} instead of {want}");
    }

    #[test]
    fn means_leave_padding_out_whatever_it_holds() {
        let hidden = cube(&[1.0, 2.0, 3.0, 6.0, f32::NAN, 9.0], [1, 3, 2]);
        let means: Vec<f32> = utterance_means(hidden, &[2]).into_data().iter().collect();
        assert_eq!(means, vec![2.0, 4.0]);
    }

    #[test]
    fn clip_of_dot_products_can_be_computed_by_hand() {
        // Similarities / 0.07: rows [1, 2] and [3, 1].
        let student = Tensor::<2>::from_data([[0.07f32, 0.14], [0.21, 0.07]], &Device::flex());
        let teacher = Tensor::<2>::from_data([[1.0f32, 0.0], [0.0, 1.0]], &Device::flex());
        let ce = |own: f32, other: f32| (1.0 + (other - own).exp()).ln();
        let want = (ce(1.0, 2.0) + ce(1.0, 3.0) + ce(1.0, 3.0) + ce(1.0, 2.0)) / 4.0;
        close(value(clip_loss(student, teacher, Clip::Dot)), want);
    }

    #[test]
    fn clip_of_cosines_does_not_depend_on_lengths_of_vectors() {
        let student = Tensor::<2>::from_data([[3.0f32, 0.0], [0.0, 0.2]], &Device::flex());
        let teacher = Tensor::<2>::from_data([[0.5f32, 0.0], [0.0, 7.0]], &Device::flex());
        let want = (1.0 + (-1.0f32 / 0.07).exp()).ln();
        close(value(clip_loss(student, teacher, Clip::Cosine)), want);
    }

    #[test]
    fn clip_of_one_utterance_is_zero_and_can_be_differentiated() {
        let device = Device::flex().autodiff();
        let student = Tensor::<2>::from_data([[1.0f32, 2.0]], &device).require_grad();
        let teacher = Tensor::<2>::from_data([[2.0f32, 1.0]], &Device::flex());
        let loss = clip_loss(student.clone(), teacher, Clip::Dot);
        let gradient = student.grad_remove(&mut loss.backward()).unwrap();
        assert_eq!(value(loss), 0.0);
        assert_eq!(gradient.abs().sum().into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn squared_log_posteriors_count_real_frames_only() {
        // Student (1/2, 1/2), teacher (3/4, 1/4) at the real frame.
        let student = cube(&[0.0, 0.0, f32::NAN, 5.0], [1, 2, 2]);
        let teacher = cube(&[3f32.ln(), 0.0, 1.0, 9.0], [1, 2, 2]);
        let want = ((0.5f32 / 0.75).ln().powi(2) + (0.5f32 / 0.25).ln().powi(2)) / 2.0;
        close(
            value(mse_log_posterior_loss(student, teacher, &[1], 1)),
            want,
        );
    }

    #[test]
    fn kl_is_the_teachers_expectation_and_scales_with_the_temperature() {
        let student = cube(&[0.0, 0.0, 8.0, 1.0], [1, 2, 2]);
        let teacher = cube(&[3f32.ln(), 0.0, -4.0, f32::NAN], [1, 2, 2]);
        let want = 0.75 * (0.75f32 / 0.5).ln() + 0.25 * (0.25f32 / 0.5).ln();
        close(
            value(kl_loss(student.clone(), teacher.clone(), &[1], 1, 1.0)),
            want,
        );
        // At temperature 2 the teacher is (sqrt 3, 1) / (1 + sqrt 3).
        let p = 3f32.sqrt() / (1.0 + 3f32.sqrt());
        let want = 4.0 * (p * (p / 0.5).ln() + (1.0 - p) * ((1.0 - p) / 0.5).ln());
        close(value(kl_loss(student, teacher, &[1], 1, 2.0)), want);
    }

    #[test]
    fn kl_is_zero_for_equal_posteriors_and_its_gradient_points_to_the_teacher() {
        let device = Device::flex().autodiff();
        let teacher = cube(&[1.0, -1.0, 0.5, 2.0], [1, 2, 2]);
        close(
            value(kl_loss(
                teacher.clone() + 3.0,
                teacher.clone(),
                &[2],
                2,
                1.5,
            )),
            0.0,
        );
        let student = Tensor::<3>::from_data(TensorData::new(vec![0.0f32; 4], [1, 2, 2]), &device)
            .require_grad();
        let loss = kl_loss(student.clone(), teacher, &[2], 2, 1.0);
        let gradient: Vec<f32> = student
            .grad_remove(&mut loss.backward())
            .unwrap()
            .into_data()
            .iter()
            .collect();
        // Half of softmax(student) - softmax(teacher), since two frames are averaged.
        let p = 1.0 / (1.0 + (-2f32).exp());
        close(gradient[0], 0.5 * (0.5 - p));
        close(gradient[1], 0.5 * (p - 0.5));
    }

    #[test]
    fn feature_distance_is_twice_one_minus_the_cosine() {
        let student = cube(&[2.0, 0.0, 0.0, 1.0], [1, 2, 2]);
        let teacher = cube(&[1.0, 1.0, 0.0, 5.0], [1, 2, 2]);
        let want = 2.0 * (1.0 - 0.5f32.sqrt()) / 2.0;
        close(value(feature_loss(student, teacher, &[2], 2)), want);
    }

    #[test]
    fn parts_of_a_batch_add_up_to_the_whole() {
        let values = |offset: f32| -> Vec<f32> {
            (0..24)
                .map(|i| ((i * 7 % 11) as f32 + offset).sin())
                .collect()
        };
        let student = cube(&values(0.0), [2, 4, 3]);
        let teacher = cube(&values(1.0), [2, 4, 3]);
        let part = |t: &Tensor<3>, u: usize| t.clone().narrow(0, u, 1);
        let whole = value(kl_loss(student.clone(), teacher.clone(), &[4, 2], 6, 1.0));
        let parts = value(kl_loss(part(&student, 0), part(&teacher, 0), &[4], 6, 1.0))
            + value(kl_loss(part(&student, 1), part(&teacher, 1), &[2], 6, 1.0));
        close(parts, whole);
        let whole = value(feature_loss(student.clone(), teacher.clone(), &[4, 2], 6));
        let parts = value(feature_loss(part(&student, 0), part(&teacher, 0), &[4], 6))
            + value(feature_loss(part(&student, 1), part(&teacher, 1), &[2], 6));
        close(parts, whole);
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let values = |shift: f32| -> Vec<f32> {
            (0..24)
                .map(|i| ((i * 7 % 11) as f32 * 0.6 + shift).sin() * 1.5)
                .collect()
        };
        let teacher = cube(&values(1.0), [2, 4, 3]);
        let lengths = [4, 2];
        type Loss = Box<dyn Fn(Tensor<3>) -> Tensor<1>>;
        let with = |loss: fn(Tensor<3>, Tensor<3>, &[usize], usize) -> Tensor<1>| -> Loss {
            let teacher = teacher.clone();
            Box::new(move |student| loss(student, teacher.clone(), &lengths, 6))
        };
        // Similarities of the size of the temperature: far above it, the loss is flat.
        let clip = |kind| -> Loss {
            let teacher = utterance_means(teacher.clone(), &lengths) * 0.05;
            Box::new(move |student| {
                clip_loss(utterance_means(student, &lengths), teacher.clone(), kind)
            })
        };
        let losses: [(&str, Loss); 5] = [
            ("mse", with(mse_log_posterior_loss)),
            ("kl", with(|s, t, l, n| kl_loss(s, t, l, n, 2.0))),
            ("feature", with(feature_loss)),
            ("clip of dots", clip(Clip::Dot)),
            ("clip of cosines", clip(Clip::Cosine)),
        ];
        let at = values(0.3);
        for (name, loss) in &losses {
            let student = Tensor::<3>::from_data(
                TensorData::new(at.clone(), [2, 4, 3]),
                &Device::flex().autodiff(),
            )
            .require_grad();
            let gradient: Vec<f32> = student
                .grad_remove(&mut loss(student.clone()).backward())
                .unwrap()
                .into_data()
                .iter()
                .collect();
            assert!(
                gradient.iter().any(|g| g.abs() > 1e-3),
                "{name}: {gradient:?}"
            );
            for i in 0..at.len() {
                let step = 4e-3;
                let moved = |by: f32| {
                    let mut moved = at.clone();
                    moved[i] += by;
                    value(loss(cube(&moved, [2, 4, 3])))
                };
                let slope = (moved(step) - moved(-step)) / (2.0 * step);
                let tolerance = 5e-4 * (1.0 + slope.abs());
                assert!(
                    (slope - gradient[i]).abs() < tolerance,
                    "{name}, value {i}: {} instead of {slope}",
                    gradient[i]
                );
            }
        }
    }
}
