//! What a path found, and what of it counts.

use super::{
    TokenFacts,
    config::{MAX_GAP_SECS, PAUSE_SECS, PhraseConfig, phrase_score},
    links::{Link, Step},
};

/// A piece of the best path.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::phrases) enum Found {
    /// A letter that belongs to no phrase.
    Other {
        frame: u32,
    },
    Phrase(FoundPhrase),
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::phrases) struct FoundPhrase {
    /// Each token with the frame that it begins in.
    pub tokens: Vec<(u32, u32)>,
    /// Of exactly this phrase where it was found, natural log.
    pub log_prob: f32,
    pub score: f32,
}

impl FoundPhrase {
    fn first_frame(&self) -> u32 {
        self.tokens.first().map_or(0, |(_, frame)| *frame)
    }

    fn last_frame(&self) -> u32 {
        self.tokens.last().map_or(0, |(_, frame)| *frame)
    }

    /// The most frames between two of its letters.
    fn longest_gap(&self) -> u32 {
        let gaps = self.tokens.windows(2).map(|pair| pair[1].1 - pair[0].1);
        gaps.max().unwrap_or(0)
    }
}

impl Found {
    fn frames(&self) -> (u32, u32) {
        match self {
            Self::Other { frame } => (*frame, *frame),
            Self::Phrase(phrase) => (phrase.first_frame(), phrase.last_frame()),
        }
    }
}

/// The pieces of a path, in order. A phrase that is still open is left out.
pub(super) fn found(path: &[Link], facts: &TokenFacts) -> Vec<Found> {
    let (mut pieces, mut open) = (Vec::new(), Vec::new());
    for link in path {
        match link.step {
            Step::Background => pieces.push(Found::Other { frame: link.frame }),
            Step::First(token) => open = vec![(token, link.frame)],
            Step::Next(token) => open.push((token, link.frame)),
            Step::End { log_prob } => {
                let tokens: Vec<(u32, u32)> = std::mem::take(&mut open);
                let letters = tokens
                    .iter()
                    .map(|(token, _)| facts.letters[*token as usize]);
                let score = phrase_score(log_prob, letters.sum());
                pieces.push(Found::Phrase(FoundPhrase {
                    tokens,
                    log_prob,
                    score,
                }));
            }
        }
    }
    pieces
}

/// The phrases that count: all with a sufficient score and without a long gap, or, unless they may stand inside other
/// speech, those of utterances that hold nothing else. An utterance is what stands between two
/// pauses.
pub(in crate::phrases) fn accepted<'a>(
    pieces: &'a [Found],
    config: &PhraseConfig,
    frame_secs: f32,
) -> Vec<&'a FoundPhrase> {
    let is_in_one = |phrase: &FoundPhrase| phrase.longest_gap() as f32 * frame_secs <= MAX_GAP_SECS;
    let phrase = |piece: &'a Found| match piece {
        Found::Phrase(phrase) if phrase.score >= config.threshold && is_in_one(phrase) => {
            Some(phrase)
        }
        Found::Phrase(_) | Found::Other { .. } => None,
    };
    if config.inside_speech {
        return pieces.iter().filter_map(phrase).collect();
    }
    let of_phrases = utterances(pieces, frame_secs).filter_map(|utterance| {
        let phrases = utterance.iter().map(phrase);
        phrases.collect::<Option<Vec<_>>>()
    });
    of_phrases.flatten().collect()
}

/// What stands between two pauses, each.
fn utterances(pieces: &[Found], frame_secs: f32) -> impl Iterator<Item = &[Found]> {
    let is_pause = move |a: &Found, b: &Found| {
        b.frames().0.saturating_sub(a.frames().1) as f32 * frame_secs >= PAUSE_SECS
    };
    pieces.chunk_by(move |a, b| !is_pause(a, b))
}

/// An utterance without a phrase that counts.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::phrases) struct Rejected<'a> {
    /// Of its first and its last letter.
    pub frames: (u32, u32),
    /// Of the phrases that were found in it, the one with the highest score.
    pub nearest: Option<&'a FoundPhrase>,
}

/// Utterances in which no phrase counts, in order.
pub(in crate::phrases) fn rejected<'a>(
    pieces: &'a [Found],
    config: &PhraseConfig,
    frame_secs: f32,
) -> Vec<Rejected<'a>> {
    let rejected = utterances(pieces, frame_secs).filter_map(|utterance| {
        if !accepted(utterance, config, frame_secs).is_empty() {
            return None;
        }
        let phrases = utterance.iter().filter_map(|piece| match piece {
            Found::Phrase(phrase) => Some(phrase),
            Found::Other { .. } => None,
        });
        Some(Rejected {
            frames: (utterance.first()?.frames().0, utterance.last()?.frames().1),
            nearest: phrases.max_by(|a, b| a.score.total_cmp(&b.score)),
        })
    });
    rejected.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase(frame: u32, score: f32) -> Found {
        Found::Phrase(FoundPhrase {
            tokens: vec![(1, frame), (2, frame + 5)],
            log_prob: score.ln(),
            score,
        })
    }

    #[test]
    fn an_utterance_is_rejected_for_its_score_or_for_what_else_it_holds() {
        // Frames of 40 ms: 20 of them are a pause.
        let other = |frame| Found::Other { frame };
        let pieces = [
            phrase(0, 0.9),
            phrase(30, 0.1),
            other(60),
            phrase(64, 0.8),
            phrase(70, 0.2),
            other(100),
            other(110),
        ];
        let strict = PhraseConfig::default();
        let rejected_by = |config: &PhraseConfig| {
            let rejected = rejected(&pieces, config, 0.04).into_iter();
            let told = rejected.map(|one| (one.frames, one.nearest.map(|nearest| nearest.score)));
            told.collect::<Vec<_>>()
        };
        assert_eq!(
            rejected_by(&strict),
            [
                ((30, 35), Some(0.1)),
                ((60, 75), Some(0.8)),
                ((100, 110), None)
            ]
        );
        let spotting = PhraseConfig {
            inside_speech: true,
            ..strict
        };
        assert_eq!(
            rejected_by(&spotting),
            [((30, 35), Some(0.1)), ((100, 110), None)]
        );
    }
}
