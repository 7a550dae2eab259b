//! `fledge calibrate`.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use shared_model::bundle::{LoadedModel, with_calibrations};
use shared_model::decode::Calibrations;
use shared_model::decode::lm::NgramLm;
use shared_model::recognizer::Decoder;

use super::output::try_folder;
use super::progress::Progress;
use super::{
    CliResult, DeviceArgs, Failure, PrintArgs, ThreadArgs, interrupt, print_json, print_line,
};
use crate::data::read_manifest;
use crate::evaluate::{CalibrationFit, fit_calibration, hear_all, read_lm};
use crate::model_folder::{self, ModelFolderError};

/// Make probabilities of a model's word confidences
///
/// Without calibration a word's confidence is the mean of what the network gives its letters, which
/// says little about whether the word is right. This command fits a logistic regression to the words
/// that the model writes for a development set, greedily and with a language model (by phones where
/// network and language model know them), and stores it in the model folder. Then a word of 0.8 is right about eight times in ten. Tune the decoder before.
///
/// Example:
///   fledge calibrate --model models/small --manifest dev.jsonl --lm lm.bin
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct CalibrateArgs {
    /// Model folder; its calibrations are replaced
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Development set with texts, NeMo-style JSONL
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// Word n-gram language model, .bin or .arpa [default: the model folder's own, if it has one]
    #[arg(long, value_name = "FILE")]
    lm: Option<PathBuf>,
    /// Fit only and leave the model folder as it is
    #[arg(long)]
    dry_run: bool,
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
    greedy: Option<CalibrationFit>,
    lm: Option<CalibrationFit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phones: Option<CalibrationFit>,
    stored: bool,
}

pub fn run(args: &CalibrateArgs) -> CliResult<()> {
    super::memory::keep_freed_memory();
    let files = model_folder::read_files(&args.model)?;
    let loaded = model_folder::check(&args.model, &files)?;
    if !args.dry_run {
        try_folder("--model", &args.model)?;
    }
    let beam = beam(args, &loaded)?;
    let (utterances, [greedy, searched]) = fit(args, &loaded, beam.as_ref())?;
    if greedy.is_none() && searched.is_none() {
        return Err(Failure::data(format!(
            "{}: the model writes no right word, or no wrong one: there is nothing to tell apart",
            args.manifest.display()
        )));
    }
    let of = |fit: &Option<CalibrationFit>| fit.as_ref().map(|fit| fit.calibration);
    let (lm, phones) = match beam.is_some_and(|beam| beam.reads_phones()) {
        true => (None, searched),
        false => (searched, None),
    };
    let calibrations = Calibrations {
        greedy: of(&greedy),
        lm: of(&lm),
        phones: of(&phones),
    };
    if !args.dry_run {
        let changed = with_calibrations(&files, &calibrations);
        let changed = changed.map_err(|source| ModelFolderError::Content {
            folder: args.model.clone(),
            source: Box::new(source),
        })?;
        model_folder::update(&args.model, &changed)?;
    }
    let report = Report {
        utterances,
        greedy,
        lm,
        phones,
        stored: !args.dry_run,
    };
    tell(&report, args.print.json)
}

/// The beam search, if there is a language model.
fn beam(args: &CalibrateArgs, loaded: &LoadedModel) -> CliResult<Option<Decoder>> {
    let lm = match (&args.lm, &loaded.lm) {
        (Some(path), _) => read_lm(path)?,
        (None, Some(stored)) => NgramLm::from_bytes(stored)?,
        (None, None) => return Ok(None),
    };
    Ok(Some(Decoder::Beam(loaded.beam_search(Arc::new(lm))?)))
}

/// How many utterances were heard, and the calibrations of the greedy decoder and the beam search.
fn fit(
    args: &CalibrateArgs,
    loaded: &LoadedModel,
    beam: Option<&Decoder>,
) -> CliResult<(usize, [Option<CalibrationFit>; 2])> {
    let utterances = read_manifest(&args.manifest)?;
    let device = args.device.open()?;
    let threads = args.threads.count();
    let (stop, progress) = (interrupt::stop_flag(), Progress::new(args.print.quiet));
    let show = |done, all| progress.show(done, all);
    let heard = hear_all(loaded, &utterances, &device, threads, stop, &show)?;
    let (tokens, frame_secs) = (&loaded.tokens, loaded.model.encoder_frame_secs());
    let of = |decoder| fit_calibration(&heard, decoder, tokens, frame_secs, threads, stop);
    let greedy = of(&Decoder::Greedy)?;
    let lm = beam.map(of).transpose()?.flatten();
    Ok((heard.len(), [greedy, lm]))
}

fn tell(report: &Report, as_json: bool) -> CliResult<()> {
    if as_json {
        return print_json(report);
    }
    let fits = [
        ("greedy", &report.greedy),
        ("language model", &report.lm),
        ("language model over phones", &report.phones),
    ];
    for (name, fit) in fits {
        if let Some(fit) = fit {
            print_line(&format!(
                "{name}: expected calibration error {:.1} %, before {:.1} %, on words held out {:.1} %; {} words",
                100.0 * fit.after,
                100.0 * fit.before,
                100.0 * fit.held_out,
                fit.words
            ))?;
        }
    }
    print_line(match report.stored {
        true => "the calibrations are stored",
        false => "nothing was stored",
    })?;
    Ok(())
}
