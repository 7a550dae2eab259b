//! The method's promises, on whole phases.

use burn::tensor::{Tensor, TensorData};
use shared_model::model::{Mode, ModelConfig, NormKind};

use super::*;
use crate::config::{CtcConfig, OptimConfig};

/// A teacher that has not learned anything.
pub(super) fn fresh_teacher(recipe: &Recipe) -> TrainedNetwork {
    let config = recipe.fitted(&recipe.teacher.model, Tokens::characters().len());
    TrainedNetwork {
        name: TEACHER.into(),
        weights: random_weights(&config, 1).unwrap(),
        config,
    }
}

fn close(a: &Weights, b: &Weights, tolerance: f32) {
    for (name, weight) in a {
        for (a, b) in weight.data.iter().zip(&b[name].data) {
            assert!((a - b).abs() < tolerance, "{name}: {a} {b}");
        }
    }
}

/// Up to the order in which floats are added.
#[test]
fn batch_norms_and_contrasts_do_not_depend_on_shards() {
    let train = |shards: usize| {
        let recipe = recipe(&[
            &format!("compute.shards={shards}"),
            "distill.loss.preset=faithful",
            "distill.epochs=1",
            "teacher.model.norm=batch",
            "teacher.model.dropout=0.0",
            "teach.epochs=1",
            "student.0.init=random",
            "student.0.model.norm=batch",
            "student.0.model.dropout=0.0",
            "student.1.model.dropout=0.0",
            "student.2.model.norm=batch",
            // A bias before a batch norm has no gradient but rounding, which AdamW would step by as far
            // as by any other.
            "teach.optim.epsilon=1e-4",
            "distill.optim.epsilon=1e-4",
        ]);
        let folder = tempfile::tempdir().unwrap();
        let teacher = fresh_teacher(&recipe);
        let work =
            |c: &mut RunContext<'_>| (teach(c).unwrap(), distill(c, Some(&teacher)).unwrap());
        let ((taught, distilled), events) = with_context(folder.path(), &recipe, None, work);
        let terms = [
            "teacher/ctc",
            "wide/clip",
            "wide/mse",
            "narrow/clip",
            "narrow/mse",
        ];
        let losses = terms.map(|term| losses(&events, term)).concat();
        assert_eq!(losses.len(), 5 * 5);
        let networks = [vec![taught], distilled].concat();
        (networks, losses)
    };
    let (whole, whole_losses) = train(1);
    for shards in [2, 4] {
        let (sharded, sharded_losses) = train(shards);
        for (a, b) in whole_losses.iter().zip(&sharded_losses) {
            assert!((a - b).abs() < 2e-4 * (1.0 + a.abs()), "{shards}: {a} {b}");
        }
        for (a, b) in whole.iter().zip(&sharded) {
            close(&a.weights, &b.weights, 2e-4);
        }
    }
}

#[test]
fn a_network_learns_the_same_alone_and_beside_others_that_ask_for_something_else() {
    let mut together = recipe(&["finetune.epochs=3"]);
    together.students[0].finetune = Some(TrainingConfig {
        gentle_epochs: 2,
        ctc: CtcConfig {
            consistency_weight: 0.5,
            ..CtcConfig::default()
        },
        ..together.finetune.clone()
    });
    let fresh = |student: usize| {
        let student = &together.students[student];
        let config = together.fitted(&student.model, Tokens::characters().len());
        TrainedNetwork {
            name: student.name.clone(),
            weights: random_weights(&config, 1).unwrap(),
            config,
        }
    };
    let distilled = [fresh(0), fresh(1)];
    let train = |recipe: &Recipe| {
        let folder = tempfile::tempdir().unwrap();
        let mut source = ToySource::new();
        let work = |c: &mut RunContext<'_>| finetune(c, &distilled).unwrap();
        let (networks, events) = with_source(folder.path(), recipe, &mut source, None, work);
        let plans = source
            .asked
            .iter()
            .map(|plan| (plan.epoch, plan.gentle, plan.views));
        (networks, events, plans.collect::<Vec<_>>())
    };
    let (all, events, plans) = train(&together);
    // Gentle epochs have one view; two views come with masks alone.
    let own = [
        (0, true, 1),
        (0, false, 1),
        (1, true, 1),
        (1, false, 1),
        (2, false, 2),
        (2, false, 1),
    ];
    assert_eq!(plans, own);
    assert_eq!(losses(&events, "wide/consistency").len(), 5);
    assert!(losses(&events, "narrow/consistency").is_empty());
    for index in [0, 1] {
        let mut alone = together.clone();
        alone.students = vec![together.students[index].clone()];
        let (one, ..) = train(&alone);
        assert_eq!(
            bits(&one[0].weights),
            bits(&all[index].weights),
            "{}",
            one[0].name
        );
    }
}

