//! Limits of every value of a recipe.

mod students;

use std::collections::BTreeSet;

use shared_model::model::ModelConfig;

use super::load::CHARACTER_PIECES;
use super::{
    AugmentConfig, CtcConfig, DataConfig, DistillConfig, OptimConfig, Recipe, TokenConfig,
    TokenKind, TrainingConfig,
};

/// The dotted key and what is wrong with its value.
type Problem = (String, String);
type Checked = Result<(), Problem>;

const MAX_STUDENTS: usize = 16;
const MAX_EPOCHS: usize = 100_000;
const MAX_NAME_CHARS: usize = 64;

impl Recipe {
    pub(super) fn validate(&self) -> Checked {
        check_name("name", &self.name)?;
        require(
            i64::try_from(self.seed).is_ok(),
            "seed",
            "is too large: at most 9223372036854775807",
        )?;
        check_data(&self.data)?;
        check_augment(&self.augment)?;
        check_tokens(&self.tokens)?;
        shared_model::features::FeatureExtractor::new(&self.features)
            .map_err(|e| ("features".to_owned(), format!("is unusable: {e}")))?;
        self.check_model("teacher.model", &self.teacher.model)?;
        check_training("teach", &self.teach)?;
        in_range("teach.epochs", self.teach.epochs, 1, MAX_EPOCHS)?;
        check_layers("teach", &self.teach.ctc, &self.teacher.model)?;
        require(
            self.teacher.from.is_none() || self.teacher.init_from.is_none(),
            "teacher.init_from",
            "contradicts teacher.from, which takes a trained teacher as it is: name one of the two",
        )?;
        require(
            self.students.len() <= MAX_STUDENTS,
            "student",
            &format!(
                "names {} students: at most {MAX_STUDENTS}",
                self.students.len()
            ),
        )?;
        let mut names = BTreeSet::new();
        for (index, student) in self.students.iter().enumerate() {
            let key = format!("student.{index}");
            check_name(&format!("{key}.name"), &student.name)?;
            if student.name == "teacher" || !names.insert(&student.name) {
                return Err(problem(
                    &format!("{key}.name"),
                    format!("\"{}\" is taken: names must differ", student.name),
                ));
            }
            self.check_student(&key, student)?;
        }
        self.check_cut_cycles()?;
        self.check_onnx_teacher()?;
        self.check_phone_heads()?;
        check_distill(&self.distill, &self.teacher.model)?;
        self.check_ctc_of_step_one("distill", &self.distill.ctc)?;
        check_training("finetune", &self.finetune)?;
        in_range("checkpoint.keep_last", self.checkpoint.keep_last, 1, 1000)?;
        let every = self.validation.every_epochs;
        in_range("validation.every_epochs", every, 1, 100_000)?;
        in_range("compute.shards", self.compute.shards, 0, 256)
    }

    /// A file of posteriors alone teaches by posteriors alone.
    fn check_onnx_teacher(&self) -> Checked {
        let offset = self.teacher.onnx_first_frame;
        if self.teacher.onnx.is_none() {
            return require(
                offset.is_none(),
                "teacher.onnx_first_frame",
                "is of teacher.onnx, which is not set",
            );
        }
        in_range("teacher.onnx_first_frame", offset.unwrap_or(0), 0, 100)?;
        require(
            self.teacher.from.is_none() && self.teacher.init_from.is_none(),
            "teacher.onnx",
            "contradicts teacher.from and teacher.init_from: name one of them",
        )?;
        for (index, student) in self.students.iter().enumerate() {
            require(
                student.init != super::StudentInit::TeacherBlocks || student.init_from.is_some(),
                &format!("student.{index}.init"),
                "is teacher-blocks, and an ONNX file has none to start from: use random, or init_from",
            )?;
        }
        let weights = self.distill.loss.resolved();
        require(
            weights.clip == 0.0 && weights.feature == 0.0,
            "distill.loss",
            "compares features, and teacher.onnx gives posteriors alone: set clip and feature to 0",
        )?;
        require(
            self.distill.unmasked_teacher,
            "distill.unmasked_teacher",
            "must be true with teacher.onnx: masks hide what lies behind its own normalisation",
        )?;
        require(
            self.distill.answers.is_none(),
            "distill.answers",
            "is not kept of teacher.onnx: leave it out",
        )
    }

    /// Phones are learned from pronunciations, by the last block.
    fn check_phone_heads(&self) -> Checked {
        let students = self.students.iter().enumerate().map(|(index, student)| {
            let steps = vec![self.distill_of(student), self.finetune_of(student).clone()];
            (format!("student.{index}"), &student.model, steps)
        });
        let teacher = (
            "teacher".to_owned(),
            &self.teacher.model,
            vec![self.teach.clone()],
        );
        for (key, model, steps) in std::iter::once(teacher).chain(students) {
            let learns = |step: &TrainingConfig| step.epochs > 0 && step.ctc.phone_weight > 0.0;
            let needs_words = model.phone_head && steps.iter().any(learns);
            require(
                !needs_words || self.tokens.pronunciations.is_some(),
                &format!("{key}.model.phone_head"),
                "needs to know how words are pronounced: set tokens.pronunciations (trainer/corpus/pronounce.py writes such a file), or ctc.phone_weight = 0",
            )?;
        }
        for (index, student) in self.students.iter().enumerate() {
            require(
                student.exit_of.is_none() || !student.model.phone_head,
                &format!("student.{index}.model.phone_head"),
                "contradicts exit_of: only the last block of the deeper student learns phones",
            )?;
        }
        Ok(())
    }

