//! Whole phases on tiny networks and made-up features.
#![allow(clippy::unwrap_used)]

mod abilities;
mod method;
#[cfg(feature = "onnx")]
mod onnx_teacher;
mod phones;
mod resuming;
mod starting;
mod teams;
mod toy;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use burn::prelude::Device;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use shared_model::{bundle::LoadedModel, model::CtcModel, tokens::Tokens, weights::Weights};

use super::*;
use crate::{
    cluster::Team,
    config::{BlockChoice, ChannelChoice, Phase, Recipe, TrainingConfig},
    costs::PhaseCosts,
    data::{
        Batch, BatchSource, Batches, DataError, EpochPlan, Share, SpecMask, TrainingAudio, Turn,
        deal,
    },
    event::TrainEvent,
    run_folder::RunFolder,
};
use toy::*;

const N_MELS: usize = 8;

#[test]
fn a_whole_run_trains_teacher_and_students_and_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(&[]);
    let (family, events) = with_context(folder.path(), &recipe, None, |c| run(c).unwrap());
    let names: Vec<&str> = family.students.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["wide", "narrow", "cut"]);
    for network in family.students.iter().chain(&family.teacher) {
        CtcModel::from_weights(&network.config, &network.weights, &Device::flex()).unwrap();
    }
    let ctc = losses(&events, "teacher/ctc");
    assert!(ctc.last() < ctc.first(), "{ctc:?}");
    for term in ["narrow/kl", "narrow/ctc"] {
        let values = losses(&events, term);
        assert!(values.last() < values.first(), "{term}: {values:?}");
    }
    assert!(losses(&events, "cut/kl").is_empty());
    assert!(!losses(&events, "cut/ctc").is_empty());
    let narrow = &family.students[1];
    let narrow = CtcModel::from_weights(&narrow.config, &narrow.weights, &Device::flex()).unwrap();
    let (mean, _) = narrow.corpus_stats();
    assert!(mean.iter().any(|&m| m.abs() > 0.1), "{mean:?}");

    let (again, events) = with_context(folder.path(), &recipe, None, |c| run(c).unwrap());
    assert!(!events.iter().any(|e| matches!(e, TrainEvent::Step { .. })));
    for (a, b) in family.students.iter().zip(&again.students) {
        assert_eq!(bits(&a.weights), bits(&b.weights));
    }
}

#[test]
fn shards_of_a_batch_give_the_step_of_the_whole() {
    let train = |shards: usize| {
        let folder = tempfile::tempdir().unwrap();
        let recipe = recipe(&[
            &format!("compute.shards={shards}"),
            "teacher.model.dropout=0.0",
            "teach.epochs=1",
        ]);
        let (teacher, events) = with_context(folder.path(), &recipe, None, |c| teach(c).unwrap());
        (teacher.weights, losses(&events, "teacher/ctc"))
    };
    let (whole, whole_losses) = train(1);
    for shards in [2, 3] {
        let (sharded, sharded_losses) = train(shards);
        for (a, b) in whole_losses.iter().zip(&sharded_losses) {
            assert!(
                (a - b).abs() < 1e-5,
                "{shards}: {whole_losses:?} {sharded_losses:?}"
            );
        }
        for (name, weight) in &whole {
            for (a, b) in weight.data.iter().zip(&sharded[name].data) {
                assert!((a - b).abs() < 2e-4, "{shards} shards, {name}: {a} {b}");
            }
        }
    }
}

#[test]
fn every_loss_of_step_one_falls_when_it_is_trained_alone() {
    let folder = tempfile::tempdir().unwrap();
    let teach_recipe = recipe(&["teach.epochs=2"]);
    with_context(folder.path(), &teach_recipe, None, |c| teach(c).unwrap());
    for name in ["mse", "kl", "ctc", "feature"] {
        let mut overrides: Vec<String> = ["clip", "mse", "kl", "ctc", "feature"]
            .map(|other| format!("distill.loss.{other}={:.1}", f64::from(name == other)))
            .into();
        overrides.extend(
            [
                "teach.epochs=2",
                "distill.epochs=8",
                "student.1.model.dropout=0.0",
                "student.0.init=random",
            ]
            .map(String::from),
        );
        let overrides: Vec<&str> = overrides.iter().map(String::as_str).collect();
        let recipe = recipe(&overrides);
        let own = tempfile::tempdir().unwrap();
        let weights = own.path().join("weights");
        std::fs::create_dir_all(weights.join("teach")).unwrap();
        let teacher = "teach/teacher.safetensors";
        let trained = folder.path().join("weights").join(teacher);
        std::fs::copy(trained, weights.join(teacher)).unwrap();
        let (_, events) = with_context(own.path(), &recipe, None, |c| distill_stored(c).unwrap());
        for student in ["wide", "narrow"] {
            let values = losses(&events, &format!("{student}/{name}"));
            let (first, last) = (values[0], values[values.len() - 1]);
            assert!(last < 0.8 * first, "{student}/{name}: {values:?}");
        }
    }
}

