//! Makes network trainers from network specs. Training and `fledge bench` both begin here.

use shared_model::{model::ModelConfig, weights::Weights};

use super::TrainerGroup;
use crate::{
    config::{Phase, TrainingConfig},
    data::TrainingAudio,
    train::{
        Compute, TrainError,
        answers::AnswerCache,
        checkpoint::{NetworkTensors, PhaseState},
        error::of_network,
        network::{ComparedFeatures, TrainableNetwork},
        network_trainer::NetworkTrainer,
        objective::Distillation,
        pruning,
        seed::derive_seed,
        teacher::FrozenTeacher,
    },
};

/// What the networks of a phase learn from.
pub(crate) enum Goal {
    /// Transcripts.
    Ctc,
    /// A frozen teacher (without autodiff).
    Distill {
        teacher: FrozenTeacher,
        distillation: Distillation,
        /// What it has answered before.
        answers: Option<Box<AnswerCache>>,
    },
}

impl Goal {
    pub fn audio(&self) -> TrainingAudio {
        match self {
            Self::Ctc => TrainingAudio::Transcribed,
            Self::Distill { .. } => TrainingAudio::All,
        }
    }

    /// The frozen teacher.
    pub fn teacher(&self) -> Option<&FrozenTeacher> {
        match self {
            Self::Ctc => None,
            Self::Distill { teacher, .. } => Some(teacher),
        }
    }

    /// What the frozen teacher has answered before.
    pub fn answers(&self) -> Option<&AnswerCache> {
        match self {
            Self::Ctc => None,
            Self::Distill { answers, .. } => answers.as_deref(),
        }
    }

    /// Whether transcripts are, or are a part of, what is learned.
    pub fn has_transcripts(&self) -> bool {
        match self {
            Self::Ctc => true,
            Self::Distill { distillation, .. } => distillation.weights.ctc > 0.0,
        }
    }

    /// What a student's features are compared with, if they are.
    fn compared(&self, student: &ModelConfig) -> Option<ComparedFeatures> {
        match self {
            Self::Distill {
                teacher,
                distillation,
                ..
            } if distillation.compares_features() => {
                let teacher = teacher.network()?.config();
                let layers = distillation.compared_layers(student.n_layers, teacher.n_layers);
                Some(ComparedFeatures {
                    width: teacher.d_model,
                    layers: layers.len(),
                })
            }
            _ => None,
        }
    }
}

/// What a network is to be.
#[derive(Clone)]
pub(crate) struct NetworkSpec {
    pub name: String,
    pub config: ModelConfig,
    /// The weights that it starts from.
    pub initial: Weights,
    pub training: TrainingConfig,
    /// Names and shapes of students that are its first blocks.
    pub exits: Vec<(String, ModelConfig)>,
    /// Share of its matrices' values that are 0 and stay so.
    pub prune_share: f64,
}

impl TrainerGroup {
    /// The trainers of a phase's networks, before their first step.
    ///
    /// - `steps`: updates that a network with these settings will make.
    ///
    /// # Errors
    /// Weights that are not those of their configuration.
    pub fn assemble(
        phase: Phase,
        goal: Goal,
        specs: Vec<NetworkSpec>,
        compute: Compute,
        seed: u64,
        steps: impl Fn(&TrainingConfig) -> usize,
    ) -> Result<Self, TrainError> {
        let mut trainers = vec![];
        for spec in specs {
            let initial = pruning::pruned(spec.initial, spec.prune_share);
            let network = TrainableNetwork::new(
                &spec.config,
                &initial,
                goal.compared(&spec.config),
                derive_seed(seed, &[phase.as_str(), &spec.name], &[]),
                &compute.device,
            )
            .map_err(of_network(&spec.name))?
            .with_operations(compute.operations);
            let network = if spec.training.ctc.own_exit_heads {
                let depths: Vec<usize> = spec.exits.iter().map(|(_, exit)| exit.n_layers).collect();
                let with_heads = network.with_exit_heads(&depths, &compute.device);
                with_heads.map_err(of_network(&spec.name))?
            } else {
                network
            };
            let steps = steps(&spec.training);
            let mut trainer = NetworkTrainer::new(spec.name, spec.training, network, steps);
            trainer.teach_exits(spec.exits);
            if spec.prune_share > 0.0 {
                trainer.keep_pruned();
            }
            trainers.push(trainer);
        }
        Ok(Self {
            phase,
            goal,
            trainers,
            compute,
            phones: None,
        })
    }

    /// Goes on from a checkpoint.
    ///
    /// # Errors
    /// A checkpoint of other networks.
    pub(super) fn restore(
        mut self,
        state: &PhaseState,
        tensors: Vec<NetworkTensors>,
    ) -> Result<Self, TrainError> {
        let saved: Vec<&str> = state.networks.iter().map(|n| n.name.as_str()).collect();
        if !self.names().eq(saved.iter().copied()) {
            let names: Vec<&str> = self.names().collect();
            return Err(TrainError::Recipe(format!(
                "it is of the networks {saved:?}, not {names:?}"
            )));
        }
        let trainers = self.trainers.into_iter().zip(&state.networks).zip(tensors);
        self.trainers = trainers
            .map(|((trainer, state), tensors)| {
                trainer
                    .restore(state, tensors, &self.compute.device)
                    .map_err(of_network(&state.name))
            })
            .collect::<Result<_, _>>()?;
        self.compute.shards = state.shards;
        Ok(self)
    }
}
