//! The contrastive loss of a network, which compares the utterances of a whole batch, over the shards
//! that the batch was dealt into.
//!
//! The shards are not put together for it: it sees their utterances' means alone, and what it pulls
//! each mean by goes back into the shard's own graph as a constant. Processes that share the shards
//! send each other the means, and each computes the whole loss: all come to the same.

use std::{convert::Infallible, ops::Range};

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

/// Utterance means of a whole batch, `[batch, d_model]` each, and what is said; all in the order of the
/// shards.
pub(super) struct WholeMeans {
    pub student: Tensor<2>,
    pub teacher: Tensor<2>,
    pub targets: Vec<Vec<u32>>,
    /// This process's rows.
    pub own: Range<usize>,
}

/// Where the means of all shards come together.
pub(super) trait Meeting {
    /// Why they cannot.
    type Failure;
    /// The means of the whole batch, from those of this process's shards; `None` without any.
    fn whole(&self, own: &[&Means], shards: &[Shard]) -> Result<Option<WholeMeans>, Self::Failure>;
}

/// One process, which has all shards.
pub(super) struct Alone;

impl Meeting for Alone {
    type Failure = Infallible;

    fn whole(&self, own: &[&Means], shards: &[Shard]) -> Result<Option<WholeMeans>, Infallible> {
        if own.is_empty() {
            return Ok(None);
        }
        let students = own.iter().map(|means| means.student.clone().inner());
        let teachers = own.iter().map(|means| means.teacher.clone());
        let targets = shards.iter().flat_map(|shard| shard.targets.clone());
        let targets: Vec<Vec<u32>> = targets.collect();
        Ok(Some(WholeMeans {
            student: Tensor::cat(students.collect(), 0),
            teacher: Tensor::cat(teachers.collect(), 0),
            own: 0..targets.len(),
            targets,
        }))
    }
}

/// Adds the contrastive loss of a batch to the passes of a network over this process's shards.
pub(super) fn contrast<M: Meeting>(
    passes: &mut [&mut ForwardPass],
    shards: &[Shard],
    distillation: &Distillation,
    meeting: &M,
) -> Result<(), M::Failure> {
    let own: Vec<&Means> = passes
        .iter()
        .filter_map(|pass| pass.means.as_ref())
        .collect();
    let Some(whole) = meeting.whole(&own, shards)? else {
        return Ok(());
    };
    let student = Tensor::from_inner(whole.student).require_grad();
    let similarity = match distillation.preset {
        Preset::Faithful => ContrastiveSimilarity::Dot,
        Preset::Improved => ContrastiveSimilarity::Cosine,
    };
    // Views of an utterance stay in one shard, one after the other.
    let views = shards.first().map_or(1, |shard| shard.views);
    let speech = same_speech(&whole.targets, views);
    let loss = contrastive_loss(student.clone(), whole.teacher, &speech, similarity);
    let Some(pull) = student.grad(&loss.backward()) else {
        return Ok(());
    };
    let pull = pull * distillation.weights.clip;
    let mut row = whole.own.start;
    for pass in passes.iter_mut() {
        if let Some(means) = pass.means.take() {
            let rows = means.student.dims()[0];
            let own = Tensor::from_inner(pull.clone().narrow(0, row, rows));
            pass.losses.push((means.student * own).sum());
            row += rows;
        }
    }
    // Told once: by the process that has the first row.
    if whole.own.start == 0
        && let Some(first) = passes.first_mut()
    {
        let value = Term::Device(Box::new(loss.inner()));
        first.terms.push(("clip", value));
    }
    Ok(())
}
