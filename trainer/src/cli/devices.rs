//! `fledge devices`.

use std::io::Write;

use super::CliResult;
use crate::device::{self, DeviceReport};

/// List what can compute: the CPU and every graphics adapter
///
/// Each adapter is tried with a tiny network (forward pass, gradients, one optimiser step) against
/// the CPU; one whose results differ is refused. `--device auto` takes the first graphics card that
/// passes, else the CPU.
///
/// Example:
///   fledge devices --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct DevicesArgs {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Only list; do not try the adapters
    #[arg(long)]
    no_self_test: bool,
}

pub fn run(args: &DevicesArgs) -> CliResult<()> {
    let mut reports = device::gpu_reports(!args.no_self_test);
    let mut cpu = device::cpu_report();
    // `auto` takes one device: the first that it would accept, the CPU last.
    let mut taken = false;
    for report in reports.iter_mut().chain(std::iter::once(&mut cpu)) {
        report.used_by_auto &= !taken;
        taken |= report.used_by_auto;
    }
    reports.push(cpu);
    if !cfg!(feature = "gpu") {
        let _ = writeln!(
            std::io::stderr(),
            "this fledge was built without graphics support: only the CPU is listed"
        );
    }
    for report in &reports {
        if args.json {
            super::print_json(report)?;
        } else {
            super::print_line(&line(report))?;
        }
    }
    Ok(())
}

fn line(report: &DeviceReport) -> String {
    let mark = if report.used_by_auto { "*" } else { " " };
    format!(
        "{mark} {:7} {:14} {}  [{}]  {}",
        report.backend, report.device_type, report.name, report.driver, report.reason
    )
}
