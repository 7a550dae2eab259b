//! Which shard of a batch each utterance belongs to.
//!
//! A batch is dealt out before its audio is read, by planned lengths: a process that has some of the
//! shards then reads nothing but their utterances, and all processes deal alike.

use std::{cmp::Reverse, ops::Range};

/// The shards of every batch, and those of them that are this process's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Shards that a batch is dealt into.
    pub shards: usize,
    /// This process's.
    pub own: Range<usize>,
}

impl Share {
    /// All of `shards`.
    pub fn whole(shards: usize) -> Self {
        Self::of(0, 1, shards)
    }

    /// Those of process `rank` of `size`, as even as they come.
    pub fn of(rank: usize, size: usize, shards: usize) -> Self {
        let shards = shards.max(1);
        let own = rank * shards / size..(rank + 1) * shards / size;
        Self { shards, own }
    }
}

/// A batch as it is planned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DealtBatch {
    /// Indices of its utterances.
    pub utterances: Vec<usize>,
    /// The shard of each; empty for a batch that nobody has dealt.
    pub shards: Vec<usize>,
    /// Where each stands in the whole batch; empty as well.
    pub places: Vec<usize>,
}

impl From<Vec<usize>> for DealtBatch {
    fn from(utterances: Vec<usize>) -> Self {
        Self {
            utterances,
            ..Self::default()
        }
    }
}

impl DealtBatch {
    /// The part of a batch that is of the shards of `share`.
    ///
    /// - `secs`: of every utterance of the data set, as planned.
    pub fn of_share(utterances: &[usize], secs: &[f32], share: &Share) -> Self {
        // Milliseconds: whole numbers add up alike everywhere. Those of an unknown length count as one.
        let lengths = utterances
            .iter()
            .map(|&index| ((secs[index] * 1000.0) as usize).max(1));
        let shards = deal(&lengths.collect::<Vec<_>>(), share.shards);
        let mut own = Self::default();
        for (place, (&utterance, shard)) in utterances.iter().zip(shards).enumerate() {
            if share.own.contains(&shard) {
                own.utterances.push(utterance);
                own.shards.push(shard);
                own.places.push(place);
            }
        }
        own
    }
}

/// The shard of each utterance: the longest go first, each to the shard that is shortest so far. Of
/// equally short ones the next is far from the one before, so that processes with neighbouring shards
/// all get some of a batch that has fewer utterances than there are shards.
pub fn deal(lengths: &[usize], shards: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&utterance| Reverse(lengths[utterance]));
    let bits = usize::BITS - shards.max(1).saturating_sub(1).leading_zeros();
    let mut seats: Vec<(usize, usize)> = (0..shards.max(1)).map(|shard| (0, shard)).collect();
    seats.sort_by_key(|&(_, shard)| reversed(shard, bits));
    let mut dealt = vec![0; lengths.len()];
    for utterance in order {
        if let Some((length, shard)) = seats.iter_mut().min_by_key(|(length, _)| *length) {
            *length += lengths[utterance];
            dealt[utterance] = *shard;
        }
    }
    dealt
}

/// The last `bits` bits of a number in the opposite order.
fn reversed(number: usize, bits: u32) -> usize {
    number
        .reverse_bits()
        .checked_shr(usize::BITS - bits)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_processes_are_the_shards_in_order() {
        let own = |size| -> Vec<_> { (0..size).map(|r| Share::of(r, size, 8).own).collect() };
        assert_eq!(Share::of(0, 1, 8).own, 0..8);
        assert_eq!(own(4), [0..2, 2..4, 4..6, 6..8]);
        assert_eq!(own(3), [0..2, 2..5, 5..8]);
        assert_eq!(Share::of(2, 4, 2).own, 1..1);
        assert_eq!(Share::whole(0).own, 0..1);
    }

    #[test]
    fn shards_are_about_equally_long() {
        let lengths = [8, 7, 6, 5, 4, 3, 1];
        let dealt = deal(&lengths, 2);
        let of = |shard| -> usize {
            let own = dealt.iter().zip(&lengths).filter(|(s, _)| **s == shard);
            own.map(|(_, length)| length).sum()
        };
        assert_eq!((of(0), of(1)), (17, 17));
    }

    #[test]
    fn few_utterances_are_spread_over_all_processes() {
        // Eight shards of four processes, four utterances: one for each process.
        let dealt = deal(&[4, 3, 2, 1], 8);
        assert_eq!(dealt, [0, 4, 2, 6]);
        assert_eq!(deal(&[4, 3, 2, 1], 3), [0, 2, 1, 1]);
        assert!(deal(&[], 3).is_empty());
        assert_eq!(deal(&[1, 1], 1), [0, 0]);
    }

    #[test]
    fn processes_deal_alike_and_each_has_its_own() {
        let secs = [0.0, 3.0, 1.0, 2.0, 9.0, 4.0];
        let batch = [4, 1, 3, 0];
        let whole = DealtBatch::of_share(&batch, &secs, &Share::whole(4));
        assert_eq!(whole.utterances, batch);
        let mut together = vec![];
        for rank in 0..2 {
            let own = DealtBatch::of_share(&batch, &secs, &Share::of(rank, 2, 4));
            together.extend(own.utterances.into_iter().zip(own.shards));
        }
        together.sort_unstable();
        let mut want: Vec<_> = whole.utterances.into_iter().zip(whole.shards).collect();
        want.sort_unstable();
        assert_eq!(together, want);
    }
}
