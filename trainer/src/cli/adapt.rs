//! `fledge adapt`.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{CliResult, DeviceArgs, Failure, PrintArgs, ThreadArgs, interrupt};
use crate::adapt::{AdaptOptions, AdaptReport, LEAST_TO_KEEP_BACK, adapt};
use crate::record::{RecordServer, prompts};

/// Make students that hear a list of phrases, in minutes
///
/// Speaks the phrases with the voices that are installed (espeak-ng, flite), mixes in other speech
/// against forgetting and false alarms, and trains the students at once by the two steps, from the
/// shipped weights and with the shipped teacher. Then it exports them, finds the threshold of the
/// list with voices that taught nothing, and reports what is heard before and after. Everything is
/// in the folder of --run, its recipe too; the same command goes on where it was stopped.
///
/// Examples:
///   fledge adapt --phrases lights.txt --from www/models/english-small,english-tiny --run runs/lights
///   fledge adapt --phrases lights.txt --from www/models/english-tiny --run runs/mine \
///     --recordings recordings --speech my/speech.jsonl
///   fledge adapt --phrases lights.txt --record recordings
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct AdaptArgs {
    /// Phrases, one a line, or a JSGF grammar
    #[arg(long, value_name = "FILE")]
    phrases: PathBuf,
    /// Model folders of the students, with commas between; from the second on, a name counts from
    /// the folder of the first
    #[arg(
        long,
        value_name = "DIR,...",
        value_delimiter = ',',
        required_unless_present = "record"
    )]
    from: Vec<PathBuf>,
    /// Folder for everything about the adaptation; repeating the command continues it
    #[arg(long, value_name = "DIR", required_unless_present = "record")]
    run: Option<PathBuf>,
    /// Budget on an idle machine
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0)]
    minutes: f64,
    /// Manifest of other people's speech, to be remembered and not taken for a phrase; may be
    /// repeated [default: sentences of the language model are spoken]
    #[arg(long, value_name = "FILE")]
    speech: Vec<PathBuf>,
    /// Folder of own recordings of the phrases, a .txt of the same name beside each
    #[arg(long, value_name = "DIR")]
    recordings: Option<PathBuf>,
    /// Serve a page on this machine that records phrases into this folder from the microphone, and do
    /// nothing else
    #[arg(long, value_name = "DIR", conflicts_with_all = ["from", "run"])]
    record: Option<PathBuf>,
    /// With --record: sentences to ask for
    #[arg(long, value_name = "N", default_value_t = LEAST_TO_KEEP_BACK, requires = "record")]
    takes: usize,
    /// With --record: port to listen on; 0 picks any free one
    #[arg(long, default_value_t = 8090, requires = "record")]
    port: u16,
    /// Model folder of the teacher [default: the `-teacher` beside the first student]
    #[arg(long, value_name = "DIR")]
    teacher: Option<PathBuf>,
    /// Language model whose sentences are spoken [default: what the catalogue beside the first
    /// student names for it]
    #[arg(long, value_name = "FILE", conflicts_with = "speech")]
    lm: Option<PathBuf>,
    /// How far the students go from their shipped weights (0) to what was learned (1) [default: 0.3; with
    /// 48 recordings or more, whichever of 0.3, 0.6 and 1 makes the fewest errors in those that are kept
    /// back]. After training another value is cheap
    #[arg(long, value_name = "SHARE")]
    strength: Option<f32>,
    /// Seed of every draw
    #[arg(long, value_name = "N", default_value_t = 1234)]
    seed: u64,
    /// Delete what an earlier adaptation left in the folder, and start over
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    print: PrintArgs,
}

pub fn run(args: &AdaptArgs) -> CliResult<()> {
    if let Some(folder) = &args.record {
        return record(args, folder);
    }
    super::memory::keep_freed_memory();
    if !(args.minutes > 0.0 && args.minutes <= 24.0 * 60.0) {
        return Err(Failure::usage(
            "--minutes: expected a number above 0, up to 1440",
        ));
    }
    if args
        .strength
        .is_some_and(|share| !(0.0..=1.0).contains(&share))
    {
        return Err(Failure::usage("--strength: expected a number from 0 to 1"));
    }
    let options = AdaptOptions {
        phrases: args.phrases.clone(),
        from: beside_first(&args.from),
        teacher: args.teacher.clone(),
        speech: args.speech.clone(),
        lm: args.lm.clone(),
        recordings: args.recordings.clone(),
        run: args.run.clone().unwrap_or_default(),
        minutes: args.minutes,
        strength: args.strength,
        seed: args.seed,
        fresh: args.fresh,
        threads: args.threads.count(),
        quiet: args.print.quiet,
    };
    let tell = |message: String| {
        if !args.print.quiet {
            let _ = writeln!(std::io::stderr(), "{message}");
        }
    };
    let report = adapt(
        &options,
        &args.device.open()?,
        interrupt::stop_flag(),
        &tell,
    )?;
    if args.print.json {
        return super::print_json(&report);
    }
    print(&report)
}

fn record(args: &AdaptArgs, folder: &Path) -> CliResult<()> {
    const MAX_TAKES: usize = 10_000;
    if !(1..=MAX_TAKES).contains(&args.takes) {
        return Err(Failure::usage(format!(
            "--takes: expected 1 to {MAX_TAKES}"
        )));
    }
    let prompts = prompts(&args.phrases, args.takes, args.seed)?;
    let server = RecordServer::bind(folder, &prompts, args.port)?;
    let address = server
        .address()
        .map_err(Failure::while_doing("the server has no address"))?;
    super::print_line(&format!("http://{address}/"))?;
    if !args.print.quiet {
        let folder = folder.display();
        let _ = writeln!(
            std::io::stderr(),
            "open this page in a browser to record into {folder}; Ctrl-C stops it. Then: fledge adapt ... --recordings {folder}"
        );
    }
    server
        .run()
        .map_err(Failure::while_doing("the server stopped"))
}

fn print(report: &AdaptReport) -> CliResult<()> {
    for line in report.table().into_iter().chain(report.next()) {
        super::print_line(&line)?;
    }
    Ok(())
}

/// `www/models/english-small,english-tiny`: the second is looked for where it is named, then beside
/// the first.
fn beside_first(from: &[PathBuf]) -> Vec<PathBuf> {
    let folder = from.first().and_then(|first| first.parent());
    let found = |path: &PathBuf| match folder {
        Some(folder) if !path.exists() => folder.join(path),
        _ => path.clone(),
    };
    let others = from.iter().skip(1).map(found);
    from.iter().take(1).cloned().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_behind_the_first_count_from_its_folder() {
        let given = [
            "../www/models/english-small",
            "english-tiny",
            "../www/models/quick-tiny",
        ];
        let found = beside_first(&given.map(PathBuf::from));
        assert_eq!(found[1], PathBuf::from("../www/models/english-tiny"));
        assert_eq!(
            [&found[0], &found[2]],
            [&PathBuf::from(given[0]), &PathBuf::from(given[2])]
        );
    }
}
