//! Training: a teacher with CTC, step 1 (EncRL) for all students at once, step 2 for each.
//!
//! One loop ([`phase`]) serves all three: any number of networks over the same batches, each with
//! its own optimiser and schedule. On the CPU a batch is split into parts; parts and networks are
//! spread over threads and their gradients added in a fixed order, so that the result depends on
//! the number of parts but not on timing.

mod average;
pub mod bench;
mod checkpoint;
mod clock;
mod corpus_stats;
mod error;
mod gradients;
mod initial;
mod learner;
mod muon;
mod network;
mod objective;
mod optimizer;
mod parallel;
mod part;
mod phase;
mod progress;
mod schedule;
mod source;
mod tensor_file;
#[cfg(test)]
mod tests;
mod validate;

pub use error::TrainError;
pub use schedule::learning_rate;
pub use source::{BatchSource, Batches, SourceError, TrainingAudio};
pub use validate::Validation;

pub(crate) use tensor_file::{read as read_tensors, write as write_tensors, write_atomically};

use std::{collections::BTreeMap, sync::atomic::AtomicBool};

use burn::prelude::Device;
use shared_model::{
    bundle::LoadedModel,
    model::{CtcModel, ModelConfig},
    tokens::Tokens,
    weights::{WeightError, Weights},
};

use crate::{
    config::{Recipe, StudentConfig, StudentInit},
    event::TrainEvent,
    run_folder::RunFolder,
};
use objective::Distillation;
use phase::{Candidate, Goal, Phase, derive_seed};

/// Everything that training needs from outside.
pub struct RunContext<'a> {
    pub recipe: &'a Recipe,
    pub folder: &'a RunFolder,
    pub tokens: &'a Tokens,
    pub source: &'a mut dyn BatchSource,
    /// Without autodiff.
    pub device: Device,
    /// Whether `device` is a graphics card, which gets one stream of work instead of threads.
    pub is_gpu: bool,
    /// The model that `teacher.from` names.
    pub pretrained_teacher: Option<LoadedModel>,
    /// The models that `init_from` names, by the name of the network that starts from it.
    pub starts: BTreeMap<String, LoadedModel>,
    /// Set from outside to save and stop after the step under way.
    pub stop: &'a AtomicBool,
    pub events: &'a mut dyn FnMut(TrainEvent),
}

/// A trained network.
#[derive(Debug, Clone)]
pub struct TrainedNetwork {
    pub name: String,
    pub config: ModelConfig,
    pub weights: Weights,
}

/// What a whole run gives.
#[derive(Debug, Clone)]
pub struct TrainedFamily {
    pub teacher: TrainedNetwork,
    /// In the order of the recipe.
    pub students: Vec<TrainedNetwork>,
}

const TEACH: &str = "teach";
const DISTILL: &str = "distill";
const FINETUNE: &str = "finetune";
const TEACHER: &str = "teacher";

/// Teacher, step 1, step 2; what is finished is taken from the run folder.
pub fn run(context: &mut RunContext<'_>) -> Result<TrainedFamily, TrainError> {
    let teacher = teach(context)?;
    if context.recipe.students.is_empty() {
        return Ok(TrainedFamily {
            teacher,
            students: vec![],
        });
    }
    distill(context)?;
    let students = finetune(context)?;
    Ok(TrainedFamily { teacher, students })
}

/// Trains the teacher with CTC, or takes the one that the recipe names.
pub fn teach(context: &mut RunContext<'_>) -> Result<TrainedNetwork, TrainError> {
    let recipe = context.recipe;
    if let Some(loaded) = &context.pretrained_teacher {
        check_inputs(context, loaded, "the model that teacher.from names")?;
        return Ok(TrainedNetwork {
            name: TEACHER.into(),
            config: loaded.model.clone(),
            weights: loaded.weights.clone(),
        });
    }
    let config = network_config(context, &recipe.teacher.model);
    if let Some(finished) = finished(context, TEACH, &[(TEACHER, &config)])? {
        return one(finished);
    }
    let seed = derive_seed(recipe.seed, &["init", TEACHER], &[]);
    let initial = initial::random_weights(&config, seed).map_err(of_network(TEACHER))?;
    let initial = match context.starts.get(TEACHER) {
        Some(start) => trained_start(context, TEACHER, &config, initial, start)?,
        None => with_corpus_stats(context, &config, initial)?,
    };
    let phase = Phase {
        name: TEACH,
        goal: Goal::Ctc,
        candidates: vec![Candidate {
            name: TEACHER.into(),
            config: config.clone(),
            initial,
            optim: recipe.teacher.optim.clone(),
        }],
    };
    let weights = phase.run(context)?;
    one(store(context, TEACH, &[(TEACHER, &config)], weights)?)
}

