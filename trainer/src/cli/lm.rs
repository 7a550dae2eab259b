//! `fledge lm`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use shared_model::decode::lm::{MAX_ORDER, NgramLm};
use shared_model::tokens::Pronunciations;

use super::output::OutputFile;
use super::{CliResult, Failure, PrintArgs};
use crate::data::read_pronunciations;
use crate::language_model::{
    Corpus, Discounts, EstimateConfig, LmError, Perplexity, Pruner, VocabularyLimits, estimate,
    fit_to_bytes, perplexity, read_added_words, with_pronunciations,
};
use crate::report::{format_bytes, format_count};

/// Estimate a word n-gram language model from text
///
/// Uses interpolated modified Kneser-Ney smoothing with count cut-offs and entropy pruning. The
/// text must have one sentence per line; it is normalised as transcripts are: lower case, letters
/// and apostrophes only, numbers spelled out. The extension of --out selects the format: .bin is
/// compact, for the browser (range-coded, words included, probabilities and back-offs rounded to an
/// eighth of a nat); .arpa and .arpa.gz are text that other tools can read. With --pronunciations the
/// file holds how its words sound, too, up to three ways each: networks with a phone head then find
/// words by their phones, which is more accurate than by letters, and write no word without a
/// pronunciation.
///
/// Examples:
///   fledge lm --text books.txt.gz --order 3 --out lm.arpa
///   fledge lm --text books.txt.gz --min-count 1,1,2 --max-bytes 1500000 --out lm.bin --json
///   fledge lm --text books.txt.gz --max-words 60000 --pronunciations cmudict.dict --out lm.bin
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct LmArgs {
    /// Text, one sentence per line, plain or gzip-compressed; may be repeated
    #[arg(long, required = true, value_name = "FILE")]
    text: Vec<PathBuf>,
    /// Length of the longest n-grams, in words, 1 to 5
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=MAX_ORDER as i64))]
    order: u8,
    /// File to write: .bin, .arpa or .arpa.gz
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Leave out n-grams that occur less often than this: one number for each order from 1, none
    /// smaller than the one before; the last one also applies to longer n-grams
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1",
        value_name = "N,N,..."
    )]
    min_count: Vec<u32>,
    /// Treat words that occur less often than this as unknown
    #[arg(long, default_value_t = 1, value_name = "N")]
    min_word_count: u32,
    /// Limit the vocabulary to the N most frequent words
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_words: Option<u32>,
    /// Words that the vocabulary has besides those of the text: on each line one, and how often it
    /// counts, as if the text had it so often without neighbours
    #[arg(long, value_name = "FILE")]
    add_words: Option<PathBuf>,
    /// Leave out n-grams whose removal raises the perplexity by less than this fraction, such as
    /// 1e-8
    #[arg(
        long,
        value_name = "SHARE",
        conflicts_with = "max_bytes",
        allow_negative_numbers = true
    )]
    prune: Option<f64>,
    /// Prune until the file is no larger than this
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<usize>,
    /// How words sound, as the CMU Pronouncing Dictionary has it: a word and its phones a line; .bin
    /// alone holds it
    #[arg(long, value_name = "FILE")]
    pronunciations: Option<PathBuf>,
    /// Report the perplexity of the model on this text
    #[arg(long, value_name = "FILE")]
    perplexity: Option<PathBuf>,
    #[command(flatten)]
    print: PrintArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Binary,
    Arpa,
    ArpaGzip,
}

impl Form {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let forms = [
            (".bin", Self::Binary),
            (".arpa", Self::Arpa),
            (".arpa.gz", Self::ArpaGzip),
        ];
        let ends = |(ending, _): &&(&str, Self)| name.ends_with(ending) && name != *ending;
        forms.iter().find(ends).map(|(_, form)| *form)
    }

    fn write(
        self,
        lm: &NgramLm,
        pronunciations: Option<&Pronunciations>,
    ) -> Result<Vec<u8>, LmError> {
        Ok(match self {
            Self::Binary => match pronunciations {
                Some(all) => with_pronunciations(lm, all)?.to_binary(),
                None => lm.to_binary(),
            },
            Self::Arpa => lm.to_arpa().into_bytes(),
            Self::ArpaGzip => {
                let mut gzip =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                gzip.write_all(lm.to_arpa().as_bytes())
                    .and_then(|()| gzip.finish())
                    .map_err(LmError::Compress)?
            }
        })
    }
}

