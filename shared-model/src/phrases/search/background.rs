//! Speech that belongs to no phrase: a free loop over all tokens, at a cost per letter.

use std::sync::Arc;

use super::{
    TokenFacts,
    config::{BACKGROUND_LETTER_COST, MARGIN},
    links::{Links, Step},
    paths::{BestTwo, Path},
};
use crate::tokens::BLANK_ID;

#[derive(Debug)]
pub(super) struct Background {
    facts: Arc<TokenFacts>,
    /// Whether `▁` stands between words rather than at the beginning of each.
    has_spaces: bool,
    /// Paths that end with each token; the blank's place is never used.
    tokens: Vec<Path>,
    /// Paths that end with a blank, where a word is open.
    blank_in_word: Path,
    /// And where none is: after a space, or before anything was said.
    blank_between: Path,
    /// The tokens of the next frame, while they are made, and where each comes from.
    next: Vec<Path>,
    origins: Vec<Origin>,
}

/// Where a path was before its last token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// In the same token.
    Same,
    Background,
    Phrase,
}

impl Background {
    pub(super) fn new(facts: Arc<TokenFacts>, has_spaces: bool) -> Self {
        let tokens = vec![Path::IMPOSSIBLE; facts.letters.len()];
        Self {
            next: tokens.clone(),
            origins: vec![Origin::Same; facts.letters.len()],
            tokens,
            facts,
            has_spaces,
            blank_in_word: Path::IMPOSSIBLE,
            blank_between: Path::START,
        }
    }

    fn paths_mut(&mut self) -> impl Iterator<Item = &mut Path> {
        let blanks = [&mut self.blank_in_word, &mut self.blank_between];
        blanks.into_iter().chain(&mut self.tokens)
    }

    pub(super) fn best(&self) -> Path {
        let blanks = self.blank_in_word.or(self.blank_between);
        self.tokens.iter().fold(blanks, |best, path| best.or(*path))
    }

    pub(super) fn links(&mut self) -> impl Iterator<Item = &mut u32> {
        self.paths_mut().map(|path| &mut path.link)
    }

    pub(super) fn shift(&mut self, best: f32) {
        for path in self.paths_mut() {
            path.score -= best;
            path.base -= best;
        }
    }

    /// Whether `token` is a space between words and nothing else.
    fn is_space(&self, token: usize) -> bool {
        self.has_spaces && self.facts.begins_word[token]
    }

    /// The path that a phrase may follow with this token: no word is open.
    pub(super) fn before_phrase(&self, token: u32) -> Path {
        if self.has_spaces {
            let spaces = (1..self.tokens.len()).filter(|token| self.is_space(*token));
            return spaces.fold(self.blank_between, |best, token| {
                best.or(self.tokens[token])
            });
        }
        self.ends().before(token)
    }

    /// What a token may follow.
    fn ends(&self) -> BestTwo {
        let mut ends = BestTwo::new();
        ends.add(BLANK_ID, self.blank_in_word);
        ends.add(BLANK_ID, self.blank_between);
        for (token, path) in (1u32..).zip(&self.tokens[1..]) {
            ends.add(token, *path);
        }
        ends
    }

    /// The next frame. `phrases`: paths whose phrase is over, by their last token.
    pub(super) fn advance(
        &mut self,
        row: &[f32],
        phrases: &BestTwo,
        links: &mut Links,
        frame: u32,
    ) {
        let ends = self.ends();
        let blank = row[BLANK_ID as usize];
        let (mut open, mut between) = (self.blank_in_word, self.blank_between);
        let mut best = f32::NEG_INFINITY;
        for (token, &log_prob) in row.iter().enumerate().skip(1) {
            let path = self.tokens[token];
            let kind = if self.is_space(token) {
                &mut between
            } else {
                &mut open
            };
            *kind = kind.or(path);
            let stays = path.plus(log_prob);
            let cost = log_prob - BACKGROUND_LETTER_COST * self.facts.letters[token] as f32;
            let (entry, origin) = self.entry(token as u32, &ends, phrases);
            let enters = entry.plus(cost);
            (self.next[token], self.origins[token]) = if enters.score > stays.score {
                (enters, origin)
            } else {
                (stays, Origin::Same)
            };
            best = best.max(self.next[token].score);
        }
        self.blank_in_word = open.plus(blank);
        self.blank_between = between.plus(blank);
        std::mem::swap(&mut self.tokens, &mut self.next);
        let least = best
            .max(self.blank_in_word.score)
            .max(self.blank_between.score)
            - MARGIN;
        self.remember(row, phrases, least, links, frame);
    }

    /// The best path that `token` may follow, and whether it comes out of a phrase.
    fn entry(&self, token: u32, ends: &BestTwo, phrases: &BestTwo) -> (Path, Origin) {
        let background = ends.before(token);
        let phrase = phrases.before(token);
        if self.facts.begins_word[token as usize] && phrase.score > background.score {
            (phrase, Origin::Phrase)
        } else {
            (background, Origin::Background)
        }
    }

    /// Links of what was said anew; paths that are too far behind are dropped.
    fn remember(
        &mut self,
        row: &[f32],
        phrases: &BestTwo,
        least: f32,
        links: &mut Links,
        frame: u32,
    ) {
        for (token, &log_prob) in row.iter().enumerate().skip(1) {
            let (origin, writes) = (self.origins[token], self.facts.letters[token] > 0);
            let is_space = self.is_space(token);
            let path = &mut self.tokens[token];
            if path.score < least {
                *path = Path::IMPOSSIBLE;
                continue;
            }
            if origin == Origin::Same {
                continue;
            }
            // A space is a part of what stands on both sides of it.
            let space = if is_space { log_prob } else { 0.0 };
            if origin == Origin::Phrase {
                let before = phrases.before(token as u32);
                let log_prob = before.score + space - before.base;
                path.link = links.add(path.link, frame, Step::End { log_prob });
            }
            path.base = path.score - space;
            // No moment is like the one before everything.
            path.key = u64::from(frame) + 1;
            if writes {
                path.link = links.add(path.link, frame, Step::Background);
            }
        }
    }
}
