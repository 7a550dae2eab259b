//! Running statistics of batch norms for networks that were put together from another's blocks.

use burn::prelude::*;
use shared_model::{
    model::{CtcModel, Mode, ModelConfig, TrainContext},
    weights::{WeightError, Weights},
};

use super::shard::Shard;
use crate::data::{Batches, DataError};

/// `weights` with the statistics of their own activations over `batches`. The running statistics of a
/// network that was cut from another are those of other inputs; training would follow only slowly,
/// and until then evaluation sees another network than training.
///
/// # Errors
/// A batch that cannot be made; within, weights that do not fit `config`.
pub(super) fn reestimate(
    config: &ModelConfig,
    weights: &Weights,
    batches: Batches<'_>,
) -> Result<Result<Weights, WeightError>, DataError> {
    let steady = ModelConfig {
        dropout: 0.0,
        ..config.clone()
    };
    let device = Device::flex();
    let model = match CtcModel::from_weights(&steady, weights, &device) {
        Ok(model) => model,
        Err(error) => return Ok(Err(error)),
    };
    let mut context = TrainContext::new(0);
    for batch in batches {
        let shard = Shard::whole(&batch?);
        shard.forward(&model, false, &device, &mut Mode::Train(&mut context));
    }
    Ok(Ok(model
        .replace_batch_norms(&context.batch_stats)
        .weights()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use shared_model::model::NormKind;

    use super::*;
    use crate::config::BlockChoice;
    use crate::{
        data::{Batch, SpecMask},
        train::initial::{cut, random_weights},
    };

    fn config(n_layers: usize) -> ModelConfig {
        ModelConfig {
            n_mels: 8,
            vocab_size: 5,
            d_model: 16,
            n_layers,
            n_heads: 2,
            d_ffn: 16,
            conv_kernel: 3,
            norm: NormKind::Batch,
            ..ModelConfig::default()
        }
    }

    /// Two utterances of bands that rise and fall.
    fn batch(salt: usize) -> Batch {
        let value = |i: usize| ((i * 7919 + salt * 131) % 1009) as f32 / 100.0;
        Batch {
            features: (0..2 * 60 * 8).map(value).collect(),
            masks: vec![SpecMask::default(); 2],
            shards: vec![],
            places: vec![],
            views: 1,
            time: 60,
            n_mels: 8,
            lengths: vec![60; 2],
            targets: vec![vec![]; 2],
            utterance_ids: vec![String::new(); 2],
            audio_secs: 1.2,
        }
    }

    /// How far evaluation is from training, whose norms use the batch's own statistics.
    fn distance(weights: &Weights) -> f32 {
        let steady = ModelConfig {
            dropout: 0.0,
            ..config(1)
        };
        let device = Device::flex();
        let model = CtcModel::from_weights(&steady, weights, &device).unwrap();
        let shard = Shard::whole(&batch(0));
        let evaluated = shard.forward(&model, false, &device, &mut Mode::Eval);
        let mut context = TrainContext::new(0);
        let trained = shard.forward(&model, false, &device, &mut Mode::Train(&mut context));
        let difference = evaluated.logits - trained.logits;
        difference.abs().mean().into_scalar::<f32>()
    }

    #[test]
    fn a_cut_network_evaluates_as_it_trains() {
        let larger = random_weights(&config(3), 1).unwrap();
        // Running statistics as three blocks may have left them.
        let larger: Weights = larger
            .into_iter()
            .map(|(name, mut weight)| {
                if name.contains(".running_") {
                    weight
                        .data
                        .iter_mut()
                        .for_each(|value| *value = *value * 4.0 + 0.5);
                }
                (name, weight)
            })
            .collect();
        let smaller = cut(&larger, 3, 1, BlockChoice::Last).unwrap();
        let batches = Box::new((0..3).map(|salt| Ok(batch(salt))));
        let estimated = reestimate(&config(1), &smaller, batches).unwrap().unwrap();
        let (before, after) = (distance(&smaller), distance(&estimated));
        assert!(after < 0.2 * before, "{after} after {before}");
        for (name, weight) in &smaller {
            let is_same = estimated[name] == *weight;
            assert_eq!(is_same, !name.contains(".running_"), "{name}");
        }
    }
}
