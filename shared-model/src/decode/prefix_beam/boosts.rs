//! The bonuses of boosted phrases: an Aho-Corasick automaton over the letters of a text, in which any
//! segmentation of a word into tokens counts.
//!
//! Phrases begin and end at the borders of words, so each is kept with a space on both sides. A
//! phrase that is whole adds its bonus for good. One that is open counts with the part of it that is
//! there, which only ranks prefixes, and is gone when the text goes on otherwise.
//!
//! Over phones, each word ends with a character of its own in place of the space: which of the words
//! that sound alike it is decides whether a phrase goes on.

use std::collections::{BTreeSet, HashMap};

use super::{fusion::Fusion, lexicon::Lexicon, tree::NONE, word_model::spell};
use crate::{
    decode::{Boost, BoostList, DecodeError},
    tokens::normalize_text,
};

/// Between words, and before the first and behind the last one.
const SPACE: char = ' ';
/// The end of the first boosted word over phones; those of the others follow. For private use, so
/// that no text has them.
const FIRST_END: u32 = 0xf0000;
/// Ways to say a phrase that are kept.
const MAX_SAYINGS: usize = 16;

#[derive(Debug)]
pub(super) struct Boosts {
    /// Their words that the language model does not know.
    pub(super) new_words: Lexicon,
    phrases: Lexicon,
    /// By node: that of the longest end of its text that begins a phrase, too.
    shorter: Vec<u32>,
    /// By node: what the phrases that are whole there add, nats.
    whole: Vec<f64>,
    /// By node: the largest part of a bonus that an open phrase has, nats.
    open: Vec<f64>,
    /// Most that a character adds to what is open.
    most_rise: f64,
    /// Over phones: what ends the words of phrases, by the language model's ids.
    ends: HashMap<u32, char>,
}

