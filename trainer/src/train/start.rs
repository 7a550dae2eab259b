//! What each network starts a phase from.

use burn::prelude::Device;
use shared_model::{
    bundle::LoadedModel,
    model::{CtcModel, ModelConfig, NormKind},
    weights::Weights,
};

use super::{
    RunContext, TEACHER, TrainError, TrainedNetwork, batch_norm, corpus_stats, error::of_network,
    initial, phase::derive_seed,
};
use crate::{
    config::{self, StudentConfig, StudentInit},
    event::TrainEvent,
};

/// An error if a loaded model hears or spells otherwise than the recipe; `model`: what to call it.
pub(super) fn check_inputs(
    context: &RunContext<'_>,
    loaded: &LoadedModel,
    model: &str,
) -> Result<(), TrainError> {
    if loaded.tokens == *context.tokens && loaded.features == context.recipe.features {
        return Ok(());
    }
    Err(TrainError::Recipe(format!(
        "{model} has other tokens or features than the recipe: set tokens.file to its tokens.txt and [features] to what its config.json says"
    )))
}

/// The teacher before its first step: the model that its `init_from` names, or random weights with
/// the statistics of the training features in them.
pub(super) fn of_teacher(
    context: &mut RunContext<'_>,
    config: &ModelConfig,
) -> Result<Weights, TrainError> {
    let random = random(context, TEACHER, config)?;
    if let Some(start) = context.starts.get(TEACHER) {
        return of_model(context, TEACHER, config, random, start);
    }
    let sample = context.source.plain_training(corpus_stats::UTTERANCES)?;
    let Some((mean, std)) = corpus_stats::measure(sample)? else {
        return Ok(random);
    };
    let model = CtcModel::from_weights(config, &random, &Device::flex())
        .map_err(of_network(TEACHER))?
        .with_corpus_stats(mean, std);
    Ok(model.weights())
}

/// A student before step 1; the corpus's statistics are always the teacher's.
///
/// # Errors
/// A student that its teacher does not fit.
pub(super) fn of_student(
    context: &mut RunContext<'_>,
    student: &StudentConfig,
    config: &ModelConfig,
    teacher: &TrainedNetwork,
) -> Result<Weights, TrainError> {
    if config.subsampling_factor != teacher.config.subsampling_factor
        || config.subsampling_padding != teacher.config.subsampling_padding
        || config.n_mels != teacher.config.n_mels
        || config.vocab_size != teacher.config.vocab_size
    {
        return Err(TrainError::Recipe(format!(
            "student \"{}\" has another subsampling, mel bands or vocabulary than its teacher: frames and classes are compared one by one",
            student.name
        )));
    }
    let random = random(context, &student.name, config)?;
    let weights = match (context.starts.get(&student.name), student.init) {
        (Some(start), _) => of_model(context, &student.name, config, random, start)?,
        (None, StudentInit::Random) => random,
        (None, StudentInit::TeacherBlocks) => {
            config::fits_into(config, &teacher.config).map_err(|reason| {
                TrainError::Recipe(format!("student \"{}\": {reason}", student.name))
            })?;
            let (weights, from) = (&teacher.weights, &teacher.config);
            let start = initial::from_blocks(config, random, weights, from);
            let start = start.map_err(of_network(&student.name))?;
            (context.events)(TrainEvent::Notice {
                message: format!(
                    "\"{}\" starts with {} of its {} parameters ({:.1} %) from its teacher's blocks",
                    student.name,
                    start.taken,
                    start.parameters,
                    100.0 * start.taken as f64 / start.parameters.max(1) as f64
                ),
            });
            own_statistics(context, &student.name, config, start.weights)?
        }
    };
    let start = || {
        let of_teacher =
            CtcModel::from_weights(&teacher.config, &teacher.weights, &Device::flex())?;
        let (mean, std) = of_teacher.corpus_stats();
        let model = CtcModel::from_weights(config, &weights, &Device::flex())?;
        Ok(model
            .with_corpus_stats(mean.to_vec(), std.to_vec())
            .weights())
    };
    start().map_err(of_network(&student.name))
}

/// A student before step 2: what step 1 made of it, or of the larger student that it is cut from.
pub(super) fn of_finetuning(
    context: &mut RunContext<'_>,
    name: &str,
    config: &ModelConfig,
    distilled: &TrainedNetwork,
) -> Result<Weights, TrainError> {
    if distilled.name == name {
        return Ok(distilled.weights.clone());
    }
    let layers = distilled.config.n_layers;
    let cut =
        initial::cut(&distilled.weights, layers, config.n_layers).map_err(of_network(name))?;
    own_statistics(context, name, config, cut)
}

/// The weights of a network of another's blocks, with its own statistics in its batch norms.
fn own_statistics(
    context: &mut RunContext<'_>,
    name: &str,
    config: &ModelConfig,
    weights: Weights,
) -> Result<Weights, TrainError> {
    if config.norm != NormKind::Batch {
        return Ok(weights);
    }
    let sample = context.source.plain_training(corpus_stats::UTTERANCES)?;
    batch_norm::reestimate(config, &weights, sample)?.map_err(of_network(name))
}

fn random(
    context: &RunContext<'_>,
    name: &str,
    config: &ModelConfig,
) -> Result<Weights, TrainError> {
    let seed = derive_seed(context.recipe.seed, &["init", name], &[]);
    initial::random_weights(config, seed).map_err(of_network(name))
}

/// The weights of a model that the recipe names for a network to start from.
fn of_model(
    context: &RunContext<'_>,
    name: &str,
    config: &ModelConfig,
    random: Weights,
    start: &LoadedModel,
) -> Result<Weights, TrainError> {
    let model = format!("the model that init_from of \"{name}\" names");
    check_inputs(context, start, &model)?;
    let alike = ModelConfig {
        n_layers: config.n_layers,
        dropout: config.dropout,
        ..start.model.clone()
    };
    if alike != *config {
        return Err(TrainError::Recipe(format!(
            "{model} has another shape: only n_layers and dropout may differ from its config.json"
        )));
    }
    let start = initial::from_blocks(config, random, &start.weights, &start.model);
    Ok(start.map_err(of_network(name))?.weights)
}
