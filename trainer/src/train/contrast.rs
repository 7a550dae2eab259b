//! The contrastive loss of a network, which compares the utterances of a whole batch, over the shards
//! that the batch was dealt into.
//!
//! The shards are not put together for it: it sees their utterances' means alone, and what it pulls
//! each mean by goes back into the shard's own graph as a constant.

use burn::prelude::*;

use super::{
    objective::{Distillation, ForwardPass, Term},
    shard::Shard,
};
use crate::{
    config::Preset,
    loss::{ContrastiveSimilarity, contrastive_loss, same_speech},
};

/// Utterance means of a shard, `[batch, d_model]` each.
pub(super) struct Means {
    /// With the shard's graph.
    pub student: Tensor<2>,
    /// Constants.
    pub teacher: Tensor<2>,
}

/// Adds the contrastive loss of a batch to the passes of its shards.
pub(super) fn contrast(
    passes: &mut [&mut ForwardPass],
    shards: &[Shard],
    distillation: &Distillation,
) {
    let means: Vec<&Means> = passes
        .iter()
        .filter_map(|pass| pass.means.as_ref())
        .collect();
    if means.is_empty() {
        return;
    }
    let students = means.iter().map(|means| means.student.clone().inner());
    let teachers = means.iter().map(|means| means.teacher.clone());
    let student = Tensor::from_inner(Tensor::cat(students.collect(), 0)).require_grad();
    let teacher = Tensor::cat(teachers.collect(), 0);
    let similarity = match distillation.preset {
        Preset::Faithful => ContrastiveSimilarity::Dot,
        Preset::Improved => ContrastiveSimilarity::Cosine,
    };
    let loss = contrastive_loss(student.clone(), teacher, &speech(shards), similarity);
    let Some(pull) = student.grad(&loss.backward()) else {
        return;
    };
    let pull = pull * distillation.weights.clip;
    let mut row = 0;
    for pass in passes.iter_mut() {
        if let Some(means) = pass.means.take() {
            let rows = means.student.dims()[0];
            let own = Tensor::from_inner(pull.clone().narrow(0, row, rows));
            pass.losses.push((means.student * own).sum());
            row += rows;
        }
    }
    let value = Term::Device(Box::new(loss.inner()));
    if let Some(first) = passes.first_mut() {
        first.terms.push(("clip", value));
    }
}

/// [`same_speech`] of all rows, in the order of the shards.
fn speech(shards: &[Shard]) -> Vec<usize> {
    // Views of an utterance stay in one shard, one after the other.
    let targets: Vec<Vec<u32>> = shards
        .iter()
        .flat_map(|shard| shard.targets.clone())
        .collect();
    let views = shards.first().map_or(1, |shard| shard.views);
    same_speech(&targets, views)
}