/// Step 1: every student that is not cut from another learns from the frozen teacher, all of them
/// from one teacher pass per batch.
pub fn distill(context: &mut RunContext<'_>) -> Result<Vec<TrainedNetwork>, TrainError> {
    let recipe = context.recipe;
    let students: Vec<(&StudentConfig, ModelConfig)> = recipe
        .students
        .iter()
        .filter(|student| student.cut_from.is_none())
        .map(|student| (student, network_config(context, &student.model)))
        .collect();
    let networks: Vec<(&str, &ModelConfig)> = students
        .iter()
        .map(|(student, config)| (student.name.as_str(), config))
        .collect();
    if let Some(finished) = finished(context, DISTILL, &networks)? {
        return Ok(finished);
    }
    let teacher = finished_teacher(context, DISTILL)?;
    let weights = recipe.distill.resolved();
    if [
        weights.clip,
        weights.mse,
        weights.kl,
        weights.ctc,
        weights.feature,
    ]
    .iter()
    .all(|&weight| weight <= 0.0)
    {
        return Err(TrainError::Recipe(
            "[distill] has no loss: every weight is 0".into(),
        ));
    }
    let mut candidates = vec![];
    for (student, config) in &students {
        candidates.push(Candidate {
            name: student.name.clone(),
            config: config.clone(),
            initial: student_start(context, student, config, &teacher)?,
            optim: recipe.distill.optim.clone(),
        });
    }
    let model = CtcModel::from_weights(&teacher.config, &teacher.weights, &context.device)
        .map_err(of_network(TEACHER))?
        .with_operations(recipe.checkpoint.operations());
    let phase = Phase {
        name: DISTILL,
        goal: Goal::Distill {
            teacher: Box::new(model),
            distillation: Distillation {
                weights,
                preset: recipe.distill.preset,
            },
        },
        candidates,
    };
    let weights = phase.run(context)?;
    store(context, DISTILL, &networks, weights)
}

/// Step 2: every student on transcripts, all of them over the same batches.
pub fn finetune(context: &mut RunContext<'_>) -> Result<Vec<TrainedNetwork>, TrainError> {
    let recipe = context.recipe;
    let configs: Vec<ModelConfig> = recipe
        .students
        .iter()
        .map(|student| network_config(context, &student.model))
        .collect();
    let students = recipe.students.iter().zip(&configs);
    let networks: Vec<(&str, &ModelConfig)> = students
        .clone()
        .map(|(student, config)| (student.name.as_str(), config))
        .collect();
    if let Some(finished) = finished(context, FINETUNE, &networks)? {
        return Ok(finished);
    }
    let mut candidates = vec![];
    for (student, config) in students {
        let source = recipe.step_one_source(student);
        let source_config = network_config(context, &source.model);
        let step_one = context
            .folder
            .phase_weights(DISTILL, &source.name)?
            .ok_or_else(|| TrainError::Order {
                phase: FINETUNE,
                missing: format!("step 1 of \"{}\"", source.name),
                run_first: DISTILL,
            })?;
        let initial = if source.name == student.name {
            step_one
        } else {
            initial::cut(&step_one, source_config.n_layers, config.n_layers)
                .map_err(of_network(&student.name))?
        };
        candidates.push(Candidate {
            name: student.name.clone(),
            config: config.clone(),
            initial,
            optim: student
                .finetune
                .as_ref()
                .unwrap_or(&recipe.finetune)
                .clone(),
        });
    }
    let phase = Phase {
        name: FINETUNE,
        goal: Goal::Ctc,
        candidates,
    };
    let weights = phase.run(context)?;
    store(context, FINETUNE, &networks, weights)
}

/// The networks of a finished part of a run, without training anything: `teach`, `distill` or
/// `finetune`; `None` if it has not ended yet.
pub fn finished_networks(
    recipe: &Recipe,
    tokens: &Tokens,
    folder: &RunFolder,
    phase: &str,
) -> Result<Option<Vec<TrainedNetwork>>, TrainError> {
    let names: Vec<(&str, &ModelConfig)> = match phase {
        TEACH => vec![(TEACHER, &recipe.teacher.model)],
        DISTILL => recipe
            .students
            .iter()
            .filter(|student| student.cut_from.is_none())
            .map(|student| (student.name.as_str(), &student.model))
            .collect(),
        _ => recipe
            .students
            .iter()
            .map(|student| (student.name.as_str(), &student.model))
            .collect(),
    };
    let mut networks = vec![];
    for (name, model) in names {
        let Some(weights) = folder.phase_weights(phase, name)? else {
            return Ok(None);
        };
        networks.push(TrainedNetwork {
            name: name.into(),
            config: fitted(model, recipe, tokens),
            weights,
        });
    }
    Ok(Some(networks))
}

