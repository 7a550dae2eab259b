//! Made-up speech to train on, and contexts to train in.

use super::*;

/// Utterances of three to five letters, each letter a loud band for eight frames.
pub(super) struct ToySource {
    pub batches: usize,
    quarantined: Vec<(String, String)>,
    /// Every plan that was asked for.
    pub asked: Vec<EpochPlan>,
}

impl ToySource {
    pub fn new() -> Self {
        Self {
            batches: 5,
            quarantined: vec![],
            asked: vec![],
        }
    }

    pub fn batch(seed: u64, utterances: usize) -> Batch {
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
pub(super) fn of_share(batch: Batch, share: &Share) -> Batch {
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

pub(super) const RECIPE: &str = r#"
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

pub(super) fn recipe(overrides: &[&str]) -> Recipe {
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_string()).collect();
    Recipe::parse(RECIPE, "toy", Path::new("/none"), &overrides).unwrap()
}

/// Calls `work` with everything of a run in `folder`; `stop_after`: ask for a stop at that many
/// `Step` events.
pub(super) fn with_context<T>(
    folder: &Path,
    recipe: &Recipe,
    stop_after: Option<usize>,
    work: impl FnOnce(&mut RunContext<'_>) -> T,
) -> (T, Vec<TrainEvent>) {
    with_source(folder, recipe, &mut ToySource::new(), stop_after, work)
}

/// As [`with_context`], with batches from `source`.
pub(super) fn with_source<T>(
    folder: &Path,
    recipe: &Recipe,
    source: &mut dyn BatchSource,
    stop_after: Option<usize>,
    work: impl FnOnce(&mut RunContext<'_>) -> T,
) -> (T, Vec<TrainEvent>) {
    with_team(Team::alone(), folder, recipe, source, stop_after, work)
}

/// As [`with_source`], as one of the processes of `team`.
pub(super) fn with_team<T>(
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
        phones: None,
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

pub(super) fn distill_stored(
    context: &mut RunContext<'_>,
) -> Result<Vec<TrainedNetwork>, TrainError> {
    let before = trained_before(context, Phase::Distill)?;
    distill(context, before.first())
}

pub(super) fn finetune_stored(
    context: &mut RunContext<'_>,
) -> Result<Vec<TrainedNetwork>, TrainError> {
    let distilled = trained_before(context, Phase::Finetune)?;
    finetune(context, &distilled)
}

pub(super) fn bits(weights: &Weights) -> Vec<(String, Vec<u32>)> {
    weights
        .iter()
        .map(|(name, weight)| {
            let bits = weight.data.iter().map(|v| v.to_bits()).collect();
            (name.clone(), bits)
        })
        .collect()
}

pub(super) fn losses(events: &[TrainEvent], name: &str) -> Vec<f64> {
    let of_event = |event: &TrainEvent| match event {
        TrainEvent::Step { losses, .. } => losses.iter().find(|(n, _)| n == name).map(|l| l.1),
        _ => None,
    };
    events.iter().filter_map(of_event).collect()
}

/// As it would be exported.
pub(super) fn as_model(network: &TrainedNetwork) -> LoadedModel {
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
