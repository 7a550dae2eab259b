//! Graphs are read back from their bytes and searched, and every way to write something is scored by
//! the definitions beside it.

#![allow(clippy::unwrap_used)]

use shared_model::decode::BeamConfig;
use shared_model::decode::lm::{NgramLm, UNKNOWN_WORD};
use shared_model::tokens::Tokens;

use super::{GraphError, decoding_graph};

/// Listed n-grams are likelier than backing off would make them, so that the best path does not.
const ARPA: &str = "\\data\\\nngram 1=7\nngram 2=5\nngram 3=2\n\n\\1-grams:\n-1.2\t<unk>\n-99\t<s>\t-0.5\n\
    -0.7\t</s>\n-0.9\ta\t-0.3\n-1.0\tab\t-0.2\n-1.3\tabba\t-0.1\n-1.1\tb\t-0.4\n\n\\2-grams:\n-0.3\t<s> ab\t-0.1\n\
    -0.4\ta b\t-0.25\n-0.5\tab a\t-0.15\n-0.3\tb </s>\n-0.2\tb abba\n\n\\3-grams:\n-0.1\t<s> ab a\n-0.2\ta b </s>\n\n\
    \\end\\\n";

const TOKENS: &str = "<blk> 0\n▁ 1\na 2\nb 3\n";

fn config() -> BeamConfig {
    BeamConfig {
        lm_weight: 0.7,
        word_bonus: 0.3,
        unknown_word_bonus: -2.0,
        blank_penalty: 0.25,
        ..BeamConfig::default()
    }
}

/// An automaton as it is read from a file of OpenFST.
struct ReadBack {
    start: usize,
    finals: Vec<f32>,
    /// Label, output label, weight and next state.
    arcs: Vec<Vec<(u32, u32, f32, usize)>>,
}

impl ReadBack {
    fn new(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let mut take = |count: usize| {
            let (taken, left) = rest.split_at(count);
            rest = left;
            taken
        };
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
        let long = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap()) as usize;
        assert_eq!(word(take(4)), 2_125_659_606);
        for name in ["vector", "standard"] {
            let length = word(take(4)) as usize;
            assert_eq!(take(length), name.as_bytes());
        }
        assert_eq!((word(take(4)), word(take(4)), long(take(8))), (2, 0, 3));
        let (start, num_states, num_arcs) = (long(take(8)), long(take(8)), long(take(8)));
        let (mut finals, mut arcs) = (Vec::new(), Vec::new());
        for _ in 0..num_states {
            finals.push(f32::from_bits(word(take(4))));
            let count = long(take(8));
            let arc = |_| {
                let [label, output, weight, next] = [(); 4].map(|()| word(take(4)));
                (label, output, f32::from_bits(weight), next as usize)
            };
            arcs.push((0..count).map(arc).collect::<Vec<_>>());
        }
        assert!(rest.is_empty());
        assert_eq!(arcs.iter().map(Vec::len).sum::<usize>(), num_arcs);
        Self {
            start,
            finals,
            arcs,
        }
    }

    /// The cheapest path over all frames, as a score.
    fn best(&self, log_probs: &[[f32; 4]]) -> f32 {
        let mut costs = vec![f32::INFINITY; self.finals.len()];
        costs[self.start] = 0.0;
        for frame in log_probs {
            let mut next = vec![f32::INFINITY; costs.len()];
            for (cost, arcs) in costs.iter().zip(&self.arcs) {
                for &(label, _, weight, to) in arcs {
                    next[to] = next[to].min(cost + weight - frame[label as usize - 1]);
                }
            }
            costs = next;
        }
        let ends = costs.iter().zip(&self.finals).map(|(cost, end)| cost + end);
        -ends.fold(f32::INFINITY, f32::min)
    }
}

/// What the words of a text and its end add to a score.
fn score_of_words(lm: &NgramLm, text: &str) -> f32 {
    let config = config();
    let (mut score, mut state) = (0.0, lm.start());
    let unknown = |state, score: &mut f32| {
        let (ln_prob, next) = lm.score(&state, UNKNOWN_WORD);
        *score += config.lm_weight * ln_prob + config.word_bonus + config.unknown_word_bonus;
        next
    };
    for word in text.split('▁').filter(|word| !word.is_empty()) {
        if lm.knows(word) {
            let (ln_prob, next) = lm.score(&state, word);
            score += config.lm_weight * ln_prob + config.word_bonus;
            state = next;
        } else {
            state = unknown(state, &mut score);
        }
    }
    score + config.lm_weight * lm.end(&state)
}

