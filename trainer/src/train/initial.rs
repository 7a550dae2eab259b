//! What networks start from.

mod channels;
mod fit;
mod importance;
mod selection;

use shared_model::{
    model::ModelConfig,
    weights::{RandomInit, WeightError, WeightSource, Weights, select_blocks},
};

pub(super) use fit::{Inputs, inputs_of};

use selection::Selection;

use crate::config::{BlockChoice, ChannelChoice};

/// Fresh weights of a configuration, with its buffers.
pub(crate) fn random_weights(config: &ModelConfig, seed: u64) -> Result<Weights, WeightError> {
    use burn::prelude::Device;
    use shared_model::model::CtcModel;
    CtcModel::from_source(
        config,
        &mut RandomInit { seed } as &mut dyn WeightSource,
        &Device::flex(),
    )
    .map(|model| model.weights())
}

/// Weights to start from, and how many of them were learned before.
#[derive(Debug)]
pub(super) struct Start {
    pub weights: Weights,
    /// Trained values among the parameters, buffers left out.
    pub taken: usize,
    /// Parameters in all.
    pub parameters: usize,
}

/// A trained network to start from, and what of it is taken.
#[derive(Clone, Copy)]
pub(super) struct Trained<'a> {
    pub weights: &'a Weights,
    pub config: &'a ModelConfig,
    pub blocks: BlockChoice,
    pub channels: ChannelChoice,
    /// What its maps get, where maps are fitted.
    pub inputs: Option<&'a Inputs>,
}

/// Random weights of `config` with those of a trained network of at least its width in their place.
/// Where it has fewer blocks than wanted, some serve twice. Of wider layers some channels are taken,
/// the same ones wherever layers meet (weight selection, Xu et al., 2024, arXiv 2311.18823).
pub(super) fn from_blocks(
    config: &ModelConfig,
    random: Weights,
    trained: Trained<'_>,
) -> Result<Start, WeightError> {
    let blocks = chosen_blocks(trained.blocks, config.n_layers, trained.config.n_layers);
    let chosen = select_blocks(trained.weights, &blocks)?;
    let selection = match trained.channels {
        ChannelChoice::Even | ChannelChoice::Fitted => Selection::even(trained.config, config),
        ChannelChoice::Important => Selection::important(trained.config, config, &chosen),
    };
    let (mut taken, mut parameters) = (0, 0);
    let weights: Weights = random
        .into_iter()
        .map(|(name, mut weight)| {
            let count = chosen
                .get(&name)
                .map_or(0, |trained| selection.take(&name, &mut weight, trained));
            if !is_buffer(&name) {
                taken += count;
                parameters += weight.data.len();
            }
            (name, weight)
        })
        .collect();
    let weights = match trained.inputs {
        Some(inputs) => fitted(weights, &chosen, &selection, inputs, &blocks),
        None => weights,
    };
    let weights = match trained.channels {
        ChannelChoice::Fitted => with_scaled_heads(weights, trained.config, config),
        ChannelChoice::Even | ChannelChoice::Important => weights,
    };
    Ok(Start {
        weights,
        taken,
        parameters,
    })
}

/// `weights`, taken from `chosen`, with maps that make up for the inputs that they have not.
///
/// - `inputs`: of the network whose blocks of these numbers are `chosen`'s.
fn fitted(
    mut weights: Weights,
    chosen: &Weights,
    selection: &Selection<'_>,
    inputs: &Inputs,
    blocks: &[usize],
) -> Weights {
    for (name, trained) in chosen {
        let map = name.strip_suffix(".weight");
        let (Some(map), Some(own)) = (map, weights.get(name)) else {
            continue;
        };
        let [rows, columns] = selection.grid(name, &own.shape, &trained.shape);
        let all = |places: Vec<Option<usize>>| places.into_iter().collect::<Option<Vec<usize>>>();
        let (Some(rows), Some(columns)) = (all(rows), all(columns)) else {
            continue;
        };
        let narrower = own.shape.len() == 2 && own.shape[0] < trained.shape[0];
        let moments = inputs.get(&in_the_whole(map, blocks));
        let moments = moments.filter(|_| narrower);
        let Some(added) = moments.and_then(|m| m.makes_up(trained, &rows, &columns)) else {
            continue;
        };
        let (of_rows, of_bias) = added.split_at(rows.len() * columns.len());
        for (name, added) in [(name.clone(), of_rows), (format!("{map}.bias"), of_bias)] {
            let values = weights.get_mut(&name).map(|weight| &mut weight.data);
            let values = values.into_iter().flatten();
            values
                .zip(added)
                .for_each(|(value, added)| *value += *added as f32);
        }
    }
    weights
}

