//! Whether a graphics card computes as the CPU does, and what it gains: every measurement of it in
//! one report. Each part is a run of this program, or of PyTorch, with a time of its own.

mod part;
mod table;

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use shared_model::{bundle::Evaluation, model::ModelConfig};

use super::{
    parity::{LOSS_TOLERANCE, Parity},
    steps::StepSpeed,
};
use crate::device::{DeviceReport, TOLERANCE};
pub use part::End;
use part::{Ended, Part};

/// What is checked, and with what.
#[derive(Debug, Clone)]
pub struct CheckOptions {
    /// This program.
    pub fledge: PathBuf,
    pub recipe: PathBuf,
    /// The recipe's teacher, as PyTorch builds it.
    pub teacher: ModelConfig,
    pub intermediate_ctc_weight: f64,
    /// Overrides of the recipe.
    pub set: Vec<String>,
    /// Of the commands that compute on the card.
    pub device_arguments: Vec<String>,
    pub batch_secs: Vec<f64>,
    pub utterance_secs: f64,
    pub repeats: usize,
    pub parity_steps: usize,
    /// The script that takes the same step in PyTorch, and its interpreter.
    pub pytorch: Option<(PathBuf, PathBuf)>,
    /// Gets what the parts print, and the trained networks.
    pub folder: PathBuf,
    /// Of the whole check.
    pub budget: Duration,
}

/// Everything that was found.
#[derive(Debug, Clone, Serialize)]
pub struct CheckReport {
    pub fledge: &'static str,
    /// No part failed or ran out of time, and the card computes as the CPU does.
    pub passed: bool,
    pub secs: f64,
    pub parts: Vec<PartReport>,
    /// The graphics adapters, and the CPU.
    pub devices: Vec<DeviceReport>,
    pub parity: Option<Parity>,
    pub gpu_steps: Vec<StepSpeed>,
    pub cpu_steps: Vec<StepSpeed>,
    pub pytorch_steps: Vec<PyTorchStep>,
    pub models: Vec<TrainedModel>,
}

#[derive(Debug, Clone, Serialize)]
pub struct PartReport {
    pub name: &'static str,
    pub secs: f64,
    #[serde(flatten)]
    pub end: End,
}

/// A line of `trainer/benches/pytorch/teacher_step.py`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PyTorchStep {
    pub torch: String,
    pub device: String,
    pub batch_secs: f64,
    pub step_ms: f64,
    pub audio_secs_per_sec: f64,
    pub peak_memory_bytes: u64,
}

/// A line of `fledge run --json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrainedModel {
    pub name: String,
    pub evaluations: Vec<Evaluation>,
}

/// Enough for everything on a card of our day.
pub const BUDGET_SECS: u64 = 480;

const DEVICES: &str = "devices";
const PARITY: &str = "parity";
const GPU_STEPS: &str = "gpu-steps";
const CPU_STEPS: &str = "cpu-steps";
const PYTORCH: &str = "pytorch";
const RECIPE: &str = "recipe";

/// Runs every part, one after the other; `told` hears of each that has ended.
///
/// # Errors
///
/// `options.folder` cannot be written.
pub fn check(options: &CheckOptions, mut told: impl FnMut(&PartReport)) -> io::Result<CheckReport> {
    fs::create_dir_all(&options.folder)?;
    let started = Instant::now();
    let deadline = started + options.budget;
    let mut ended = vec![];
    for part in options.parts() {
        let part = match part {
            Ok(part) => without_what_is_absent(part.run(&options.folder, deadline)?),
            Err(absent) => absent,
        };
        told(&part.report());
        ended.push(part);
    }
    Ok(report(&ended, started.elapsed()))
}

fn report(ended: &[Ended], elapsed: Duration) -> CheckReport {
    let of = |name: &str| ended.iter().find(|part| part.name == name);
    let mut report = CheckReport {
        fledge: env!("CARGO_PKG_VERSION"),
        passed: false,
        secs: elapsed.as_secs_f64(),
        parts: ended.iter().map(Ended::report).collect(),
        devices: of(DEVICES).map(Ended::lines).unwrap_or_default(),
        parity: of(PARITY).and_then(|part| part.lines().pop()),
        gpu_steps: of(GPU_STEPS).map(Ended::lines).unwrap_or_default(),
        cpu_steps: of(CPU_STEPS).map(Ended::lines).unwrap_or_default(),
        pytorch_steps: of(PYTORCH).map(Ended::lines).unwrap_or_default(),
        models: of(RECIPE).map(Ended::lines).unwrap_or_default(),
    };
    report.passed = report.is_whole() && report.parity.as_ref().is_some_and(agrees);
    report
}

fn agrees(parity: &Parity) -> bool {
    parity.teacher.worst() <= TOLERANCE && parity.greatest_loss_difference <= LOSS_TOLERANCE
}

/// A machine without PyTorch, or whose PyTorch has no CUDA, is not one that fails.
fn without_what_is_absent(part: Ended) -> Ended {
    const ABSENT: [&str; 3] = ["did not start", "No module named", "no CUDA device"];
    match &part.end {
        End::Failed { reason }
            if part.name == PYTORCH && ABSENT.iter().any(|text| reason.contains(text)) =>
        {
            Ended::absent(part.name, reason.clone())
        }
        _ => part,
    }
}

impl Ended {
    fn report(&self) -> PartReport {
        PartReport {
            name: self.name,
            secs: self.secs,
            end: self.end.clone(),
        }
    }
}

