//! Phrases as a network of words, before anything is merged: it says what words mean.

use super::super::grammar::{Place, SlotValue, ValueKind};

pub(super) const START: u32 = 0;
pub(super) const ACCEPT: u32 = 1;

/// What passing an arc says or means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Nothing,
    Word(u32),
    /// What follows up to the matching [`Label::Close`] fills a slot.
    Open(u32),
    Close,
    Tag(u32),
    /// A phrase begins.
    Phrase(u32),
}

/// States with their arcs: those of state `s` are `first_arc[s]..first_arc[s + 1]`.
#[derive(Debug, Default)]
pub(super) struct Network {
    pub first_arc: Vec<u32>,
    pub labels: Vec<Label>,
    pub targets: Vec<u32>,
    /// All words one after the other, and where each ends.
    pub word_text: String,
    pub word_ends: Vec<u32>,
    pub slots: Vec<(String, ValueKind)>,
    pub tags: Vec<String>,
    pub phrases: Vec<Place>,
}

/// What a sequence of words says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// The words, with `{slot}` in place of what fills a slot.
    pub phrase: String,
    /// Name and value, in the order they were said.
    pub slots: Vec<(String, SlotValue)>,
    /// Tags outside of slots, in the order they were passed.
    pub tags: Vec<String>,
    /// Which phrase it is, in the order of the file.
    pub index: usize,
}

impl Network {
    /// `arcs`: from, label, to. The arcs of a state keep their order.
    pub(super) fn set_arcs(&mut self, num_states: usize, arcs: &[(u32, Label, u32)]) {
        let mut first_arc = vec![0u32; num_states + 1];
        for (from, _, _) in arcs {
            first_arc[*from as usize + 1] += 1;
        }
        for state in 0..num_states {
            first_arc[state + 1] += first_arc[state];
        }
        let mut next = first_arc.clone();
        self.labels = vec![Label::Nothing; arcs.len()];
        self.targets = vec![0; arcs.len()];
        for (from, label, to) in arcs {
            let place = &mut next[*from as usize];
            self.labels[*place as usize] = *label;
            self.targets[*place as usize] = *to;
            *place += 1;
        }
        self.first_arc = first_arc;
    }

    pub(super) fn arcs(&self, state: u32) -> std::ops::Range<usize> {
        let state = state as usize;
        self.first_arc[state] as usize..self.first_arc[state + 1] as usize
    }

    pub(super) fn word(&self, id: u32) -> &str {
        let id = id as usize;
        let start = id.checked_sub(1).map_or(0, |before| self.word_ends[before]);
        &self.word_text[start as usize..self.word_ends[id] as usize]
    }

    pub(super) fn bytes(&self) -> usize {
        self.first_arc.len() * 4
            + self.labels.len() * (size_of::<Label>() + 4)
            + self.word_text.len()
            + self.word_ends.len() * 4
            + self.phrases.len() * size_of::<Place>()
    }

    /// The first way, in the order of the file, in which the words are a phrase.
    pub(super) fn meaning(&self, words: &[&str]) -> Option<Meaning> {
        // States reached after so many words, each with the arc that led there first.
        let mut reached = std::collections::HashMap::from([((0, START), None)]);
        let mut open = vec![(0usize, START)];
        while let Some((place, state)) = open.pop() {
            if state == ACCEPT && place == words.len() {
                return Some(self.explain(words, &reached));
            }
            // The last that is put on the pile is tried first.
            for arc in self.arcs(state).rev() {
                let next = match self.labels[arc] {
                    Label::Word(id) if words.get(place) == Some(&self.word(id)) => place + 1,
                    Label::Word(_) => continue,
                    _ => place,
                };
                let target = (next, self.targets[arc]);
                reached.entry(target).or_insert_with(|| {
                    open.push(target);
                    Some((place, state, arc))
                });
            }
        }
        None
    }

    fn explain(&self, words: &[&str], reached: &Reached) -> Meaning {
        let mut arcs = Vec::new();
        let mut at = (words.len(), ACCEPT);
        while let Some(Some((place, state, arc))) = reached.get(&at) {
            arcs.push((*place, *arc));
            at = (*place, *state);
        }
        arcs.reverse();
        let mut reader = Reader::new(self, words);
        for (place, arc) in arcs {
            reader.pass(place, self.labels[arc]);
        }
        reader.meaning
    }
}

type Reached = std::collections::HashMap<(usize, u32), Option<(usize, u32, usize)>>;

/// Reads a path.
struct Reader<'a> {
    network: &'a Network,
    words: &'a [&'a str],
    /// Open slots: which, its first word, its tags.
    open: Vec<(u32, usize, Vec<&'a str>)>,
    meaning: Meaning,
}

impl<'a> Reader<'a> {
    fn new(network: &'a Network, words: &'a [&'a str]) -> Self {
        Self {
            network,
            words,
            open: Vec::new(),
            meaning: Meaning {
                phrase: String::new(),
                slots: Vec::new(),
                tags: Vec::new(),
                index: 0,
            },
        }
    }

    /// `place`: words before the arc.
    fn pass(&mut self, place: usize, label: Label) {
        match label {
            Label::Nothing => {}
            Label::Phrase(index) => self.meaning.index = index as usize,
            Label::Word(_) if self.open.is_empty() => self.write(self.words[place]),
            Label::Word(_) => {}
            Label::Tag(tag) => {
                let tag = self.network.tags[tag as usize].as_str();
                match self.open.last_mut() {
                    Some((_, _, tags)) => tags.push(tag),
                    None => self.meaning.tags.push(tag.to_owned()),
                }
            }
            Label::Open(slot) => self.open.push((slot, place, Vec::new())),
            Label::Close => self.close(place),
        }
    }

    fn close(&mut self, place: usize) {
        let Some((slot, start, tags)) = self.open.pop() else {
            return;
        };
        let (name, kind) = &self.network.slots[slot as usize];
        let value = if tags.is_empty() {
            kind.value(&self.words[start..place])
        } else {
            SlotValue::Text(tags.join(" "))
        };
        self.meaning.slots.push((name.clone(), value));
        if self.open.is_empty() {
            self.write(&format!("{{{name}}}"));
        }
    }

    fn write(&mut self, part: &str) {
        if !self.meaning.phrase.is_empty() {
            self.meaning.phrase.push(' ');
        }
        self.meaning.phrase.push_str(part);
    }
}
