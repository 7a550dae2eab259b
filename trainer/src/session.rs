//! A recipe, trained in a run folder: data, device, logs and phases put together. `fledge run` and
//! its parts do it once, a study once a cell.

#![warn(missing_docs)]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use sha2::{Digest, Sha256};
use shared_model::{bundle::LoadedModel, tokens::Tokens};

use crate::{
    cluster::{ClusterError, Team},
    config::{Phase, Recipe},
    costs::{Cost, PhaseCosts},
    data::{
        DataError, PhoneSpelling, RecipeData, TrainingData, Utterance, phone_coverage,
        recipe_examples, recipe_phones, recipe_tokens, recipe_utterances,
    },
    device::{DeviceKind, OpenDevice},
    event::TrainEvent,
    exit_status::{ExitStatus, HasExitStatus},
    model_folder::{self, ModelFolderError},
    onnx_network::{FrameRate, OnnxNetwork, OnnxNetworkError},
    parallel::own_cores,
    report::{ReportError, Reports, format_duration},
    run_folder::{Environment, RunFolder, RunFolderError},
    train::{self, RunContext, TrainError, TrainedNetwork},
};

/// What ended a session before its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Training data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A model folder that the recipe names cannot be used.
    #[error(transparent)]
    Model(#[from] ModelFolderError),
    /// The run folder cannot be used.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// A log cannot be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The ONNX file that the recipe names cannot teach.
    #[error(transparent)]
    Onnx(#[from] OnnxNetworkError),
    /// The other processes cannot be reached, or train something else.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Training stopped.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// It was to make no more steps; it is saved.
    #[error(
        "stopped at step {step} of {phase} by --max-steps; the same command without it continues"
    )]
    StepLimit {
        /// Under way.
        phase: Phase,
        /// The last one, counted from 1.
        step: usize,
    },
    /// Tokens are part of a run: ids mean nothing with others.
    #[error(
        "{path} was begun with other tokens: the training texts have changed; choose another folder with --run, or start it anew with --fresh"
    )]
    OtherTokens {
        /// The run folder.
        path: PathBuf,
    },
}

impl HasExitStatus for SessionError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Data(error) => error.exit_status(),
            Self::Model(error) => error.exit_status(),
            Self::Folder(error) => error.exit_status(),
            Self::Report(error) => error.exit_status(),
            Self::Onnx(error) => error.exit_status(),
            Self::Cluster(error) => error.exit_status(),
            Self::Train(error) => error.exit_status(),
            Self::StepLimit { .. } => ExitStatus::Interrupted,
            Self::OtherTokens { .. } => ExitStatus::Data,
        }
    }
}

/// What is to be trained, where, and how.
pub struct Session<'a> {
    /// Everything about the run.
    pub recipe: Recipe,
    /// The recipe as given, kept beside the resolved one.
    pub recipe_text: &'a str,
    /// The run folder; what is finished in it is not done again.
    pub path: &'a Path,
    /// Delete what an earlier run left in the folder.
    pub fresh: bool,
    /// The only phase; else all of a run.
    pub phase: Option<Phase>,
    /// What computes.
    pub device: &'a OpenDevice,
    /// No progress on standard error.
    pub quiet: bool,
    /// Save and stop at the first report after so many optimiser steps.
    pub max_steps: Option<usize>,
    /// The processes that train together, each with a session of its own.
    pub team: Team<'a>,
    /// Set from outside to save and stop after the step under way.
    pub stop: &'a AtomicBool,
}

/// What a session gives.
pub struct TrainedRun {
    /// Where it is, still held by this process.
    pub folder: RunFolder,
    /// With every value decided.
    pub recipe: Recipe,
    /// What its networks spell with.
    pub tokens: Tokens,
    /// Those of the phase, or of the whole run: the teacher, then the students.
    pub networks: Vec<TrainedNetwork>,
    /// Training audio with transcripts, seconds.
    pub training_secs: f64,
}

