//! The phases of a run, which take networks and give networks. What a phase has ended with is kept
//! in the run folder, so that a run continues after it.

use std::sync::Arc;

use shared_model::{
    model::{CtcModel, ModelConfig},
    tokens::Tokens,
    weights::Weights,
};

use super::{
    RunContext, TrainError,
    answers::AnswerCache,
    error::of_network,
    exchange::{phase_from_first, weights_from_first},
    exit_head::{ExitHeads, take_exit_heads},
    objective::Distillation,
    phase::{Goal, NetworkSpec, PhaseRun},
    start,
    teacher::FrozenTeacher,
};
use crate::{
    config::{Phase, Recipe, StudentConfig},
    event::TrainEvent,
    onnx_network::OnnxNetwork,
    run_folder::RunFolder,
};

/// What the teacher is called among networks.
pub const TEACHER: &str = "teacher";

/// A trained network.
#[derive(Debug, Clone)]
pub struct TrainedNetwork {
    /// [`TEACHER`], or a student's name.
    pub name: String,
    /// Its shape.
    pub config: ModelConfig,
    /// Its weights.
    pub weights: Weights,
}

/// What a whole run gives.
#[derive(Debug, Clone)]
pub struct TrainedFamily {
    /// The teacher, if a student needed one.
    pub teacher: Option<TrainedNetwork>,
    /// In the order of the recipe.
    pub students: Vec<TrainedNetwork>,
}

/// Teacher, step 1, step 2; what is finished is taken from the run folder. A teacher that no student
/// needs is not trained.
///
/// # Errors
/// As [`teach`], [`distill`] and [`finetune`].
pub fn run(context: &mut RunContext<'_>) -> Result<TrainedFamily, TrainError> {
    let needs_teacher = context.recipe.needs_teacher() && context.onnx_teacher.is_none();
    let teacher = needs_teacher.then(|| teach(context)).transpose()?;
    if context.recipe.students.is_empty() {
        return Ok(TrainedFamily {
            teacher,
            students: vec![],
        });
    }
    let distilled = distill(context, teacher.as_ref())?;
    let students = finetune(context, &distilled)?;
    Ok(TrainedFamily { teacher, students })
}

/// Trains the teacher with CTC, or takes the one that the recipe names.
///
/// # Errors
/// A stop that was asked for, data or a run folder that cannot be used, a loss that is not finite.
pub fn teach(context: &mut RunContext<'_>) -> Result<TrainedNetwork, TrainError> {
    if let Some(loaded) = &context.pretrained_teacher {
        start::check_inputs(context, loaded, "the model that teacher.from names")?;
        return Ok(TrainedNetwork {
            name: TEACHER.into(),
            config: loaded.model.clone(),
            weights: loaded.weights.clone(),
        });
    }
    let networks = resume_or(context, Phase::Teach, |context, networks| {
        let (recipe, team) = (context.recipe, context.team);
        let mut specs = vec![];
        for (name, config) in networks {
            specs.push(NetworkSpec {
                initial: weights_from_first(team, || start::of_teacher(context, &config))?,
                name,
                config,
                training: recipe.teach.clone(),
                exits: vec![],
                prune_share: 0.0,
            });
        }
        Ok((Goal::Ctc, specs))
    })?;
    one(networks)
}

/// Step 1: every student that is not cut from another learns from the frozen teacher, all of them
/// from one teacher pass per batch.
///
/// - `teacher`: what [`teach`] gave, where the recipe needs it.
///
/// # Errors
/// As [`teach`], and students whose frames or classes are not the teacher's.
pub fn distill(
    context: &mut RunContext<'_>,
    teacher: Option<&TrainedNetwork>,
) -> Result<Vec<TrainedNetwork>, TrainError> {
    resume_or(context, Phase::Distill, |context, networks| {
        let (recipe, team) = (context.recipe, context.team);
        let mut specs = vec![];
        let students = recipe.step_one_students();
        for (student, (name, config)) in students.zip(networks) {
            let training = recipe.distill_of(student);
            if let Some(teacher) = teacher.filter(|_| training.epochs > 0) {
                start::check_teacher(&name, &config, teacher)?;
            }
            let start = || start::of_student(context, student, &config, teacher);
            specs.push(NetworkSpec {
                initial: weights_from_first(team, start)?,
                exits: exits_of(context, &name),
                name,
                config,
                training,
                prune_share: student.prune_share,
            });
        }
        let goal = match (teacher, &context.onnx_teacher) {
            (Some(teacher), _) => goal_of_step_one(context, teacher)?,
            (None, Some(teacher)) => goal_of_onnx(context, teacher)?,
            (None, None) if specs.iter().all(|spec| spec.training.epochs == 0) => Goal::Ctc,
            (None, None) => return Err(no_teacher()),
        };
        Ok((goal, specs))
    })
}

