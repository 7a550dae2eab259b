//! Error rates on the development set, greedy.

use std::time::Duration;

use burn::{prelude::*, tensor::activation::log_softmax};
use serde::{Deserialize, Serialize};
use shared_model::{
    decode::{LogProbs, greedy},
    metrics::{ErrorCounts, character_errors, word_errors},
    model::{CtcModel, Mode},
    tokens::{BLANK_ID, Tokens},
};

use super::{
    Compute,
    shard::{Shard, split},
};
use crate::{
    clock::thread_time,
    cluster::{ClusterError, Team},
    data::{Batch, PhoneSpelling},
    loss::{ctc_loss_weighted, label_weights},
    parallel::{Task, run_all},
};

/// Utterances shown as reference and hypothesis.
const SAMPLES: usize = 3;

/// What a network does on the development set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Validation {
    /// Of words.
    pub words: ErrorCounts,
    /// Of characters.
    pub characters: ErrorCounts,
    /// Of phones, spaces between words among them, against each word's first pronunciation; of a
    /// network with a phone head.
    pub phones: Option<ErrorCounts>,
    /// CTC loss per label, mean over utterances.
    pub loss: f64,
    /// Share of frames whose best class is blank.
    pub blank_share: f64,
    /// Reference and hypothesis of the first utterances.
    pub samples: Vec<(String, String)>,
    /// Those with a transcript.
    pub utterances: usize,
}

/// Sums over a part of the set.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Sums {
    words: ErrorCounts,
    characters: ErrorCounts,
    phones: ErrorCounts,
    /// As it is, to the last bit, on its way from one process to another.
    #[serde(with = "bits")]
    loss: f64,
    counted: usize,
    frames: usize,
    blank_frames: usize,
    utterances: usize,
    #[serde(skip)]
    spent: Duration,
    /// Position in the batch, reference, hypothesis.
    texts: Vec<(usize, String, String)>,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.words.add(&other.words);
        self.characters.add(&other.characters);
        self.phones.add(&other.phones);
        self.loss += other.loss;
        self.counted += other.counted;
        self.frames += other.frames;
        self.blank_frames += other.blank_frames;
        self.utterances += other.utterances;
        self.spent += other.spent;
        self.texts.extend(other.texts);
    }
}

mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.to_bits())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(f64::from_bits(u64::deserialize(deserializer)?))
    }
}

/// Measures several networks on batches that are shown to it one by one, and on those that are shown
/// to the other processes of a team.
///
/// - Utterances without a transcript are left out.
pub(super) struct Validator<'a> {
    /// Without autodiff, on `device`.
    pub models: &'a [CtcModel],
    pub tokens: &'a Tokens,
    phones: Option<&'a PhoneSpelling>,
    pub num_shards: usize,
    pub threads: usize,
    pub device: Device,
    /// Number of each batch, and its sums by model.
    batches: Vec<(usize, Vec<Sums>)>,
}

impl<'a> Validator<'a> {
    /// - `compute`: of the training that is measured.
    pub fn new(models: &'a [CtcModel], tokens: &'a Tokens, compute: &Compute) -> Self {
        Self {
            batches: vec![],
            models,
            tokens,
            phones: None,
            num_shards: compute.shards,
            threads: compute.threads,
            device: compute.device.clone().inner(),
        }
    }

    /// Counts errors of phones, too, where that is known.
    pub fn spelling(self, phones: Option<&'a PhoneSpelling>) -> Self {
        Self { phones, ..self }
    }

    /// - `number`: of the batch in the whole set.
    pub fn add(&mut self, number: usize, batch: &Batch) {
        let (spelling, device) = ((self.tokens, self.phones), &self.device);
        let shards = split(batch, self.num_shards);
        let mut tasks: Vec<Task<'_, Sums>> = vec![];
        for model in self.models {
            for shard in &shards {
                // A clone shares the weights; threads need one each.
                let model = model.clone();
                tasks.push(Box::new(move || measure(&model, shard, spelling, device)));
            }
        }
        let mut results = run_all(self.threads, tasks).into_iter();
        let of_models = self.models.iter().map(|_| {
            let mut sums = Sums::default();
            results
                .by_ref()
                .take(shards.len())
                .for_each(|of_shard| sums.add(of_shard));
            sums.texts.sort();
            sums.texts.truncate(SAMPLES);
            sums
        });
        let of_models = of_models.collect();
        self.batches.push((number, of_models));
    }