#[test]
fn every_phase_and_epoch_asks_for_data_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = ToySource::new();
    let work = |c: &mut RunContext<'_>| run(c).unwrap();
    with_source(folder.path(), &recipe(&[]), &mut source, None, work);
    let asked: Vec<_> = source
        .asked
        .iter()
        .map(|plan| (plan.phase, plan.epoch))
        .collect();
    let phase = |phase, epochs| (0..epochs).map(move |epoch| (phase, epoch));
    let want: Vec<_> = phase(Phase::Teach, 4)
        .chain(phase(Phase::Distill, 3))
        .chain(phase(Phase::Finetune, 2))
        .collect();
    assert_eq!(asked, want);
}

#[test]
fn a_frozen_teacher_neither_learns_nor_hesitates() {
    let recipe = recipe(&[
        "teacher.model.norm=batch",
        "teacher.model.dropout=0.3",
        "student.2.cut_from=wide",
    ]);
    let teacher = fresh_teacher(&recipe);
    let model = CtcModel::from_weights(&teacher.config, &teacher.weights, &Device::flex()).unwrap();
    let before = bits(&model.weights());
    let answer = |model: &CtcModel| -> Vec<f32> {
        let batch = ToySource::batch(3, 4);
        let shape = [4, batch.time, N_MELS];
        let features = Tensor::from_data(TensorData::new(batch.features, shape), &Device::flex());
        let output = model.forward(features, &batch.lengths, &mut Mode::Eval);
        output.logits.into_data().iter().collect()
    };
    let student = &recipe.students[1];
    let config = recipe.fitted(&student.model, Tokens::characters().len());
    let goal = Goal::Distill {
        teacher: FrozenTeacher::Network(Box::new(model.clone())),
        distillation: Distillation::new(&recipe.distill),
        answers: None,
    };
    // At this rate the student says the same at every step: what changes is the teacher's.
    let training = TrainingConfig {
        optim: OptimConfig {
            learning_rate: 1e-30,
            ..recipe.distill.optim.clone()
        },
        ..recipe.distill.training()
    };
    let config = ModelConfig {
        dropout: 0.0,
        ..config
    };
    let spec = NetworkSpec {
        name: student.name.clone(),
        initial: random_weights(&config, 2).unwrap(),
        config,
        training,
        exits: vec![],
        prune_share: 0.0,
    };
    let compute = Compute::new(&Device::flex(), false, &recipe.compute, Team::alone());
    let phase = Phase::Distill;
    let mut group = TrainerGroup::assemble(phase, goal, vec![spec], compute, 1, |_| 4).unwrap();
    let batch = ToySource::batch(3, 4);
    let mut losses = vec![];
    for batch_in_epoch in 0..4 {
        let report = group.step(&TrainStep {
            batch: &batch,
            plan: group.plans(0)[0],
            batch_in_epoch,
            is_last_of_epoch: false,
            run_seed: 1,
        });
        losses.push(report.networks[0].losses.clone());
    }
    assert!(
        losses[0]
            .iter()
            .any(|(name, value)| name == "narrow/kl" && *value > 0.0)
    );
    assert!(losses.iter().all(|step| *step == losses[0]), "{losses:?}");
    let after = group.goal.teacher().unwrap().network().unwrap();
    assert_eq!(bits(&after.weights()), before);
    assert_eq!(answer(after), answer(&model));
    assert_eq!(teacher.config.norm, NormKind::Batch);
}

#[test]
fn two_views_agree_in_step_one_too_and_are_no_strangers() {
    let recipe = recipe(&[
        "distill.loss.clip=1.0",
        "distill.ctc.consistency_weight=0.5",
        "distill.ctc.consistency_warmup_steps=4",
        "distill.epochs=1",
    ]);
    let folder = tempfile::tempdir().unwrap();
    let teacher = fresh_teacher(&recipe);
    let mut source = ToySource::new();
    let work = |c: &mut RunContext<'_>| distill(c, Some(&teacher)).unwrap();
    let (_, events) = with_source(folder.path(), &recipe, &mut source, None, work);
    assert!(source.asked.iter().all(|plan| plan.views == 2));
    let consistency = losses(&events, "narrow/consistency");
    assert!(consistency.len() == 5 && consistency.iter().all(|&loss| loss > 0.0));
    assert!(
        losses(&events, "narrow/clip")
            .iter()
            .all(|loss| loss.is_finite())
    );
}

#[test]
fn a_narrow_student_says_how_much_of_its_teacher_it_starts_with() {
    let recipe = recipe(&["student.1.init=teacher-blocks", "distill.epochs=1"]);
    let folder = tempfile::tempdir().unwrap();
    let teacher = fresh_teacher(&recipe);
    let work = |c: &mut RunContext<'_>| distill(c, Some(&teacher)).unwrap();
    let (_, events) = with_context(folder.path(), &recipe, None, work);
    let notices: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            TrainEvent::Notice { message } => Some(message.as_str()),
            _ => None,
        })
        .collect();
    for student in ["\"wide\" starts with", "\"narrow\" starts with"] {
        let said = |notice: &&str| notice.starts_with(student) && notice.contains("(100.0 %)");
        assert!(notices.iter().any(said), "{notices:?}");
    }
}