/// The name of a map in the network whose blocks of these numbers were chosen.
fn in_the_whole(map: &str, blocks: &[usize]) -> String {
    const BLOCKS: &str = "encoder.blocks.";
    let own = map.strip_prefix(BLOCKS).and_then(|rest| {
        let (number, part) = rest.split_once('.')?;
        let whole = blocks.get(number.parse::<usize>().ok()?)?;
        Some(format!("{BLOCKS}{whole}.{part}"))
    });
    own.unwrap_or_else(|| map.to_owned())
}

/// `weights` with queries and keys so much larger that the scores of narrower heads, sums over fewer
/// products, are as large as those of the heads that they were taken from.
fn with_scaled_heads(mut weights: Weights, from: &ModelConfig, to: &ModelConfig) -> Weights {
    let width = |config: &ModelConfig| (config.d_model / config.n_heads.max(1)) as f32;
    let scale = (width(from) / width(to)).powf(0.25);
    let queries_and_keys = 2 * to.d_model;
    for (name, weight) in &mut weights {
        if name.ends_with("qkv.weight") || name.ends_with("qkv.bias") {
            for row in weight.data.chunks_mut(3 * to.d_model) {
                row[..queries_and_keys]
                    .iter_mut()
                    .for_each(|value| *value *= scale);
            }
        }
    }
    weights
}

/// Whether values of this name are kept with the weights but not learned.
fn is_buffer(name: &str) -> bool {
    name.starts_with("corpus_") || name.contains(".running_")
}

/// `count` of `available` blocks (0-based), evenly spaced, the last among them.
pub(super) fn evenly_spaced(count: usize, available: usize) -> Vec<usize> {
    (1..=count)
        .map(|i| (i * available).div_ceil(count.max(1)).max(1) - 1)
        .collect()
}

/// `count` of `available` blocks (0-based). More than there are can only be spread over them.
fn chosen_blocks(choice: BlockChoice, count: usize, available: usize) -> Vec<usize> {
    match choice {
        BlockChoice::Last if count <= available => (available - count..available).collect(),
        BlockChoice::First if count <= available => (0..count).collect(),
        _ => evenly_spaced(count, available),
    }
}

