//! From posteriors to phrases with times, scores and values.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    PhraseList,
    grammar::{PhraseError, SlotValue},
    graph::PhraseGraph,
    search::{Found, FoundPhrase, PhraseConfig, Search, TokenFacts, accepted, rejected},
};
use crate::{
    decode::{Hypothesis, LogProbs, TokenSpan, WORD_MARK, Word, greedy, words},
    tokens::Tokens,
};

/// A phrase that was heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhraseHit {
    /// The phrase, with `{slot}` where a slot was filled: `set a timer for {minutes} minutes`.
    pub phrase: String,
    /// What was said.
    pub text: String,
    /// Values by the names of their slots, in the order they were said.
    pub slots: Vec<Slot>,
    /// Tags of the grammar outside of slots.
    pub tags: Vec<String>,
    /// Beginning of the first token, seconds.
    pub start_secs: f32,
    /// End of the last token, seconds.
    pub end_secs: f32,
    /// How probable the network holds it, by the letter, 0 to 1 ([`super::phrase_score`]).
    pub score: f32,
    /// Whether the list has a longer phrase that begins like this one.
    pub may_go_on: bool,
    /// Whether no more sound is expected to change it: always, but in partial results of live
    /// audio.
    pub is_settled: bool,
    /// The words of `text`, each with the phrase's score as its confidence.
    pub words: Vec<Word>,
}

/// A slot and what was said for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// As the list names it.
    pub name: String,
    /// What was said.
    pub value: SlotValue,
}

/// Speech in which no phrase was heard: what was said between two pauses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OtherSpeech {
    /// What the network alone would have written.
    pub text: String,
    /// Beginning of the first letter, seconds.
    pub start_secs: f32,
    /// End of the last letter, seconds.
    pub end_secs: f32,
    /// The phrase that it resembled most, if any.
    pub nearest: Option<NearPhrase>,
}

/// A phrase that does not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NearPhrase {
    /// As it would have been said.
    pub text: String,
    /// As of a [`PhraseHit`].
    pub score: f32,
    /// With this score it would have counted, unless other words stand beside it.
    pub threshold: f32,
}

/// Hears the phrases of one list. Cheap to clone; searches share the graph.
#[derive(Debug, Clone)]
pub struct PhraseDecoder {
    graph: Arc<PhraseGraph>,
    facts: Arc<TokenFacts>,
    tokens: Arc<Tokens>,
    config: PhraseConfig,
}

impl PhraseDecoder {
    /// For one list and one token set.
    ///
    /// # Errors
    /// What is wrong with the list, and where: see [`PhraseError`].
    pub fn new(
        list: &PhraseList,
        tokens: &Tokens,
        config: PhraseConfig,
    ) -> Result<Self, PhraseError> {
        Ok(Self {
            graph: Arc::new(PhraseGraph::new(&list.source, tokens)?),
            facts: Arc::new(TokenFacts::new(tokens)),
            tokens: Arc::new(tokens.clone()),
            config,
        })
    }

    /// The same with other settings.
    pub fn with_config(&self, config: PhraseConfig) -> Self {
        Self {
            config,
            ..self.clone()
        }
    }

    /// How phrases are heard.
    pub fn config(&self) -> &PhraseConfig {
        &self.config
    }

    /// The phrases as a graph of tokens.
    pub fn graph(&self) -> &PhraseGraph {
        &self.graph
    }

    /// A search that has heard nothing yet. `frame_secs`: between encoder frames.
    pub fn begin(&self, frame_secs: f32) -> PhraseSearch {
        PhraseSearch {
            search: Search::new(self.graph.clone(), self.facts.clone()),
            decoder: self.clone(),
            times: FrameTimes {
                frame_secs,
                known: Vec::new(),
            },
            words: Vec::new(),
        }
    }

    /// How many of the words, from the first, are a phrase: every number for which they are.
    pub fn phrase_ends(&self, words: &[&str]) -> Vec<usize> {
        let mut state = PhraseGraph::START;
        let mut ends = Vec::new();
        for (index, word) in words.iter().enumerate() {
            let is_after_space = index > 0 && self.graph.has_spaces();
            let space = is_after_space.then(|| self.tokens.id(&WORD_MARK.to_string()));
            let Ok(ids) = self.tokens.encode(word) else {
                break;
            };
            let mut ids = space.flatten().into_iter().chain(ids);
            match ids.try_fold(state, |state, id| self.graph.step(state, id)) {
                Some(next) => state = next,
                None => break,
            }
            if self.graph.is_final(state) {
                ends.push(index + 1);
            }
        }
        ends
    }
}

/// Hears phrases in frames as they come. Work per frame is bounded.
pub struct PhraseSearch {
    decoder: PhraseDecoder,
    search: Search,
    times: FrameTimes,
    /// Of the best path, phrase or not, times in frames.
    words: Vec<Word>,
}

impl PhraseSearch {
    /// The next frames. `offset_secs`: time of the first of them.
    pub fn push(&mut self, log_probs: LogProbs<'_>, offset_secs: f32) {
        let first = self.search.num_frames();
        self.times.note(first, offset_secs);
        let written = words(&greedy(log_probs), &self.decoder.tokens, 1.0, first as f32);
        self.words.extend(written);
        self.search.push(log_probs);
    }

