//! Whole phases on tiny networks and made-up features.
#![allow(clippy::unwrap_used)]

mod abilities;
mod method;
#[cfg(feature = "onnx")]
mod onnx_teacher;
mod teams;

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

const N_MELS: usize = 8;

/// Utterances of three to five letters, each letter a loud band for eight frames.
struct ToySource {
    batches: usize,
    quarantined: Vec<(String, String)>,
    /// Every plan that was asked for.
    asked: Vec<EpochPlan>,
}

impl ToySource {
    fn new() -> Self {
        Self {
            batches: 5,
            quarantined: vec![],
            asked: vec![],
        }
    }

    fn batch(seed: u64, utterances: usize) -> Batch {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut rows: Vec<Vec<f32>> = vec![];
        let mut targets = vec![];
        for _ in 0..utterances {
            let letters = rng.random_range(3..=5);
            // Characters set: ids 3.. are letters; 2 bands per letter.
            let target: Vec<u32> = (0..letters).map(|_| rng.random_range(3..6)).collect();
            let mut row = vec![];
            for &id in &target {
                for frame in 0..8 {
                    for band in 0..N_MELS {
                        let loud = band / 2 == id as usize - 3 && frame < 6;
                        let noise: f32 = rng.random_range(-0.3..0.3);
                        row.push(noise + if loud { 2.0 } else { 0.0 });
                    }
                }
            }
            rows.push(row);
            targets.push(target);
        }
        let lengths: Vec<usize> = rows.iter().map(|row| row.len() / N_MELS).collect();
        let time = lengths.iter().copied().max().unwrap_or(0);
        let mut features = vec![];
        for mut row in rows {
            row.resize(time * N_MELS, 0.0);
            features.extend(row);
        }
        Batch {
            masks: vec![SpecMask::default(); utterances],
            shards: vec![],
            places: vec![],
            views: 1,
            features,
            time,
            n_mels: N_MELS,
            audio_secs: lengths.iter().sum::<usize>() as f64 * 0.01,
            lengths,
            targets,
            utterance_ids: (0..utterances).map(|u| format!("{seed}-{u}")).collect(),
        }
    }

    /// Batch `index` of an epoch, other utterances for every plan. Of two views the second has a mask.
    fn planned(plan: EpochPlan, index: usize) -> Batch {
        let kind = 2 * plan.phase as usize + usize::from(plan.gentle);
        let batch = Self::batch((10_000 * kind + 100 * plan.epoch + index) as u64, 4);
        if plan.views == 1 {
            return batch;
        }
        let row = batch.time * N_MELS;
        let twice = |at: usize| batch.features[at * row..][..row].repeat(2);
        let second = SpecMask {
            bands: vec![1..2, 5..6],
            frames: vec![4..9, 12..14],
        };
        Batch {
            features: (0..4).flat_map(twice).collect(),
            masks: (0..4)
                .flat_map(|_| [SpecMask::default(), second.clone()])
                .collect(),
            shards: vec![],
            places: vec![],
            views: 2,
            lengths: batch.lengths.iter().flat_map(|&l| [l, l]).collect(),
            targets: batch
                .targets
                .iter()
                .flat_map(|t| [t.clone(), t.clone()])
                .collect(),
            utterance_ids: batch
                .utterance_ids
                .iter()
                .flat_map(|i| [i.clone(), i.clone()])
                .collect(),
            ..batch
        }
    }
}

impl BatchSource for ToySource {
    fn batches_in_epoch(&self, _audio: TrainingAudio, _plan: EpochPlan) -> usize {
        self.batches
    }
    fn epoch(
        &mut self,
        _audio: TrainingAudio,
        plan: EpochPlan,
        skip: usize,
        share: &Share,
    ) -> Result<Batches<'_>, DataError> {
        self.asked.push(plan);
        let range = skip..self.batches;
        let share = share.clone();
        Ok(Box::new(range.map(move |index| {
            Ok(of_share(Self::planned(plan, index), &share))
        })))
    }
    fn visit_dev(
        &mut self,
        turn: Turn,
        visit: &mut dyn FnMut(usize, &Batch),
    ) -> Result<(), DataError> {
        for number in (0..3).skip(turn.first).step_by(turn.of) {
            visit(number, &Self::batch(9999 + number as u64, 2));
        }
        Ok(())
    }
    fn plain_training(&mut self, _utterances: usize) -> Result<Batches<'_>, DataError> {
        Ok(Box::new([Ok(Self::batch(0, 4))].into_iter()))
    }
    fn take_quarantined(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.quarantined)
    }
}

