//! `fledge bench untrained`.

use std::path::PathBuf;

use shared_model::bundle::{CardInfo, ModelParts, write_model};
use shared_model::model::CtcModel;

use super::super::CliResult;
use super::super::export::PrecisionArg;
use crate::config::Recipe;
use crate::device::OpenDevice;
use crate::{
    data::{recipe_tokens, recipe_utterances},
    model_folder,
};

/// Write a recipe's students with fresh weights as model folders, for measuring speed
///
/// Example:
///   fledge bench untrained recipes/browser-sizes.toml --out runs/browser-sizes
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct UntrainedArgs {
    /// Recipe (TOML file)
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    /// Where to put the model folders, one per student
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How to store the weights
    #[arg(long, value_enum, default_value_t = PrecisionArg::F32)]
    precision: PrecisionArg,
    /// Override a value of the recipe, as `section.key=value`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub fn run(args: &UntrainedArgs) -> CliResult<()> {
    let recipe = Recipe::load(&args.recipe, &args.set)?;
    let tokens = recipe_tokens(&recipe, &recipe_utterances(&recipe)?)?;
    let device = OpenDevice::cpu("fresh weights need no other");
    for student in &recipe.students {
        let mut config = student.model.clone();
        config.vocab_size = tokens.len();
        let weights = CtcModel::init(&config, recipe.seed, &device.device)?.weights();
        let card = CardInfo {
            name: student.name.clone(),
            description: "Fresh weights, for timing only".to_owned(),
            license: recipe.export.license.clone(),
            ..CardInfo::default()
        };
        let files = write_model(&ModelParts {
            features: &recipe.features,
            model: &config,
            tokens: &tokens,
            weights: &weights,
            beam: None,
            precision: args.precision.into(),
            evaluations: &[],
            card: &card,
        })?;
        model_folder::write(&args.out.join(&student.name), &files)?;
        super::super::print_line(&format!(
            "{}: {} parameters",
            student.name,
            config.num_parameters()
        ))?;
    }
    Ok(())
}
