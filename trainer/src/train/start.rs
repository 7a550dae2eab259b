//! What each network starts a phase from. Some of it is measured on audio: of several processes the
//! first decides, so that a file that another cannot read makes no difference.

use burn::prelude::Device;
use shared_model::{
    bundle::LoadedModel,
    model::{CtcModel, ModelConfig, NormKind},
    weights::Weights,
};

use super::{
    RunContext, TEACHER, TrainError, TrainedNetwork, batch_norm, corpus_stats,
    error::of_network,
    exit_head::{ExitHeads, first_blocks},
    initial::{self, Trained},
    seed::derive_seed,
};
use crate::{
    config::{self, BlockChoice, ChannelChoice, StudentConfig, StudentInit},
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
    if let Some(start) = context.starts.get(TEACHER).cloned() {
        let start = (&start, BlockChoice::Even);
        return of_model_folder(context, TEACHER, config, &random, start);
    }
    with_statistics_of_training(context, TEACHER, config, random)
}

/// `weights` with the statistics of the training features, if there are any.
fn with_statistics_of_training(
    context: &mut RunContext<'_>,
    name: &str,
    config: &ModelConfig,
    weights: Weights,
) -> Result<Weights, TrainError> {
    let sample = context.source.plain_training(corpus_stats::UTTERANCES)?;
    let Some((mean, std)) = corpus_stats::measure(sample)? else {
        return Ok(weights);
    };
    let model = CtcModel::from_weights(config, &weights, &Device::flex())
        .map_err(of_network(name))?
        .with_corpus_stats(mean, std);
    Ok(model.weights())
}

/// A student before step 1; the corpus's statistics are the teacher's where there is one.
///
/// # Errors
/// A student that its teacher does not fit.
pub(super) fn of_student(
    context: &mut RunContext<'_>,
    student: &StudentConfig,
    config: &ModelConfig,
    teacher: Option<&TrainedNetwork>,
) -> Result<Weights, TrainError> {
    let random = random(context, &student.name, config)?;
    let blocks = student.blocks.unwrap_or(BlockChoice::Even);
    let of_model = context.starts.get(&student.name).cloned();
    let of_model = of_model
        .map(|start| of_model_folder(context, &student.name, config, &random, (&start, blocks)));
    let has_start = of_model.is_some();
    let weights = match (of_model.transpose()?, student.init, teacher) {
        (Some(weights), ..) => weights,
        (None, StudentInit::Random, _) => random,
        (None, StudentInit::TeacherBlocks, Some(teacher)) => {
            of_teacher_blocks(context, student, config, random, teacher)?
        }
        (None, StudentInit::TeacherBlocks, None) => {
            return Err(TrainError::Recipe(format!(
                "student \"{}\" starts from a teacher, and there is none",
                student.name
            )));
        }
    };
    let Some(teacher) = teacher else {
        return match has_start {
            true => Ok(weights),
            false => with_statistics_of_training(context, &student.name, config, weights),
        };
    };
    let with_statistics = || {
        let of_teacher =
            CtcModel::from_weights(&teacher.config, &teacher.weights, &Device::flex())?;
        let (mean, std) = of_teacher.corpus_stats();
        let model = CtcModel::from_weights(config, &weights, &Device::flex())?;
        Ok(model
            .with_corpus_stats(mean.to_vec(), std.to_vec())
            .weights())
    };
    with_statistics().map_err(of_network(&student.name))
}

/// An error if a student cannot be compared with its teacher.
pub(super) fn check_teacher(
    student: &str,
    config: &ModelConfig,
    teacher: &TrainedNetwork,
) -> Result<(), TrainError> {
    let teacher = &teacher.config;
    let reason = if config.n_mels != teacher.n_mels || config.vocab_size != teacher.vocab_size {
        "has other mel bands or another vocabulary than its teacher: classes are compared one by one"
            .to_owned()
    } else {
        match config::frames_compare(config, teacher) {
            Ok(()) => return Ok(()),
            Err(reason) => format!("subsampling_padding {reason}"),
        }
    };
    Err(TrainError::Recipe(format!(
        "student \"{student}\" {reason}"
    )))
}

/// Whether some layers have fewer channels than their teacher's.
fn narrower(student: &ModelConfig, teacher: &ModelConfig) -> bool {
    student.d_model < teacher.d_model || student.d_ffn < teacher.d_ffn
}

