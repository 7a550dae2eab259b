//! Which channels of a wider network a narrower one takes.

use std::collections::BTreeMap;

use shared_model::{
    model::ModelConfig,
    weights::{WeightTensor, Weights},
};

/// From a trained network to one of at most its width.
pub(super) struct Selection<'a> {
    from: &'a ModelConfig,
    to: &'a ModelConfig,
    /// Places that were chosen by their importance, of pairs of the encoder's channels under no name,
    /// else under that of the module: heads of attention, channels of feed-forward modules. Others are
    /// evenly spaced.
    chosen: BTreeMap<String, Vec<usize>>,
}

/// What the values along an axis of a weight belong to.
#[derive(Clone, Copy)]
enum Channels {
    /// Mel bands or classes: as many in both networks.
    Fixed,
    /// Taps of a depthwise kernel.
    Taps,
    /// The encoder's width.
    Model,
    /// The feed-forward modules' width.
    FeedForward,
    /// Heads of attention, each with channels that turn in pairs.
    Heads,
}

/// An axis of a weight: copies of some channels one after the other.
type Axis = (usize, Channels);

/// The axes of a weight by its name.
fn axes(name: &str) -> Vec<Axis> {
    use Channels::{FeedForward, Fixed, Heads, Model, Taps};
    let layers = [
        ("conv_a.weight", vec![(3, Fixed), (1, Model)]),
        ("conv_b.weight", vec![(3, Model), (1, Model)]),
        ("conv_c.weight", vec![(3, Model), (1, Model)]),
        ("up.weight", vec![(1, Model), (1, FeedForward)]),
        ("up.bias", vec![(1, FeedForward)]),
        ("down.weight", vec![(1, FeedForward), (1, Model)]),
        ("qkv.weight", vec![(1, Model), (3, Heads)]),
        ("qkv.bias", vec![(3, Heads)]),
        ("attention.out.weight", vec![(1, Heads), (1, Model)]),
        ("gate.weight", vec![(1, Model), (2, Model)]),
        ("gate.bias", vec![(2, Model)]),
        ("depthwise.weight", vec![(1, Taps), (1, Model)]),
        ("conv.out.weight", vec![(1, Model), (1, Model)]),
        ("head.weight", vec![(1, Model), (1, Fixed)]),
        ("head.bias", vec![(1, Fixed)]),
        ("corpus_mean", vec![(1, Fixed)]),
        ("corpus_std", vec![(1, Fixed)]),
    ];
    let layer = layers.into_iter().find(|(end, _)| name.ends_with(end));
    // Every other weight is a norm's or a bias over the encoder's width.
    layer.map_or_else(|| vec![(1, Model)], |(_, axes)| axes)
}

/// The part of a network that has the channels of a weight to itself.
fn module_of(name: &str, channels: Channels) -> &str {
    let part = match channels {
        Channels::FeedForward => name.rsplit_once(".up.").or(name.rsplit_once(".down.")),
        Channels::Heads => name.rsplit_once(".qkv.").or(name.rsplit_once(".out.")),
        _ => None,
    };
    part.map_or("", |(module, _)| module)
}

impl<'a> Selection<'a> {
    /// Evenly spaced channels everywhere.
    pub fn even(from: &'a ModelConfig, to: &'a ModelConfig) -> Self {
        Self {
            from,
            to,
            chosen: BTreeMap::new(),
        }
    }

    /// The channels of `trained` with the largest weights: the sum of their squares over all matrices
    /// that read or write them, those of inputs and of outputs multiplied where a module has them to
    /// itself.
    pub fn important(from: &'a ModelConfig, to: &'a ModelConfig, trained: &Weights) -> Self {
        // Squares by module, axis (what a module reads apart from what it writes) and channel.
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
        let mut scores: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for ((module, _), sums) in squares {
            let scores = scores
                .entry(module)
                .or_insert_with(|| vec![1.0; sums.len()]);
            scores
                .iter_mut()
                .zip(sums)
                .for_each(|(score, sum)| *score *= sum);
        }
        let wanted = |module: &str| match module {
            "" if pairs(from, to) => to.d_model / 2,
            "" => to.d_model,
            module if module.ends_with("attention") => to.n_heads,
            _ => to.d_ffn,
        };
        let chosen = scores.into_iter().map(|(module, scores)| {
            let count = wanted(&module).min(scores.len());
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            order.truncate(count);
            order.sort_unstable();
            (module, order)
        });
        Self {
            from,
            to,
            chosen: chosen.collect(),
        }
    }

