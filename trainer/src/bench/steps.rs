//! How fast a device trains: the steps of a recipe's networks at several batch sizes.
//!
//! Time is the mean of some steps on the wall, from the first one's start until the device has done
//! all of them, after one that is not counted (it compiles kernels). On a graphics card one more
//! step is watched: its launches, the time of their kernels by the card's clock, and its read-backs.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{
    Options, steady_step,
    subjects::{Subject, phase_steps, synthetic_batch},
};
use crate::{
    clock::Usage,
    config::Recipe,
    data::Batch,
    device::{DeviceKind, OpenDevice, take_read_backs},
    train::TrainError,
};

/// The batches, and how long each step may be repeated.
#[derive(Debug, Clone)]
pub struct StepOptions {
    /// Seconds of audio of each batch, ascending: memory is counted from the start.
    pub batch_secs: Vec<f64>,
    /// Of each utterance.
    pub utterance_secs: f64,
    /// Steps that are timed.
    pub repeats: usize,
    /// No step is repeated once all of one network and size took so long.
    pub budget: Duration,
}

/// A step at one batch size.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepSpeed {
    /// `teacher CTC`, `3 students EncRL`, ...
    pub step: String,
    pub batch_secs: f64,
    /// The first step, which compiles what it launches.
    pub first_ms: f64,
    pub step_ms: f64,
    pub audio_secs_per_sec: f64,
    pub memory_bytes: u64,
    pub memory_of: MemoryOf,
    /// Of a graphics card.
    pub on_card: Option<OnCard>,
}

/// Whose memory is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryOf {
    /// The graphics card's, all that is in use, after the step.
    Card,
    /// This process's, the most so far.
    Process,
}

/// Where the time of a step on a graphics card goes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OnCard {
    pub kernels: Kernels,
    pub read_backs: usize,
    /// Waiting for values, the kernels before them included.
    pub read_back_ms: f64,
}

/// What a step launched.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kernels {
    pub launches: usize,
    /// Of all kernels by the card's clock, if it has one.
    pub kernel_ms: Option<f64>,
    /// By name, the dearest first.
    pub kernels: Vec<Kernel>,
}

/// All launches of one kernel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kernel {
    pub name: String,
    pub launches: usize,
    pub ms: f64,
}

/// Measures the teacher with CTC, and all students with step 1 and with CTC; `each` gets every
/// result when it is there.
///
/// - `vocab_size`: of all networks.
///
/// # Errors
///
/// A network that cannot be built, or `each`'s error.
pub fn measure_steps<E: From<TrainError>>(
    recipe: &Recipe,
    vocab_size: usize,
    device: &OpenDevice,
    options: &StepOptions,
    mut each: impl FnMut(StepSpeed) -> Result<(), E>,
) -> Result<(), E> {
    for &batch_secs in &options.batch_secs {
        let batch_options = Options {
            utterances: ((batch_secs / options.utterance_secs).round() as usize).max(1),
            seconds: options.utterance_secs,
            repeats: options.repeats,
        };
        let batch = synthetic_batch(recipe, vocab_size, batch_options);
        for mut subject in phase_steps(recipe, vocab_size, device)? {
            device.device.memory_cleanup();
            each(measure_step(&mut subject, &batch, device, options))?;
        }
    }
    Ok(())
}

fn measure_step(
    subject: &mut Subject,
    batch: &Batch,
    device: &OpenDevice,
    options: &StepOptions,
) -> StepSpeed {
    let started = Instant::now();
    run(subject, batch, 0);
    wait(device);
    let first = started.elapsed();

    take_read_backs();
    let started = Instant::now();
    let mut steps = 0;
    while steps < options.repeats && (steps == 0 || started.elapsed() < options.budget) {
        steps += 1;
        run(subject, batch, steps);
    }
    wait(device);
    let mean_secs = started.elapsed().as_secs_f64() / steps as f64;
    let read_backs = take_read_backs();
    let (memory_bytes, memory_of) = memory(device);
    StepSpeed {
        step: subject.name.clone(),
        batch_secs: batch.audio_secs,
        first_ms: first.as_secs_f64() * 1e3,
        step_ms: mean_secs * 1e3,
        audio_secs_per_sec: batch.audio_secs / mean_secs,
        memory_bytes,
        memory_of,
        on_card: kernels(subject, batch, device).map(|kernels| OnCard {
            kernels,
            read_backs: read_backs.count / steps,
            read_back_ms: read_backs.wall.as_secs_f64() * 1e3 / steps as f64,
        }),
    }
}

fn run(subject: &mut Subject, batch: &Batch, round: usize) {
    let phase = subject.group.phase;
    subject.group.step(&steady_step(phase, batch, round));
}

/// Until the device has done everything. A device that fails here has failed at the next read-back,
/// where it is told.
fn wait(device: &OpenDevice) {
    let _ = device.device.sync();
}

fn kernels(subject: &mut Subject, batch: &Batch, device: &OpenDevice) -> Option<Kernels> {
    (device.kind == DeviceKind::Gpu).then(|| {
        launched(|| {
            run(subject, batch, 0);
            wait(device);
        })
    })
}

/// What `work`, which must wait for the device before it returns, launches on graphics cards.
#[cfg(feature = "gpu")]
pub(crate) fn launched(work: impl FnOnce()) -> Kernels {
    super::kernels::observe(work)
}

/// Nothing: there is no support for graphics cards.
#[cfg(not(feature = "gpu"))]
pub(crate) fn launched(work: impl FnOnce()) -> Kernels {
    work();
    Kernels {
        launches: 0,
        kernel_ms: None,
        kernels: vec![],
    }
}

/// Memory in use: of an NVIDIA card by its own tool, else of this process.
fn memory(device: &OpenDevice) -> (u64, MemoryOf) {
    let is_nvidia = device.kind == DeviceKind::Gpu && device.name.contains("NVIDIA");
    match is_nvidia.then(nvidia_memory_bytes).flatten() {
        Some(bytes) => (bytes, MemoryOf::Card),
        None => (Usage::now().peak_memory_bytes, MemoryOf::Process),
    }
}

fn nvidia_memory_bytes() -> Option<u64> {
    let output = std::process::Command::new("nvidia-smi")
        .args(["--query-gpu=memory.used", "--format=csv,noheader,nounits"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mib: u64 = text.lines().next()?.trim().parse().ok()?;
    Some(mib << 20)
}
