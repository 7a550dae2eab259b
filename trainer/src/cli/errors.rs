//! `fledge errors`.

use std::path::PathBuf;

use super::output::OutputFile;
use super::{CliResult, print_json, print_line};
use crate::error_analysis::{ErroneousUtterance, ErrorAnalysis, Vocabulary, analyse_errors};
use crate::evaluate::{Hypothesis, read_lm};

/// Show where the errors of a model come from
///
/// Takes a file of hypotheses, as `fledge evaluate --hypotheses FILE` writes it, and prints tables
/// in Markdown: kinds of errors; words by how often texts hold them, by their rank in a language
/// model and by length; speakers; the most frequent confusions of words and characters.
///
/// Examples:
///   fledge errors heard.jsonl --text train.jsonl --lm lm.bin
///   fledge errors heard.jsonl --html errors.html
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct ErrorsArgs {
    /// Hypotheses with their references
    #[arg(value_name = "HYPOTHESES")]
    hypotheses: PathBuf,
    /// Text that tells frequent words from rare ones: a manifest (.jsonl), or one sentence a line,
    /// plain or gzip-compressed; may be repeated, the counts are added
    #[arg(long, value_name = "FILE")]
    text: Vec<PathBuf>,
    /// Language model that tells known words from unknown ones, .bin or .arpa
    #[arg(long, value_name = "FILE")]
    lm: Option<PathBuf>,
    /// Rows of the longest tables
    #[arg(long, value_name = "N", default_value_t = 10)]
    rows: usize,
    /// Utterances with the most errors to show, aligned
    #[arg(long, value_name = "N", default_value_t = 3)]
    examples: usize,
    /// Write one HTML page with longer tables and the aligned differences of each utterance
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// One JSON object on standard output, with everything
    #[arg(long)]
    json: bool,
}

pub fn run(args: &ErrorsArgs) -> CliResult<()> {
    let page = args.html.as_deref();
    let page = page.map(|path| OutputFile::try_new("--html", path));
    let page = page.transpose()?;
    let hypotheses = Hypothesis::read_all(&args.hypotheses)?;
    let analysis = analyse_errors(&hypotheses, &vocabulary(args)?);
    let written = page.map_or(Ok(()), |page| {
        let name = args.hypotheses.file_name().unwrap_or_default();
        let title = format!("Errors of {}", name.to_string_lossy());
        page.write(analysis.to_html(&title).as_bytes())
    });
    let printed = if args.json {
        print_json(&analysis)
    } else {
        print(&analysis, args)
    };
    written.and(printed)
}

fn vocabulary(args: &ErrorsArgs) -> CliResult<Vocabulary> {
    let mut vocabulary = Vocabulary::default();
    for path in &args.text {
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            vocabulary.add_manifest(path)?;
        } else {
            vocabulary.add_text(path)?;
        }
    }
    if let Some(path) = &args.lm {
        vocabulary.set_lm(&read_lm(path)?);
    }
    Ok(vocabulary)
}

fn print(analysis: &ErrorAnalysis, args: &ErrorsArgs) -> CliResult<()> {
    for table in analysis.tables(args.rows) {
        print_line(&format!("{}. {}\n", table.title, table.note))?;
        print_line(&table.to_markdown())?;
    }
    for utterance in analysis.erroneous.iter().take(args.examples) {
        print_line(&example(utterance))?;
    }
    Ok(())
}

/// What was said, with what was written for it in brackets where it is wrong.
fn example(utterance: &ErroneousUtterance) -> String {
    let words: Vec<String> = utterance
        .columns
        .iter()
        .map(|column| match (&column.reference, &column.hypothesis) {
            _ if column.is_right() => column.reference.clone().unwrap_or_default(),
            (reference, hypothesis) => {
                let [said, written] =
                    [reference, hypothesis].map(|word| word.as_deref().unwrap_or("*"));
                format!("[{said} > {written}]")
            }
        })
        .collect();
    format!(
        "{}: {} errors in {} words\n  {}\n",
        utterance.utterance,
        utterance.words.errors(),
        utterance.words.reference_len,
        words.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_analysis::AlignedWords;

    #[test]
    fn wrong_words_stand_in_brackets_and_gaps_are_stars() {
        let column = |reference: &str, hypothesis: &str| {
            let word = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            AlignedWords {
                reference: word(reference),
                hypothesis: word(hypothesis),
            }
        };
        let utterance = ErroneousUtterance {
            utterance: "a.wav".to_owned(),
            speaker: None,
            words: shared_model::metrics::ErrorCounts {
                reference_len: 3,
                insertions: 1,
                deletions: 1,
                substitutions: 1,
            },
            columns: vec![
                column("seven", "seven"),
                column("", "to"),
                column("two", "too"),
                column("one", ""),
            ],
        };
        assert_eq!(
            example(&utterance),
            "a.wav: 3 errors in 3 words\n  seven [* > to] [two > too] [one > *]\n"
        );
    }
}
