//! What is measured: a recipe's networks with fresh weights, and a batch of noise.

use burn::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use shared_model::model::{CtcModel, ModelConfig};

use super::Options;
use crate::{
    config::{OptimConfig, Recipe},
    data::Batch,
    train::{
        DISTILL, FINETUNE, TEACH, TEACHER, TrainError,
        checkpoint::PhaseState,
        initial::random_weights,
        learner::Learner,
        network::Trainee,
        objective::Distillation,
        of_network,
        phase::{Goal, Team, threads_and_shards},
    },
};

/// Networks that take a step together.
pub(super) struct Subject {
    pub name: String,
    pub team: Team,
    pub is_distillation: bool,
    /// Step 1 of all students at once.
    pub is_together: bool,
    spec: Spec,
}

/// What a team is made from.
#[derive(Clone)]
struct Spec {
    phase: &'static str,
    networks: Vec<(String, ModelConfig, OptimConfig)>,
    /// Of step 1.
    teacher: Option<ModelConfig>,
    recipe: Recipe,
}

/// Frames a second.
const FRAMES_PER_SEC: f64 = 100.0;

/// A step that counts as every other.
fn steady(optim: &OptimConfig) -> OptimConfig {
    OptimConfig {
        accumulate: 1,
        epochs: usize::MAX,
        ..optim.clone()
    }
}

/// A network as this recipe's batches need it.
fn fitted(model: &ModelConfig, recipe: &Recipe, vocab_size: usize) -> ModelConfig {
    ModelConfig {
        n_mels: recipe.features.n_mels,
        vocab_size,
        ..model.clone()
    }
}

/// The teacher with CTC.
pub(super) fn teacher(recipe: &Recipe, vocab_size: usize) -> Result<Subject, TrainError> {
    let config = fitted(&recipe.teacher.model, recipe, vocab_size);
    let network = (TEACHER.to_owned(), config, steady(&recipe.teacher.optim));
    let spec = Spec {
        phase: TEACH,
        networks: vec![network],
        teacher: None,
        recipe: recipe.clone(),
    };
    Subject::new("teacher CTC".to_owned(), spec)
}

/// The teacher with CTC, each student with step 1 and with CTC, and step 1 of all students.
pub(super) fn subjects(recipe: &Recipe, vocab_size: usize) -> Result<Vec<Subject>, TrainError> {
    let teacher_config = fitted(&recipe.teacher.model, recipe, vocab_size);
    let spec = |phase, networks, teacher: Option<&ModelConfig>| Spec {
        phase,
        networks,
        teacher: teacher.cloned(),
        recipe: recipe.clone(),
    };
    let mut subjects = vec![teacher(recipe, vocab_size)?];
    let mut all = vec![];
    for student in &recipe.students {
        let name = student.name.clone();
        let config = fitted(&student.model, recipe, vocab_size);
        if student.cut_from.is_none() {
            let optim = steady(&recipe.distill.optim);
            let network = (name.clone(), config.clone(), optim);
            all.push(network.clone());
            let spec = spec(DISTILL, vec![network], Some(&teacher_config));
            subjects.push(Subject::new(format!("{name} EncRL"), spec)?);
        }
        let finetune = student.finetune.as_ref().unwrap_or(&recipe.finetune);
        let network = (name.clone(), config, steady(finetune));
        let spec = spec(FINETUNE, vec![network], None);
        subjects.push(Subject::new(format!("{name} CTC"), spec)?);
    }
    if all.len() > 1 {
        let name = format!("{} students EncRL", all.len());
        let spec = spec(DISTILL, all, Some(&teacher_config));
        subjects.push(Subject::new(name, spec)?);
    }
    Ok(subjects)
}

impl Subject {
    fn new(name: String, spec: Spec) -> Result<Self, TrainError> {
        Ok(Self {
            name,
            team: spec.team()?,
            is_distillation: spec.teacher.is_some(),
            is_together: spec.networks.len() > 1,
            spec,
        })
    }

    /// The same step of networks of the least width.
    pub(super) fn least(&self) -> Result<Team, TrainError> {
        let narrow = |config: &ModelConfig| ModelConfig {
            d_model: (2 * config.n_heads).max(8),
            d_ffn: 8,
            conv_kernel: 1,
            vocab_size: 2,
            ..config.clone()
        };
        let mut spec = self.spec.clone();
        spec.teacher = spec.teacher.as_ref().map(narrow);
        for (_, config, _) in &mut spec.networks {
            *config = narrow(config);
        }
        spec.team()
    }
}

impl Spec {
    fn team(&self) -> Result<Team, TrainError> {
        let recipe = &self.recipe;
        let operations = recipe.checkpoint.operations();
        let device = Device::flex().autodiff();
        let (threads, shards) = threads_and_shards(false, recipe.checkpoint.shards);
        let distillation = Distillation {
            weights: recipe.distill.resolved(),
            preset: recipe.distill.preset,
        };
        let goal = match &self.teacher {
            None => Goal::Ctc,
            Some(config) => Goal::Distill {
                teacher: Box::new(
                    CtcModel::init(config, recipe.seed, &Device::flex())
                        .map_err(of_network(TEACHER))?
                        .with_operations(operations),
                ),
                distillation,
            },
        };
        let project_to = match &goal {
            Goal::Distill {
                teacher,
                distillation,
            } if distillation.compares_features() => Some(teacher.config().d_model),
            _ => None,
        };
        let mut learners = vec![];
        for (name, config, optim) in &self.networks {
            let weights = random_weights(config, recipe.seed).map_err(of_network(name))?;
            let project_to = project_to.filter(|&width| width != config.d_model);
            let trainee = Trainee::new(config, &weights, project_to, recipe.seed, &device)
                .map_err(of_network(name))?
                .with_operations(operations);
            learners.push(Learner::new(name.clone(), optim.clone(), trainee, 1000));
        }
        let names: Vec<String> = self
            .networks
            .iter()
            .map(|(name, ..)| name.clone())
            .collect();
        Ok(Team {
            phase: self.phase,
            goal,
            learners,
            state: PhaseState::new(self.phase, shards, &names),
            threads,
            device,
        })
    }
}

/// Utterances of noise of one length, with as many random labels as speech of that length has.
pub(super) fn synthetic_batch(recipe: &Recipe, vocab_size: usize, options: Options) -> Batch {
    let Options {
        utterances,
        seconds,
        ..
    } = options;
    let n_mels = recipe.features.n_mels;
    let time = (seconds * FRAMES_PER_SEC).round().max(1.0) as usize;
    let models = std::iter::once(&recipe.teacher.model);
    let models = models.chain(recipe.students.iter().map(|student| &student.model));
    let frames = models.map(|model| model.encoder_length(time)).min();
    // About 12 characters or 4 pieces a second; equal neighbours need a blank between them.
    let rate = if vocab_size > 64 { 4.0 } else { 12.0 };
    let labels = ((seconds * rate) as usize)
        .min(frames.unwrap_or(0) / 2)
        .max(1);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(recipe.seed);
    let mut label = || rng.random_range(1..vocab_size as u32);
    let targets = (0..utterances).map(|_| (0..labels).map(|_| label()).collect());
    let targets = targets.collect();
    let values = (0..utterances * time * n_mels).map(|_| rng.random_range(-8.0..2.0));
    Batch {
        unmasked: None,
        views: 1,
        features: values.collect(),
        time,
        n_mels,
        lengths: vec![time; utterances],
        targets,
        utterance_ids: (0..utterances).map(|u| format!("noise {u}")).collect(),
        audio_secs: utterances as f64 * seconds,
    }
}
