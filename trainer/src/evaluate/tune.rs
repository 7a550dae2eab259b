//! Search for the beam search's settings: the network hears every utterance once, then many
//! settings decode what it heard.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use pollster::block_on;
use serde::Serialize;
use shared_model::bundle::LoadedModel;
use shared_model::decode::lm::NgramLm;
use shared_model::decode::{BeamConfig, BeamDecoder};
use shared_model::metrics::{ErrorCounts, word_errors};
use shared_model::recognizer::{Decoder, Posteriors, Recognizer};
use shared_model::tokens::{Tokens, normalize_text};

use super::{EvaluateError, check_texts, read_samples, without_broken, workers::spread, written};
use crate::data::Utterance;
use crate::device::{DeviceKind, OpenDevice};

/// What the network made of an utterance, and what was said.
pub struct HeardUtterance {
    pub(super) posteriors: Vec<Posteriors>,
    /// Normalised.
    pub(super) reference: String,
    /// Features and network, on one thread.
    pub encoding_secs: f64,
}

/// Runs features and network over every utterance.
///
/// # Errors
/// As [`super::evaluate`]; broken audio is left out, up to the share that
/// [`super::Evaluated::check_broken`] allows.
pub fn hear_all(
    loaded: &LoadedModel,
    utterances: &[Utterance],
    device: &OpenDevice,
    threads: usize,
    stop: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<HeardUtterance>, EvaluateError> {
    check_texts(utterances)?;
    let threads = match device.kind {
        DeviceKind::Cpu => threads,
        DeviceKind::Gpu => 1,
    };
    let results = spread(
        utterances.len(),
        threads,
        stop,
        progress,
        &|| Ok(Recognizer::new(loaded, Decoder::Greedy, &device.device)?),
        &|recognizer, index| {
            let samples = match read_samples(&utterances[index]) {
                Ok((samples, _)) => samples,
                Err(broken) => return Ok(Err(broken)),
            };
            let started = Instant::now();
            let posteriors = block_on(recognizer.posteriors(&samples))?;
            Ok(Ok(HeardUtterance {
                posteriors,
                reference: normalize_text(&utterances[index].text),
                encoding_secs: started.elapsed().as_secs_f64(),
            }))
        },
    )?;
    without_broken(results)
}

/// Settings and what they give on the development set.
#[derive(Debug, Clone, Serialize)]
pub struct Trial {
    /// The settings.
    pub config: BeamConfig,
    /// Word error rate, a fraction.
    pub wer: f64,
    /// Errors by utterance.
    #[serde(skip)]
    pub counts: Vec<ErrorCounts>,
    /// Summed over threads.
    pub decoding_secs: f64,
}

impl Trial {
    /// Word errors, together.
    pub fn errors(&self) -> usize {
        self.counts.iter().map(ErrorCounts::errors).sum()
    }
}

/// What is tried.
#[derive(Debug, Clone)]
pub struct SearchSpace {
    /// From small to large.
    pub beams: Vec<usize>,
    /// Weights of the language model, for the grid that the search starts with; none, no grid.
    pub lm_weights: Vec<f32>,
    /// Bonuses of a word, for the same grid.
    pub word_bonuses: Vec<f32>,
}

impl Default for SearchSpace {
    fn default() -> Self {
        Self {
            beams: vec![4, 8, 16, 32, 64],
            lm_weights: vec![0.2, 0.4, 0.6, 0.8, 1.0, 1.3],
            word_bonuses: vec![-1.0, 0.0, 1.0, 2.0],
        }
    }
}

/// A value that the search moves, and by how much at first.
type Move = (fn(&mut BeamConfig) -> &mut f32, f32);

const MOVES: [Move; 4] = [
    (|config| &mut config.lm_weight, 0.1),
    (|config| &mut config.word_bonus, 0.5),
    (|config| &mut config.unknown_word_bonus, 2.0),
    (|config| &mut config.blank_penalty, 0.5),
];
/// Over phones there are no unknown words.
const MOVES_OVER_PHONES: [Move; 3] = [MOVES[0], MOVES[1], MOVES[3]];

/// The steps are halved so often.
const NUM_HALVINGS: i32 = 2;
/// From fast to thorough.
const SCORE_MARGINS: [f32; 4] = [8.0, 11.0, 14.0, 20.0];
/// Wider pruning wins a word in a thousand for twice the time, which a visitor waits for: so many
/// thousandths more errors are taken for less work.
const PRUNING_PER_MILLE: usize = 5;
const TOKEN_MIN_LOG_PROBS: [f32; 3] = [-6.0, -8.0, -11.0];

/// Decodes what was heard with one setting after another.
pub struct Tuner<'a> {
    /// What the network wrote of the development set.
    pub heard: &'a [HeardUtterance],
    /// Its vocabulary.
    pub tokens: &'a Tokens,
    /// Seconds between encoder frames.
    pub frame_secs: f32,
    /// Language model that takes part, if any.
    pub lm: Option<Arc<NgramLm>>,
    /// Whether the search is over phones, which the language model must know.
    pub reads_phones: bool,
    /// Utterances are spread over so many.
    pub threads: usize,
    /// Set from outside to end the search.
    pub stop: &'a AtomicBool,
    /// Called after each trial.
    pub report: &'a mut dyn FnMut(&Trial),
    /// Every setting that was measured, in order.
    pub trials: Vec<Trial>,
}