fn network_config(context: &RunContext<'_>, model: &ModelConfig) -> ModelConfig {
    fitted(model, context.recipe, context.tokens)
}

/// The vocabulary may be known only once the tokens are made.
fn fitted(model: &ModelConfig, recipe: &Recipe, tokens: &Tokens) -> ModelConfig {
    ModelConfig {
        n_mels: recipe.features.n_mels,
        vocab_size: tokens.len(),
        ..model.clone()
    }
}

fn of_network(name: &str) -> impl FnOnce(WeightError) -> TrainError + use<> {
    let network = name.to_string();
    move |source| TrainError::Network { network, source }
}

/// The only one of several.
fn one(networks: Vec<TrainedNetwork>) -> Result<TrainedNetwork, TrainError> {
    networks
        .into_iter()
        .next()
        .ok_or_else(|| TrainError::Recipe("the recipe names no network".into()))
}

/// The result of a phase that has ended before.
fn finished(
    context: &mut RunContext<'_>,
    phase: &'static str,
    networks: &[(&str, &ModelConfig)],
) -> Result<Option<Vec<TrainedNetwork>>, TrainError> {
    let mut finished = vec![];
    for (name, config) in networks {
        let Some(weights) = context.folder.phase_weights(phase, name)? else {
            return Ok(None);
        };
        finished.push(TrainedNetwork {
            name: (*name).into(),
            config: (*config).clone(),
            weights,
        });
    }
    (context.events)(TrainEvent::Notice {
        message: format!("{phase} is finished already"),
    });
    Ok(Some(finished))
}

fn store(
    context: &RunContext<'_>,
    phase: &'static str,
    networks: &[(&str, &ModelConfig)],
    weights: Vec<Weights>,
) -> Result<Vec<TrainedNetwork>, TrainError> {
    let networks: Vec<TrainedNetwork> = networks
        .iter()
        .zip(weights)
        .map(|((name, config), weights)| TrainedNetwork {
            name: (*name).into(),
            config: (*config).clone(),
            weights,
        })
        .collect();
    context.folder.store_phase(phase, &networks)?;
    Ok(networks)
}

fn finished_teacher(
    context: &mut RunContext<'_>,
    phase: &'static str,
) -> Result<TrainedNetwork, TrainError> {
    if context.pretrained_teacher.is_some() {
        return teach(context);
    }
    let config = network_config(context, &context.recipe.teacher.model);
    let weights = context.folder.phase_weights(TEACH, TEACHER)?;
    let weights = weights.ok_or_else(|| TrainError::Order {
        phase,
        missing: "a trained teacher".into(),
        run_first: TEACH,
    })?;
    Ok(TrainedNetwork {
        name: TEACHER.into(),
        config,
        weights,
    })
}

/// Weights with the statistics of the training features in them.
fn with_corpus_stats(
    context: &mut RunContext<'_>,
    config: &ModelConfig,
    weights: Weights,
) -> Result<Weights, TrainError> {
    let sample = context.source.plain_training(corpus_stats::UTTERANCES)?;
    let Some((mean, std)) = corpus_stats::measure(sample)? else {
        return Ok(weights);
    };
    let model = CtcModel::from_weights(config, &weights, &Device::flex())
        .map_err(of_network(TEACHER))?
        .with_corpus_stats(mean, std);
    Ok(model.weights())
}

/// What a student starts step 1 from; the corpus's statistics are always the teacher's.
fn student_start(
    context: &RunContext<'_>,
    student: &StudentConfig,
    config: &ModelConfig,
    teacher: &TrainedNetwork,
) -> Result<Weights, TrainError> {
    let failed = of_network(&student.name);
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
    let seed = derive_seed(context.recipe.seed, &["init", &student.name], &[]);
    let random = initial::random_weights(config, seed).map_err(of_network(&student.name))?;
    let weights = match (context.starts.get(&student.name), student.init) {
        (Some(start), _) => trained_start(context, &student.name, config, random, start)?,
        (None, StudentInit::Random) => random,
        (None, StudentInit::TeacherBlocks) => {
            initial::from_blocks(config, random, &teacher.weights, teacher.config.n_layers)
                .map_err(of_network(&student.name))?
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
    start().map_err(failed)
}

/// An error if a loaded model hears or spells otherwise than the recipe; `model`: what to call it.
fn check_inputs(
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

/// What a network starts from whose recipe names a trained model for it.
fn trained_start(
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
    initial::from_blocks(config, random, &start.weights, start.model.n_layers)
        .map_err(of_network(name))
}
