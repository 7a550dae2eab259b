//! What the letters of a network say of a word that its phones have found: words that sound alike
//! are not spelled alike.

use std::collections::HashMap;

use super::word_model::{WordModel, WordState};
use crate::{
    decode::LogProbs,
    tokens::{BLANK_ID, Tokens},
};

/// What a word's spelling counts against how likely the words are. More decides the digits of a list
/// ("two", not "to") ever better, and costs sentences from 1 on (docs/experiments/decoding.md).
const WEIGHT: f64 = 0.6;

/// Letters may lie so many frames before or behind the phones that they write.
const SLACK_FRAMES: usize = 4;

/// A word that the letters cannot have written is improbable, not impossible.
const LEAST: f64 = -30.0;

/// The letters' posteriors of the utterance whose phones are searched.
pub(super) struct Spelling<'a> {
    letters: LogProbs<'a>,
    tokens: &'a Tokens,
    /// The space between words, which is no letter.
    space: Option<u32>,
    /// Hypotheses share most of their words: by word and frames.
    found: HashMap<(u32, usize, usize), f64>,
}

impl<'a> Spelling<'a> {
    /// `letters`: `[num_frames, tokens]`, the frames of the phones.
    pub(super) fn new(letters: LogProbs<'a>, tokens: &'a Tokens) -> Self {
        Self {
            letters,
            tokens,
            space: tokens.id("▁"),
            found: HashMap::new(),
        }
    }

    /// Takes from each of the words that the same phones in these frames can be what its spelling is
    /// worse than the best one's. A word that sounds like no other is left as it is: how rare words
    /// are spelled, letters know less well than phones how they sound.
    pub(super) fn weigh(
        &mut self,
        model: &WordModel,
        words: &mut [(WordState, u32, usize)],
        frames: (usize, usize),
    ) {
        if words.len() < 2 {
            return;
        }
        let scores: Vec<f64> = words
            .iter()
            .map(|&(_, id, _)| self.score(id, model.word(id), frames))
            .collect();
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for ((state, ..), score) in words.iter_mut().zip(scores) {
            state.fusion += WEIGHT * (score - best);
        }
    }

    fn score(&mut self, id: u32, word: &str, (start, end): (usize, usize)) -> f64 {
        if let Some(&known) = self.found.get(&(id, start, end)) {
            return known;
        }
        let score = self.best_path(word, start, end).max(LEAST);
        self.found.insert((id, start, end), score);
        score
    }

    /// The natural log of the best CTC path that writes the word, in relation to the best path of all.
    /// Before and behind the word, other letters are free outside of its phones and forbidden inside.
    fn best_path(&self, word: &str, start: usize, end: usize) -> f64 {
        let ids = self.tokens.encode(word).unwrap_or_default();
        let ids: Vec<u32> = ids
            .into_iter()
            .filter(|&id| Some(id) != self.space)
            .collect();
        // Even states stand between letters, the first and the last one before and behind the word.
        let last = 2 * ids.len();
        let mut scores = vec![f64::NEG_INFINITY; last + 1];
        scores[0] = 0.0;
        let first_frame = start.saturating_sub(SLACK_FRAMES);
        for frame in first_frame..(end + SLACK_FRAMES).min(self.letters.num_frames()) {
            let log_probs = self.letters.frame(frame);
            let best = log_probs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let cost = |id: u32| f64::from(log_probs[id as usize] - best);
            let blank = cost(BLANK_ID);
            let outside = match (start..end).contains(&frame) {
                true => self.space.map_or(blank, |space| blank.max(cost(space))),
                false => 0.0,
            };
            for state in (0..=last).rev() {
                let is_letter = state % 2 == 1;
                // A blank may be left out between letters that differ.
                let may_skip = is_letter && state > 1 && ids[state / 2] != ids[state / 2 - 1];
                let reach = 1 + usize::from(state > 0) + usize::from(may_skip);
                let before = &scores[state + 1 - reach..=state];
                let before = before.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let here = match state {
                    _ if is_letter => cost(ids[state / 2]),
                    _ if state == 0 || state == last => outside,
                    _ => blank,
                };
                scores[state] = before + here;
            }
        }
        // The last letter may be the last frame.
        scores[last].max(scores[last.saturating_sub(1)])
    }
}
