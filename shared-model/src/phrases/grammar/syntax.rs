//! What a list of phrases is once it is read: rules and phrases as trees.

use super::error::Place;

/// Part of a phrase.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::phrases) enum Expr {
    /// Nothing is said (`<NULL>`).
    Nothing,
    Word {
        text: String,
        at: Place,
    },
    Sequence(Vec<Expr>),
    Choice(Vec<Expr>),
    Optional(Box<Expr>),
    /// `*`: any number of times, or never.
    AnyTimes(Box<Expr>),
    /// `+`: once or more.
    Repeated(Box<Expr>),
    /// `<rule>` or `<rule:slot>`.
    Rule {
        name: String,
        slot: Option<String>,
        at: Place,
    },
    Tagged(Box<Expr>, String),
}

/// `<name> = expression`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::phrases) struct Rule {
    pub name: String,
    pub body: Expr,
    pub at: Place,
}

/// One phrase: a line of a list, or an alternative of a public rule.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::phrases) struct Phrase {
    pub body: Expr,
    pub at: Place,
}

/// `@ threshold VALUE MODEL` in a comment: what `fledge tune-phrases` found for a model.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::phrases) struct StoredThreshold {
    pub model: String,
    pub threshold: f32,
}

impl Expr {
    /// A sequence, without a wrapper around a single part.
    pub(super) fn sequence(mut parts: Vec<Expr>) -> Self {
        match parts.len() {
            1 => parts.swap_remove(0),
            _ => Self::Sequence(parts),
        }
    }

    /// A choice, without a wrapper around a single part.
    pub(super) fn choice(mut parts: Vec<Expr>) -> Self {
        match parts.len() {
            1 => parts.swap_remove(0),
            _ => Self::Choice(parts),
        }
    }
}