#[derive(Serialize)]
struct Report {
    out: String,
    order: usize,
    /// By order, from 1; `<s>`, `</s>` and `<unk>` are in the first.
    ngrams: Vec<usize>,
    bytes: usize,
    /// Words that the model knows.
    words: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pronunciations: Option<PronunciationReport>,
    text: TextReport,
    /// By order, from 1.
    discounts: Vec<Discounts>,
    /// What `--prune` gives this model; 0 if nothing was pruned.
    prune: f64,
    perplexity: Option<Perplexity>,
}

#[derive(Serialize)]
struct PronunciationReport {
    /// Words of the model that have one.
    words: usize,
    /// What they add to the file.
    bytes: usize,
}

impl PronunciationReport {
    fn new(lm: &NgramLm, all: &Pronunciations, bytes: usize) -> Self {
        let has_one = |word: &&str| all.get(&word.to_lowercase()).is_some();
        Self {
            words: lm.words().filter(has_one).count(),
            bytes: bytes.saturating_sub(lm.to_binary().len()),
        }
    }
}

#[derive(Serialize)]
struct TextReport {
    sentences: usize,
    words: usize,
    unknown_words: usize,
}

pub fn run(args: &LmArgs) -> CliResult<()> {
    let form = Form::of(&args.out).ok_or_else(|| {
        Failure::usage(format!(
            "--out {}: the name must end with .bin, .arpa or .arpa.gz",
            args.out.display()
        ))
    })?;
    if args.pronunciations.is_some() && form != Form::Binary {
        return Err(Failure::usage(format!(
            "--pronunciations: ARPA text cannot hold them: --out {} must end with .bin",
            args.out.display()
        )));
    }
    let out = OutputFile::try_new("--out", &args.out)?;
    let pronunciations = args.pronunciations.as_deref().map(read_pronunciations);
    let pronunciations = pronunciations.transpose()?;
    if args
        .prune
        .is_some_and(|share| share.is_nan() || share < 0.0)
    {
        return Err(Failure::usage("--prune takes 0 or more, such as 1e-8"));
    }
    let config = config(args)?;
    let started = Instant::now();
    let tell = |what: String| {
        if !args.print.quiet {
            let secs = started.elapsed().as_secs_f32();
            let _ = writeln!(std::io::stderr(), "{secs:6.1} s  {what}");
        }
    };
    let limits = VocabularyLimits {
        min_count: args.min_word_count.max(config.min_counts[0]),
        max_words: args.max_words.map_or(usize::MAX, |words| words as usize),
    };
    let added = args.add_words.as_deref().map(read_added_words);
    let added = added.transpose()?.unwrap_or_default();
    let mut corpus = Corpus::read(&args.text, &limits)?;
    tell(format!(
        "{} words in {} sentences, {} different known",
        format_count(corpus.num_words()),
        format_count(corpus.num_sentences),
        format_count(corpus.vocabulary_size())
    ));
    if !added.is_empty() {
        let words = added.iter().map(|(word, count)| (word.as_str(), *count));
        let num_added = corpus.add_words(words);
        tell(format!("{} words added", format_count(num_added)));
    }
    let estimate = estimate(&corpus, &config)?;
    let counts: Vec<String> = estimate
        .num_ngrams()
        .into_iter()
        .map(format_count)
        .collect();
    tell(format!("{} n-grams of 1, 2, ... words", counts.join(" + ")));
    let pruner = Pruner::new(&estimate);
    let write = |lm: &NgramLm| form.write(lm, pronunciations.as_ref());
    let (lm, bytes, prune) = match (args.max_bytes, args.prune) {
        (Some(max_bytes), _) => {
            let fitted = fit_to_bytes(&pruner, max_bytes, write)?;
            (fitted.lm, fitted.bytes, fitted.threshold)
        }
        (None, Some(share)) => {
            let lm = pruner.prune(share)?;
            let bytes = write(&lm)?;
            (lm, bytes, share)
        }
        (None, None) => {
            let lm = estimate.to_lm()?;
            let bytes = write(&lm)?;
            (lm, bytes, 0.0)
        }
    };
    out.write(&bytes)?;
    tell(format!(
        "{} written, {}",
        args.out.display(),
        format_bytes(bytes.len() as u64)
    ));
    let perplexity = args.perplexity.as_deref().map(|text| {
        // The model as it was written, rounded where its form rounds.
        let written = match form {
            Form::Binary => NgramLm::from_binary(&bytes)?,
            Form::Arpa | Form::ArpaGzip => lm.clone(),
        };
        perplexity(&written, text)
    });
    let report = Report {
        out: args.out.to_string_lossy().into_owned(),
        order: lm.order(),
        ngrams: lm.num_ngrams(),
        bytes: bytes.len(),
        words: corpus.vocabulary_size(),
        pronunciations: pronunciations
            .as_ref()
            .map(|all| PronunciationReport::new(&lm, all, bytes.len())),
        text: TextReport {
            sentences: corpus.num_sentences,
            words: corpus.num_words(),
            unknown_words: corpus.num_unknown,
        },
        discounts: estimate.discounts.clone(),
        prune,
        perplexity: perplexity.transpose()?,
    };
    if args.print.json {
        return super::print_json(&report);
    }
    for line in summary(&report) {
        super::print_line(&line)?;
    }
    Ok(())
}

