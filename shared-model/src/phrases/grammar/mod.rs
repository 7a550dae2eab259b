//! Lists of phrases and grammars: text to trees, and back to words.

mod builtin;
mod error;
mod jsgf;
mod lexer;
mod list;
mod parser;
mod read;
mod syntax;
#[cfg(test)]
mod tests;
mod values;

pub(super) use builtin::{builtin_rules, value_kind as builtin_kind};
pub use error::{PhraseError, PhraseWarning, Place};
pub(super) use read::Source;
pub use read::{MAX_LIST_BYTES, with_threshold, without_thresholds};
pub(super) use syntax::{Expr, Phrase, Rule};
pub use values::SlotValue;
pub(super) use values::ValueKind;
