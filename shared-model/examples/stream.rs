//! Writes what is said while it is said: 16-bit mono samples at 16 kHz from standard input.
//!
//! ```text
//! arecord -q -t raw -f S16_LE -r 16000 -c 1 |
//!     cargo run --release -p shared-model --features cpu --example stream -- www/models/english-small
//! ```

mod model_folder;

use std::{
    env,
    error::Error,
    io::{self, Read},
    path::Path,
    rc::Rc,
};

use burn::prelude::Device;
use shared_model::recognizer::{Decoder, LiveConfig, LiveEvent, LiveRecognizer, Recognizer};

/// A tenth of a second of samples of two bytes.
const BLOCK_BYTES: u64 = 2 * 1600;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(folder) = env::args().nth(1) else {
        return Err("usage: stream MODEL_FOLDER < SAMPLES".into());
    };
    let loaded = model_folder::load(Path::new(&folder))?;
    let recognizer = Recognizer::new(&loaded, Decoder::Greedy, &Device::flex())?;
    let mut live = LiveRecognizer::new(Rc::new(recognizer), LiveConfig::default())?;
    let mut input = io::stdin().lock();
    loop {
        let mut block = vec![];
        input.by_ref().take(BLOCK_BYTES).read_to_end(&mut block)?;
        if block.is_empty() {
            break;
        }
        let (samples, _) = block.as_chunks::<2>();
        let samples: Vec<f32> = samples
            .iter()
            .map(|&sample| f32::from(i16::from_le_bytes(sample)) / 32768.0)
            .collect();
        write(&pollster::block_on(live.push(&samples))?);
    }
    write(&pollster::block_on(live.finish())?);
    Ok(())
}

fn write(events: &[LiveEvent]) {
    for event in events {
        match event {
            LiveEvent::Partial { transcript, .. } => eprintln!("... {}", transcript.text),
            LiveEvent::Final { transcript, .. } => println!("{}", transcript.text),
        }
    }
}
