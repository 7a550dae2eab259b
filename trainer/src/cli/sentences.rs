//! `fledge sentences`.

use std::collections::HashSet;
use std::path::PathBuf;

use super::{CliResult, Failure, print_line};
use crate::evaluate::PhraseFile;

/// Draw sentences that a list of phrases or a grammar allows
///
/// One a line, so that every phrase and every alternative in it comes its turn. Shows whether a
/// grammar says what it should, and gives people or voices something to read.
///
/// Example:
///   fledge sentences --phrases recipes/phrases/home.jsgf --count 20
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct SentencesArgs {
    /// Phrases, one a line, or a JSGF grammar
    #[arg(long, value_name = "FILE")]
    phrases: PathBuf,
    /// Sentences to draw
    #[arg(long, value_name = "N", default_value_t = 20)]
    count: usize,
    /// No sentence twice; fewer than --count where the list has no more
    #[arg(long)]
    different: bool,
    /// The same seed draws the same sentences
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

const MOST_SENTENCES: usize = 1_000_000;
/// Sentences drawn for each one that is wanted, where none may come twice.
const DRAWN_FOR_EACH: usize = 10;

pub fn run(args: &SentencesArgs) -> CliResult<()> {
    if args.count > MOST_SENTENCES {
        return Err(Failure::usage(format!(
            "--count is {}: expected at most {MOST_SENTENCES}",
            args.count
        )));
    }
    let list = PhraseFile::read(&args.phrases)?.list;
    let wanted = match args.different {
        true => args.count * DRAWN_FOR_EACH,
        false => args.count,
    };
    let drawn = list.sentences(wanted, args.seed)?;
    if drawn.is_empty() && args.count > 0 {
        return Err(Failure::data(format!(
            "{}: no sentence of it ends",
            args.phrases.display()
        )));
    }
    let mut seen = HashSet::new();
    let new = drawn
        .iter()
        .filter(|sentence| !args.different || seen.insert(sentence.as_str()));
    for sentence in new.take(args.count) {
        print_line(sentence)?;
    }
    Ok(())
}
