//! What can be wrong with a list of phrases, and where.

use std::fmt;

/// A place in the text, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a list of phrases cannot be used.
#[derive(Debug, Clone, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum PhraseError {
    /// Not written as it should be.
    #[error("{at}: {reason}")]
    Syntax {
        /// Where.
        at: Place,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A rule that nobody wrote and that is not built in.
    #[error("{at}: there is no rule <{name}>{hint}")]
    UnknownRule {
        /// Where it is used.
        at: Place,
        /// Its name.
        name: String,
        /// What it may have meant, or what is built in.
        hint: String,
    },
    /// A rule that uses itself otherwise than at its end.
    #[error(
        "{at}: <{name}> uses itself before its end, which would need a memory without bounds: a rule may use itself only as its last part, or repeat with * and +"
    )]
    Recursion {
        /// Where it uses itself.
        at: Place,
        /// Its name.
        name: String,
    },
    /// Digits, which have no one way to be said.
    #[error(
        "{at}: \"{word}\" has digits, and the model writes what is said: write \"{spelled}\", or <number> for any number"
    )]
    Digits {
        /// Where.
        at: Place,
        /// As it was written.
        word: String,
        /// In words.
        spelled: String,
    },
    /// A word that the model's tokens cannot write.
    #[error("{at}: the model cannot write {character:?} of \"{word}\"; it writes {alphabet}")]
    Unspellable {
        /// Where.
        at: Place,
        /// The first character that is not among the model's.
        character: char,
        /// The word.
        word: String,
        /// The characters that it has.
        alphabet: String,
    },
    /// A phrase that silence would be.
    #[error(
        "{at}: this phrase is said by saying nothing: at least one of its words must be needed"
    )]
    SaidByNothing {
        /// Where it begins.
        at: Place,
    },
    /// There is no phrase at all.
    #[error("the list holds no phrase: write one a line, such as \"turn on the light\"")]
    Empty,
    /// Rules that go on for ever.
    #[error("no phrase of the list ever ends: every rule that uses itself needs a way out")]
    NeverEnds,
    /// Over a limit.
    #[error("the phrases have {found} {what}, more than the limit of {limit}{advice}")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// How many there are, or at least are.
        found: u64,
        /// The most that are allowed.
        limit: u64,
        /// What to do.
        advice: &'static str,
    },
}

impl PhraseError {
    /// Where it is, unless it is the list as a whole.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Syntax { at, .. }
            | Self::UnknownRule { at, .. }
            | Self::Recursion { at, .. }
            | Self::Digits { at, .. }
            | Self::Unspellable { at, .. }
            | Self::SaidByNothing { at } => Some(*at),
            Self::Empty | Self::NeverEnds | Self::TooLarge { .. } => None,
        }
    }

    pub(super) fn syntax(at: Place, reason: impl Into<String>) -> Self {
        Self::Syntax {
            at,
            reason: reason.into(),
        }
    }
}

/// Something that will work worse than its author thinks.
#[derive(Debug, Clone, PartialEq)]
pub struct PhraseWarning {
    /// Where it is written.
    pub at: Place,
    /// One sentence.
    pub message: String,
}

impl fmt::Display for PhraseWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}
