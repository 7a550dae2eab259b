//! When the words of a live session are shown, and when they stay.
//!
//! Words of two results are compared by time, never by their number: one word that splits in two
//! moves all later ones by a place, but not in time.

use shared_model::{decode::Word, recognizer::LiveEvent};

/// How far apart two results may put the end of the same word, seconds.
const SAME_WORD_SECS: f32 = 0.3;

/// When a word would be called settled while its segment is open: so many partial results one after
/// the other have it (Macháček et al., 2023, arXiv 2307.14743), and so much was heard behind it.
#[derive(Debug, Clone, Copy)]
pub struct SettlingRule {
    /// Partial results that have the word, the newest among them.
    pub agreeing_results: usize,
    /// Heard behind the word's end, seconds.
    pub heard_behind_secs: f32,
    /// Of the newest result, 0 to 1.
    pub least_confidence: f32,
}

/// A result of the open segment.
struct Heard {
    at_secs: f64,
    words: Vec<Word>,
}

/// A word that the rule settled.
struct Settled {
    word: Word,
    at_secs: f64,
}

/// Follows a session's events.
pub struct LiveWords {
    rule: SettlingRule,
    /// Results of the open segment.
    heard: Vec<Heard>,
    settled: Vec<Settled>,
    /// Words behind the settled ones, and how many results agree on each.
    candidates: Vec<(Word, usize)>,
    delays: LiveDelays,
}

/// What was found, a value a word.
#[derive(Debug, Default)]
pub struct LiveDelays {
    /// From a final word's end to the result from which on a word is always at its time, ms.
    pub shown_ms: Vec<f64>,
    /// From a final word's end to the result from which on this word is there, ms.
    pub standing_ms: Vec<f64>,
    /// From a settled word's end to the result that settled it, ms; of words that nothing settled,
    /// to the final.
    pub settled_ms: Vec<f64>,
    /// Words that were settled before their final.
    pub num_settled: usize,
    /// Those of them that the final does not have.
    pub num_changed: usize,
    /// The words of all finals.
    pub finals: Vec<String>,
    /// The words of all finals if what was settled had stayed.
    pub kept: Vec<String>,
}

impl LiveWords {
    /// Before a session.
    pub fn new(rule: SettlingRule) -> Self {
        Self {
            rule,
            heard: vec![],
            settled: vec![],
            candidates: vec![],
            delays: LiveDelays::default(),
        }
    }

    /// Takes an event.
    ///
    /// - `heard_secs`: audio pushed so far.
    /// - `now_secs`: the same, and the time that computing the event took.
    pub fn see(&mut self, event: &LiveEvent, heard_secs: f64, now_secs: f64) {
        match event {
            LiveEvent::Partial { transcript, .. } => {
                self.settle(&transcript.words, heard_secs, now_secs);
                self.hear(&transcript.words, now_secs);
            }
            LiveEvent::Final { transcript, .. } => {
                self.hear(&transcript.words, now_secs);
                self.finish(&transcript.words, now_secs);
            }
        }
    }

    /// What was found in all segments that ended.
    pub fn finish_session(self) -> LiveDelays {
        self.delays
    }

    fn hear(&mut self, words: &[Word], now_secs: f64) {
        self.heard.push(Heard {
            at_secs: now_secs,
            words: words.to_vec(),
        });
    }

    fn settle(&mut self, words: &[Word], heard_secs: f64, now_secs: f64) {
        let before = std::mem::take(&mut self.candidates);
        for word in behind(words, self.settled.last()) {
            let agreed = before.iter().find(|(old, _)| is_same(old, word));
            let results = agreed.map_or(1, |(_, results)| results + 1);
            self.candidates.push((word.clone(), results));
        }
        let rule = self.rule;
        let is_settled = |(word, results): &&(Word, usize)| {
            *results >= rule.agreeing_results
                && word.confidence >= rule.least_confidence
                && heard_secs - f64::from(word.end_secs) >= f64::from(rule.heard_behind_secs)
        };
        let newly = self.candidates.iter().take_while(is_settled).count();
        let newly = self.candidates.drain(..newly);
        self.settled.extend(newly.map(|(word, _)| Settled {
            word,
            at_secs: now_secs,
        }));
    }

    fn finish(&mut self, words: &[Word], now_secs: f64) {
        let since_end_ms = |at_secs: f64, word: &Word| (at_secs - f64::from(word.end_secs)) * 1e3;
        for word in words {
            let shown = self.since(|heard| heard.iter().any(|other| overlaps(other, word)));
            let standing = self.since(|heard| heard.iter().any(|other| is_same(other, word)));
            let delays = &mut self.delays;
            delays.shown_ms.push(since_end_ms(shown, word));
            delays.standing_ms.push(since_end_ms(standing, word));
            delays.finals.push(word.text.clone());
        }
        let delays = &mut self.delays;
        for Settled { word, at_secs } in &self.settled {
            delays.num_settled += 1;
            delays.num_changed += usize::from(!words.iter().any(|other| is_same(other, word)));
            delays.settled_ms.push(since_end_ms(*at_secs, word));
            delays.kept.push(word.text.clone());
        }
        for word in behind(words, self.settled.last()) {
            delays.settled_ms.push(since_end_ms(now_secs, word));
            delays.kept.push(word.text.clone());
        }
        self.heard.clear();
        self.settled.clear();
        self.candidates.clear();
    }

