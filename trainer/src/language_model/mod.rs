//! Estimation of word n-gram language models: interpolated modified Kneser-Ney smoothing, count
//! cut-offs and entropy pruning.
//!
//! Sources: Chen and Goodman, "An empirical study of smoothing techniques for language modeling",
//! Computer Speech and Language 13 (1999), for the smoothing; Stolcke, "Entropy-based pruning of
//! backoff language models", DARPA workshop 1998, for the pruning. What a model computes and how
//! it is stored is `shared_model::decode::lm`'s business.

mod added_words;
mod counts;
mod discounts;
mod estimate;
mod fit;
mod perplexity;
mod pronunciations;
mod prune;
mod text;

pub use added_words::read_added_words;
pub use discounts::Discounts;
pub use estimate::{Estimate, EstimateConfig, estimate};
pub use fit::{Fitted, fit_to_bytes};
pub use perplexity::{Perplexity, perplexity};
pub use pronunciations::with_pronunciations;
pub use prune::Pruner;
pub use text::{Corpus, TextReader, VocabularyLimits};

use std::io;
use std::path::PathBuf;

use crate::exit_status::{ExitStatus, HasExitStatus};

/// Why a language model could not be made or measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LmError {
    /// A text cannot be read or unpacked.
    #[error("{path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line is not UTF-8.
    #[error("{path}, line {line}: not UTF-8 text; convert the file to UTF-8")]
    NotText {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// A line is too long for a sentence.
    #[error(
        "{path}, line {line}: longer than {limit} bytes; put one sentence on a line, in plain text"
    )]
    LongLine {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The most it may have, bytes.
        limit: usize,
    },
    /// The text is too long.
    #[error("the text has more than {limit} words; use a part of it")]
    TooManyWords {
        /// The most that are counted.
        limit: usize,
    },
    /// A text is empty once it is normalised.
    #[error("{path} holds no word")]
    NoWords {
        /// The file.
        path: PathBuf,
    },
    /// A line of a list of added words is none.
    #[error(
        "{path}, line {line}: expected a word and how often it counts, such as \"internet 30\""
    )]
    AddedWord {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// N-grams of a length that is not supported.
    #[error("order {order}: 1 to {limit} are supported")]
    Order {
        /// What was asked for.
        order: usize,
        /// The longest.
        limit: usize,
    },
    /// Count cut-offs that do not fit the order.
    #[error(
        "{given} count cut-offs for order {order}: give one for each order, from 1, none below the one before"
    )]
    CutOffs {
        /// What was asked for.
        given: String,
        /// Longest n-gram.
        order: usize,
    },
    /// The vocabulary alone is over the size that was asked for.
    #[error(
        "{bytes} bytes with no n-gram longer than a word, more than the {limit} allowed; limit the vocabulary"
    )]
    DoesNotFit {
        /// Size of the words alone.
        bytes: usize,
        /// What was asked for.
        limit: usize,
    },
    /// A file cannot be packed.
    #[error("the model could not be compressed")]
    Compress(#[source] io::Error),
    /// The estimate does not make a model.
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
            | Self::AddedWord { .. }
            | Self::DoesNotFit { .. } => ExitStatus::Data,
            Self::Model(error) => error.exit_status(),
        }
    }
}
