//! The data of a recipe as training sees it: filtered manifests, a plan of batches for each epoch,
//! background threads that make them.

use std::sync::Arc;

use shared_model::{features::FRAMES_PER_SEC, model::ModelConfig, tokens::Tokens};

use super::read_ahead::ReadAhead;
use super::shard_order::ShardOrder;
use super::{
    Augmentation, Batch, BatchSource, Batches, DataError, DealtBatch, EpochPlan, EvaluationBatches,
    Example, Filter, Loader, PhoneCoverage, PhoneSpelling, Pipeline, PipelineOptions, Share,
    TrainingAudio, TrainingData, Turn, Utterance, build_tokens, load_training_data, plan_sorted,
    plan_windows, read_all,
};
use crate::{clock::thread_time, config::Recipe};

/// Share of the audio cache that development utterances get.
const DEV_CACHE_SHARE: f64 = 0.1;

/// The training utterances of a recipe, as its manifests have them.
///
/// # Errors
/// A manifest that cannot be read.
pub fn recipe_utterances(recipe: &Recipe) -> Result<Vec<Utterance>, DataError> {
    read_all(recipe.data.train.as_slice())
}

/// Tokens of a recipe: characters, a file, or pieces learned from its training texts.
///
/// # Errors
/// A token file that cannot be used, or texts that give too few pieces.
pub fn recipe_tokens(recipe: &Recipe, training: &[Utterance]) -> Result<Tokens, DataError> {
    build_tokens(&recipe.tokens, training.iter().map(|u| u.text.as_str()))
}

/// What a recipe trains on and is measured on.
///
/// - `training`: [`recipe_utterances`].
///
/// # Errors
/// A development manifest that cannot be read, or nothing left to train on.
pub fn recipe_examples(
    recipe: &Recipe,
    tokens: &Tokens,
    training: Vec<Utterance>,
) -> Result<TrainingData, DataError> {
    // CTC must fit into the frames of every network.
    let encoder_length = |frames: usize| least_encoder_length(models(recipe), frames);
    let filter = Filter {
        tokens,
        encoder_length: &encoder_length,
        min_secs: f64::from(recipe.data.min_seconds),
        max_secs: f64::from(recipe.data.max_seconds),
        fastest_speed: fastest_speed(recipe),
        needs_text: true,
    };
    load_training_data(training, &recipe.data, &filter, recipe.seed)
}

/// How a recipe's networks with phone heads spell; nothing where none has one.
///
/// # Errors
/// Pronunciations that cannot be used.
pub fn recipe_phones(recipe: &Recipe, tokens: &Tokens) -> Result<Option<PhoneSpelling>, DataError> {
    let path = recipe.tokens.pronunciations.as_deref();
    let path = path.filter(|_| models(recipe).any(|model| model.phone_head));
    path.map(|path| PhoneSpelling::read(path, tokens))
        .transpose()
}

/// Of how many of a recipe's training utterances its phone heads can learn.
pub fn phone_coverage(recipe: &Recipe, phones: &PhoneSpelling, train: &[Example]) -> PhoneCoverage {
    let frames = |secs: f64| {
        let frames = (secs / fastest_speed(recipe) * FRAMES_PER_SEC).floor() as usize;
        least_encoder_length(models(recipe).filter(|model| model.phone_head), frames)
    };
    phones.coverage(train, &frames)
}

/// All networks of a recipe.
fn models(recipe: &Recipe) -> impl Iterator<Item = &ModelConfig> {
    let students = recipe.students.iter().map(|student| &student.model);
    std::iter::once(&recipe.teacher.model).chain(students)
}

fn least_encoder_length<'a>(models: impl Iterator<Item = &'a ModelConfig>, frames: usize) -> usize {
    let lengths = models.map(|model| model.encoder_length(frames));
    lengths.min().unwrap_or(0)
}

fn fastest_speed(recipe: &Recipe) -> f64 {
    let speeds = recipe.augment.speeds.iter().copied();
    f64::from(speeds.fold(1.0_f32, f32::max))
}

/// Batches of one recipe.
pub struct RecipeData {
    train: Arc<Pipeline>,
    /// The training utterances without augmentation.
    plain: Arc<Pipeline>,
    dev: EvaluationBatches,
    /// Absent where no utterance lies in a tar file.
    shards: Option<ShardOrder>,
    /// Seconds of those with transcripts.
    plain_secs: Vec<f32>,
    /// The first of the training utterances have transcripts.
    num_transcribed: usize,
    batch_secs: f32,
    seed: u64,
}

impl RecipeData {
    /// Batches of `data` as the recipe wants them: sizes, variation, memory for decoded audio.
    ///
    /// # Errors
    /// Features that cannot be computed with the recipe's settings.
    pub fn new(recipe: &Recipe, tokens: &Tokens, data: TrainingData) -> Result<Self, DataError> {
        let cache_bytes = recipe.data.cache_mb * 1_000_000;
        let options = |augment: Option<Augmentation>, cache_bytes| PipelineOptions {
            features: recipe.features.clone(),
            augment,
            cache_bytes,
        };
        let augmentation = Augmentation {
            config: recipe.augment.clone(),
            seed: recipe.seed,
            max_secs: f64::from(recipe.data.max_seconds),
        };
        let dev_bytes = (cache_bytes as f64 * DEV_CACHE_SHARE) as usize;
        let num_transcribed = data.train.len();
        let mut all = data.train;
        all.extend(data.untranscribed);
        let shards = ShardOrder::of(&all, recipe.data.window_mb as u64 * 1_000_000);
        let all = Arc::new(all);
        let plain = Pipeline::new(Arc::clone(&all), tokens.clone(), options(None, 0))?;
        let train = Pipeline::new(
            all,
            tokens.clone(),
            options(Some(augmentation), cache_bytes - dev_bytes),
        )?;
        let dev = Pipeline::new(data.dev, tokens.clone(), options(None, dev_bytes))?;
        Ok(Self {
            plain_secs: plain.durations(EpochPlan::plain()),
            num_transcribed,
            shards,
            train: Arc::new(train),
            plain: Arc::new(plain),
            dev: EvaluationBatches::new(Arc::new(dev), recipe.data.batch_seconds, 0),
            batch_secs: recipe.data.batch_seconds,
            seed: recipe.seed,
        })
    }