    /// Seconds where the last frame ends.
    pub fn end_secs(&self) -> f32 {
        self.times.secs(self.search.num_frames())
    }

    /// What is in all frames so far, as if nothing followed.
    pub fn found(&mut self) -> FoundPhrases {
        FoundPhrases {
            pieces: self.search.found(),
            decoder: self.decoder.clone(),
            times: self.times.clone(),
            words: self.words.clone(),
        }
    }

    /// The phrases in all frames so far, as if nothing followed.
    pub fn hits(&mut self) -> Vec<PhraseHit> {
        self.found().hits(&self.decoder.config)
    }
}

/// Times of frames.
#[derive(Debug, Clone)]
struct FrameTimes {
    frame_secs: f32,
    /// Frames whose time does not follow from the one before, and their times.
    known: Vec<(u32, f32)>,
}

impl FrameTimes {
    fn note(&mut self, frame: u32, secs: f32) {
        if self.known.is_empty() || (self.secs(frame) - secs).abs() > self.frame_secs / 2.0 {
            self.known.push((frame, secs));
        }
    }

    fn secs(&self, frame: u32) -> f32 {
        let behind = self.known.partition_point(|(first, _)| *first <= frame);
        let known = behind
            .checked_sub(1)
            .and_then(|index| self.known.get(index));
        let (first, secs) = known.copied().unwrap_or_default();
        secs + (frame - first) as f32 * self.frame_secs
    }
}

/// Everything that a search found, whatever its score.
#[derive(Debug, Clone)]
pub struct FoundPhrases {
    pieces: Vec<Found>,
    decoder: PhraseDecoder,
    times: FrameTimes,
    words: Vec<Word>,
}

impl FoundPhrases {
    /// The phrases that count by these settings.
    pub fn hits(&self, config: &PhraseConfig) -> Vec<PhraseHit> {
        let accepted = accepted(&self.pieces, config, self.times.frame_secs);
        let hits = accepted.into_iter().filter_map(|found| self.hit(found));
        hits.collect()
    }

    /// The utterances in which no phrase counts by these settings.
    pub fn others(&self, config: &PhraseConfig) -> Vec<OtherSpeech> {
        let rejected = rejected(&self.pieces, config, self.times.frame_secs).into_iter();
        let others = rejected.map(|one| {
            let (first, last) = one.frames;
            let middle = |word: &&Word| (word.start_secs + word.end_secs) / 2.0;
            let is_within =
                |word: &&Word| (first as f32..=last as f32 + 1.0).contains(&middle(word));
            let said = self.words.iter().filter(is_within);
            let said: Vec<&str> = said.map(|word| word.text.as_str()).collect();
            OtherSpeech {
                text: said.join(" "),
                start_secs: self.times.secs(first),
                end_secs: self.times.secs(last) + self.times.frame_secs,
                nearest: one.nearest.map(|found| NearPhrase {
                    text: text_of(&self.words(found)),
                    score: found.score,
                    threshold: config.threshold,
                }),
            }
        });
        // Noise between words may leave a letter of no word.
        others
            .filter(|other| !other.text.is_empty() || other.nearest.is_some())
            .collect()
    }

    fn hit(&self, found: &FoundPhrase) -> Option<PhraseHit> {
        let words = self.words(found);
        let said: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        let graph = &self.decoder.graph;
        let meaning = graph.meaning(&said)?;
        let mut ids = found.tokens.iter().map(|(token, _)| *token);
        let end = ids.try_fold(PhraseGraph::START, |state, id| graph.step(state, id))?;
        let slots = meaning.slots.into_iter();
        Some(PhraseHit {
            phrase: meaning.phrase,
            text: said.join(" "),
            slots: slots.map(|(name, value)| Slot { name, value }).collect(),
            tags: meaning.tags,
            start_secs: words.first()?.start_secs,
            end_secs: words.last()?.end_secs,
            score: found.score,
            may_go_on: !graph.arcs(end).is_empty(),
            is_settled: true,
            words,
        })
    }

    fn words(&self, found: &FoundPhrase) -> Vec<Word> {
        let span = |&(id, frame): &(u32, u32)| TokenSpan {
            id,
            start_frame: frame as usize,
            end_frame: frame as usize + 1,
            log_prob: found.score.ln(),
        };
        let hypothesis = Hypothesis {
            tokens: found.tokens.iter().map(span).collect(),
            score: found.log_prob,
            words: None,
        };
        let mut words = words(&hypothesis, &self.decoder.tokens, 1.0, 0.0);
        for word in &mut words {
            // Times are frames until here.
            let last = (word.end_secs as u32).saturating_sub(1);
            word.start_secs = self.times.secs(word.start_secs as u32);
            word.end_secs = self.times.secs(last) + self.times.frame_secs;
        }
        words
    }
}

fn text_of(words: &[Word]) -> String {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    texts.join(" ")
}
