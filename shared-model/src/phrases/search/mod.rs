//! Phrases in posteriors: token passing over graph x CTC beside a free loop over all tokens.
//!
//! A path through the frames is, piece by piece, inside a phrase of the graph or in the
//! *background*: any tokens at all, at a cost per letter. So every path explains all that was said,
//! and a phrase is found only where it explains the sound better than other speech does.
//!
//! Of a phrase the alignments are summed: what is left where it ends, divided by what there was
//! where the word before it ended, is the probability that the network writes exactly this phrase
//! there ([`phrase_score`]). In the background the best path counts.
//!
//! The search takes frames as they come and keeps one path for each place of the graph, so that its
//! work per frame and its memory are bounded.

mod background;
mod config;
mod found;
mod links;
mod paths;
#[cfg(test)]
mod tests;

pub use config::{DEFAULT_THRESHOLD, PhraseConfig, phrase_score};
pub(super) use found::{Found, FoundPhrase, accepted, rejected};

use std::sync::Arc;

use super::graph::PhraseGraph;
use crate::{
    decode::{LogProbs, WORD_MARK, written_piece},
    tokens::{BLANK_ID, Tokens},
};
use background::Background;
use config::{MARGIN, MAX_ACTIVE};
use links::{Links, Step};
use paths::{Active, BestTwo, Path};

/// What the search knows of each token.
#[derive(Debug)]
pub(in crate::phrases) struct TokenFacts {
    /// Letters that it writes.
    pub letters: Vec<usize>,
    /// Whether it begins a word.
    pub begins_word: Vec<bool>,
    /// Factor and summand that take a path's key on.
    keys: Vec<(u64, u64)>,
}

/// Of the keys of paths, which are polynomials of their characters: an odd number without structure.
const KEY_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl TokenFacts {
    pub(in crate::phrases) fn new(tokens: &Tokens) -> Self {
        let pieces = (0..tokens.len() as u32).map(|id| written_piece(tokens, id).unwrap_or(""));
        let letters = |piece: &str| piece.chars().filter(|c| *c != WORD_MARK).count();
        Self {
            letters: pieces.clone().map(letters).collect(),
            begins_word: pieces
                .clone()
                .map(|piece| piece.starts_with(WORD_MARK))
                .collect(),
            keys: pieces.map(key_step).collect(),
        }
    }
}

/// The same for all segmentations of a text: `key * factor + summand` for each character in turn.
fn key_step(piece: &str) -> (u64, u64) {
    piece.chars().fold((1, 0), |(factor, summand), character| {
        let code = u64::from(u32::from(character)) + 1;
        (
            factor.wrapping_mul(KEY_FACTOR),
            summand.wrapping_mul(KEY_FACTOR).wrapping_add(code),
        )
    })
}

/// A search that goes on as frames arrive.
pub(in crate::phrases) struct Search {
    graph: Arc<PhraseGraph>,
    facts: Arc<TokenFacts>,
    /// Places: first every arc (its token was just said), then every state (a blank was).
    active: Active,
    next: Active,
    background: Background,
    links: Links,
    /// The frame's log-probabilities.
    row: Vec<f32>,
    /// What a path needs to be kept.
    least: f32,
    num_frames: u32,
}

impl Search {
    pub(in crate::phrases) fn new(graph: Arc<PhraseGraph>, facts: Arc<TokenFacts>) -> Self {
        let num_places = graph.num_arcs() + graph.num_states();
        Self {
            active: Active::new(num_places),
            next: Active::new(num_places),
            background: Background::new(facts.clone(), graph.has_spaces()),
            links: Links::new(),
            row: vec![0.0; facts.letters.len()],
            least: 0.0,
            num_frames: 0,
            graph,
            facts,
        }
    }

    /// Hears the next frames.
    pub(in crate::phrases) fn push(&mut self, log_probs: LogProbs<'_>) {
        for frame in 0..log_probs.num_frames() {
            self.read_row(log_probs.frame(frame));
            self.advance();
            self.num_frames += 1;
        }
    }

    /// Frames so far.
    pub(in crate::phrases) fn num_frames(&self) -> u32 {
        self.num_frames
    }

    /// The phrases and the other letters of the best path through all frames so far, in order.
    pub(in crate::phrases) fn found(&mut self) -> Vec<Found> {
        let mut ends = BestTwo::new();
        for &(place, path) in &self.active.paths {
            if let Some(path) = self.end_of(place, path) {
                ends.add(BLANK_ID, path);
            }
        }
        let (background, phrase) = (self.background.best(), ends.before(BLANK_ID));
        let mut link = background.link;
        if phrase.score > background.score {
            let log_prob = phrase.score - phrase.base;
            link = self
                .links
                .add(phrase.link, self.num_frames, Step::End { log_prob });
        }
        found::found(&self.links.path(link), &self.facts)
    }