/// Random weights with what `student` takes of its teacher's blocks in their place.
fn of_teacher_blocks(
    context: &mut RunContext<'_>,
    student: &StudentConfig,
    config: &ModelConfig,
    random: Weights,
    teacher: &TrainedNetwork,
) -> Result<Weights, TrainError> {
    config::fits_into(config, &teacher.config)
        .map_err(|reason| TrainError::Recipe(format!("student \"{}\": {reason}", student.name)))?;
    let inputs = match student.channels {
        ChannelChoice::Fitted if narrower(config, &teacher.config) => {
            let sample = context.source.plain_training(corpus_stats::UTTERANCES)?;
            let inputs = initial::inputs_of(&teacher.config, &teacher.weights, sample)?;
            Some(inputs.map_err(of_network(&student.name))?)
        }
        ChannelChoice::Even | ChannelChoice::Important | ChannelChoice::Fitted => None,
    };
    let trained = Trained {
        weights: &teacher.weights,
        config: &teacher.config,
        blocks: student.blocks.unwrap_or(BlockChoice::Even),
        channels: student.channels,
        inputs: inputs.as_ref(),
    };
    let start = initial::from_blocks(config, random, trained);
    let start = start.map_err(of_network(&student.name))?;
    tell_of_phones(context, &student.name, (config, &teacher.config));
    (context.events)(TrainEvent::Notice {
        message: format!(
            "\"{}\" starts with {} of its {} parameters ({:.1} %) from its teacher's blocks",
            student.name,
            start.taken,
            start.parameters,
            100.0 * start.taken as f64 / start.parameters.max(1) as f64
        ),
    });
    own_statistics(context, &student.name, config, start.weights)
}

/// A student before step 2: what step 1 made of it, or of the larger student that it is cut from.
pub(super) fn of_finetuning(
    context: &mut RunContext<'_>,
    student: &StudentConfig,
    config: &ModelConfig,
    distilled: &TrainedNetwork,
) -> Result<Weights, TrainError> {
    let name = &student.name;
    if distilled.name == *name {
        return Ok(distilled.weights.clone());
    }
    let blocks = student.blocks.unwrap_or(BlockChoice::Last);
    let layers = distilled.config.n_layers;
    let cut = initial::cut(&distilled.weights, layers, config.n_layers, blocks);
    let cut = cut.map_err(of_network(name))?;
    let weights = with_own_phone_head(context, name, config, cut)?;
    own_statistics(context, name, config, weights)
}

/// A student that is the first blocks of a trained one, which has these heads for its exits.
pub(super) fn of_exit(
    context: &mut RunContext<'_>,
    name: &str,
    config: &ModelConfig,
    (host, heads): &(TrainedNetwork, ExitHeads),
) -> Result<Weights, TrainError> {
    let (layers, own) = (host.config.n_layers, config.n_layers);
    let first = first_blocks(&host.weights, layers, own, heads);
    own_statistics(context, name, config, first.map_err(of_network(name))?)
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
fn of_model_folder(
    context: &mut RunContext<'_>,
    name: &str,
    config: &ModelConfig,
    random: &Weights,
    (start, blocks): (&LoadedModel, BlockChoice),
) -> Result<Weights, TrainError> {
    let model = format!("the model that init_from of \"{name}\" names");
    check_inputs(context, start, &model)?;
    let alike = ModelConfig {
        n_layers: config.n_layers,
        dropout: config.dropout,
        phone_head: config.phone_head,
        ..start.model.clone()
    };
    if alike != *config {
        return Err(TrainError::Recipe(format!(
            "{model} has another shape: only n_layers, dropout and phone_head may differ from its config.json"
        )));
    }
    let trained = Trained {
        weights: &start.weights,
        config: &start.model,
        blocks,
        channels: ChannelChoice::Even,
        inputs: None,
    };
    let model = &start.model;
    let start = initial::from_blocks(config, random.clone(), trained);
    tell_of_phones(context, name, (config, model));
    Ok(start.map_err(of_network(name))?.weights)
}

/// Says that a network begins with a phone head that has learned nothing.
fn tell_of_phones(
    context: &mut RunContext<'_>,
    name: &str,
    (own, from): (&ModelConfig, &ModelConfig),
) {
    if own.phone_head && !from.phone_head {
        (context.events)(TrainEvent::Notice {
            message: format!(
                "\"{name}\" starts with a phone head of random weights: the network that it starts from has none"
            ),
        });
    }
}

/// `weights` of another network's blocks with a phone head if `config` has one, a random one where
/// the other has none.
fn with_own_phone_head(
    context: &mut RunContext<'_>,
    name: &str,
    config: &ModelConfig,
    mut weights: Weights,
) -> Result<Weights, TrainError> {
    const PHONE_HEAD: &str = "phone_head.";
    let own = |name: &String| name.starts_with(PHONE_HEAD);
    if !config.phone_head {
        weights.retain(|name, _| !own(name));
    } else if !weights.keys().any(own) {
        let drawn = random(context, name, config)?;
        weights.extend(drawn.into_iter().filter(|(name, _)| own(name)));
        let from = ModelConfig {
            phone_head: false,
            ..config.clone()
        };
        tell_of_phones(context, name, (config, &from));
    }
    Ok(weights)
}
