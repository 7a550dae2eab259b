//! The recipe of an adaptation: an ordinary one, written for people to read and change.

use std::fmt::Write as _;
use std::path::Path;

use shared_model::bundle::LoadedModel;
use toml::{Table, Value};

use super::amounts::Epochs;
use crate::data::relative_path;

/// A student, and the folder whose weights it starts with.
pub struct Student<'a> {
    /// Of its folder.
    pub name: String,
    /// Where it is.
    pub folder: &'a Path,
    /// What it holds.
    pub loaded: &'a LoadedModel,
}

/// What a recipe is made of.
pub struct Parts<'a> {
    /// Of the list.
    pub list: &'a str,
    /// Where the recipe will be.
    pub run: &'a Path,
    /// To be adapted.
    pub students: &'a [Student<'a>],
    /// Frozen, and its folder.
    pub teacher: (&'a LoadedModel, &'a Path),
    /// Manifests to learn from, relative to `run`.
    pub train: &'a [String],
    /// Test sets by name, relative to `run`.
    pub tests: &'a [(&'a str, String)],
    /// Of both steps.
    pub epochs: Epochs,
    /// Lines of the card on what was spoken.
    pub data: &'a [String],
    /// Of every draw.
    pub seed: u64,
}

/// What does not follow from the parts.
const SETTINGS: &str = "\
[augment]
speeds = [0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15]
gain_db = 6.0
# The voices are spoken in no room; people are in one.
room_share = 0.4
band_limit_share = 0.15
noise_share = 0.3
noise_snr_db = [3.0, 30.0]
# Phrases follow each other, with a pause between them.
join_share = 0.2
freq_masks = 2
freq_mask_bands = 20
time_masks = 2
time_mask_frames = 15
time_mask_share = 0.15

[compute]
bf16 = true

[checkpoint]
every_steps = 100
";

/// The text of the recipe.
pub fn text(parts: &Parts<'_>) -> Result<String, toml::ser::Error> {
    let mut text = format!(
        "# Written by `fledge adapt`, which trains by it. Once it is changed:\n#   fledge run recipe.toml \
         --run training-2\n\nname = {}\nseed = {}\n\n",
        quoted(&recipe_name(parts.list)),
        parts.seed
    );
    // Writing to a String cannot fail.
    let _ = write_data(&mut text, parts);
    text.push_str(SETTINGS);
    let (teacher, folder) = parts.teacher;
    let _ = write!(
        text,
        "\n[tokens]\nfile = {}\n\n{}\n[teacher]\nfrom = {}\n\n{}",
        quoted(&from(parts.run, &folder.join("tokens.txt"))),
        section("features", &teacher.features, &[])?,
        quoted(&from(parts.run, folder)),
        section("teacher.model", &teacher.model, &LEFT_OUT)?
    );
    for student in parts.students {
        let _ = write!(
            text,
            "\n[[student]]\nname = {}\ninit_from = {}\n{}",
            quoted(&student.name),
            quoted(&from(parts.run, student.folder)),
            section("student.model", &student.loaded.model, &LEFT_OUT)?
        );
    }
    let _ = write_steps(&mut text, parts.epochs);
    let _ = write_export(&mut text, parts);
    Ok(text)
}

fn write_data(text: &mut String, parts: &Parts<'_>) -> std::fmt::Result {
    writeln!(text, "[data]\ntrain = [")?;
    for manifest in parts.train {
        writeln!(text, "    {},", quoted(manifest))?;
    }
    writeln!(
        text,
        "]\ndev = \"speech/dev.jsonl\"\nbatch_seconds = 40.0\nmax_seconds = 17.0\ncache_mb = 2000\n"
    )?;
    writeln!(text, "[data.test]")?;
    for (name, manifest) in parts.tests {
        writeln!(text, "{} = {}", quoted(name), quoted(manifest))?;
    }
    writeln!(text)
}

fn write_steps(text: &mut String, epochs: Epochs) -> std::fmt::Result {
    let Epochs { distill, finetune } = epochs;
    // A measurement costs about what an epoch of a small corpus costs.
    let every = distill.max(finetune).div_ceil(4);
    writeln!(
        text,
        "\n[validation]\nevery_epochs = {every}\n\n\
         # Step 1: all students learn from the frozen teacher at once.\n\
         [distill]\nepochs = {distill}\naverage_epochs = {}\nunmasked_teacher = true\n\n\
         [distill.loss]\npreset = \"improved\"\n\n\
         [distill.optim]\nrule = \"muon\"\nlearning_rate = 8e-4\nweight_decay = 0.05\nwarmup_steps = 50\n\n\
         # Step 2: each of them on what is said.\n\
         [finetune]\nepochs = {finetune}\naverage_epochs = {}\n\n\
         [finetune.optim]\nrule = \"muon\"\nlearning_rate = 4e-4\nweight_decay = 0.05\nwarmup_steps = 30",
        distill.div_ceil(3),
        finetune.div_ceil(3)
    )
}