/// The rows of a batch that are of the shards of `share`.
fn of_share(batch: Batch, share: &Share) -> Batch {
    let utterances = batch.lengths.iter().step_by(batch.views).copied();
    let shards = deal(&utterances.collect::<Vec<_>>(), share.shards);
    let shards: Vec<usize> = (0..batch.lengths.len())
        .map(|row| shards[row / batch.views])
        .collect();
    let own: Vec<usize> = (0..shards.len())
        .filter(|&row| share.own.contains(&shards[row]))
        .collect();
    let row = batch.time * batch.n_mels;
    Batch {
        features: own
            .iter()
            .flat_map(|&u| batch.features[u * row..][..row].to_vec())
            .collect(),
        masks: own.iter().map(|&u| batch.masks[u].clone()).collect(),
        lengths: own.iter().map(|&u| batch.lengths[u]).collect(),
        targets: own.iter().map(|&u| batch.targets[u].clone()).collect(),
        shards: own.iter().map(|&u| shards[u]).collect(),
        places: own.iter().map(|&u| u / batch.views).collect(),
        utterance_ids: own
            .iter()
            .map(|&u| batch.utterance_ids[u].clone())
            .collect(),
        ..batch
    }
}

const RECIPE: &str = r#"
name = "toy"
[data]
train = "none.jsonl"
[features]
n_mels = 8
[teacher.model]
n_mels = 8
subsampling_factor = 4
d_model = 16
n_layers = 2
n_heads = 2
d_ffn = 16
conv_kernel = 3
dropout = 0.1
[[student]]
name = "wide"
init = "teacher-blocks"
[student.model]
d_model = 16
n_layers = 2
n_heads = 2
d_ffn = 16
conv_kernel = 3
[[student]]
name = "narrow"
[student.model]
d_model = 8
n_layers = 1
n_heads = 2
d_ffn = 8
conv_kernel = 3
[[student]]
name = "cut"
cut_from = "wide"
[student.model]
d_model = 16
n_layers = 1
n_heads = 2
d_ffn = 16
conv_kernel = 3
[teach]
epochs = 4
average_epochs = 2
ctc.intermediate_weight = 0.3
[teach.optim]
learning_rate = 5e-3
warmup_steps = 4
[distill]
epochs = 3
average_epochs = 2
[distill.optim]
learning_rate = 5e-3
warmup_steps = 4
[finetune]
epochs = 2
average_epochs = 2
[finetune.optim]
learning_rate = 2e-3
warmup_steps = 2
[compute]
shards = 2
[checkpoint]
every_steps = 3
"#;

fn recipe(overrides: &[&str]) -> Recipe {
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_string()).collect();
    Recipe::parse(RECIPE, "toy", Path::new("/none"), &overrides).unwrap()
}

