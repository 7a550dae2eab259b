//! The search of one utterance.

use super::{
    BeamDecoder, homophones,
    paths::{LabelPath, Paths, log_add},
    spelling::Spelling,
    tree::{NONE, PrefixTree, ROOT},
    word_model::WordState,
};
use crate::{
    decode::{Hypothesis, TokenSpan},
    tokens::BLANK_ID,
};

/// Hypotheses of phones that are given: words are chosen for each.
const MAX_READ: usize = 16;

struct Active {
    prefix: u32,
    paths: Paths,
    /// The first of the beam that are this prefix and one token more, or [`NONE`]: their places.
    first_child: u32,
    /// The next one that has the same parent.
    next_sibling: u32,
}

impl Active {
    fn new(prefix: u32, paths: Paths) -> Self {
        Self {
            prefix,
            paths,
            first_child: NONE,
            next_sibling: NONE,
        }
    }
}

/// A prefix after the current frame: one of the beam (`prefix` is set), or a new one.
struct Candidate {
    prefix: u32,
    parent: u32,
    token: u32,
    word: WordState,
    paths: Paths,
}

impl Candidate {
    /// What the beam is chosen by.
    fn score(&self) -> f64 {
        self.paths.total() + self.word.score()
    }
}

pub(super) struct Search<'a> {
    decoder: &'a BeamDecoder,
    tree: PrefixTree,
    beam: Vec<Active>,
    candidates: Vec<Candidate>,
    /// Scores and indices of the candidates.
    ranking: Vec<(f64, u32)>,
    expanded: Vec<(u32, f32)>,
}

impl<'a> Search<'a> {
    pub(super) fn new(decoder: &'a BeamDecoder) -> Self {
        Self {
            decoder,
            tree: PrefixTree::new(decoder.words.start()),
            beam: vec![Active::new(ROOT, Paths::START)],
            candidates: Vec::new(),
            ranking: Vec::new(),
            expanded: Vec::new(),
        }
    }

    pub(super) fn advance(&mut self, frame: usize, log_probs: &[f32]) {
        self.choose_tokens(log_probs);
        self.candidates.clear();
        for index in 0..self.beam.len() {
            self.stay(index, frame, log_probs);
        }
        self.join_families();
        let staying = self.candidates.iter().map(Candidate::score);
        let best = staying.fold(f64::NEG_INFINITY, f64::max);
        let least = best - f64::from(self.decoder.config.score_margin);
        for index in 0..self.beam.len() {
            self.expand(index, frame, least);
        }
        for active in &self.beam {
            self.tree.set_slot(active.prefix, NONE);
        }
        self.select();
    }

    /// Tokens of this frame that are probable enough to be expanded.
    fn choose_tokens(&mut self, log_probs: &[f32]) {
        let vocab_size = self.decoder.words.vocab_size();
        let tokens = (0u32..).zip(log_probs).take(vocab_size).skip(1);
        let finite = tokens.filter(|(_, value)| value.is_finite());
        self.expanded.clear();
        let mut best: Option<(u32, f32)> = None;
        for (token, &log_prob) in finite {
            if log_prob >= self.decoder.config.token_min_log_prob {
                self.expanded.push((token, log_prob));
            }
            if best.is_none_or(|(_, highest)| log_prob > highest) {
                best = Some((token, log_prob));
            }
        }
        if self.expanded.is_empty() {
            self.expanded.extend(best);
        }
    }

