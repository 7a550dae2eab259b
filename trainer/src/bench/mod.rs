//! How fast training is: the steps of a recipe's networks on a synthetic batch, by the code that
//! trains.
//!
//! **Operations.** Multiply-adds of a forward pass are counted from the configuration
//! ([`ModelConfig::multiply_adds`]); one is two operations. A training step counts as three
//! forward passes (each product's gradient is two products of the same size); step 1 adds the
//! student's projection, likewise, and one forward pass of the frozen teacher. What is recomputed
//! in the backward pass is not counted.
//!
//! **Times.** Steps of all networks take turns, and each figure is the least of its repeats.
//! Processor time is summed over all threads. On an idle machine it is wall time multiplied by the
//! number of busy cores; on a busy machine it is the figure to read.
//!
//! **Shares** are of a step's processor time:
//! - *matrix multiplication*: the step's products, forward and backward, repeated alone on
//!   matrices of their shapes (in f32: with products in bf16 they are part of the rest);
//! - *CTC*: a thread's time in log-softmax, read-back and forward-backward;
//! - *update*: sum of the shards' gradients, their norm, and the optimiser;
//! - *teacher*: its frozen pass (step 1);
//! - *bookkeeping*: a step of as many layers of the least width on one shortest utterance, where
//!   there is next to nothing to compute: graph, allocations, threads;
//! - *kernel*: what the operating system did meanwhile, page faults above all; it overlaps the
//!   others and is not part of their sum;
//! - *the rest*: element-wise operations, norms, softmax and copies.
//!
//! Waiting for data is not among them: a synthetic batch is there at once. A run reports its share
//! at every step (`data_wait_share` of `metrics.jsonl`).

mod copying;
pub(crate) mod gpu_check;
#[cfg(feature = "gpu")]
mod kernels;
pub(crate) mod live_words;
mod machine;
pub(crate) mod parity;
mod rates;
pub(crate) mod steps;
mod subjects;

use std::time::Duration;

use serde::Serialize;
use shared_model::{features::FRAME_SHIFT_SECS, model::ModelConfig};

use crate::{
    clock::Usage,
    config::{Phase, Recipe},
    data::{Batch, EpochPlan, SpecMask},
    device::OpenDevice,
    train::{StepTimes, TrainError, TrainStep, TrainerGroup},
};
use machine::{Machine, replay};
pub use rates::{PhaseRate, phase_rates};
pub(crate) use steps::launched;
use subjects::{Subject, subjects, synthetic_batch};

/// The batch, and how often it is repeated.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Of the batch.
    pub utterances: usize,
    /// Of each utterance.
    pub seconds: f64,
    /// Measured steps of each network; the least time counts.
    pub repeats: usize,
}

/// What [`measure`] finds.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What the machine can do at best.
    pub machine: Machine,
    /// Audio of the batch.
    pub audio_secs: f64,
    /// Whether branches are computed as one operation each.
    pub fused: bool,
    /// Whether matrix products are in bf16: asked for, and the processor has them.
    pub bf16: bool,
    /// Of each network alone.
    pub steps: Vec<Step>,
    /// Where there are several students.
    pub concurrency: Option<Concurrency>,
    /// Of this process.
    pub peak_memory_bytes: u64,
}

/// A network's step.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// `teacher CTC`, `small EncRL`, ...
    pub name: String,
    /// Of all networks that it steps.
    pub parameters: usize,
    /// Time on the wall.
    pub wall_ms: f64,
    /// Processor time of all threads.
    pub cpu_ms: f64,
    /// Seconds of audio a second.
    pub audio_secs_per_sec: f64,
    /// Operations, 1e9.
    pub gflop: f64,
    /// By the time on the wall.
    pub gflop_per_sec: f64,
    /// By processor time: what one core does.
    pub gflop_per_cpu_sec: f64,
    /// Of the rate that one core multiplies matrices at.
    pub share_of_matmul_rate: f64,
    /// Where the processor time goes.
    pub shares: Shares,
}

/// Parts of a step's processor time.
#[derive(Debug, Clone, Serialize)]
pub struct Shares {
    /// Absent with products in bf16: they are not repeated alone, but part of the rest.
    pub matmul: Option<f64>,
    /// Log-softmax, read-back and forward-backward.
    pub ctc: f64,
    /// Sum and norm of gradients, and the optimiser.
    pub update: f64,
    /// The frozen teacher's pass.
    pub teacher: f64,
    /// Graph, allocations and threads.
    pub bookkeeping: f64,
    /// What no other share holds.
    pub rest: f64,
    /// The operating system's part, which overlaps the others.
    pub kernel: f64,
}

