//! `fledge recipe-reference`.

use crate::config::recipe_reference;

/// Print every key of a recipe: type, unit, default and meaning, as Markdown
///
/// Example:
///   fledge recipe-reference > docs/recipes.md
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct RecipeReferenceArgs {}

pub fn run() -> super::CliResult<()> {
    super::print_line(recipe_reference().trim_end())?;
    Ok(())
}