    fn check_model(&self, key: &str, model: &ModelConfig) -> Checked {
        model
            .validate()
            .map_err(|e| problem(key, format!("is unusable: {e}")))?;
        if model.n_mels != self.features.n_mels {
            return Err(problem(
                &format!("{key}.n_mels"),
                format!(
                    "is {}, but features.n_mels is {}",
                    model.n_mels, self.features.n_mels
                ),
            ));
        }
        let vocab_size = match (self.tokens.kind, &self.tokens.file) {
            (_, Some(_)) => return Ok(()),
            (TokenKind::Characters, None) => CHARACTER_PIECES,
            (TokenKind::Bpe, None) => self.tokens.size,
        };
        require(
            model.vocab_size == vocab_size,
            &format!("{key}.vocab_size"),
            &format!(
                "is {}, but [tokens] gives {vocab_size}: leave it out",
                model.vocab_size
            ),
        )
    }
}

fn check_name(key: &str, name: &str) -> Checked {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    require(
        !name.is_empty()
            && name.len() <= MAX_NAME_CHARS
            && name.chars().all(safe)
            && !name.starts_with(['.', '-']),
        key,
        &format!(
            "{name:?} is not a usable file name: 1 to {MAX_NAME_CHARS} of a-z, A-Z, 0-9, -, _ and ."
        ),
    )
}

fn check_data(data: &DataConfig) -> Checked {
    require(
        !data.train.as_slice().is_empty(),
        "data.train",
        "is an empty list",
    )?;
    if data.dev.is_none() {
        require(
            data.dev_share > 0.0 && data.dev_share <= 0.5,
            "data.dev_share",
            "must be above 0 and at most 0.5 where data.dev is absent",
        )?;
    }
    for name in data.test.keys() {
        check_name(&format!("data.test.{name}"), name)?;
    }
    real("data.min_confidence", data.min_confidence, 0.0, 1.0)?;
    real("data.min_seconds", data.min_seconds, 0.0, 3600.0)?;
    real("data.max_seconds", data.max_seconds, 0.1, 3600.0)?;
    require(
        data.min_seconds < data.max_seconds,
        "data.min_seconds",
        "must be below data.max_seconds",
    )?;
    real("data.batch_seconds", data.batch_seconds, 1.0, 100_000.0)?;
    in_range("data.window_mb", data.window_mb, 1, 1_000_000)?;
    in_range("data.cache_mb", data.cache_mb, 0, 1_000_000)
}

fn check_augment(augment: &AugmentConfig) -> Checked {
    for &speed in &augment.speeds {
        real("augment.speeds", speed, 0.5, 2.0)?;
    }
    in_range("augment.speeds", augment.speeds.len(), 0, 32)?;
    real("augment.gain_db", augment.gain_db, 0.0, 40.0)?;
    let [low, high] = augment.noise_snr_db;
    real("augment.noise_snr_db", low, -20.0, 100.0)?;
    real("augment.noise_snr_db", high, low, 100.0)?;
    for (key, share) in [
        ("augment.room_share", augment.room_share),
        ("augment.band_limit_share", augment.band_limit_share),
        ("augment.noise_share", augment.noise_share),
        ("augment.join_share", augment.join_share),
        ("augment.time_mask_share", augment.time_mask_share),
    ] {
        real(key, share, 0.0, 1.0)?;
    }
    in_range("augment.freq_masks", augment.freq_masks, 0, 100)?;
    in_range("augment.freq_mask_bands", augment.freq_mask_bands, 0, 256)?;
    in_range("augment.time_masks", augment.time_masks, 0, 100)?;
    in_range(
        "augment.time_mask_frames",
        augment.time_mask_frames,
        0,
        10_000,
    )
}

fn check_tokens(tokens: &TokenConfig) -> Checked {
    in_range("tokens.size", tokens.size, 64, 256)
}

fn check_training(key: &str, training: &TrainingConfig) -> Checked {
    let TrainingConfig {
        epochs,
        gentle_epochs,
        average_epochs,
        ctc,
        optim,
    } = training;
    let at = |name: &str| format!("{key}.{name}");
    in_range(&at("epochs"), *epochs, 0, MAX_EPOCHS)?;
    in_range(&at("gentle_epochs"), *gentle_epochs, 0, 1000)?;
    in_range(&at("average_epochs"), *average_epochs, 0, 1000)?;
    real(
        &at("ctc.intermediate_weight"),
        ctc.intermediate_weight,
        0.0,
        1.0,
    )?;
    real(
        &at("ctc.intermediate_kl_weight"),
        ctc.intermediate_kl_weight,
        0.0,
        100.0,
    )?;
    require(
        ctc.intermediate_kl_weight == 0.0 || ctc.intermediate_weight > 0.0,
        &at("ctc.intermediate_kl_weight"),
        "teaches the blocks that have a CTC loss of their own: set ctc.intermediate_weight above 0",
    )?;
    real(
        &at("ctc.consistency_weight"),
        ctc.consistency_weight,
        0.0,
        100.0,
    )?;
    real(&at("ctc.phone_weight"), ctc.phone_weight, 0.0, 1.0)?;
    in_range(
        &at("ctc.consistency_warmup_steps"),
        ctc.consistency_warmup_steps,
        0,
        10_000_000,
    )?;
    check_optim(&at("optim"), optim)
}

