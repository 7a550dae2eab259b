//! What networks start from.

use shared_model::{
    model::ModelConfig,
    weights::{RandomInit, WeightError, WeightSource, Weights, select_blocks},
};

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

/// Random weights of `config` with those of a trained network in their place wherever name and
/// shape agree, after the blocks were given evenly spaced blocks of the trained network, the last
/// among them: some are left out where it has more, some serve twice where it has fewer.
pub(super) fn from_blocks(
    config: &ModelConfig,
    random: Weights,
    trained: &Weights,
    trained_layers: usize,
) -> Result<Weights, WeightError> {
    let blocks = evenly_spaced(config.n_layers, trained_layers);
    let chosen = select_blocks(trained, &blocks)?;
    Ok(random
        .into_iter()
        .map(|(name, weight)| match chosen.get(&name) {
            Some(other) if other.shape == weight.shape => (name, other.clone()),
            _ => (name, weight),
        })
        .collect())
}

/// `count` of `available` blocks (0-based), evenly spaced, the last among them.
fn evenly_spaced(count: usize, available: usize) -> Vec<usize> {
    (1..=count)
        .map(|i| (i * available).div_ceil(count.max(1)).max(1) - 1)
        .collect()
}

/// The last `n_layers` blocks of a larger network with everything around them.
pub(super) fn cut(
    larger: &Weights,
    larger_layers: usize,
    n_layers: usize,
) -> Result<Weights, WeightError> {
    let first = larger_layers.saturating_sub(n_layers);
    select_blocks(larger, &(first..larger_layers).collect::<Vec<_>>())
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
    fn a_student_of_the_teachers_width_takes_front_end_head_and_blocks() {
        let teacher = random_weights(&config(8, 4), 1).unwrap();
        let random = random_weights(&config(8, 2), 2).unwrap();
        let student = from_blocks(&config(8, 2), random.clone(), &teacher, 4).unwrap();
        assert_eq!(student.len(), random.len());
        assert_eq!(student["head.weight"], teacher["head.weight"]);
        for name in student.keys() {
            if let Some(rest) = name.strip_prefix("encoder.blocks.0.") {
                assert_eq!(student[name], teacher[&format!("encoder.blocks.1.{rest}")]);
            }
        }
    }

    #[test]
    fn a_student_of_another_width_keeps_its_own_weights_where_shapes_differ() {
        let teacher = random_weights(&config(16, 4), 1).unwrap();
        let random = random_weights(&config(8, 2), 2).unwrap();
        let student = from_blocks(&config(8, 2), random.clone(), &teacher, 4).unwrap();
        assert_eq!(student["head.weight"], random["head.weight"]);
        assert_eq!(student["head.bias"], teacher["head.bias"]);
    }

    #[test]
    fn a_cut_keeps_the_last_blocks() {
        let larger = random_weights(&config(8, 4), 1).unwrap();
        let smaller = cut(&larger, 4, 1).unwrap();
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
