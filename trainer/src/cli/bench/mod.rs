//! `fledge bench`: how fast things are on this machine.

mod gpu;
mod inference;
mod live;
mod parity;
mod phrases;
mod steps;
mod train;
mod untrained;

use clap::Subcommand;
use shared_model::tokens::Tokens;

use super::Failure;
use crate::config::{Recipe, TokenKind};

use super::CliResult;

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
    Gpu(gpu::GpuArgs),
    Inference(inference::InferenceArgs),
    Live(live::LiveArgs),
    Parity(parity::ParityArgs),
    Phrases(phrases::PhrasesArgs),
    Steps(steps::StepsArgs),
    Train(train::TrainArgs),
    Untrained(untrained::UntrainedArgs),
}

pub fn run(args: &BenchArgs) -> CliResult<()> {
    match &args.command {
        BenchCommand::Gpu(args) => gpu::run(args),
        BenchCommand::Inference(args) => inference::run(args),
        BenchCommand::Live(args) => live::run(args),
        BenchCommand::Parity(args) => parity::run(args),
        BenchCommand::Phrases(args) => phrases::run(args),
        BenchCommand::Steps(args) => steps::run(args),
        BenchCommand::Train(args) => train::run(args),
        BenchCommand::Untrained(args) => untrained::run(args),
    }
}

/// Classes of a recipe's networks, without making its tokens.
fn vocab_size(recipe: &Recipe) -> usize {
    match recipe.tokens.kind {
        TokenKind::Characters => Tokens::characters().len(),
        TokenKind::Bpe => recipe.tokens.size,
    }
}

/// A usage error unless `secs` is 0.1 to `most`.
fn check_seconds(option: &str, secs: f64, most: f64) -> Result<(), Failure> {
    if (0.1..=most).contains(&secs) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{option} is {secs}: expected 0.1 to {most}"
    )))
}
