//! An open segment of a session, and what is left behind its final.

use crate::{
    phrases::PhraseHit,
    recognizer::activity::{BLOCK_SAMPLES, BLOCKS_PER_SEC},
};

/// An open segment; everything counts in blocks of 10 ms.
pub(super) struct Segment {
    pub id: u64,
    /// First block, from the session's begin.
    pub start_block: u64,
    pub samples: Vec<f32>,
    pub levels: Vec<f32>,
    /// One past the last block with speech.
    pub speech_end: usize,
    /// Blocks when the last partial result was given.
    pub partial_blocks: usize,
    /// The phrases of that result.
    pub partial_phrases: Vec<PhraseHit>,
}

impl Segment {
    pub fn num_blocks(&self) -> usize {
        self.levels.len()
    }

    pub fn push(&mut self, block: &[f32], level: f32, is_speech: bool) {
        self.samples.extend_from_slice(block);
        self.levels.push(level);
        if is_speech {
            self.speech_end = self.num_blocks();
        }
    }

    pub fn start_secs(&self) -> f32 {
        (self.start_block as f64 / f64::from(BLOCKS_PER_SEC)) as f32
    }

    /// Takes what lies behind `block` out of the segment.
    pub fn split_off(&mut self, block: usize) -> Tail {
        let block = block.min(self.num_blocks());
        Tail {
            start_block: self.start_block + block as u64,
            samples: self
                .samples
                .split_off((block * BLOCK_SAMPLES).min(self.samples.len())),
            levels: self.levels.split_off(block),
            speech_end: self.speech_end.saturating_sub(block),
        }
    }
}

/// What is left of a segment behind its final.
pub(super) struct Tail {
    pub start_block: u64,
    pub samples: Vec<f32>,
    pub levels: Vec<f32>,
    pub speech_end: usize,
}
