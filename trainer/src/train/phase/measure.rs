//! Validation within a phase, and what the phase ends with.

use shared_model::{model::CtcModel, weights::Weights};

use super::{Goal, Session};
use crate::{
    event::TrainEvent,
    train::{
        RunContext, TrainError,
        checkpoint::Best,
        learner::Learner,
        validate::{Validation, validate},
    },
};

/// A network that writes nothing but blanks after this share of its steps is stuck.
const BLANK_WARNING_AFTER: f64 = 0.2;
const BLANK_WARNING_SHARE: f64 = 0.999;

impl Session {
    pub(super) fn validate_epoch(
        &mut self,
        epoch: usize,
        context: &mut RunContext<'_>,
    ) -> Result<(), TrainError> {
        let every = context.recipe.checkpoint.validate_every_epochs.max(1);
        let due: Vec<usize> = (0..self.team.learners.len())
            .filter(|&index| {
                let epochs = self.team.learners[index].optim.epochs;
                self.team.learners[index].takes_part(epoch)
                    && ((epoch + 1).is_multiple_of(every) || epoch + 1 == epochs)
            })
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        let models: Vec<CtcModel> = due
            .iter()
            .map(|&index| self.team.learners[index].evaluation_model())
            .collect();
        let validations = self.measure(&models, context)?;
        for (&index, validation) in due.iter().zip(validations) {
            let words = validation.words.reference_len;
            if words == 0 {
                continue;
            }
            let learner = &self.team.learners[index];
            let state = &mut self.team.state.networks[index];
            let errors = validation.words.errors();
            let is_best = state.best.is_none_or(|best| errors < best.errors);
            if is_best {
                let best = self.team.learners[index].trainee.model.weights();
                self.checkpoints.save_best(&learner.name, &best)?;
                state.best = Some(Best {
                    errors,
                    words,
                    epoch: epoch + 1,
                });
            }
            let done = state.step as f64 / learner.total_steps.max(1) as f64;
            if done > BLANK_WARNING_AFTER && validation.blank_share > BLANK_WARNING_SHARE {
                (context.events)(TrainEvent::Warning {
                    message: format!(
                        "\"{}\" writes nothing but blanks after {:.0} % of its steps: a higher learning_rate, a longer warm-up or more data may help",
                        learner.name,
                        100.0 * done
                    ),
                });
            }
            let (name, step) = (learner.name.clone(), state.step);
            let event = self.validation_event(name, step, epoch + 1, validation, is_best);
            (context.events)(event);
        }
        Ok(())
    }

    fn validation_event(
        &self,
        network: String,
        step: usize,
        epoch: usize,
        validation: Validation,
        is_best: bool,
    ) -> TrainEvent {
        TrainEvent::Validation {
            phase: self.team.phase.into(),
            network,
            step,
            epoch,
            loss: validation.loss,
            wer: validation.words.rate(),
            cer: validation.characters.rate(),
            blank_share: validation.blank_share,
            samples: validation.samples,
            is_best,
        }
    }

    fn measure(
        &self,
        models: &[CtcModel],
        context: &mut RunContext<'_>,
    ) -> Result<Vec<Validation>, TrainError> {
        let dev = context.source.dev()?;
        let inner = self.team.device.clone().inner();
        let (shards, threads) = (self.team.state.shards, self.team.threads);
        Ok(validate(
            models,
            dev,
            context.tokens,
            shards,
            threads,
            &inner,
        )?)
    }

    /// The final weights: the mean over the last epochs. Where transcripts are the goal, the best
    /// epoch's weights take its place if they make fewer word errors on the development set.
    pub(super) fn finish(self, context: &mut RunContext<'_>) -> Result<Vec<Weights>, TrainError> {
        let mut finals: Vec<Weights> = self
            .team
            .learners
            .iter()
            .map(Learner::averaged_weights)
            .collect();
        let inner = self.team.device.clone().inner();
        let models = self
            .team
            .learners
            .iter()
            .zip(&finals)
            .map(|(learner, weights)| {
                let config = learner.trainee.model.config();
                CtcModel::from_weights(config, weights, &inner)
                    .map(|model| model.with_operations(context.recipe.checkpoint.operations()))
                    .map_err(|source| TrainError::Network {
                        network: learner.name.clone(),
                        source,
                    })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let is_ctc = matches!(self.team.goal, Goal::Ctc);
        if is_ctc && self.epochs > 0 {
            let validations = self.measure(&models, context)?;
            for (index, validation) in validations.into_iter().enumerate() {
                let name = &self.team.learners[index].name;
                let state = &self.team.state.networks[index];
                let errors = validation.words.errors();
                let better = state.best.filter(|best| best.errors < errors);
                if let Some(best) = better {
                    finals[index] = self.checkpoints.load_best(name)?;
                    (context.events)(TrainEvent::Notice {
                        message: format!(
                            "\"{name}\" keeps the weights of epoch {}: {} of {} words wrong on the development set, {errors} with averaged weights",
                            best.epoch, best.errors, best.words
                        ),
                    });
                } else if validation.words.reference_len > 0 {
                    let label = format!("{name}/average");
                    let epoch = self.team.learners[index].optim.epochs;
                    let event = self.validation_event(label, state.step, epoch, validation, true);
                    (context.events)(event);
                }
            }
        }
        (context.events)(TrainEvent::Finished {
            phase: self.team.phase.into(),
            seconds: self.progress.seconds(),
        });
        Ok(finals)
    }
}