    /// Puts what `trained` has for it into `weight`; gives the number of values.
    pub fn take(&self, name: &str, weight: &mut WeightTensor, trained: &WeightTensor) -> usize {
        let mut axes = axes(name).into_iter();
        let mut along = |axis: usize| -> Vec<Option<usize>> {
            let (to, from) = (weight.shape.get(axis), trained.shape.get(axis));
            match (to, from, axes.next()) {
                (Some(&to), Some(&from), Some(axis)) => self.places(name, axis, to, from),
                // A weight of one axis is a row.
                _ => vec![Some(0)],
            }
        };
        let (rows, columns) = match weight.shape.len() {
            1 => (vec![Some(0)], along(0)),
            _ => (along(0), along(1)),
        };
        let width = trained.shape.last().copied().unwrap_or(1);
        let places = rows.iter().flat_map(|row| {
            columns
                .iter()
                .map(move |column| Some((*row)? * width + (*column)?))
        });
        let mut taken = 0;
        for (value, place) in weight.data.iter_mut().zip(places) {
            if let Some(&trained) = place.and_then(|place| trained.data.get(place)) {
                *value = trained;
                taken += 1;
            }
        }
        taken
    }

    /// For each of `to` values along an axis where it is among `from` trained ones; nowhere if these
    /// channels cannot be had.
    fn places(
        &self,
        name: &str,
        (copies, channels): Axis,
        to: usize,
        from: usize,
    ) -> Vec<Option<usize>> {
        let (to, from) = (to / copies, from / copies);
        let module = module_of(name, channels);
        let own: Vec<Option<usize>> = match channels {
            Channels::Taps => (0..to)
                .map(|tap| (tap + from / 2).checked_sub(to / 2))
                .collect(),
            Channels::Heads => self.heads(module),
            // Sine and cosine of a position are neighbours.
            Channels::Model if pairs(self.from, self.to) => self
                .some(module, to / 2, from / 2)
                .into_iter()
                .flat_map(|pair| [pair.map(|p| 2 * p), pair.map(|p| 2 * p + 1)])
                .collect(),
            Channels::Model | Channels::FeedForward => self.some(module, to, from),
            Channels::Fixed => spaced(to, from).collect(),
        };
        let own: Vec<Option<usize>> = own
            .into_iter()
            .map(|place| place.filter(|&place| place < from))
            .collect();
        (0..copies)
            .flat_map(|copy| own.iter().map(move |place| Some(copy * from + (*place)?)))
            .collect()
    }

    /// `to` of `from` places of a module: those that were chosen, or evenly spaced ones.
    fn some(&self, module: &str, to: usize, from: usize) -> Vec<Option<usize>> {
        match self.chosen.get(module) {
            Some(chosen) if chosen.len() == to => chosen.iter().map(|&place| Some(place)).collect(),
            _ => spaced(to, from).collect(),
        }
    }

    /// Places of the channels of all heads, within each those of both halves that turn together.
    fn heads(&self, module: &str) -> Vec<Option<usize>> {
        let width = |config: &ModelConfig| config.d_model / config.n_heads;
        let (to, from) = (width(self.to), width(self.from));
        let mut places = Vec::with_capacity(self.to.d_model);
        for head in self.some(module, self.to.n_heads, self.from.n_heads) {
            for half in 0..2 {
                places.extend(
                    spaced(to / 2, from / 2)
                        .map(|channel| Some(head? * from + half * (from / 2) + channel?)),
                );
            }
            // An odd width has a channel that does not turn.
            places.extend(
                spaced(to % 2, from % 2).map(|channel| Some(head? * from + from - 1 + channel?)),
            );
        }
        places
    }
}