fn write_export(text: &mut String, parts: &Parts<'_>) -> std::fmt::Result {
    let cards: Vec<_> = parts.students.iter().map(|s| &s.loaded.card).collect();
    let license = cards.first().map_or("", |card| card.license.as_str());
    writeln!(
        text,
        "\n[export]\nprecision = \"int8\"\nlicense = {}",
        quoted(license)
    )?;
    let mut data: Vec<&String> = Vec::new();
    let mut limits: Vec<&String> = Vec::new();
    for card in &cards {
        data.extend(&card.data);
        limits.extend(&card.limits);
    }
    data.extend(parts.data);
    let warning =
        "Adapted to a list of phrases with synthetic voices: how well it hears people is \
                   known only from recordings of people."
            .to_owned();
    limits.push(&warning);
    for (key, mut lines) in [("data", data), ("limits", limits)] {
        let mut seen = std::collections::HashSet::new();
        lines.retain(|line| seen.insert(*line));
        writeln!(text, "{key} = [")?;
        for line in lines {
            writeln!(text, "    {},", quoted(line))?;
        }
        writeln!(text, "]")?;
    }
    Ok(())
}

/// `[name]` with the values of a configuration, but for `without`.
/// Keys of a model that follow from the rest of the recipe, and the phone head: phrases are heard in
/// letters, and what is spoken for them has no pronunciations.
const LEFT_OUT: [&str; 3] = ["n_mels", "vocab_size", "phone_head"];

fn section(
    name: &str,
    config: &impl serde::Serialize,
    without: &[&str],
) -> Result<String, toml::ser::Error> {
    let mut table = Table::try_from(config)?;
    for key in without {
        table.remove(*key);
    }
    Ok(format!("[{name}]\n{}", toml::to_string(&table)?))
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// A list's name as that of a recipe, which may not hold every character.
fn recipe_name(list: &str) -> String {
    const MAX_LETTERS: usize = 64;
    let may_stand = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let letters = list.chars().map(|c| if may_stand(c) { c } else { '-' });
    let name: String = letters.take(MAX_LETTERS).collect();
    match name.trim_matches(['-', '.']) {
        "" => "phrases".to_owned(),
        name => name.to_owned(),
    }
}

/// A path as the recipe names it: relative, so that the folders can move together.
fn from(run: &Path, path: &Path) -> String {
    let relative = relative_path(run, path);
    relative.unwrap_or_else(|| path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Recipe, StudentInit};
    use crate::model_folder;
    use shared_model::model::ModelConfig;

    #[test]
    fn every_list_has_a_name_that_a_recipe_may_have() {
        for (list, name) in [
            ("lights", "lights"),
            ("a b/c", "a-b-c"),
            ("..", "phrases"),
            ("", "phrases"),
        ] {
            assert_eq!(recipe_name(list), name);
        }
    }

    #[test]
    fn the_recipe_is_one_that_trains_both_students_from_the_teacher() {
        let models = Path::new("../www/models");
        let folders = ["english-teacher", "english-small", "english-tiny"];
        let folders = folders.map(|name| models.join(name));
        let loaded = folders
            .each_ref()
            .map(|folder| model_folder::read(folder).unwrap());
        let students = [1, 2].map(|index| Student {
            name: folders[index]
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned(),
            folder: &folders[index],
            loaded: &loaded[index],
        });
        let run = tempfile::tempdir().unwrap();
        let text = text(&Parts {
            list: "my \"lights\"",
            run: run.path(),
            students: &students,
            teacher: (&loaded[0], &folders[0]),
            train: &["speech/phrases.jsonl".to_owned()],
            tests: &[("phrases", "speech/test-phrases.jsonl".to_owned())],
            epochs: Epochs {
                distill: 7,
                finetune: 5,
            },
            data: &["what was spoken".to_owned()],
            seed: 3,
        })
        .unwrap();
        let recipe = Recipe::parse(&text, "recipe.toml", run.path(), &[]).unwrap();
        assert_eq!(recipe.name, "my--lights");
        assert_eq!((recipe.distill.epochs, recipe.finetune.epochs), (7, 5));
        assert_eq!(recipe.features, loaded[0].features);
        for (student, loaded) in recipe.students.iter().zip(&loaded[1..]) {
            // Phrases are heard by letters.
            let by_letters = ModelConfig {
                phone_head: false,
                ..loaded.model.clone()
            };
            assert_eq!(student.model, by_letters);
            assert_eq!(student.init, StudentInit::Random);
            let start = student.init_from.as_deref().unwrap();
            assert_eq!(model_folder::read(start).unwrap().manifest, loaded.manifest);
        }
        let teacher = recipe.teacher.from.as_deref().unwrap();
        assert!(teacher.join("config.json").exists());
        assert_eq!(recipe.export.license, "CC-BY-SA-4.0");
        assert_eq!(recipe.export.data.last().unwrap(), "what was spoken");
    }
}
