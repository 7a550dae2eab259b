use super::*;

fn batch() -> Batch {
    let lengths = vec![1, 3, 2];
    let mut features = vec![0.0; 3 * 3 * 2];
    for (u, &length) in lengths.iter().enumerate() {
        for i in 0..length * 2 {
            features[u * 6 + i] = (10 * u + i) as f32 + 1.0;
        }
    }
    Batch {
        masks: vec![SpecMask::default(); 3],
        shards: vec![],
        places: vec![],
        views: 1,
        features,
        time: 3,
        n_mels: 2,
        lengths,
        targets: vec![vec![1], vec![2, 2], vec![]],
        utterance_ids: vec!["a".into(), "b".into(), "c".into()],
        audio_secs: 0.06,
    }
}

#[test]
fn every_utterance_is_in_one_part_with_its_features() {
    let batch = batch();
    let shards = split(&batch, 2);
    assert_eq!(shards[0].indices, vec![1]);
    assert_eq!(shards[1].indices, vec![0, 2]);
    assert_eq!(shards[1].lengths, vec![1, 2]);
    assert_eq!(shards[1].targets, vec![vec![1], vec![]]);
    let values = |shard: &Shard| shard.features.clone();
    assert_eq!(values(&shards[0]), [11.0, 12.0, 13.0, 14.0, 15.0, 16.0]);
    let longest = [21.0, 22.0, 23.0, 24.0];
    let padded = [1.0, 2.0, 0.0, 0.0];
    assert_eq!(values(&shards[1]), [padded, longest].concat());
}

#[test]
fn masks_go_with_their_rows() {
    let mut batch = batch();
    batch.masks[0].bands.push(1..2);
    batch.masks[1].frames.push(1..3);
    let shards = split(&batch, 2);
    assert_eq!(shards[0].visible(), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let rows = [[1.0, 0.0, 1.0, 0.0], [1.0; 4]];
    assert_eq!(shards[1].visible(), rows.concat());
}

#[test]
fn views_of_an_utterance_stay_together() {
    let lengths = vec![4, 4, 9, 9, 6, 6];
    let batch = Batch {
        features: vec![0.0; 6 * 9],
        masks: vec![SpecMask::default(); 6],
        shards: vec![],
        places: vec![],
        views: 2,
        time: 9,
        n_mels: 1,
        targets: vec![vec![]; 6],
        utterance_ids: vec![String::new(); 6],
        audio_secs: 0.38,
        lengths,
    };
    let shards = split(&batch, 2);
    assert_eq!(shards[0].indices, vec![2, 3]);
    assert_eq!(shards[1].indices, vec![0, 1, 4, 5]);
    assert!(shards.iter().all(|shard| shard.views == 2));
}

#[test]
fn a_batch_that_was_dealt_stays_so_and_shards_without_rows_are_left_out() {
    let mut batch = batch();
    batch.shards = vec![3, 0, 3];
    let shards = split(&batch, 8);
    let found = shards.iter().map(|s| (s.number, s.indices.clone()));
    assert_eq!(found.collect::<Vec<_>>(), [(0, vec![1]), (3, vec![0, 2])]);
}

#[test]
fn more_parts_than_utterances_are_not_made() {
    assert_eq!(split(&batch(), 8).len(), 3);
}

#[test]
fn a_whole_batch_keeps_its_order() {
    let whole = Shard::whole(&batch());
    assert_eq!(whole.indices, vec![0, 1, 2]);
    assert_eq!(whole.lengths, vec![1, 3, 2]);
    assert_eq!(whole.features, batch().features);
}
