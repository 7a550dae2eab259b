//! Least-cost alignment of two sequences.
//!
//! The least number of errors leaves the split into kinds open: "a b" for "b a" is two
//! substitutions, or a deletion and an insertion. Among the alignments with fewest errors the one
//! with fewest substitutions (most matches) is taken. That fixes all three counts, whatever the
//! order in which the table is walked.

use super::ErrorCounts;

/// One insertion or deletion. A substitution costs one unit more, so that the low half of a cost
/// counts substitutions and the high half counts errors.
const ERROR: u64 = 1 << 32;
const SUBSTITUTION: u64 = ERROR + 1;

/// Tables up to this many cells (one byte each) keep every step; larger ones are split first.
const MAX_TABLE_CELLS: usize = 16 << 20;

/// Half width of the first band tried by [`count_errors`].
const FIRST_BAND: usize = 128;

/// One column of an alignment: a match or substitution (both), deletion (reference only) or
/// insertion (hypothesis only); indices into the two sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlignedPair {
    /// Index into the reference; none for an insertion.
    pub reference: Option<usize>,
    /// Index into the hypothesis; none for a deletion.
    pub hypothesis: Option<usize>,
}

/// The counts and the columns of an alignment with fewest errors and, among those, fewest
/// substitutions. Time grows with the product of the lengths, memory with their sum beyond a fixed
/// 16 MB (Hirschberg, "A linear space algorithm for computing maximal common subsequences", 1975).
pub fn align<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> (ErrorCounts, Vec<AlignedPair>) {
    let mut pairs = Vec::with_capacity(reference.len().max(hypothesis.len()));
    align_part(reference, hypothesis, (0, 0), MAX_TABLE_CELLS, &mut pairs);
    let mut counts = ErrorCounts {
        reference_len: reference.len(),
        ..ErrorCounts::default()
    };
    for pair in &pairs {
        match (pair.reference, pair.hypothesis) {
            (Some(r), Some(h)) => {
                counts.substitutions += usize::from(reference[r] != hypothesis[h])
            }
            (Some(_), None) => counts.deletions += 1,
            (None, _) => counts.insertions += 1,
        }
    }
    (counts, pairs)
}

/// The counts of [`align`] without the alignment: memory for two rows, and time for a band about
/// the diagonal as wide as there are errors (Ukkonen, "Algorithms for approximate string matching",
/// 1985).
pub fn count_errors<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> ErrorCounts {
    let (prefix, suffix) = common_ends(reference, hypothesis);
    let rows = &reference[prefix..reference.len() - suffix];
    let columns = &hypothesis[prefix..hypothesis.len() - suffix];
    let mut band = FIRST_BAND.max(rows.len().abs_diff(columns.len()));
    let cost = loop {
        let cost = banded_cost(rows, columns, band);
        // A path with `n` insertions and deletions never leaves the diagonal by more than `n`.
        if cost / ERROR <= band as u64 || band >= rows.len().max(columns.len()) {
            break cost;
        }
        band *= 2;
    };
    let errors = (cost / ERROR) as usize;
    let substitutions = (cost % ERROR) as usize;
    let gaps = errors - substitutions;
    // insertions - deletions is the difference of the lengths.
    let deletions = (gaps + rows.len() - columns.len()) / 2;
    ErrorCounts {
        reference_len: reference.len(),
        insertions: gaps - deletions,
        deletions,
        substitutions,
    }
}

/// Lengths of the equal beginnings and, beyond them, equal ends. Matching these is always among the
/// best alignments, since a substitution costs no more than an insertion and a deletion.
fn common_ends<T: PartialEq>(a: &[T], b: &[T]) -> (usize, usize) {
    let prefix = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[prefix..], &b[prefix..]);
    let suffix = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    (prefix, suffix)
}

/// Least cost over the paths within `band` of the diagonal, at least the true cost. The band must
/// be as wide as the lengths differ, so that it holds both corners.
fn banded_cost<T: PartialEq>(rows: &[T], columns: &[T], band: usize) -> u64 {
    const FAR: u64 = u64::MAX / 4;
    let mut costs = vec![FAR; columns.len() + 1];
    for (column, cost) in costs.iter_mut().enumerate().take(band + 1) {
        *cost = column as u64 * ERROR;
    }
    for (row, item) in rows.iter().enumerate() {
        // Cells (row + 1, first..=last) of the table with an extra first row and column.
        let first = (row + 1).saturating_sub(band);
        let last = (row + 1 + band).min(columns.len());
        let start = first.max(1);
        let (mut diagonal, mut left) = (costs[start - 1], FAR);
        if first == 0 {
            costs[0] = (row as u64 + 1) * ERROR;
            left = costs[0];
        } else {
            // Outside the band for every later row.
            costs[first - 1] = FAR;
        }
        for (cost, other) in costs[start..=last]
            .iter_mut()
            .zip(&columns[start - 1..last])
        {
            let step = if item == other { 0 } else { SUBSTITUTION };
            let best = (diagonal + step).min(left.min(*cost) + ERROR);
            diagonal = *cost;
            *cost = best;
            left = best;
        }
    }
    costs[columns.len()]
}

