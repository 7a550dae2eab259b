//! Losses. Every loss is a sum over utterances or frames with weights that the caller may spread over
//! shards of a batch, so that the shards' losses add up to the whole batch's; [`contrastive_loss`]
//! alone compares the utterances of a whole batch.

mod consistency;
mod contrastive;
mod ctc;
mod distill;
mod frames;

pub use consistency::consistency_loss;
pub use contrastive::{ContrastiveSimilarity, contrastive_loss, same_speech};
pub use ctc::{
    CtcLoss, ctc_loss, ctc_loss_per_label, ctc_loss_weighted, is_feasible, label_weights,
    mean_weights, min_frames,
};
pub use distill::{Divergence, feature_loss, kl_loss, mse_log_posterior_loss};
pub use frames::{frame_mask, utterance_means};
