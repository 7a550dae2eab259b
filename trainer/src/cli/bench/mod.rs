//! `fledge bench`: how fast things are on this machine.

mod inference;
mod live;
mod train;
mod untrained;

use clap::Subcommand;

/// Measure speed on this machine
///
/// Example:
///   fledge bench inference www/models/quick-small --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct BenchArgs {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    Inference(inference::InferenceArgs),
    Live(live::LiveArgs),
    Train(train::TrainArgs),
    Untrained(untrained::UntrainedArgs),
}

pub fn run(args: &BenchArgs) -> anyhow::Result<()> {
    match &args.command {
        BenchCommand::Inference(args) => inference::run(args),
        BenchCommand::Live(args) => live::run(args),
        BenchCommand::Train(args) => train::run(args),
        BenchCommand::Untrained(args) => untrained::run(args),
    }
}
