//! How much is spoken for a budget, and how often it is heard.

/// Clips of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amounts {
    /// Phrases that teach.
    pub phrases: usize,
    /// Nearly phrases, and pieces of sentences, that teach.
    pub others: usize,
    /// Sentences that teach, where they are spoken.
    pub sentences: usize,
    /// Noise and babble that teach.
    pub backgrounds: usize,
    /// Phrases by the voices of each held-out set.
    pub held_phrases: usize,
    /// Nearly phrases and pieces of sentences by them.
    pub held_others: usize,
    /// Sentences by them, where they are spoken.
    pub held_sentences: usize,
}

/// Seconds of other speech for each phrase clip that teaches, where it is given: as much as there
/// is of phrases.
pub const SPEECH_SECS_PER_PHRASE: f64 = 2.0;
/// The same of each held-out set.
pub const HELD_SPEECH_SECS_PER_PHRASE: f64 = 10.0;

impl Amounts {
    /// For a budget in minutes: more voices and sentences the longer there is to learn from them.
    pub fn of(minutes: f64) -> Self {
        let phrases = ((120.0 * minutes) as usize).clamp(40, 3_000);
        let held_phrases = (phrases / 6).clamp(24, 250);
        Self {
            phrases,
            others: phrases / 3,
            sentences: phrases / 2,
            backgrounds: phrases / 30,
            held_phrases,
            held_others: held_phrases / 2,
            held_sentences: held_phrases / 2,
        }
    }
}

/// Of the budget, what training has: the rest is for voices, validation, export and evaluation.
const TRAINING_SHARE: f64 = 0.65;
/// Of the time of training, step 1.
const STEP_1_SHARE: f64 = 0.6;
/// Training takes longer than its steps alone: audio is read, varied and made into features.
const OVERHEAD: f64 = 1.25;
/// More teaches nothing new.
const MAX_EPOCHS: usize = 60;

/// Seconds on an idle machine that a second of audio takes, all students together.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepRates {
    /// In step 1.
    pub distill: f64,
    /// In step 2.
    pub finetune: f64,
}

/// Epochs of both steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epochs {
    /// Step 1.
    pub distill: usize,
    /// Step 2.
    pub finetune: usize,
}

impl Epochs {
    /// What fits. `transcribed_secs`: audio of an epoch of step 2; `all_secs`: of step 1.
    pub fn of(minutes: f64, rates: StepRates, all_secs: f64, transcribed_secs: f64) -> Self {
        let secs = minutes * 60.0 * TRAINING_SHARE / OVERHEAD;
        let epochs = |share: f64, rate: f64, audio_secs: f64| {
            let epoch_secs = (rate * audio_secs).max(1e-9);
            ((secs * share / epoch_secs) as usize).clamp(1, MAX_EPOCHS)
        };
        Self {
            distill: epochs(STEP_1_SHARE, rates.distill, all_secs),
            finetune: epochs(1.0 - STEP_1_SHARE, rates.finetune, transcribed_secs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_shared_by_both_steps_and_there_is_one_epoch_at_least() {
        // 10 minutes have 312 s for steps: 187.2 s and 124.8 s.
        let rates = StepRates {
            distill: 0.01,
            finetune: 0.005,
        };
        let epochs = Epochs::of(10.0, rates, 1_800.0, 1_500.0);
        assert_eq!((epochs.distill, epochs.finetune), (10, 16));
        let epochs = Epochs::of(0.01, rates, 1_800.0, 1_500.0);
        assert_eq!((epochs.distill, epochs.finetune), (1, 1));
        assert_eq!(Epochs::of(1e6, rates, 10.0, 10.0).distill, MAX_EPOCHS);
    }

    #[test]
    fn less_is_spoken_for_less_time_and_never_too_little() {
        assert_eq!(Amounts::of(10.0).phrases, 1_200);
        assert_eq!(Amounts::of(0.0).phrases, 40);
        assert_eq!(Amounts::of(0.0).held_phrases, 24);
        assert_eq!(Amounts::of(1e9).phrases, 3_000);
    }
}