    /// The time of the result from which on `holds` of every one, the final's at the latest.
    fn since(&self, holds: impl Fn(&[Word]) -> bool) -> f64 {
        let holding = self.heard.iter().rev().take_while(|h| holds(&h.words));
        let last = self.heard.last();
        holding.last().or(last).map_or(0.0, |heard| heard.at_secs)
    }
}

/// The words whose middle lies behind the last settled one.
fn behind<'a>(
    words: &'a [Word],
    last: Option<&Settled>,
) -> impl Iterator<Item = &'a Word> + use<'a> {
    let end_secs = last.map_or(f32::NEG_INFINITY, |settled| settled.word.end_secs);
    words
        .iter()
        .filter(move |word| (word.start_secs + word.end_secs) / 2.0 > end_secs)
}

fn is_same(a: &Word, b: &Word) -> bool {
    a.text == b.text && (a.end_secs - b.end_secs).abs() <= SAME_WORD_SECS
}

fn overlaps(a: &Word, b: &Word) -> bool {
    a.start_secs <= b.end_secs && b.start_secs <= a.end_secs
}

#[cfg(test)]
mod tests {
    use shared_model::recognizer::Transcript;

    use super::*;

    fn transcript(words: &[(&str, f32)]) -> Transcript {
        let word = |(text, end_secs): &(&str, f32)| Word {
            text: (*text).into(),
            start_secs: end_secs - 0.2,
            end_secs: *end_secs,
            confidence: 1.0,
        };
        Transcript::from_words(words.iter().map(word).collect())
    }

    fn session(partials: &[(&[(&str, f32)], f64)], last: (&[(&str, f32)], f64)) -> LiveDelays {
        let mut live = LiveWords::new(SettlingRule {
            agreeing_results: 2,
            heard_behind_secs: 0.5,
            least_confidence: 0.0,
        });
        for (words, secs) in partials {
            let event = LiveEvent::Partial {
                segment: 0,
                transcript: transcript(words),
            };
            live.see(&event, *secs, *secs);
        }
        let event = LiveEvent::Final {
            segment: 0,
            transcript: transcript(last.0),
        };
        live.see(&event, last.1, last.1);
        live.finish_session()
    }

    fn rounded(ms: &[f64]) -> Vec<i64> {
        ms.iter().map(|ms| ms.round() as i64).collect()
    }

    #[test]
    fn a_word_that_splits_moves_no_later_word() {
        let delays = session(
            &[
                (&[("today", 0.5), ("is", 1.0)], 1.25),
                (&[("to", 0.3), ("day", 0.5), ("is", 1.0)], 1.5),
            ],
            (&[("to", 0.3), ("day", 0.5), ("is", 1.0)], 2.0),
        );
        // "is" stands from the first result on, though it was the second word and is the third.
        assert_eq!(rounded(&delays.standing_ms), [1200, 1000, 250]);
        assert_eq!(rounded(&delays.shown_ms), [950, 750, 250]);
    }

    #[test]
    fn a_word_that_vanishes_in_between_is_shown_only_when_it_is_back() {
        let delays = session(
            &[
                (&[("one", 0.5)], 0.75),
                (&[], 1.0),
                (&[("one", 0.55)], 1.25),
            ],
            (&[("one", 0.5)], 2.0),
        );
        assert_eq!(rounded(&delays.shown_ms), [750]);
    }

    #[test]
    fn words_settle_in_order_once_results_agree_and_enough_was_heard() {
        let delays = session(
            &[
                // "on" has 0.5 s behind it, but no other result has it yet; "two" changes.
                (&[("on", 0.5), ("two", 1.0)], 1.0),
                (&[("on", 0.5), ("too", 1.0)], 1.4),
                // "two" is back once: "three" waits for it.
                (&[("on", 0.5), ("two", 1.0), ("three", 1.5)], 2.0),
                (&[("on", 0.5), ("two", 1.0), ("three", 1.5)], 2.2),
            ],
            (
                &[("one", 0.5), ("two", 1.0), ("three", 1.5), ("four", 2.5)],
                3.0,
            ),
        );
        assert_eq!(rounded(&delays.settled_ms), [900, 1200, 700, 500]);
        assert_eq!((delays.num_settled, delays.num_changed), (3, 1));
        assert_eq!(delays.finals, ["one", "two", "three", "four"]);
        assert_eq!(delays.kept, ["on", "two", "three", "four"]);
    }
}
