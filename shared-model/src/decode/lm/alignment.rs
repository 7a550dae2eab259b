//! Which letters of a word write which of its phones.

/// Classes of phones, and last the letter that writes none.
const NUM_SOUNDS: usize = 64;
const SILENT: usize = NUM_SOUNDS - 1;
const ROUNDS: usize = 3;
/// What each further phone of one letter costs, nats.
const FURTHER_PHONE: f32 = 3.0;
/// How often everything was seen before.
const SMOOTHING: f32 = 0.1;

/// Natural logs of how probably each letter writes each phone, negated.
pub(super) struct Aligner {
    costs: Vec<[f32; NUM_SOUNDS]>,
}

impl Aligner {
    /// Learns from words and their phones, which are numbers below 63: at first phones belong to the
    /// letters that stand about where they do, then to those of the best alignment (Viterbi
    /// training).
    pub(super) fn learn(words: &[(&[u8], Vec<u8>)]) -> Self {
        let mut counts = Counts::default();
        for (letters, phones) in words {
            let (width, height) = (letters.len(), phones.len());
            for (i, &letter) in letters.iter().enumerate() {
                for (j, &phone) in phones.iter().enumerate() {
                    if (i * height).abs_diff(j * width) <= width.max(height) {
                        counts.add(letter, usize::from(phone));
                    }
                }
            }
        }
        let mut aligner = counts.costs();
        for _ in 0..ROUNDS {
            let mut counts = Counts::default();
            for (letters, phones) in words {
                let mut rest = phones.iter();
                for (&letter, num) in letters.iter().zip(aligner.align(letters, phones)) {
                    if num == 0 {
                        counts.add(letter, SILENT);
                    }
                    rest.by_ref()
                        .take(num)
                        .for_each(|&phone| counts.add(letter, usize::from(phone)));
                }
            }
            aligner = counts.costs();
        }
        aligner
    }

    /// How many of the phones each letter writes, in order.
    pub(super) fn align(&self, letters: &[u8], phones: &[u8]) -> Vec<usize> {
        let width = phones.len() + 1;
        // The least cost of the first i letters and j phones, and how many of them the last letter
        // writes.
        let mut best = vec![(f32::INFINITY, 0usize); (letters.len() + 1) * width];
        best[0].0 = 0.0;
        for (i, &letter) in letters.iter().enumerate() {
            let costs = &self.costs[usize::from(letter)];
            for j in 0..width {
                let mut cost = best[i * width + j].0;
                if cost.is_infinite() {
                    continue;
                }
                let silent = cost + costs[SILENT];
                let mut offer = |to: usize, cost: f32, num| {
                    let known = &mut best[(i + 1) * width + to];
                    if cost < known.0 {
                        *known = (cost, num);
                    }
                };
                offer(j, silent, 0);
                for (to, &phone) in (j + 1..).zip(&phones[j..]) {
                    cost += costs[usize::from(phone)];
                    offer(to, cost, to - j);
                    cost += FURTHER_PHONE;
                }
            }
        }
        let mut nums = vec![0; letters.len()];
        let mut left = phones.len();
        for i in (0..letters.len()).rev() {
            nums[i] = best[(i + 1) * width + left].1;
            left -= nums[i];
        }
        nums
    }
}

struct Counts(Vec<[f32; NUM_SOUNDS]>);

impl Default for Counts {
    fn default() -> Self {
        Self(vec![[SMOOTHING; NUM_SOUNDS]; 256])
    }
}

impl Counts {
    fn add(&mut self, letter: u8, sound: usize) {
        self.0[usize::from(letter)][sound] += 1.0;
    }

    fn costs(self) -> Aligner {
        let costs = |counts: [f32; NUM_SOUNDS]| {
            let sum: f32 = counts.iter().sum();
            counts.map(|count| -(count / sum).ln())
        };
        Aligner {
            costs: self.0.into_iter().map(costs).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_find_their_phones_from_examples_alone() {
        // Phones by number: s t i p n o k.
        let words: Vec<(&[u8], Vec<u8>)> = vec![
            (b"stip", vec![0, 1, 2, 3]),
            (b"tip", vec![1, 2, 3]),
            (b"pin", vec![3, 2, 4]),
            (b"not", vec![4, 5, 1]),
            (b"top", vec![1, 5, 3]),
            (b"knot", vec![4, 5, 1]),
            (b"knit", vec![4, 2, 1]),
            (b"six", vec![0, 2, 6, 0]),
            (b"nix", vec![4, 2, 6, 0]),
            (b"kit", vec![6, 2, 1]),
        ];
        let aligner = Aligner::learn(&words);
        assert_eq!(aligner.align(b"knot", &[4, 5, 1]), [0, 1, 1, 1]);
        assert_eq!(aligner.align(b"six", &[0, 2, 6, 0]), [1, 1, 2]);
        // Every phone has a letter, however many there are; no phones are possible, too.
        assert_eq!(aligner.align(b"p", &[3, 3, 3]), [3]);
        assert_eq!(aligner.align(b"pin", &[]), [0, 0, 0]);
    }
}
