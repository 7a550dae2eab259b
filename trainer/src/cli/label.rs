//! `fledge label`.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::decoder_arguments::DecoderArgs;
use super::output::OutputFile;
use super::progress::Progress;
use super::{CliResult, DeviceArgs, PrintArgs, ThreadArgs, WeightArgs, interrupt};
use crate::label::{
    LabelOptions, LabelReport, Labeller, OnnxRecognizer, OnnxSettings, label, utterances_of,
};
use crate::onnx_network::FrameRate;
use shared_model::features::{FeatureConfig, FrontEnd};

/// Files told of one by one.
const SHOWN: usize = 20;

/// Write what a model hears as a manifest for training
///
/// Labels audio that nobody has transcribed: every file below a folder, or every utterance of a
/// manifest (its own texts are not used). Long recordings are cut at pauses. Each line of the new
/// manifest has the mean confidence of its words, by which `data.min_confidence` of a recipe
/// chooses. Stopped, it goes on with the same command.
///
/// Examples:
///   fledge label --model www/models/english-medium --audio recordings --out labels.jsonl
///   fledge label --model runs/quick/models/teacher --audio more.jsonl --out labels.jsonl --lm my.bin
///   fledge label --model zipformer/model.onnx --audio recordings --out labels.jsonl
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct LabelArgs {
    /// Model folder (those of a run are in its `models` folder), or CTC network in an ONNX file,
    /// as `fledge export --format onnx --for sherpa` writes it
    #[arg(long, value_name = "DIR|FILE.onnx")]
    model: PathBuf,
    #[command(flatten)]
    onnx: OnnxArgs,
    /// Folder of audio files, or manifest (JSONL)
    #[arg(long, value_name = "FOLDER|MANIFEST")]
    audio: PathBuf,
    /// Manifest to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    decoder: DecoderArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    weights: WeightArgs,
    /// Leave out labels of less confidence, 0 to 1
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    min_confidence: f32,
    /// Leave out utterances shorter than this
    #[arg(long, value_name = "SECONDS", default_value_t = 0.3)]
    min_seconds: f64,
    /// Cut longer audio at pauses
    #[arg(long, value_name = "SECONDS", default_value_t = 15.0)]
    max_seconds: f64,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    print: PrintArgs,
}

/// What an ONNX file does not say of itself.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Of an ONNX file")]
struct OnnxArgs {
    /// Its tokens [default: tokens.txt beside it]
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Mel bands that it listens to
    #[arg(long, value_name = "N", default_value_t = 80)]
    mels: usize,
    /// Highest frequency of them in Hz; 0 and less count from 8000
    #[arg(long, value_name = "HZ", default_value_t = -400.0, allow_hyphen_values = true)]
    high_hz: f32,
    /// Bring audio to the level that Fledge trains at
    #[arg(long)]
    level_gain: bool,
    /// Feature frames (10 ms) to one of its frames
    #[arg(long, value_name = "N", default_value_t = 4)]
    subsampling: usize,
    /// Frames of it that lie before the audio
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset_frames: usize,
}

impl OnnxArgs {
    fn read(&self, file: &Path) -> CliResult<OnnxRecognizer> {
        if !(1..=64).contains(&self.subsampling) || self.offset_frames > 100 {
            return Err(super::Failure::usage(
                "expected --subsampling of 1 to 64 and --offset-frames up to 100",
            ));
        }
        let beside = || file.with_file_name("tokens.txt");
        let settings = OnnxSettings {
            features: FeatureConfig {
                front_end: FrontEnd::Kaldi,
                n_mels: self.mels,
                high_hz: self.high_hz,
                level_gain: self.level_gain,
                ..FeatureConfig::default()
            },
            frames: FrameRate {
                subsampling_factor: self.subsampling,
                offset: self.offset_frames,
            },
            tokens: self.tokens.clone().unwrap_or_else(beside),
        };
        Ok(OnnxRecognizer::read(file, settings)?)
    }
}

impl LabelArgs {
    fn options(&self) -> CliResult<LabelOptions> {
        let is_share = (0.0..=1.0).contains(&self.min_confidence);
        let are_lengths = self.min_seconds >= 0.0 && self.max_seconds > self.min_seconds;
        if !is_share || !are_lengths || self.max_seconds > 3600.0 {
            return Err(super::Failure::usage(
                "expected --min-confidence of 0 to 1, and --max-seconds above --min-seconds and up to 3600",
            ));
        }
        Ok(LabelOptions {
            min_confidence: self.min_confidence,
            min_secs: self.min_seconds,
            max_secs: self.max_seconds,
        })
    }
}

pub fn run(args: &LabelArgs) -> CliResult<()> {
    super::memory::keep_freed_memory();
    let options = args.options()?;
    OutputFile::try_new("--out", &args.out)?;
    let report = if args.model.extension().is_some_and(|end| end == "onnx") {
        if args.decoder.is_set() {
            return Err(super::Failure::usage(
                "an ONNX file is decoded greedily: leave out the options of decoders",
            ));
        }
        let recognizer = args.onnx.read(&args.model)?;
        write_labels(args, options, &Labeller::Onnx(&recognizer))?
    } else {
        let model = args.weights.read(&args.model)?;
        let labeller = Labeller::Own {
            decoder: &args.decoder.choose(&model, args.print.quiet)?,
            device: &args.device.open()?,
            model: &model,
        };
        write_labels(args, options, &labeller)?
    };
    let mut stderr = std::io::stderr();
    for reason in report.broken.iter().take(SHOWN) {
        let _ = writeln!(stderr, "left out: {reason}");
    }
    if args.print.json {
        return super::print_json(&report);
    }
    Ok(super::print_line(&summary(&report, args))?)
}

fn write_labels(
    args: &LabelArgs,
    options: LabelOptions,
    labeller: &Labeller<'_>,
) -> CliResult<LabelReport> {
    let (utterances, problems) = utterances_of(&args.audio)?;
    for problem in problems.iter().take(SHOWN) {
        let _ = writeln!(std::io::stderr(), "left out: {problem}");
    }
    let threads = args.threads.count();
    let progress = Progress::new(args.print.quiet);
    Ok(label(
        (labeller, threads),
        &utterances,
        &args.out,
        options,
        interrupt::stop_flag(),
        &|done, total| progress.show(done, total),
    )?)
}

fn summary(report: &LabelReport, args: &LabelArgs) -> String {
    let left_out = [
        (report.without_words, "without words"),
        (report.unsure, "of too little confidence"),
        (report.too_short, "too short"),
        (report.broken.len(), "that cannot be read"),
    ];
    let left_out: Vec<String> = left_out
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, why)| format!("{count} {why}"))
        .collect();
    let mut line = format!(
        "{}: {} utterances, {} words, {:.2} hours",
        args.out.display(),
        report.utterances,
        report.words,
        report.audio_seconds / 3600.0
    );
    if !left_out.is_empty() {
        line += &format!("; left out: {}", left_out.join(", "));
    }
    line
}
