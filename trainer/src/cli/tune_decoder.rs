//! `fledge tune-decoder`.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use shared_model::bundle::{BundleError, LoadedModel, TunedDecoder, with_decoder};
use shared_model::decode::BeamConfig;
use shared_model::decode::lm::NgramLm;
use shared_model::metrics::{ErrorCounts, bootstrap_interval};

use super::output::try_folder;
use super::progress::Progress;
use super::{CliResult, DeviceArgs, Failure, PrintArgs, ThreadArgs, interrupt};
use crate::data::read_manifest;
use crate::evaluate::{EvaluateError, SearchSpace, Trial, Tuner, hear_all, read_lm};
use crate::model_folder::{self, ModelFolderError};

/// Find the best beam search settings for a model on a development set
///
/// Runs the network over every utterance once, then searches weights, beam and pruning for the
/// fewest word errors. Of equally good settings the fastest are stored in the model folder, where
/// `evaluate`, `transcribe` and the page find them. A network with a phone head is searched over phones
/// with a language model that knows how its words sound; those settings are stored apart. Use a
/// development set: error rates on the data
/// that settings were tuned on are too optimistic.
///
/// Example:
///   fledge tune-decoder --model models/small --manifest dev.jsonl --lm lm.bin --store-lm
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct TuneDecoderArgs {
    /// Model folder to tune; its settings are replaced
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Development set with texts, NeMo-style JSONL
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// Word n-gram language model, .bin or .arpa [default: the model folder's own, if it has one]
    #[arg(long, value_name = "FILE")]
    lm: Option<PathBuf>,
    /// Store the language model in the model folder, in its binary form
    #[arg(long, requires = "lm")]
    store_lm: bool,
    /// Beams to try, from small to large
    #[arg(long, value_delimiter = ',', value_name = "N,N,...")]
    beams: Vec<usize>,
    /// Search around the folder's settings alone, without the grid of weights: quicker, for a new
    /// language model in the place of one like it
    #[arg(long)]
    refine: bool,
    /// Tune the search over letters, even if network and language model know phones
    #[arg(long)]
    no_phones: bool,
    /// Search only and leave the model folder as it is
    #[arg(long, conflicts_with = "store_lm")]
    dry_run: bool,
    /// Use only the first N utterances
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    print: PrintArgs,
}

#[derive(Serialize)]
struct Report {
    utterances: usize,
    broken: usize,
    /// Words of the references.
    words: usize,
    greedy_wer: f64,
    wer: f64,
    wer_low: f64,
    wer_high: f64,
    settings: BeamConfig,
    lm: Option<String>,
    /// Whether words are found by their phones.
    reads_phones: bool,
    trials: usize,
    /// Features and network over all utterances, one thread's time.
    encoding_seconds: f64,
    decoding_seconds: f64,
    /// Of the two.
    decoding_ratio: f64,
    stored: bool,
}

pub fn run(args: &TuneDecoderArgs) -> CliResult<()> {
    super::memory::keep_freed_memory();
    let files = model_folder::read_files(&args.model)?;
    let loaded = model_folder::check(&args.model, &files)?;
    if !args.dry_run {
        try_folder("--model", &args.model)?;
    }
    let mut utterances = read_manifest(&args.manifest)?;
    utterances.truncate(args.limit.unwrap_or(usize::MAX));
    let (lm, lm_name) = language_model(args, &loaded)?.unzip();
    // What is stored is what is tuned: the binary form rounds.
    let stored_lm = lm
        .as_ref()
        .filter(|_| args.store_lm)
        .map(NgramLm::to_binary);
    let lm = match &stored_lm {
        Some(bytes) => Some(NgramLm::from_binary(bytes)?),
        None => lm,
    };
    let mut space = SearchSpace::default();
    if !args.beams.is_empty() {
        if !args.beams.is_sorted() {
            return Err(Failure::usage("--beams: give them from small to large"));
        }
        space.beams = args.beams.clone();
    }
    if args.refine {
        space.lm_weights.clear();
    }
    let has_phones = |lm: &NgramLm| loaded.reads_phones_with(lm);
    let reads_phones = !args.no_phones && lm.as_ref().is_some_and(has_phones);
    let start = match reads_phones {
        true => loaded.phone_beam.clone(),
        false => loaded.beam.clone(),
    };
    let start = start.unwrap_or_default();
    for &beam in &space.beams {
        let config = BeamConfig {
            beam,
            ..start.clone()
        };
        config.validate()?;
    }
    let device = args.device.open()?;
    let threads = args.threads.count();
    let stop = interrupt::stop_flag();
    let progress = Progress::new(args.print.quiet);
    let heard = hear_all(
        &loaded,
        &utterances,
        &device,
        threads,
        stop,
        &|done, all| {
            progress.show(done, all);
        },
    )?;

    let mut table = Table::new(args.print.quiet);
    let mut report_trial = |trial: &Trial| table.row(trial);
    let mut tuner = Tuner {
        heard: &heard,
        tokens: &loaded.tokens,
        frame_secs: loaded.model.encoder_frame_secs(),
        lm: lm.map(Arc::new),
        reads_phones,
        threads,
        stop,
        report: &mut report_trial,
        trials: Vec::new(),
    };
    let greedy = total(&tuner.greedy()?);
    if greedy.reference_len == 0 {
        return Err(EvaluateError::Empty.into());
    }
    let best = tuner.search(&start, &space)?;
    let trials = tuner.trials.len();
    if !args.dry_run {
        let config = Some(&best.config);
        let tuned = TunedDecoder {
            beam: config.filter(|_| !reads_phones),
            phone_beam: config.filter(|_| reads_phones),
            lm: stored_lm.as_deref(),
        };
        let changed = with_decoder(&files, &tuned);
        let changed = changed.map_err(|source: BundleError| ModelFolderError::Content {
            folder: args.model.clone(),
            source: Box::new(source),
        })?;
        model_folder::update(&args.model, &changed)?;
    }
    let interval = bootstrap_interval(&best.counts, 1000, 1234);
    let encoding_seconds: f64 = heard.iter().map(|utterance| utterance.encoding_secs).sum();
    let report = Report {
        utterances: heard.len(),
        broken: utterances.len() - heard.len(),
        words: greedy.reference_len,
        greedy_wer: greedy.rate(),
        wer: best.wer,
        wer_low: interval.low,
        wer_high: interval.high,
        lm: lm_name,
        reads_phones,
        trials,
        encoding_seconds,
        decoding_seconds: best.decoding_secs,
        decoding_ratio: best.decoding_secs / encoding_seconds.max(f64::MIN_POSITIVE),
        settings: best.config,
        stored: !args.dry_run,
    };
    if args.print.json {
        return super::print_json(&report);
    }
    for line in summary(&report) {
        super::print_line(&line)?;
    }
    Ok(())
}

