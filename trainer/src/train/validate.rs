//! Error rates on the development set, greedy.

use std::time::Duration;

use burn::{prelude::*, tensor::activation::log_softmax};
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
    data::Batch,
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
    /// CTC loss per label, mean over utterances.
    pub loss: f64,
    /// Share of frames whose best class is blank.
    pub blank_share: f64,
    /// Reference and hypothesis of the first utterances.
    pub samples: Vec<(String, String)>,
    /// Those with a transcript.
    pub utterances: usize,
    /// Processor time.
    pub spent: Duration,
}

/// Sums over a part of the set.
#[derive(Default)]
struct Sums {
    words: ErrorCounts,
    characters: ErrorCounts,
    loss: f64,
    counted: usize,
    frames: usize,
    blank_frames: usize,
    spent: Duration,
    /// Position in the batch, reference, hypothesis.
    texts: Vec<(usize, String, String)>,
}

/// Measures several networks on batches that are shown to it one by one.
///
/// - Utterances without a transcript are left out.
pub(super) struct Validator<'a> {
    /// Without autodiff, on `device`.
    pub models: &'a [CtcModel],
    pub tokens: &'a Tokens,
    pub num_shards: usize,
    pub threads: usize,
    pub device: Device,
    totals: Vec<Sums>,
    validations: Vec<Validation>,
}

impl<'a> Validator<'a> {
    /// - `compute`: of the training that is measured.
    pub fn new(models: &'a [CtcModel], tokens: &'a Tokens, compute: &Compute) -> Self {
        Self {
            totals: models.iter().map(|_| Sums::default()).collect(),
            validations: vec![Validation::default(); models.len()],
            models,
            tokens,
            num_shards: compute.shards,
            threads: compute.threads,
            device: compute.device.clone().inner(),
        }
    }

    pub fn add(&mut self, batch: &Batch) {
        if batch.lengths.is_empty() {
            return;
        }
        let (tokens, device) = (self.tokens, &self.device);
        let shards = split(batch, self.num_shards);
        let mut tasks: Vec<Task<'_, Sums>> = vec![];
        for model in self.models {
            for shard in &shards {
                // A clone shares the weights; threads need one each.
                let model = model.clone();
                tasks.push(Box::new(move || measure(&model, shard, tokens, device)));
            }
        }
        let mut results = run_all(self.threads, tasks).into_iter();
        for (total, validation) in self.totals.iter_mut().zip(&mut self.validations) {
            let mut texts = vec![];
            for sums in results.by_ref().take(shards.len()) {
                total.words.add(&sums.words);
                total.characters.add(&sums.characters);
                total.loss += sums.loss;
                total.counted += sums.counted;
                total.frames += sums.frames;
                total.blank_frames += sums.blank_frames;
                validation.spent += sums.spent;
                texts.extend(sums.texts);
            }
            texts.sort();
            validation.utterances += texts.len();
            let room = SAMPLES - validation.samples.len();
            let samples = texts.into_iter().take(room);
            validation.samples.extend(samples.map(|(_, r, h)| (r, h)));
        }
    }

    /// The figures, in the order of the models.
    pub fn finish(mut self) -> Vec<Validation> {
        for (total, validation) in self.totals.into_iter().zip(&mut self.validations) {
            validation.words = total.words;
            validation.characters = total.characters;
            validation.loss = total.loss / total.counted.max(1) as f64;
            validation.blank_share = total.blank_frames as f64 / total.frames.max(1) as f64;
        }
        self.validations
    }
}

fn measure(model: &CtcModel, shard: &Shard, tokens: &Tokens, device: &Device) -> Sums {
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
        sums.texts.push((shard.indices[u], reference, hypothesis));
    }
    sums.spent = thread_time() - started;
    sums
}
