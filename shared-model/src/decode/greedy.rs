//! Best path: the most probable class of each frame, repeats collapsed, blanks removed.

use super::{Hypothesis, LogProbs};

pub fn greedy(log_probs: LogProbs<'_>) -> Hypothesis {
    let _ = log_probs;
    unimplemented!()
}
