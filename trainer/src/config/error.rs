//! What can be wrong with a recipe.

use std::path::PathBuf;

use crate::exit_status::{ExitStatus, HasExitStatus};

/// A recipe that cannot be used. Every message is one line and says where and what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read recipe {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
    /// It is no TOML.
    #[error("{place}: not valid TOML: {reason}")]
    Syntax {
        /// File and line.
        place: String,
        /// What the parser says.
        reason: String,
    },
    /// No recipe has such a key.
    #[error("{place}: unknown key `{key}`{hint}")]
    UnknownKey {
        /// File and line, or the override.
        place: String,
        /// Dotted.
        key: String,
        /// `: did you mean ...?`, or the list of keys, or nothing.
        hint: String,
    },
    /// Recipes once had this key.
    #[error("{place}: `{key}` is now `{new_key}`")]
    Moved {
        /// File and line, or the override.
        place: String,
        /// Dotted, as given.
        key: String,
        /// Dotted, what it is called today.
        new_key: String,
    },
    /// The value is of another type than the key's.
    #[error("{place}: `{key}` is {found}, expected {expected}")]
    WrongType {
        /// File and line, or the override.
        place: String,
        /// Dotted.
        key: String,
        /// The value's type in words.
        found: &'static str,
        /// The key's type in words.
        expected: String,
    },
    /// The types agree, and yet there is no such value, or a key is missing.
    #[error("{place}: {reason}")]
    Value {
        /// File and line, or the override.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// An override that says nothing.
    #[error("--set {given}: {reason}")]
    Override {
        /// As given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value outside its limits, or one that contradicts another.
    #[error("{place}: `{key}` {reason}")]
    Invalid {
        /// File and line, or the override.
        place: String,
        /// Dotted.
        key: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// The recipe cannot be written as TOML.
    #[error("cannot write the recipe as TOML")]
    Write(#[source] toml::ser::Error),
}

impl HasExitStatus for RecipeError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Read { .. }
            | Self::Syntax { .. }
            | Self::UnknownKey { .. }
            | Self::Moved { .. }
            | Self::WrongType { .. }
            | Self::Value { .. }
            | Self::Override { .. }
            | Self::Invalid { .. }
            | Self::Write(_) => ExitStatus::Usage,
        }
    }
}
