//! Joining the posteriors of a region's windows between words.

use std::ops::Range;

use super::{posteriors::FrameLogProbs, windows::Join};
use crate::{
    decode::{LogProbs, Word, greedy, words},
    tokens::{NUM_PHONE_TOKENS, Tokens},
};

/// How far apart two windows may put the same word, seconds.
const TOLERANCE_SECS: f32 = 0.3;
/// Larger than any distance that matters between a cut and a word, frames.
const FAR_FRAMES: f32 = 1e6;

/// Posteriors that belong to no other piece, and their first frame, counted
/// from the start of the region.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub log_probs: FrameLogProbs,
    pub first_frame: usize,
}

/// Takes the windows of a region in order and gives pieces that together hold each word once. Only
/// one window is kept.
pub(super) struct Stitcher<'a> {
    tokens: &'a Tokens,
    frame_secs: f32,
    /// The window before, waiting until its join with the next one is known.
    pending: Option<Pending>,
}

struct Pending {
    log_probs: FrameLogProbs,
    /// Words of the best path, times in frames.
    words: Vec<Word>,
    first_frame: usize,
    /// First frame that belongs to this window and not to the one before.
    start_frame: usize,
}

impl Pending {
    fn end_frame(&self, vocab_size: usize) -> usize {
        self.first_frame + self.log_probs.tokens.len() / vocab_size
    }

    fn piece(&self, end_frame: usize, vocab_size: usize) -> Piece {
        let rows = |values: &[f32], classes: usize| {
            let row =
                |frame: usize| (frame.saturating_sub(self.first_frame) * classes).min(values.len());
            let (from, to) = (row(self.start_frame), row(end_frame));
            values[from..to.max(from)].to_vec()
        };
        Piece {
            log_probs: FrameLogProbs {
                tokens: rows(&self.log_probs.tokens, vocab_size),
                phones: rows(&self.log_probs.phones, NUM_PHONE_TOKENS),
            },
            first_frame: self.start_frame,
        }
    }
}

impl<'a> Stitcher<'a> {
    pub(super) fn new(tokens: &'a Tokens, frame_secs: f32) -> Self {
        Self {
            tokens,
            frame_secs,
            pending: None,
        }
    }

    /// The next window's posteriors; gives what is settled of the one before.
    pub(super) fn push(
        &mut self,
        first_frame: usize,
        join: Join,
        log_probs: FrameLogProbs,
    ) -> Option<Piece> {
        let vocab_size = self.tokens.len();
        // The best path is good enough to find the gaps between words, whatever decodes later.
        let best_path = greedy(LogProbs::new(&log_probs.tokens, vocab_size));
        let mut next = Pending {
            words: words(&best_path, self.tokens, 1.0, first_frame as f32),
            log_probs,
            first_frame,
            start_frame: first_frame,
        };
        let piece = self.pending.take().map(|previous| {
            let mut end_frame = previous.end_frame(vocab_size);
            if join == Join::Overlap && end_frame > first_frame {
                let overlap = first_frame..end_frame;
                let tolerance = TOLERANCE_SECS / self.frame_secs;
                (end_frame, next.start_frame) =
                    join_windows(&previous.words, &next.words, overlap, tolerance);
            }
            previous.piece(end_frame, vocab_size)
        });
        self.pending = Some(next);
        piece
    }

    /// The last window's piece; the next window joins nothing.
    pub(super) fn interrupt(&mut self) -> Option<Piece> {
        let vocab_size = self.tokens.len();
        let last = self.pending.take()?;
        Some(last.piece(last.end_frame(vocab_size), vocab_size))
    }
}

/// Joins two windows within their `overlap`, so that no word is lost or doubled and none is cut.
///
/// `a`, `b`: words of the earlier and the later window, times in encoder frames from one origin.
/// `tolerance`: how many frames the two may put the same word apart. Returns the frame where `a`
/// ends and the frame where `b` starts; they differ where the windows place words differently.
///
/// The word nearest to the middle that both windows hold is the last one of `a`, and `b` goes on
/// behind it. Windows that share no word are cut at the widest gap around the middle.
fn join_windows(a: &[Word], b: &[Word], overlap: Range<usize>, tolerance: f32) -> (usize, usize) {
    let middle = (overlap.start + overlap.end) as f32 / 2.0;
    let cost = |(word_a, word_b): (&Word, &Word)| {
        let apart = (centre(word_a) - centre(word_b)).abs();
        // Of neighbours with the same text the pair that lies closer together is the same word.
        let distance = (centre(word_a) + centre(word_b)) / 2.0 - middle;
        (word_a.text == word_b.text && apart <= tolerance).then(|| distance.abs() + 3.0 * apart)
    };
    let pairs = (0..a.len()).flat_map(|i| (0..b.len()).map(move |j| (i, j)));
    let shared = pairs
        .filter_map(|(i, j)| cost((&a[i], &b[j])).map(|cost| (cost, i, j)))
        .min_by(|x, y| x.0.total_cmp(&y.0));
    match shared {
        Some((_, i, j)) => (
            gap_behind(a, i + 1, overlap.end),
            gap_behind(b, j + 1, overlap.end),
        ),
        None => {
            let cut = widest_gap(a, b, &overlap);
            let kept = |words: &[Word]| words.iter().filter(|w| centre(w) < cut).count();
            let whole = |words: &[Word]| {
                let kept = kept(words);
                let before = kept
                    .checked_sub(1)
                    .map_or(cut, |last| words[last].end_secs.max(cut));
                words
                    .get(kept)
                    .map_or(before, |next| before.min(next.start_secs)) as usize
            };
            (whole(a), whole(b))
        }
    }
}

