//! What can be wrong with a recipe.

use std::path::PathBuf;

/// A recipe that cannot be used. Every message is one line and says where and what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    #[error("cannot read recipe {path}: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{place}: not valid TOML: {reason}")]
    Syntax { place: String, reason: String },
    #[error("{place}: unknown key `{key}`{hint}")]
    UnknownKey {
        place: String,
        key: String,
        /// `: did you mean ...?`, or the list of keys, or nothing.
        hint: String,
    },
    #[error("{place}: `{key}` is {found}, expected {expected}")]
    WrongType {
        place: String,
        key: String,
        found: &'static str,
        expected: String,
    },
    #[error("{place}: {reason}")]
    Value { place: String, reason: String },
    #[error("--set {given}: {reason}")]
    Override { given: String, reason: String },
    #[error("{place}: `{key}` {reason}")]
    Invalid {
        place: String,
        key: String,
        reason: String,
    },
    #[error("cannot write the recipe as TOML: {0}")]
    Write(String),
}