/// Step 1 of all students at once against one student after another.
#[derive(Debug, Clone, Serialize)]
pub struct Concurrency {
    /// All students in one step.
    pub together: Step,
    /// Sum of the students' own steps, time on the wall.
    pub one_by_one_wall_ms: f64,
    /// Sum of the students' own steps, processor time.
    pub one_by_one_cpu_ms: f64,
    /// One by one over together.
    pub wall_ratio: f64,
    /// Likewise, by processor time.
    pub cpu_ratio: f64,
    /// Processor time of one frozen pass of the teacher; together there is one of them.
    pub teacher_pass_cpu_ms: f64,
    /// What the passes that are not repeated save, as a share of the difference.
    pub saved_by_sharing_teacher: f64,
}

/// The least of several repeats.
#[derive(Debug, Clone, Copy)]
struct Measured {
    wall: Duration,
    usage: Usage,
    times: StepTimes,
}

/// The teacher's CTC step on a synthetic batch, to be repeated.
pub struct TeacherStep {
    group: TrainerGroup,
    batch: Batch,
    round: usize,
}

impl TeacherStep {
    /// - `vocab_size`: of the teacher.
    ///
    /// # Errors
    /// A recipe whose teacher cannot be built.
    pub fn new(recipe: &Recipe, vocab_size: usize, options: Options) -> Result<Self, TrainError> {
        let cpu = OpenDevice::cpu("its step is timed");
        Ok(Self {
            group: subjects::teacher(recipe, vocab_size, &cpu)?.group,
            batch: synthetic_batch(recipe, vocab_size, options),
            round: 0,
        })
    }

    /// One forward and backward pass and one update.
    pub fn run(&mut self) {
        let phase = self.group.phase;
        self.group
            .step(&steady_step(phase, &self.batch, self.round));
        self.round += 1;
    }
}

/// Measures every step of a recipe on the CPU.
///
/// - `vocab_size`: of all networks.
///
/// # Errors
/// A recipe whose networks cannot be built.
pub fn measure(recipe: &Recipe, vocab_size: usize, options: Options) -> Result<Report, TrainError> {
    let machine = Machine::measure();
    let is_bf16 = recipe.compute.operations().multiplies_bf16();
    let batch = synthetic_batch(recipe, vocab_size, options);
    let mut subjects = subjects(recipe, vocab_size)?;
    let mut least: Vec<Option<Measured>> = subjects.iter().map(|_| None).collect();
    // The first round fills the allocator's and the processor's caches.
    for round in 0..=options.repeats {
        for (subject, least) in subjects.iter_mut().zip(&mut least) {
            let measured = run(&mut subject.group, &batch, round);
            let cpu = |measured: &Measured| measured.usage.total;
            if round > 0 {
                let wall = least.map_or(measured.wall, |l| l.wall.min(measured.wall));
                let best = least
                    .filter(|l| cpu(l) <= cpu(&measured))
                    .unwrap_or(measured);
                *least = Some(Measured { wall, ..best });
            }
        }
    }
    let mut steps = vec![];
    let mut together = None;
    let mut one_by_one = (0.0, 0.0);
    for (subject, measured) in subjects.iter().zip(least) {
        let Some(measured) = measured else { continue };
        let step = step(subject, measured, (&batch, options), &machine, is_bf16)?;
        if subject.is_together {
            together = Some((step, measured));
        } else {
            if subject.is_distillation {
                one_by_one.0 += step.wall_ms;
                one_by_one.1 += step.cpu_ms;
            }
            steps.push(step);
        }
    }
    let concurrency = together.map(|(step, measured)| {
        let teacher = milliseconds(measured.times.teacher);
        let students = subjects
            .iter()
            .filter(|s| s.is_distillation && !s.is_together);
        let repeated = teacher * (students.count() as f64 - 1.0);
        Concurrency {
            one_by_one_wall_ms: one_by_one.0,
            one_by_one_cpu_ms: one_by_one.1,
            wall_ratio: one_by_one.0 / step.wall_ms,
            cpu_ratio: one_by_one.1 / step.cpu_ms,
            teacher_pass_cpu_ms: teacher,
            saved_by_sharing_teacher: repeated / (one_by_one.1 - step.cpu_ms),
            together: step,
        }
    });
    Ok(Report {
        machine,
        audio_secs: batch.audio_secs,
        fused: recipe.compute.fused,
        bf16: is_bf16,
        steps,
        concurrency,
        peak_memory_bytes: Usage::now().peak_memory_bytes,
    })
}

/// A step that ends with an update, in an epoch of its own.
fn steady_step(phase: Phase, batch: &Batch, round: usize) -> TrainStep<'_> {
    TrainStep {
        batch,
        plan: EpochPlan {
            phase,
            epoch: round,
            gentle: false,
            views: 1,
        },
        batch_in_epoch: 0,
        is_last_of_epoch: true,
        run_seed: 1,
    }
}