/// Some blocks of a larger network with everything around them.
pub(super) fn cut(
    larger: &Weights,
    larger_layers: usize,
    n_layers: usize,
    choice: BlockChoice,
) -> Result<Weights, WeightError> {
    select_blocks(larger, &chosen_blocks(choice, n_layers, larger_layers))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config(d_model: usize, n_layers: usize) -> ModelConfig {
        ModelConfig {
            n_mels: 8,
            vocab_size: 5,
            d_model,
            n_layers,
            n_heads: 2,
            d_ffn: 8,
            conv_kernel: 3,
            ..ModelConfig::default()
        }
    }

    fn of<'a>(weights: &'a Weights, config: &'a ModelConfig) -> Trained<'a> {
        Trained {
            weights,
            config,
            blocks: BlockChoice::Even,
            channels: ChannelChoice::Even,
            inputs: None,
        }
    }

    #[test]
    fn first_and_last_blocks_are_taken_where_there_are_enough() {
        assert_eq!(chosen_blocks(BlockChoice::Last, 2, 6), vec![4, 5]);
        assert_eq!(chosen_blocks(BlockChoice::First, 2, 6), vec![0, 1]);
        assert_eq!(chosen_blocks(BlockChoice::Even, 2, 6), vec![2, 5]);
        assert_eq!(chosen_blocks(BlockChoice::First, 4, 2), vec![0, 0, 1, 1]);
    }

    #[test]
    fn blocks_are_evenly_spaced_and_end_with_the_last() {
        assert_eq!(evenly_spaced(6, 12), vec![1, 3, 5, 7, 9, 11]);
        assert_eq!(evenly_spaced(2, 6), vec![2, 5]);
        assert_eq!(evenly_spaced(1, 6), vec![5]);
        assert_eq!(evenly_spaced(4, 6), vec![1, 2, 4, 5]);
        assert_eq!(evenly_spaced(3, 3), vec![0, 1, 2]);
        assert_eq!(evenly_spaced(4, 2), vec![0, 0, 1, 1]);
    }

    #[test]
    fn a_student_of_the_teachers_width_takes_everything() {
        let teacher = random_weights(&config(8, 4), 1).unwrap();
        let random = random_weights(&config(8, 2), 2).unwrap();
        let start =
            from_blocks(&config(8, 2), random.clone(), of(&teacher, &config(8, 4))).unwrap();
        let student = &start.weights;
        assert_eq!(student.len(), random.len());
        assert_eq!(start.taken, start.parameters);
        assert_eq!(start.parameters, config(8, 2).num_parameters());
        for name in student.keys() {
            let source = match name.strip_prefix("encoder.blocks.0.") {
                Some(rest) => format!("encoder.blocks.1.{rest}"),
                None => name.replace("blocks.1.", "blocks.3."),
            };
            assert_eq!(student[name], teacher[&source], "{name}");
        }
    }

    #[test]
    fn a_narrower_student_takes_a_part_of_every_weight() {
        let teacher = random_weights(&config(16, 4), 1).unwrap();
        let random = random_weights(&config(8, 2), 2).unwrap();
        let start =
            from_blocks(&config(8, 2), random.clone(), of(&teacher, &config(16, 4))).unwrap();
        assert_eq!(start.taken, start.parameters);
        for (name, weight) in &start.weights {
            assert_eq!(weight.shape, random[name].shape, "{name}");
            let source = name.replace("blocks.1.", "blocks.3.");
            let source = &teacher[&source.replace("blocks.0.", "blocks.1.")];
            let is_taken = |value: &f32| source.data.contains(value);
            assert!(weight.data.iter().all(is_taken), "{name}");
        }
    }

    #[test]
    fn a_start_of_equal_size_keeps_the_teachers_function() {
        use burn::{Tensor, tensor::TensorData};
        use shared_model::model::{CtcModel, Mode};
        let config = config(16, 3);
        let teacher = random_weights(&config, 1).unwrap();
        for channels in [ChannelChoice::Even, ChannelChoice::Important] {
            let random = random_weights(&config, 2).unwrap();
            let trained = Trained {
                channels,
                ..of(&teacher, &config)
            };
            let start = from_blocks(&config, random, trained).unwrap();
            let logits = |weights: &Weights| -> Vec<f32> {
                let device = burn::prelude::Device::flex();
                let model = CtcModel::from_weights(&config, weights, &device).unwrap();
                let values: Vec<f32> = (0..40 * 8).map(|i| (i as f32 * 0.37).sin()).collect();
                let features = Tensor::from_data(TensorData::new(values, [1, 40, 8]), &device);
                let output = model.forward(features, &[40], &mut Mode::Eval);
                output.logits.into_data().iter().collect()
            };
            assert_eq!(logits(&start.weights), logits(&teacher), "{channels:?}");
        }
    }

    #[test]
    fn heads_wider_than_the_teachers_stay_random_and_are_not_counted() {
        let narrow = ModelConfig {
            n_heads: 1,
            ..config(12, 1)
        };
        let teacher = random_weights(&config(16, 1), 1).unwrap();
        let random = random_weights(&narrow, 2).unwrap();
        let start = from_blocks(&narrow, random.clone(), of(&teacher, &config(16, 1))).unwrap();
        let attention = ["qkv.weight", "qkv.bias", "out.weight"];
        let mut left = 0;
        for name in attention.map(|name| format!("encoder.blocks.0.attention.{name}")) {
            assert_eq!(start.weights[&name], random[&name]);
            left += random[&name].data.len();
        }
        assert_eq!(start.taken, start.parameters - left);
    }

    #[test]
    fn a_cut_keeps_the_blocks_that_are_asked_for() {
        let larger = random_weights(&config(8, 4), 1).unwrap();
        let first = cut(&larger, 4, 1, BlockChoice::First).unwrap();
        assert!(first.iter().all(|(name, weight)| *weight == larger[name]));
        let smaller = cut(&larger, 4, 1, BlockChoice::Last).unwrap();
        let name = "norm.weight";
        assert_eq!(
            smaller[&format!("encoder.blocks.0.{name}")],
            larger[&format!("encoder.blocks.3.{name}")]
        );
        assert_eq!(smaller["head.weight"], larger["head.weight"]);
        assert_eq!(
            smaller.len(),
            random_weights(&config(8, 1), 0).unwrap().len()
        );
    }
}