fn check_layers(key: &str, ctc: &CtcConfig, model: &ModelConfig) -> Checked {
    for &layer in &ctc.intermediate_layers {
        require(
            (1..=model.n_layers).contains(&layer),
            &format!("{key}.ctc.intermediate_layers"),
            &format!("names block {layer} of a network of {}", model.n_layers),
        )?;
    }
    Ok(())
}

fn check_optim(key: &str, optim: &OptimConfig) -> Checked {
    let at = |name: &str| format!("{key}.{name}");
    positive(&at("learning_rate"), optim.learning_rate, 10.0)?;
    in_range(&at("warmup_steps"), optim.warmup_steps, 0, 10_000_000)?;
    for (name, beta) in [("beta1", optim.beta1), ("beta2", optim.beta2)] {
        require(
            (0.0..1.0).contains(&beta),
            &at(name),
            "must be at least 0 and below 1",
        )?;
    }
    positive(&at("epsilon"), f64::from(optim.epsilon), 1.0)?;
    real(&at("weight_decay"), optim.weight_decay, 0.0, 10.0)?;
    real(&at("clip_norm"), optim.clip_norm, 0.0, 1e9)?;
    real(&at("clip_value"), optim.clip_value, 0.0, 1e9)?;
    require(
        optim.clip_norm == 0.0 || optim.clip_value == 0.0,
        &at("clip_value"),
        &format!(
            "contradicts {}, which clips by the norm: set one of the two to 0",
            at("clip_norm")
        ),
    )?;
    in_range(&at("accumulate"), optim.accumulate, 1, 10_000)
}

fn check_distill(distill: &DistillConfig, teacher: &ModelConfig) -> Checked {
    check_training("distill", &distill.training())?;
    check_layers("distill", &distill.ctc, teacher)?;
    in_range("distill.answers_mb", distill.answers_mb, 1, 10_000_000)?;
    let weights = distill.loss.resolved();
    real(
        "distill.loss.kl_blank_weight",
        weights.kl_blank_weight,
        0.0,
        1.0,
    )?;
    if let Some(frames) = weights.kl_spike_frames {
        in_range("distill.loss.kl_spike_frames", frames, 0, 100)?;
        require(
            weights.kl > 0.0,
            "distill.loss.kl_spike_frames",
            "chooses the frames of kl, which has no weight: set distill.loss.kl above 0",
        )?;
        require(
            weights.kl_blank_weight == 1.0,
            "distill.loss.kl_spike_frames",
            "contradicts distill.loss.kl_blank_weight: both say which blanks count; name one of the two",
        )?;
    }
    let feature_layers = weights.feature_layers;
    in_range("distill.loss.feature_layers", feature_layers, 1, 64)?;
    require(
        feature_layers == 1 || weights.feature > 0.0,
        "distill.loss.feature_layers",
        "says where feature compares, which has no weight: set distill.loss.feature above 0",
    )?;
    let losses = [
        ("clip", weights.clip),
        ("mse", weights.mse),
        ("kl", weights.kl),
        ("ctc", weights.ctc),
        ("feature", weights.feature),
    ];
    for (name, weight) in losses {
        real(&format!("distill.loss.{name}"), weight, 0.0, 1000.0)?;
    }
    require(
        losses.iter().any(|(_, weight)| *weight > 0.0),
        "distill.loss",
        "has no weight above 0",
    )?;
    positive("distill.loss.temperature", weights.temperature, 100.0)
}

fn problem(key: &str, reason: impl Into<String>) -> Problem {
    (key.to_owned(), reason.into())
}

fn require(holds: bool, key: &str, reason: &str) -> Checked {
    if holds {
        Ok(())
    } else {
        Err(problem(key, reason))
    }
}

fn in_range(key: &str, value: usize, low: usize, high: usize) -> Checked {
    require(
        (low..=high).contains(&value),
        key,
        &format!("is {value}: expected {low} to {high}"),
    )
}

/// A finite number in `low..=high`.
fn real<T: Copy + PartialOrd + std::fmt::Display>(key: &str, value: T, low: T, high: T) -> Checked {
    require(
        value >= low && value <= high,
        key,
        &format!("is {value}: expected {low} to {high}"),
    )
}

fn positive(key: &str, value: f64, high: f64) -> Checked {
    require(
        value > 0.0 && value <= high,
        key,
        &format!("is {value}: expected a number above 0 and at most {high}"),
    )
}
