//! The student that an engine holds, and what it listens for.

use std::{cell::RefCell, rc::Rc};

use shared_model::{
    decode::{BeamConfig, BoostList, DecodeError},
    phrases::{PhraseConfig, PhraseDecoder, PhraseError, PhraseList},
    recognizer::Recognizer,
    tokens::Tokens,
};

use super::Failure;
use crate::protocol::{Boosts, FailureKind, PhraseWarning, Place, Response, WantedPhrases};

pub struct Student {
    recognizer: Rc<Recognizer>,
    weights_id: String,
    /// Of a search where the model is loaded without one.
    beam: BeamConfig,
    /// The list that was asked for last: its graph takes longer than a short clip.
    known: RefCell<Option<KnownList>>,
}

struct KnownList {
    text: String,
    list: PhraseList,
    decoder: PhraseDecoder,
}

impl Student {
    pub fn new(recognizer: Recognizer, weights_id: String, beam: BeamConfig) -> Self {
        Self {
            recognizer: Rc::new(recognizer),
            weights_id,
            beam,
            known: RefCell::default(),
        }
    }

    /// What hears any words, some of them likelier, or nothing but phrases if some are given.
    ///
    /// # Errors
    /// A list that cannot be used, both lists at once, or a threshold out of its range.
    pub fn hearing(
        &self,
        phrases: Option<&WantedPhrases>,
        boosts: &Boosts,
    ) -> Result<Rc<Recognizer>, Failure> {
        match (phrases, boost_list(boosts)?) {
            (Some(_), Some(_)) => Err(Failure::new(
                FailureKind::Phrases,
                "phrases are all that is heard: none can be boosted",
            )),
            (Some(wanted), None) => self.hearing_only(wanted),
            (None, Some(boosts)) => Ok(Rc::new(self.recognizer.boosting(&boosts, &self.beam)?)),
            (None, None) => Ok(self.recognizer.clone()),
        }
    }

    fn hearing_only(&self, wanted: &WantedPhrases) -> Result<Rc<Recognizer>, Failure> {
        let threshold = wanted.threshold.map(|value| value as f32);
        if let Some(threshold) = threshold.filter(|value| !(0.0..=1.0).contains(value)) {
            let message = format!("the threshold is {threshold}: expected 0 to 1");
            return Err(Failure::new(FailureKind::Phrases, message));
        }
        let mut known = self.known.borrow_mut();
        if known.as_ref().is_none_or(|known| known.text != wanted.list) {
            *known = Some(KnownList::new(&wanted.list, self.recognizer.tokens())?);
        }
        let Some(KnownList { list, decoder, .. }) = known.as_ref() else {
            return Ok(self.recognizer.clone());
        };
        let config = list.config(&self.weights_id, threshold, wanted.inside_speech);
        let phrases = decoder.with_config(config);
        Ok(Rc::new(self.recognizer.with_phrases(phrases)))
    }
}

impl KnownList {
    fn new(text: &str, tokens: &Tokens) -> Result<Self, PhraseError> {
        let list = PhraseList::parse(text)?;
        Ok(Self {
            text: text.to_owned(),
            decoder: PhraseDecoder::new(&list, tokens, PhraseConfig::default())?,
            list,
        })
    }
}

/// # Errors
/// What is wrong with the list; words that cannot be written are told only with a student.
pub fn check_phrases(text: &str, student: Option<&Student>) -> Result<Response, Failure> {
    let list = PhraseList::parse(text)?;
    if let Some(student) = student {
        student.hearing_only(&WantedPhrases {
            list: text.to_owned(),
            ..WantedPhrases::default()
        })?;
    }
    let warnings = list.warnings().into_iter().map(|warning| PhraseWarning {
        at: place(warning.at),
        message: warning.message,
    });
    Ok(Response::PhrasesChecked {
        phrases: list.len(),
        warnings: warnings.collect(),
        with_student: student.is_some(),
    })
}

/// As [`check_phrases`], of boosted ones.
///
/// # Errors
/// As there.
pub fn check_boosts(text: &str, student: Option<&Student>) -> Result<Response, Failure> {
    let list = BoostList::parse(text, BoostList::DEFAULT_WEIGHT)?;
    if let Some(student) = student {
        student.recognizer.boosting(&list, &student.beam)?;
    }
    Ok(Response::PhrasesChecked {
        phrases: list.boosts.len(),
        warnings: Vec::new(),
        with_student: student.is_some(),
    })
}

fn boost_list(boosts: &Boosts) -> Result<Option<BoostList>, DecodeError> {
    let list = match boosts {
        Boosts::None => return Ok(None),
        Boosts::Each(boosts) => {
            BoostList::new(boosts.iter().map(|one| (one.phrase.clone(), one.weight)))
        }
        Boosts::List(text) => BoostList::parse(text, BoostList::DEFAULT_WEIGHT),
    };
    list.map(Some)
}

impl From<PhraseError> for Failure {
    fn from(error: PhraseError) -> Self {
        Self {
            at: error.place().map(place),
            ..Self::new(FailureKind::Phrases, error)
        }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        let at = match &error {
            DecodeError::Boost { line, .. } => Some(Place {
                line: *line,
                column: 1,
            }),
            _ => None,
        };
        Self {
            at,
            ..Self::new(FailureKind::Phrases, error)
        }
    }
}

fn place(at: shared_model::phrases::Place) -> Place {
    Place {
        line: at.line,
        column: at.column,
    }
}
