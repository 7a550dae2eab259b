//! Where batches come from.

use super::{Batch, DataError, EpochPlan};

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

/// The data of a run as training sees it. Everything depends on the plan alone, so an epoch can be
/// entered again in its middle.
pub trait BatchSource {
    /// Training batches that [`Self::epoch`] will give.
    fn batches_in_epoch(&self, audio: TrainingAudio, plan: EpochPlan) -> usize;
    /// The training batches of an epoch without the first `skip`.
    ///
    /// # Errors
    /// Data that cannot be prepared. A batch that fails is an error of its own, and the last one.
    fn epoch(
        &mut self,
        audio: TrainingAudio,
        plan: EpochPlan,
        skip: usize,
    ) -> Result<Batches<'_>, DataError>;
    /// Shows every batch of the development set, unchanged by augmentation, in an order that never
    /// changes.
    ///
    /// # Errors
    /// A batch that cannot be made.
    fn visit_dev(&mut self, visit: &mut dyn FnMut(&Batch)) -> Result<(), DataError>;
    /// About `utterances` training utterances, unchanged by augmentation.
    ///
    /// # Errors
    /// As [`Self::epoch`].
    fn plain_training(&mut self, utterances: usize) -> Result<Batches<'_>, DataError>;
    /// Files found broken since the last call: path and reason.
    fn take_quarantined(&mut self) -> Vec<(String, String)>;
}