fn align_part<T: PartialEq>(
    reference: &[T],
    hypothesis: &[T],
    at: (usize, usize),
    max_cells: usize,
    pairs: &mut Vec<AlignedPair>,
) {
    let (prefix, suffix) = common_ends(reference, hypothesis);
    let both = |r: usize, h: usize| AlignedPair {
        reference: Some(r),
        hypothesis: Some(h),
    };
    pairs.extend((0..prefix).map(|i| both(at.0 + i, at.1 + i)));
    let rows = &reference[prefix..reference.len() - suffix];
    let columns = &hypothesis[prefix..hypothesis.len() - suffix];
    let inner = (at.0 + prefix, at.1 + prefix);
    let cells = (rows.len() + 1).saturating_mul(columns.len() + 1);
    if cells <= max_cells || rows.len() < 2 {
        align_table(rows, columns, inner, pairs);
    } else {
        let middle = rows.len() / 2;
        let split = best_split(&rows[..middle], &rows[middle..], columns);
        align_part(&rows[..middle], &columns[..split], inner, max_cells, pairs);
        let second = (inner.0 + middle, inner.1 + split);
        align_part(&rows[middle..], &columns[split..], second, max_cells, pairs);
    }
    let end = (inner.0 + rows.len(), inner.1 + columns.len());
    pairs.extend((0..suffix).map(|i| both(end.0 + i, end.1 + i)));
}

/// Where a best alignment of all rows crosses from the upper to the lower ones.
fn best_split<T: PartialEq>(upper: &[T], lower: &[T], columns: &[T]) -> usize {
    let before = last_row(upper.iter(), || columns.iter());
    let after = last_row(lower.iter().rev(), || columns.iter().rev());
    let total = |split: usize| before[split] + after[columns.len() - split];
    (0..=columns.len())
        .min_by_key(|&split| total(split))
        .unwrap_or(0)
}

/// Costs of all rows against every beginning of the columns.
fn last_row<'a, T: PartialEq + 'a, C: Iterator<Item = &'a T>>(
    rows: impl Iterator<Item = &'a T>,
    columns: impl Fn() -> C,
) -> Vec<u64> {
    let mut costs: Vec<u64> = (0..=columns().count() as u64)
        .map(|column| column * ERROR)
        .collect();
    for item in rows {
        let mut diagonal = costs[0];
        costs[0] += ERROR;
        let mut left = costs[0];
        for (cost, other) in costs[1..].iter_mut().zip(columns()) {
            let step = if item == other { 0 } else { SUBSTITUTION };
            let best = (diagonal + step).min(left.min(*cost) + ERROR);
            diagonal = *cost;
            *cost = best;
            left = best;
        }
    }
    costs
}

