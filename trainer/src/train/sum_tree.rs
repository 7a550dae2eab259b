//! The order in which what shards give is added up: a fixed tree over the shards.
//!
//! Sums of floating-point numbers depend on their order. A tree over all shards gives every set of
//! neighbouring shards a few whole nodes, which one process can add up for itself; what is left to add
//! are nodes of the same tree. So the sum is the same to the last bit on any number of processes.

use std::ops::Range;

/// What is known of a node: nothing yet, or its sum, which is absent where no shard gave anything.
pub(super) type Known<T> = Option<Option<T>>;

/// The sum of the shards of `node`; `known` gives nodes that need no further adding, among them every
/// single shard that can occur.
pub(super) fn sum<T>(
    node: Range<usize>,
    known: &mut impl FnMut(&Range<usize>) -> Known<T>,
    add: &mut impl FnMut(T, T) -> T,
) -> Option<T> {
    if let Some(sum) = known(&node) {
        return sum;
    }
    if node.len() < 2 {
        return None;
    }
    let middle = middle(&node);
    let left = sum(node.start..middle, known, add);
    let right = sum(middle..node.end, known, add);
    match (left, right) {
        (Some(left), Some(right)) => Some(add(left, right)),
        (left, right) => left.or(right),
    }
}

/// The largest nodes of the tree over `shards` shards that lie in `own`, in order.
pub(super) fn nodes(shards: usize, own: &Range<usize>) -> Vec<Range<usize>> {
    let mut found = vec![];
    find(0..shards, own, &mut found);
    found
}

fn find(node: Range<usize>, own: &Range<usize>, found: &mut Vec<Range<usize>>) {
    if node.is_empty() || own.end <= node.start || node.end <= own.start {
        return;
    }
    if own.start <= node.start && node.end <= own.end {
        found.push(node);
        return;
    }
    let middle = middle(&node);
    find(node.start..middle, own, found);
    find(middle..node.end, own, found);
}

/// Where a node of at least two shards is divided: its first half is the largest power of two that
/// leaves something.
fn middle(node: &Range<usize>) -> usize {
    node.start + node.len().next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum in words.
    fn told(shards: usize, missing: &[usize]) -> Option<String> {
        let mut known = |node: &Range<usize>| -> Known<String> {
            let shard = node.start;
            let value = (!missing.contains(&shard)).then(|| shard.to_string());
            (node.len() == 1).then_some(value)
        };
        sum(0..shards, &mut known, &mut |a, b| format!("({a}+{b})"))
    }

    #[test]
    fn the_tree_is_balanced_and_passes_over_what_is_missing() {
        assert_eq!(told(1, &[]).as_deref(), Some("0"));
        assert_eq!(told(4, &[]).as_deref(), Some("((0+1)+(2+3))"));
        assert_eq!(told(6, &[]).as_deref(), Some("(((0+1)+(2+3))+(4+5))"));
        assert_eq!(told(6, &[0, 5]).as_deref(), Some("((1+(2+3))+4)"));
        assert_eq!(told(3, &[0, 1, 2]), None);
    }

    #[test]
    fn processes_add_their_nodes_and_then_those_of_all_to_the_same_sum() {
        let value =
            |shard: usize| 0.1f32 * (shard as f32 + 1.0).powi(3) + 1.0 / (shard as f32 + 3.0);
        let mut add = |a: f32, b: f32| a + b;
        for shards in 1..20 {
            let mut leaf = |node: &Range<usize>| (node.len() == 1).then(|| Some(value(node.start)));
            let alone = sum(0..shards, &mut leaf, &mut add);
            for processes in 1..=shards {
                let mut sums = vec![];
                for rank in 0..processes {
                    let own = rank * shards / processes..(rank + 1) * shards / processes;
                    for node in nodes(shards, &own) {
                        sums.push((node.clone(), sum(node, &mut leaf, &mut add)));
                    }
                }
                let mut node = |node: &Range<usize>| {
                    let found = sums.iter().find(|(n, _)| n == node);
                    found.map(|(_, sum)| *sum)
                };
                let together = sum(0..shards, &mut node, &mut add);
                assert_eq!(together.map(f32::to_bits), alone.map(f32::to_bits));
            }
        }
    }

    #[test]
    fn a_power_of_two_of_processes_has_one_node_each() {
        for rank in 0..4 {
            assert_eq!(nodes(16, &(4 * rank..4 * rank + 4)).len(), 1);
        }
        assert_eq!(nodes(6, &(0..3)), [0..2, 2..3]);
        assert_eq!(nodes(6, &(3..6)), [3..4, 4..6]);
        assert!(nodes(2, &(1..1)).is_empty());
    }
}
