use super::*;
use crate::data::{Utterance, audio_file::Member};

/// Of `shards` shards with five members of 100 bytes each, and seven files.
fn examples(shards: usize) -> Vec<Example> {
    let example = |path: String, member: Option<Box<Member>>| Example {
        utterance: Utterance {
            id: String::new(),
            audio_path: path.into(),
            member,
            offset_secs: 0.0,
            duration_secs: 1.0,
            text: String::new(),
            speaker: None,
            confidence: None,
        },
        targets: vec![],
    };
    let member = |place: u64| Member {
        name: format!("{place}.wav"),
        start_byte: 512 + 1024 * place,
        bytes: 100,
    };
    let in_shards = (0..5 * shards).map(|index| {
        let place = (index % 5) as u64;
        example(format!("{}.tar", index / 5), Some(Box::new(member(place))))
    });
    let loose = (0..7).map(|index| example(format!("{index}.wav"), None));
    in_shards.chain(loose).collect()
}

fn plan(epoch: usize) -> EpochPlan {
    EpochPlan {
        epoch,
        ..EpochPlan::plain()
    }
}

#[test]
fn every_utterance_is_in_one_window_and_a_shard_in_one_as_a_whole() {
    let Some(order) = ShardOrder::of(&examples(8), 1500) else {
        panic!("there are shards");
    };
    let windows = order.windows(3, plan(0), 47);
    // Three shards of 500 bytes a window; the last two are a window of their own.
    let of_shards = windows
        .iter()
        .map(|w| w.iter().filter(|&&i| i < 40).count());
    assert_eq!(of_shards.collect::<Vec<_>>(), [15, 15, 10]);
    let loose = windows
        .iter()
        .map(|w| w.iter().filter(|&&i| i >= 40).count());
    assert_eq!(loose.collect::<Vec<_>>(), [3, 2, 2]);
    let mut all = windows.concat();
    all.sort_unstable();
    assert_eq!(all, (0..47).collect::<Vec<_>>());
    for window in &windows {
        let of = |shard: usize| window.iter().filter(|&&i| i / 5 == shard && i < 40).count();
        assert!(
            (0..8).all(|shard| [0, 5].contains(&of(shard))),
            "{window:?}"
        );
    }
    // Without the last ones.
    let fewer = order.windows(3, plan(0), 33).concat();
    assert_eq!(fewer.len(), 33);
}

#[test]
fn windows_follow_from_seed_and_epoch_alone() {
    let Some(order) = ShardOrder::of(&examples(8), 1000) else {
        panic!("there are shards");
    };
    let of = |seed, epoch| order.windows(seed, plan(epoch), 47);
    assert_eq!(of(3, 1), of(3, 1));
    assert_ne!(of(3, 1), of(3, 2));
    assert_ne!(of(3, 1), of(4, 1));
}

#[test]
fn a_small_rest_joins_the_window_before_it_and_one_window_is_everything_in_order() {
    let Some(order) = ShardOrder::of(&examples(5), 2000) else {
        panic!("there are shards");
    };
    assert_eq!(order.windows(1, plan(0), 32), [(0..32).collect::<Vec<_>>()]);
    assert!(ShardOrder::of(&examples(0), 2000).is_none());
}
