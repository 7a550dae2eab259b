//! Losses: CTC against transcripts, and what a student learns from its teacher.
//!
//! Every loss sees real frames only. Means are taken with weights that the caller may spread over
//! parts of a batch, so that the parts' losses add up to the whole batch's.

mod consistency;
mod ctc;
mod distill;

pub use consistency::consistency_loss;
pub use ctc::{CtcLoss, ctc_loss, ctc_loss_weighted, is_feasible, mean_weights};
pub use distill::{
    Clip, clip_loss, feature_loss, frame_mask, kl_loss, mse_log_posterior_loss, utterance_means,
};
