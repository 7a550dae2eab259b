//! The command line: arguments in, one call into the library, results out.
//!
//! Results go to standard output, progress and errors to standard error, one line an error.

mod adapt;
mod arguments;
mod bench;
mod calibrate;
mod check;
mod compare;
mod decoder_arguments;
mod devices;
mod errors;
mod evaluate;
mod export;
mod failure;
mod inspect;
mod interrupt;
mod label;
mod lm;
mod memory;
mod mpi;
mod output;
mod plan;
mod prepare;
mod print;
mod progress;
mod recipe_reference;
mod sentences;
mod serve;
mod study;
mod tokenizer;
mod train;
mod transcribe;
mod tune_decoder;
mod tune_phrases;

pub use crate::exit_status::ExitStatus;
pub use failure::{CliResult, Failure};

pub(crate) use arguments::{DeviceArgs, PrintArgs, ThreadArgs, WeightArgs, depth, num_cores};
pub(crate) use print::{print_json, print_line, tell_device};

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::{cluster, fault};

const ABOUT: &str = "Trains a speech recogniser and distils small ones from it";

const OVERVIEW: &str = "\
Fledge trains one large recogniser (the teacher), distils several small ones (the students) from \
it at once, and writes them as model folders that the web page runs.

Everything about a run is in a recipe, a TOML file. The usual way:

  fledge run recipes/quick.toml --run runs/quick
  fledge transcribe clip.wav --model runs/quick/models/small

Exit codes: 0 done, 1 failed, 2 wrong arguments or recipe, 3 unusable data, 4 device not usable, \
5 training diverged, 130 interrupted.";

#[derive(Debug, Parser)]
#[command(name = "fledge", version, about = ABOUT, long_about = OVERVIEW)]
#[command(arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Prepare(prepare::PrepareArgs),
    Check(check::CheckArgs),
    Tokenizer(tokenizer::TokenizerArgs),
    Teach(train::TeachArgs),
    Distill(train::DistillArgs),
    Finetune(train::FinetuneArgs),
    Run(train::RunArgs),
    Plan(plan::PlanArgs),
    Study(study::StudyArgs),
    Adapt(adapt::AdaptArgs),
    Evaluate(evaluate::EvaluateArgs),
    Compare(compare::CompareArgs),
    Errors(errors::ErrorsArgs),
    TuneDecoder(tune_decoder::TuneDecoderArgs),
    Calibrate(calibrate::CalibrateArgs),
    TunePhrases(tune_phrases::TunePhrasesArgs),
    Sentences(sentences::SentencesArgs),
    Transcribe(transcribe::TranscribeArgs),
    Label(label::LabelArgs),
    Export(export::ExportArgs),
    Inspect(inspect::InspectArgs),
    Lm(lm::LmArgs),
    Mpi(mpi::MpiArgs),
    Devices(devices::DevicesArgs),
    RecipeReference(recipe_reference::RecipeReferenceArgs),
    Serve(serve::ServeArgs),
    Bench(bench::BenchArgs),
}

fn dispatch(command: &Command) -> CliResult<()> {
    match command {
        Command::Prepare(args) => prepare::run(args),
        Command::Check(args) => check::run(args),
        Command::Tokenizer(args) => tokenizer::run(args),
        Command::Teach(args) => train::teach(args),
        Command::Distill(args) => train::distill(args),
        Command::Finetune(args) => train::finetune(args),
        Command::Run(args) => train::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Study(args) => study::run(args),
        Command::Adapt(args) => adapt::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Errors(args) => errors::run(args),
        Command::TuneDecoder(args) => tune_decoder::run(args),
        Command::Calibrate(args) => calibrate::run(args),
        Command::TunePhrases(args) => tune_phrases::run(args),
        Command::Sentences(args) => sentences::run(args),
        Command::Transcribe(args) => transcribe::run(args),
        Command::Label(args) => label::run(args),
        Command::Export(args) => export::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Lm(args) => lm::run(args),
        Command::Mpi(args) => mpi::run(args),
        Command::Devices(args) => devices::run(args),
        Command::RecipeReference(_) => recipe_reference::run(),
        Command::Serve(args) => serve::run(args),
        Command::Bench(args) => bench::run(args),
    }
}

/// Parses the arguments of this process, runs the command, reports an error in one line.
pub fn main() -> ExitCode {
    fault::install_hook();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    // The hook has told of the panic already.
    let Ok(result) = std::panic::catch_unwind(|| dispatch(&cli.command)) else {
        cluster::abort_all(ExitStatus::Failed as u8);
        return ExitCode::from(ExitStatus::Failed as u8);
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            cluster::let_first_tell();
            let line = failure.to_string();
            if !line.is_empty() {
                let _ = writeln!(io::stderr(), "error: {line}");
            }
            let status = failure.exit_status() as u8;
            // Others that train with this process would wait for it for ever.
            cluster::abort_all(status);
            ExitCode::from(status)
        }
    }
}

/// Help and version as they are; anything else in one line with a pointer to the help.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
    } else {
        let _ = writeln!(io::stderr(), "{}", usage_line(&error.to_string()));
    }
    ExitCode::from(ExitStatus::Usage as u8)
}

fn usage_line(rendered: &str) -> String {
    let message: Vec<_> = rendered
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"))
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .collect();
    let command = rendered
        .lines()
        .find_map(|line| line.strip_prefix("Usage: fledge "))
        .and_then(|usage| usage.split_whitespace().next())
        .filter(|word| Cli::command().find_subcommand(word).is_some());
    let help = command.map_or_else(
        || "fledge --help".to_owned(),
        |command| format!("fledge {command} --help"),
    );
    format!("{}; see `{help}`", message.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself_with_an_example() {
        for command in Cli::command().get_subcommands_mut() {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            assert!(help.contains(&format!("fledge {name}")), "{name}:\n{help}");
            assert!(help.contains("Example"), "{name} has no example:\n{help}");
        }
    }

    #[test]
    fn a_usage_error_is_one_line_with_the_way_to_the_help() {
        let parse = |args: &[&str]| {
            let error = Cli::try_parse_from(args).expect_err("wrong on purpose");
            usage_line(&error.to_string())
        };
        let line = parse(&["fledge", "evaluate", "--model", "m"]);
        assert!(!line.contains('\n'), "{line}");
        assert!(
            line.starts_with("error: ") && line.contains("--manifest"),
            "{line}"
        );
        assert!(line.ends_with("see `fledge evaluate --help`"), "{line}");
        let line = parse(&["fledge", "evalute"]);
        assert!(line.contains("evaluate"), "{line}");
        assert!(line.ends_with("see `fledge --help`"), "{line}");
    }
}