#[test]
fn a_cut_student_starts_with_statistics_of_its_own() {
    let recipe = recipe(&[
        "student.0.model.norm=batch",
        "student.2.model.norm=batch",
        "teacher.model.norm=batch",
    ]);
    let fitted = |index: usize| {
        let model = &recipe.students[index].model;
        recipe.fitted(model, Tokens::characters().len())
    };
    let larger = TrainedNetwork {
        name: "wide".into(),
        weights: random_weights(&fitted(0), 1).unwrap(),
        config: fitted(0),
    };
    let folder = tempfile::tempdir().unwrap();
    let (cut, _) = with_context(folder.path(), &recipe, None, |context| {
        start::of_finetuning(context, &recipe.students[2], &fitted(2), &larger).unwrap()
    });
    for (name, weight) in &cut {
        let source = &larger.weights[&name.replace("blocks.0", "blocks.1")];
        assert_eq!(weight != source, name.contains(".running_"), "{name}");
    }
}

/// Eight utterances that have nothing in common with each other, over and over.
pub(super) struct Eight;

impl Eight {
    pub(super) fn batch() -> Batch {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(8);
        let lengths = vec![60; 8];
        let mut letters = || {
            (0..rng.random_range(4..8))
                .map(|_| rng.random_range(3..29))
                .collect()
        };
        let targets: Vec<Vec<u32>> = (0..8).map(|_| letters()).collect();
        let features = (0..8 * 60 * N_MELS)
            .map(|_| rng.random_range(-2.0..2.0))
            .collect();
        Batch {
            features,
            masks: vec![SpecMask::default(); 8],
            shards: vec![],
            places: vec![],
            views: 1,
            time: 60,
            n_mels: N_MELS,
            lengths,
            targets,
            utterance_ids: (0..8).map(|u| u.to_string()).collect(),
            audio_secs: 4.8,
        }
    }
}

impl BatchSource for Eight {
    fn batches_in_epoch(&self, _audio: TrainingAudio, _plan: EpochPlan) -> usize {
        4
    }
    fn epoch(
        &mut self,
        _audio: TrainingAudio,
        _plan: EpochPlan,
        skip: usize,
        _share: &Share,
    ) -> Result<Batches<'_>, DataError> {
        Ok(Box::new((skip..4).map(|_| Ok(Self::batch()))))
    }
    fn visit_dev(
        &mut self,
        _turn: Turn,
        visit: &mut dyn FnMut(usize, &Batch),
    ) -> Result<(), DataError> {
        visit(0, &Self::batch());
        Ok(())
    }
    fn plain_training(&mut self, _utterances: usize) -> Result<Batches<'_>, DataError> {
        Ok(Box::new([Ok(Self::batch())].into_iter()))
    }
    fn take_quarantined(&mut self) -> Vec<(String, String)> {
        vec![]
    }
}

#[test]
fn a_student_learns_to_tell_utterances_apart() {
    for preset in ["faithful", "improved"] {
        let recipe = recipe(&[
            &format!("distill.loss.preset={preset}"),
            "distill.loss.clip=1.0",
            "distill.loss.mse=0.0",
            "distill.loss.kl=0.0",
            "distill.loss.ctc=0.0",
            "distill.loss.feature=0.0",
            "distill.epochs=40",
            "student.0.init=random",
            "student.0.model.dropout=0.0",
            "student.1.model.dropout=0.0",
            "validation.every_epochs=40",
        ]);
        let folder = tempfile::tempdir().unwrap();
        let teacher = fresh_teacher(&recipe);
        let work = |c: &mut RunContext<'_>| distill(c, Some(&teacher)).unwrap();
        let (_, events) = with_source(folder.path(), &recipe, &mut Eight, None, work);
        for student in ["wide", "narrow"] {
            let values = losses(&events, &format!("{student}/clip"));
            let (first, last) = (values[0], values[values.len() - 1]);
            assert!(last < 0.5 * first, "{preset}, {student}: {first} to {last}");
        }
    }
}

#[test]
fn eight_utterances_are_learned_by_heart() {
    let recipe = recipe(&[
        "student=[]",
        "teacher.model.d_model=32",
        "teacher.model.d_ffn=64",
        "teacher.model.dropout=0.0",
        "teach.epochs=40",
        "teach.optim.warmup_steps=20",
        "validation.every_epochs=40",
    ]);
    let folder = tempfile::tempdir().unwrap();
    let work = |c: &mut RunContext<'_>| teach(c).unwrap();
    let (_, events) = with_source(folder.path(), &recipe, &mut Eight, None, work);
    let rates: Vec<(f64, f64)> = events
        .iter()
        .filter_map(|event| match event {
            TrainEvent::Validation { wer, cer, .. } => Some((*wer, *cer)),
            _ => None,
        })
        .collect();
    assert_eq!(rates.last(), Some(&(0.0, 0.0)), "{rates:?}");
}
