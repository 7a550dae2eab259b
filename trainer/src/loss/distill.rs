//! What a student learns from its teacher frame by frame in step 1 (EncRL, arXiv 2505.16991,
//! section 3).
//!
//! Teacher tensors are constants: they come without autodiff. `total_frames` is the number of real
//! encoder frames in the whole batch, of which the tensors may be one shard.

use burn::{
    prelude::*,
    tensor::activation::{log_softmax, softmax},
};
use shared_model::tokens::BLANK_ID;

use super::frames;

/// Keeps norms away from zero.
const NORM_FLOOR: f64 = 1e-6;

/// Log-posteriors below this (a probability of six in a million) count as equal to it. CTC is sure of
/// most frames, and without an end the classes that both networks rule out would outweigh the one that
/// is heard.
const LOG_POSTERIOR_FLOOR: f64 = -12.0;

/// Mean over real frames and classes of the squared difference of log-posteriors, of which those
/// below e^-12 count as e^-12. Both `[batch, time, vocab]`, logits of the same frames.
///
/// Where the teacher does not rule a class out, the student's posterior has no floor: it would not be
/// pulled up from below.
pub fn mse_log_posterior_loss(
    student_logits: Tensor<3>,
    teacher_logits: Tensor<3>,
    lengths: &[usize],
    total_frames: usize,
) -> Tensor<1> {
    let [_, _, vocab] = student_logits.dims();
    let student = log_softmax(student_logits, 2);
    let teacher = log_softmax(teacher_logits, 2);
    let ruled_out = teacher.clone().lower_equal_elem(LOG_POSTERIOR_FLOOR);
    let floored = student.clone().clamp_min(LOG_POSTERIOR_FLOOR);
    let student = student.mask_where(ruled_out, floored);
    let difference = student - teacher.clamp_min(LOG_POSTERIOR_FLOOR);
    let per_frame = difference.powi_scalar(2).sum_dim(2) / vocab as f64;
    frames::sum(per_frame, lengths) / total_frames.max(1) as f64
}

/// How [`kl_loss`] compares posteriors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Divergence {
    /// Divisor of both networks' logits.
    pub temperature: f64,
    /// Weight of a frame that the teacher is sure is blank; one that surely is none has weight 1, and
    /// between them it follows the probability (1: every frame counts alike).
    pub blank_weight: f64,
    /// Frames on each side of one that the teacher calls no blank that count beside it, and no others
    /// (`None`: all count).
    pub spike_frames: Option<usize>,
}

impl Divergence {
    /// Posteriors as they are, over all frames.
    pub const PLAIN: Self = Self {
        temperature: 1.0,
        blank_weight: 1.0,
        spike_frames: None,
    };
}

/// KL(teacher || student) at a temperature, times its square (Hinton et al., 2015, keeps the
/// gradient's scale), mean over real frames. Both `[batch, time, vocab]` logits.
pub fn kl_loss(
    student_logits: Tensor<3>,
    teacher_logits: Tensor<3>,
    lengths: &[usize],
    total_frames: usize,
    divergence: Divergence,
) -> Tensor<1> {
    let Divergence {
        temperature,
        blank_weight,
        spike_frames,
    } = divergence;
    let near_spikes = spike_frames.map(|reach| near_spikes(&teacher_logits, lengths, reach));
    let student = log_softmax(student_logits / temperature, 2);
    let teacher_log = log_softmax(teacher_logits.clone() / temperature, 2);
    let teacher = softmax(teacher_logits / temperature, 2);
    let mut per_frame = (teacher.clone() * (teacher_log - student)).sum_dim(2);
    if blank_weight != 1.0 {
        let blank = teacher.narrow(2, BLANK_ID as usize, 1);
        per_frame = per_frame * (blank * (blank_weight - 1.0) + 1.0);
    }
    if let Some(near_spikes) = near_spikes {
        per_frame = per_frame * near_spikes;
    }
    let scale = temperature * temperature / total_frames.max(1) as f64;
    frames::sum(per_frame, lengths) * scale
}

