//! The words of a language model as labels of letters.

use shared_model::decode::lm::NgramLm;

use super::spelling::Spelling;

/// By word id: its letters, or nothing where it cannot be written.
pub(super) struct Words(Vec<Option<Box<[u32]>>>);

impl Words {
    pub(super) fn new(lm: &NgramLm, spelling: &Spelling) -> Self {
        let mut words = Vec::new();
        for (id, word) in lm.word_ids() {
            words.resize(words.len().max(id as usize + 1), None);
            words[id as usize] = spelling
                .labels(word)
                .filter(|labels| !labels.is_empty())
                .map(Vec::into_boxed_slice);
        }
        Self(words)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    pub(super) fn letters(&self, id: u32) -> Option<&[u32]> {
        self.0.get(id as usize)?.as_deref()
    }

    /// One letter of a word; `None` behind its last one.
    pub(super) fn letter(&self, id: u32, at: usize) -> Option<u32> {
        self.letters(id)?.get(at).copied()
    }
}