    /// Planned seconds of the utterances of an epoch by index, and its batches.
    pub fn plan(&self, audio: TrainingAudio, plan: EpochPlan) -> (Vec<f32>, Vec<Vec<usize>>) {
        self.plan_in(self.batch_secs, audio, plan)
    }

    /// As [`Self::plan`], in batches of another size.
    pub fn plan_in(
        &self,
        batch_secs: f32,
        audio: TrainingAudio,
        plan: EpochPlan,
    ) -> (Vec<f32>, Vec<Vec<usize>>) {
        let (secs, windows) = self.windows(batch_secs, audio, plan);
        (secs, windows.concat())
    }

    /// Processor time that a second of training audio takes to be read, varied and made into features,
    /// seconds; the mean of some utterances from everywhere. Decoded audio comes from memory if the recipe
    /// keeps it there.
    ///
    /// # Errors
    /// More than 1 % of the data set unreadable.
    pub fn preparation_cpu_per_audio_sec(&self) -> Result<f64, DataError> {
        const MEASURED: usize = 32;
        let plan = EpochPlan {
            gentle: false,
            ..EpochPlan::plain()
        };
        let step = self.num_transcribed.div_ceil(MEASURED).max(1);
        let (mut cpu_secs, mut audio_secs) = (0.0, 0.0);
        for index in (0..self.num_transcribed).step_by(step) {
            let one = DealtBatch::from(vec![index]);
            self.train.batch(&one, plan)?;
            let begun = thread_time();
            audio_secs += self.train.batch(&one, plan)?.audio_secs;
            cpu_secs += thread_time().saturating_sub(begun).as_secs_f64();
        }
        Ok(if audio_secs > 0.0 {
            cpu_secs / audio_secs
        } else {
            0.0
        })
    }

    /// As [`Self::plan_in`], the batches of each window of shards; one window where there are none.
    fn windows(
        &self,
        batch_secs: f32,
        audio: TrainingAudio,
        plan: EpochPlan,
    ) -> (Vec<f32>, Vec<Vec<Vec<usize>>>) {
        let mut secs = self.train.durations(plan);
        if audio == TrainingAudio::Transcribed {
            secs.truncate(self.num_transcribed);
        }
        let windows = match &self.shards {
            Some(shards) => shards.windows(self.seed, plan, secs.len()),
            None => vec![(0..secs.len()).collect()],
        };
        let windows = plan_windows(&secs, windows, batch_secs, self.seed, plan);
        (secs, windows)
    }
}

fn boxed<'a>(loader: impl Iterator<Item = Result<Batch, DataError>> + 'a) -> Batches<'a> {
    Box::new(loader)
}

impl BatchSource for RecipeData {
    fn batches_in_epoch(&self, audio: TrainingAudio, plan: EpochPlan) -> usize {
        self.plan(audio, plan).1.len()
    }

    fn epoch(
        &mut self,
        audio: TrainingAudio,
        plan: EpochPlan,
        skip: usize,
        share: &Share,
    ) -> Result<Batches<'_>, DataError> {
        let train = Arc::clone(&self.train);
        let (secs, windows) = self.windows(self.batch_secs, audio, plan);
        let mut batches = vec![];
        let mut window_of = vec![];
        let mut needed = vec![];
        for (number, window) in windows.iter().enumerate() {
            needed.push(vec![]);
            for batch in window {
                let own = DealtBatch::of_share(batch, &secs, share);
                if self.shards.is_some() && batches.len() >= skip {
                    needed[number].extend(&own.utterances);
                }
                batches.push(own);
                window_of.push(number);
            }
        }
        let ahead = self
            .shards
            .is_some()
            .then(|| ReadAhead::new(window_of, needed));
        Ok(boxed(Loader::reading(
            train,
            batches,
            plan,
            (skip, ahead),
            0,
        )))
    }

    fn visit_dev(
        &mut self,
        turn: Turn,
        visit: &mut dyn FnMut(usize, &Batch),
    ) -> Result<(), DataError> {
        self.dev.for_each(turn, |number, batch| {
            visit(number, batch);
            Ok::<(), DataError>(())
        })
    }

    fn plain_training(&mut self, utterances: usize) -> Result<Batches<'_>, DataError> {
        // Evenly over the list: manifests are often sorted by speaker.
        let total = self.num_transcribed;
        let count = utterances.min(total);
        let chosen: Vec<usize> = (0..count).map(|i| i * total / count).collect();
        let secs: Vec<f32> = chosen.iter().map(|&index| self.plain_secs[index]).collect();
        let batches = plan_sorted(&secs, self.batch_secs)
            .into_iter()
            .map(|batch| batch.into_iter().map(|i| chosen[i]).collect::<Vec<_>>())
            .collect();
        let plain = Arc::clone(&self.plain);
        Ok(boxed(Loader::new(plain, batches, EpochPlan::plain(), 0, 0)))
    }

    fn take_quarantined(&mut self) -> Vec<(String, String)> {
        [&self.train, &self.plain, self.dev.pipeline()]
            .into_iter()
            .flat_map(|pipeline| pipeline.quarantine().take_new())
            .map(|entry| (entry.path.display().to_string(), entry.reason))
            .collect()
    }
}
