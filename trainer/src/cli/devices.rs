//! `fledge devices`.

use std::io::Write;

use super::CliResult;
use crate::device::{self, DeviceReport};

/// List the devices that can compute: the CPU and every graphics adapter
///
/// Each adapter runs a tiny network (forward pass, gradients, one optimiser step); an adapter whose
/// results differ from the CPU's is refused. `--device auto` uses the first graphics card that
/// passes, otherwise the CPU.
///
/// Example:
///   fledge devices --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct DevicesArgs {
    /// Print one JSON object per device
    #[arg(long)]
    json: bool,
    /// List the adapters without testing them
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