impl Tuner<'_> {
    /// Word errors of the greedy decoder, by utterance.
    ///
    /// # Errors
    /// A stop.
    pub fn greedy(&self) -> Result<Vec<ErrorCounts>, EvaluateError> {
        self.count(&Decoder::Greedy)
    }

    /// The best settings found from `start` on; of equally good ones the fastest. First the weights
    /// of the language model on a grid and in ever smaller steps, then the beam, the weights once
    /// more, and pruning, where a two-hundredth more errors are taken for less work.
    ///
    /// # Errors
    /// Settings out of range, or a stop.
    pub fn search(
        &mut self,
        start: &BeamConfig,
        space: &SearchSpace,
    ) -> Result<Trial, EvaluateError> {
        let mut best = self.measure(start)?;
        if self.lm.is_some() {
            for &lm_weight in &space.lm_weights {
                for &word_bonus in &space.word_bonuses {
                    let config = BeamConfig {
                        lm_weight,
                        word_bonus,
                        ..best.config.clone()
                    };
                    self.keep_better(&mut best, &config)?;
                }
            }
            self.descend(&mut best, 0)?;
        }
        let beams = space.beams.iter().map(|&beam| BeamConfig {
            beam,
            ..best.config.clone()
        });
        let beams: Vec<_> = beams.collect();
        let mut best = self.fastest(&beams, 0)?.unwrap_or(best);
        if self.lm.is_some() {
            // A wide beam finds what a narrow one lost: other weights may be right for it.
            self.descend(&mut best, 1)?;
        }
        let margins = SCORE_MARGINS.map(|score_margin| BeamConfig {
            score_margin,
            ..best.config.clone()
        });
        best = self.fastest(&margins, PRUNING_PER_MILLE)?.unwrap_or(best);
        let limits = TOKEN_MIN_LOG_PROBS.map(|token_min_log_prob| BeamConfig {
            token_min_log_prob,
            ..best.config.clone()
        });
        Ok(self.fastest(&limits, PRUNING_PER_MILLE)?.unwrap_or(best))
    }

    /// The first of `configs` that is [`close_to_the_best`]: they come from fast to slow.
    fn fastest(
        &mut self,
        configs: &[BeamConfig],
        per_mille: usize,
    ) -> Result<Option<Trial>, EvaluateError> {
        let trials: Result<Vec<_>, _> = configs.iter().map(|config| self.measure(config)).collect();
        Ok(close_to_the_best(trials?, per_mille))
    }

    /// Steps to better neighbours, in smaller steps where there is none; the first ones are halved
    /// so often.
    fn descend(&mut self, best: &mut Trial, num_halved: i32) -> Result<(), EvaluateError> {
        let mut scale = 0.5f32.powi(num_halved);
        let moves = match self.reads_phones {
            true => &MOVES_OVER_PHONES[..],
            false => &MOVES[..],
        };
        for _ in num_halved..=NUM_HALVINGS {
            let mut has_moved = true;
            while has_moved {
                has_moved = false;
                for &(value, step) in moves {
                    for direction in [scale, -scale] {
                        let mut config = best.config.clone();
                        *value(&mut config) += direction * step;
                        config.lm_weight = config.lm_weight.max(0.0);
                        has_moved |= self.keep_better(best, &config)?;
                    }
                }
            }
            scale /= 2.0;
        }
        Ok(())
    }

    fn keep_better(
        &mut self,
        best: &mut Trial,
        config: &BeamConfig,
    ) -> Result<bool, EvaluateError> {
        let trial = self.measure(config)?;
        let is_better = trial.errors() < best.errors();
        if is_better {
            *best = trial;
        }
        Ok(is_better)
    }

    /// Decodes everything, unless these settings were tried before.
    fn measure(&mut self, config: &BeamConfig) -> Result<Trial, EvaluateError> {
        if let Some(known) = self.trials.iter().find(|trial| trial.config == *config) {
            return Ok(known.clone());
        }
        let decoder = match (&self.lm, self.reads_phones) {
            (Some(lm), true) => BeamDecoder::of_phones(config.clone(), lm.clone())?,
            (lm, _) => BeamDecoder::new(self.tokens, config.clone(), None, lm.clone())?,
        };
        let decoder = Decoder::Beam(decoder);
        let (counts, secs): (Vec<_>, Vec<_>) = self.decode(&decoder)?.into_iter().unzip();
        let mut total = ErrorCounts::default();
        counts.iter().for_each(|count| total.add(count));
        let trial = Trial {
            config: config.clone(),
            wer: total.rate(),
            counts,
            decoding_secs: secs.iter().sum(),
        };
        (self.report)(&trial);
        self.trials.push(trial.clone());
        Ok(trial)
    }

    fn count(&self, decoder: &Decoder) -> Result<Vec<ErrorCounts>, EvaluateError> {
        let decoded = self.decode(decoder)?;
        Ok(decoded.into_iter().map(|(counts, _)| counts).collect())
    }

    /// Word errors and seconds of each utterance.
    fn decode(&self, decoder: &Decoder) -> Result<Vec<(ErrorCounts, f64)>, EvaluateError> {
        let no_progress = |_, _| {};
        let (heard, tokens, frame_secs) = (self.heard, self.tokens, self.frame_secs);
        spread(
            heard.len(),
            self.threads,
            self.stop,
            &no_progress,
            &|| Ok(()),
            &|(), index| {
                let utterance = &heard[index];
                let started = Instant::now();
                let text = written(&utterance.posteriors, decoder, tokens, frame_secs);
                let secs = started.elapsed().as_secs_f64();
                Ok((word_errors(&utterance.reference, &text), secs))
            },
        )
    }
}

