//! CTC prefix beam search (Hannun et al., arXiv 1408.2873) with word-level fusion.
//!
//! A prefix keeps the summed probability of its paths that end with blank and of those that end
//! with its last token, and beside each sum the best single path, which gives the tokens' frames.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    DecodeError, Hypothesis, LogProbs, TokenSpan,
    lm::NgramLm,
    prefix_tree::{NONE, PrefixTree, ROOT},
    word_model::{WordModel, WordState},
};
use crate::tokens::{BLANK_ID, Tokens};

const MAX_BEAM: usize = 4096;
const MAX_WEIGHT: f32 = 1000.0;

/// Settings of the search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BeamConfig {
    /// Prefixes kept after each frame, 1 to 4096. More is slower and misses less.
    pub beam: usize,
    /// Weight of the language model's natural-log probabilities, 0 to 1000. More follows the
    /// language model against the sound.
    pub lm_weight: f32,
    /// Added per finished word when there is a language model, -1000 to 1000. More favours many
    /// short words.
    pub word_bonus: f32,
    /// Classes below this natural-log posterior are not expanded, at most 0. Higher is faster and
    /// misses more; a frame's best token is always expanded.
    pub token_min_log_prob: f32,
}

impl Default for BeamConfig {
    fn default() -> Self {
        Self {
            beam: 16,
            lm_weight: 0.5,
            word_bonus: 1.0,
            token_min_log_prob: -8.0,
        }
    }
}

impl BeamConfig {
    fn validate(&self) -> Result<(), DecodeError> {
        let setting = |name, value: &dyn ToString, expected| DecodeError::Setting {
            name,
            value: value.to_string(),
            expected,
        };
        if !(1..=MAX_BEAM).contains(&self.beam) {
            return Err(setting("beam", &self.beam, "1 to 4096"));
        }
        if !(0.0..=MAX_WEIGHT).contains(&self.lm_weight) {
            return Err(setting("lm_weight", &self.lm_weight, "0 to 1000"));
        }
        if !(-MAX_WEIGHT..=MAX_WEIGHT).contains(&self.word_bonus) {
            return Err(setting("word_bonus", &self.word_bonus, "-1000 to 1000"));
        }
        if self.token_min_log_prob.is_nan() || self.token_min_log_prob > 0.0 {
            let value = &self.token_min_log_prob;
            return Err(setting("token_min_log_prob", value, "at most 0"));
        }
        Ok(())
    }
}

/// A prefix beam search over one token set; keeps nothing between utterances.
pub struct BeamDecoder {
    config: BeamConfig,
    words: WordModel,
}

impl BeamDecoder {
    /// `words`: if given, only these words can be written. `lm`: if given, finished words are scored.
    /// A listed word that the tokens cannot write is tried in lower case, then left out; a list or
    /// a language model of which no word can be written is an error.
    pub fn new(
        tokens: &Tokens,
        config: BeamConfig,
        words: Option<&[String]>,
        lm: Option<Arc<NgramLm>>,
    ) -> Result<Self, DecodeError> {
        config.validate()?;
        let words = WordModel::new(tokens, &config, words, lm)?;
        Ok(Self { config, words })
    }

    /// The best hypotheses, best first; never empty. Time and memory grow with frames times beam.
    ///
    /// Values that are not finite count as impossible; a frame that leaves no prefix possible
    /// changes nothing. With a word list, hypotheses that end inside a word are dropped; if all do,
    /// each is cut back to its last listed word. No frames give one empty hypothesis.
    pub fn decode(&self, log_probs: LogProbs<'_>) -> Vec<Hypothesis> {
        let mut search = Search::new(self);
        for frame in 0..log_probs.num_frames() {
            search.advance(frame, log_probs.frame(frame));
        }
        search.finish()
    }
}

/// Sums over the paths of one prefix, and the best of them; natural log.
#[derive(Clone, Copy)]
struct Paths {
    /// Sum over paths that end with blank.
    blank: f64,
    /// Sum over paths that end with the last token.
    label: f64,
    /// Best path that ends with blank, and the link of its last token.
    best_blank: (f64, u32),
    best_label: LabelPath,
}

