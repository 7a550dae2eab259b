use crate::exit_status::{ExitStatus, HasExitStatus};

/// Two files that cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// One has what the other does not.
    #[error(
        "the files are not of the same utterances: {count} of the {of} are not in the {other}, first {utterance}"
    )]
    OtherUtterances {
        /// Missing.
        count: usize,
        /// `first` or `second` file.
        of: &'static str,
        /// The other one.
        other: &'static str,
        /// The first that is missing.
        utterance: String,
    },
    /// An utterance stands twice in one file.
    #[error("the {of} file has {utterance} twice")]
    Twice {
        /// `first` or `second` file.
        of: &'static str,
        /// The utterance.
        utterance: String,
    },
    /// The references differ.
    #[error("the files have other references for {utterance}: \"{first}\" and \"{second}\"")]
    OtherText {
        /// The utterance.
        utterance: String,
        /// Of the first file, normalised.
        first: String,
        /// Of the second file, normalised.
        second: String,
    },
    /// No reference has a word.
    #[error("no utterance has a reference to measure against")]
    NoText,
}

impl HasExitStatus for CompareError {
    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Data
    }
}
