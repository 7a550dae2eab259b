//! Where batches come from.

use super::{Batch, DataError, EpochPlan, Share};

/// Batches in order.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<Batch, DataError>> + 'a>;

/// The training utterances that a phase learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainingAudio {
    /// Those that CTC can use.
    Transcribed,
    /// Also those without a transcript, of which a student learns what the teacher says.
    All,
}

/// Which of many things a process does: every `of`th, beginning with number `first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The first one.
    pub first: usize,
    /// Processes that take turns.
    pub of: usize,
}

impl Turn {
    /// Everything.
    pub fn every() -> Self {
        Self { first: 0, of: 1 }
    }
}

/// The data of a run as training sees it. Everything depends on the plan alone, so an epoch can be
/// entered again in its middle.
pub trait BatchSource {
    /// Training batches that [`Self::epoch`] will give.
    fn batches_in_epoch(&self, audio: TrainingAudio, plan: EpochPlan) -> usize;
    /// The training batches of an epoch without the first `skip`, each as the shards of `share` have
    /// it, which may be nothing.
    ///
    /// # Errors
    /// Data that cannot be prepared. A batch that fails is an error of its own, and the last one.
    fn epoch(
        &mut self,
        audio: TrainingAudio,
        plan: EpochPlan,
        skip: usize,
        share: &Share,
    ) -> Result<Batches<'_>, DataError>;
    /// Shows the batches of the development set whose `turn` it is, with their numbers, unchanged by
    /// augmentation, in an order that never changes.
    ///
    /// # Errors
    /// A batch that cannot be made.
    fn visit_dev(
        &mut self,
        turn: Turn,
        visit: &mut dyn FnMut(usize, &Batch),
    ) -> Result<(), DataError>;
    /// About `utterances` training utterances, unchanged by augmentation.
    ///
    /// # Errors
    /// As [`Self::epoch`].
    fn plain_training(&mut self, utterances: usize) -> Result<Batches<'_>, DataError>;
    /// Files found broken since the last call: path and reason.
    fn take_quarantined(&mut self) -> Vec<(String, String)>;
}