/// The middle of the gap behind the first `kept` words, at most `limit` where no word follows.
fn gap_behind(words: &[Word], kept: usize, limit: usize) -> usize {
    let end = words[kept - 1].end_secs;
    match words.get(kept) {
        Some(next) => ((end + next.start_secs) / 2.0) as usize,
        None => (end as usize).max(limit.min(end as usize + 2)),
    }
}

/// The frame in the middle half of the overlap that is farthest from any word of both windows;
/// of equals the one nearest to the middle.
fn widest_gap(a: &[Word], b: &[Word], overlap: &Range<usize>) -> f32 {
    let quarter = overlap.len() / 4;
    let middle = (overlap.start + overlap.end) as f32 / 2.0;
    let clearance = |frame: f32| {
        a.iter()
            .chain(b)
            .map(|word| {
                (word.start_secs - frame)
                    .max(frame - word.end_secs)
                    .max(0.0)
            })
            .fold(FAR_FRAMES, f32::min)
    };
    (overlap.start + quarter..=overlap.end - quarter)
        .map(|frame| frame as f32)
        .max_by(|x, y| {
            let nearness = |frame: f32| -(frame - middle).abs();
            clearance(*x)
                .total_cmp(&clearance(*y))
                .then(nearness(*x).total_cmp(&nearness(*y)))
        })
        .unwrap_or(middle)
}