/// A path that is still in its last token.
#[derive(Clone, Copy)]
struct LabelPath {
    score: f64,
    /// Link of the token before.
    previous: u32,
    span: TokenSpan,
}

impl LabelPath {
    const IMPOSSIBLE: Self = Self {
        score: f64::NEG_INFINITY,
        previous: NONE,
        span: TokenSpan {
            id: BLANK_ID,
            start_frame: 0,
            end_frame: 0,
            log_prob: f32::NEG_INFINITY,
        },
    };
}

impl Paths {
    fn total(&self) -> f64 {
        log_add(self.blank, self.label)
    }
}

struct Active {
    prefix: u32,
    paths: Paths,
}

/// A prefix after the current frame: one of the beam (`prefix` is set), or a new one.
struct Candidate {
    prefix: u32,
    parent: u32,
    token: u32,
    word: WordState,
    paths: Paths,
}

struct Search<'a> {
    decoder: &'a BeamDecoder,
    tree: PrefixTree,
    beam: Vec<Active>,
    candidates: Vec<Candidate>,
    /// Scores and indices of the candidates.
    ranking: Vec<(f64, u32)>,
    expanded: Vec<(u32, f32)>,
}

impl<'a> Search<'a> {
    fn new(decoder: &'a BeamDecoder) -> Self {
        let paths = Paths {
            blank: 0.0,
            label: f64::NEG_INFINITY,
            best_blank: (0.0, NONE),
            best_label: LabelPath::IMPOSSIBLE,
        };
        Self {
            decoder,
            tree: PrefixTree::new(decoder.words.start()),
            beam: vec![Active {
                prefix: ROOT,
                paths,
            }],
            candidates: Vec::new(),
            ranking: Vec::new(),
            expanded: Vec::new(),
        }
    }