/// The first trial with at most so many thousandths more errors than the best.
fn close_to_the_best(trials: Vec<Trial>, per_mille: usize) -> Option<Trial> {
    let fewest = trials.iter().map(Trial::errors).min()?;
    let most = fewest + fewest * per_mille / 1000;
    trials.into_iter().find(|trial| trial.errors() <= most)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_two_hundredth_more_errors_are_taken_for_less_work() {
        let trial = |score_margin, substitutions| Trial {
            config: BeamConfig {
                score_margin,
                ..BeamConfig::default()
            },
            wer: 0.0,
            counts: vec![ErrorCounts {
                substitutions,
                ..ErrorCounts::default()
            }],
            decoding_secs: 0.0,
        };
        let fastest = |errors: [usize; 3], per_mille| {
            let trials = [8.0, 11.0, 14.0].into_iter().zip(errors);
            let trials = trials.map(|(margin, errors)| trial(margin, errors));
            let chosen = close_to_the_best(trials.collect(), per_mille);
            chosen.map(|trial| trial.config.score_margin)
        };
        assert_eq!(fastest([402, 400, 400], 0), Some(11.0));
        let chosen = |errors| fastest(errors, PRUNING_PER_MILLE);
        assert_eq!(chosen([402, 401, 400]), Some(8.0));
        assert_eq!(chosen([403, 402, 400]), Some(11.0));
        assert_eq!(chosen([403, 403, 400]), Some(14.0));
        assert_eq!(chosen([199, 198, 198]), Some(11.0));
    }

    /// An utterance whose two frames say `a` or `b` a little, with what was said.
    fn heard(a: f32, b: f32, reference: &str) -> HeardUtterance {
        let frame = [(1.0 - a - b).ln(), a.ln(), b.ln(), 1e-9f32.ln()];
        let blank = [0.999f32.ln(), -9.0, -9.0, -9.0];
        HeardUtterance {
            posteriors: vec![Posteriors {
                log_probs: [frame, blank].concat(),
                phone_log_probs: vec![],
                offset_secs: 0.0,
                end_secs: 1.0,
            }],
            reference: reference.to_owned(),
            encoding_secs: 0.1,
        }
    }

    /// The sound says b a little more often; only the language model knows that it was a.
    fn utterances() -> [HeardUtterance; 3] {
        [
            heard(0.35, 0.6, "a"),
            heard(0.4, 0.55, "a"),
            heard(0.02, 0.9, "b"),
        ]
    }

    fn lm_and_tokens() -> (Arc<NgramLm>, Tokens) {
        let arpa =
            "\\data\\\nngram 1=5\n\\1-grams:\n-99 <s>\n-0.3 </s>\n-0.2 a\n-2 b\n-5 <unk>\n\\end\\";
        let pieces = ["a", "b", "▁"].map(String::from).to_vec();
        (
            Arc::new(NgramLm::from_arpa(arpa.as_bytes()).unwrap()),
            Tokens::from_pieces(pieces).unwrap(),
        )
    }

    #[test]
    fn the_search_finds_the_weights_that_the_development_set_wants() {
        let (lm, tokens) = lm_and_tokens();
        let utterances = utterances();
        let stop = AtomicBool::new(false);
        let mut reported = 0;
        let mut tuner = Tuner {
            heard: &utterances,
            tokens: &tokens,
            frame_secs: 0.04,
            lm: Some(lm),
            reads_phones: false,
            threads: 2,
            stop: &stop,
            report: &mut |_| reported += 1,
            trials: Vec::new(),
        };
        let greedy: usize = tuner
            .greedy()
            .unwrap()
            .iter()
            .map(ErrorCounts::errors)
            .sum();
        assert_eq!(greedy, 2);
        let start = BeamConfig {
            lm_weight: 0.0,
            ..BeamConfig::default()
        };
        let best = tuner.search(&start, &SearchSpace::default()).unwrap();
        assert_eq!((best.errors(), best.wer), (0, 0.0));
        assert!(best.config.lm_weight > 0.0);
        assert_eq!(best.config.beam, 4, "the fastest of equally good ones");
        let trials = tuner.trials.len();
        let mut configs: Vec<String> = tuner
            .trials
            .iter()
            .map(|t| format!("{:?}", t.config))
            .collect();
        configs.sort();
        configs.dedup();
        assert_eq!((configs.len(), reported), (trials, trials), "nothing twice");
    }

    #[test]
    fn without_a_grid_only_settings_around_the_first_are_tried() {
        let (lm, tokens) = lm_and_tokens();
        let (utterances, stop) = (utterances(), AtomicBool::new(false));
        let mut tuner = Tuner {
            heard: &utterances,
            tokens: &tokens,
            frame_secs: 0.04,
            lm: Some(lm),
            reads_phones: false,
            threads: 1,
            stop: &stop,
            report: &mut |_| {},
            trials: Vec::new(),
        };
        // The first a needs a weight of ln(0.6 / 0.35) / (1.8 ln 10) = 0.13 at least.
        let start = BeamConfig {
            lm_weight: 0.05,
            ..BeamConfig::default()
        };
        let space = SearchSpace {
            lm_weights: vec![],
            ..SearchSpace::default()
        };
        let best = tuner.search(&start, &space).unwrap();
        assert_eq!(best.errors(), 0);
        assert!(tuner.trials[0].errors() > 0, "the first is not good enough");
        let is_near = |trial: &Trial| trial.config.lm_weight < 0.5;
        assert!(tuner.trials.iter().all(is_near));
    }
}
