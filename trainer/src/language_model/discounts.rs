//! What modified Kneser-Ney smoothing takes from each count.

use serde::Serialize;

/// Discounts of n-grams that occur once, twice, and three times or more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Discounts(pub [f64; 3]);

impl Discounts {
    /// Where the counts of counts say nothing: the texts that Chen and Goodman measured have
    /// discounts not far from these.
    pub const FALLBACK: Self = Self([0.5, 1.0, 1.5]);

    /// Chen and Goodman's closed form: with `n_i` n-grams that occur `i` times and
    /// `y = n_1 / (n_1 + 2 n_2)`,
    ///
    /// ```text
    /// D_i = i - (i + 1) y n_(i+1) / n_i     for i = 1, 2, 3
    /// ```
    ///
    /// [`Self::FALLBACK`] where an `n_i` is 0 or a discount is not between 0 and `i`: small texts
    /// and those without rare words.
    pub fn of_counts(counts: impl IntoIterator<Item = u32>) -> Self {
        let mut num_with = [0u64; 5];
        for count in counts {
            if let Some(number) = num_with.get_mut(count as usize) {
                *number += 1;
            }
        }
        let n = num_with.map(|number| number as f64);
        let y = n[1] / (n[1] + 2.0 * n[2]);
        let discounts = [1, 2, 3].map(|i| i as f64 - (i + 1) as f64 * y * n[i + 1] / n[i]);
        let is_sound = num_with[1..].iter().all(|&number| number > 0)
            && (1..)
                .zip(discounts)
                .all(|(i, discount)| discount > 0.0 && discount <= f64::from(i));
        if is_sound {
            Self(discounts)
        } else {
            Self::FALLBACK
        }
    }

    /// The discount of an n-gram with this count; 0 of an unseen one.
    pub fn of(&self, count: u32) -> f64 {
        match count {
            0 => 0.0,
            1..=2 => self.0[count as usize - 1],
            _ => self.0[2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(num_with: [usize; 4]) -> Vec<u32> {
        let repeated = (1..).zip(num_with);
        repeated.flat_map(|(count, n)| vec![count; n]).collect()
    }

    #[test]
    fn discounts_follow_the_closed_form() {
        // y = 10 / 18; 1 - 2 y 4/10, 2 - 3 y 2/4, 3 - 4 y 1/2.
        let Discounts(found) = Discounts::of_counts(counts([10, 4, 2, 1]));
        for (found, expected) in found.into_iter().zip([5.0 / 9.0, 7.0 / 6.0, 17.0 / 9.0]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn useless_counts_of_counts_give_the_fallback() {
        for num_with in [[0; 4], [5, 2, 1, 0], [0, 3, 2, 1], [1, 1, 1, 9]] {
            let found = Discounts::of_counts(counts(num_with));
            assert_eq!(found, Discounts::FALLBACK, "{num_with:?}");
        }
    }

    #[test]
    fn three_and_more_share_a_discount() {
        let discounts = Discounts([0.1, 0.2, 0.3]);
        assert_eq!(
            [0, 1, 2, 3, 900].map(|n| discounts.of(n)),
            [0.0, 0.1, 0.2, 0.3, 0.3]
        );
    }
}