    fn advance(&mut self, frame: usize, log_probs: &[f32]) {
        self.choose_tokens(log_probs);
        self.candidates.clear();
        for index in 0..self.beam.len() {
            self.stay(index, frame, log_probs);
        }
        for index in 0..self.beam.len() {
            self.expand(index, frame);
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
        let Active { prefix, paths } = self.beam[index];
        let (token, word) = (self.tree.get(prefix).token, self.tree.get(prefix).word);
        let blank = finite(log_probs[BLANK_ID as usize]);
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

    /// The prefix followed by each token of the frame.
    fn expand(&mut self, index: usize, frame: usize) {
        let Active { prefix, paths } = self.beam[index];
        let last = self.tree.get(prefix).token;
        // The link that `stay` made: the best path over both endings.
        let closed = self.candidates[index].paths.best_blank.1;
        let best_score = paths.best_blank.0.max(paths.best_label.score);
        for &(token, log_prob) in &self.expanded {
            // After the same token only paths that end with blank begin a second one.
            let (sum, (best, previous)) = if token == last {
                (paths.blank, paths.best_blank)
            } else {
                (paths.total(), (best_score, closed))
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
            let known = self.tree.child(prefix, token);
            match known.map(|child| self.tree.get(child).slot) {
                Some(slot) if slot != NONE => {
                    let merged = &mut self.candidates[slot as usize].paths;
                    merged.label = log_add(merged.label, label);
                    if best_label.score > merged.best_label.score {
                        merged.best_label = best_label;
                    }
                }
                _ => {
                    let extended = self.tree.extend(&self.decoder.words, prefix, token);
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
    }

    /// Keeps the best candidates; the beam stays as it is if none is possible.
    fn select(&mut self) {
        self.ranking.clear();
        for (index, candidate) in (0u32..).zip(&self.candidates) {
            let score = candidate.paths.total() + candidate.word.fusion;
            if score > f64::NEG_INFINITY {
                self.ranking.push((score, index));
            }
        }
        if self.ranking.is_empty() {
            return;
        }
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
            self.beam.push(Active {
                prefix,
                paths: candidate.paths,
            });
        }
    }

    fn finish(mut self) -> Vec<Hypothesis> {
        let mut ends: Vec<End> = (0..self.beam.len()).map(|index| self.end(index)).collect();
        if ends.iter().any(|end| end.num_cut == 0) {
            ends.retain(|end| end.num_cut == 0);
        }
        ends.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut kept: Vec<u32> = Vec::new();
        let mut hypotheses = Vec::new();
        for end in ends {
            if kept.contains(&end.prefix) {
                continue;
            }
            kept.push(end.prefix);
            let mut tokens = self.tree.spans(end.link);
            tokens.truncate(tokens.len().saturating_sub(end.num_cut));
            hypotheses.push(Hypothesis {
                tokens,
                score: end.score as f32,
            });
        }
        hypotheses
    }

    /// A prefix of the beam at the end of the utterance, cut back to its last whole word.
    fn end(&mut self, index: usize) -> End {
        let (_, link) = self.close(index);
        let Active { mut prefix, paths } = self.beam[index];
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
            score: paths.total() + self.decoder.words.end(&word),
        }
    }
}

struct End {
    prefix: u32,
    link: u32,
    /// Tokens of an unfinished word at the end.
    num_cut: usize,
    score: f64,
}

fn finite(log_prob: f32) -> f32 {
    if log_prob.is_finite() {
        log_prob
    } else {
        f32::NEG_INFINITY
    }
}

/// ln(exp(a) + exp(b)); either may be -inf.
fn log_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY {
        high
    } else {
        high + (low - high).exp().ln_1p()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::decode::{greedy, words};
    use proptest::prelude::*;

    const NO_PRUNING: BeamConfig = BeamConfig {
        beam: MAX_BEAM,
        lm_weight: 0.0,
        word_bonus: 0.0,
        token_min_log_prob: f32::NEG_INFINITY,
    };

    fn letters(letters: &str) -> Tokens {
        let pieces = letters.chars().map(String::from).collect();
        Tokens::from_pieces(pieces).unwrap()
    }

    fn plain(tokens: &Tokens, config: BeamConfig) -> BeamDecoder {
        BeamDecoder::new(tokens, config, None, None).unwrap()
    }

    fn ids(hypothesis: &Hypothesis) -> Vec<u32> {
        hypothesis.tokens.iter().map(|span| span.id).collect()
    }

    fn log_softmax(logits: &[f32], vocab_size: usize) -> Vec<f32> {
        let rows = logits.chunks_exact(vocab_size);
        rows.flat_map(|row| {
            let sum: f32 = row.iter().map(|x| x.exp()).sum();
            row.iter().map(move |x| x - sum.ln())
        })
        .collect()
    }

    /// Every token sequence with the sum over all of its paths and its best path.
    fn brute_force(
        data: &[f32],
        vocab_size: usize,
    ) -> BTreeMap<Vec<u32>, (f64, f64, Vec<TokenSpan>)> {
        let num_frames = data.len() / vocab_size;
        let mut sums = BTreeMap::new();
        for code in 0..vocab_size.pow(num_frames as u32) {
            let mut digits = code;
            let path: Vec<usize> = (0..num_frames)
                .map(|_| {
                    let class = digits % vocab_size;
                    digits /= vocab_size;
                    class
                })
                .collect();
            let mut spans: Vec<TokenSpan> = Vec::new();
            let mut log_prob = 0.0f64;
            for (frame, &class) in path.iter().enumerate() {
                let value = data[frame * vocab_size + class];
                log_prob += f64::from(value);
                if class == 0 {
                    continue;
                }
                if frame > 0 && path[frame - 1] == class {
                    let span = spans.last_mut().unwrap();
                    span.end_frame = frame + 1;
                    span.log_prob = span.log_prob.max(value);
                } else {
                    spans.push(TokenSpan {
                        id: class as u32,
                        start_frame: frame,
                        end_frame: frame + 1,
                        log_prob: value,
                    });
                }
            }
            let key = spans.iter().map(|span| span.id).collect();
            let entry = sums
                .entry(key)
                .or_insert((0.0, f64::NEG_INFINITY, Vec::new()));
            entry.0 += log_prob.exp();
            if log_prob > entry.1 {
                (entry.1, entry.2) = (log_prob, spans);
            }
        }
        sums
    }

    proptest! {
        #[test]
        fn without_pruning_scores_are_sums_over_all_paths(
            logits in (0usize..=5).prop_flat_map(|frames| prop::collection::vec(-4.0f32..4.0, 4 * frames)),
        ) {
            let data = log_softmax(&logits, 4);
            let found = plain(&letters("ab▁"), NO_PRUNING).decode(LogProbs::new(&data, 4));
            let expected = brute_force(&data, 4);
            prop_assert_eq!(found.len(), expected.len());
            prop_assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
            for hypothesis in &found {
                let (sum, _, spans) = &expected[&ids(hypothesis)];
                prop_assert!((f64::from(hypothesis.score) - sum.ln()).abs() < 1e-4);
                prop_assert_eq!(&hypothesis.tokens, spans, "frames of the best path");
            }
        }

        #[test]
        fn equals_greedy_on_peaked_posteriors_with_any_beam(
            classes in prop::collection::vec(0usize..4, 0..30),
            beam in 1usize..5,
        ) {
            let logits: Vec<f32> = classes
                .iter()
                .flat_map(|&class| (0..4).map(move |id| if id == class { 12.0 } else { 0.0 }))
                .collect();
            let data = log_softmax(&logits, 4);
            let config = BeamConfig { beam, ..BeamConfig::default() };
            let found = plain(&letters("ab▁"), config).decode(LogProbs::new(&data, 4));
            prop_assert_eq!(&found[0].tokens, &greedy(LogProbs::new(&data, 4)).tokens);
        }

        #[test]
        fn any_values_give_hypotheses_and_no_panic(
            data in prop::collection::vec(
                prop_oneof![
                    4 => -20.0f32..0.0,
                    1 => Just(f32::NAN),
                    1 => Just(f32::INFINITY),
                    2 => Just(f32::NEG_INFINITY),
                    1 => Just(f32::MIN),
                ],
                0..60,
            ),
            listed in any::<bool>(),
        ) {
            let data = &data[..data.len() / 4 * 4];
            let list = ["ab".to_string(), "b".to_string()];
            let config = BeamConfig { beam: 3, ..BeamConfig::default() };
            let list = listed.then_some(list.as_slice());
            let decoder = BeamDecoder::new(&letters("ab▁"), config, list, None).unwrap();
            let found = decoder.decode(LogProbs::new(data, 4));
            prop_assert!(!found.is_empty());
            prop_assert!(found.iter().all(|hypothesis| !hypothesis.score.is_nan()));
        }

        #[test]
        fn a_word_list_gives_the_best_listed_words(
            logits in prop::collection::vec(-4.0f32..4.0, 5 * 4),
        ) {
            let data = log_softmax(&logits, 4);
            let tokens = letters("ab▁");
            let list = ["ab".to_string(), "b".to_string(), "bba".to_string()];
            let decoder = BeamDecoder::new(&tokens, NO_PRUNING, Some(&list), None).unwrap();
            let found = decoder.decode(LogProbs::new(&data, 4));
            let listed = |ids: &[u32]| {
                let text = tokens.decode(ids);
                text.split_whitespace().all(|word| list.iter().any(|listed| listed == word))
            };
            let mut expected = brute_force(&data, 4);
            expected.retain(|ids, _| listed(ids));
            prop_assert_eq!(found.len(), expected.len());
            for hypothesis in &found {
                let sum = expected[&ids(hypothesis)].0;
                prop_assert!((f64::from(hypothesis.score) - sum.ln()).abs() < 1e-4);
            }
        }
    }

    /// `a` and `ab` are words; `b` is unknown, and no `<unk>` is there.
    const SMALL_ARPA: &str = "\\data\\\nngram 1=4\nngram 2=3\n\\1-grams:\n-99\t<s>\t-0.3\n\
        -0.9\t</s>\n-0.5\ta\t-0.2\n-0.7\tab\t-0.1\n\\2-grams:\n-0.4\t<s> ab\n-0.2\tab a\n\
        -0.6\ta </s>\n\\end\\\n";

    proptest! {
        #[test]
        fn every_finished_word_and_the_end_are_scored_by_the_language_model(
            logits in prop::collection::vec(-4.0f32..4.0, 5 * 4),
        ) {
            let data = log_softmax(&logits, 4);
            let tokens = letters("ab▁");
            let lm = Arc::new(NgramLm::from_arpa(SMALL_ARPA.as_bytes()).unwrap());
            let config = BeamConfig { lm_weight: 0.7, word_bonus: 0.4, ..NO_PRUNING };
            let decoder = BeamDecoder::new(&tokens, config, None, Some(lm.clone())).unwrap();
            let found = decoder.decode(LogProbs::new(&data, 4));
            let expected = brute_force(&data, 4);
            prop_assert_eq!(found.len(), expected.len());
            prop_assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
            for hypothesis in &found {
                let mut score = expected[&ids(hypothesis)].0.ln();
                let mut state = lm.start();
                for word in tokens.decode(&ids(hypothesis)).split_whitespace() {
                    let (ln_prob, next) = lm.score(&state, word);
                    score += 0.7 * f64::from(ln_prob) + 0.4;
                    state = next;
                }
                score += 0.7 * f64::from(lm.end(&state));
                prop_assert!((f64::from(hypothesis.score) - score).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn the_language_model_decides_between_equal_sounds() {
        let lm = Arc::new(NgramLm::from_arpa(SMALL_ARPA.as_bytes()).unwrap());
        let config = BeamConfig {
            lm_weight: 1.0,
            ..BeamConfig::default()
        };
        let decoder = BeamDecoder::new(&letters("ab▁"), config, None, Some(lm)).unwrap();
        // `a` or `b` are equally probable in frame 1; only `a` is a word.
        let data = log_softmax(&[9.0, 0.0, 0.0, 0.0, 0.0, 9.0, 9.0, 0.0], 4);
        assert_eq!(ids(&decoder.decode(LogProbs::new(&data, 4))[0]), [1]);
    }

    #[test]
    fn a_word_too_long_for_any_model_is_one_unknown_word() {
        let lm = Arc::new(NgramLm::from_arpa(SMALL_ARPA.as_bytes()).unwrap());
        let config = BeamConfig {
            beam: 1,
            lm_weight: 1.0,
            ..BeamConfig::default()
        };
        let decoder = BeamDecoder::new(&letters("ab▁"), config, None, Some(lm)).unwrap();
        let logits: Vec<f32> = (0..1000)
            .flat_map(|frame| match frame % 2 {
                0 => [0.0, 30.0, 0.0, 0.0],
                _ => [30.0, 0.0, 0.0, 0.0],
            })
            .collect();
        let found = decoder.decode(LogProbs::new(&log_softmax(&logits, 4), 4));
        assert_eq!(found[0].tokens.len(), 500);
        // The unknown word, the bonus, and </s> without a history; the sound costs nothing.
        let expected = crate::decode::lm::UNKNOWN_LN_PROB + 1.0 - 0.9 * std::f32::consts::LN_10;
        assert!(
            (found[0].score - expected).abs() < 1e-3,
            "{}",
            found[0].score
        );
    }

    #[test]
    fn a_language_model_of_other_letters_is_an_error() {
        let lm = Arc::new(NgramLm::from_arpa(SMALL_ARPA.as_bytes()).unwrap());
        let error = BeamDecoder::new(&letters("xy"), BeamConfig::default(), None, Some(lm)).err();
        assert!(matches!(error, Some(DecodeError::LanguageModel(_))));
    }

    #[test]
    fn no_frames_give_one_empty_hypothesis_with_score_zero() {
        let decoder = plain(&letters("ab"), BeamConfig::default());
        assert_eq!(
            decoder.decode(LogProbs::new(&[], 3)),
            [Hypothesis::default()]
        );
    }

    #[test]
    fn an_impossible_frame_changes_nothing() {
        let decoder = plain(&letters("ab"), BeamConfig::default());
        let data = log_softmax(&[0.0, 2.0, 1.0, 1.0, 0.0, 3.0], 3);
        let mut broken = data.clone();
        broken.splice(3..3, [f32::NAN; 3]);
        let (whole, skipped) = (LogProbs::new(&data, 3), LogProbs::new(&broken, 3));
        let scores = |found: Vec<Hypothesis>| -> Vec<(Vec<u32>, f32)> {
            found.iter().map(|h| (ids(h), h.score)).collect()
        };
        assert_eq!(
            scores(decoder.decode(whole)),
            scores(decoder.decode(skipped))
        );
    }

    #[test]
    fn a_word_that_the_list_lacks_is_cut_off_when_nothing_else_is_left() {
        let tokens = letters("ab▁");
        let list = ["ab".to_string()];
        let config = BeamConfig {
            beam: 1,
            ..BeamConfig::default()
        };
        let decoder = BeamDecoder::new(&tokens, config, Some(&list), None).unwrap();
        let classes = [1, 2, 3, 1, 1];
        let logits: Vec<f32> = classes
            .iter()
            .flat_map(|&class| (0..4).map(move |id| if id == class { 12.0 } else { 0.0 }))
            .collect();
        let found = decoder.decode(LogProbs::new(&log_softmax(&logits, 4), 4));
        assert_eq!(found.len(), 1);
        let texts: Vec<String> = words(&found[0], &tokens, 0.04, 0.0)
            .into_iter()
            .map(|word| word.text)
            .collect();
        assert_eq!(texts, ["ab"]);
    }

    #[test]
    fn a_word_list_holds_for_every_segmentation_into_pieces() {
        let pieces = ["▁a", "b", "▁ab", "▁", "a", "▁b"].map(String::from);
        let tokens = Tokens::from_pieces(pieces.to_vec()).unwrap();
        let list = ["ab".to_string()];
        let decoder = BeamDecoder::new(&tokens, NO_PRUNING, Some(&list), None).unwrap();
        let data = log_softmax(&[0.0; 7 * 3], 7);
        let found = decoder.decode(LogProbs::new(&data, 7));
        let texts: Vec<String> = found.iter().map(|h| tokens.decode(&ids(h))).collect();
        assert!(
            texts
                .iter()
                .all(|text| ["", "ab"].contains(&text.trim()) || text == "ab ab")
        );
        for wanted in [
            vec![1, 2],
            vec![3],
            vec![4, 5, 2],
            vec![3, 3],
            vec![3, 1, 2],
        ] {
            assert!(found.iter().any(|h| ids(h) == wanted), "{wanted:?}");
        }
    }

    #[test]
    fn listed_words_in_capitals_are_written_in_the_tokens_letters() {
        let list = ["AB".to_string(), "Ä".to_string()];
        let found = BeamDecoder::new(&letters("ab▁"), NO_PRUNING, Some(&list), None)
            .unwrap()
            .decode(LogProbs::new(&log_softmax(&[0.0; 8], 4), 4));
        assert!(found.iter().any(|h| ids(h) == [1, 2]));
    }

    #[test]
    fn settings_out_of_range_and_useless_lists_are_errors() {
        let good = BeamConfig::default;
        let bad = [
            ("beam", BeamConfig { beam: 0, ..good() }),
            (
                "beam",
                BeamConfig {
                    beam: 5000,
                    ..good()
                },
            ),
            (
                "lm_weight",
                BeamConfig {
                    lm_weight: -1.0,
                    ..good()
                },
            ),
            (
                "lm_weight",
                BeamConfig {
                    lm_weight: f32::NAN,
                    ..good()
                },
            ),
            (
                "word_bonus",
                BeamConfig {
                    word_bonus: f32::INFINITY,
                    ..good()
                },
            ),
            (
                "token_min_log_prob",
                BeamConfig {
                    token_min_log_prob: 0.1,
                    ..good()
                },
            ),
            (
                "token_min_log_prob",
                BeamConfig {
                    token_min_log_prob: f32::NAN,
                    ..good()
                },
            ),
        ];
        for (wrong, config) in bad {
            match BeamDecoder::new(&letters("ab"), config, None, None).err() {
                Some(DecodeError::Setting { name, .. }) => assert_eq!(name, wrong),
                other => panic!("{wrong}: {other:?}"),
            }
        }
        for list in [vec![], vec![String::new()], vec!["xyz".to_string()]] {
            let error = BeamDecoder::new(&letters("ab"), good(), Some(&list), None).err();
            assert!(matches!(error, Some(DecodeError::WordList(_))), "{list:?}");
        }
    }
}
