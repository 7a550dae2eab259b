//! A network of words to a deterministic automaton over characters (the subset construction).

use std::{collections::HashMap, rc::Rc};

use super::{
    automaton::Automaton,
    network::{ACCEPT, Label, Network, START},
};
use crate::{decode::WORD_MARK, phrases::grammar::PhraseError};

/// States of the automaton.
const MAX_STATES: usize = 500_000;
/// Places that the states stand for, together: what the construction costs.
const MAX_PLACES: usize = 8_000_000;

/// What is accepted is words with `▁` between them, and before the first if `begins_with_mark`.
///
/// # Errors
/// More states than are allowed.
pub(super) fn determinize(
    network: &Network,
    begins_with_mark: bool,
) -> Result<Automaton, PhraseError> {
    let letters = Letters::new(network);
    let mut subsets = Subsets::new(network, &letters);
    let (start, _) = subsets.beginnings(START);
    if begins_with_mark {
        let before = subsets.automaton.num_states() as u32;
        subsets.automaton.is_final.push(false);
        subsets.members.push(Rc::from([]));
        let first = subsets.state(&start)?;
        subsets
            .automaton
            .arcs
            .push((before, WORD_MARK.into(), first));
    } else {
        subsets.state(&start)?;
    }
    let mut next = 0;
    while next < subsets.members.len() {
        subsets.expand(next as u32)?;
        next += 1;
    }
    Ok(subsets.automaton)
}

/// Every word arc, letter by letter. A place is before a letter, or at a word's end.
struct Letters {
    /// The letter behind each place; `\0` at a word's end.
    letters: Vec<char>,
    /// The state behind the word of each place.
    targets: Vec<u32>,
    /// The first place of each arc.
    first: Vec<u32>,
}

impl Letters {
    fn new(network: &Network) -> Self {
        let (mut letters, mut targets) = (Vec::new(), Vec::new());
        let mut first = Vec::with_capacity(network.labels.len());
        for (label, target) in network.labels.iter().zip(&network.targets) {
            first.push(letters.len() as u32);
            if let Label::Word(id) = label {
                letters.extend(network.word(*id).chars());
                letters.push('\0');
                targets.resize(letters.len(), *target);
            }
        }
        Self {
            letters,
            targets,
            first,
        }
    }
}

/// First places of words, and whether the end of a phrase is reached too.
type Beginnings = (Rc<[u32]>, bool);

struct Subsets<'a> {
    network: &'a Network,
    letters: &'a Letters,
    beginnings: HashMap<u32, Beginnings>,
    /// The state after a word's end, by the states of the network that were reached.
    after_words: HashMap<Vec<u32>, u32>,
    numbers: HashMap<Rc<[u32]>, u32>,
    members: Vec<Rc<[u32]>>,
    num_places: usize,
    /// The round of [`Self::beginnings`] in which each state of the network was seen last.
    seen: Vec<u32>,
    round: u32,
    automaton: Automaton,
}

impl<'a> Subsets<'a> {
    fn new(network: &'a Network, letters: &'a Letters) -> Self {
        Self {
            network,
            letters,
            beginnings: HashMap::new(),
            after_words: HashMap::new(),
            numbers: HashMap::new(),
            members: Vec::new(),
            num_places: 0,
            seen: vec![0; network.first_arc.len()],
            round: 0,
            automaton: Automaton::default(),
        }
    }

    /// The words that can follow a state of the network.
    fn beginnings(&mut self, state: u32) -> Beginnings {
        if let Some(known) = self.beginnings.get(&state) {
            return known.clone();
        }
        let (mut open, mut places) = (vec![state], Vec::new());
        let mut is_end = false;
        self.round += 1;
        self.seen[state as usize] = self.round;
        while let Some(state) = open.pop() {
            is_end |= state == ACCEPT;
            for arc in self.network.arcs(state) {
                let target = self.network.targets[arc];
                match self.network.labels[arc] {
                    Label::Word(_) => places.push(self.letters.first[arc]),
                    _ if self.seen[target as usize] != self.round => {
                        self.seen[target as usize] = self.round;
                        open.push(target);
                    }
                    _ => {}
                }
            }
        }
        places.sort_unstable();
        let found: Beginnings = (Rc::from(places), is_end);
        self.beginnings.insert(state, found.clone());
        found
    }

    /// The number of a state that stands for these places, sorted.
    fn state(&mut self, places: &Rc<[u32]>) -> Result<u32, PhraseError> {
        if let Some(number) = self.numbers.get(places) {
            return Ok(*number);
        }
        self.add(places)
    }

    fn add(&mut self, places: &Rc<[u32]>) -> Result<u32, PhraseError> {
        let number = self.members.len() as u32;
        self.num_places += places.len();
        if self.members.len() >= MAX_STATES || self.num_places > MAX_PLACES {
            return Err(PhraseError::TooLarge {
                what: "states once they are merged",
                found: self.members.len() as u64 + 1,
                limit: MAX_STATES as u64,
                advice: ": alternatives that begin alike and repeat need many of them; write fewer words with * and + before others",
            });
        }
        let mut is_final = false;
        for &place in places.iter() {
            if self.letters.letters[place as usize] == '\0' {
                is_final |= self.beginnings(self.letters.targets[place as usize]).1;
            }
        }
        self.numbers.insert(places.clone(), number);
        self.members.push(places.clone());
        self.automaton.is_final.push(is_final);
        Ok(number)
    }

    /// The arcs of a state, and the states that they lead to.
    fn expand(&mut self, number: u32) -> Result<(), PhraseError> {
        let members = self.members[number as usize].clone();
        let mut ends = Vec::new();
        let mut moves: Vec<(char, u32)> = Vec::with_capacity(members.len());
        for &place in members.iter() {
            match self.letters.letters[place as usize] {
                '\0' => ends.push(self.letters.targets[place as usize]),
                letter => moves.push((letter, place + 1)),
            }
        }
        moves.sort_unstable();
        for same in moves.chunk_by(|a, b| a.0 == b.0) {
            let places: Rc<[u32]> = same.iter().map(|(_, place)| *place).collect();
            let to = self.state(&places)?;
            self.automaton.arcs.push((number, same[0].0.into(), to));
        }
        if !ends.is_empty() {
            self.next_words(number, ends)?;
        }
        Ok(())
    }

    fn next_words(&mut self, number: u32, mut ends: Vec<u32>) -> Result<(), PhraseError> {
        ends.sort_unstable();
        ends.dedup();
        let to = match self.after_words.get(&ends) {
            Some(to) => Some(*to),
            None => {
                let mut places = Vec::new();
                for &state in &ends {
                    places.extend_from_slice(&self.beginnings(state).0);
                }
                places.sort_unstable();
                places.dedup();
                if places.is_empty() {
                    None
                } else {
                    let to = self.state(&Rc::from(places))?;
                    self.after_words.insert(ends, to);
                    Some(to)
                }
            }
        };
        if let Some(to) = to {
            self.automaton.arcs.push((number, WORD_MARK.into(), to));
        }
        Ok(())
    }
}