/// Calls `work` with everything of a run in `folder`; `stop_after`: ask for a stop at that many
/// `Step` events.
fn with_context<T>(
    folder: &Path,
    recipe: &Recipe,
    stop_after: Option<usize>,
    work: impl FnOnce(&mut RunContext<'_>) -> T,
) -> (T, Vec<TrainEvent>) {
    with_source(folder, recipe, &mut ToySource::new(), stop_after, work)
}

/// As [`with_context`], with batches from `source`.
fn with_source<T>(
    folder: &Path,
    recipe: &Recipe,
    source: &mut dyn BatchSource,
    stop_after: Option<usize>,
    work: impl FnOnce(&mut RunContext<'_>) -> T,
) -> (T, Vec<TrainEvent>) {
    with_team(Team::alone(), folder, recipe, source, stop_after, work)
}

/// As [`with_source`], as one of the processes of `team`.
fn with_team<T>(
    team: Team<'_>,
    folder: &Path,
    recipe: &Recipe,
    source: &mut dyn BatchSource,
    stop_after: Option<usize>,
    work: impl FnOnce(&mut RunContext<'_>) -> T,
) -> (T, Vec<TrainEvent>) {
    let run = match team.is_first() {
        true => RunFolder::open(folder, recipe, "", false).unwrap(),
        false => RunFolder::of_another(folder),
    };
    let tokens = Tokens::characters();
    let stop = AtomicBool::new(false);
    let mut events = vec![];
    let mut steps = 0;
    let mut sink = |event: TrainEvent| {
        if matches!(event, TrainEvent::Step { .. }) {
            steps += 1;
            if Some(steps) == stop_after {
                stop.store(true, Ordering::SeqCst);
            }
        }
        events.push(event);
    };
    let mut context = RunContext {
        recipe,
        folder: &run,
        tokens: &tokens,
        source,
        device: Device::flex(),
        is_gpu: false,
        pretrained_teacher: None,
        onnx_teacher: None,
        starts: BTreeMap::new(),
        team,
        stop: &stop,
        events: &mut sink,
    };
    let result = work(&mut context);
    (result, events)
}

fn distill_stored(context: &mut RunContext<'_>) -> Result<Vec<TrainedNetwork>, TrainError> {
    let before = trained_before(context, Phase::Distill)?;
    distill(context, before.first())
}

fn finetune_stored(context: &mut RunContext<'_>) -> Result<Vec<TrainedNetwork>, TrainError> {
    let distilled = trained_before(context, Phase::Finetune)?;
    finetune(context, &distilled)
}

fn bits(weights: &Weights) -> Vec<(String, Vec<u32>)> {
    weights
        .iter()
        .map(|(name, weight)| {
            let bits = weight.data.iter().map(|v| v.to_bits()).collect();
            (name.clone(), bits)
        })
        .collect()
}

fn losses(events: &[TrainEvent], name: &str) -> Vec<f64> {
    let of_event = |event: &TrainEvent| match event {
        TrainEvent::Step { losses, .. } => losses.iter().find(|(n, _)| n == name).map(|l| l.1),
        _ => None,
    };
    events.iter().filter_map(of_event).collect()
}

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
fn stopped_and_continued_runs_end_bit_for_bit_like_straight_ones() {
    let mut recipe = recipe(&["validation.every_epochs=2", "teach.optim.accumulate=2"]);
    // An epoch with batches of two kinds.
    recipe.students[1].finetune = Some(TrainingConfig {
        gentle_epochs: 1,
        ..recipe.finetune.clone()
    });
    let straight = tempfile::tempdir().unwrap();
    let (want, _) = with_context(straight.path(), &recipe, None, |c| run(c).unwrap());

    let stopped = tempfile::tempdir().unwrap();
    let mut interruptions = 0;
    let got = loop {
        let (result, _) = with_context(stopped.path(), &recipe, Some(2), run);
        match result {
            Ok(family) => break family,
            Err(TrainError::Interrupted { .. }) => interruptions += 1,
            Err(other) => panic!("{other}"),
        }
        assert!(interruptions < 40);
    };
    assert!(interruptions >= 5, "{interruptions}");
    let of_teacher = |family: &TrainedFamily| bits(&family.teacher.as_ref().unwrap().weights);
    assert_eq!(of_teacher(&got), of_teacher(&want));
    for (a, b) in got.students.iter().zip(&want.students) {
        assert_eq!(bits(&a.weights), bits(&b.weights), "{}", a.name);
    }
}

#[test]
fn costs_are_kept_over_stops_and_validation_stays_apart() {
    let recipe = recipe(&["student=[]"]);
    let folder = tempfile::tempdir().unwrap();
    let costs = |folder: &Path| {
        let run = RunFolder::open(folder, &recipe, "", false).unwrap();
        run.costs().unwrap().remove(&Phase::Teach)
    };
    let of_teacher = |costs: &PhaseCosts| {
        let teacher = costs.networks.get(TEACHER);
        teacher.map(|teacher| teacher.training).unwrap_or_default()
    };
    assert_eq!(costs(folder.path()), None);
    let mut so_far = PhaseCosts::default();
    let mut stops = 0;
    loop {
        let (result, _) = with_context(folder.path(), &recipe, Some(3), teach);
        let now = costs(folder.path()).unwrap();
        for (before, now) in [
            (so_far.training, now.training),
            (of_teacher(&so_far), of_teacher(&now)),
        ] {
            assert!(now.wall_secs > before.wall_secs, "{before:?} {now:?}");
            assert!(now.cpu_secs > before.cpu_secs, "{before:?} {now:?}");
        }
        assert!(now.validation.wall_secs >= so_far.validation.wall_secs);
        so_far = now;
        match result {
            Ok(_) => break,
            Err(TrainError::Interrupted { .. }) => stops += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(stops >= 4, "{stops}");
    // A part of the whole, and none of it twice.
    let own = so_far.networks["teacher"];
    assert!(so_far.validation.cpu_secs >= own.validation.cpu_secs);
    assert!(own.validation.cpu_secs > 0.0);
    assert!(so_far.training.cpu_secs >= own.training.cpu_secs);
    assert_eq!(so_far.teacher_cpu_secs, 0.0);
}

#[test]
fn the_teachers_pass_and_each_student_have_costs_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let (_, events) = with_context(folder.path(), &recipe(&[]), None, |c| run(c).unwrap());
    let told = events.iter().filter_map(|event| match event {
        TrainEvent::Finished { phase, costs } => Some((phase.as_str(), costs)),
        _ => None,
    });
    let told: BTreeMap<&str, &PhaseCosts> = told.collect();
    let names = |phase: &str| told[phase].networks.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names("teach"), ["teacher"]);
    assert_eq!(names("distill"), ["narrow", "wide"]);
    assert_eq!(names("finetune"), ["cut", "narrow", "wide"]);
    assert!(told["distill"].teacher_cpu_secs > 0.0);
    assert_eq!(told["finetune"].teacher_cpu_secs, 0.0);
    let of = |name: &str| told["distill"].networks[name].training.cpu_secs;
    assert!(of("wide") > of("narrow"));
}

#[test]
fn work_after_the_last_checkpoint_is_done_again_the_same_way() {
    // A killed process leaves some checkpoint and nothing else: take the newer ones away.
    let recipe = recipe(&["checkpoint.keep_last=100", "student=[]"]);
    let folder = tempfile::tempdir().unwrap();
    let (want, _) = with_context(folder.path(), &recipe, None, |c| teach(c).unwrap());
    let checkpoints = folder.path().join("checkpoints/teach");
    let mut all: Vec<_> = std::fs::read_dir(&checkpoints)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .collect();
    all.sort();
    assert!(all.len() >= 6, "{all:?}");
    for newer in &all[2..] {
        std::fs::remove_dir_all(newer).unwrap();
    }
    std::fs::remove_dir_all(folder.path().join("weights")).unwrap();
    let (got, _) = with_context(folder.path(), &recipe, None, |c| teach(c).unwrap());
    assert_eq!(bits(&got.weights), bits(&want.weights));
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

/// A network as a model folder holds it.
fn as_model(network: &TrainedNetwork) -> LoadedModel {
    use shared_model::bundle::{CardInfo, ModelParts, Precision, read_model, write_model};
    let files = write_model(&ModelParts {
        features: &recipe(&[]).features,
        model: &network.config,
        tokens: &Tokens::characters(),
        weights: &network.weights,
        beam: None,
        precision: Precision::F32,
        evaluations: &[],
        card: &CardInfo {
            name: network.name.clone(),
            ..CardInfo::default()
        },
    });
    read_model(&files.unwrap()).unwrap()
}

#[test]
fn networks_begin_with_the_weights_of_the_model_that_they_name() {
    let folder = tempfile::tempdir().unwrap();
    let (family, _) = with_context(folder.path(), &recipe(&[]), None, |c| run(c).unwrap());
    // Nothing is learned at this rate: what comes out is what it began with.
    let still = [
        "teach.optim.learning_rate=1e-30",
        "teach.epochs=1",
        "teacher.model.n_layers=3",
        "distill.optim.learning_rate=1e-30",
        "distill.epochs=1",
    ];
    let folder = tempfile::tempdir().unwrap();
    let (students, _) = with_context(folder.path(), &recipe(&still), None, |context| {
        let (old, narrow) = (family.teacher.as_ref().unwrap(), &family.students[1]);
        for network in [old, narrow] {
            let name = network.name.clone();
            context.starts.insert(name, as_model(network));
        }
        let teacher = teach(context).unwrap();
        let trained = initial::Trained {
            weights: &old.weights,
            config: &old.config,
            blocks: BlockChoice::Even,
            channels: ChannelChoice::Even,
            inputs: None,
        };
        let grown = initial::from_blocks(&teacher.config, teacher.weights.clone(), trained);
        assert_eq!(bits(&teacher.weights), bits(&grown.unwrap().weights));
        assert_eq!(teacher.weights["corpus_mean"], old.weights["corpus_mean"]);
        distill(context, Some(&teacher)).unwrap()
    });
    let narrow = students.iter().find(|s| s.name == "narrow").unwrap();
    for (name, weight) in &family.students[1].weights {
        assert_eq!(narrow.weights[name], *weight, "{name}");
    }
}

#[test]
fn a_start_of_another_shape_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (family, _) = with_context(folder.path(), &recipe(&[]), None, |c| run(c).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let wider = recipe(&["teacher.model.d_ffn=40"]);
    let (result, _) = with_context(folder.path(), &wider, None, |context| {
        let start = as_model(family.teacher.as_ref().unwrap());
        context.starts.insert(TEACHER.into(), start);
        teach(context)
    });
    let text = result.unwrap_err().to_string();
    assert!(
        text.contains("init_from of \"teacher\"") && text.contains("another shape"),
        "{text}"
    );
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
