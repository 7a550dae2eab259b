//! The report as one Markdown table.

use super::{CheckReport, End, LOSS_TOLERANCE, RECIPE, StepSpeed, TOLERANCE};
use crate::{
    bench::{parity::StepLoss, steps::MemoryOf},
    report::{format_bytes, format_count, format_duration},
};

#[derive(Default)]
struct Row {
    what: String,
    gpu: String,
    cpu: String,
    ratio: String,
    note: String,
}

impl Row {
    fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ..Self::default()
        }
    }
}

pub(super) fn markdown(report: &CheckReport) -> String {
    let mut rows = adapters(report);
    rows.extend(parity(report));
    rows.extend(losses(report));
    rows.extend(steps(report));
    rows.extend(kernels(report));
    rows.extend(pytorch(report));
    rows.extend(recipe(report));
    rows.extend(unfinished(report));
    rows.push(Row {
        note: if report.passed {
            "passed"
        } else {
            "not passed"
        }
        .to_owned(),
        gpu: format_duration(report.secs),
        ..Row::new("the whole check")
    });
    let mut text =
        "| what | GPU | two CPU cores | ratio | note |\n| --- | ---: | ---: | ---: | --- |\n"
            .to_owned();
    for row in rows {
        let cells = [row.what, row.gpu, row.cpu, row.ratio, row.note];
        let cells = cells.map(|cell| cell.replace('|', "/").replace('\n', " "));
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

fn adapters(report: &CheckReport) -> Vec<Row> {
    let adapters = report
        .devices
        .iter()
        .filter(|device| device.backend != "cpu");
    let mut rows: Vec<Row> = adapters
        .map(|adapter| Row {
            gpu: adapter.name.clone(),
            note: format!(
                "{}, driver {}: {}",
                adapter.device_type, adapter.driver, adapter.reason
            ),
            ..Row::new(format!("adapter, {}", adapter.backend))
        })
        .collect();
    if rows.is_empty() {
        rows.push(Row {
            gpu: "none".to_owned(),
            note: "no graphics adapter answers: is a Vulkan loader (libvulkan.so.1) with the card's driver installed?".to_owned(),
            ..Row::new("adapter")
        });
    }
    let cpu = report.devices.iter().find(|device| device.backend == "cpu");
    rows.extend(cpu.map(|cpu| Row {
        cpu: cpu.name.clone(),
        note: "two of them are the column \"two CPU cores\"".to_owned(),
        ..Row::new("processor")
    }));
    rows
}

fn parity(report: &CheckReport) -> Vec<Row> {
    let Some(parity) = &report.parity else {
        return vec![];
    };
    let teacher = &parity.teacher;
    let row = |what: &str, difference: f64, most: f64| Row {
        gpu: format!("{difference:.1e}"),
        note: format!(
            "greatest difference from the CPU, relative; at most {most:.0e} passes{}",
            if difference <= most { "" } else { ": TOO FAR" }
        ),
        ..Row::new(what)
    };
    let pass = f64::from(TOLERANCE);
    let steps = parity.losses.iter().map(|loss| loss.number).max();
    vec![
        row("teacher, forward pass", teacher.forward.into(), pass),
        row("teacher, gradients", teacher.gradients.into(), pass),
        row("teacher, optimiser step", teacher.step.into(), pass),
        row(
            &format!("losses of {} training steps", steps.unwrap_or(0)),
            parity.greatest_loss_difference,
            LOSS_TOLERANCE,
        ),
    ]
}

/// One row a step of training, all phases in it.
fn losses(report: &CheckReport) -> Vec<Row> {
    let Some(parity) = &report.parity else {
        return vec![];
    };
    let last = parity.losses.iter().map(|loss| loss.number).max();
    let row = |number: usize| {
        let of_step: Vec<&StepLoss> = parity
            .losses
            .iter()
            .filter(|loss| loss.number == number)
            .collect();
        let cell = |value: fn(&StepLoss) -> Option<f64>| {
            let shown = |loss: &&StepLoss| {
                value(loss).map_or("not finite".to_owned(), |value| format!("{value:.5}"))
            };
            of_step.iter().map(shown).collect::<Vec<_>>().join(" · ")
        };
        let differences = of_step.iter().map(|loss| loss.difference());
        let names: Vec<&str> = of_step.iter().map(|loss| loss.step.as_str()).collect();
        Row {
            gpu: cell(|loss| loss.device),
            cpu: cell(|loss| loss.cpu),
            ratio: format!("{:.0e}", differences.fold(0.0, f64::max)),
            note: if number == 1 {
                format!("{}; their greatest relative difference", names.join(" · "))
            } else {
                String::new()
            },
            ..Row::new(format!("loss of step {number}"))
        }
    };
    (1..=last.unwrap_or(0)).map(row).collect()
}

/// One row a step and size, in the order of the card's.
fn steps(report: &CheckReport) -> Vec<Row> {
    let key = |step: &StepSpeed| (step.step.clone(), step.batch_secs.to_bits());
    let mut keys: Vec<_> = report.gpu_steps.iter().map(key).collect();
    for step in &report.cpu_steps {
        if !keys.contains(&key(step)) {
            keys.push(key(step));
        }
    }
    let find = |steps: &[StepSpeed], wanted| steps.iter().find(|step| key(step) == wanted).cloned();
    keys.into_iter()
        .map(|wanted| {
            let gpu = find(&report.gpu_steps, wanted.clone());
            let cpu = find(&report.cpu_steps, wanted.clone());
            Row {
                ratio: match (&gpu, &cpu) {
                    (Some(gpu), Some(cpu)) => {
                        format!("{:.1}x", gpu.audio_secs_per_sec / cpu.audio_secs_per_sec)
                    }
                    _ => String::new(),
                },
                note: gpu.as_ref().map(shares).unwrap_or_default(),
                gpu: gpu.as_ref().map_or("-".to_owned(), speed),
                cpu: cpu.as_ref().map_or("-".to_owned(), speed),
                ..Row::new(format!("{}, {} s", wanted.0, f64::from_bits(wanted.1)))
            }
        })
        .collect()
}

fn speed(step: &StepSpeed) -> String {
    format!(
        "{} s of audio a second, {:.1} ms, {}{}",
        format_count(step.audio_secs_per_sec.round() as usize),
        step.step_ms,
        format_bytes(step.memory_bytes),
        match step.memory_of {
            MemoryOf::Card => " of the card",
            MemoryOf::Process => "",
        }
    )
}

/// Where the time of a step on the card goes.
fn shares(step: &StepSpeed) -> String {
    let Some(card) = &step.on_card else {
        return String::new();
    };
    let percent = |ms: f64| format!("{:.0} %", 100.0 * ms / step.step_ms);
    let kernels = card.kernels.kernel_ms;
    let kernels = kernels.map_or("not timed by this adapter".to_owned(), percent);
    format!(
        "kernels {kernels}; {} launches and other work of the host {}; {} read-backs, waiting for kernels included, {}; first step {:.1} s",
        format_count(card.kernels.launches),
        percent(step.step_ms - card.read_back_ms),
        card.read_backs,
        percent(card.read_back_ms),
        step.first_ms / 1e3
    )
}

/// The dearest kernels of the last step of the teacher.
fn kernels(report: &CheckReport) -> Vec<Row> {
    const SHOWN: usize = 6;
    let teacher = report.gpu_steps.first().map(|step| step.step.as_str());
    let last = report.gpu_steps.iter().rev();
    let last = last
        .filter(|step| Some(step.step.as_str()) == teacher)
        .max_by(|a, b| a.batch_secs.total_cmp(&b.batch_secs));
    let Some((step, card)) = last.and_then(|step| Some((step, step.on_card.as_ref()?))) else {
        return vec![];
    };
    let Some(total_ms) = card.kernels.kernel_ms else {
        return vec![];
    };
    let shown = card.kernels.kernels.iter().take(SHOWN);
    shown
        .map(|kernel| Row {
            gpu: format!("{:.2} ms, {:.0} %", kernel.ms, 100.0 * kernel.ms / total_ms),
            note: format!(
                "{} launches: `{}`",
                format_count(kernel.launches),
                kernel.name
            ),
            ..Row::new(format!("kernel of {}, {} s", step.step, step.batch_secs))
        })
        .collect()
}

fn pytorch(report: &CheckReport) -> Vec<Row> {
    let steps = report.pytorch_steps.iter();
    steps
        .map(|torch| {
            // The teacher's step comes first at every size.
            let own = report
                .gpu_steps
                .iter()
                .find(|step| step.batch_secs == torch.batch_secs);
            Row {
                gpu: format!(
                    "{} s of audio a second, {:.1} ms, {}",
                    format_count(torch.audio_secs_per_sec.round() as usize),
                    torch.step_ms,
                    format_bytes(torch.peak_memory_bytes)
                ),
                ratio: own.map_or(String::new(), |own| {
                    format!("{:.2}x", own.audio_secs_per_sec / torch.audio_secs_per_sec)
                }),
                note: format!(
                    "PyTorch {} on {}, f32; ratio: Fledge's speed to PyTorch's",
                    torch.torch, torch.device
                ),
                ..Row::new(format!(
                    "the same teacher step in PyTorch, {} s",
                    torch.batch_secs
                ))
            }
        })
        .collect()
}

fn recipe(report: &CheckReport) -> Vec<Row> {
    let run = report.parts.iter().find(|part| part.name == RECIPE);
    let mut rows = vec![];
    rows.extend(run.map(|run| {
        Row {
            gpu: format_duration(run.secs),
            note: match run.end {
                End::Done => "trained, exported and measured",
                _ => "not to its end",
            }
            .to_owned(),
            ..Row::new("the recipe from beginning to end")
        }
    }));
    for model in &report.models {
        rows.extend(model.evaluations.iter().map(|evaluation| Row {
            gpu: format!("{:.1} %", 100.0 * evaluation.wer),
            note: format!(
                "{} words, 95 %: {:.1} to {:.1}",
                format_count(evaluation.words),
                100.0 * evaluation.wer_low,
                100.0 * evaluation.wer_high
            ),
            ..Row::new(format!("WER of {}, {}", model.name, evaluation.set))
        }));
    }
    rows
}

/// Parts that did not do all of their work.
fn unfinished(report: &CheckReport) -> Vec<Row> {
    let note = |end: &End| match end {
        End::Done => None,
        End::Failed { reason } => Some(format!("FAILED: {reason}")),
        End::OutOfTime { budget_secs } => Some(format!("STOPPED after {budget_secs} s")),
        End::Absent { reason } => Some(format!("left out: {reason}")),
    };
    let parts = report.parts.iter();
    let rows = parts.filter_map(|part| {
        Some(Row {
            note: note(&part.end)?,
            ..Row::new(format!("part {}", part.name))
        })
    });
    rows.collect()
}
