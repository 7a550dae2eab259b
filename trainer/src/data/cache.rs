//! Decoded clips kept in memory, up to a limit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// 16 kHz mono audio as 16-bit numbers with a factor, so that a quiet clip keeps its resolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    samples: Vec<i16>,
    scale: f32,
}

impl Clip {
    pub fn from_samples(samples: &[f32]) -> Self {
        let peak = samples.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
        let scale = if peak > 0.0 { peak / 32_767.0 } else { 1.0 };
        Self {
            samples: samples.iter().map(|s| (s / scale).round() as i16).collect(),
            scale,
        }
    }

    pub fn to_samples(&self) -> Vec<f32> {
        self.samples
            .iter()
            .map(|&s| f32::from(s) * self.scale)
            .collect()
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    fn bytes(&self) -> usize {
        self.samples.len() * 2 + 64
    }
}

/// Clips by utterance index. Once full it keeps what it has: epochs visit clips in random order,
/// where replacing would not hit more often.
#[derive(Debug)]
pub struct AudioCache {
    limit_bytes: usize,
    state: Mutex<(HashMap<usize, Arc<Clip>>, usize)>,
}

impl AudioCache {
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            state: Mutex::default(),
        }
    }

    pub fn get(&self, index: usize) -> Option<Arc<Clip>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.get(&index).cloned()
    }

    pub fn put(&self, index: usize, clip: &Arc<Clip>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = clip.bytes();
        if state.1 + bytes <= self.limit_bytes && state.0.insert(index, Arc::clone(clip)).is_none()
        {
            state.1 += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_clip_keeps_sixteen_bits_of_its_own_range() {
        let quiet: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.1).sin() * 1e-4).collect();
        let back = Clip::from_samples(&quiet).to_samples();
        let error = quiet
            .iter()
            .zip(&back)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(error <= 1e-4 / 32_767.0, "{error}");
        assert_eq!(Clip::from_samples(&[0.0; 3]).to_samples(), [0.0; 3]);
    }

    #[test]
    fn the_cache_never_holds_more_than_its_limit() {
        let cache = AudioCache::new(5000);
        for index in 0..10 {
            cache.put(index, &Arc::new(Clip::from_samples(&[0.1; 1000])));
        }
        assert_eq!((0..10).filter(|&i| cache.get(i).is_some()).count(), 2);
    }
}
