//! Which items are taken for which, left out and put in: the same count for words and characters.

use std::collections::HashMap;

use serde::Serialize;

/// An item of the references taken for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// What was said.
    pub reference: String,
    /// What was written.
    pub hypothesis: String,
    /// How often.
    pub count: usize,
    /// How often it was said.
    pub of: usize,
}

/// An item left out or put in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Frequency {
    /// The word or character.
    pub item: String,
    /// How often.
    pub count: usize,
    /// How often it was said.
    pub of: usize,
}

/// Errors by kind, the most frequent first, equally frequent ones in the order of the alphabet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Confusions {
    /// Taken for another.
    pub substituted: Vec<Confusion>,
    /// Said and not written.
    pub deleted: Vec<Frequency>,
    /// Written and not said.
    pub inserted: Vec<Frequency>,
}

impl Confusions {
    pub(super) fn counter() -> Counter {
        Counter::default()
    }
}

/// Counts pairs of alignments.
#[derive(Default)]
pub(super) struct Counter {
    said: HashMap<String, usize>,
    substituted: HashMap<(String, String), usize>,
    deleted: HashMap<String, usize>,
    inserted: HashMap<String, usize>,
}

impl Counter {
    pub fn count(&mut self, reference: Option<&str>, hypothesis: Option<&str>) {
        if let Some(said) = reference {
            *self.said.entry(said.to_owned()).or_default() += 1;
        }
        match (reference, hypothesis) {
            (Some(said), Some(written)) if said != written => {
                let pair = (said.to_owned(), written.to_owned());
                *self.substituted.entry(pair).or_default() += 1;
            }
            (Some(said), None) => *self.deleted.entry(said.to_owned()).or_default() += 1,
            (None, Some(written)) => *self.inserted.entry(written.to_owned()).or_default() += 1,
            _ => {}
        }
    }

    pub fn finish(self) -> Confusions {
        let said = |item: &str| self.said.get(item).copied().unwrap_or_default();
        let frequencies = |counts: HashMap<String, usize>| {
            let counts = counts.into_iter().map(|(item, count)| Frequency {
                of: said(&item),
                item,
                count,
            });
            let mut counts: Vec<Frequency> = counts.collect();
            counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.item.cmp(&b.item)));
            counts
        };
        let substituted = self.substituted.into_iter();
        let substituted = substituted.map(|((reference, hypothesis), count)| Confusion {
            of: said(&reference),
            reference,
            hypothesis,
            count,
        });
        let mut substituted: Vec<Confusion> = substituted.collect();
        substituted.sort_by(|a, b| {
            let name =
                |confusion: &Confusion| (confusion.reference.clone(), confusion.hypothesis.clone());
            b.count.cmp(&a.count).then_with(|| name(a).cmp(&name(b)))
        });
        Confusions {
            substituted,
            deleted: frequencies(self.deleted),
            inserted: frequencies(self.inserted),
        }
    }
}
