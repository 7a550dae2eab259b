//! What ends a phase before its end.

use super::PhaseRun;
use crate::{
    data::Batch,
    train::{
        TrainError,
        network_trainer::{MAX_NOT_FINITE, NetworkTrainer},
        teacher::FrozenTeacher,
    },
};

impl PhaseRun {
    pub(super) fn check_teacher(&self) -> Result<(), TrainError> {
        match self.group.goal.teacher() {
            Some(FrozenTeacher::Onnx(teacher)) => {
                teacher.failure().map_or(Ok(()), |e| Err(e.into()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_finite(&self, batch: &Batch) -> Result<(), TrainError> {
        let diverged = |trainer: &&NetworkTrainer| trainer.not_finite_in_a_row >= MAX_NOT_FINITE;
        match self.group.trainers.iter().find(diverged) {
            None => Ok(()),
            Some(trainer) => Err(TrainError::Diverged {
                phase: self.group.phase,
                network: trainer.name.clone(),
                step: trainer.step,
                in_a_row: trainer.not_finite_in_a_row,
                utterances: name_some(&batch.utterance_ids),
            }),
        }
    }

    pub(super) fn interrupted(&self) -> TrainError {
        TrainError::Interrupted {
            phase: self.group.phase,
            step: self.group.max_step(),
        }
    }
}

/// The first few names.
fn name_some(ids: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut names = ids[..ids.len().min(SHOWN)].join(", ");
    if ids.len() > SHOWN {
        names.push_str(&format!(" and {} more", ids.len() - SHOWN));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_utterances_are_cut() {
        let ids: Vec<String> = (0..7).map(|i| format!("u{i}")).collect();
        assert_eq!(name_some(&ids), "u0, u1, u2, u3, u4 and 2 more");
        assert_eq!(name_some(&ids[..1]), "u0");
    }
}
