//! `fledge bench train`.

use std::path::PathBuf;

use crate::{
    bench::{self, Options, Report, Step},
    cli::{CliResult, memory, print_json, print_line},
    config::Recipe,
    report::{format_bytes, format_count},
};

use super::{check_seconds, vocab_size};

/// Measure the steps of training: teacher, EncRL and CTC of each student, all students at once
///
/// Runs the code that trains on the CPU with a synthetic batch; it needs no corpus and writes
/// nothing. Each step is shown beside the rate of plain matrix multiplications on this machine,
/// with where its time goes. If the machine is busy with other things, rely on the columns of
/// processor time.
///
/// Example:
///   fledge bench train --recipe recipes/quick.toml --set compute.fused=false --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct TrainArgs {
    /// The recipe, a TOML file
    #[arg(long, value_name = "FILE")]
    recipe: PathBuf,
    /// Override a value of the recipe, as `section.key=value`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Utterances in the batch
    #[arg(long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    utterances: u16,
    /// Length of each utterance, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 8.0)]
    seconds: f64,
    /// Steps of each network; the fastest counts
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: u16,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const MAX_SECONDS: f64 = 60.0;

pub fn run(args: &TrainArgs) -> CliResult<()> {
    check_seconds("--seconds", args.seconds, MAX_SECONDS)?;
    let recipe = Recipe::load(&args.recipe, &args.set)?;
    memory::keep_freed_memory();
    let options = Options {
        utterances: args.utterances.into(),
        seconds: args.seconds,
        repeats: args.repeats.into(),
    };
    let report = bench::measure(&recipe, vocab_size(&recipe), options)?;
    if args.json {
        return print_json(&report);
    }
    for line in lines(&report) {
        print_line(&line)?;
    }
    Ok(())
}

fn lines(report: &Report) -> Vec<String> {
    let Report { machine, .. } = report;
    let mut lines = vec![
        format!(
            "matrix multiplication alone: {:.1} GFLOP/s on one core, {:.1} on {}",
            machine.matmul_gflop_per_sec_one_core,
            machine.matmul_gflop_per_sec_all_cores,
            machine.cores
        ),
        format!(
            "batch: {:.0} s of audio; fused operations: {}; products in {}",
            report.audio_secs,
            if report.fused { "on" } else { "off" },
            if report.bf16 { "bf16" } else { "f32" }
        ),
        "GFLOP = 2 x multiply-adds: 3 x forward for what is trained, 1 x for a frozen teacher"
            .into(),
        format!(
            "{:20} {:>10} {:>8} {:>8} {:>8} {:>7} {:>8} {:>9} {:>8}",
            "step",
            "parameters",
            "wall ms",
            "cpu ms",
            "audio/s",
            "GFLOP",
            "GFLOP/s",
            "per cpu s",
            "of rate"
        ),
    ];
    let together = report.concurrency.as_ref().map(|c| &c.together);
    let steps = || report.steps.iter().chain(together);
    lines.extend(steps().map(speed_line));
    lines.push(format!(
        "{:20} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>9}",
        "share of cpu time", "matmul", "CTC", "update", "teacher", "graph", "rest", "(kernel)"
    ));
    lines.extend(steps().map(share_line));
    if let Some(concurrency) = &report.concurrency {
        lines.push(format!(
            "one student after another: {:.0} ms, {:.0} ms of cpu; together {:.2} times as fast, {:.2} times by cpu time",
            concurrency.one_by_one_wall_ms,
            concurrency.one_by_one_cpu_ms,
            concurrency.wall_ratio,
            concurrency.cpu_ratio
        ));
        lines.push(format!(
            "the teacher's pass, once instead of for each, is {:.1} ms of cpu: {:.0} % of what is saved",
            concurrency.teacher_pass_cpu_ms,
            100.0 * concurrency.saved_by_sharing_teacher
        ));
    }
    lines.push(format!(
        "peak memory: {}",
        format_bytes(report.peak_memory_bytes)
    ));
    lines
}

fn speed_line(step: &Step) -> String {
    format!(
        "{:20} {:>10} {:>8.1} {:>8.1} {:>8.0} {:>7.2} {:>8.1} {:>9.1} {:>7.0}%",
        step.name,
        format_count(step.parameters),
        step.wall_ms,
        step.cpu_ms,
        step.audio_secs_per_sec,
        step.gflop,
        step.gflop_per_sec,
        step.gflop_per_cpu_sec,
        100.0 * step.share_of_matmul_rate
    )
}

fn share_line(step: &Step) -> String {
    let shares = &step.shares;
    let percent = |share: f64| format!("{:.1}%", 100.0 * share);
    format!(
        "{:20} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>9}",
        step.name,
        shares.matmul.map_or("-".into(), percent),
        percent(shares.ctc),
        percent(shares.update),
        percent(shares.teacher),
        percent(shares.bookkeeping),
        percent(shares.rest),
        percent(shares.kernel)
    )
}