impl CheckOptions {
    /// What is run, or why it is not. The recipe comes last and has all the time that is left.
    fn parts(&self) -> Vec<Result<Part, Ended>> {
        let batches = join(&self.batch_secs);
        let steps = [
            "--batch-seconds".to_owned(),
            batches,
            "--utterance-seconds".to_owned(),
            self.utterance_secs.to_string(),
            "--repeats".to_owned(),
            self.repeats.to_string(),
        ];
        let parity_steps = ["--steps".to_owned(), self.parity_steps.to_string()];
        let cpu = ["--device", "cpu"].map(str::to_owned);
        let run = [
            "--run",
            &self.folder.join("run").to_string_lossy(),
            "--fresh",
        ]
        .map(str::to_owned);
        let card = &self.device_arguments;
        vec![
            Ok(self.part(DEVICES, self.share(30), ["devices"], &[&[]])),
            Ok(self.part(
                PARITY,
                self.share(60),
                ["bench", "parity"],
                &[&self.recipe(true), &parity_steps, card],
            )),
            Ok(self.part(
                GPU_STEPS,
                self.share(100),
                ["bench", "steps"],
                &[&self.recipe(true), &steps, card],
            )),
            Ok(on_two_cores(self.part(
                CPU_STEPS,
                self.share(70),
                ["bench", "steps"],
                &[&self.recipe(true), &steps, &cpu],
            ))),
            self.pytorch(),
            Ok(self.part(
                RECIPE,
                self.budget,
                ["run"],
                &[&self.recipe(false), &run, card],
            )),
        ]
    }

    /// What a part may take of the whole time: so many seconds where all of it is [`BUDGET_SECS`].
    fn share(&self, secs: u64) -> Duration {
        self.budget.mul_f64(secs as f64 / BUDGET_SECS as f64)
    }

    /// The recipe and its overrides; `--recipe` stands before it where it `is_option`.
    fn recipe(&self, is_option: bool) -> Vec<String> {
        let option = is_option.then(|| "--recipe".to_owned());
        let recipe = self.recipe.to_string_lossy().into_owned();
        let set = self
            .set
            .iter()
            .flat_map(|set| ["--set".to_owned(), set.clone()]);
        option.into_iter().chain([recipe]).chain(set).collect()
    }

    fn part<const N: usize>(
        &self,
        name: &'static str,
        budget: Duration,
        command: [&str; N],
        arguments: &[&[String]],
    ) -> Part {
        let command = command.into_iter().map(OsString::from);
        let arguments = arguments.iter().copied().flatten().map(OsString::from);
        Part {
            name,
            program: self.fledge.clone().into(),
            arguments: command.chain(arguments).chain(["--json".into()]).collect(),
            budget,
        }
    }

    fn pytorch(&self) -> Result<Part, Ended> {
        let Some((script, python)) = &self.pytorch else {
            return Err(Ended::absent(PYTORCH, "it was not asked for".to_owned()));
        };
        let model = &self.teacher;
        let mut arguments: Vec<OsString> = vec![script.into()];
        for (name, value) in [
            ("d-model", model.d_model),
            ("n-layers", model.n_layers),
            ("n-heads", model.n_heads),
            ("d-ffn", model.d_ffn),
            ("conv-kernel", model.conv_kernel),
            ("subsampling", model.subsampling_factor),
            ("vocab", model.vocab_size),
            ("n-mels", model.n_mels),
            ("steps", self.repeats),
        ] {
            arguments.extend([format!("--{name}").into(), value.to_string().into()]);
        }
        for (name, value) in [
            ("seconds", self.utterance_secs),
            ("dropout", model.dropout),
            ("intermediate", self.intermediate_ctc_weight),
        ] {
            arguments.extend([format!("--{name}").into(), value.to_string().into()]);
        }
        arguments.extend(["--device", "cuda", "--utterances"].map(OsString::from));
        let utterances = |secs: &f64| ((secs / self.utterance_secs).round() as usize).max(1);
        let utterances = self.batch_secs.iter().map(utterances);
        arguments.extend(utterances.map(|count| count.to_string().into()));
        Ok(Part {
            name: PYTORCH,
            program: python.into(),
            arguments,
            budget: self.share(60),
        })
    }
}

fn join(numbers: &[f64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
    numbers.join(",")
}

/// The same part on the first two of the processors that this process may use, where the system has
/// a command for that; else on all of them.
fn on_two_cores(part: Part) -> Part {
    let Some(cores) = first_two_cores() else {
        return part;
    };
    let taskset = ["-c".into(), cores.into(), part.program];
    Part {
        program: "taskset".into(),
        arguments: taskset.into_iter().chain(part.arguments).collect(),
        ..part
    }
}

#[cfg(target_os = "linux")]
fn first_two_cores() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    first_two(list.trim())
}

#[cfg(not(target_os = "linux"))]
fn first_two_cores() -> Option<String> {
    None
}

/// The first two of a list such as `0-3,8,10-11`.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
fn first_two(list: &str) -> Option<String> {
    let mut cores = list.split(',').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<usize>(), last.parse::<usize>());
        first.unwrap_or(1)..=last.unwrap_or(0)
    });
    Some(format!("{},{}", cores.next()?, cores.next()?))
}

impl CheckReport {
    /// Whether every part that could be done was done, and found something.
    fn is_whole(&self) -> bool {
        let is_done = |part: &PartReport| matches!(part.end, End::Done | End::Absent { .. });
        self.parts.iter().all(is_done)
            && self.devices.iter().any(|device| device.backend != "cpu")
            && !self.gpu_steps.is_empty()
            && self.gpu_steps.len() == self.cpu_steps.len()
            && !self.models.is_empty()
    }

    /// The report as one Markdown table.
    pub fn table(&self) -> String {
        table::markdown(self)
    }

    /// Writes the report as JSON.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn store(&self, path: &Path) -> io::Result<()> {
        fs::write(path, serde_json::to_vec_pretty(self)?)
    }
}

#[cfg(test)]
mod tests;
