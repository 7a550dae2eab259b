//! The rules that a list may use, and how large a phrase is with all of them written out.

use std::collections::HashMap;

use crate::phrases::{
    edit_distance::letters_apart,
    grammar::{Expr, PhraseError, Place, Rule},
};

/// Brackets and rules inside each other.
const MAX_LEVELS: usize = 400;

/// Rules by name; a file's own come before those that are built in.
pub(super) struct Rules<'a> {
    by_name: HashMap<&'a str, (&'a Rule, bool)>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(builtin: &'a [Rule], own: &'a [Rule]) -> Self {
        let builtin = builtin
            .iter()
            .map(|rule| (rule.name.as_str(), (rule, true)));
        let own = own.iter().map(|rule| (rule.name.as_str(), (rule, false)));
        Self {
            by_name: builtin.chain(own).collect(),
        }
    }

    /// The rule, and whether it is built in.
    pub(super) fn get(&self, name: &str, at: Place) -> Result<(&'a Rule, bool), PhraseError> {
        let known = self.by_name.get(name).copied();
        known.ok_or_else(|| PhraseError::UnknownRule {
            at,
            name: name.to_owned(),
            hint: self.hint(name),
        })
    }

    fn hint(&self, name: &str) -> String {
        let known = self
            .by_name
            .keys()
            .filter(|known| !known.starts_with("fledge."));
        let nearest = known.min_by_key(|known| (letters_apart(known, name), **known));
        match nearest {
            Some(nearest) if letters_apart(nearest, name) <= 2 => {
                format!(": did you mean <{nearest}>?")
            }
            _ => {
                "; built in are <number>, <digit>, <digits>, <letter>, <letters> and <date>".into()
            }
        }
    }

    /// Letters of an expression with all rules written out; `known`: of rules, once counted.
    pub(super) fn measure(
        &self,
        expr: &'a Expr,
        level: usize,
        known: &mut HashMap<&'a str, Option<u64>>,
    ) -> Result<u64, PhraseError> {
        check_level(level)?;
        let mut sum = |parts: &'a [Expr]| {
            parts.iter().try_fold(1u64, |sum, part| {
                Ok(sum.saturating_add(self.measure(part, level + 1, known)?))
            })
        };
        match expr {
            Expr::Nothing => Ok(1),
            Expr::Word { text, .. } => Ok(text.chars().count() as u64 + 1),
            Expr::Sequence(parts) | Expr::Choice(parts) => sum(parts),
            Expr::Optional(part)
            | Expr::AnyTimes(part)
            | Expr::Repeated(part)
            | Expr::Tagged(part, _) => sum(std::slice::from_ref(part)),
            Expr::Rule { name, at, .. } => {
                let (rule, _) = self.get(name, *at)?;
                if let Some(count) = known.get(rule.name.as_str()) {
                    // A rule inside itself is an arc back.
                    return Ok(count.unwrap_or(1));
                }
                known.insert(&rule.name, None);
                let count = self.measure(&rule.body, level + 1, known)?;
                known.insert(&rule.name, Some(count));
                Ok(count)
            }
        }
    }
}

pub(super) fn check_level(level: usize) -> Result<(), PhraseError> {
    if level > MAX_LEVELS {
        return Err(PhraseError::TooLarge {
            what: "levels of brackets and rules",
            found: level as u64,
            limit: MAX_LEVELS as u64,
            advice: "",
        });
    }
    Ok(())
}