    /// Values that are not finite are impossible; a frame of nothing else is a certain blank.
    fn read_row(&mut self, frame: &[f32]) {
        let finite = |value: &f32| value.is_finite();
        let best = frame.iter().copied().filter(finite);
        let best = best.fold(f32::NEG_INFINITY, f32::max);
        for (row, value) in self.row.iter_mut().zip(frame) {
            *row = if value.is_finite() {
                *value
            } else {
                f32::NEG_INFINITY
            };
        }
        self.least = best - MARGIN;
        if best == f32::NEG_INFINITY {
            self.row[BLANK_ID as usize] = 0.0;
            self.least = -MARGIN;
        }
    }

    /// The state behind a place.
    fn state_of(&self, place: u32) -> u32 {
        let place = place as usize;
        match place.checked_sub(self.graph.num_arcs()) {
            Some(state) => state as u32,
            None => self.graph.target(place),
        }
    }

    fn advance(&mut self) {
        self.next.clear();
        let mut ends = BestTwo::new();
        for index in 0..self.active.paths.len() {
            let (place, path) = self.active.paths[index];
            self.pass(place, path, &mut ends);
        }
        self.begin();
        self.background
            .advance(&self.row, &ends, &mut self.links, self.num_frames);
        self.settle();
        std::mem::swap(&mut self.active, &mut self.next);
        if self.links.want_sweep() {
            let active = self.active.paths.iter_mut().map(|(_, path)| &mut path.link);
            self.links.sweep(active.chain(self.background.links()));
        }
    }

    /// A path inside a phrase goes on, or ends its phrase.
    fn pass(&mut self, place: u32, path: Path, ends: &mut BestTwo) {
        let state = self.state_of(place);
        let is_arc = (place as usize) < self.graph.num_arcs();
        let last = if is_arc {
            self.graph.token(place as usize)
        } else {
            BLANK_ID
        };
        // The same token goes on, or a blank follows, or another blank.
        self.keep(place, path.plus(self.row[last as usize]));
        if is_arc {
            let blank = (self.graph.num_arcs() + state as usize) as u32;
            self.keep(blank, path.plus(self.row[BLANK_ID as usize]));
        }
        for arc in self.graph.arcs(state) {
            let token = self.graph.token(arc);
            if token != last {
                self.enter(arc, path, Step::Next(token));
            }
        }
        if let Some(path) = self.end_of(place, path) {
            ends.add(last, path);
        }
    }

    /// A path whose phrase is over, with the alignments that have a blank behind its last token.
    fn end_of(&self, place: u32, path: Path) -> Option<Path> {
        let state = self.state_of(place);
        if !self.graph.is_final(state) {
            return None;
        }
        let blank = (self.graph.num_arcs() + state as usize) as u32;
        let behind = self.active.path(blank).filter(|_| place != blank);
        Some(behind.map_or(path, |behind| path.with(behind)))
    }

    fn keep(&mut self, place: u32, path: Path) {
        if path.score >= self.least {
            self.next.add(place, path);
        }
    }

    fn enter(&mut self, arc: usize, path: Path, step: Step) {
        let (Step::First(token) | Step::Next(token)) = step else {
            return;
        };
        let score = path.score + self.row[token as usize];
        if score < self.least {
            return;
        }
        // The links of a path that joins a better one are lost anyway.
        let known = self.next.path(arc as u32);
        let link = if known.is_none_or(|known| score > known.score) {
            self.links.add(path.link, self.num_frames, step)
        } else {
            path.link
        };
        let (factor, summand) = self.facts.keys[token as usize];
        let key = path.key.wrapping_mul(factor).wrapping_add(summand);
        let base = path.base;
        self.next.add(
            arc as u32,
            Path {
                score,
                base,
                key,
                link,
            },
        );
    }

    /// Phrases begin where a word of the background has ended.
    fn begin(&mut self) {
        for arc in self.graph.arcs(PhraseGraph::START) {
            let token = self.graph.token(arc);
            let path = self.background.before_phrase(token);
            if path.is_possible() {
                self.enter(arc, path, Step::First(token));
            }
        }
    }

    /// Drops paths that are too far behind, and shifts scores so that the best path has 0.
    fn settle(&mut self) {
        let paths = self.next.paths.iter().map(|(_, path)| path.score);
        let best = paths.fold(self.background.best().score, f32::max);
        self.next.prune(best - MARGIN, MAX_ACTIVE);
        for (_, path) in &mut self.next.paths {
            path.score -= best;
            path.base -= best;
        }
        self.background.shift(best);
    }
}
