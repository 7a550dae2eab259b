//! `fledge prepare`.

use std::io::Write;
use std::path::PathBuf;

use super::output::OutputFile;
use super::{CliResult, Failure};
use crate::data::prepare::{Corpus, PrepareOptions, SHARD_BYTES, prepare};

/// Problems shown on the terminal; all are in the file.
const SHOWN_PROBLEMS: usize = 20;

/// Turn an unpacked corpus into manifests
///
/// Writes one manifest (JSONL, one utterance per line) for each split into a folder. Audio stays
/// where it is; the manifests refer to it by relative paths. Every file is decoded. Files that
/// cannot be used are reported on standard error with the reason; problems.txt, beside the
/// manifests, lists all of them.
///
/// `shards` is for millions of utterances: of a manifest it makes tar files, in a shuffled order, and
/// their manifest; of a folder of tar files (WebDataset) it makes the manifest.
///
/// Examples:
///   fledge prepare librispeech LibriSpeech --out data/librispeech
///   fledge prepare folder my-recordings --out data/mine
///   fledge prepare shards data/mine/all.jsonl --out data/mine-shards
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct PrepareArgs {
    /// Kind of corpus
    #[arg(value_enum)]
    corpus: Corpus,
    /// Folder of the unpacked corpus; for shards, a folder of tar files, one of them, or a manifest
    #[arg(value_name = "FOLDER")]
    source: PathBuf,
    /// Folder to write the manifests to; created if it does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Read only the headers: faster, but damage inside a file goes unnoticed
    #[arg(long)]
    headers_only: bool,
    /// MB of a tar file that is written
    #[arg(long, value_name = "MB", default_value_t = (SHARD_BYTES / 1_000_000) as u32)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    shard_mb: u32,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

pub fn run(args: &PrepareArgs) -> CliResult<()> {
    let options = PrepareOptions {
        depth: super::depth(args.headers_only),
        threads: super::num_cores(),
        shard_bytes: u64::from(args.shard_mb) * 1_000_000,
    };
    let report = prepare(args.corpus, &args.source, &args.out, &options)?;
    if !report.problems.is_empty() {
        let path = args.out.join("problems.txt");
        let problems = report.problems.join("\n") + "\n";
        OutputFile::try_new("--out", &path)?.write(problems.as_ref())?;
        let mut err = std::io::stderr().lock();
        for problem in report.problems.iter().take(SHOWN_PROBLEMS) {
            writeln!(err, "left out: {problem}")?;
        }
        writeln!(
            err,
            "{} entries left out, all of them in {}",
            report.problems.len(),
            path.display()
        )?;
    }
    if args.json {
        super::print_json(&report)?;
    } else {
        for manifest in &report.manifests {
            super::print_line(&format!(
                "{}: {} utterances, {:.2} hours",
                manifest.path.display(),
                manifest.utterances,
                manifest.audio_seconds / 3600.0
            ))?;
        }
    }
    if report.manifests.is_empty() {
        return Err(Failure::data(format!(
            "{} has no utterance that can be used as {:?}",
            args.source.display(),
            args.corpus
        )));
    }
    Ok(())
}
