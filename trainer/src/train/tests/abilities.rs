//! What a recipe can ask of students beside the two steps, on whole phases.

use burn::tensor::{Tensor, TensorData};
use shared_model::model::{Mode, ModelConfig};

use super::*;

/// Logits of made-up features, `[1, time', vocab]` row after row, at block `depth` (1-based).
fn logits_at(network: &TrainedNetwork, depth: usize) -> Vec<f32> {
    let device = Device::flex();
    let model = CtcModel::from_weights(&network.config, &network.weights, &device).unwrap();
    let values: Vec<f32> = (0..40 * N_MELS).map(|i| (i as f32 * 0.37).sin()).collect();
    let features = Tensor::from_data(TensorData::new(values, [1, 40, N_MELS]), &device);
    let output = model.forward(features, &[40], &mut Mode::Eval);
    let logits = model.head(output.hidden[depth - 1].clone());
    logits.into_data().iter().collect()
}

fn train(overrides: &[&str]) -> (TrainedFamily, Vec<TrainEvent>) {
    let folder = tempfile::tempdir().unwrap();
    with_context(folder.path(), &recipe(overrides), None, |c| run(c).unwrap())
}

/// Word errors or loss on the development set, as validations give them.
fn dev_losses(events: &[TrainEvent], network: &str) -> Vec<f64> {
    let of_event = |event: &TrainEvent| match event {
        TrainEvent::Validation {
            network: name,
            loss,
            ..
        } if name == network => Some(*loss),
        _ => None,
    };
    events.iter().filter_map(of_event).collect()
}

#[test]
fn students_without_a_teacher_learn_together_from_the_same_batches() {
    let recipe = recipe(&["student.0.init=random", "distill.epochs=0"]);
    assert!(!recipe.needs_teacher());
    let folder = tempfile::tempdir().unwrap();
    let mut source = ToySource::new();
    let work = |c: &mut RunContext<'_>| run(c).unwrap();
    let (family, events) = with_source(folder.path(), &recipe, &mut source, None, work);
    assert!(family.teacher.is_none());
    assert_eq!(family.students.len(), 3);
    // One pass an epoch for all of them.
    let epochs: Vec<usize> = source.asked.iter().map(|plan| plan.epoch).collect();
    assert_eq!(epochs, [0, 1]);
    assert!(
        source
            .asked
            .iter()
            .all(|plan| plan.phase == Phase::Finetune)
    );
    for student in ["wide", "narrow", "cut"] {
        let ctc = losses(&events, &format!("{student}/ctc"));
        assert!(ctc.len() == 10 && ctc[9] < ctc[0], "{student}: {ctc:?}");
    }
    // Live audio is normalised from the corpus's statistics, teacher or not.
    let (narrow, device) = (&family.students[1], Device::flex());
    let narrow = CtcModel::from_weights(&narrow.config, &narrow.weights, &device).unwrap();
    assert!(narrow.corpus_stats().0.iter().any(|m| m.abs() > 0.1));
}

#[test]
fn without_step_two_students_end_as_step_one_left_them() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(&["finetune.epochs=0"]);
    let (family, events) = with_context(folder.path(), &recipe, None, |c| run(c).unwrap());
    assert!(losses(&events, "narrow/kl").len() == 15);
    let (distilled, _) = with_context(folder.path(), &recipe, None, |c| distill_stored(c).unwrap());
    for network in &distilled {
        let last = family.students.iter().find(|s| s.name == network.name);
        assert_eq!(bits(&last.unwrap().weights), bits(&network.weights));
    }
}

