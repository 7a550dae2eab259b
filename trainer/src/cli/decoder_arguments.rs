//! Which decoder turns posteriors into words; the same arguments in every command that hears.

use std::io::Write;
use std::path::{Path, PathBuf};

use shared_model::bundle::LoadedModel;
use shared_model::phrases::PhraseWarning;

use super::{CliResult, Failure};
use crate::evaluate::{DecoderChoice, DecoderSettings, PhraseFile};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DecoderKind {
    /// The most probable token of each frame
    Greedy,
    /// CTC prefix beam search, with a language model and a word list if given
    Beam,
}

/// How posteriors become words; the same options in `evaluate` and `transcribe`.
#[derive(Debug, Clone, clap::Args)]
pub struct DecoderArgs {
    /// How to turn posteriors into words [default: greedy; beam if a language model or word list is
    /// given]
    #[arg(long, value_enum)]
    decoder: Option<DecoderKind>,
    /// Word n-gram language model: .bin or .arpa, either may be gzipped [default: the model
    /// folder's own, if it has one]
    #[arg(long, value_name = "FILE")]
    lm: Option<PathBuf>,
    /// Beam search without a language model, even if the model folder has one
    #[arg(long, conflicts_with = "lm")]
    no_lm: bool,
    /// Beam search over letters, even if the network has a phone head and the language model knows
    /// how its words sound
    #[arg(long)]
    no_phones: bool,
    /// Word list, one word per line: no other words can be written
    #[arg(long, value_name = "FILE")]
    words: Option<PathBuf>,
    /// Phrases that are likelier, one a line, and behind " :" a weight: nats for each of its words
    #[arg(long, value_name = "FILE")]
    boost: Option<PathBuf>,
    /// Weight of phrases that have none of their own [default: 4]
    #[arg(long, value_name = "X", requires = "boost")]
    boost_weight: Option<f32>,
    /// Phrases, one a line, or a JSGF grammar: only these are heard, or none of them
    #[arg(long, value_name = "FILE")]
    phrases: Option<PathBuf>,
    /// Hear phrases inside other speech too; otherwise everything between two pauses must be phrases
    #[arg(long, requires = "phrases")]
    spot: bool,
    /// Least score of a phrase, 0 to 1 [default: what `fledge tune-phrases` stored, else 0.35]
    #[arg(long, value_name = "X", requires = "phrases")]
    threshold: Option<f32>,
    /// Number of prefixes that the beam search keeps
    #[arg(long, value_name = "N")]
    beam: Option<usize>,
    /// Weight of the language model
    #[arg(long, value_name = "X")]
    lm_weight: Option<f32>,
    /// Added to the score of each word
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    word_bonus: Option<f32>,
    /// Added to the score of each word that the language model does not know
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    unknown_word_bonus: Option<f32>,
    /// Subtracted from the natural-log probability of the blank in each frame
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    blank_penalty: Option<f32>,
    /// Ignore tokens whose natural-log probability in a frame is below this, such as -8
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    token_min_log_prob: Option<f32>,
    /// Drop hypotheses that are this many nats worse than the best one
    #[arg(long, value_name = "X")]
    score_margin: Option<f32>,
}

impl DecoderArgs {
    /// Whether anything but greedy decoding is asked for.
    pub fn is_set(&self) -> bool {
        let wants_beam = matches!(self.decoder, Some(DecoderKind::Beam));
        wants_beam || self.wants_beam() || self.phrases.is_some()
    }

    fn wants_beam(&self) -> bool {
        let numbers = [
            self.lm_weight,
            self.word_bonus,
            self.unknown_word_bonus,
            self.blank_penalty,
            self.token_min_log_prob,
            self.score_margin,
        ];
        self.lm.is_some()
            || self.no_lm
            || self.no_phones
            || self.words.is_some()
            || self.boost.is_some()
            || self.beam.is_some()
            || numbers.iter().any(Option::is_some)
    }

    /// `quiet`: phrases that sound alike are not told of.
    pub fn choose(&self, loaded: &LoadedModel, quiet: bool) -> CliResult<DecoderChoice> {
        let wants_beam = self.wants_beam();
        if let Some(path) = &self.phrases {
            let choice = self.choose_phrases(path, wants_beam, loaded)?;
            if !quiet {
                tell_alike(path, &choice.1);
            }
            return Ok(choice.0);
        }
        match (self.decoder, wants_beam) {
            (Some(DecoderKind::Greedy), true) => Err(Failure::usage(
                "--decoder greedy uses no language model, word list, boosted phrases or beam; use --decoder beam",
            )),
            (Some(DecoderKind::Greedy) | None, false) => Ok(DecoderChoice::Greedy),
            _ => {
                let settings = DecoderSettings {
                    beam: self.beam,
                    lm_weight: self.lm_weight,
                    word_bonus: self.word_bonus,
                    unknown_word_bonus: self.unknown_word_bonus,
                    blank_penalty: self.blank_penalty,
                    token_min_log_prob: self.token_min_log_prob,
                    score_margin: self.score_margin,
                    lm: self.lm.clone(),
                    no_lm: self.no_lm,
                    no_phones: self.no_phones,
                    words: self.words.clone(),
                    boost: self.boost.clone(),
                    boost_weight: self.boost_weight,
                };
                let choice = DecoderChoice::beam(loaded, &settings)?;
                // Settings out of range are told before any audio is read.
                choice.build(&loaded.tokens)?;
                Ok(choice)
            }
        }
    }

    /// `wants_beam`: whether there are settings of the beam search.
    fn choose_phrases(
        &self,
        path: &Path,
        wants_beam: bool,
        loaded: &LoadedModel,
    ) -> CliResult<(DecoderChoice, Vec<PhraseWarning>)> {
        if wants_beam || self.decoder.is_some() {
            return Err(Failure::usage(
                "--phrases hears nothing but phrases: it takes no decoder, word list, language model, boosted phrases or beam",
            ));
        }
        if let Some(threshold) = self.threshold.filter(|value| !(0.0..=1.0).contains(value)) {
            return Err(Failure::usage(format!(
                "--threshold is {threshold}: expected 0 to 1"
            )));
        }
        let file = PhraseFile::read(path)?;
        let phrases = file.decoder(loaded, self.threshold, self.spot)?;
        Ok((DecoderChoice::Phrases(phrases), file.list.warnings()))
    }
}

fn tell_alike(path: &Path, warnings: &[PhraseWarning]) {
    for warning in warnings {
        let _ = writeln!(std::io::stderr(), "{}: {warning}", path.display());
    }
}
