//! Level normalisation: quiet speech is brought to one level before features, so that the floor of
//! the logarithm does not swallow it.

/// Gain (linear factor) that brings the loud part of `samples` (16 kHz) to the working level.
/// 1.0 for silence; never more than +60 dB.
pub fn level_gain(samples: &[f32]) -> f32 {
    let _ = samples;
    unimplemented!()
}

/// The causal form of [`level_gain`] for live audio: one gain per pushed block, moving slowly.
#[derive(Debug, Clone)]
pub struct LevelFollower {}

impl LevelFollower {
    pub fn new() -> Self {
        unimplemented!()
    }
    /// Applies the gain known so far to a block of 16 kHz samples, in place.
    pub fn apply(&mut self, samples: &mut [f32]) {
        let _ = samples;
        unimplemented!()
    }
}