#[test]
fn an_exit_is_the_first_blocks_of_its_host_and_learns_from_all_of_it() {
    let nested = [
        "student.2.exit_of=wide",
        "student.2.cut_from=",
        "finetune.ctc.intermediate_weight=0.5",
        "finetune.ctc.intermediate_kl_weight=0.5",
        "finetune.epochs=4",
    ];
    let (family, events) = train(&nested);
    let (wide, exit) = (&family.students[0], &family.students[2]);
    assert_eq!((exit.name.as_str(), exit.config.n_layers), ("cut", 1));
    assert_eq!(logits_at(exit, 1), logits_at(wide, 1));
    assert_ne!(logits_at(wide, 1), logits_at(wide, 2));
    let ctc = losses(&events, "wide/intermediate_ctc");
    assert!(ctc.last() < ctc.first(), "{ctc:?}");
    assert_eq!(losses(&events, "wide/intermediate_kl").len(), 20);
    assert!(losses(&events, "cut/ctc").is_empty());
    // Step 1 teaches it nothing here: it is measured in the epochs of step 2.
    let of_exit = dev_losses(&events, "cut");
    assert_eq!(of_exit.len(), 4, "{of_exit:?}");
    assert!(of_exit.last() < of_exit.first(), "{of_exit:?}");
}

