//! Error rates of a model folder on a manifest.
//!
//! ```sh
//! cargo run --release --no-default-features -p trainer --example evaluate_a_model_folder -- \
//!   www/models/quick-tiny trainer/corpus/test.jsonl
//! ```

use std::{error::Error, path::Path, sync::atomic::AtomicBool};

use trainer::{
    data::read_manifest,
    device::OpenDevice,
    evaluate::{DecoderChoice, EvaluationReport, evaluate},
    model_folder,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(manifest)) = (arguments.next(), arguments.next()) else {
        return Err("expected a model folder and a manifest".into());
    };
    let model = model_folder::read(Path::new(&folder))?;
    let utterances = read_manifest(Path::new(&manifest))?;
    let device = OpenDevice::cpu("the example asks for no other");
    let decoder = DecoderChoice::Greedy;
    let evaluated = evaluate(
        &model,
        &utterances,
        &decoder,
        &device,
        std::thread::available_parallelism()?.get(),
        &AtomicBool::new(false),
        &|_, _| {},
    )?;
    let report = EvaluationReport::new(&evaluated, &model.manifest, &decoder, &device.name);
    println!(
        "{:.2} % of {} words are wrong ({:.2} to {:.2} %)",
        100.0 * report.wer,
        report.words,
        100.0 * report.wer_low,
        100.0 * report.wer_high
    );
    Ok(())
}