/// Whether the encoder's channels are taken two by two.
fn pairs(from: &ModelConfig, to: &ModelConfig) -> bool {
    to.d_model.is_multiple_of(2) && from.d_model.is_multiple_of(2)
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

/// `to` of `from` places, evenly spaced from the first; nowhere if there are not as many.
fn spaced(to: usize, from: usize) -> impl Iterator<Item = Option<usize>> {
    (0..to).map(move |place| (to <= from).then(|| place * from / to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(d_model: usize, n_heads: usize, d_ffn: usize, conv_kernel: usize) -> ModelConfig {
        ModelConfig {
            d_model,
            n_heads,
            d_ffn,
            conv_kernel,
            ..ModelConfig::default()
        }
    }

    /// A weight whose values say where they are.
    fn numbered(shape: &[usize]) -> WeightTensor {
        let len: usize = shape.iter().product();
        WeightTensor {
            shape: shape.to_vec(),
            data: (0..len).map(|i| i as f32).collect(),
        }
    }

    fn taken(name: &str, to: &[usize], from: &[usize]) -> Vec<f32> {
        let (wide, narrow) = (config(8, 2, 6, 5), config(4, 1, 3, 3));
        let selection = Selection::even(&wide, &narrow);
        let mut weight = WeightTensor {
            shape: to.to_vec(),
            data: vec![-1.0; to.iter().product()],
        };
        selection.take(name, &mut weight, &numbered(from));
        weight.data
    }

    #[test]
    fn channels_are_evenly_spaced_pairs_and_the_same_ones_everywhere() {
        // Of eight channels the pairs (0, 1) and (4, 5); of six feed-forward channels every second.
        assert_eq!(taken("a.norm.weight", &[4], &[8]), [0.0, 1.0, 4.0, 5.0]);
        assert_eq!(taken("ffn1.up.bias", &[3], &[6]), [0.0, 2.0, 4.0]);
        let up = taken("ffn1.up.weight", &[4, 3], &[8, 6]);
        let want = [0.0, 6.0, 24.0, 30.0].map(|row| [row, row + 2.0, row + 4.0]);
        assert_eq!(up, want.concat());
        let head = taken("head.weight", &[4, 2], &[8, 2]);
        assert_eq!(head, [0.0, 1.0, 2.0, 3.0, 8.0, 9.0, 10.0, 11.0]);
    }

    #[test]
    fn packed_axes_are_taken_part_by_part() {
        let gate = taken("conv.gate.bias", &[8], &[16]);
        assert_eq!(gate, [0.0, 1.0, 4.0, 5.0, 8.0, 9.0, 12.0, 13.0]);
        // Three taps of eight channels each.
        let window = taken("frontend.conv_b.weight", &[12, 4], &[24, 8]);
        let rows: Vec<f32> = window.chunks(4).map(|row| row[0] / 8.0).collect();
        assert_eq!(
            rows,
            [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21].map(|r| r as f32)
        );
    }

    #[test]
    fn heads_keep_the_channels_that_turn_together() {
        // Of two heads of four channels the first, with all of them: 0 turns with 2, 1 with 3.
        let qkv = taken("attention.qkv.bias", &[12], &[24]);
        let of_head = [0.0, 1.0, 2.0, 3.0];
        assert_eq!(
            qkv,
            [0.0, 8.0, 16.0].map(|p| of_head.map(|c| p + c)).concat()
        );
        let out = taken("attention.out.weight", &[4, 4], &[8, 8]);
        let rows: Vec<f32> = out.chunks(4).map(|row| row[0] / 8.0).collect();
        assert_eq!(rows, of_head);
        // Of heads of eight channels every second pair: 0 and 4, 2 and 6.
        let (wide, narrow) = (config(16, 2, 6, 5), config(8, 2, 3, 3));
        let selection = Selection::even(&wide, &narrow);
        let places: Vec<usize> = selection.heads("").into_iter().flatten().collect();
        assert_eq!(places, [0, 2, 4, 6, 8, 10, 12, 14]);
    }

    #[test]
    fn kernels_keep_their_middle() {
        let kernel = taken("conv.depthwise.weight", &[3, 4], &[5, 8]);
        let rows: Vec<f32> = kernel.chunks(4).map(|row| row[0] / 8.0).collect();
        assert_eq!(rows, [1.0, 2.0, 3.0]);
        let wider = taken("conv.depthwise.weight", &[7, 4], &[5, 8]);
        let rows: Vec<f32> = wider.chunks(4).map(|row| row[0]).collect();
        assert_eq!(rows, [-1.0, 0.0, 8.0, 16.0, 24.0, 32.0, -1.0]);
    }

    #[test]
    fn what_is_wider_than_the_trained_network_takes_nothing() {
        assert_eq!(taken("a.norm.weight", &[10], &[8]), [-1.0; 10]);
    }

    #[test]
    fn important_channels_are_those_with_the_largest_weights() {
        let (from, to) = (config(4, 2, 4, 3), config(2, 1, 2, 3));
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
        let selection = Selection::important(&from, &to, &trained);
        assert_eq!(selection.chosen[""], [1]);
        assert_eq!(selection.chosen["encoder.blocks.0.ffn1"], [0, 3]);
        assert_eq!(selection.chosen["encoder.blocks.0.attention"], [1]);
        let mut weight = matrix([2, 2], &[-1.0; 4]);
        let name = "encoder.blocks.0.ffn1.up.weight";
        assert_eq!(selection.take(name, &mut weight, &trained[name]), 4);
        assert_eq!(weight.data, [5.0, 4.0, 5.0, 4.0]);
    }
}
