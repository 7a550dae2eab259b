//! The contrastive loss of step 1 (EncRL, arXiv 2505.16991, section 3): a student's utterance should
//! be most like the teacher's version of the same utterance.

use burn::{prelude::*, tensor::activation::log_softmax};

use super::distill::unit;

/// Divisor of similarities (the paper's code).
const TEMPERATURE: f64 = 0.07;

/// Utterances that each one is told from: those beside it in the paper's batches of 64. A batch that
/// has more or fewer of them counts as much.
const STRANGERS: f64 = 63.0;

/// Added to the similarity of what is not to be told apart. Its exponential is 0.
const OUT_OF_SIGHT: f32 = -1e9;

/// How two utterance means are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContrastiveSimilarity {
    /// Dot products as they are (the paper's code).
    Dot,
    /// Cosines.
    Cosine,
}

/// For each row of a batch a number that it shares with the rows that say the same: the other views
/// of its utterance, and utterances with the same transcript. Of an utterance without a transcript
/// nobody knows what it says: it is like no other.
///
/// `views`: rows of an utterance, one after the other.
pub fn same_speech(targets: &[Vec<u32>], views: usize) -> Vec<usize> {
    let views = views.max(1);
    let utterances: Vec<&Vec<u32>> = targets.iter().step_by(views).collect();
    let first = |index: usize| {
        let says_the_same = |other: &&Vec<u32>| !other.is_empty() && *other == utterances[index];
        utterances[..index].iter().position(says_the_same)
    };
    (0..targets.len())
        .map(|row| first(row / views).unwrap_or(row / views))
        .collect()
}