    /// The prefix itself: a blank follows, or its last token goes on.
    fn stay(&mut self, index: usize, frame: usize, log_probs: &[f32]) {
        let Active { prefix, paths, .. } = self.beam[index];
        let (token, word) = (self.tree.get(prefix).token, self.tree.get(prefix).word);
        let blank = finite(log_probs[BLANK_ID as usize] - self.decoder.config.blank_penalty);
        let repeat = match token {
            BLANK_ID => f32::NEG_INFINITY,
            _ => finite(log_probs[token as usize]),
        };
        let mut best_label = paths.best_label;
        best_label.score += f64::from(repeat);
        best_label.span.end_frame = frame + 1;
        best_label.span.log_prob = best_label.span.log_prob.max(repeat);
        let (best, link) = self.close(index);
        self.tree.set_slot(prefix, index as u32);
        self.candidates.push(Candidate {
            prefix,
            parent: self.tree.get(prefix).parent,
            token,
            word,
            paths: Paths {
                blank: paths.total() + f64::from(blank),
                label: paths.label + f64::from(repeat),
                best_blank: (best + f64::from(blank), link),
                best_label,
            },
        });
    }

    /// The best path of a prefix so far, with its last token linked.
    fn close(&mut self, index: usize) -> (f64, u32) {
        let paths = &mut self.beam[index].paths;
        let LabelPath {
            score,
            previous,
            span,
        } = paths.best_label;
        if score > paths.best_blank.0 {
            (score, self.tree.link(previous, span))
        } else {
            paths.best_blank
        }
    }

    /// Links each prefix of the beam to those of the beam that are one token longer: their paths
    /// meet those that [`Self::expand`] makes.
    fn join_families(&mut self) {
        for child in 0..self.beam.len() {
            let parent = self.tree.get(self.beam[child].prefix).parent;
            if parent == NONE {
                continue;
            }
            let slot = self.tree.get(parent).slot;
            if slot != NONE {
                self.beam[child].next_sibling = self.beam[slot as usize].first_child;
                self.beam[slot as usize].first_child = child as u32;
            }
        }
    }

    /// The place in the beam of the prefix at `index` followed by `token`.
    fn child_in_beam(&self, index: usize, token: u32) -> Option<usize> {
        let mut child = self.beam[index].first_child;
        while child != NONE && self.candidates[child as usize].token != token {
            child = self.beam[child as usize].next_sibling;
        }
        (child != NONE).then_some(child as usize)
    }

    /// The prefix followed by each token of the frame, unless its score is surely below `least`.
    fn expand(&mut self, index: usize, frame: usize, least: f64) {
        let Active { prefix, paths, .. } = self.beam[index];
        let words = &self.decoder.words;
        let (last, word) = (self.tree.get(prefix).token, self.tree.get(prefix).word);
        let total = paths.total();
        // The link that `stay` made: the best path over both endings.
        let closed = self.candidates[index].paths.best_blank.1;
        let best_score = paths.best_blank.0.max(paths.best_label.score);
        for &(token, log_prob) in &self.expanded {
            // After the same token only paths that end with blank begin a second one.
            let (sum, (best, previous)) = if token == last {
                (paths.blank, paths.best_blank)
            } else {
                (total, (best_score, closed))
            };
            let label = sum + f64::from(log_prob);
            if label == f64::NEG_INFINITY {
                continue;
            }
            let best_label = LabelPath {
                score: best + f64::from(log_prob),
                previous,
                span: TokenSpan {
                    id: token,
                    start_frame: frame,
                    end_frame: frame + 1,
                    log_prob,
                },
            };
            if let Some(child) = self.child_in_beam(index, token) {
                let merged = &mut self.candidates[child].paths;
                merged.label = log_add(merged.label, label);
                if best_label.score > merged.best_label.score {
                    merged.best_label = best_label;
                }
            } else if label + words.most_fusion(&word, token) >= least {
                let extended = self.tree.extend(words, prefix, token);
                self.candidates.extend(extended.map(|word| Candidate {
                    prefix: NONE,
                    parent: prefix,
                    token,
                    word,
                    paths: Paths {
                        blank: f64::NEG_INFINITY,
                        label,
                        best_blank: (f64::NEG_INFINITY, NONE),
                        best_label,
                    },
                }));
            }
        }
    }

