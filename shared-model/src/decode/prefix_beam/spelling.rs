//! What the letters of a network say of a word that its phones have found: words that sound alike
//! are not spelled alike.

use std::{cell::RefCell, collections::HashMap};

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

/// The letters' posteriors of the utterance whose phones are searched.
pub(super) struct Spelling<'a> {
    letters: LogProbs<'a>,
    tokens: &'a Tokens,
    /// The space between words, which is no letter.
    space: Option<u32>,
    /// Hypotheses share most of their words: by word and frames.
    found: RefCell<HashMap<(u32, usize, usize), f64>>,
}

impl<'a> Spelling<'a> {
    /// `letters`: `[num_frames, tokens]`, the frames of the phones.
    pub(super) fn new(letters: LogProbs<'a>, tokens: &'a Tokens) -> Self {
        Self {
            letters,
            tokens,
            space: tokens.id("▁"),
            found: RefCell::default(),
        }
    }

    /// Takes from each of the words that the same phones in these frames can be what its spelling is
    /// worse than the best one's. A word that sounds like no other is left as it is: how rare words
    /// are spelled, letters know less well than phones how they sound.
    pub(super) fn weigh(
        &self,
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

    fn score(&self, id: u32, word: &str, (start, end): (usize, usize)) -> f64 {
        let known = self.found.borrow().get(&(id, start, end)).copied();
        known.unwrap_or_else(|| {
            let score = self.best_path(word, start, end);
            self.found.borrow_mut().insert((id, start, end), score);
            score
        })
    }

    /// The natural log of the best CTC path that writes the word, in relation to the best path of all.
    /// Before and behind the word, other letters are free outside of its phones and forbidden inside.
    fn best_path(&self, word: &str, start: usize, end: usize) -> f64 {
        let Ok(ids) = self.tokens.encode(word) else {
            return 0.0;
        };
        let ids: Vec<u32> = ids
            .into_iter()
            .filter(|&id| Some(id) != self.space)
            .collect();
        let last = 2 * ids.len();
        let frames = self.letters.num_frames();
        let (from, to) = (
            start.saturating_sub(SLACK_FRAMES),
            (end + SLACK_FRAMES).min(frames),
        );
        // Even states stand between letters, the first and the last one before and behind the word.
        let mut scores = vec![f64::NEG_INFINITY; last + 1];
        scores[0] = 0.0;
        for frame in from..to {
            let log_probs = self.letters.frame(frame);
            let best = log_probs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let cost = |id: u32| f64::from(log_probs[id as usize] - best);
            let blank = cost(BLANK_ID);
            let outside = match (start..end).contains(&frame) {
                true => self.space.map_or(blank, |space| blank.max(cost(space))),
                false => 0.0,
            };
            for state in (0..=last).rev() {
                let mut before = scores[state];
                if state > 0 {
                    before = before.max(scores[state - 1]);
                }
                let letter = state % 2 == 1;
                if letter && state > 1 && ids[state / 2] != ids[state / 2 - 1] {
                    before = before.max(scores[state - 2]);
                }
                scores[state] = before
                    + match state {
                        0 => outside,
                        _ if state == last => outside,
                        _ if letter => cost(ids[state / 2]),
                        _ => blank,
                    };
            }
        }
        let score = scores[last].max(if last > 0 { scores[last - 1] } else { 0.0 });
        score.max(LEAST)
    }
}

/// A word that the letters cannot have written is improbable, not impossible.
const LEAST: f64 = -30.0;
