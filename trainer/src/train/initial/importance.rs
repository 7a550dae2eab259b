//! Which channels of a trained network matter most, by the size of their weights.

use std::collections::BTreeMap;

use shared_model::{
    model::ModelConfig,
    weights::{WeightTensor, Weights},
};

use super::channels::{Channels, axes, module_of, pairs};

/// The places of the channels with the largest weights, by module as [`module_of`] names it: the sum of
/// squares over all matrices that read or write them, those of inputs and of outputs multiplied where a
/// module has its channels to itself. Channels of the encoder count in pairs, those of attention by head.
pub(super) fn chosen(
    from: &ModelConfig,
    to: &ModelConfig,
    trained: &Weights,
) -> BTreeMap<String, Vec<usize>> {
    let mut scores: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for ((module, _), sums) in squares(from, to, trained) {
        let all = scores.entry(module);
        let all = all.or_insert_with(|| vec![1.0; sums.len()]);
        all.iter_mut()
            .zip(sums)
            .for_each(|(score, sum)| *score *= sum);
    }
    let wanted = |module: &str| match module {
        "" if pairs(from, to) => to.d_model / 2,
        "" => to.d_model,
        module if module.ends_with("attention") => to.n_heads,
        _ => to.d_ffn,
    };
    let largest = scores.into_iter().map(|(module, scores)| {
        let count = wanted(&module).min(scores.len());
        (module, largest(&scores, count))
    });
    largest.collect()
}

/// Sums of squares by module and side (what a module reads apart from what it writes), for each group of
/// channels that is taken as one.
fn squares(
    from: &ModelConfig,
    to: &ModelConfig,
    trained: &Weights,
) -> BTreeMap<(String, usize), Vec<f64>> {
    let mut squares: BTreeMap<(String, usize), Vec<f64>> = BTreeMap::new();
    for (name, weight) in trained.iter().filter(|(_, w)| w.shape.len() == 2) {
        for (axis, (copies, channels)) in axes(name).into_iter().enumerate() {
            let groups = match channels {
                Channels::Model if pairs(from, to) => from.d_model / 2,
                Channels::Model => from.d_model,
                Channels::FeedForward => from.d_ffn,
                Channels::Heads => from.n_heads,
                Channels::Fixed | Channels::Taps => continue,
            };
            let module = module_of(name, channels);
            // The encoder's channels run through everything: both axes count as one.
            let side = if module.is_empty() { 0 } else { axis };
            let sums = squares.entry((module.to_owned(), side)).or_default();
            sums.resize(groups, 0.0);
            add_squares(sums, weight, axis, copies);
        }
    }
    squares
}

/// Adds the squares of a matrix to those of the groups that its channels along `axis` fall into.
fn add_squares(sums: &mut [f64], weight: &WeightTensor, axis: usize, copies: usize) {
    let columns = weight.shape[1].max(1);
    let along = (weight.shape[axis] / copies).max(1);
    let of_group = (along / sums.len().max(1)).max(1);
    for (index, value) in weight.data.iter().enumerate() {
        let place = [index / columns, index % columns][axis] % along;
        if let Some(sum) = sums.get_mut(place / of_group) {
            *sum += f64::from(*value).powi(2);
        }
    }
}

/// Places of the `count` largest values, in order of place.
fn largest(values: &[f64], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    places.truncate(count);
    places.sort_unstable();
    places
}

#[cfg(test)]
mod tests {
    use super::{super::selection::Selection, *};

    #[test]
    fn important_channels_are_those_with_the_largest_weights() {
        let config = |d_model, n_heads, d_ffn| ModelConfig {
            d_model,
            n_heads,
            d_ffn,
            conv_kernel: 3,
            ..ModelConfig::default()
        };
        let (from, to) = (config(4, 2, 4), config(2, 1, 2));
        let matrix = |shape: [usize; 2], data: &[f32]| WeightTensor {
            shape: shape.to_vec(),
            data: data.to_vec(),
        };
        // Of the encoder's pairs (0, 1) and (2, 3) the second is larger; of the feed-forward channels
        // 0 and 3 are large on both sides, 1 on one side alone; of the heads the second.
        let up = [
            0.1, 0.1, 0.0, 0.1, 0.1, 0.1, 0.0, 0.1, 5.0, 9.0, 0.1, 4.0, 5.0, 9.0, 0.1, 4.0,
        ];
        let down = [
            3.0, 0.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0,
        ];
        let out = [0.1; 8].into_iter().chain([1.0; 8]).collect::<Vec<f32>>();
        let trained = Weights::from_iter([
            (
                "encoder.blocks.0.ffn1.up.weight".to_owned(),
                matrix([4, 4], &up),
            ),
            (
                "encoder.blocks.0.ffn1.down.weight".to_owned(),
                matrix([4, 4], &down),
            ),
            (
                "encoder.blocks.0.attention.qkv.weight".to_owned(),
                matrix([4, 12], &[0.5; 48]),
            ),
            (
                "encoder.blocks.0.attention.out.weight".to_owned(),
                matrix([4, 4], &out),
            ),
        ]);
        let chosen = chosen(&from, &to, &trained);
        assert_eq!(chosen[""], [1]);
        assert_eq!(chosen["encoder.blocks.0.ffn1"], [0, 3]);
        assert_eq!(chosen["encoder.blocks.0.attention"], [1]);
        let selection = Selection::important(&from, &to, &trained);
        let mut weight = matrix([2, 2], &[-1.0; 4]);
        let name = "encoder.blocks.0.ffn1.up.weight";
        assert_eq!(selection.take(name, &mut weight, &trained[name]), 4);
        assert_eq!(weight.data, [5.0, 4.0, 5.0, 4.0]);
    }
}
