//! What a phase tells of a step, and what it keeps of itself.

use super::{PhaseRun, StepReport};
use crate::{
    cluster::Team,
    event::TrainEvent,
    run_folder::RunFolder,
    train::{
        TrainError,
        checkpoint::{NetworkTensors, PhaseState},
        exchange::one_state,
        progress::resident_bytes,
    },
};

impl PhaseRun {
    pub(super) fn step_event(&self, epoch: usize, report: StepReport) -> TrainEvent {
        let trainers = &self.group.trainers;
        // Of those that were updated, the network with most steps to do stands for the phase.
        let updated = (0..trainers.len()).filter(|&i| report.networks[i].learning_rate.is_some());
        let longest = updated.max_by_key(|&i| trainers[i].total_steps);
        let longest = longest.unwrap_or(0);
        TrainEvent::Step {
            phase: self.group.phase.to_string(),
            step: trainers[longest].step,
            epoch: epoch + 1,
            total_steps: trainers[longest].total_steps,
            learning_rate: report.networks[longest].learning_rate.unwrap_or_default(),
            gradient_norm: self
                .group
                .names()
                .zip(&report.networks)
                .filter_map(|(name, network)| Some((name.to_owned(), network.gradient_norm?)))
                .collect(),
            infeasible: report.infeasible,
            losses: report.networks.into_iter().flat_map(|n| n.losses).collect(),
            audio_secs_per_sec: self.progress.audio_secs_per_sec(),
            data_wait_share: self.progress.data_wait_share(),
            eta_secs: self.progress.eta_secs(),
            memory_bytes: resident_bytes(),
            team: self.progress.team_times(),
        }
    }

    pub(super) fn save(
        &mut self,
        folder: &RunFolder,
        team: Team<'_>,
    ) -> Result<TrainEvent, TrainError> {
        self.state.costs.add_training(self.meter.lap());
        self.state.networks = self.group.trainers.iter().map(|t| t.state()).collect();
        let mut tensors: Vec<NetworkTensors> =
            self.group.trainers.iter().map(|t| t.tensors()).collect();
        for tensors in &mut tensors {
            tensors.optimizer = one_state(team, std::mem::take(&mut tensors.optimizer))?;
        }
        self.ask_costs(team)?;
        let state = PhaseState {
            costs: self.all_costs.clone(),
            ..self.state.clone()
        };
        let path = self.checkpoints.save(&state, &tensors)?;
        folder.store_costs(self.group.phase, &state.costs)?;
        self.last_saved_step = self.group.max_step();
        Ok(TrainEvent::Checkpoint {
            phase: self.group.phase.to_string(),
            step: self.last_saved_step,
            path: path.display().to_string(),
        })
    }
}
