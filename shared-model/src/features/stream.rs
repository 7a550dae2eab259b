//! The streaming form: push samples, take the frames that are already settled.

use super::frame::{FramePlan, Scratch};
use super::{FeatureConfig, FeatureError, Features};

/// Samples taken from a push at a time, which bounds the buffer whatever is pushed.
const BLOCK: usize = 16_000;

/// Gives the same frames as [`super::FeatureExtractor`], as soon as each can be known: 17.5 ms
/// after the frame's beginning at the latest for Kaldi's, 10 ms for the paper's.
#[derive(Clone)]
pub struct FeatureStream {
    plan: FramePlan,
    scratch: Scratch,
    /// The samples that later frames still need.
    buffer: Vec<f32>,
    /// Position in the clip of the buffer's first sample.
    offset: usize,
    next_frame: usize,
}

impl FeatureStream {
    /// # Errors
    /// As [`super::FeatureExtractor::new`].
    pub fn new(config: &FeatureConfig) -> Result<Self, FeatureError> {
        let plan = FramePlan::new(config)?;
        let scratch = plan.scratch();
        Ok(Self {
            plan,
            scratch,
            buffer: Vec::new(),
            offset: 0,
            next_frame: 0,
        })
    }

    /// New frames after these samples (possibly none). NaN and infinite samples count as 0.
    pub fn push(&mut self, samples: &[f32]) -> Features {
        let mut data = Vec::new();
        for block in samples.chunks(BLOCK) {
            self.buffer.extend_from_slice(block);
            let known = self.offset + self.buffer.len();
            while self.plan.samples_for(self.next_frame) <= known {
                self.compute_next(known, &mut data);
            }
            let needed = self.plan.first_needed(self.next_frame);
            self.buffer.drain(..needed - self.offset);
            self.offset = needed;
        }
        Features {
            data,
            n_mels: self.plan.n_mels(),
        }
    }

    /// The last frames, with the clip's end reflected; the stream is fresh afterwards.
    pub fn finish(&mut self) -> Features {
        let mut data = Vec::new();
        let known = self.offset + self.buffer.len();
        while self.next_frame < self.plan.num_frames(known) {
            self.compute_next(known, &mut data);
        }
        self.buffer.clear();
        self.offset = 0;
        self.next_frame = 0;
        Features {
            data,
            n_mels: self.plan.n_mels(),
        }
    }

    fn compute_next(&mut self, known: usize, data: &mut Vec<f32>) {
        let (frame, offset) = (self.next_frame, self.offset);
        self.plan
            .compute(frame, &self.buffer, offset, known, &mut self.scratch, data);
        self.next_frame += 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::{FeatureExtractor, FrontEnd};
    use super::*;

    fn clip(length: usize) -> Vec<f32> {
        (0..length)
            .map(|i| ((i * i % 7919) as f32 / 7919.0 - 0.5) * 0.3)
            .collect()
    }

    fn check(front_end: FrontEnd, pushes: &[usize]) {
        let config = FeatureConfig {
            front_end,
            ..FeatureConfig::default()
        };
        let samples = clip(pushes.iter().sum());
        let whole = FeatureExtractor::new(&config).unwrap().extract(&samples);
        let mut stream = FeatureStream::new(&config).unwrap();
        // The second round shows that the stream is fresh after the first.
        for _ in 0..2 {
            let mut rest = samples.as_slice();
            let mut streamed = Vec::new();
            for &length in pushes {
                let (now, later) = rest.split_at(length);
                rest = later;
                streamed.extend(stream.push(now).data);
                assert!(stream.buffer.len() <= 800);
            }
            streamed.extend(stream.finish().data);
            assert_eq!(streamed.len(), whole.data.len());
            for (a, b) in streamed.iter().zip(&whole.data) {
                assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{a} for {b}");
            }
        }
    }

    #[test]
    fn every_short_length_streams_like_the_whole_clip() {
        for front_end in [FrontEnd::Kaldi, FrontEnd::Paper] {
            for length in 0..=700 {
                check(front_end, &[length]);
            }
            check(front_end, &[1; 500]);
            check(front_end, &[40_000, 3]);
        }
    }

    #[test]
    fn frames_come_as_soon_as_their_last_sample_is_known() {
        let mut stream = FeatureStream::new(&FeatureConfig::default()).unwrap();
        assert_eq!(stream.push(&clip(279)).num_frames(), 0);
        assert_eq!(stream.push(&[0.0]).num_frames(), 1);
        assert_eq!(stream.push(&[0.0; 159]).num_frames(), 0);
        assert_eq!(stream.push(&[0.0]).num_frames(), 1);
    }

    proptest! {
        #[test]
        fn any_chopping_gives_the_frames_of_the_whole_clip(
            pushes in proptest::collection::vec(0usize..900, 0..12),
            paper in any::<bool>(),
        ) {
            check(if paper { FrontEnd::Paper } else { FrontEnd::Kaldi }, &pushes);
        }
    }
}