/// Symmetric contrastive loss between utterance means `[batch, d_model]`, nats: each student mean
/// should find its own teacher mean among those of utterances that say something else, and the
/// reverse. However many of them there are, they weigh as [`STRANGERS`], so that a loss means the same
/// in every batch: `ln 64` where nothing is told apart. It is the mean over the rows that have any;
/// without one it is 0.
///
/// `speech`: see [`same_speech`].
pub fn contrastive_loss(
    student: Tensor<2>,
    teacher: Tensor<2>,
    speech: &[usize],
    similarity: ContrastiveSimilarity,
) -> Tensor<1> {
    let batch = speech.len();
    let strangers = |row: usize| speech.iter().filter(|&&other| other != speech[row]).count();
    let strangers: Vec<usize> = (0..batch).map(strangers).collect();
    let anchors = strangers.iter().filter(|&&count| count > 0).count();
    if anchors == 0 {
        return student.sum() * 0.0;
    }
    let (student, teacher) = match similarity {
        ContrastiveSimilarity::Dot => (student, teacher),
        ContrastiveSimilarity::Cosine => (unit(student), unit(teacher)),
    };
    let device = student.device().inner();
    // `[batch, batch]`: an anchor's row adds up to itself and `STRANGERS` others.
    let mut weights = vec![OUT_OF_SIGHT; batch * batch];
    let mut own = vec![0.0f32; batch * batch];
    for row in 0..batch {
        for column in 0..batch {
            if row == column {
                weights[row * batch + column] = 0.0;
                own[row * batch + column] = f32::from(u8::from(strangers[row] > 0));
            } else if speech[row] != speech[column] {
                let share = STRANGERS / strangers[row] as f64;
                weights[row * batch + column] = share.ln() as f32;
            }
        }
    }
    let square = |values| Tensor::<2>::from_data(TensorData::new(values, [batch; 2]), &device);
    let (weights, own) = (square(weights), square(own));
    let similarities = student.matmul(teacher.transpose()) / TEMPERATURE;
    let to_teacher = log_softmax(similarities.clone() + weights.clone(), 1) * own.clone();
    let to_student = log_softmax(similarities + weights.transpose(), 0) * own;
    (to_teacher + to_student).sum() / (-2.0 * anchors as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn matrix<const N: usize>(rows: &[[f32; N]], device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(rows.concat(), [rows.len(), N]), device)
    }

    fn value(loss: Tensor<1>) -> f32 {
        loss.into_scalar::<f32>()
    }

    fn close(got: f32, want: f32) {
        assert!((got - want).abs() < 1e-5, "{got} instead of {want}");
    }

    /// Of one anchor: its own similarity, and those of the strangers, which weigh as 63.
    fn cross_entropy(own: f32, strangers: &[f32]) -> f32 {
        let mean = strangers.iter().map(|s| (s - own).exp()).sum::<f32>() / strangers.len() as f32;
        (1.0 + 63.0 * mean).ln()
    }

    #[test]
    fn the_loss_of_dot_products_can_be_computed_by_hand() {
        // Similarities / 0.07: rows [1, 2] and [3, 1].
        let device = Device::flex();
        let student = matrix(&[[0.07, 0.14], [0.21, 0.07]], &device);
        let teacher = matrix(&[[1.0, 0.0], [0.0, 1.0]], &device);
        let rows = cross_entropy(1.0, &[2.0]) + cross_entropy(1.0, &[3.0]);
        let columns = cross_entropy(1.0, &[3.0]) + cross_entropy(1.0, &[2.0]);
        let dot = ContrastiveSimilarity::Dot;
        close(
            value(contrastive_loss(student, teacher, &[0, 1], dot)),
            (rows + columns) / 4.0,
        );
    }

    #[test]
    fn the_loss_of_cosines_does_not_depend_on_lengths_of_vectors() {
        let device = Device::flex();
        let student = matrix(&[[3.0, 0.0], [0.0, 0.2]], &device);
        let teacher = matrix(&[[0.5, 0.0], [0.0, 7.0]], &device);
        let cosine = ContrastiveSimilarity::Cosine;
        close(
            value(contrastive_loss(student, teacher, &[0, 1], cosine)),
            cross_entropy(1.0 / 0.07, &[0.0]),
        );
    }

    #[test]
    fn equal_transcripts_and_views_are_not_told_apart() {
        let (yes, no) = (vec![3, 4], vec![5]);
        let says = [yes.clone(), no.clone(), yes.clone(), vec![], vec![]];
        assert_eq!(same_speech(&says, 1), [0, 1, 0, 3, 4]);
        let views = [yes.clone(), yes.clone(), vec![], vec![], no.clone(), no];
        assert_eq!(same_speech(&views, 2), [0, 0, 1, 1, 2, 2]);

        // Rows 0 and 2 say the same: what they have in common is neither here nor there.
        let device = Device::flex();
        let teacher = matrix(
            &[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            &device,
        );
        let student = |common: f32| {
            let rows = [
                [0.07, 0.14, common],
                [0.21, 0.07, -0.07],
                [common, 0.0, 0.14],
            ];
            matrix(&rows, &device)
        };
        let loss = |common| {
            let dot = ContrastiveSimilarity::Dot;
            value(contrastive_loss(
                student(common),
                teacher.clone(),
                &[0, 1, 0],
                dot,
            ))
        };
        let rows = cross_entropy(1.0, &[2.0])
            + cross_entropy(1.0, &[3.0, -1.0])
            + cross_entropy(2.0, &[0.0]);
        let columns = cross_entropy(1.0, &[3.0])
            + cross_entropy(1.0, &[2.0, 0.0])
            + cross_entropy(2.0, &[-1.0]);
        close(loss(0.0), (rows + columns) / 6.0);
        close(loss(0.9), loss(0.0));
    }

    #[test]
    fn the_loss_means_the_same_in_batches_of_any_size() {
        for batch in [2, 4, 30, 64, 200] {
            let blind = Tensor::<2>::ones([batch, 3], &Device::flex());
            let speech: Vec<usize> = (0..batch).collect();
            for similarity in [ContrastiveSimilarity::Dot, ContrastiveSimilarity::Cosine] {
                let loss = contrastive_loss(blind.clone(), blind.clone(), &speech, similarity);
                close(value(loss), 64f32.ln());
            }
        }
    }

    #[test]
    fn where_there_is_nothing_to_tell_apart_it_is_zero_and_can_be_differentiated() {
        let device = Device::flex();
        for (rows, speech) in [
            (vec![[1.0, 2.0]], vec![0]),
            (vec![[1.0, 2.0]; 2], vec![0, 0]),
        ] {
            let student = matrix(&rows, &device.clone().autodiff()).require_grad();
            let teacher = matrix(&rows, &device);
            let dot = ContrastiveSimilarity::Dot;
            let loss = contrastive_loss(student.clone(), teacher, &speech, dot);
            let gradient = student.grad_remove(&mut loss.backward()).unwrap();
            assert_eq!(value(loss), 0.0);
            assert_eq!(gradient.abs().sum().into_scalar::<f32>(), 0.0);
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let (device, speech) = (Device::flex(), [0, 1, 0, 3]);
        // Similarities of the size of the temperature: far above it, the loss is flat.
        let values = |shift: f32| -> Vec<f32> {
            (0..12)
                .map(|i| ((i * 7 % 11) as f32 * 0.6 + shift).sin() * 0.3)
                .collect()
        };
        let tensor = |values: &[f32], device: &Device| {
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), [4, 3]), device)
        };
        let (at, teacher) = (values(0.3), tensor(&values(1.0), &device));
        for similarity in [ContrastiveSimilarity::Dot, ContrastiveSimilarity::Cosine] {
            let loss = |student| contrastive_loss(student, teacher.clone(), &speech, similarity);
            let student = tensor(&at, &device.clone().autodiff()).require_grad();
            let gradient = student.grad_remove(&mut loss(student.clone()).backward());
            let gradient: Vec<f32> = gradient.unwrap().into_data().iter().collect();
            assert!(gradient.iter().any(|g| g.abs() > 1e-2), "{gradient:?}");
            for i in 0..at.len() {
                let step = 2e-3;
                let moved = |by: f32| {
                    let mut moved = at.clone();
                    moved[i] += by;
                    value(loss(tensor(&moved, &device)))
                };
                let slope = (moved(step) - moved(-step)) / (2.0 * step);
                let error = (slope - gradient[i]).abs();
                assert!(
                    error < 2e-3 * (1.0 + slope.abs()),
                    "{similarity:?} {i}: {slope}"
                );
            }
        }
    }
}
