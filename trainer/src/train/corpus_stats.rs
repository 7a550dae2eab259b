//! Mean and standard deviation of the corpus's features per band, from which a model's running
//! normalisation of live audio starts.

use crate::data::{Batches, DataError};

/// Training utterances that are looked at: more would not change the figures in a visible way.
pub(super) const UTTERANCES: usize = 300;

/// Deviations below this are silence in every file; they would blow noise up.
const MIN_STD: f64 = 1e-3;

/// Mean and standard deviation per band.
pub(super) type BandStats = (Vec<f32>, Vec<f32>);

/// Per band over all real frames of the first [`UTTERANCES`]; `None` without any frame.
pub(super) fn measure(batches: Batches<'_>) -> Result<Option<BandStats>, DataError> {
    let (mut sums, mut squares) = (vec![], vec![]);
    let (mut frames, mut utterances) = (0usize, 0usize);
    for batch in batches {
        let batch = batch?;
        sums.resize(batch.n_mels, 0.0f64);
        squares.resize(batch.n_mels, 0.0f64);
        for (u, &length) in batch.lengths.iter().enumerate() {
            let start = u * batch.time * batch.n_mels;
            for frame in batch.features[start..][..length * batch.n_mels].chunks(batch.n_mels) {
                for ((sum, square), &value) in sums.iter_mut().zip(&mut squares).zip(frame) {
                    *sum += f64::from(value);
                    *square += f64::from(value) * f64::from(value);
                }
            }
            frames += length;
        }
        utterances += batch.lengths.len();
        if utterances >= UTTERANCES {
            break;
        }
    }
    if frames == 0 {
        return Ok(None);
    }
    let n = frames as f64;
    let mean: Vec<f64> = sums.iter().map(|sum| sum / n).collect();
    let std = squares.iter().zip(&mean).map(|(square, mean)| {
        let variance = (square / n - mean * mean).max(0.0);
        variance.sqrt().max(MIN_STD) as f32
    });
    let std = std.collect();
    Ok(Some((mean.iter().map(|&m| m as f32).collect(), std)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::data::Batch;

    #[test]
    fn padding_is_left_out() {
        let batch = Batch {
            masks: vec![],
            shards: vec![],
            places: vec![],
            views: 1,
            features: vec![1.0, 10.0, 3.0, 10.0, 99.0, 99.0],
            time: 3,
            n_mels: 2,
            lengths: vec![2],
            targets: vec![vec![]],
            utterance_ids: vec!["a".into()],
            audio_secs: 0.02,
        };
        let (mean, std) = measure(Box::new([Ok(batch)].into_iter())).unwrap().unwrap();
        assert_eq!(mean, vec![2.0, 10.0]);
        assert_eq!(std, vec![1.0, 1e-3]);
        assert!(measure(Box::new(std::iter::empty())).unwrap().is_none());
    }
}