#[test]
fn an_exit_with_a_head_of_its_own_is_taught_by_it_and_comes_out_with_it() {
    let nested = [
        "student.2.exit_of=wide",
        "student.2.cut_from=",
        "finetune.ctc.intermediate_weight=0.5",
        "finetune.ctc.own_exit_heads=true",
        "finetune.epochs=4",
        "distill.epochs=0",
        "student.0.init=random",
        "student.1.init=random",
    ];
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(&nested);
    let (family, events) = with_context(folder.path(), &recipe, None, |c| run(c).unwrap());
    let (wide, exit) = (&family.students[0], &family.students[2]);
    let differing: Vec<&String> = exit
        .weights
        .iter()
        .filter(|(name, weight)| weight.data != wide.weights[*name].data)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(differing, ["head.bias", "head.weight"]);
    assert!(wide.weights.keys().all(|name| !name.starts_with("exit")));
    let of_exit = dev_losses(&events, "cut");
    assert!(of_exit.last() < of_exit.first(), "{of_exit:?}");
    // Interrupted and gone on with, it ends the same.
    let stopped = tempfile::tempdir().unwrap();
    let again = loop {
        match with_context(stopped.path(), &recipe, Some(3), run).0 {
            Ok(family) => break family,
            Err(TrainError::Interrupted { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(bits(&again.students[2].weights), bits(&exit.weights));
}

#[test]
fn a_fitted_start_answers_more_like_its_teacher_than_one_of_chosen_channels() {
    let wide = [
        "teach.epochs=20",
        "teacher.model.d_model=32",
        "teacher.model.d_ffn=48",
        "student.0={name=\"half\", model={d_model=16, n_layers=2, n_heads=2, d_ffn=24, conv_kernel=3}}",
        "student.2.cut_from=half",
        "student.2.model.d_ffn=24",
        "distill.epochs=1",
        "finetune.epochs=0",
    ];
    let (family, _) = train(&wide);
    let (teacher, half) = (family.teacher.unwrap(), &family.students[0]);
    let sample = Box::new([Ok(ToySource::batch(0, 4))].into_iter());
    let inputs = initial::inputs_of(&teacher.config, &teacher.weights, sample);
    let inputs = inputs.unwrap().unwrap();
    assert_eq!(inputs.len(), 2 + 8 * teacher.config.n_layers + 1);
    let start = |channels, inputs, config: &ModelConfig| {
        let trained = initial::Trained {
            weights: &teacher.weights,
            config: &teacher.config,
            blocks: BlockChoice::Even,
            channels,
            inputs,
        };
        let random = random_weights(config, 3).unwrap();
        let start = initial::from_blocks(config, random, trained).unwrap();
        TrainedNetwork {
            name: "start".into(),
            config: config.clone(),
            weights: start.weights,
        }
    };
    let answers = |network: &TrainedNetwork| -> Vec<f32> {
        let device = Device::flex();
        let model = CtcModel::from_weights(&network.config, &network.weights, &device).unwrap();
        let shard = shard::Shard::whole(&ToySource::batch(0, 4));
        let logits = shard
            .forward(&model, false, &device, &mut Mode::Eval)
            .logits;
        burn::tensor::activation::softmax(logits, 2)
            .into_data()
            .iter()
            .collect()
    };
    let expected = answers(&teacher);
    let error = |network: &TrainedNetwork| -> f32 {
        let pairs = expected.iter().zip(answers(network));
        pairs.map(|(a, b)| (a - b).powi(2)).sum()
    };
    let even = error(&start(ChannelChoice::Even, None, &half.config));
    let fitted = error(&start(ChannelChoice::Fitted, Some(&inputs), &half.config));
    assert!(fitted < 0.7 * even, "{fitted} of {even}");
    // Where nothing is left out, nothing is fitted.
    let same = start(ChannelChoice::Fitted, Some(&inputs), &teacher.config);
    assert_eq!(bits(&same.weights), bits(&teacher.weights));
}

#[test]
fn pruned_values_stay_zero_through_both_steps_and_a_resumption() {
    let overrides = ["student.0.prune_share=0.225", "student.0.model.dropout=0.0"];
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(&overrides);
    let mut interruptions = 0;
    let family = loop {
        let (result, _) = with_context(folder.path(), &recipe, Some(4), run);
        match result {
            Ok(family) => break family,
            Err(TrainError::Interrupted { .. }) => interruptions += 1,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(interruptions > 2);
    let zeros = |network: &TrainedNetwork| {
        let matrices = network.weights.values().filter(|w| w.shape.len() == 2);
        let values: Vec<f32> = matrices.flat_map(|w| w.data.clone()).collect();
        let zeros = values.iter().filter(|v| **v == 0.0).count();
        zeros as f64 / values.len() as f64
    };
    let share = zeros(&family.students[0]);
    assert!((share - 0.225).abs() < 1e-3, "{share}");
    assert!(zeros(&family.students[1]) < 1e-3);
}

#[test]
fn a_start_from_the_teacher_beats_a_random_one_after_an_epoch() {
    let loss = |start: &[&str]| {
        let common = [
            "teach.epochs=12",
            "teacher.model.d_model=32",
            "teacher.model.d_ffn=48",
            "student.0={name=\"half\", model={d_model=16, n_layers=2, n_heads=2, d_ffn=24, conv_kernel=3}}",
            "student.2.cut_from=half",
            "student.2.model.d_ffn=24",
            "distill.epochs=1",
            "finetune.epochs=0",
            "validation.every_epochs=1",
        ];
        let (_, events) = train(&[&common, start].concat());
        *dev_losses(&events, "half").first().unwrap()
    };
    let random = loss(&[]);
    let even = loss(&["student.0.init=teacher-blocks"]);
    let important = loss(&[
        "student.0.init=teacher-blocks",
        "student.0.channels=important",
    ]);
    assert!(even < random, "{even} {random}");
    assert!(important < random, "{important} {random}");
}

#[test]
fn features_are_compared_at_as_many_blocks_as_asked_for() {
    let (_, one) = train(&["distill.epochs=1", "finetune.epochs=0"]);
    let (_, two) = train(&[
        "distill.epochs=1",
        "finetune.epochs=0",
        "distill.loss.feature_layers=2",
    ]);
    let first =
        |events: &[TrainEvent], student: &str| losses(events, &format!("{student}/feature"))[0];
    // "wide" has the teacher's two blocks; "narrow" has one block, so nothing else to compare.
    assert_ne!(first(&one, "wide"), first(&two, "wide"));
    assert_eq!(first(&one, "narrow"), first(&two, "narrow"));
    let recipe = recipe(&["distill.loss.feature_layers=2"]);
    let distillation = Distillation::new(&recipe.distill);
    assert_eq!(distillation.compared_layers(6, 12), [(2, 5), (5, 11)]);
    assert_eq!(distillation.compared_layers(1, 12), [(0, 11)]);
}

#[test]
fn a_student_of_half_the_frames_learns_from_its_teacher() {
    let (family, events) = train(&[
        "student.1.model.subsampling_factor=8",
        "distill.epochs=6",
        "distill.loss.ctc=0.0",
    ]);
    assert_eq!(family.students[1].config.subsampling_factor, 8);
    let kl = losses(&events, "narrow/kl");
    assert!(kl.last() < kl.first(), "{kl:?}");
    let feature = losses(&events, "narrow/feature");
    assert!(feature.last() < feature.first(), "{feature:?}");
}

#[test]
fn a_student_may_have_a_step_one_of_its_own() {
    let mut own = recipe(&[]);
    own.students[1].distill = Some(TrainingConfig {
        epochs: 1,
        ..own.distill.training()
    });
    let folder = tempfile::tempdir().unwrap();
    let (_, events) = with_context(folder.path(), &own, None, |c| run(c).unwrap());
    assert_eq!(losses(&events, "wide/kl").len(), 15);
    assert_eq!(losses(&events, "narrow/kl").len(), 5);
}

#[test]
fn cuts_take_the_blocks_that_the_recipe_names() {
    let cut = |blocks: &str| {
        let (family, _) = train(&[
            &format!("student.2.blocks={blocks}"),
            "distill.epochs=1",
            "finetune.epochs=0",
        ]);
        let weights = |student: usize, block: usize| {
            let name = format!("encoder.blocks.{block}.ffn1.up.weight");
            family.students[student].weights[&name].clone()
        };
        let own = weights(2, 0);
        (own == weights(0, 0), own == weights(0, 1))
    };
    assert_eq!(cut("first"), (true, false));
    assert_eq!(cut("last"), (false, true));
    assert_eq!(cut("even"), (false, true));
}

#[test]
fn answers_of_the_teacher_are_kept_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let kept = format!("distill.answers={}", folder.path().join("kept").display());
    let distilled = |overrides: &[&str]| {
        let run = tempfile::tempdir().unwrap();
        let recipe = recipe(overrides);
        let teacher = method::fresh_teacher(&recipe);
        let work = |c: &mut RunContext<'_>| distill(c, Some(&teacher)).unwrap();
        let (networks, events) = with_context(run.path(), &recipe, None, work);
        let notice = events.iter().find_map(|event| match event {
            TrainEvent::Notice { message } if message.contains("answers of the teacher") => {
                Some(message.split_once(" answers").unwrap().0.to_owned())
            }
            _ => None,
        });
        let weights: Vec<_> = networks.iter().map(|n| bits(&n.weights)).collect();
        (weights, notice)
    };
    let (without, notice) = distilled(&["distill.loss.feature_layers=2"]);
    assert_eq!(notice, None);
    let (first, notice) = distilled(&["distill.loss.feature_layers=2", &kept]);
    assert_eq!(notice.as_deref(), Some("0 of 30"));
    let (second, notice) = distilled(&["distill.loss.feature_layers=2", &kept]);
    assert_eq!(notice.as_deref(), Some("30 of 30"));
    assert!(first == without && second == without);
    // Another question, other answers; and what is broken is computed again.
    let (_, notice) = distilled(&[&kept]);
    assert_eq!(notice.as_deref(), Some("0 of 30"));
    for entry in std::fs::read_dir(folder.path().join("kept")).unwrap() {
        std::fs::write(entry.unwrap().path(), b"half").unwrap();
    }
    let (third, notice) = distilled(&["distill.loss.feature_layers=2", &kept]);
    assert_eq!(notice.as_deref(), Some("0 of 30"));
    assert!(third == without);
}

#[test]
fn no_more_answers_are_kept_than_the_recipe_allows() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(&["distill.epochs=1"]);
    let teacher = method::fresh_teacher(&recipe);
    let device = Device::flex();
    let model = CtcModel::from_weights(&teacher.config, &teacher.weights, &device).unwrap();
    let cache = answers::AnswerCache::open(folder.path(), 1, &model).unwrap();
    let question = teacher::TeacherQuestion {
        masked: true,
        all_blocks: false,
    };
    for seed in 0..3 {
        let shard = shard::Shard::whole(&ToySource::batch(seed, 4));
        let compute = || teacher::TeacherOutput::of_network(&model, &shard, question, &device);
        cache.answer(&shard, question, &device, compute);
    }
    // The first fills it.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