fn centre(word: &Word) -> f32 {
    (word.start_secs + word.end_secs) / 2.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME_SECS: f32 = 0.04;

    /// Posteriors of words spoken one after the other: a letter a frame, sometimes two, between
    /// blanks, and the space somewhere in the gap. `seed` varies lengths.
    fn stream(tokens: &Tokens, text: &str, seed: u32) -> Vec<u32> {
        let mut state = seed;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        let mut frames = vec![0; 3];
        for (index, word) in text.split(' ').enumerate() {
            if index > 0 {
                frames.extend(vec![0; random(3) as usize]);
                frames.extend((1..tokens.len() as u32).find(|id| tokens.piece(*id) == Some("▁")));
                frames.extend(vec![0; random(3) as usize]);
            }
            for id in tokens.encode(word).unwrap() {
                if id == *frames.last().unwrap() {
                    frames.push(0);
                }
                frames.extend(vec![id; 1 + random(2) as usize]);
                frames.extend(vec![0; random(2) as usize]);
            }
        }
        frames.extend([0; 3]);
        frames
    }

    /// The first phone's value is the number of the frame, negative.
    fn log_probs(ids: &[u32], vocab_size: usize) -> FrameLogProbs {
        let mut tokens = vec![-8.0; ids.len() * vocab_size];
        for (frame, id) in ids.iter().enumerate() {
            tokens[frame * vocab_size + *id as usize] = -0.05;
        }
        let mut phones = vec![-8.0; ids.len() * NUM_PHONE_TOKENS];
        for (frame, row) in phones.chunks_mut(NUM_PHONE_TOKENS).enumerate() {
            row[1] = -(frame as f32);
        }
        FrameLogProbs { tokens, phones }
    }

    fn text_of(tokens: &Tokens, ids: &[u32]) -> String {
        let log_probs = log_probs(ids, tokens.len());
        let path = greedy(LogProbs::new(&log_probs.tokens, tokens.len()));
        let words = words(&path, tokens, FRAME_SECS, 0.0);
        words
            .iter()
            .map(|w| w.text.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Decodes windows of `size` frames that overlap by `overlap`, the later one of two shifted by
    /// `shift` frames and both with nonsense at their inner edges, as a network that lacks context
    /// gives.
    fn stitched(tokens: &Tokens, ids: &[u32], size: usize, overlap: usize, shift: isize) -> String {
        let mut stitcher = Stitcher::new(tokens, FRAME_SECS);
        let mut texts = Vec::new();
        let mut collect = |piece: Option<Piece>| {
            if let Some(piece) = piece {
                let path = greedy(LogProbs::new(&piece.log_probs.tokens, tokens.len()));
                texts.extend(
                    words(&path, tokens, FRAME_SECS, 0.0)
                        .into_iter()
                        .map(|w| w.text),
                );
            }
        };
        let mut start = 0;
        loop {
            let end = (start + size).min(ids.len());
            let mut window: Vec<u32> = (start..end)
                .map(|frame| {
                    let moved = frame as isize - if start > 0 { shift } else { 0 };
                    let is_inside = moved >= 0 && moved < ids.len() as isize;
                    if is_inside { ids[moved as usize] } else { 0 }
                })
                .collect();
            if start > 0 {
                window[..4].copy_from_slice(&[20, 0, 21, 0]);
            }
            if end < ids.len() {
                let edge = window.len() - 4;
                window[edge..].copy_from_slice(&[0, 22, 0, 23]);
            }
            let join = if start > 0 {
                Join::Overlap
            } else {
                Join::Pause
            };
            collect(stitcher.push(start, join, log_probs(&window, tokens.len())));
            if end == ids.len() {
                break;
            }
            start = end - overlap;
        }
        collect(stitcher.interrupt());
        texts.join(" ")
    }

    const TEXT: &str = "it was the best of times it was the worst of times one one one two two \
         one oh oh seven a a a bee the the end of it all was not the end at all";

    #[test]
    fn windows_cut_anywhere_give_the_same_words() {
        let tokens = Tokens::characters();
        for seed in 0..20 {
            let ids = stream(&tokens, TEXT, seed);
            assert_eq!(text_of(&tokens, &ids), TEXT);
            for size in 110..160 {
                for shift in [-1, 0, 1, 2] {
                    let found = stitched(&tokens, &ids, size, 60, shift);
                    assert_eq!(found, TEXT, "seed {seed}, size {size}, shift {shift}");
                }
            }
        }
    }

    #[test]
    fn a_pause_shares_nothing_and_loses_nothing() {
        let tokens = Tokens::characters();
        let ids = stream(&tokens, "one two", 1);
        let mut stitcher = Stitcher::new(&tokens, FRAME_SECS);
        let first = log_probs(&ids, tokens.len());
        assert_eq!(stitcher.push(0, Join::Pause, first.clone()), None);
        let piece = stitcher
            .push(ids.len(), Join::Pause, first.clone())
            .unwrap();
        assert_eq!((piece.first_frame, &piece.log_probs), (0, &first));
        let piece = stitcher.interrupt().unwrap();
        assert_eq!((piece.first_frame, &piece.log_probs), (ids.len(), &first));
    }

    #[test]
    fn phones_are_cut_where_letters_are() {
        let tokens = Tokens::characters();
        let ids = stream(&tokens, TEXT, 3);
        let classes = tokens.len();
        let mut stitcher = Stitcher::new(&tokens, FRAME_SECS);
        let mut pieces = vec![];
        for (start, end) in [(0, 110), (50, 160), (100, 210)] {
            let window = log_probs(&ids[start..end], classes);
            let piece = stitcher.push(start, Join::Overlap, window);
            pieces.extend(piece.map(|piece| (piece, start - 50)));
        }
        pieces.extend(stitcher.interrupt().map(|piece| (piece, 100)));
        assert_eq!(pieces.len(), 3);
        for (piece, window_start) in pieces {
            let FrameLogProbs { tokens, phones } = piece.log_probs;
            let frames = tokens.len() / classes;
            assert_eq!(phones.len(), frames * NUM_PHONE_TOKENS);
            let numbers = phones.chunks(NUM_PHONE_TOKENS).map(|row| -row[1]);
            let expected = piece.first_frame - window_start;
            let expected: Vec<f32> = (expected..expected + frames).map(|f| f as f32).collect();
            assert_eq!(numbers.collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn windows_without_a_common_word_are_cut_in_a_gap() {
        let word = |text: &str, start_secs: f32, end_secs: f32| Word {
            text: text.into(),
            start_secs,
            end_secs,
            confidence: 1.0,
        };
        let a = [word("left", 0.0, 10.0), word("cut", 40.0, 50.0)];
        let b = [word("hat", 41.0, 49.0), word("right", 70.0, 80.0)];
        // The gap between 10 and 40 is nearer to the middle than the one behind 50.
        let (end, start) = join_windows(&a, &b, 0..60, 7.0);
        assert_eq!(end, start);
        assert!((15..40).contains(&end), "{end}");
        assert_eq!(join_windows(&[], &[], 0..60, 7.0), (30, 30));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_words_can_be_joined(
            a in proptest::collection::vec(("[ab]", 0f32..200.0, 0f32..30.0), 0..8),
            b in proptest::collection::vec(("[ab]", 0f32..200.0, 0f32..30.0), 0..8),
            start in 0usize..100, length in 1usize..100,
        ) {
            let words = |list: Vec<(String, f32, f32)>| -> Vec<Word> {
                list.into_iter()
                    .map(|(text, start_secs, length)| Word {
                        text, start_secs, end_secs: start_secs + length, confidence: 1.0,
                    })
                    .collect()
            };
            join_windows(&words(a), &words(b), start..start + length, 7.0);
        }
    }
}