    /// Processor time of this process by model.
    pub fn spent(&self) -> Vec<Duration> {
        let of_model = |model: usize| self.batches.iter().map(|(_, sums)| sums[model].spent).sum();
        (0..self.models.len()).map(of_model).collect()
    }

    /// The figures, in the order of the models, over the batches of all processes.
    ///
    /// # Errors
    /// The others cannot be reached.
    pub fn finish(self, team: Team<'_>) -> Result<Vec<Validation>, ClusterError> {
        let mut totals: Vec<Sums> = self.models.iter().map(|_| Sums::default()).collect();
        let mut batches = team.gather(self.batches)?.concat();
        batches.sort_by_key(|(number, _)| *number);
        for (_, of_models) in batches {
            for (total, sums) in totals.iter_mut().zip(of_models) {
                total.add(sums);
            }
        }
        let validations = totals.into_iter().map(|total| Validation {
            words: total.words,
            characters: total.characters,
            phones: (total.phones.reference_len > 0).then_some(total.phones),
            loss: total.loss / total.counted.max(1) as f64,
            blank_share: total.blank_frames as f64 / total.frames.max(1) as f64,
            utterances: total.utterances,
            samples: total
                .texts
                .into_iter()
                .take(SAMPLES)
                .map(|(_, reference, hypothesis)| (reference, hypothesis))
                .collect(),
        });
        Ok(validations.collect())
    }
}

fn measure(
    model: &CtcModel,
    shard: &Shard,
    (tokens, phones): (&Tokens, Option<&PhoneSpelling>),
    device: &Device,
) -> Sums {
    let started = thread_time();
    let output = shard.forward(model, false, device, &mut Mode::Eval);
    let log_probs = log_softmax(output.logits, 2);
    let [_, time, vocab] = log_probs.dims();
    let weights = label_weights(&output.lengths, &shard.targets);
    let loss = ctc_loss_weighted(
        log_probs.clone(),
        &output.lengths,
        &shard.targets,
        &weights,
        1,
    );
    let values: Vec<f32> = log_probs.into_data().iter::<f32>().collect();
    let mut sums = Sums {
        loss: loss.value,
        counted: weights.iter().filter(|&&w| w > 0.0).count(),
        ..Sums::default()
    };
    if let Some((logits, phones)) = output.phone_logits.zip(phones) {
        sums.phones = phone_errors(logits, &output.lengths, &shard.targets, phones);
    }
    for (u, target) in shard.targets.iter().enumerate() {
        if target.is_empty() {
            continue;
        }
        let frames = output.lengths[u];
        let own = LogProbs::new(&values[u * time * vocab..][..frames * vocab], vocab);
        let ids: Vec<u32> = greedy(own).tokens.iter().map(|span| span.id).collect();
        let (reference, hypothesis) = (tokens.decode(target), tokens.decode(&ids));
        sums.words.add(&word_errors(&reference, &hypothesis));
        let errors = character_errors(&reference, &hypothesis);
        sums.characters.add(&errors);
        sums.frames += frames;
        sums.blank_frames += (0..frames)
            .filter(|&t| {
                let frame = own.frame(t);
                let blank = frame[BLANK_ID as usize];
                frame.iter().all(|&value| value <= blank)
            })
            .count();
        sums.utterances += 1;
        sums.texts.push((shard.indices[u], reference, hypothesis));
    }
    sums.spent = thread_time() - started;
    sums
}

/// Errors of the best paths of `logits`, `[batch, time, 41]`, in the utterances whose words all have a
/// pronunciation.
fn phone_errors(
    logits: Tensor<3>,
    lengths: &[usize],
    targets: &[Vec<u32>],
    phones: &PhoneSpelling,
) -> ErrorCounts {
    let [_, time, classes] = logits.dims();
    let values: Vec<f32> = logits.into_data().iter::<f32>().collect();
    let mut errors = ErrorCounts::default();
    for (u, target) in targets.iter().enumerate() {
        let target = phones.targets(target);
        if target.is_empty() {
            continue;
        }
        let own = LogProbs::new(
            &values[u * time * classes..][..lengths[u] * classes],
            classes,
        );
        let ids: Vec<u32> = greedy(own).tokens.iter().map(|span| span.id).collect();
        let [reference, hypothesis] = [&target, &ids].map(|ids| phones.phones().decode(ids));
        errors.add(&character_errors(&reference, &hypothesis));
    }
    errors
}
