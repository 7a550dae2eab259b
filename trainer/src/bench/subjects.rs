//! What is measured: a recipe's networks with fresh weights, and a batch of noise.

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use shared_model::{
    features::FRAMES_PER_SEC,
    model::{CtcModel, ModelConfig},
};

use super::Options;
use crate::{
    cluster::Team,
    config::{CtcConfig, OptimConfig, Phase, Recipe, StudentConfig, TrainingConfig},
    data::{Batch, SpecMask},
    device::{DeviceKind, OpenDevice},
    train::{
        Compute, Distillation, FrozenTeacher, Goal, NetworkSpec, TEACHER, TrainError, TrainerGroup,
        random_weights,
    },
};

/// Networks that take a step together.
pub(super) struct Subject {
    pub name: String,
    pub group: TrainerGroup,
    pub is_distillation: bool,
    /// Step 1 of all students at once.
    pub is_together: bool,
    spec: Spec,
}

/// What a group is made from.
#[derive(Clone)]
struct Spec {
    phase: Phase,
    networks: Vec<(String, ModelConfig, TrainingConfig)>,
    /// Of step 1.
    teacher: Option<ModelConfig>,
    recipe: Recipe,
    device: OpenDevice,
}

/// Updates that schedules reckon with; no measurement depends on them.
const STEPS: usize = 1000;

/// A step that counts as every other.
fn steady(training: &TrainingConfig) -> TrainingConfig {
    TrainingConfig {
        epochs: usize::MAX,
        gentle_epochs: 0,
        ctc: CtcConfig {
            consistency_weight: 0.0,
            ..training.ctc.clone()
        },
        optim: OptimConfig {
            accumulate: 1,
            ..training.optim.clone()
        },
        ..training.clone()
    }
}

/// The teacher with CTC.
pub(super) fn teacher(
    recipe: &Recipe,
    vocab_size: usize,
    device: &OpenDevice,
) -> Result<Subject, TrainError> {
    let config = recipe.fitted(&recipe.teacher.model, vocab_size);
    let network = (TEACHER.to_owned(), config, steady(&recipe.teach));
    let spec = Spec {
        phase: Phase::Teach,
        networks: vec![network],
        teacher: None,
        recipe: recipe.clone(),
        device: device.clone(),
    };
    Subject::new("teacher CTC".to_owned(), spec)
}

/// A step of each phase: the teacher with CTC, all students with step 1, all students with CTC.
pub(super) fn phase_steps(
    recipe: &Recipe,
    vocab_size: usize,
    device: &OpenDevice,
) -> Result<Vec<Subject>, TrainError> {
    let network = |student: &StudentConfig, training: &TrainingConfig| {
        let config = recipe.fitted(&student.model, vocab_size);
        (student.name.clone(), config, steady(training))
    };
    let step_one = recipe.step_one_students();
    let step_one = step_one.map(|student| network(student, &recipe.distill_of(student)));
    let step_two = recipe
        .whole_students()
        .map(|student| network(student, recipe.finetune_of(student)));
    let spec = |phase, networks, teacher| Spec {
        phase,
        networks,
        teacher,
        recipe: recipe.clone(),
        device: device.clone(),
    };
    let teacher_config = recipe.fitted(&recipe.teacher.model, vocab_size);
    let phases = [
        (
            "EncRL",
            spec(Phase::Distill, step_one.collect(), Some(teacher_config)),
        ),
        ("CTC", spec(Phase::Finetune, step_two.collect(), None)),
    ];
    let mut subjects = vec![teacher(recipe, vocab_size, device)?];
    for (what, spec) in phases {
        if !spec.networks.is_empty() {
            let name = format!("{} students {what}", spec.networks.len());
            subjects.push(Subject::new(name, spec)?);
        }
    }
    Ok(subjects)
}

/// The teacher with CTC, each student with step 1 and with CTC, and step 1 of all students; on the
/// CPU.
pub(super) fn subjects(recipe: &Recipe, vocab_size: usize) -> Result<Vec<Subject>, TrainError> {
    let device = OpenDevice::cpu("its processor time is measured");
    let teacher_config = recipe.fitted(&recipe.teacher.model, vocab_size);
    let spec = |phase, networks, teacher: Option<&ModelConfig>| Spec {
        phase,
        networks,
        teacher: teacher.cloned(),
        recipe: recipe.clone(),
        device: device.clone(),
    };
    let mut subjects = vec![teacher(recipe, vocab_size, &device)?];
    let mut all = vec![];
    for student in recipe.whole_students() {
        let name = student.name.clone();
        let config = recipe.fitted(&student.model, vocab_size);
        if student.cut_from.is_none() {
            let training = steady(&recipe.distill_of(student));
            let network = (name.clone(), config.clone(), training);
            all.push(network.clone());
            let spec = spec(Phase::Distill, vec![network], Some(&teacher_config));
            subjects.push(Subject::new(format!("{name} EncRL"), spec)?);
        }
        let network = (name.clone(), config, steady(recipe.finetune_of(student)));
        let spec = spec(Phase::Finetune, vec![network], None);
        subjects.push(Subject::new(format!("{name} CTC"), spec)?);
    }
    if all.len() > 1 {
        let name = format!("{} students EncRL", all.len());
        let spec = spec(Phase::Distill, all, Some(&teacher_config));
        subjects.push(Subject::new(name, spec)?);
    }
    Ok(subjects)
}

impl Subject {
    fn new(name: String, spec: Spec) -> Result<Self, TrainError> {
        Ok(Self {
            name,
            group: spec.group()?,
            is_distillation: spec.teacher.is_some(),
            is_together: spec.networks.len() > 1,
            spec,
        })
    }

    /// The same step of networks of the least width.
    pub(super) fn least(&self) -> Result<TrainerGroup, TrainError> {
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
        spec.group()
    }
}

impl Spec {
    fn group(&self) -> Result<TrainerGroup, TrainError> {
        let recipe = &self.recipe;
        let of_network = |name: &str| {
            let network = name.to_owned();
            move |reason| TrainError::Network { network, reason }
        };
        let OpenDevice { device, kind, .. } = &self.device;
        let compute = Compute::new(
            device,
            *kind == DeviceKind::Gpu,
            &recipe.compute,
            Team::alone(),
        );
        let goal = match &self.teacher {
            None => Goal::Ctc,
            Some(config) => Goal::Distill {
                teacher: FrozenTeacher::Network(Box::new(
                    CtcModel::init(config, recipe.seed, device)
                        .map_err(of_network(TEACHER))?
                        .with_operations(compute.operations),
                )),
                distillation: Distillation::new(&recipe.distill),
                answers: None,
            },
        };
        let mut specs = vec![];
        for (name, config, training) in &self.networks {
            let exits = recipe.exits_of(name);
            specs.push(NetworkSpec {
                initial: random_weights(config, recipe.seed).map_err(of_network(name))?,
                name: name.clone(),
                config: config.clone(),
                training: training.clone(),
                exits: exits
                    .map(|exit| (exit.name.clone(), exit.model.clone()))
                    .collect(),
                prune_share: 0.0,
            });
        }
        TrainerGroup::assemble(self.phase, goal, specs, compute, recipe.seed, |_| STEPS)
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
        masks: vec![SpecMask::default(); utterances],
        shards: vec![],
        places: vec![],
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
