//! Estimation of word n-gram language models: interpolated modified Kneser-Ney smoothing, count
//! cut-offs and entropy pruning.
//!
//! Sources: Chen and Goodman, "An empirical study of smoothing techniques for language modeling",
//! Computer Speech and Language 13 (1999), for the smoothing; Stolcke, "Entropy-based pruning of
//! backoff language models", DARPA workshop 1998, for the pruning. What a model computes and how
//! it is stored is `shared_model::decode::lm`'s business.

mod counts;
mod discounts;
mod estimate;
mod fit;
mod perplexity;
mod prune;
mod text;

pub use discounts::Discounts;
pub use estimate::{Estimate, EstimateConfig, estimate};
pub use fit::{Fitted, fit_to_bytes};
pub use perplexity::{Perplexity, perplexity};
pub use prune::Pruner;
pub use text::{Corpus, TextReader, VocabularyLimits};

use std::io;
use std::path::PathBuf;

use crate::exit_status::{ExitStatus, HasExitStatus};

/// Why a language model could not be made or measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LmError {
    #[error("{path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}, line {line}: not UTF-8 text; convert the file to UTF-8")]
    NotText { path: PathBuf, line: usize },
    #[error(
        "{path}, line {line}: longer than {limit} bytes; put one sentence on a line, in plain text"
    )]
    LongLine {
        path: PathBuf,
        line: usize,
        limit: usize,
    },
    #[error("the text has more than {limit} words; use a part of it")]
    TooManyWords { limit: usize },
    #[error("{path} holds no word")]
    NoWords { path: PathBuf },
    #[error("order {order}: 1 to {limit} are supported")]
    Order { order: usize, limit: usize },
    #[error(
        "{given} count cut-offs for order {order}: give one for each order, from 1, none below the one before"
    )]
    CutOffs { given: String, order: usize },
    #[error(
        "{bytes} bytes with no n-gram longer than a word, more than the {limit} allowed; limit the vocabulary"
    )]
    DoesNotFit { bytes: usize, limit: usize },
    #[error("the model could not be compressed")]
    Compress(#[source] io::Error),
    #[error(transparent)]
    Model(#[from] shared_model::decode::DecodeError),
}

impl HasExitStatus for LmError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Order { .. } | Self::CutOffs { .. } => ExitStatus::Usage,
            Self::Compress(_) => ExitStatus::Failed,
            Self::Read { .. }
            | Self::NotText { .. }
            | Self::LongLine { .. }
            | Self::TooManyWords { .. }
            | Self::NoWords { .. }
            | Self::DoesNotFit { .. } => ExitStatus::Data,
            Self::Model(error) => error.exit_status(),
        }
    }
}
