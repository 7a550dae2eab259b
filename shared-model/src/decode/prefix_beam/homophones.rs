//! Which of the words that sound alike were said: what comes after them counts, too.
//!
//! Within the search a word is chosen when it ends. Here the words of one hypothesis are chosen
//! once more when all of them are known, and the network's letters, where there are some, count
//! beside the language model.

use super::{
    spelling::Spelling,
    word_model::{WordModel, WordState},
};
use crate::decode::TokenSpan;

/// Choices of words that are kept from one word to the next.
const MAX_READINGS: usize = 8;
/// No word before.
const FIRST: usize = usize::MAX;

/// Where the open word was heard.
struct Heard<'a, 'b> {
    spelling: Option<&'a mut Spelling<'b>>,
    /// The first frame of its phones and the one past the last.
    frames: Option<(usize, usize)>,
}

/// The words of a hypothesis.
pub(super) struct Reading {
    /// Ids of the language model.
    pub(super) words: Vec<u32>,
    /// Its terms and the bonuses of phrases.
    pub(super) fusion: f64,
}

/// The likeliest words that sound like `tokens`, which end with a whole word; `None` if they do not,
/// or if what the tokens write decides the words.
pub(super) fn choose(
    model: &WordModel,
    tokens: &[TokenSpan],
    spelling: Option<&mut Spelling<'_>>,
) -> Option<Reading> {
    if !model.is_of_phones() {
        return None;
    }
    // Words with the link of the word before.
    let mut links: Vec<(u32, usize)> = Vec::new();
    let mut open = vec![(model.start(), FIRST)];
    let mut heard = Heard {
        spelling,
        frames: None,
    };
    for span in tokens {
        for (index, part) in model.parts(span.id).iter().enumerate() {
            if index > 0 {
                open = end_word(model, &open, &mut links, &mut heard);
            }
            if !part.is_empty() {
                let start = heard.frames.map_or(span.start_frame, |(start, _)| start);
                heard.frames = Some((start, span.end_frame));
            }
            open.retain_mut(|(state, _)| match model.write(*state, part) {
                Some(next) => {
                    *state = next;
                    true
                }
                None => false,
            });
        }
    }
    let ended = end_word(model, &open, &mut links, &mut heard);
    let scored = ended.iter().map(|(state, link)| (model.end(state), *link));
    let (fusion, mut link) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    let mut words = Vec::new();
    while link != FIRST {
        let (word, previous) = links[link];
        words.push(word);
        link = previous;
    }
    words.reverse();
    Some(Reading { words, fusion })
}

/// The best choices after the open word, best first.
fn end_word(
    model: &WordModel,
    open: &[(WordState, usize)],
    links: &mut Vec<(u32, usize)>,
    heard: &mut Heard<'_, '_>,
) -> Vec<(WordState, usize)> {
    let frames = heard.frames.take();
    let mut ended: Vec<(WordState, u32, usize)> = Vec::new();
    for &(state, link) in open {
        if state.in_word {
            let all = model.endings(&state);
            let first = ended.len();
            ended.extend(all.map(|(next, word)| (next, word, link)));
            if let (Some(spelling), Some(frames)) = (&mut heard.spelling, frames) {
                spelling.weigh(model, &mut ended[first..], frames);
            }
        } else {
            return open.to_vec();
        }
    }
    ended.sort_by(|a, b| b.0.score().total_cmp(&a.0.score()));
    // What follows depends on no more than the history: the best of each is enough.
    let mut kept: Vec<(WordState, usize)> = Vec::new();
    for (state, word, link) in ended {
        if kept.len() < MAX_READINGS && !kept.iter().any(|(other, _)| other.has_history_of(&state))
        {
            links.push((word, link));
            kept.push((state, links.len() - 1));
        }
    }
    kept
}
