//! Trees of phrases to a network of words.

use std::collections::HashMap;

use super::{
    network::{ACCEPT, Label, Network, START},
    rules::{Rules, check_level},
    spelling::Spelling,
};
use crate::phrases::grammar::{Expr, Phrase, PhraseError, Place, Rule, ValueKind, builtin_kind};

/// Letters of a network, a word's end counted as one, with every rule written out where it is used.
pub const MAX_LETTERS: u64 = 500_000;
/// The network of all phrases.
///
/// # Errors
/// A rule that nobody wrote, recursion, words that the model cannot write, a phrase that may be
/// empty, and whatever is over [`MAX_LETTERS`], before anything is allocated for it.
pub(super) fn build(
    rules: &Rules<'_>,
    phrases: &[Phrase],
    spelling: &Spelling,
) -> Result<Network, PhraseError> {
    let mut known = HashMap::new();
    let letters = phrases.iter().try_fold(0u64, |sum, phrase| {
        let letters = rules.measure(&phrase.body, 0, &mut known)?;
        Ok::<_, PhraseError>(sum.saturating_add(letters))
    })?;
    if letters > MAX_LETTERS {
        return Err(PhraseError::TooLarge {
            what: "letters, with every rule written out where it is used",
            found: letters,
            limit: MAX_LETTERS,
            advice: ": use fewer phrases, or fewer rules inside rules",
        });
    }
    let mut builder = Builder::new(rules, spelling);
    for (index, phrase) in (0u32..).zip(phrases) {
        let start = builder.state();
        builder.arc(START, Label::Phrase(index), start);
        builder.expr(&phrase.body, start, ACCEPT, 0)?;
        builder.network.phrases.push(phrase.at);
    }
    let Builder {
        mut network,
        arcs,
        num_states,
        ..
    } = builder;
    network.set_arcs(num_states as usize, &arcs);
    check_said_by_something(&network)?;
    Ok(network)
}

/// A rule that is being written out.
struct OpenRule<'a> {
    name: &'a str,
    start: u32,
    /// Where it ends: what ends there too may begin it again.
    end: u32,
}

struct Builder<'a, 'r> {
    rules: &'r Rules<'a>,
    spelling: &'r Spelling,
    network: Network,
    arcs: Vec<(u32, Label, u32)>,
    num_states: u32,
    word_ids: HashMap<String, u32>,
    tag_ids: HashMap<String, u32>,
    open: Vec<OpenRule<'a>>,
    is_builtin: bool,
}

impl<'a, 'r> Builder<'a, 'r> {
    fn new(rules: &'r Rules<'a>, spelling: &'r Spelling) -> Self {
        Self {
            rules,
            spelling,
            network: Network::default(),
            arcs: Vec::new(),
            num_states: ACCEPT + 1,
            word_ids: HashMap::new(),
            tag_ids: HashMap::new(),
            open: Vec::new(),
            is_builtin: false,
        }
    }

    fn state(&mut self) -> u32 {
        self.num_states += 1;
        self.num_states - 1
    }

    fn arc(&mut self, from: u32, label: Label, to: u32) {
        self.arcs.push((from, label, to));
    }

    /// Every way to say `expr` leads from `from` to `to`.
    fn expr(&mut self, expr: &Expr, from: u32, to: u32, level: usize) -> Result<(), PhraseError> {
        check_level(level)?;
        let below = level + 1;
        match expr {
            Expr::Nothing => self.arc(from, Label::Nothing, to),
            Expr::Word { text, at } => {
                let id = self.word(text, *at)?;
                self.arc(from, Label::Word(id), to);
            }
            Expr::Sequence(parts) => self.sequence(parts, from, to, below)?,
            Expr::Choice(parts) => {
                for part in parts {
                    self.expr(part, from, to, below)?;
                }
            }
            Expr::Optional(part) => {
                self.expr(part, from, to, below)?;
                self.arc(from, Label::Nothing, to);
            }
            Expr::AnyTimes(part) | Expr::Repeated(part) => {
                let (start, end) = (self.state(), self.state());
                self.arc(from, Label::Nothing, start);
                self.expr(part, start, end, below)?;
                self.arc(end, Label::Nothing, start);
                self.arc(end, Label::Nothing, to);
                if matches!(expr, Expr::AnyTimes(_)) {
                    self.arc(from, Label::Nothing, to);
                }
            }
            Expr::Tagged(part, tag) => {
                let end = self.state();
                self.expr(part, from, end, below)?;
                let tag = self.tag(tag);
                self.arc(end, Label::Tag(tag), to);
            }
            Expr::Rule { name, slot, at } => {
                self.rule(name, slot.as_deref(), *at, [from, to], below)?
            }
        }
        Ok(())
    }

