//! Trains a small recogniser on a manifest and writes it as a model folder.
//!
//! ```sh
//! cargo run --release --no-default-features -p trainer --example train_on_a_manifest -- \
//!   trainer/corpus/train.jsonl runs/example
//! ```

use std::{collections::BTreeMap, error::Error, path::Path, sync::atomic::AtomicBool};

use trainer::{
    cluster::Team,
    config::Recipe,
    data::{RecipeData, recipe_examples, recipe_tokens, recipe_utterances},
    device::OpenDevice,
    event::TrainEvent,
    export::{Exporter, test_sets},
    run_folder::RunFolder,
    train::{self, RunContext},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(manifest), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("expected a manifest and a folder for the run".into());
    };
    // Every key that is not here has the default that docs/recipes.md names.
    let text = format!(
        "name = \"example\"
[data]
train = {manifest:?}
[teacher.model]
d_model = 96
n_layers = 3
d_ffn = 192
[teach]
epochs = 4
average_epochs = 1
[teach.optim]
learning_rate = 3e-3
warmup_steps = 100
"
    );
    let recipe = Recipe::parse(&text, "the example's recipe", Path::new(""), &[])?;
    let utterances = recipe_utterances(&recipe)?;
    let tokens = recipe_tokens(&recipe, &utterances)?;
    let examples = recipe_examples(&recipe, &tokens, utterances)?;
    println!("{}", examples.dropped_train);
    let mut source = RecipeData::new(&recipe, &tokens, examples)?;

    // The same folder again continues where the run stopped.
    let run = RunFolder::open(Path::new(&folder), &recipe, &text, false)?;
    let stop = AtomicBool::new(false);
    let mut events = |event| {
        if let TrainEvent::Validation { epoch, wer, .. } = event {
            println!("epoch {epoch}: {:.1} % of words wrong", 100.0 * wer);
        }
    };
    let teacher = train::teach(&mut RunContext {
        recipe: &recipe,
        folder: &run,
        tokens: &tokens,
        phones: None,
        source: &mut source,
        device: OpenDevice::cpu("the example asks for no other").device,
        is_gpu: false,
        pretrained_teacher: None,
        onnx_teacher: None,
        starts: BTreeMap::new(),
        team: Team::alone(),
        stop: &stop,
        events: &mut events,
    })?;

    let exporter = Exporter {
        recipe: &recipe,
        tokens: &tokens,
        test_sets: &test_sets(&recipe)?,
        precision: recipe.export.precision,
        stop: &stop,
    };
    let folder = run.model(&teacher.name);
    let model = exporter.export(&teacher, &folder, &mut |notice| println!("{notice}"))?;
    println!("{}: {} bytes", model.folder.display(), model.bytes);
    Ok(())
}