/// `[batch, time, 1]`: 1 in frames that lie at most `reach` from a real one whose likeliest class is no
/// blank, 0 elsewhere. `logits`: `[batch, time, vocab]`.
fn near_spikes(logits: &Tensor<3>, lengths: &[usize], reach: usize) -> Tensor<3> {
    let [batch, time, _] = logits.dims();
    let device = logits.device();
    let is_blank = logits.clone().argmax(2).equal_elem(BLANK_ID as i32);
    let real = frames::frame_mask(lengths, time, &device);
    let spikes = real.mask_fill(is_blank, 0.0);
    let mut near = spikes.clone();
    for shift in 1..=reach.min(time.saturating_sub(1)) {
        let none = Tensor::zeros([batch, shift, 1], &device);
        let later = Tensor::cat(
            vec![none.clone(), spikes.clone().narrow(1, 0, time - shift)],
            1,
        );
        let earlier = Tensor::cat(vec![spikes.clone().narrow(1, shift, time - shift), none], 1);
        near = near.max_pair(later).max_pair(earlier);
    }
    near
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
    frames::sum(per_frame, lengths) / total_frames.max(1) as f64
}

/// Vectors of the last dimension scaled to length 1.
pub(super) fn unit<const D: usize>(vectors: Tensor<D>) -> Tensor<D> {
    let norm = (vectors.clone().powi_scalar(2).sum_dim(D - 1) + NORM_FLOOR * NORM_FLOOR).sqrt();
    vectors / norm
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

    fn plain(temperature: f64) -> Divergence {
        Divergence {
            temperature,
            ..Divergence::PLAIN
        }
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

    /// Logits of one frame whose log-posteriors are these, but for rounding.
    fn frame<const N: usize>(log_posteriors: [f32; N]) -> Tensor<3> {
        cube(&log_posteriors, [1, 1, N])
    }

    #[test]
    fn classes_that_both_networks_rule_out_are_equal() {
        let loss = |student: [f32; 3], teacher: [f32; 3]| {
            value(mse_log_posterior_loss(
                frame(student),
                frame(teacher),
                &[1],
                1,
            ))
        };
        // Without a floor the first would cost (100 - 20)^2 / 3 = 2133.
        close(loss([0.0, -20.0, -20.0], [0.0, -100.0, -20.0]), 0.0);
        close(loss([0.0, -40.0, -60.0], [0.0, -30.0, -12.5]), 0.0);
        // Above the floor nothing changes: 8 and 12 nats, of three classes.
        let sure = 1.0 + (-8f32).exp();
        let want = (12.0 - 8.0 - sure.ln()).powi(2) / 3.0;
        let got = loss([0.0, -8.0, -90.0], [0.0, -90.0, -90.0]);
        assert!((got - want).abs() < 1e-3, "{got} instead of {want}");
    }

    #[test]
    fn a_student_is_pulled_up_from_below_the_floor() {
        let device = Device::flex().autodiff();
        let logits = TensorData::new(vec![0.0f32, -30.0], [1, 1, 2]);
        let student = Tensor::<3>::from_data(logits, &device).require_grad();
        let teacher = frame([0.0, 0.0]);
        let loss = mse_log_posterior_loss(student.clone(), teacher, &[1], 1);
        let gradient = student.grad_remove(&mut loss.backward()).unwrap();
        let gradient: Vec<f32> = gradient.into_data().iter().collect();
        assert!(gradient[1] < -20.0, "{gradient:?}");
    }

    #[test]
    fn frames_of_blank_weigh_as_told() {
        let blank = 0.9f32;
        let teacher = frame([blank.ln(), (1.0 - blank).ln()]);
        let student = frame([0.0, 0.0]);
        let loss = |blank_weight| {
            let divergence = Divergence {
                blank_weight,
                ..plain(1.0)
            };
            value(kl_loss(
                student.clone(),
                teacher.clone(),
                &[1],
                1,
                divergence,
            ))
        };
        let whole = blank * (blank / 0.5).ln() + (1.0 - blank) * ((1.0 - blank) / 0.5).ln();
        close(loss(1.0), whole);
        close(loss(0.2), whole * (1.0 - 0.8 * blank));
        close(loss(0.0), whole * (1.0 - blank));
    }

    #[test]
    fn only_frames_around_spikes_count_if_told_so() {
        // Blank but for frames 1 and 5, of which 5 lies behind the utterance; two classes.
        let sure = [3f32.ln(), 0.0];
        let unsure = [0.0, 3f32.ln()];
        let frames = [sure, unsure, sure, sure, sure, unsure];
        let teacher = cube(&frames.concat(), [1, 6, 2]);
        let student = cube(&[0.0; 12], [1, 6, 2]);
        let loss = |spike_frames| {
            let divergence = Divergence {
                spike_frames,
                ..plain(1.0)
            };
            let (student, teacher) = (student.clone(), teacher.clone());
            value(kl_loss(student, teacher, &[5], 5, divergence))
        };
        let each = 0.75 * (0.75f32 / 0.5).ln() + 0.25 * (0.25f32 / 0.5).ln();
        close(loss(None), each);
        close(loss(Some(0)), each / 5.0);
        close(loss(Some(1)), each * 3.0 / 5.0);
        close(loss(Some(2)), each * 4.0 / 5.0);
        close(loss(Some(50)), each);
    }

    #[test]
    fn kl_is_the_teachers_expectation_and_scales_with_the_temperature() {
        let student = cube(&[0.0, 0.0, 8.0, 1.0], [1, 2, 2]);
        let teacher = cube(&[3f32.ln(), 0.0, -4.0, f32::NAN], [1, 2, 2]);
        let want = 0.75 * (0.75f32 / 0.5).ln() + 0.25 * (0.25f32 / 0.5).ln();
        close(
            value(kl_loss(
                student.clone(),
                teacher.clone(),
                &[1],
                1,
                plain(1.0),
            )),
            want,
        );
        // At temperature 2 the teacher is (sqrt 3, 1) / (1 + sqrt 3).
        let p = 3f32.sqrt() / (1.0 + 3f32.sqrt());
        let want = 4.0 * (p * (p / 0.5).ln() + (1.0 - p) * ((1.0 - p) / 0.5).ln());
        close(value(kl_loss(student, teacher, &[1], 1, plain(2.0))), want);
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
                plain(1.5),
            )),
            0.0,
        );
        let student = Tensor::<3>::from_data(TensorData::new(vec![0.0f32; 4], [1, 2, 2]), &device)
            .require_grad();
        let loss = kl_loss(student.clone(), teacher, &[2], 2, plain(1.0));
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
        let whole = value(kl_loss(
            student.clone(),
            teacher.clone(),
            &[4, 2],
            6,
            plain(1.0),
        ));
        let parts = value(kl_loss(
            part(&student, 0),
            part(&teacher, 0),
            &[4],
            6,
            plain(1.0),
        )) + value(kl_loss(
            part(&student, 1),
            part(&teacher, 1),
            &[2],
            6,
            plain(1.0),
        ));
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
        let losses: [(&str, Loss); 5] = [
            ("mse", with(mse_log_posterior_loss)),
            ("kl", with(|s, t, l, n| kl_loss(s, t, l, n, plain(2.0)))),
            ("feature", with(feature_loss)),
            (
                "kl at spikes",
                with(|s, t, l, n| {
                    let spike_frames = Some(0);
                    let divergence = Divergence {
                        spike_frames,
                        ..plain(1.0)
                    };
                    kl_loss(s, t, l, n, divergence)
                }),
            ),
            (
                "kl of few blanks",
                with(|s, t, l, n| {
                    let blank_weight = 0.1;
                    let divergence = Divergence {
                        blank_weight,
                        ..plain(1.0)
                    };
                    kl_loss(s, t, l, n, divergence)
                }),
            ),
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
