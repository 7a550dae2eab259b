//! Which channels of a wider network a narrower one takes.

use std::collections::BTreeMap;

use shared_model::{
    model::ModelConfig,
    weights::{WeightTensor, Weights},
};

use super::{
    channels::{Axis, Channels, axes, module_of, pairs},
    importance,
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

impl<'a> Selection<'a> {
    /// Evenly spaced channels everywhere.
    pub fn even(from: &'a ModelConfig, to: &'a ModelConfig) -> Self {
        Self {
            from,
            to,
            chosen: BTreeMap::new(),
        }
    }

    /// The channels of `trained` with the largest weights.
    pub fn important(from: &'a ModelConfig, to: &'a ModelConfig, trained: &Weights) -> Self {
        Self {
            from,
            to,
            chosen: importance::chosen(from, to, trained),
        }
    }

    /// For each row and column of a weight of shape `to` where it is in the trained one of shape `from`.
    pub fn grid(&self, name: &str, to: &[usize], from: &[usize]) -> [Vec<Option<usize>>; 2] {
        let mut axes = axes(name).into_iter();
        let mut along = |axis: usize| -> Vec<Option<usize>> {
            match (to.get(axis), from.get(axis), axes.next()) {
                (Some(&to), Some(&from), Some(axis)) => self.places(name, axis, to, from),
                // A weight of one axis is a row.
                _ => vec![Some(0)],
            }
        };
        match to.len() {
            1 => [vec![Some(0)], along(0)],
            _ => [along(0), along(1)],
        }
    }

    /// Puts what `trained` has for it into `weight`; gives the number of values.
    pub fn take(&self, name: &str, weight: &mut WeightTensor, trained: &WeightTensor) -> usize {
        let [rows, columns] = self.grid(name, &weight.shape, &trained.shape);
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
}