fn config(args: &LmArgs) -> CliResult<EstimateConfig> {
    let order = usize::from(args.order);
    let mut min_counts = args.min_count.clone();
    if min_counts.len() > order {
        let given = min_counts.len();
        let message = format!("--min-count has {given} numbers, the model {order} orders");
        return Err(Failure::usage(message));
    }
    if !min_counts.is_sorted() {
        return Err(Failure::usage(
            "--min-count: no number may be below the one before",
        ));
    }
    let last = min_counts.last().copied().unwrap_or(1);
    min_counts.resize(order, last);
    Ok(EstimateConfig { order, min_counts })
}

fn summary(report: &Report) -> Vec<String> {
    let counts = report.ngrams.iter().map(|&count| format_count(count));
    let counts: Vec<String> = (1..)
        .zip(counts)
        .map(|(order, count)| format!("{count} {order}-grams"))
        .collect();
    let mut lines = vec![format!(
        "{}: order {}, {}, {} bytes",
        report.out,
        report.order,
        counts.join(", "),
        format_count(report.bytes)
    )];
    if let Some(known) = &report.pronunciations {
        lines.push(format!(
            "{} of {} words have a pronunciation, {} bytes of these",
            format_count(known.words),
            format_count(report.words),
            format_count(known.bytes)
        ));
    }
    if let Some(found) = &report.perplexity {
        lines.push(format!(
            "perplexity {:.1} over {} words, {} of them unknown; {:.1} without these",
            found.perplexity,
            format_count(found.words),
            format_count(found.unknown_words),
            found.perplexity_known
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_the_file_decides_the_form() {
        let form = |name: &str| Form::of(Path::new(name));
        assert_eq!(form("a/lm.bin"), Some(Form::Binary));
        assert_eq!(form("lm.v2.arpa"), Some(Form::Arpa));
        assert_eq!(form("lm.arpa.gz"), Some(Form::ArpaGzip));
        for name in ["lm", "lm.txt", "lm.gz", ".bin", "bin", "lm.bin.zip", "/"] {
            assert_eq!(form(name), None, "{name}");
        }
    }
}
