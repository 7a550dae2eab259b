//! What training has cost, kept over every process that worked on a phase.
//!
//! Work that a kill lost and that is done again counts once: the figures go with the checkpoints.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::clock::Usage;

/// Time on the wall and of processors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Seconds on the wall.
    pub wall_secs: f64,
    /// Seconds of processors, all threads of this process together.
    pub cpu_secs: f64,
}

impl Cost {
    fn add(&mut self, other: Self) {
        self.wall_secs += other.wall_secs;
        self.cpu_secs += other.cpu_secs;
    }

    fn scale(&mut self, factor: f64) {
        self.wall_secs *= factor;
        self.cpu_secs *= factor;
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), |mut total, cost| {
            total.add(cost);
            total
        })
    }
}

/// What one network of a phase has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkCosts {
    /// Its forward and backward passes and its optimiser. Networks that are trained together share
    /// the time on the wall by their processor seconds.
    pub training: Cost,
    /// Its passes over the development set, shared likewise.
    pub validation: Cost,
}

/// What a phase has cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseCosts {
    /// Everything but validation: the networks, the teacher's passes, data, checkpoints.
    pub training: Cost,
    /// Of `training`, the frozen teacher's passes; processor seconds alone, as they run beside
    /// each other.
    pub teacher_cpu_secs: f64,
    /// Measurements on the development set.
    pub validation: Cost,
    /// By network.
    pub networks: BTreeMap<String, NetworkCosts>,
}

impl PhaseCosts {
    /// Training and validation together.
    pub fn total(&self) -> Cost {
        let mut total = self.training;
        total.add(self.validation);
        total
    }

    /// Multiplies everything, for a machine of another speed.
    pub(crate) fn scale(&mut self, factor: f64) {
        self.teacher_cpu_secs *= factor;
        let networks = self.networks.values_mut();
        networks
            .flat_map(|costs| [&mut costs.training, &mut costs.validation])
            .chain([&mut self.training, &mut self.validation])
            .for_each(|cost| cost.scale(factor));
    }

    /// Adds the processor time of another process of the same training; it took no other time.
    pub(crate) fn add_processors_of(&mut self, other: &Self) {
        let add = |to: &mut Cost, from: &Cost| to.cpu_secs += from.cpu_secs;
        add(&mut self.training, &other.training);
        add(&mut self.validation, &other.validation);
        self.teacher_cpu_secs += other.teacher_cpu_secs;
        for (name, of_network) in &other.networks {
            let costs = self.networks.entry(name.clone()).or_default();
            add(&mut costs.training, &of_network.training);
            add(&mut costs.validation, &of_network.validation);
        }
    }

    /// Adds a step: `wall` of it, and the processor time of the teacher and of each network.
    pub(crate) fn add_step<'a>(
        &mut self,
        wall: Duration,
        teacher: Duration,
        networks: impl Iterator<Item = (&'a str, Duration)> + Clone,
    ) {
        self.teacher_cpu_secs += teacher.as_secs_f64();
        self.share(wall, networks, |costs| &mut costs.training);
    }

    /// Adds a pass over the development set.
    pub(crate) fn add_validation<'a>(
        &mut self,
        spent: Cost,
        networks: impl Iterator<Item = (&'a str, Duration)> + Clone,
    ) {
        self.validation.add(spent);
        let wall = Duration::from_secs_f64(spent.wall_secs);
        self.share(wall, networks, |costs| &mut costs.validation);
    }

    /// Adds time in which the phase did anything else than validate.
    pub(crate) fn add_training(&mut self, spent: Cost) {
        self.training.add(spent);
    }

    fn share<'a>(
        &mut self,
        wall: Duration,
        networks: impl Iterator<Item = (&'a str, Duration)> + Clone,
        kind: impl Fn(&mut NetworkCosts) -> &mut Cost,
    ) {
        let total: Duration = networks.clone().map(|(_, spent)| spent).sum();
        for (name, spent) in networks {
            let share = match total.as_secs_f64() {
                0.0 => 0.0,
                total => spent.as_secs_f64() / total,
            };
            let costs = self.networks.entry(name.to_owned()).or_default();
            kind(costs).add(Cost {
                wall_secs: wall.as_secs_f64() * share,
                cpu_secs: spent.as_secs_f64(),
            });
        }
    }
}

/// Measures what passes between two looks at it.
pub(crate) struct Meter {
    wall: Instant,
    cpu: Duration,
}

impl Meter {
    pub fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: Usage::now().total,
        }
    }

    /// What was spent since the start or the last call.
    pub fn lap(&mut self) -> Cost {
        let before = std::mem::replace(self, Self::start());
        Cost {
            wall_secs: (self.wall - before.wall).as_secs_f64(),
            cpu_secs: self.cpu.saturating_sub(before.cpu).as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_share_the_wall_by_their_processor_time_and_validation_stays_apart() {
        let ms = Duration::from_millis;
        let mut costs = PhaseCosts::default();
        let networks = [("a", ms(300)), ("b", ms(100))];
        for _ in 0..2 {
            costs.add_step(ms(200), ms(50), networks.into_iter());
        }
        let spent = Cost {
            wall_secs: 1.0,
            cpu_secs: 2.0,
        };
        costs.add_validation(spent, [("b", ms(10))].into_iter());
        let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-9, "{got} {want}");
        close(costs.teacher_cpu_secs, 0.1);
        close(costs.networks["a"].training.wall_secs, 0.3);
        close(costs.networks["a"].training.cpu_secs, 0.6);
        close(costs.networks["b"].training.wall_secs, 0.1);
        close(costs.networks["a"].validation.cpu_secs, 0.0);
        close(costs.networks["b"].validation.wall_secs, 1.0);
        close(costs.validation.cpu_secs, 2.0);
        close(costs.training.cpu_secs, 0.0);
    }
}
