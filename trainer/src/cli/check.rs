//! `fledge check`.

use std::io::Write;
use std::path::PathBuf;

use shared_model::model::ModelConfig;
use shared_model::tokens::Tokens;

use super::{CliResult, Failure};
use crate::config::{Recipe, TokenConfig};
use crate::data::{CheckOptions, CheckReport, build_tokens, check_manifest, read_all};

/// Entries shown per kind of finding.
const SHOWN: usize = 10;

/// Check manifests before training
///
/// Decodes every audio file and reports durations, formats, missing and broken files, duplicates,
/// and texts that cannot be spelled or that are too long for their audio. Fails if any entry is
/// broken, that is, if `fledge transcribe` would refuse it. Given a recipe, it checks all of the
/// recipe's manifests.
///
/// Examples:
///   fledge check data/librispeech/train-clean-100.jsonl
///   fledge check recipes/quick.toml --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct CheckArgs {
    /// Manifests (JSONL), or one recipe (TOML)
    #[arg(required = true, value_name = "MANIFEST|RECIPE")]
    paths: Vec<PathBuf>,
    /// Override a value of the recipe, as `section.key=value`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Token set that texts must be spelled with [default: characters]
    #[arg(long, value_name = "TOKENS_TXT")]
    tokens: Option<PathBuf>,
    /// Read only the headers: faster, but damage inside a file goes unnoticed
    #[arg(long)]
    headers_only: bool,
    /// One JSON object per manifest on standard output
    #[arg(long)]
    json: bool,
}

pub fn run(args: &CheckArgs) -> CliResult<()> {
    let is_recipe = |path: &PathBuf| path.extension().is_some_and(|e| e == "toml");
    let mut token_config = TokenConfig {
        file: args.tokens.clone(),
        ..TokenConfig::default()
    };
    let mut model = ModelConfig::default();
    let mut manifests = args.paths.clone();
    if let [path] = args.paths.as_slice()
        && is_recipe(path)
    {
        let recipe = Recipe::load(path, &args.set)?;
        let data = recipe.data;
        manifests = data.train.as_slice().to_vec();
        manifests.extend(data.dev);
        manifests.extend(data.test.into_values());
        model = recipe.teacher.model;
        if args.tokens.is_none() {
            token_config = recipe.tokens;
        }
    } else if args.paths.iter().any(is_recipe) || !args.set.is_empty() {
        return Err(Failure::usage("give manifests, or one recipe (with --set)"));
    }
    let tokens = tokens_for(&token_config, &manifests)?;
    let options = CheckOptions {
        tokens: &tokens,
        encoder_length: &|frames| model.encoder_length(frames),
        depth: super::depth(args.headers_only),
        threads: super::num_cores(),
    };
    let (mut broken, mut total) = (0, 0);
    for manifest in &manifests {
        let report = check_manifest(manifest, &options)?;
        broken += report.num_broken();
        total += report.utterances;
        if args.json {
            super::print_json(&report)?;
        } else {
            print_report(&report)?;
        }
    }
    if broken > 0 {
        return Err(Failure::data(format!(
            "{broken} of {total} utterances are missing or broken"
        )));
    }
    Ok(())
}

fn tokens_for(config: &TokenConfig, manifests: &[PathBuf]) -> CliResult<Tokens> {
    let texts: Vec<String> = if config.file.is_none() {
        read_all(&manifests[..1.min(manifests.len())])?
            .into_iter()
            .map(|utterance| utterance.text)
            .collect()
    } else {
        vec![]
    };
    Ok(build_tokens(config, texts.iter().map(String::as_str))?)
}

fn print_report(report: &CheckReport) -> CliResult<()> {
    super::print_line(&format!(
        "{}: {} utterances, {:.3} hours, {:.2} to {:.2} s, {} words, {} speakers",
        report.manifest.display(),
        report.utterances,
        report.audio_seconds / 3600.0,
        report.shortest_seconds,
        report.longest_seconds,
        report.words,
        report.speakers
    ))?;
    let mut formats: Vec<_> = report.formats.iter().collect();
    formats.sort();
    for (format, count) in formats {
        super::print_line(&format!("  {count} {format}"))?;
    }
    if report.without_text > 0 {
        super::print_line(&format!("  {} without a transcript", report.without_text))?;
    }
    let mut err = std::io::stderr().lock();
    for (what, entries) in [
        ("broken", &report.broken),
        ("worth knowing", &report.notices),
        ("wrong duration", &report.wrong_durations),
        ("duplicate", &report.duplicates),
        ("unusual character", &report.unusual_characters),
        ("cannot be spelled", &report.not_encodable),
        ("text too long for the audio", &report.infeasible),
    ] {
        if entries.is_empty() {
            continue;
        }
        super::print_line(&format!("  {}: {}", what, entries.len()))?;
        for entry in entries.iter().take(SHOWN) {
            writeln!(err, "{what}: {entry}")?;
        }
        if entries.len() > SHOWN {
            writeln!(err, "{what}: and {} more", entries.len() - SHOWN)?;
        }
    }
    Ok(())
}
