//! Error rates on the development set, greedy.

use burn::{prelude::*, tensor::activation::log_softmax};
use shared_model::{
    decode::{LogProbs, greedy},
    metrics::{ErrorCounts, character_errors, word_errors},
    model::{CtcModel, Mode},
    tokens::{BLANK_ID, Tokens},
};

use super::{
    parallel::{Task, run_all},
    part::{Part, split},
    source::{Batches, SourceError},
};
use crate::loss::{ctc_loss_weighted, is_feasible};

/// Utterances shown as reference and hypothesis.
const SAMPLES: usize = 3;

/// What a network does on the development set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Validation {
    pub words: ErrorCounts,
    pub characters: ErrorCounts,
    /// CTC loss per label, mean over utterances.
    pub loss: f64,
    /// Share of frames whose best class is blank.
    pub blank_share: f64,
    /// Reference and hypothesis of the first utterances.
    pub samples: Vec<(String, String)>,
    pub utterances: usize,
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
    /// Position in the batch, reference, hypothesis.
    texts: Vec<(usize, String, String)>,
}

/// Measures several networks in one pass over `batches`.
///
/// - `models`: without autodiff, on `device`.
/// - Utterances without a transcript are left out.
pub(super) fn validate(
    models: &[CtcModel],
    batches: Batches<'_>,
    tokens: &Tokens,
    shards: usize,
    threads: usize,
    device: &Device,
) -> Result<Vec<Validation>, SourceError> {
    let mut totals: Vec<Sums> = models.iter().map(|_| Sums::default()).collect();
    let mut validations = vec![Validation::default(); models.len()];
    for batch in batches {
        let batch = batch?;
        if batch.lengths.is_empty() {
            continue;
        }
        let parts = split(&batch, shards);
        let mut tasks: Vec<Task<'_, Sums>> = vec![];
        for model in models {
            for part in &parts {
                // A clone shares the weights; threads need one each.
                let model = model.clone();
                tasks.push(Box::new(move || measure(&model, part, tokens, device)));
            }
        }
        let mut results = run_all(threads, tasks).into_iter();
        for (total, validation) in totals.iter_mut().zip(&mut validations) {
            let mut texts = vec![];
            for sums in results.by_ref().take(parts.len()) {
                total.words.add(&sums.words);
                total.characters.add(&sums.characters);
                total.loss += sums.loss;
                total.counted += sums.counted;
                total.frames += sums.frames;
                total.blank_frames += sums.blank_frames;
                texts.extend(sums.texts);
            }
            texts.sort();
            validation.utterances += texts.len();
            let room = SAMPLES - validation.samples.len();
            let samples = texts.into_iter().take(room);
            validation.samples.extend(samples.map(|(_, r, h)| (r, h)));
        }
    }
    for (total, validation) in totals.into_iter().zip(&mut validations) {
        validation.words = total.words;
        validation.characters = total.characters;
        validation.loss = total.loss / total.counted.max(1) as f64;
        validation.blank_share = total.blank_frames as f64 / total.frames.max(1) as f64;
    }
    Ok(validations)
}

fn measure(model: &CtcModel, part: &Part, tokens: &Tokens, device: &Device) -> Sums {
    let output = model.forward(part.features(device), &part.lengths, &mut Mode::Eval);
    let log_probs = log_softmax(output.logits, 2);
    let [_, time, vocab] = log_probs.dims();
    let usable =
        |u: usize| !part.targets[u].is_empty() && is_feasible(output.lengths[u], &part.targets[u]);
    let weights: Vec<f64> = (0..part.targets.len())
        .map(|u| match usable(u) {
            true => 1.0 / part.targets[u].len() as f64,
            false => 0.0,
        })
        .collect();
    let loss = ctc_loss_weighted(
        log_probs.clone(),
        &output.lengths,
        &part.targets,
        &weights,
        1,
    );
    let values: Vec<f32> = log_probs.into_data().iter::<f32>().collect();
    let mut sums = Sums {
        loss: loss.value,
        counted: weights.iter().filter(|&&w| w > 0.0).count(),
        ..Sums::default()
    };
    for (u, target) in part.targets.iter().enumerate() {
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
        sums.texts.push((part.indices[u], reference, hypothesis));
    }
    sums
}