/// The one that takes part with its name, if there is any.
fn language_model(
    args: &TuneDecoderArgs,
    loaded: &LoadedModel,
) -> CliResult<Option<(NgramLm, String)>> {
    Ok(match (&args.lm, &loaded.lm) {
        (Some(path), _) => Some((read_lm(path)?, path.to_string_lossy().into_owned())),
        (None, Some(stored)) => {
            let lm = NgramLm::from_bytes(stored)?;
            Some((lm, shared_model::bundle::LM_FILE.to_owned()))
        }
        (None, None) => None,
    })
}

fn total(counts: &[ErrorCounts]) -> ErrorCounts {
    let mut total = ErrorCounts::default();
    counts.iter().for_each(|count| total.add(count));
    total
}

fn summary(report: &Report) -> Vec<String> {
    let settings = &report.settings;
    vec![
        format!(
            "WER {:.2} % (95 % interval {:.2} to {:.2} %), greedy {:.2} %, {} words{}",
            report.wer * 100.0,
            report.wer_low * 100.0,
            report.wer_high * 100.0,
            report.greedy_wer * 100.0,
            report.words,
            if report.reads_phones {
                ", by their phones"
            } else {
                ""
            }
        ),
        format!(
            "--beam {} --lm-weight {} --word-bonus {} --unknown-word-bonus {} \
             --blank-penalty {} --token-min-log-prob {} --score-margin {}",
            settings.beam,
            settings.lm_weight,
            settings.word_bonus,
            settings.unknown_word_bonus,
            settings.blank_penalty,
            settings.token_min_log_prob,
            settings.score_margin
        ),
        format!(
            "decoding takes {:.2} times the network's time; {}",
            report.decoding_ratio,
            if report.stored {
                "the settings are stored"
            } else {
                "nothing was stored"
            }
        ),
    ]
}

/// A line on standard error for each trial.
struct Table {
    is_quiet: bool,
    has_head: bool,
}

impl Table {
    fn new(is_quiet: bool) -> Self {
        Self {
            is_quiet,
            has_head: false,
        }
    }

    fn row(&mut self, trial: &Trial) {
        if self.is_quiet {
            return;
        }
        let mut out = std::io::stderr().lock();
        if !self.has_head {
            self.has_head = true;
            let _ = writeln!(
                out,
                "beam  lm weight  word bonus  unknown  blank  token min  margin   WER %  decoding s"
            );
        }
        let config = &trial.config;
        let _ = writeln!(
            out,
            "{:>4}  {:>9.3}  {:>10.3}  {:>7.2}  {:>5.2}  {:>9.1}  {:>6.1}  {:>6.2}  {:>10.2}",
            config.beam,
            config.lm_weight,
            config.word_bonus,
            config.unknown_word_bonus,
            config.blank_penalty,
            config.token_min_log_prob,
            config.score_margin,
            trial.wer * 100.0,
            trial.decoding_secs
        );
    }
}