impl Boosts {
    /// `is_known`: whether the language model knows a word.
    ///
    /// # Errors
    /// [`DecodeError::Boost`] for a word that cannot be written with the alphabet.
    pub(super) fn new(
        list: &BoostList,
        alphabet: &BTreeSet<char>,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<Self, DecodeError> {
        let mut new_words = Vec::new();
        let mut bonuses: HashMap<String, f64> = HashMap::new();
        for boost in &list.boosts {
            let mut text = String::from(SPACE);
            let mut bonus = 0.0;
            for word in boost.phrase.split_whitespace() {
                let word = spelled(word, alphabet, boost.line)?;
                text.push_str(&word);
                text.push(SPACE);
                if !is_known(&word) {
                    new_words.push(word);
                }
                bonus += f64::from(boost.weight);
            }
            let known = bonuses.entry(text).or_insert(bonus);
            *known = known.max(bonus);
        }
        Ok(Self::of_texts(&bonuses, &new_words))
    }

    /// Over phones.
    ///
    /// # Errors
    /// [`DecodeError::Boost`] for a word of which nobody knows how it sounds.
    pub(super) fn of_phones(list: &BoostList, fusion: &Fusion) -> Result<Self, DecodeError> {
        let mut ends = HashMap::new();
        let mut bonuses: HashMap<String, f64> = HashMap::new();
        for boost in &list.boosts {
            let num_words = boost.phrase.split_whitespace().count();
            let bonus = num_words as f64 * f64::from(boost.weight);
            for text in sayings(boost, fusion, &mut ends)? {
                let known = bonuses.entry(text).or_insert(bonus);
                *known = known.max(bonus);
            }
        }
        Ok(Self {
            ends,
            ..Self::of_texts(&bonuses, &[])
        })
    }

    /// Of whole phrases with what stands at their ends.
    fn of_texts(bonuses: &HashMap<String, f64>, new_words: &[String]) -> Self {
        let phrases = Lexicon::new(bonuses.keys().map(String::as_str).collect());
        let mut boosts = Self {
            new_words: Lexicon::new(new_words.iter().map(String::as_str).collect()),
            shorter: vec![Lexicon::ROOT; phrases.num_nodes()],
            whole: vec![0.0; phrases.num_nodes()],
            open: vec![0.0; phrases.num_nodes()],
            phrases,
            most_rise: 0.0,
            ends: HashMap::new(),
        };
        for (text, bonus) in bonuses {
            boosts.add(text, *bonus);
        }
        boosts.link();
        boosts
    }

    fn add(&mut self, text: &str, bonus: f64) {
        // The space before the first word is no part of what was said.
        let length = text.chars().count() - 1;
        let mut node = Lexicon::ROOT;
        for (index, character) in text.chars().enumerate() {
            let Some(next) = self.phrases.step(node, character) else {
                return;
            };
            node = next;
            if index < length {
                let part = bonus * index as f64 / length as f64;
                let open = &mut self.open[node as usize];
                *open = open.max(part);
            }
        }
        self.whole[node as usize] = bonus;
    }

    /// Nodes are in the order of their depth: what a shorter text has is known before.
    fn link(&mut self) {
        for node in 0..self.phrases.num_nodes() as u32 {
            for child in self.phrases.children(node) {
                let character = self.phrases.character(child as u32);
                let shorter = match node {
                    Lexicon::ROOT => Lexicon::ROOT,
                    node => self.next(self.shorter[node as usize], character),
                };
                self.shorter[child] = shorter;
                self.whole[child] += self.whole[shorter as usize];
                self.open[child] = self.open[child].max(self.open[shorter as usize]);
                let rise = self.open[child] - self.open[node as usize];
                self.most_rise = self.most_rise.max(rise);
            }
        }
    }

    /// Before the first word.
    pub(super) fn start(&self) -> u32 {
        self.next(Lexicon::ROOT, SPACE)
    }

    fn next(&self, mut node: u32, character: char) -> u32 {
        loop {
            if let Some(next) = self.phrases.step(node, character) {
                return next;
            }
            if node == Lexicon::ROOT {
                // Behind every word a phrase can begin.
                let border = (u32::from(character) >= FIRST_END).then_some(SPACE);
                let start = border.and_then(|space| self.phrases.step(node, space));
                return start.unwrap_or(node);
            }
            node = self.shorter[node as usize];
        }
    }

    /// After characters of a word.
    pub(super) fn write(&self, node: u32, part: &str) -> u32 {
        part.chars()
            .fold(node, |node, character| self.next(node, character))
    }

    /// After the end of a word, and what the phrases that end with it add. `word`: its id in the
    /// language model, over phones.
    pub(super) fn finish_word(&self, node: u32, word: Option<u32>) -> (u32, f64) {
        let end = word.and_then(|word| self.ends.get(&word));
        let next = self.next(node, end.copied().unwrap_or(SPACE));
        (next, self.whole[next as usize])
    }

    /// Whether a whole word of the boosted ones that the language model does not know ends at a node
    /// of [`Self::new_words`].
    pub(super) fn is_new_word(&self, node: u32) -> bool {
        node != NONE && self.new_words.is_word(node)
    }

    /// What the best open phrase counts with.
    pub(super) fn open(&self, node: u32) -> f64 {
        self.open[node as usize]
    }

    pub(super) fn most_rise(&self) -> f64 {
        self.most_rise
    }

    pub(super) fn most_whole(&self) -> f64 {
        self.whole.iter().copied().fold(0.0, f64::max)
    }

    pub(super) fn most_open(&self) -> f64 {
        self.open.iter().copied().fold(0.0, f64::max)
    }
}

/// A phrase in the pronunciations of its words.
fn sayings(
    boost: &Boost,
    fusion: &Fusion,
    ends: &mut HashMap<u32, char>,
) -> Result<Vec<String>, DecodeError> {
    let failed = |reason| DecodeError::Boost {
        line: boost.line,
        reason,
    };
    let mut texts = vec![String::from(SPACE)];
    for word in boost.phrase.split_whitespace() {
        let known = fusion.sounding(word);
        let (id, sounds) = known.ok_or_else(|| unheard(word, boost.line))?;
        let free = char::from_u32(FIRST_END + ends.len() as u32);
        let free = free.ok_or_else(|| failed("the list has too many words".to_string()))?;
        let end = *ends.entry(id).or_insert(free);
        let longer = texts.iter().flat_map(|text| {
            let sounds = sounds.iter();
            sounds.map(move |sound| format!("{text}{sound}{end}"))
        });
        texts = longer.take(MAX_SAYINGS).collect();
    }
    Ok(texts)
}

/// A word whose sound the language model neither knows nor can guess.
fn unheard(word: &str, line: usize) -> DecodeError {
    let normal = normalize_text(word);
    let mut reason = format!("the language model cannot tell how \"{word}\" sounds");
    if !normal.is_empty() && normal != word {
        reason += &format!(": write \"{normal}\"");
    }
    DecodeError::Boost { line, reason }
}

fn spelled(word: &str, alphabet: &BTreeSet<char>, line: usize) -> Result<String, DecodeError> {
    if let Some(spelled) = spell(word, alphabet) {
        return Ok(spelled);
    }
    let normal = normalize_text(word);
    let is_writable = |text: &str| text.split(' ').all(|word| spell(word, alphabet).is_some());
    let reason = if !normal.is_empty() && is_writable(&normal) {
        format!("the model cannot write \"{word}\": write \"{normal}\"")
    } else {
        format!("the model cannot write \"{word}\" with its tokens")
    };
    Err(DecodeError::Boost { line, reason })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn boosts(text: &str) -> Boosts {
        let list = BoostList::parse(text, 6.0).unwrap();
        Boosts::new(&list, &('a'..='z').collect(), |_| true).unwrap()
    }

    /// Bonus of whole phrases of a text, and of the open one at its end.
    fn bonus(boosts: &Boosts, text: &str) -> (f64, f64) {
        let (mut node, mut whole) = (boosts.start(), 0.0);
        for (index, word) in text.split(' ').enumerate() {
            if index > 0 {
                let (next, bonus) = boosts.finish_word(node, None);
                (node, whole) = (next, whole + bonus);
            }
            node = boosts.write(node, word);
        }
        (whole, boosts.open(node))
    }

    #[test]
    fn a_phrase_counts_letter_by_letter_and_is_taken_back_when_the_text_goes_on_otherwise() {
        // "go up" and its end are six characters, its bonus two words of three nats.
        let boosts = boosts("go up :3");
        assert_eq!(bonus(&boosts, "g"), (0.0, 1.0));
        assert_eq!(bonus(&boosts, "go"), (0.0, 2.0));
        assert_eq!(bonus(&boosts, "go "), (0.0, 3.0));
        assert_eq!(bonus(&boosts, "go up"), (0.0, 5.0));
        // The word may go on.
        assert_eq!(bonus(&boosts, "go upon"), (0.0, 0.0));
        assert_eq!(bonus(&boosts, "go u"), (0.0, 4.0));
        assert_eq!(bonus(&boosts, "go on"), (0.0, 0.0));
        assert_eq!(bonus(&boosts, "go up "), (6.0, 0.0));
        // A beginning in the middle of a word is none.
        assert_eq!(bonus(&boosts, "ago up "), (0.0, 0.0));
    }

    #[test]
    fn every_phrase_of_a_text_counts_where_it_stands_also_inside_another() {
        let boosts = boosts("go up :1\nup :2\nup on it :3");
        // "go up" adds two, "up" two, "up on it" nine.
        assert_eq!(bonus(&boosts, "go up on it ").0, 2.0 + 2.0 + 9.0);
        assert_eq!(bonus(&boosts, "up up ").0, 4.0);
        // What failed as one phrase may have begun another.
        assert_eq!(bonus(&boosts, "go up o").1, 9.0 * 4.0 / 9.0);
    }

    #[test]
    fn the_largest_rise_bounds_every_step() {
        let boosts = boosts("go up :3\nup on it :3\nop :20");
        let text = "go up on op upon it go op";
        let mut node = boosts.start();
        for character in text.chars() {
            let next = match character {
                SPACE => boosts.finish_word(node, None).0,
                other => boosts.write(node, &other.to_string()),
            };
            assert!(boosts.open(next) - boosts.open(node) <= boosts.most_rise() + 1e-9);
            assert!(boosts.open(next) <= boosts.most_open());
            node = next;
        }
        assert_eq!(boosts.most_whole(), 20.0);
    }

    #[test]
    fn a_word_that_cannot_be_written_is_told_with_what_to_write_in_its_place() {
        let alphabet = ('a'..='z').collect();
        for (text, told) in [
            ("one\nset 5", "write \"five\""),
            ("one\n中", "with its tokens"),
        ] {
            let list = BoostList::parse(text, 1.0).unwrap();
            match Boosts::new(&list, &alphabet, |_| true) {
                Err(DecodeError::Boost { line: 2, reason }) => {
                    assert!(reason.contains(told), "{reason}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        let list = BoostList::parse("Go UP", 1.0).unwrap();
        let boosts = Boosts::new(&list, &alphabet, |_| true).unwrap();
        assert_eq!(bonus(&boosts, "go up ").0, 2.0);
    }
}