fn goal_of_step_one(
    context: &RunContext<'_>,
    teacher: &TrainedNetwork,
) -> Result<Goal, TrainError> {
    let recipe = context.recipe;
    let model = CtcModel::from_weights(&teacher.config, &teacher.weights, &context.device)
        .map_err(of_network(TEACHER))?
        .with_operations(recipe.compute.operations());
    let answers = recipe.distill.answers.as_deref().map(|folder| {
        let limit_bytes = recipe.distill.answers_mb as u64 * 1_000_000;
        AnswerCache::open(folder, limit_bytes, &model)
    });
    Ok(Goal::Distill {
        answers: answers.transpose()?.map(Box::new),
        teacher: FrozenTeacher::Network(Box::new(model)),
        distillation: Distillation::new(&recipe.distill),
    })
}

/// Step 1 with somebody else's teacher.
fn goal_of_onnx(context: &RunContext<'_>, teacher: &Arc<OnnxNetwork>) -> Result<Goal, TrainError> {
    let (own, tokens) = (teacher.vocab_size(), context.tokens.len());
    if own != tokens {
        return Err(TrainError::Recipe(format!(
            "the file of teacher.onnx has {own} classes, and its tokens are {tokens}: set tokens.file to its tokens.txt"
        )));
    }
    Ok(Goal::Distill {
        answers: None,
        teacher: FrozenTeacher::Onnx(Arc::clone(teacher)),
        distillation: Distillation::new(&context.recipe.distill),
    })
}

fn no_teacher() -> TrainError {
    TrainError::Order {
        phase: Phase::Distill,
        missing: "a trained teacher".into(),
        run_first: Phase::Teach,
    }
}

/// Step 2: every student on transcripts, all of them over the same batches.
///
/// - `distilled`: what [`distill`] gave.
///
/// # Errors
/// As [`teach`], and a student of whose source `distilled` has nothing.
pub fn finetune(
    context: &mut RunContext<'_>,
    distilled: &[TrainedNetwork],
) -> Result<Vec<TrainedNetwork>, TrainError> {
    resume_or(context, Phase::Finetune, |context, networks| {
        let (recipe, team) = (context.recipe, context.team);
        let mut specs = vec![];
        for (student, (name, config)) in recipe.students.iter().zip(networks) {
            if student.exit_of.is_some() {
                continue;
            }
            let source = &recipe.step_one_source(student).name;
            let distilled = distilled.iter().find(|network| network.name == *source);
            let distilled = distilled.ok_or_else(|| TrainError::Order {
                phase: Phase::Finetune,
                missing: format!("step 1 of \"{source}\""),
                run_first: Phase::Distill,
            })?;
            let start = || start::of_finetuning(context, student, &config, distilled);
            specs.push(NetworkSpec {
                initial: weights_from_first(team, start)?,
                exits: exits_of(context, &name),
                name,
                config,
                training: recipe.finetune_of(student).clone(),
                prune_share: student.prune_share,
            });
        }
        Ok((Goal::Ctc, specs))
    })
}

/// What `needed_by` works on, from the run folder: the networks that the phase before ended with.
///
/// # Errors
/// The phase before has not ended, or what it left cannot be read.
pub fn trained_before(
    context: &mut RunContext<'_>,
    needed_by: Phase,
) -> Result<Vec<TrainedNetwork>, TrainError> {
    let (before, missing) = match needed_by {
        Phase::Teach => return Ok(vec![]),
        Phase::Distill if !context.recipe.needs_teacher() || context.onnx_teacher.is_some() => {
            return Ok(vec![]);
        }
        Phase::Distill if context.pretrained_teacher.is_some() => {
            return Ok(vec![teach(context)?]);
        }
        Phase::Distill => (Phase::Teach, "a trained teacher"),
        Phase::Finetune => (Phase::Distill, "the students of step 1"),
    };
    finished_together(context, before)?.ok_or_else(|| TrainError::Order {
        phase: needed_by,
        missing: missing.into(),
        run_first: before,
    })
}

/// The networks of a finished phase of a run, without training anything; `None` if it has not
/// ended yet.
///
/// # Errors
/// Weights that cannot be read.
pub fn finished_networks(
    recipe: &Recipe,
    tokens: &Tokens,
    folder: &RunFolder,
    phase: Phase,
) -> Result<Option<Vec<TrainedNetwork>>, TrainError> {
    let mut networks = vec![];
    for (name, config) in networks_of(recipe, tokens, phase) {
        let Some(weights) = folder.phase_weights(phase, &name)? else {
            return Ok(None);
        };
        networks.push(TrainedNetwork {
            name,
            config,
            weights,
        });
    }
    Ok(Some(networks))
}