/// The best path over all frames, by trying every one.
fn best_by_trial(lm: &NgramLm, log_probs: &[[f32; 4]]) -> f32 {
    let letters = ['-', '▁', 'a', 'b'];
    let mut best = f32::NEG_INFINITY;
    for mut number in 0..4usize.pow(log_probs.len() as u32) {
        let (mut text, mut last, mut score) = (String::new(), 0, 0.0);
        for frame in log_probs {
            let token = number % 4;
            number /= 4;
            score += frame[token];
            if token == 0 {
                score -= config().blank_penalty;
            } else if token != last {
                text.push(letters[token]);
            }
            last = token;
        }
        // Marks stand between words, one at a time.
        if !text.contains("▁▁") {
            best = best.max(score + score_of_words(lm, &text));
        }
    }
    best
}

/// Log-probabilities from a fixed stream.
fn frames(count: usize, seed: u32) -> Vec<[f32; 4]> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        6.0 * (state >> 8) as f32 / 16_777_216.0
    };
    let frame = |_| {
        let logits = [(); 4].map(|()| next());
        let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
        logits.map(|logit| logit - sum.ln())
    };
    (0..count).map(frame).collect()
}

#[test]
fn the_best_path_is_the_best_of_all_texts_and_alignments() {
    let lm = NgramLm::from_arpa(ARPA.as_bytes()).unwrap();
    let tokens = Tokens::from_txt(TOKENS.as_bytes()).unwrap();
    let graph = ReadBack::new(&decoding_graph(&tokens, &lm, &config()).unwrap());
    for seed in 0..40 {
        let log_probs = frames(1 + seed as usize % 8, seed);
        let (found, expected) = (graph.best(&log_probs), best_by_trial(&lm, &log_probs));
        assert!(
            (found - expected).abs() < 1e-4,
            "seed {seed}: {found} for {expected}"
        );
    }
}

#[test]
fn a_doubled_letter_needs_a_blank_between() {
    let lm = NgramLm::from_arpa(ARPA.as_bytes()).unwrap();
    let tokens = Tokens::from_txt(TOKENS.as_bytes()).unwrap();
    let graph = ReadBack::new(&decoding_graph(&tokens, &lm, &config()).unwrap());
    // The network is almost sure of each of these tokens.
    let heard = |ids: &[usize]| -> Vec<[f32; 4]> {
        let frame = |&id: &usize| {
            let mut log_probs = [-4.0; 4];
            log_probs[id] = -0.1;
            log_probs
        };
        ids.iter().map(frame).collect()
    };
    for ids in [
        [2, 3, 3, 2].as_slice(),
        &[2, 3, 0, 3, 2],
        &[3, 1, 2, 3, 3, 2],
    ] {
        let log_probs = heard(ids);
        let (found, expected) = (graph.best(&log_probs), best_by_trial(&lm, &log_probs));
        assert!(
            (found - expected).abs() < 1e-4,
            "{ids:?}: {found} for {expected}"
        );
    }
}

#[test]
fn every_arc_reads_a_frame_and_every_state_may_be_the_last() {
    let lm = NgramLm::from_arpa(ARPA.as_bytes()).unwrap();
    let tokens = Tokens::from_txt(TOKENS.as_bytes()).unwrap();
    let graph = ReadBack::new(&decoding_graph(&tokens, &lm, &config()).unwrap());
    assert!(graph.finals.iter().all(|end| end.is_finite()));
    for (label, output, weight, next) in graph.arcs.iter().flatten() {
        assert!((1..=4).contains(label) && *output == 0, "{label}:{output}");
        assert!(weight.is_finite() && *next < graph.finals.len());
    }
}

#[test]
fn what_no_graph_can_spell_is_refused_in_words() {
    let lm = NgramLm::from_arpa(ARPA.as_bytes()).unwrap();
    let refusal = |txt: &str| {
        let tokens = Tokens::from_txt(txt.as_bytes()).unwrap();
        decoding_graph(&tokens, &lm, &config()).unwrap_err()
    };
    let pieces = refusal("<blk> 0\n▁ 1\n▁a 2\nb 3\n");
    assert_eq!(
        pieces,
        GraphError::Tokens {
            piece: "▁a".to_owned()
        }
    );
    assert!(pieces.to_string().contains("letter by letter"), "{pieces}");
    assert_eq!(refusal("<blk> 0\na 1\nb 2\n"), GraphError::NoMark);
    assert_eq!(refusal("<blk> 0\n▁ 1\nx 2\n"), GraphError::NoWords);
}