/// The whole table, one byte per cell for the way back: diagonal first, then deletion.
fn align_table<T: PartialEq>(
    rows: &[T],
    columns: &[T],
    at: (usize, usize),
    pairs: &mut Vec<AlignedPair>,
) {
    const DIAGONAL: u8 = 0;
    const DELETION: u8 = 1;
    const INSERTION: u8 = 2;
    let width = columns.len() + 1;
    let mut steps = vec![INSERTION; (rows.len() + 1) * width];
    let mut costs: Vec<u64> = (0..width as u64).map(|column| column * ERROR).collect();
    for (item, steps) in rows.iter().zip(steps[width..].chunks_exact_mut(width)) {
        let mut diagonal = costs[0];
        costs[0] += ERROR;
        steps[0] = DELETION;
        let mut left = costs[0];
        for ((cost, step), other) in costs[1..].iter_mut().zip(&mut steps[1..]).zip(columns) {
            let matched = diagonal + if item == other { 0 } else { SUBSTITUTION };
            let (deleted, inserted) = (*cost + ERROR, left + ERROR);
            diagonal = *cost;
            (*cost, *step) = if matched <= deleted && matched <= inserted {
                (matched, DIAGONAL)
            } else if deleted <= inserted {
                (deleted, DELETION)
            } else {
                (inserted, INSERTION)
            };
            left = *cost;
        }
    }
    let start = pairs.len();
    let (mut row, mut column) = (rows.len(), columns.len());
    while row > 0 || column > 0 {
        let step = steps[row * width + column];
        row -= usize::from(step != INSERTION);
        column -= usize::from(step != DELETION);
        pairs.push(AlignedPair {
            reference: (step != INSERTION).then_some(at.0 + row),
            hypothesis: (step != DELETION).then_some(at.1 + column),
        });
    }
    pairs[start..].reverse();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// (errors, substitutions) by trying every alignment.
    fn brute_force(a: &[u8], b: &[u8]) -> (usize, usize) {
        match (a, b) {
            (a, []) => (a.len(), 0),
            ([], b) => (b.len(), 0),
            ([x, a_rest @ ..], [y, b_rest @ ..]) => {
                let plus = |(errors, subs): (usize, usize), e, s| (errors + e, subs + s);
                let differ = usize::from(x != y);
                plus(brute_force(a_rest, b_rest), differ, differ)
                    .min(plus(brute_force(a_rest, b), 1, 0))
                    .min(plus(brute_force(a, b_rest), 1, 0))
            }
        }
    }

    fn check_pairs(a: &[u8], b: &[u8], pairs: &[AlignedPair]) {
        let references: Vec<usize> = pairs.iter().filter_map(|p| p.reference).collect();
        let hypotheses: Vec<usize> = pairs.iter().filter_map(|p| p.hypothesis).collect();
        assert_eq!(references, (0..a.len()).collect::<Vec<_>>());
        assert_eq!(hypotheses, (0..b.len()).collect::<Vec<_>>());
        assert!(
            pairs
                .iter()
                .all(|p| p.reference.is_some() || p.hypothesis.is_some())
        );
    }

    #[test]
    fn a_known_alignment_is_found() {
        let reference: Vec<char> = "kitten".chars().collect();
        let hypothesis: Vec<char> = "sitting".chars().collect();
        let (counts, pairs) = align(&reference, &hypothesis);
        assert_eq!(
            (counts.insertions, counts.deletions, counts.substitutions),
            (1, 0, 2)
        );
        assert_eq!(counts.reference_len, 6);
        assert_eq!(
            pairs[6],
            AlignedPair {
                reference: None,
                hypothesis: Some(6)
            }
        );
        // A swap of two words is a deletion and an insertion, which keeps one match.
        let (counts, _) = align(&["a", "b"], &["b", "a"]);
        assert_eq!(
            (counts.insertions, counts.deletions, counts.substitutions),
            (1, 1, 0)
        );
    }

    #[test]
    fn empty_sequences_align() {
        let (counts, pairs) = align::<u8>(&[], &[]);
        assert_eq!((counts, pairs.len()), (ErrorCounts::default(), 0));
        assert_eq!(align(&[], &[1, 2]).0.insertions, 2);
        assert_eq!(align(&[1, 2], &[]).0.deletions, 2);
        assert_eq!(count_errors(&[1, 2], &[]).deletions, 2);
        assert_eq!(count_errors(&[], &[1, 2]).insertions, 2);
    }

    #[test]
    fn long_texts_need_no_table_of_their_product() {
        // Every seventh item lost, every eleventh replaced: 20,000 items, a 400 MB table if whole.
        let reference: Vec<u32> = (0..20_000).map(|i| i * 7919 % 1000).collect();
        let mut hypothesis = Vec::new();
        for (i, &item) in reference.iter().enumerate() {
            if i % 7 != 0 {
                hypothesis.push(if i % 11 == 0 { 5000 } else { item });
            }
        }
        let counts = count_errors(&reference, &hypothesis);
        assert_eq!(
            counts.deletions - counts.insertions,
            reference.len() - hypothesis.len()
        );
        assert!(counts.errors() <= 20_000 / 7 + 20_000 / 11 + 2);
        let (aligned, pairs) = align(&reference[..6000], &hypothesis[..5000]);
        assert_eq!(
            aligned,
            count_errors(&reference[..6000], &hypothesis[..5000])
        );
        assert!(pairs.len() >= 6000);
    }

    proptest! {
        #[test]
        fn counts_equal_those_of_trying_every_alignment(
            a in proptest::collection::vec(0u8..3, 0..7),
            b in proptest::collection::vec(0u8..3, 0..7),
        ) {
            let (counts, pairs) = align(&a, &b);
            check_pairs(&a, &b, &pairs);
            prop_assert_eq!((counts.errors(), counts.substitutions), brute_force(&a, &b));
            prop_assert_eq!(count_errors(&a, &b), counts);
        }

        #[test]
        fn splitting_banding_and_the_whole_table_agree(
            a in proptest::collection::vec(0u8..4, 0..60),
            b in proptest::collection::vec(0u8..4, 0..60),
            extra in 0usize..80,
        ) {
            let (counts, _) = align(&a, &b);
            let mut pairs = Vec::new();
            align_part(&a, &b, (0, 0), 16, &mut pairs);
            check_pairs(&a, &b, &pairs);
            let substitutions = pairs.iter().filter(|p| {
                matches!((p.reference, p.hypothesis), (Some(r), Some(h)) if a[r] != b[h])
            }).count();
            let gaps = pairs.iter().filter(|p| p.reference.is_none() || p.hypothesis.is_none());
            prop_assert_eq!(substitutions, counts.substitutions);
            prop_assert_eq!(gaps.count(), counts.insertions + counts.deletions);
            prop_assert_eq!(count_errors(&a, &b), counts);
            let exact = counts.errors() as u64 * ERROR + counts.substitutions as u64;
            let band = a.len().abs_diff(b.len()) + extra;
            let banded = banded_cost(&a, &b, band);
            prop_assert!(banded >= exact);
            if band >= counts.errors() {
                prop_assert_eq!(banded, exact);
            }
        }
    }
}
