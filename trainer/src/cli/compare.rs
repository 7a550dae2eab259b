//! `fledge compare`.

use std::path::PathBuf;

use shared_model::metrics::PairedDifference;

use super::CliResult;
use crate::compare::{Column, Comparison, DifferingUtterance, SystemRate, compare};
use crate::evaluate::Hypothesis;

/// Speakers on either end of the table.
const SHOWN_SPEAKERS: usize = 5;
/// Words that one system alone has right.
const SHOWN_WORDS: usize = 10;
/// Columns of a terminal that an alignment may fill.
const LINE_WIDTH: usize = 96;

/// Compare two systems on the same utterances: which is better, how surely, and where
///
/// Takes two files of hypotheses, as `fledge evaluate --hypotheses FILE` writes them. Differences
/// are tested by paired bootstrap over utterances, and over speakers where the manifest names them.
///
/// Example:
///   fledge compare small.jsonl tiny.jsonl --examples 3
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct CompareArgs {
    /// Hypotheses of the first system
    #[arg(value_name = "A")]
    first: PathBuf,
    /// Hypotheses of the second system
    #[arg(value_name = "B")]
    second: PathBuf,
    /// Bootstrap samples
    #[arg(long, value_name = "N", default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    resamples: u32,
    /// Utterances with the greatest differences to show, aligned
    #[arg(long, value_name = "N", default_value_t = 5)]
    examples: usize,
    /// One JSON object on standard output, with every differing utterance
    #[arg(long)]
    json: bool,
}

pub fn run(args: &CompareArgs) -> CliResult<()> {
    let first = Hypothesis::read_all(&args.first)?;
    let second = Hypothesis::read_all(&args.second)?;
    let comparison = compare(&first, &second, args.resamples as usize)?;
    if args.json {
        return super::print_json(&comparison);
    }
    let mut lines = summary(&comparison, args);
    lines.extend(speaker_lines(&comparison));
    lines.extend(word_lines(&comparison));
    for utterance in comparison.differing.iter().take(args.examples) {
        lines.push(String::new());
        lines.extend(aligned(utterance));
    }
    for line in lines {
        super::print_line(&line)?;
    }
    Ok(())
}

fn summary(comparison: &Comparison, args: &CompareArgs) -> Vec<String> {
    let system = |letter: char, rate: &SystemRate, path: &PathBuf| {
        format!(
            "{letter}: WER {:.2} % (95 % interval {:.2} to {:.2} %)  {}",
            100.0 * rate.wer,
            100.0 * rate.wer_low,
            100.0 * rate.wer_high,
            path.display()
        )
    };
    let mut lines = vec![
        system('A', &comparison.first, &args.first),
        system('B', &comparison.second, &args.second),
        format!(
            "A - B: {} over utterances",
            difference(&comparison.by_utterance)
        ),
    ];
    lines.push(match &comparison.by_speaker {
        Some(by_speaker) => format!(
            "A - B: {} over {} speakers",
            difference(by_speaker),
            comparison.speakers.len()
        ),
        None => "speakers: fewer than two are known, or not of every utterance".to_owned(),
    });
    let wins = comparison.wins;
    lines.push(format!(
        "{} words in {} utterances: A is better in {}, B in {}, equal in {}",
        comparison.words, comparison.utterances, wins.first, wins.second, wins.equal
    ));
    lines
}

fn difference(of: &PairedDifference) -> String {
    format!(
        "{:+.2} points ({:+.2} to {:+.2}), p = {}",
        100.0 * of.difference,
        100.0 * of.interval.low,
        100.0 * of.interval.high,
        p_value(of.p_value)
    )
}

fn p_value(p: f64) -> String {
    match p {
        p if p < 0.001 => format!("{p:.0e}"),
        p => format!("{p:.3}"),
    }
}

