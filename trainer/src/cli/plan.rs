//! `fledge plan`.

use std::path::PathBuf;

use serde::Serialize;

use super::{CliResult, num_cores};
use crate::{
    bench::{self, Options},
    config::Recipe,
    data::{RecipeData, recipe_examples, recipe_tokens, recipe_utterances},
    plan::{GOOD_EFFICIENCY, Machines, Network, PhasePlan, Planner},
    report::format_duration,
};

/// Predict what training a recipe on several machines would take
///
/// Measures the recipe's steps on this machine for some seconds, and reckons with its own batches:
/// seconds an epoch, how much of the machines' time is used, and which size of batches would use
/// more. It needs no other machine and writes nothing.
///
/// Example:
///   fledge plan recipes/quick.toml --nodes 1,2,4,8 --network 10g
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct PlanArgs {
    /// The recipe, a TOML file
    recipe: PathBuf,
    /// Override a value of the recipe, as `section.key=value`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Numbers of machines
    #[arg(
        long,
        value_name = "N,N,...",
        value_delimiter = ',',
        default_value = "1,2,4,8"
    )]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=4096))]
    nodes: Vec<u16>,
    /// The network between them, by its gigabits a second
    #[arg(long, value_name = "RATE", default_value = "10g")]
    network: Network,
    /// Processor cores of each machine, taken to be as fast as this machine's
    /// [default: as many as this one has]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=4096))]
    cores: Option<u16>,
    /// Measured steps of each phase; the fastest counts
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: u16,
    /// Print one JSON object for each phase and number of machines
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    plan: PhasePlan,
    /// The smallest batch that would use the machines well, seconds.
    good_batch_seconds: Option<f32>,
}

pub fn run(args: &PlanArgs) -> CliResult<()> {
    let recipe = Recipe::load(&args.recipe, &args.set)?;
    super::memory::keep_freed_memory();
    let utterances = recipe_utterances(&recipe)?;
    let tokens = recipe_tokens(&recipe, &utterances)?;
    let examples = recipe_examples(&recipe, &tokens, utterances)?;
    let of_audio = examples.train.iter().map(|e| e.utterance.duration_secs);
    let mean_secs = of_audio.sum::<f64>() / examples.train.len().max(1) as f64;
    let data = RecipeData::new(&recipe, &tokens, examples)?;
    let options = Options {
        utterances: 16,
        seconds: mean_secs.clamp(1.0, 20.0),
        repeats: args.repeats.into(),
    };
    let rates = bench::phase_rates(&recipe, tokens.len(), options)?;
    let planner = Planner {
        recipe: &recipe,
        preparation_cpu_per_audio_sec: data.preparation_cpu_per_audio_sec()?,
        data: &data,
    };
    if !args.json {
        super::print_line(HEADER)?;
    }
    for rate in &rates {
        for &nodes in &args.nodes {
            let machines = Machines {
                nodes: nodes.into(),
                cores: args.cores.map_or_else(num_cores, usize::from),
                network: args.network,
            };
            let plan = planner.phase(rate, &machines, 1);
            let good = planner.good_batch(rate, &machines);
            if args.json {
                let good_batch_seconds = good.map(|good| good.batch_seconds);
                super::print_json(&Line {
                    plan,
                    good_batch_seconds,
                })?;
            } else {
                super::print_line(&row(&plan))?;
                if let Some(hint) = hint(&plan, good.as_ref()) {
                    super::print_line(&hint)?;
                }
            }
        }
    }
    Ok(())
}

const HEADER: &str = "phase     nodes  steps    epoch  efficiency  a step: passes  update  data  exchange  waiting (ms)  utterances a shard";

fn row(plan: &PhasePlan) -> String {
    format!(
        "{:9} {:>5} {:>6} {:>8} {:>10.0}% {:>15.1} {:>7.1} {:>5.1} {:>9.1} {:>8.1} {:>24.1}",
        plan.phase,
        plan.nodes,
        plan.steps,
        format_duration(plan.epoch_secs),
        100.0 * plan.efficiency,
        plan.passes_ms,
        plan.update_ms,
        plan.data_ms,
        plan.exchange_ms,
        plan.waiting_ms,
        plan.utterances_per_shard
    )
}

/// What would use the machines better, if they are not used well.
fn hint(plan: &PhasePlan, good: Option<&PhasePlan>) -> Option<String> {
    if plan.efficiency >= GOOD_EFFICIENCY {
        return None;
    }
    Some(match good {
        Some(good) => format!(
            "          data.batch_seconds = {:.0} would use {:.0} % of {} machines ({} an epoch of {} steps)",
            good.batch_seconds,
            100.0 * good.efficiency,
            good.nodes,
            format_duration(good.epoch_secs),
            good.steps
        ),
        None => format!(
            "          no size of batches uses {:.0} % of {} machines: run cells of a study on them instead, or fewer machines",
            100.0 * GOOD_EFFICIENCY,
            plan.nodes
        ),
    })
}
