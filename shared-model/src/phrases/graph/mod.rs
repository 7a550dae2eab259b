//! Phrases as one deterministic, minimal graph over a model's tokens.
//!
//! ```text
//! trees -> network of words (build)          with slots and tags: what words mean
//!       -> automaton of characters           deterministic (determinize), minimal (automaton)
//!       -> arcs of tokens                    any segmentation of a word into pieces
//!       -> graph: flat arrays
//! ```

mod automaton;
mod build;
mod determinize;
mod network;
mod rules;
mod spelling;
#[cfg(test)]
mod tests;

pub use build::MAX_LETTERS;
pub use network::Meaning;

use std::collections::HashMap;

use super::grammar::{PhraseError, Rule, Source, builtin_rules};
use crate::{decode::written_piece, tokens::Tokens};
use automaton::{Automaton, Neighbours};
use network::Network;

/// Arcs over tokens. The arcs of state `s` are `first_arc[s]..first_arc[s + 1]`.
#[derive(Debug)]
pub struct PhraseGraph {
    first_arc: Vec<u32>,
    tokens: Vec<u16>,
    targets: Vec<u32>,
    is_final: Vec<bool>,
    network: Network,
    /// Whether `▁` is the space between words rather than the beginning of one.
    has_spaces: bool,
}

impl PhraseGraph {
    /// State before the first word.
    pub const START: u32 = 0;

    /// The graph of a list for one token set.
    pub(super) fn new(source: &Source, tokens: &Tokens) -> Result<Self, PhraseError> {
        let spelling = spelling::Spelling::new(tokens);
        let builtin: Vec<Rule> = builtin_rules()?;
        let rules = rules::Rules::new(&builtin, &source.rules);
        let network = build::build(&rules, &source.phrases, &spelling)?;
        let has_spaces = tokens.is_character_set();
        let characters = determinize::determinize(&network, !has_spaces)?.minimized();
        let automaton = over_tokens(&characters, tokens).minimized();
        if automaton.num_states() == 0 {
            return Err(PhraseError::NeverEnds);
        }
        Ok(Self::of(&automaton, network, has_spaces))
    }

    /// The arcs are sorted by state.
    fn of(automaton: &Automaton, network: Network, has_spaces: bool) -> Self {
        let mut first_arc = vec![0; automaton.num_states() + 1];
        for (from, _, _) in &automaton.arcs {
            first_arc[*from as usize + 1] += 1;
        }
        for state in 0..automaton.num_states() {
            first_arc[state + 1] += first_arc[state];
        }
        Self {
            first_arc,
            tokens: automaton
                .arcs
                .iter()
                .map(|(_, token, _)| *token as u16)
                .collect(),
            targets: automaton.arcs.iter().map(|(_, _, to)| *to).collect(),
            is_final: automaton.is_final.clone(),
            network,
            has_spaces,
        }
    }

    /// States.
    pub fn num_states(&self) -> usize {
        self.is_final.len()
    }

    /// Arcs.
    pub fn num_arcs(&self) -> usize {
        self.tokens.len()
    }

    /// Memory that the graph and what its words mean take.
    pub fn bytes(&self) -> usize {
        let arrays = 4 * self.first_arc.len() + 6 * self.tokens.len() + self.is_final.len();
        arrays + self.network.bytes()
    }

    /// The arcs of a state.
    pub fn arcs(&self, state: u32) -> std::ops::Range<usize> {
        let state = state as usize;
        self.first_arc[state] as usize..self.first_arc[state + 1] as usize
    }

    /// The token of an arc.
    pub fn token(&self, arc: usize) -> u32 {
        self.tokens[arc].into()
    }

    /// Where an arc leads.
    pub fn target(&self, arc: usize) -> u32 {
        self.targets[arc]
    }

    /// Where a state's arc of this token leads.
    pub(super) fn step(&self, state: u32, token: u32) -> Option<u32> {
        let arc = self.arcs(state).find(|arc| self.token(*arc) == token);
        arc.map(|arc| self.target(arc))
    }

    /// Whether a phrase may end in a state.
    pub fn is_final(&self, state: u32) -> bool {
        self.is_final[state as usize]
    }

    /// Whether `▁` is the space between words rather than the beginning of one.
    pub(super) fn has_spaces(&self) -> bool {
        self.has_spaces
    }

    /// What words say; `None` if they are no phrase.
    pub fn meaning(&self, words: &[&str]) -> Option<Meaning> {
        self.network.meaning(words)
    }
}

/// The same texts, written in pieces: an arc for each piece whose characters lead on.
fn over_tokens(characters: &Automaton, tokens: &Tokens) -> Automaton {
    let outgoing = Neighbours::new(
        characters.num_states(),
        characters.arcs.iter().map(|(from, _, to)| (*from, *to)),
    );
    let pieces = PieceTree::new(tokens);
    let mut arcs = Vec::new();
    let mut open = Vec::new();
    for state in 0..characters.num_states() as u32 {
        open.push((state, PieceTree::ROOT));
        while let Some((at, node)) = open.pop() {
            for arc in outgoing.of(at) {
                let (_, character, to) = characters.arcs[*arc as usize];
                let Some(&(next, id)) = pieces.children.get(&(node, character)) else {
                    continue;
                };
                arcs.extend(id.map(|id| (state, id, to)));
                open.push((to, next));
            }
        }
    }
    Automaton {
        is_final: characters.is_final.clone(),
        arcs,
    }
}

/// All pieces of a token set by their characters.
struct PieceTree {
    /// From node and character: the node below, and the piece that ends there.
    children: HashMap<(u32, u32), (u32, Option<u32>)>,
}

impl PieceTree {
    const ROOT: u32 = 0;

    fn new(tokens: &Tokens) -> Self {
        let mut children: HashMap<(u32, u32), (u32, Option<u32>)> = HashMap::new();
        for id in 0..tokens.len() as u32 {
            let Some(piece) = written_piece(tokens, id) else {
                continue;
            };
            let mut node = Self::ROOT;
            let mut characters = piece.chars().peekable();
            while let Some(character) = characters.next() {
                let next = children.len() as u32 + 1;
                let child = children.entry((node, character.into()));
                let (below, ends) = child.or_insert((next, None));
                if characters.peek().is_none() {
                    *ends = Some(id);
                }
                node = *below;
            }
        }
        Self { children }
    }
}
