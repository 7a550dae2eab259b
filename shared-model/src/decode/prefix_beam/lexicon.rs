//! A closed word list as a tree over characters, so that any segmentation of a word into pieces
//! spells it.

use std::collections::VecDeque;

/// Nodes are in breadth-first order: the children of node `n` are the nodes
/// `first_child[n]..first_child[n + 1]`, sorted by their character.
#[derive(Debug)]
pub(super) struct Lexicon {
    /// The character that leads to each node; the root's is never read.
    characters: Vec<char>,
    first_child: Vec<u32>,
    is_word: Vec<bool>,
}

impl Lexicon {
    /// The node before the first character.
    pub(super) const ROOT: u32 = 0;

    /// Empty words are ignored.
    pub(super) fn new(mut words: Vec<&str>) -> Self {
        words.retain(|word| !word.is_empty());
        words.sort_unstable();
        words.dedup();
        let mut lexicon = Self {
            characters: vec!['\0'],
            first_child: Vec::new(),
            is_word: Vec::new(),
        };
        // The words below a node and how many bytes of them lead to it.
        let mut unvisited = VecDeque::from([(words.as_slice(), 0)]);
        while let Some((mut below, depth)) = unvisited.pop_front() {
            let ends_here = below.first().is_some_and(|word| word.len() == depth);
            below = &below[usize::from(ends_here)..];
            lexicon.is_word.push(ends_here);
            lexicon.first_child.push(lexicon.characters.len() as u32);
            while let Some(character) = next_character(below, depth) {
                let same = |word: &&str| word[depth..].starts_with(character);
                let (group, rest) = below.split_at(below.partition_point(same));
                lexicon.characters.push(character);
                unvisited.push_back((group, depth + character.len_utf8()));
                below = rest;
            }
        }
        lexicon.first_child.push(lexicon.characters.len() as u32);
        lexicon
    }

    /// The node after `text` from `node`; `None` if no word goes on like that.
    pub(super) fn advance(&self, node: u32, text: &str) -> Option<u32> {
        text.chars()
            .try_fold(node, |node, character| self.step(node, character))
    }

    /// The node one character further.
    pub(super) fn step(&self, node: u32, character: char) -> Option<u32> {
        let children = self.children(node);
        let index = self.characters[children.clone()].binary_search(&character);
        Some((children.start + index.ok()?) as u32)
    }

    /// The last character up to a node that is not the root.
    pub(super) fn character(&self, node: u32) -> char {
        self.characters[node as usize]
    }

    /// Nodes, the root included; the nodes below a node have higher numbers.
    pub(super) fn num_nodes(&self) -> usize {
        self.is_word.len()
    }

    /// The nodes one character below `node`.
    pub(super) fn children(&self, node: u32) -> std::ops::Range<usize> {
        let (first, end) = (node as usize, node as usize + 1);
        self.first_child[first] as usize..self.first_child[end] as usize
    }

    /// Whether the characters up to `node` are a whole word.
    pub(super) fn is_word(&self, node: u32) -> bool {
        self.is_word[node as usize]
    }
}

fn next_character(words: &[&str], depth: usize) -> Option<char> {
    words.first()?[depth..].chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn contains(lexicon: &Lexicon, word: &str) -> bool {
        let node = lexicon.advance(Lexicon::ROOT, word);
        node.is_some_and(|node| lexicon.is_word(node))
    }

    #[test]
    fn a_word_inside_another_is_a_word_and_a_beginning_is_not() {
        let lexicon = Lexicon::new(vec!["one", "on", "two", "", "été", "on"]);
        for word in ["on", "one", "two", "été"] {
            assert!(contains(&lexicon, word), "{word}");
        }
        for word in ["", "o", "tw", "ones", "ét", "x"] {
            assert!(!contains(&lexicon, word), "{word:?}");
        }
        assert!(lexicon.advance(Lexicon::ROOT, "tw").is_some());
        assert!(lexicon.advance(Lexicon::ROOT, "ow").is_none());
    }

    #[test]
    fn an_empty_list_has_no_words() {
        let lexicon = Lexicon::new(Vec::new());
        assert!(lexicon.advance(Lexicon::ROOT, "a").is_none());
        assert!(!lexicon.is_word(Lexicon::ROOT));
    }

    proptest! {
        #[test]
        fn holds_exactly_the_listed_words(
            words in prop::collection::vec("[abcé]{0,4}", 0..20),
            probe in "[abcé]{0,5}",
        ) {
            let lexicon = Lexicon::new(words.iter().map(String::as_str).collect());
            for word in words.iter().filter(|word| !word.is_empty()) {
                prop_assert!(contains(&lexicon, word));
            }
            prop_assert_eq!(contains(&lexicon, &probe), !probe.is_empty() && words.contains(&probe));
            let begins = words.iter().any(|word| word.starts_with(&probe) && !word.is_empty());
            let reached = lexicon.advance(Lexicon::ROOT, &probe).is_some();
            prop_assert_eq!(reached, begins || probe.is_empty());
        }
    }
}
