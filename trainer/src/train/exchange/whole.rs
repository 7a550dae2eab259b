//! A batch that every process gets as a whole, for networks whose answers depend on all of it.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use shared_model::model::BatchStats;

use crate::{
    cluster::{ClusterError, Link, Team},
    data::{Batch, SpecMask},
    device::read_back,
};

/// The rows of one process, without their features.
#[derive(Serialize, Deserialize)]
struct OwnRows {
    time: usize,
    lengths: Vec<usize>,
    masks: Vec<SpecMask>,
    targets: Vec<Vec<u32>>,
    shards: Vec<usize>,
    places: Vec<usize>,
    utterance_ids: Vec<String>,
    audio_secs: f64,
}

/// The whole batch of which each process has some rows, as one process alone would have it.
pub(in crate::train) fn whole_batch(own: &Batch, link: &dyn Link) -> Result<Batch, ClusterError> {
    let sent = OwnRows {
        time: own.time,
        lengths: own.lengths.clone(),
        masks: own.masks.clone(),
        targets: own.targets.clone(),
        shards: own.shards.clone(),
        places: own.places.clone(),
        utterance_ids: own.utterance_ids.clone(),
        audio_secs: own.audio_secs,
    };
    let all = Team::of(link).gather(sent)?;
    let counts = all
        .iter()
        .map(|of| of.lengths.len() * of.time * own.n_mels)
        .collect::<Vec<_>>();
    let features = link.gather_numbers(&own.features, &counts)?;
    let mut rows: Vec<(&OwnRows, usize, &[f32])> = vec![];
    let mut rest = &features[..];
    for (of, count) in all.iter().zip(counts) {
        let (own_features, after) = rest.split_at(count);
        rest = after;
        let row = (of.time * own.n_mels).max(1);
        let numbered = own_features.chunks_exact(row).enumerate();
        rows.extend(numbered.map(|(row, features)| (of, row, features)));
    }
    // Views of an utterance share its place and stay in order.
    rows.sort_by_key(|(of, row, _)| of.places.get(*row).copied());
    let time = all.iter().map(|of| of.time).max().unwrap_or(0);
    let mut features = Vec::with_capacity(rows.len() * time * own.n_mels);
    for (_, _, of_row) in &rows {
        features.extend_from_slice(of_row);
        let missing = time * own.n_mels - of_row.len();
        features.resize(features.len() + missing, 0.0);
    }
    let rows = || rows.iter().map(|&(of, row, _)| (of, row));
    Ok(Batch {
        features,
        masks: rows().map(|(of, row)| of.masks[row].clone()).collect(),
        views: own.views,
        time,
        n_mels: own.n_mels,
        lengths: rows().map(|(of, row)| of.lengths[row]).collect(),
        targets: rows().map(|(of, row)| of.targets[row].clone()).collect(),
        shards: rows().map(|(of, row)| of.shards[row]).collect(),
        places: rows().map(|(of, row)| of.places[row]).collect(),
        utterance_ids: rows()
            .map(|(of, row)| of.utterance_ids[row].clone())
            .collect(),
        audio_secs: all.iter().map(|of| of.audio_secs).sum(),
    })
}

/// Statistics of a batch norm as they are sent, numbers by their bits.
#[derive(Serialize, Deserialize)]
struct SentStats {
    network: usize,
    name: String,
    mean: Vec<u32>,
    variance: Vec<u32>,
    num_frames: usize,
}

/// The statistics of batch norms that processes have gathered, with the networks that they are of; each
/// network's are one process's.
pub(in crate::train) fn all_batch_stats(
    own: Vec<(usize, BatchStats)>,
    (link, device): (&dyn Link, &Device),
) -> Result<Vec<(usize, BatchStats)>, ClusterError> {
    let bits = |tensor: Tensor<1>| read_back(tensor).iter::<f32>().map(f32::to_bits).collect();
    let sent = own.into_iter().map(|(network, stats)| SentStats {
        network,
        name: stats.name,
        mean: bits(stats.mean),
        variance: bits(stats.variance),
        num_frames: stats.num_frames,
    });
    let all = Team::of(link).gather(sent.collect::<Vec<_>>())?;
    let tensor = |bits: Vec<u32>| {
        let shape = [bits.len()];
        let values: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    };
    let received = all.into_iter().flatten().map(|sent| {
        let stats = BatchStats {
            name: sent.name,
            mean: tensor(sent.mean),
            variance: tensor(sent.variance),
            num_frames: sent.num_frames,
        };
        (sent.network, stats)
    });
    Ok(received.collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cluster::threads::team_of;

    /// Rows of one band, of these lengths, at these places.
    fn batch(rows: &[(usize, usize)]) -> Batch {
        let time = rows.iter().map(|(_, length)| *length).max().unwrap_or(0);
        let row = |&(place, length): &(usize, usize)| {
            let mut row = vec![place as f32; length];
            row.resize(time, 0.0);
            row
        };
        Batch {
            features: rows.iter().flat_map(row).collect(),
            masks: vec![SpecMask::default(); rows.len()],
            views: 1,
            time,
            n_mels: 1,
            lengths: rows.iter().map(|(_, length)| *length).collect(),
            targets: rows.iter().map(|(place, _)| vec![*place as u32]).collect(),
            shards: rows.iter().map(|(place, _)| place % 4).collect(),
            places: rows.iter().map(|(place, _)| *place).collect(),
            utterance_ids: rows.iter().map(|(place, _)| place.to_string()).collect(),
            audio_secs: 0.25 * rows.len() as f64,
        }
    }

    #[test]
    fn rows_come_together_in_their_places_padded_to_the_longest() {
        let want = batch(&[(0, 2), (1, 5), (3, 1), (6, 4)]);
        let parts = [&[(1, 5), (6, 4)][..], &[], &[(0, 2), (3, 1)]];
        let all = team_of(3, |team| {
            whole_batch(&batch(parts[team.rank()]), team.link().unwrap()).unwrap()
        });
        for whole in all {
            assert_eq!(format!("{whole:?}"), format!("{want:?}"));
        }
    }
}