    fn sequence(
        &mut self,
        parts: &[Expr],
        from: u32,
        to: u32,
        level: usize,
    ) -> Result<(), PhraseError> {
        let mut at = from;
        for (index, part) in parts.iter().enumerate() {
            let is_last = index + 1 == parts.len();
            let next = if is_last { to } else { self.state() };
            self.expr(part, at, next, level)?;
            at = next;
        }
        Ok(())
    }

    fn rule(
        &mut self,
        name: &str,
        slot: Option<&str>,
        at: Place,
        [from, to]: [u32; 2],
        level: usize,
    ) -> Result<(), PhraseError> {
        let (rule, is_builtin) = self.rules.get(name, at)?;
        let kind = builtin_kind(name).filter(|_| is_builtin);
        // What is built in uses itself without slots.
        let slot = slot.or(kind.map(|_| name)).filter(|_| !self.is_builtin);
        let Some(slot) = slot else {
            return self.body(rule, is_builtin, at, [from, to], level);
        };
        let (start, end) = (self.state(), self.state());
        let slot = self.slot(slot, kind.unwrap_or(ValueKind::Words));
        self.arc(from, Label::Open(slot), start);
        self.body(rule, is_builtin, at, [start, end], level)?;
        self.arc(end, Label::Close, to);
        Ok(())
    }

    fn body(
        &mut self,
        rule: &'a Rule,
        is_builtin: bool,
        at: Place,
        [from, to]: [u32; 2],
        level: usize,
    ) -> Result<(), PhraseError> {
        if let Some(open) = self.open.iter().rev().find(|open| open.name == rule.name) {
            if open.end != to {
                let name = rule.name.clone();
                return Err(PhraseError::Recursion { at, name });
            }
            let start = open.start;
            self.arc(from, Label::Nothing, start);
            return Ok(());
        }
        let start = self.state();
        self.arc(from, Label::Nothing, start);
        self.open.push(OpenRule {
            name: &rule.name,
            start,
            end: to,
        });
        let was_builtin = std::mem::replace(&mut self.is_builtin, is_builtin);
        let built = self.expr(&rule.body, start, to, level);
        self.is_builtin = was_builtin;
        self.open.pop();
        built
    }

    fn word(&mut self, text: &str, at: Place) -> Result<u32, PhraseError> {
        if let Some(id) = self.word_ids.get(text) {
            return Ok(*id);
        }
        let spelled = self.spelling.spell(text, at)?;
        let next = self.network.word_ends.len() as u32;
        let id = *self.word_ids.entry(spelled.clone()).or_insert(next);
        if id == next {
            self.network.word_text.push_str(&spelled);
            let end = self.network.word_text.len() as u32;
            self.network.word_ends.push(end);
        }
        self.word_ids.insert(text.to_owned(), id);
        Ok(id)
    }

    fn tag(&mut self, tag: &str) -> u32 {
        let next = self.network.tags.len() as u32;
        let id = *self.tag_ids.entry(tag.to_owned()).or_insert(next);
        if id == next {
            self.network.tags.push(tag.to_owned());
        }
        id
    }

    fn slot(&mut self, name: &str, kind: ValueKind) -> u32 {
        let slots = &mut self.network.slots;
        let known = slots.iter().position(|(n, k)| n == name && *k == kind);
        let index = known.unwrap_or_else(|| {
            slots.push((name.to_owned(), kind));
            slots.len() - 1
        });
        index as u32
    }
}

/// No phrase leads from its start to its end without a word.
fn check_said_by_something(network: &Network) -> Result<(), PhraseError> {
    let mut seen = vec![false; network.first_arc.len()];
    for arc in network.arcs(START) {
        let Label::Phrase(index) = network.labels[arc] else {
            continue;
        };
        let mut open = vec![network.targets[arc]];
        while let Some(state) = open.pop() {
            if state == ACCEPT {
                let at = network.phrases[index as usize];
                return Err(PhraseError::SaidByNothing { at });
            }
            if std::mem::replace(&mut seen[state as usize], true) {
                continue;
            }
            let silent = network
                .arcs(state)
                .filter(|arc| !matches!(network.labels[*arc], Label::Word(_)));
            open.extend(silent.map(|arc| network.targets[arc]));
        }
    }
    Ok(())
}
