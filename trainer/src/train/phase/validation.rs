//! Validation within a phase, and what the phase ends with.

use shared_model::{model::CtcModel, weights::Weights};

use super::{Goal, PhaseRun};
use crate::{
    data::Turn,
    event::{AVERAGE, TrainEvent},
    train::{
        RunContext, TrainError,
        answers::AnswerCache,
        checkpoint::Best,
        error::of_network,
        exchange::weights_from_first,
        exit_head::take_exit_heads,
        validate::{Validation, Validator},
    },
};

/// A network that writes nothing but blanks after this share of its steps is stuck.
const BLANK_WARNING_AFTER: f64 = 0.2;
const BLANK_WARNING_SHARE: f64 = 0.999;

impl PhaseRun {
    pub(super) fn validate_epoch(
        &mut self,
        epoch: usize,
        context: &mut RunContext<'_>,
    ) -> Result<(), TrainError> {
        let every = context.recipe.validation.every_epochs.max(1);
        let due: Vec<usize> = (0..self.group.trainers.len())
            .filter(|&index| {
                let trainer = &self.group.trainers[index];
                trainer.takes_part(epoch)
                    && ((epoch + 1).is_multiple_of(every) || epoch + 1 == trainer.training.epochs)
            })
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        let whole = |&index: &usize| {
            let trainer = &self.group.trainers[index];
            (trainer.name.clone(), trainer.evaluation_model())
        };
        let mut models: Vec<(String, CtcModel)> = due.iter().map(whole).collect();
        let mut exits: Vec<(String, usize)> = vec![];
        if self.group.goal.has_transcripts() {
            for &index in &due {
                let trainer = &self.group.trainers[index];
                for (name, model) in trainer.exit_models(&self.group.compute)? {
                    exits.push((name.clone(), trainer.step));
                    models.push((name, model));
                }
            }
        }
        let mut validations = self.measure(&models, context)?;
        let of_exits = validations.split_off(due.len());
        for (&index, validation) in due.iter().zip(validations) {
            let words = validation.words.reference_len;
            if words == 0 {
                continue;
            }
            let trainer = &mut self.group.trainers[index];
            let errors = validation.words.errors();
            let is_best = trainer.best.is_none_or(|best| errors < best.errors);
            if is_best {
                let best = trainer.network.result();
                self.checkpoints.save_best(&trainer.name, &best)?;
                trainer.best = Some(Best {
                    errors,
                    words,
                    epoch: epoch + 1,
                });
            }
            let done = trainer.step as f64 / trainer.total_steps.max(1) as f64;
            if done > BLANK_WARNING_AFTER && validation.blank_share > BLANK_WARNING_SHARE {
                (context.events)(TrainEvent::Warning {
                    message: format!(
                        "\"{}\" writes nothing but blanks after {:.0} % of its steps: a higher learning_rate, a longer warm-up or more data may help",
                        trainer.name,
                        100.0 * done
                    ),
                });
            }
            let (name, step) = (trainer.name.clone(), trainer.step);
            let event = self.validation_event(name, step, epoch + 1, validation, is_best);
            (context.events)(event);
        }
        for ((name, step), validation) in exits.into_iter().zip(of_exits) {
            let event = self.validation_event(name, step, epoch + 1, validation, false);
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
        let costs = &self.all_costs;
        let trained = network.strip_suffix(AVERAGE).unwrap_or(&network);
        let own = costs.networks.get(trained).copied().unwrap_or_default();
        TrainEvent::Validation {
            training_cpu_secs: costs.training.cpu_secs,
            network_cpu_secs: own.training.cpu_secs,
            phase: self.group.phase.to_string(),
            network,
            step,
            epoch,
            loss: validation.loss,
            wer: validation.words.rate(),
            cer: validation.characters.rate(),
            per: validation.phones.map(|phones| phones.rate()),
            blank_share: validation.blank_share,
            samples: validation.samples,
            is_best,
        }
    }

    /// Figures of networks, with their names, on the development set.
    fn measure(
        &mut self,
        networks: &[(String, CtcModel)],
        context: &mut RunContext<'_>,
    ) -> Result<Vec<Validation>, TrainError> {
        self.state.costs.add_training(self.meter.lap());
        let models: Vec<CtcModel> = networks.iter().map(|(_, model)| model.clone()).collect();
        let mut validator = Validator::new(&models, context.tokens, &self.group.compute)
            .spelling(context.phones.as_deref());
        let team = context.team;
        let turn = Turn {
            first: team.rank(),
            of: team.size(),
        };
        context
            .source
            .visit_dev(turn, &mut |number, batch| validator.add(number, batch))?;
        let spent = validator.spent();
        let validations = validator.finish(team)?;
        let names = networks.iter().map(|(name, _)| name.as_str());
        let costs = &mut self.state.costs;
        costs.add_validation(self.meter.lap(), names.zip(spent));
        self.ask_costs(team)?;
        Ok(validations)
    }

    /// The final weights: the mean over the last epochs. Where transcripts are the goal, the best
    /// epoch's weights take its place if they make fewer word errors on the development set.
    pub(super) fn finish(
        mut self,
        context: &mut RunContext<'_>,
    ) -> Result<Vec<Weights>, TrainError> {
        let trainers = &self.group.trainers;
        let mut finals: Vec<Weights> = trainers.iter().map(|t| t.averaged_weights()).collect();
        if matches!(self.group.goal, Goal::Ctc) && self.epochs > 0 {
            self.prefer_best(&mut finals, context)?;
        }
        self.state.costs.add_training(self.meter.lap());
        if let Some((found, asked)) = self.group.goal.answers().map(AnswerCache::found) {
            (context.events)(TrainEvent::Notice {
                message: format!(
                    "{found} of {asked} answers of the teacher were found in distill.answers: its processor seconds are those of the others"
                ),
            });
        }
        self.ask_costs(context.team)?;
        let costs = self.all_costs;
        context.folder.store_costs(self.group.phase, &costs)?;
        (context.events)(TrainEvent::Finished {
            phase: self.group.phase.to_string(),
            costs,
        });
        Ok(finals)
    }

    fn prefer_best(
        &mut self,
        finals: &mut [Weights],
        context: &mut RunContext<'_>,
    ) -> Result<(), TrainError> {
        let inner = self.group.compute.device.clone().inner();
        let models = self
            .group
            .trainers
            .iter()
            .zip(&*finals)
            .map(|(trainer, weights)| {
                let mut weights = (*weights).clone();
                take_exit_heads(&mut weights);
                CtcModel::from_weights(trainer.network.model.config(), &weights, &inner)
                    .map(|model| model.with_operations(self.group.compute.operations))
                    .map(|model| (trainer.name.clone(), model))
                    .map_err(of_network(&trainer.name))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let validations = self.measure(&models, context)?;
        for (index, validation) in validations.into_iter().enumerate() {
            let trainer = &self.group.trainers[index];
            let name = &trainer.name;
            let errors = validation.words.errors();
            let better = trainer.best.filter(|best| best.errors < errors);
            if let Some(best) = better {
                finals[index] =
                    weights_from_first(context.team, || self.checkpoints.load_best(name))?;
                (context.events)(TrainEvent::Notice {
                    message: format!(
                        "\"{name}\" keeps the weights of epoch {}: {} of {} words wrong on the development set, {errors} with averaged weights",
                        best.epoch, best.errors, best.words
                    ),
                });
            } else if validation.words.reference_len > 0 {
                let (label, step) = (format!("{name}{AVERAGE}"), trainer.step);
                let epoch = trainer.training.epochs;
                let event = self.validation_event(label, step, epoch, validation, true);
                (context.events)(event);
            }
        }
        Ok(())
    }
}
