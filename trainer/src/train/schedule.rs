//! Learning rate by optimiser step.

use crate::config::{OptimConfig, Schedule};

/// Share of the peak that a cosine schedule ends at.
const COSINE_FLOOR: f64 = 0.01;

/// Learning rate of step `step` (0-based) of `total_steps`. It rises linearly to the peak, which
/// it has at step `warmup_steps - 1`; a run shorter than its warm-up gets half of its steps for it.
pub fn learning_rate(config: &OptimConfig, step: usize, total_steps: usize) -> f64 {
    let peak = config.learning_rate;
    let warmup = config.warmup_steps.min(total_steps / 2);
    if step < warmup {
        return peak * (step + 1) as f64 / warmup as f64;
    }
    match config.schedule {
        Schedule::Constant => peak,
        Schedule::Noam => peak * (warmup.max(1) as f64 / (step + 1) as f64).sqrt(),
        Schedule::Cosine => {
            let length = total_steps.saturating_sub(warmup).max(1);
            let done = ((step + 1 - warmup) as f64 / length as f64).min(1.0);
            let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
            peak * (COSINE_FLOOR + (1.0 - COSINE_FLOOR) * cosine)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(schedule: Schedule) -> OptimConfig {
        OptimConfig {
            learning_rate: 0.1,
            warmup_steps: 4,
            schedule,
            ..OptimConfig::default()
        }
    }

    fn close(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-12, "{got} instead of {want}");
    }

    #[test]
    fn every_schedule_rises_linearly_to_its_peak() {
        for schedule in [Schedule::Cosine, Schedule::Noam, Schedule::Constant] {
            for (step, want) in [(0, 0.025), (1, 0.05), (2, 0.075), (3, 0.1)] {
                close(learning_rate(&config(schedule), step, 100), want);
            }
        }
    }

    #[test]
    fn cosine_is_half_way_in_the_middle_and_one_percent_at_the_end() {
        let config = config(Schedule::Cosine);
        // 20 steps after the warm-up; the tenth of them is step 13.
        close(learning_rate(&config, 13, 24), 0.1 * (0.01 + 0.99 * 0.5));
        close(learning_rate(&config, 23, 24), 0.001);
        close(learning_rate(&config, 90, 24), 0.001);
    }

    #[test]
    fn noam_falls_with_the_root_of_the_step() {
        let config = config(Schedule::Noam);
        close(learning_rate(&config, 15, 100), 0.05);
        close(learning_rate(&config, 63, 100), 0.025);
    }

    #[test]
    fn constant_stays() {
        close(learning_rate(&config(Schedule::Constant), 99, 100), 0.1);
    }

    #[test]
    fn a_short_run_reaches_its_peak() {
        let config = OptimConfig {
            warmup_steps: 1000,
            ..config(Schedule::Cosine)
        };
        close(learning_rate(&config, 4, 10), 0.1);
        close(learning_rate(&config, 9, 10), 0.001);
        close(learning_rate(&config, 0, 1), 0.001);
    }
}
