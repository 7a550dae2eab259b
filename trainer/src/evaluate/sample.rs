//! A part of a manifest that anyone can draw again.

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Draws `count` of the items without replacement, or all if there are no more; they keep their
/// order. The same seed draws the same positions from a list of the same length.
pub fn sample<T>(items: Vec<T>, count: usize, seed: u64) -> Vec<T> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut wanted = count.min(items.len());
    let mut drawn = Vec::with_capacity(wanted);
    // Knuth's algorithm S: each item with the probability that the rest of the draw needs.
    let mut left = items.len();
    for item in items {
        // Of fixed width, so that 32-bit and 64-bit targets draw the same.
        if rng.random_range(0..left as u64) < wanted as u64 {
            drawn.push(item);
            wanted -= 1;
        }
        left -= 1;
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_items_in_their_order_and_another_seed_others() {
        let draw = |count, seed| sample((0..1000).collect::<Vec<u32>>(), count, seed);
        let first = draw(300, 1);
        assert_eq!(first.len(), 300);
        assert!(first.is_sorted_by(|a, b| a < b), "each once, in order");
        assert_eq!(first, draw(300, 1));
        assert_ne!(first, draw(300, 2));
        assert_eq!(draw(1000, 1).len(), 1000);
        assert_eq!(draw(5000, 1).len(), 1000);
        assert!(draw(0, 1).is_empty());
    }

    #[test]
    fn every_item_is_as_likely_as_any_other() {
        let mut times = [0_u32; 10];
        for seed in 0..2000 {
            for item in sample((0..10).collect::<Vec<usize>>(), 3, seed) {
                times[item] += 1;
            }
        }
        // 600 each; the standard deviation is the root of 2000 * 0.3 * 0.7, 20.5.
        assert!(times.iter().all(|&n| n.abs_diff(600) < 82), "{times:?}");
    }
}