fn run(group: &mut TrainerGroup, batch: &Batch, round: usize) -> Measured {
    let started = std::time::Instant::now();
    let before = Usage::now();
    let phase = group.phase;
    let times = group.step(&steady_step(phase, batch, round)).times;
    let after = Usage::now();
    Measured {
        wall: started.elapsed(),
        usage: Usage {
            total: after.total.saturating_sub(before.total),
            kernel: after.kernel.saturating_sub(before.kernel),
            ..after
        },
        times,
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn step(
    subject: &Subject,
    measured: Measured,
    (batch, options): (&Batch, Options),
    machine: &Machine,
    is_bf16: bool,
) -> Result<Step, TrainError> {
    let cpu_secs = measured.usage.total.as_secs_f64();
    let wall_secs = measured.wall.as_secs_f64();
    let share = |time: Duration| time.as_secs_f64() / cpu_secs;
    let matmul = (!is_bf16).then(|| share(replay_step(&subject.group, batch, options)));
    let mut least = subject.least()?;
    let tiny = least_batch(&least, batch);
    let bookkeeping = (0..3)
        .map(|round| run(&mut least, &tiny, round).usage.total)
        .min();
    let bookkeeping = share(bookkeeping.unwrap_or_default());
    let StepTimes {
        teacher,
        ctc,
        update,
    } = measured.times;
    let (teacher, ctc, update) = (share(teacher), share(ctc), share(update));
    let gflop = operations(&subject.group, batch, options) as f64 * 1e-9;
    let gflop_per_cpu_sec = gflop / cpu_secs;
    Ok(Step {
        name: subject.name.clone(),
        parameters: subject.group.trainers.iter().map(|l| l.parameters()).sum(),
        wall_ms: milliseconds(measured.wall),
        cpu_ms: cpu_secs * 1e3,
        audio_secs_per_sec: batch.audio_secs / wall_secs,
        gflop,
        gflop_per_sec: gflop / wall_secs,
        gflop_per_cpu_sec,
        share_of_matmul_rate: gflop_per_cpu_sec / machine.matmul_gflop_per_sec_one_core,
        shares: Shares {
            matmul,
            ctc,
            update,
            teacher,
            bookkeeping,
            rest: 1.0 - matmul.unwrap_or(0.0) - ctc - update - teacher - bookkeeping,
            kernel: share(measured.usage.kernel),
        },
    })
}

/// One utterance of the least length and one label.
fn least_batch(group: &TrainerGroup, batch: &Batch) -> Batch {
    let frames = group
        .trainers
        .iter()
        .map(|trainer| {
            let config = trainer.network.model.config();
            (1..).find(|&f| config.encoder_length(f) > 0).unwrap_or(8)
        })
        .max()
        .unwrap_or(8);
    Batch {
        masks: vec![SpecMask::default()],
        shards: vec![],
        places: vec![],
        views: 1,
        features: vec![0.5; frames * batch.n_mels],
        time: frames,
        n_mels: batch.n_mels,
        lengths: vec![frames],
        targets: vec![vec![1]],
        utterance_ids: vec!["least".into()],
        audio_secs: frames as f64 * f64::from(FRAME_SHIFT_SECS),
    }
}

/// Networks of a step with the widths that their features are projected to.
fn trained(group: &TrainerGroup) -> impl Iterator<Item = (&ModelConfig, usize)> {
    group.trainers.iter().map(|trainer| {
        let projections = trainer.network.projections.iter();
        let widths = projections.map(|projection| projection.val().dims()[1]);
        (trainer.network.model.config(), widths.sum())
    })
}

/// Operations of a step; see the module's description.
fn operations(group: &TrainerGroup, batch: &Batch, options: Options) -> u64 {
    let utterances = options.utterances;
    let mut multiply_adds = 0;
    for (config, projected_to) in trained(group) {
        let frames = (utterances * config.encoder_length(batch.time)) as u64;
        let projected = frames * (config.d_model * projected_to) as u64;
        multiply_adds += 3 * (config.multiply_adds(utterances, batch.time) + projected);
    }
    if let Some(teacher) = group.goal.teacher().and_then(|teacher| teacher.network()) {
        multiply_adds += teacher.config().multiply_adds(utterances, batch.time);
    }
    2 * multiply_adds
}

/// Time of the products of a step alone; the teacher's are in its own share.
fn replay_step(group: &TrainerGroup, batch: &Batch, options: Options) -> Duration {
    let products =
        trained(group).flat_map(|(config, _)| config.products(options.utterances, batch.time));
    products.map(replay).sum()
}
