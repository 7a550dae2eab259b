//! From posteriors, stretch by stretch, to a transcript.

use super::{Decoder, Posteriors, Transcript};
use crate::{
    decode::{Calibration, Hypothesis, LogProbs, Word, evident_words, greedy},
    phrases::{FoundPhrases, OtherSpeech, PhraseDecoder, PhraseHit, PhraseSearch},
    tokens::{NUM_PHONE_TOKENS, Tokens},
};

/// Hears phrases in stretches, which may go on in one another.
pub struct PhraseListener<'a> {
    decoder: &'a PhraseDecoder,
    frame_secs: f32,
    search: Option<PhraseSearch>,
}

impl<'a> PhraseListener<'a> {
    /// `frame_secs`: seconds between encoder frames.
    pub fn new(decoder: &'a PhraseDecoder, frame_secs: f32) -> Self {
        Self {
            decoder,
            frame_secs,
            search: None,
        }
    }

    /// The next stretch of `vocab_size` classes a frame. Gives what was found in those before if it
    /// does not follow on them.
    pub fn take(&mut self, posteriors: &Posteriors, vocab_size: usize) -> Option<FoundPhrases> {
        let follows = self.search.as_ref().is_some_and(|search| {
            (search.end_secs() - posteriors.offset_secs).abs() <= SAME_SPEECH_SECS
        });
        let found = if follows { None } else { self.finish() };
        let begin = || self.decoder.begin(self.frame_secs);
        let search = self.search.get_or_insert_with(begin);
        let log_probs = LogProbs::new(&posteriors.log_probs, vocab_size);
        search.push(log_probs, posteriors.offset_secs);
        found
    }

    /// What was found in the last stretches; the next one follows on none.
    pub fn finish(&mut self) -> Option<FoundPhrases> {
        self.search.take().map(|mut search| search.found())
    }
}

/// Stretches that lie no farther apart are one: windows may place a word differently.
const SAME_SPEECH_SECS: f32 = 0.4;

/// Takes what was heard in order and gives words.
pub struct Writer<'a> {
    decoder: &'a Decoder,
    tokens: &'a Tokens,
    frame_secs: f32,
    calibration: Option<Calibration>,
    words: Vec<Word>,
    phrases: Vec<PhraseHit>,
    others: Vec<OtherSpeech>,
    listener: Option<PhraseListener<'a>>,
    /// Where the audio of the last stretch ends.
    end_secs: f32,
}

impl<'a> Writer<'a> {
    /// `frame_secs`: seconds between encoder frames.
    pub fn new(decoder: &'a Decoder, tokens: &'a Tokens, frame_secs: f32) -> Self {
        Self {
            decoder,
            tokens,
            frame_secs,
            calibration: None,
            words: Vec::new(),
            phrases: Vec::new(),
            others: Vec::new(),
            listener: match decoder {
                Decoder::Phrases(phrases) => Some(PhraseListener::new(phrases, frame_secs)),
                Decoder::Greedy | Decoder::Beam(_) => None,
            },
            end_secs: f32::INFINITY,
        }
    }

    /// With confidences that are probabilities, where a calibration is known.
    pub(super) fn calibrated(mut self, calibration: Option<Calibration>) -> Self {
        self.calibration = calibration;
        self
    }

    /// The next stretch. Gives the words that are certain now, and the phrases that they are: those
    /// only when no speech follows for a while.
    pub fn take(&mut self, posteriors: &Posteriors) -> (&[Word], &[PhraseHit]) {
        let (words, phrases) = self.num_written();
        if let Some(hypothesis) = hypothesis(self.decoder, posteriors, self.tokens) {
            self.write(&hypothesis, posteriors);
        } else if let Some(listener) = &mut self.listener {
            let found = listener.take(posteriors, self.tokens.len());
            self.close(found);
            self.end_secs = posteriors.end_secs;
        }
        (&self.words[words..], &self.phrases[phrases..])
    }

    fn write(&mut self, hypothesis: &Hypothesis, posteriors: &Posteriors) {
        let offset_secs = posteriors.offset_secs;
        let tokens = self.decoder.tokens(self.tokens);
        let words = evident_words(hypothesis, tokens, self.frame_secs, offset_secs);
        for (mut word, evidence) in words {
            end_by(&mut word, posteriors.end_secs);
            if let Some(calibration) = &self.calibration {
                word.confidence = calibration.confidence(&evidence);
            }
            self.words.push(word);
        }
    }

    /// What was found is certain.
    fn close(&mut self, found: Option<FoundPhrases>) {
        let (Some(found), Decoder::Phrases(phrases)) = (found, self.decoder) else {
            return;
        };
        for mut hit in found.hits(phrases.config()) {
            hit.words
                .iter_mut()
                .for_each(|word| end_by(word, self.end_secs));
            hit.start_secs = hit.start_secs.min(self.end_secs);
            hit.end_secs = hit.end_secs.min(self.end_secs);
            self.words.extend(hit.words.iter().cloned());
            self.phrases.push(hit);
        }
        for mut other in found.others(phrases.config()) {
            other.start_secs = other.start_secs.min(self.end_secs);
            other.end_secs = other.end_secs.min(self.end_secs);
            self.others.push(other);
        }
    }

    /// Words and phrases that were given so far.
    pub(super) fn num_written(&self) -> (usize, usize) {
        (self.words.len(), self.phrases.len())
    }

    /// Everything that was said.
    pub fn finish(mut self) -> Transcript {
        let found = self.listener.as_mut().and_then(PhraseListener::finish);
        self.close(found);
        Transcript {
            phrases: self.phrases,
            others: self.others,
            ..Transcript::from_words(self.words)
        }
    }
}

/// What a decoder of words writes, in letters or in phones as it reads them; none of phrases.
pub(super) fn hypothesis(
    decoder: &Decoder,
    posteriors: &Posteriors,
    tokens: &Tokens,
) -> Option<Hypothesis> {
    let letters = LogProbs::new(&posteriors.log_probs, tokens.len());
    match decoder {
        Decoder::Greedy => Some(greedy(letters)),
        Decoder::Beam(beam) => {
            let found = if decoder.reads_phones() {
                let phones = LogProbs::new(&posteriors.phone_log_probs, NUM_PHONE_TOKENS);
                beam.decode_beside_letters(phones, letters, tokens)
            } else {
                beam.decode(letters)
            };
            Some(found.into_iter().next().unwrap_or_default())
        }
        Decoder::Phrases(_) => None,
    }
}

pub(super) fn end_by(word: &mut Word, end_secs: f32) {
    word.start_secs = word.start_secs.min(end_secs);
    word.end_secs = word.end_secs.min(end_secs);
}
