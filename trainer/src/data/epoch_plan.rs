//! What an epoch of a network's phase asks of the data.

use crate::config::{Phase, TrainingConfig};

/// An epoch as the data knows it. What is drawn for an utterance (its speed, noise, masks, and whom
/// it shares a batch with) depends on the run's seed, the phase, the epoch and the utterance, and on
/// nothing else: no phase meets another's variations, and a run that is continued meets its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EpochPlan {
    /// Which phase.
    pub phase: Phase,
    /// Which epoch of the phase, from 0.
    pub epoch: usize,
    /// Speed and loudness are all that varies.
    pub gentle: bool,
    /// Rows of an utterance in a batch, each under masks of its own.
    pub views: usize,
}

impl EpochPlan {
    /// Of data that is taken as it is: one row of each utterance, which nothing varies.
    pub fn plain() -> Self {
        Self {
            phase: Phase::Teach,
            epoch: 0,
            gentle: true,
            views: 1,
        }
    }

    /// What a network that is trained so asks for. Gentle epochs have no masks that could make two
    /// views of an utterance differ: they make one.
    pub fn new(phase: Phase, epoch: usize, training: &TrainingConfig) -> Self {
        let gentle = epoch < training.gentle_epochs;
        let has_two_views = training.ctc.consistency_weight > 0.0 && !gentle;
        Self {
            phase,
            epoch,
            gentle,
            views: 1 + usize::from(has_two_views),
        }
    }

    /// The seed of the draws about `what`, an utterance's index for instance: the words are mixed by
    /// the finaliser of splitmix64, applied in a chain.
    pub(super) fn seed(self, run_seed: u64, what: u64) -> u64 {
        let words = [run_seed, self.phase as u64, self.epoch as u64, what];
        words.into_iter().fold(0, |state, word| {
            let mut z = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CtcConfig;

    #[test]
    fn seeds_differ_in_run_phase_epoch_and_utterance() {
        let plan = |phase, epoch| EpochPlan {
            phase,
            epoch,
            ..EpochPlan::plain()
        };
        let base = plan(Phase::Teach, 1).seed(1, 2);
        assert_eq!(base, plan(Phase::Teach, 1).seed(1, 2));
        for other in [
            plan(Phase::Distill, 1).seed(1, 2),
            plan(Phase::Finetune, 1).seed(1, 2),
            plan(Phase::Teach, 2).seed(1, 2),
            plan(Phase::Teach, 1).seed(2, 2),
            plan(Phase::Teach, 1).seed(1, 3),
            plan(Phase::Teach, 2).seed(1, 1),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn gentle_epochs_come_first_and_have_one_view() {
        let training = TrainingConfig {
            gentle_epochs: 2,
            ctc: CtcConfig {
                consistency_weight: 0.2,
                ..CtcConfig::default()
            },
            ..TrainingConfig::default()
        };
        let plan = |epoch| EpochPlan::new(Phase::Finetune, epoch, &training);
        assert_eq!((plan(1).gentle, plan(1).views), (true, 1));
        assert_eq!((plan(2).gentle, plan(2).views), (false, 2));
        let simple = EpochPlan::new(Phase::Teach, 0, &TrainingConfig::default());
        assert_eq!((simple.gentle, simple.views), (false, 1));
    }
}