#[test]
fn every_weight_gets_a_gradient_in_every_phase() {
    use network::{ComparedFeatures, TrainableNetwork};
    use objective::{BatchTotals, ShardJob, forward_shard};
    use teacher::{TeacherOutput, TeacherQuestion};
    let recipe = recipe(&["distill.loss.clip=1.0", "distill.loss.mse=1.0"]);
    let device = Device::flex().autodiff();
    let batch = ToySource::batch(1, 3);
    let shards = shard::split(&batch, 1);
    let teacher_weights = random_weights(&recipe.teacher.model, 1).unwrap();
    let teacher =
        CtcModel::from_weights(&recipe.teacher.model, &teacher_weights, &Device::flex()).unwrap();
    let config = recipe.students[1].model.clone();
    let weights = random_weights(&config, 2).unwrap();
    let compared = Some(ComparedFeatures {
        width: 16,
        layers: 1,
    });
    let network = TrainableNetwork::new(&config, &weights, compared, 3, &device).unwrap();
    let totals = BatchTotals::new(
        (&batch.lengths, &batch.targets),
        0..batch.lengths.len(),
        |frames| config.encoder_length(frames),
        1,
    );
    let distillation = Distillation::new(&recipe.distill);
    let question = TeacherQuestion {
        masked: true,
        all_blocks: false,
    };
    let output = TeacherOutput::of_network(&teacher, &shards[0], question, &Device::flex());
    let mut pass = forward_shard(
        network.clone(),
        &ShardJob {
            shard: &shards[0],
            totals: &totals,
            ctc: &recipe.distill.ctc,
            intermediate_layers: &[],
            consistency_weight: 0.0,
            teacher: Some((&distillation, &output)),
            seed: 1,
            threads: 1,
            device: &device,
        },
    );
    let Ok(()) = contrast::contrast(&mut [&mut pass], &shards, &distillation, &contrast::Alone);
    let result = pass.backward();
    // Weights and the projection; buffers are no weights.
    let want = network
        .weights()
        .keys()
        .filter(|name| !name.starts_with("corpus_") && !name.contains("running_"))
        .count();
    assert_eq!(result.gradients.len(), want);
    assert_eq!(result.terms.len(), 5);
}

#[test]
fn a_run_that_leaves_the_finite_numbers_ends_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(&[]);
    struct Broken(ToySource);
    impl BatchSource for Broken {
        fn batches_in_epoch(&self, audio: TrainingAudio, plan: EpochPlan) -> usize {
            self.0.batches_in_epoch(audio, plan)
        }
        fn epoch(
            &mut self,
            audio: TrainingAudio,
            plan: EpochPlan,
            skip: usize,
            share: &Share,
        ) -> Result<Batches<'_>, DataError> {
            Ok(Box::new(self.0.epoch(audio, plan, skip, share)?.map(
                |batch| {
                    batch.map(|mut batch| {
                        batch.features[0] = f32::NAN;
                        batch
                    })
                },
            )))
        }
        fn visit_dev(
            &mut self,
            turn: Turn,
            visit: &mut dyn FnMut(usize, &Batch),
        ) -> Result<(), DataError> {
            self.0.visit_dev(turn, visit)
        }
        fn plain_training(&mut self, n: usize) -> Result<Batches<'_>, DataError> {
            self.0.plain_training(n)
        }
        fn take_quarantined(&mut self) -> Vec<(String, String)> {
            vec![]
        }
    }
    let (result, _) = with_context(folder.path(), &recipe, None, |context| {
        let mut broken = Broken(ToySource::new());
        let mut events = |_| {};
        let mut context = RunContext {
            recipe: context.recipe,
            folder: context.folder,
            tokens: context.tokens,
            phones: None,
            source: &mut broken,
            device: Device::flex(),
            is_gpu: false,
            pretrained_teacher: None,
            onnx_teacher: None,
            starts: BTreeMap::new(),
            team: Team::alone(),
            stop: context.stop,
            events: &mut events,
        };
        teach(&mut context)
    });
    match result {
        Err(TrainError::Diverged {
            step, utterances, ..
        }) => {
            assert_eq!(step, 10);
            assert!(utterances.contains("104-0"), "{utterances}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn phases_out_of_order_say_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (result, _) = with_context(folder.path(), &recipe(&[]), None, distill_stored);
    let text = result.unwrap_err().to_string();
    assert!(text.contains("fledge teach"), "{text}");
    let (result, _) = with_context(folder.path(), &recipe(&[]), None, finetune_stored);
    let text = result.unwrap_err().to_string();
    assert!(text.contains("fledge distill"), "{text}");
}
