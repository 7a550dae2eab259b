//! CTC prefix beam search (Hannun et al., arXiv 1408.2873) with word-level fusion.
//!
//! A prefix keeps the summed probability of its paths that end with blank and of those that end
//! with its last token, and beside each sum the best single path, which gives the tokens' frames.
//!
//! An unfinished word has the score of the best word that it can still become. Otherwise a
//! beginning that leads to no word would look as good as any other until its word ends, and would
//! push the right beginnings out of a small beam. The estimate only ranks prefixes; the finished
//! word is scored without it.
//!
//! Over phones, only words that a language model has are written, by how it knows them to sound.
//! Words that sound alike are one prefix, which goes on as the likeliest of them.

#[cfg(test)]
mod boost_tests;
mod boosts;
mod config;
mod fusion;
mod homophones;
mod lexicon;
mod paths;
#[cfg(test)]
mod phone_tests;
mod search;
mod spelling;
#[cfg(test)]
mod tests;
mod tree;
mod word_model;

pub use config::BeamConfig;
pub use word_model::spell;

use std::sync::Arc;

use super::{BoostList, DecodeError, Hypothesis, LogProbs, lm::NgramLm};
use crate::tokens::{Tokens, phone_tokens};
use search::Search;
use spelling::Spelling;
use word_model::WordModel;

/// A prefix beam search over one token set; keeps nothing between utterances.
pub struct BeamDecoder {
    config: BeamConfig,
    words: Box<WordModel>,
    /// If its tokens are phones.
    phone_tokens: Option<Arc<Tokens>>,
}

impl BeamDecoder {
    /// `words`: if given, only these words can be written. `lm`: if given, finished words are scored.
    /// A listed word that the tokens cannot write is tried in lower case, then left out.
    ///
    /// # Errors
    /// A setting out of its range, or a list or a language model of which no word can be written.
    pub fn new(
        tokens: &Tokens,
        config: BeamConfig,
        words: Option<&[String]>,
        lm: Option<Arc<NgramLm>>,
    ) -> Result<Self, DecodeError> {
        config.validate()?;
        let words = Box::new(WordModel::new(tokens, &config, words, lm)?);
        Ok(Self {
            config,
            words,
            phone_tokens: None,
        })
    }

    /// A search over [`crate::tokens::phone_tokens`], which writes the words of a language model that
    /// knows how they sound, and no others.
    ///
    /// # Errors
    /// A setting out of its range, or a language model without pronunciations.
    pub fn of_phones(config: BeamConfig, lm: Arc<NgramLm>) -> Result<Self, DecodeError> {
        config.validate()?;
        let words = Box::new(WordModel::of_phones(&config, lm)?);
        Ok(Self {
            config,
            words,
            phone_tokens: Some(Arc::new(phone_tokens())),
        })
    }

    /// The tokens of its hypotheses if they are phones: [`Hypothesis::words`] tells the words.
    pub fn phone_tokens(&self) -> Option<&Tokens> {
        self.phone_tokens.as_deref()
    }

    /// The same decoder, to which the phrases of a list are likelier. Costs little: the language
    /// model is shared. Over phones, a word whose pronunciation the language model does not know sounds as
    /// it guesses ([`NgramLm::guess_pronunciation`]).
    ///
    /// # Errors
    /// [`DecodeError::Boost`] for a word that the tokens cannot write, or whose sound cannot be guessed.
    pub fn boosting(&self, list: &BoostList) -> Result<Self, DecodeError> {
        Ok(Self {
            config: self.config.clone(),
            words: Box::new(self.words.boosting(list, &self.config)?),
            phone_tokens: self.phone_tokens.clone(),
        })
    }

    /// Whether a language model and nothing else decides which words can be written.
    pub fn writes_any_word_with_lm(&self) -> bool {
        self.words.has_lm_and_no_list()
    }

    /// The best hypotheses, best first; never empty. Over phones, 16 at most. Time and memory grow with frames times beam.
    ///
    /// Values that are not finite count as impossible; a frame that leaves no prefix possible
    /// changes nothing. With a word list, hypotheses that end inside a word are dropped; if all do,
    /// each is cut back to its last listed word. No frames give one empty hypothesis.
    pub fn decode(&self, log_probs: LogProbs<'_>) -> Vec<Hypothesis> {
        self.search(log_probs, None)
    }

    /// As [`Self::decode`] over phones, where the same network's letters, `[num_frames, tokens]`, count
    /// beside the language model: among words that sound alike, and among hypotheses.
    pub fn decode_beside_letters(
        &self,
        phones: LogProbs<'_>,
        letters: LogProbs<'_>,
        tokens: &Tokens,
    ) -> Vec<Hypothesis> {
        self.search(phones, Some(Spelling::new(letters, tokens)))
    }

    fn search(&self, log_probs: LogProbs<'_>, spelling: Option<Spelling<'_>>) -> Vec<Hypothesis> {
        let mut search = Search::new(self);
        for frame in 0..log_probs.num_frames() {
            search.advance(frame, log_probs.frame(frame));
        }
        search.finish(spelling)
    }
}