/// As [`finished_networks`], from the run folder of process 0.
fn finished_together(
    context: &RunContext<'_>,
    phase: Phase,
) -> Result<Option<Vec<TrainedNetwork>>, TrainError> {
    let (recipe, tokens) = (context.recipe, context.tokens);
    let found = phase_from_first(context.team, || {
        let finished = finished_networks(recipe, tokens, context.folder, phase)?;
        Ok(finished.map(|networks| networks.into_iter().map(|n| n.weights).collect()))
    })?;
    let Some(weights) = found else {
        return Ok(None);
    };
    let networks = networks_of(recipe, tokens, phase).into_iter().zip(weights);
    let networks = networks.map(|((name, config), weights)| TrainedNetwork {
        name,
        config,
        weights,
    });
    Ok(Some(networks.collect()))
}

/// Names and shapes of the networks that a phase trains.
fn networks_of(recipe: &Recipe, tokens: &Tokens, phase: Phase) -> Vec<(String, ModelConfig)> {
    let fitted = |name: &str, model: &ModelConfig| {
        let config = recipe.fitted(model, tokens.len());
        (name.to_owned(), config)
    };
    match phase {
        Phase::Teach => vec![fitted(TEACHER, &recipe.teacher.model)],
        Phase::Distill => recipe
            .step_one_students()
            .map(|student| fitted(&student.name, &student.model))
            .collect(),
        Phase::Finetune => recipe
            .students
            .iter()
            .map(|student| fitted(&student.name, &student.model))
            .collect(),
    }
}

/// Names and shapes of the students that are first blocks of a network.
fn exits_of(context: &RunContext<'_>, host: &str) -> Vec<(String, ModelConfig)> {
    let (recipe, tokens) = (context.recipe, context.tokens);
    let fitted = |exit: &StudentConfig| recipe.fitted(&exit.model, tokens.len());
    let exits = recipe.exits_of(host);
    exits
        .map(|exit| (exit.name.clone(), fitted(exit)))
        .collect()
}

/// The networks that a phase ends with: those in the run folder if it has ended, else what training
/// makes of those that `specs` begins with, kept in the run folder.
fn resume_or(
    context: &mut RunContext<'_>,
    phase: Phase,
    specs: impl FnOnce(
        &mut RunContext<'_>,
        Vec<(String, ModelConfig)>,
    ) -> Result<(Goal, Vec<NetworkSpec>), TrainError>,
) -> Result<Vec<TrainedNetwork>, TrainError> {
    let (recipe, tokens) = (context.recipe, context.tokens);
    if let Some(finished) = finished_together(context, phase)? {
        (context.events)(TrainEvent::Notice {
            message: format!("{phase} is finished already"),
        });
        return Ok(finished);
    }
    let networks = networks_of(recipe, tokens, phase);
    let (goal, specs) = specs(context, networks.clone())?;
    let shapes = specs
        .iter()
        .map(|spec| (spec.name.clone(), spec.config.clone()));
    let shapes: Vec<(String, ModelConfig)> = shapes.collect();
    let weights = PhaseRun::open(phase, goal, specs, context)?.run(context)?;
    let trained = shapes.into_iter().zip(weights);
    let trained = trained.map(|((name, config), weights)| TrainedNetwork {
        name,
        config,
        weights,
    });
    let finished = with_exits(context, networks, trained.collect())?;
    let named = finished.iter().map(|n| (n.name.as_str(), &n.weights));
    context.folder.store_phase(phase, named)?;
    Ok(finished)
}

/// All of `networks`: those that were trained, and those that are the first blocks of one of them.
fn with_exits(
    context: &mut RunContext<'_>,
    networks: Vec<(String, ModelConfig)>,
    trained: Vec<TrainedNetwork>,
) -> Result<Vec<TrainedNetwork>, TrainError> {
    let with_heads = |mut network: TrainedNetwork| {
        let heads = take_exit_heads(&mut network.weights);
        (network, heads)
    };
    let trained: Vec<(TrainedNetwork, ExitHeads)> = trained.into_iter().map(with_heads).collect();
    let mut all = vec![];
    for (name, config) in networks {
        let of_name = |name: &str| trained.iter().find(|(network, _)| network.name == name);
        if let Some((network, _)) = of_name(&name) {
            all.push(network.clone());
            continue;
        }
        let students = &context.recipe.students;
        let student = students.iter().find(|student| student.name == name);
        let host = student.and_then(|student| of_name(student.exit_of.as_deref()?));
        let host = host.ok_or_else(|| {
            TrainError::Recipe(format!(
                "student \"{name}\" is a part of no trained network"
            ))
        })?;
        let team = context.team;
        let weights = weights_from_first(team, || start::of_exit(context, &name, &config, host))?;
        all.push(TrainedNetwork {
            name,
            config,
            weights,
        });
    }
    Ok(all)
}

/// The only one of several.
fn one(networks: Vec<TrainedNetwork>) -> Result<TrainedNetwork, TrainError> {
    networks
        .into_iter()
        .next()
        .ok_or_else(|| TrainError::Recipe("the recipe names no network".into()))
}
