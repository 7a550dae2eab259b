//! `fledge bench parity`.

use std::path::PathBuf;

use crate::{
    bench::parity::{Parity, measure_parity},
    cli::{CliResult, DeviceArgs, print_json, print_line, tell_device},
    config::Recipe,
    data::{
        Batch, BatchSource, EpochPlan, RecipeData, Share, TrainingAudio, recipe_examples,
        recipe_tokens, recipe_utterances,
    },
    train::TrainError,
};

/// Compare a recipe's training on a device with training on the CPU
///
/// Compares the teacher's forward pass, gradients and optimiser step, with fresh weights on the
/// first batch of the recipe's data, then the losses of the first steps of every phase.
///
/// Example:
///   fledge bench parity --recipe recipes/quick.toml --device wgpu
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct ParityArgs {
    /// The recipe, a TOML file
    #[arg(long, value_name = "FILE")]
    recipe: PathBuf,
    /// Override a value of the recipe, as `section.key=value`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Steps of each phase
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    steps: u16,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &ParityArgs) -> CliResult<()> {
    let recipe = Recipe::load(&args.recipe, &args.set)?;
    let utterances = recipe_utterances(&recipe)?;
    let tokens = recipe_tokens(&recipe, &utterances)?;
    let examples = recipe_examples(&recipe, &tokens, utterances)?;
    let mut data = RecipeData::new(&recipe, &tokens, examples)?;
    let plan = EpochPlan {
        gentle: false,
        ..EpochPlan::plain()
    };
    let batches: Vec<Batch> = data
        .epoch(TrainingAudio::Transcribed, plan, 0, &Share::whole(1))
        .and_then(|batches| batches.take(args.steps.into()).collect())
        .map_err(TrainError::from)?;
    let device = args.device.open()?;
    tell_device(&device);
    let parity = measure_parity(&recipe, tokens.len(), &device, &batches)?;
    if args.json {
        return print_json(&parity);
    }
    for line in lines(&parity) {
        print_line(&line)?;
    }
    Ok(())
}

fn lines(parity: &Parity) -> Vec<String> {
    let mut lines = vec![
        format!("teacher, {}", parity.teacher),
        format!(
            "{:20} {:>5} {:>12} {:>12} {:>10}",
            "step", "", "CPU", "device", "difference"
        ),
    ];
    let value = |value: Option<f64>| value.map_or("not finite".to_owned(), |v| format!("{v:.6}"));
    lines.extend(parity.losses.iter().map(|loss| {
        format!(
            "{:20} {:>5} {:>12} {:>12} {:>10.1e}",
            loss.step,
            loss.number,
            value(loss.cpu),
            value(loss.device),
            loss.difference()
        )
    }));
    lines.push(format!(
        "greatest difference of a loss: {:.1e}",
        parity.greatest_loss_difference
    ));
    lines
}