impl Session<'_> {
    /// Trains, or goes on where an earlier process stopped.
    ///
    /// # Errors
    /// Data, models, folder or logs that cannot be used, a stop, `max_steps`, a loss that is not
    /// finite.
    pub fn run(mut self) -> Result<TrainedRun, SessionError> {
        self.settle_shards()?;
        // Data that cannot be used is told before a run folder is made for it.
        let utterances = recipe_utterances(&self.recipe)?;
        let compared = self.team.size() > 1;
        let tokens = recipe_tokens(&self.recipe, &utterances)?;
        let phones = recipe_phones(&self.recipe, &tokens)?;
        let hash = compared.then(|| hash_of(&utterances, phones.as_ref()));
        let examples = recipe_examples(&self.recipe, &tokens, utterances)?;
        let models = Models::read(&self.recipe)?;
        self.agree(hash)?;
        let folder = match self.team.is_first() {
            true => RunFolder::open(self.path, &self.recipe, self.recipe_text, self.fresh)?,
            false => RunFolder::of_another(self.path),
        };
        let device = self.device;
        folder.write_environment(&Environment::capture(&device.name, &device.reason))?;
        let mut reports = match folder.is_ours() {
            true => Reports::for_run(folder.path(), self.quiet)?,
            false => Reports::console_only(true),
        };
        let mut told = Told {
            reports: &mut reports,
            failed: None,
            max_steps: self.max_steps,
            limit_reached: false,
            stop: self.stop,
        };
        self.tell_beginning(&examples, phones.as_ref(), &mut told);
        if folder.is_ours() {
            keep_tokens(&folder, &tokens)?;
        }
        let training_secs = examples.train.iter().map(|e| e.utterance.duration_secs);
        let training_secs = training_secs.sum();
        let spelling = (&tokens, phones.map(Arc::new));
        let networks = self.train(&folder, spelling, examples, models, &mut told)?;
        Ok(TrainedRun {
            folder,
            recipe: self.recipe,
            tokens,
            networks,
            training_secs,
        })
    }

    /// Decides the number of shards where the recipe leaves it to the machines.
    fn settle_shards(&mut self) -> Result<(), SessionError> {
        let begun_with = match self.fresh {
            true => None,
            false => RunFolder::begun_with_shards(self.path),
        };
        // A graphics card takes its shards one after the other.
        let own = match self.device.kind {
            DeviceKind::Gpu if self.team.size() > 1 => 1,
            _ => own_cores(),
        };
        let all = self.team.gather((begun_with, own))?;
        let least = all.iter().map(|(_, cores)| *cores).min().unwrap_or(1);
        // The run folder may be on one machine alone.
        let begun_with = all.first().and_then(|(begun_with, _)| *begun_with);
        let compute = &mut self.recipe.compute;
        compute.settle_shards(begun_with, least * self.team.size());
        Ok(())
    }

    /// An error if another process is about to train something else.
    ///
    /// - `utterances`: a hash of those to train on.
    fn agree(&self, utterances: Option<String>) -> Result<(), SessionError> {
        let recipe = self.recipe.to_toml().map_err(RunFolderError::from)?;
        let own = (recipe, utterances, self.device.kind == DeviceKind::Gpu);
        let all = self.team.gather(own)?;
        let differs = |what, is_other: &dyn Fn(usize) -> bool| {
            let rank = (0..all.len()).find(|&rank| is_other(rank))?;
            Some(ClusterError::Different { rank, what })
        };
        let first = &all[0];
        let different = differs("recipe", &|rank| all[rank].0 != first.0)
            .or_else(|| differs("training data", &|rank| all[rank].1 != first.1))
            .or_else(|| differs("kind of device", &|rank| all[rank].2 != first.2));
        match different {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    fn tell_beginning(
        &self,
        examples: &TrainingData,
        phones: Option<&PhoneSpelling>,
        told: &mut Told<'_>,
    ) {
        let device = self.device;
        told.notice(format!("{} in {}", self.recipe.name, self.path.display()));
        told.notice(format!("computing on {}: {}", device.name, device.reason));
        if self.team.size() > 1 {
            let (size, shards) = (self.team.size(), self.recipe.compute.shards);
            told.notice(format!(
                "{size} processes share the {shards} shards of every batch; threads of each: {}",
                own_cores()
            ));
        }
        for (set, dropped) in [
            ("training", &examples.dropped_train),
            ("development", &examples.dropped_dev),
        ] {
            told.notice(format!("{set} data: {dropped}"));
        }
        if !examples.untranscribed.is_empty() {
            told.notice(format!(
                "{} utterances without a transcript: used in step 1 only",
                examples.untranscribed.len()
            ));
        }
        if let Some(phones) = phones {
            let coverage = phone_coverage(&self.recipe, phones, &examples.train);
            told.notice(format!("phones are learned from {coverage}"));
        } else if self.recipe.tokens.pronunciations.is_some() {
            told.notice("no network has a phone head: tokens.pronunciations is not read".into());
        }
    }

    fn train(
        &self,
        folder: &RunFolder,
        (tokens, phones): (&Tokens, Option<Arc<PhoneSpelling>>),
        examples: TrainingData,
        models: Models,
        told: &mut Told<'_>,
    ) -> Result<Vec<TrainedNetwork>, SessionError> {
        let mut data = RecipeData::new(&self.recipe, tokens, examples)?;
        let result = {
            let mut events = |event| told.event(event);
            let mut context = RunContext {
                recipe: &self.recipe,
                folder,
                tokens,
                phones,
                source: &mut data,
                device: self.device.device.clone(),
                is_gpu: self.device.kind == DeviceKind::Gpu,
                pretrained_teacher: models.pretrained_teacher,
                onnx_teacher: models.onnx_teacher.map(Arc::new),
                starts: models.starts,
                team: self.team,
                stop: self.stop,
                events: &mut events,
            };
            train_phases(&mut context, self.phase)
        };
        if let Some(error) = told.failed.take() {
            return Err(error.into());
        }
        let networks = match result {
            Err(TrainError::Interrupted { phase, step }) if told.limit_reached => {
                let limit = SessionError::StepLimit { phase, step };
                told.notice(limit.to_string());
                return Err(limit);
            }
            result => result?,
        };
        if self.phase.is_none() {
            told.notice(costs_line(&folder.costs()?));
        }
        Ok(networks)
    }
}

fn costs_line(costs: &BTreeMap<Phase, PhaseCosts>) -> String {
    let total: Cost = costs.values().map(PhaseCosts::total).sum();
    let validation: Cost = costs.values().map(|costs| costs.validation).sum();
    format!(
        "all phases took {} ({} of processors), validation {} of it ({}); costs.json has them by phase and network",
        format_duration(total.wall_secs),
        format_duration(total.cpu_secs),
        format_duration(validation.wall_secs),
        format_duration(validation.cpu_secs)
    )
}

/// The models that a recipe names.
struct Models {
    pretrained_teacher: Option<LoadedModel>,
    onnx_teacher: Option<OnnxNetwork>,
    /// By the network that starts from it.
    starts: BTreeMap<String, LoadedModel>,
}

impl Models {
    fn read(recipe: &Recipe) -> Result<Self, SessionError> {
        let pretrained_teacher = recipe.teacher.from.as_deref();
        let frames = FrameRate {
            subsampling_factor: recipe.teacher.model.subsampling_factor,
            offset: recipe.teacher.onnx_first_frame.unwrap_or(0),
        };
        let onnx_teacher = recipe.teacher.onnx.as_deref();
        let onnx_teacher =
            onnx_teacher.map(|file| OnnxNetwork::read(file, recipe.features.n_mels, frames));
        let teacher = std::iter::once((train::TEACHER, &recipe.teacher.init_from));
        let students = recipe
            .students
            .iter()
            .map(|s| (s.name.as_str(), &s.init_from));
        let starts = teacher
            .chain(students)
            .filter_map(|(name, folder)| Some((name, folder.as_deref()?)))
            .map(|(name, folder)| Ok((name.to_owned(), model_folder::read(folder)?)));
        Ok(Self {
            pretrained_teacher: pretrained_teacher.map(model_folder::read).transpose()?,
            onnx_teacher: onnx_teacher.transpose()?,
            starts: starts.collect::<Result<_, ModelFolderError>>()?,
        })
    }
}

/// A hash of what is said in the utterances, how it is pronounced, and how long they are; where their
/// files are may differ.
fn hash_of(utterances: &[Utterance], phones: Option<&PhoneSpelling>) -> String {
    let mut hash = Sha256::new();
    for word in phones
        .iter()
        .flat_map(|phones| phones.pronunciations().iter())
    {
        hash.update(format!("{word:?}"));
    }
    for utterance in utterances {
        let Utterance {
            id,
            offset_secs,
            duration_secs,
            text,
            speaker,
            ..
        } = utterance;
        hash.update(format!(
            "{:?}",
            (id, offset_secs, duration_secs, text, speaker)
        ));
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

fn keep_tokens(folder: &RunFolder, tokens: &Tokens) -> Result<(), SessionError> {
    match folder.tokens()? {
        None => folder.store_tokens(tokens)?,
        Some(old) if old == *tokens => {}
        Some(_) => {
            return Err(SessionError::OtherTokens {
                path: folder.path().into(),
            });
        }
    }
    Ok(())
}

fn train_phases(
    context: &mut RunContext<'_>,
    phase: Option<Phase>,
) -> Result<Vec<TrainedNetwork>, TrainError> {
    match phase {
        Some(Phase::Teach) => Ok(vec![train::teach(context)?]),
        Some(Phase::Distill) => {
            let before = train::trained_before(context, Phase::Distill)?;
            train::distill(context, before.first())
        }
        Some(Phase::Finetune) => {
            let distilled = train::trained_before(context, Phase::Finetune)?;
            train::finetune(context, &distilled)
        }
        None => {
            let family = train::run(context)?;
            Ok(family.teacher.into_iter().chain(family.students).collect())
        }
    }
}

/// Hands events on; a log that cannot be written and the step limit both end the training.
struct Told<'a> {
    reports: &'a mut Reports,
    failed: Option<ReportError>,
    max_steps: Option<usize>,
    limit_reached: bool,
    stop: &'a AtomicBool,
}

impl Told<'_> {
    fn notice(&mut self, message: String) {
        self.event(TrainEvent::Notice { message });
    }

    fn event(&mut self, event: TrainEvent) {
        if let Err(error) = self.reports.event(&event)
            && self.failed.is_none()
        {
            self.failed = Some(error);
            self.stop.store(true, Ordering::SeqCst);
        }
        if let (TrainEvent::Step { step, .. }, Some(most)) = (&event, self.max_steps)
            && *step >= most
        {
            self.limit_reached = true;
            self.stop.store(true, Ordering::SeqCst);
        }
    }
}