fn speaker_lines(comparison: &Comparison) -> Vec<String> {
    let speakers = &comparison.speakers;
    if speakers.len() < 2 {
        return vec![];
    }
    let width = speakers.iter().map(|s| s.speaker.chars().count()).max();
    let width = width.unwrap_or(0).max("speaker".len());
    let mut lines = vec![
        String::new(),
        format!(
            "{:width$}  {:>6}  {:>7}  {:>7}",
            "speaker", "words", "A %", "B %"
        ),
    ];
    let hidden = SHOWN_SPEAKERS..speakers.len().saturating_sub(SHOWN_SPEAKERS);
    for (index, speaker) in speakers.iter().enumerate() {
        if hidden.contains(&index) {
            if index == hidden.start {
                lines.push(format!("... {} more", hidden.len()));
            }
            continue;
        }
        lines.push(format!(
            "{:width$}  {:>6}  {:>7.2}  {:>7.2}",
            speaker.speaker,
            speaker.words,
            100.0 * speaker.first,
            100.0 * speaker.second
        ));
    }
    lines
}

fn word_lines(comparison: &Comparison) -> Vec<String> {
    let right = &comparison.words_right;
    let words = |gains: &[(String, usize)]| {
        let shown = gains.iter().take(SHOWN_WORDS);
        let shown: Vec<String> = shown
            .map(|(word, count)| format!("{word} {count}"))
            .collect();
        shown.join(", ")
    };
    vec![
        String::new(),
        format!(
            "right in A alone: {} words ({})",
            right.first_only,
            words(&right.first_gains)
        ),
        format!(
            "right in B alone: {} words ({})",
            right.second_only,
            words(&right.second_gains)
        ),
        format!("right in neither: {} words", right.neither),
    ]
}

/// Reference and hypotheses under each other; words that are wrong in capitals, gaps as stars.
fn aligned(utterance: &DifferingUtterance) -> Vec<String> {
    let mut lines = vec![format!(
        "{}: errors {} in A, {} in B",
        utterance.utterance, utterance.first_errors, utterance.second_errors
    )];
    let mut rows = [String::new(), String::new(), String::new()];
    let mut used = 0;
    for column in &utterance.columns {
        let cells = cells(column);
        let width = cells
            .iter()
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0);
        if used > 0 && used + width + 1 > LINE_WIDTH {
            lines.extend(take_rows(&mut rows));
            used = 0;
        }
        for (row, cell) in rows.iter_mut().zip(&cells) {
            row.push_str(&format!(" {cell:width$}"));
        }
        used += width + 1;
    }
    lines.extend(take_rows(&mut rows));
    lines
}

fn cells(column: &Column) -> [String; 3] {
    let heard = |word: &Option<String>| match (word, &column.reference) {
        (Some(word), Some(reference)) if word == reference => word.clone(),
        (Some(word), _) => word.to_uppercase(),
        (None, Some(_)) => "*".to_owned(),
        (None, None) => String::new(),
    };
    [
        column.reference.clone().unwrap_or_default(),
        heard(&column.first),
        heard(&column.second),
    ]
}

fn take_rows(rows: &mut [String; 3]) -> Vec<String> {
    let taken = rows.iter_mut().zip(["  ", "A ", "B "]);
    taken
        .map(|(row, name)| format!("{name}{}", std::mem::take(row).trim_end()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_words_stand_out_under_the_reference() {
        let column = |reference: &str, first: &str, second: &str| {
            let word = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Column {
                reference: word(reference),
                first: word(first),
                second: word(second),
            }
        };
        let utterance = DifferingUtterance {
            utterance: "a.wav".to_owned(),
            first_errors: 2,
            second_errors: 1,
            columns: vec![
                column("seven", "seven", "seven"),
                column("", "to", ""),
                column("two", "too", ""),
            ],
        };
        assert_eq!(
            aligned(&utterance),
            [
                "a.wav: errors 2 in A, 1 in B",
                "   seven    two",
                "A  seven TO TOO",
                "B  seven    *",
            ]
        );
    }

    #[test]
    fn small_p_values_keep_a_digit() {
        assert_eq!(p_value(0.0002), "2e-4");
        assert_eq!(p_value(0.0412), "0.041");
    }
}
