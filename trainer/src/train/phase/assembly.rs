//! Makes network trainers from network specs. Training and `fledge bench` both begin here.

use shared_model::{
    model::{CtcModel, ModelConfig},
    weights::Weights,
};

use super::{TrainerGroup, derive_seed};
use crate::{
    config::{Phase, TrainingConfig},
    data::TrainingAudio,
    train::{
        Compute, TrainError,
        checkpoint::{NetworkTensors, PhaseState},
        error::of_network,
        network::TrainableNetwork,
        network_trainer::NetworkTrainer,
        objective::Distillation,
    },
};

/// What the networks of a phase learn from.
pub(crate) enum Goal {
    /// Transcripts.
    Ctc,
    /// A frozen teacher (without autodiff).
    Distill {
        teacher: Box<CtcModel>,
        distillation: Distillation,
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
    pub fn teacher(&self) -> Option<&CtcModel> {
        match self {
            Self::Ctc => None,
            Self::Distill { teacher, .. } => Some(teacher),
        }
    }

    /// The width that features are compared at, if they are.
    fn compared_width(&self) -> Option<usize> {
        match self {
            Self::Distill {
                teacher,
                distillation,
            } if distillation.compares_features() => Some(teacher.config().d_model),
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
            let width = goal.compared_width();
            let network = TrainableNetwork::new(
                &spec.config,
                &spec.initial,
                width.filter(|&width| width != spec.config.d_model),
                derive_seed(seed, &[phase.as_str(), &spec.name], &[]),
                &compute.device,
            )
            .map_err(of_network(&spec.name))?
            .with_operations(compute.operations);
            let steps = steps(&spec.training);
            trainers.push(NetworkTrainer::new(
                spec.name,
                spec.training,
                network,
                steps,
            ));
        }
        Ok(Self {
            phase,
            goal,
            trainers,
            compute,
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