    /// Keeps the best candidates; the beam stays as it is if none is possible.
    fn select(&mut self) {
        self.ranking.clear();
        let mut best = f64::NEG_INFINITY;
        for (index, candidate) in (0u32..).zip(&self.candidates) {
            let score = candidate.score();
            if score > f64::NEG_INFINITY {
                self.ranking.push((score, index));
                best = best.max(score);
            }
        }
        if self.ranking.is_empty() {
            for active in &mut self.beam {
                *active = Active::new(active.prefix, active.paths);
            }
            return;
        }
        let least = best - f64::from(self.decoder.config.score_margin);
        self.ranking.retain(|&(score, _)| score >= least);
        let best_first = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        let beam = self.decoder.config.beam;
        if self.ranking.len() > beam {
            self.ranking.select_nth_unstable_by(beam - 1, best_first);
            self.ranking.truncate(beam);
        }
        self.ranking.sort_unstable_by(best_first);
        self.beam.clear();
        for &(_, index) in &self.ranking {
            let candidate = &self.candidates[index as usize];
            let prefix = match candidate.prefix {
                NONE => self
                    .tree
                    .insert(candidate.parent, candidate.token, candidate.word),
                prefix => prefix,
            };
            self.beam.push(Active::new(prefix, candidate.paths));
        }
    }

    pub(super) fn finish(mut self, mut spelling: Option<Spelling<'_>>) -> Vec<Hypothesis> {
        let mut ends: Vec<End> = (0..self.beam.len()).map(|index| self.end(index)).collect();
        if ends.iter().any(|end| end.num_cut == 0) {
            ends.retain(|end| end.num_cut == 0);
        }
        ends.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut kept: Vec<u32> = Vec::new();
        let mut hypotheses = Vec::new();
        let most = match self.decoder.words.is_of_phones() {
            true => MAX_READ,
            false => usize::MAX,
        };
        for end in ends {
            if hypotheses.len() == most {
                break;
            }
            if !kept.contains(&end.prefix) {
                kept.push(end.prefix);
                hypotheses.push(self.read(&end, spelling.as_mut()));
            }
        }
        // Words that were chosen anew may be likelier.
        hypotheses.sort_by(|a, b| b.score.total_cmp(&a.score));
        hypotheses
    }

    fn read(&self, end: &End, spelling: Option<&mut Spelling<'_>>) -> Hypothesis {
        let mut tokens = self.tree.spans(end.link);
        tokens.truncate(tokens.len().saturating_sub(end.num_cut));
        let model = &self.decoder.words;
        let reading = homophones::choose(model, &tokens, spelling);
        let score = match &reading {
            Some(reading) => end.sound + reading.fusion,
            None => end.score,
        };
        let text = |id: &u32| model.word(*id).to_string();
        Hypothesis {
            words: reading.map(|reading| reading.words.iter().map(text).collect()),
            tokens,
            score: score as f32,
        }
    }

    /// A prefix of the beam at the end of the utterance, cut back to its last whole word.
    fn end(&mut self, index: usize) -> End {
        let (_, link) = self.close(index);
        let Active {
            mut prefix, paths, ..
        } = self.beam[index];
        let mut num_cut = 0;
        // The root is outside any word, so this ends there at the latest.
        let word = loop {
            match self.tree.finish_word(&self.decoder.words, prefix) {
                Some(word) => break word,
                None => {
                    prefix = self.tree.get(prefix).parent;
                    num_cut += 1;
                }
            }
        };
        End {
            prefix,
            link,
            num_cut,
            sound: paths.total(),
            score: paths.total() + self.decoder.words.end(&word),
        }
    }
}

struct End {
    prefix: u32,
    link: u32,
    /// Tokens of an unfinished word at the end.
    num_cut: usize,
    /// Natural log of the paths' sum.
    sound: f64,
    score: f64,
}

fn finite(log_prob: f32) -> f32 {
    if log_prob.is_finite() {
        log_prob
    } else {
        f32::NEG_INFINITY
    }
}
