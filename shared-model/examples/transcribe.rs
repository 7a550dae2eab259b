//! Writes what is said in an audio file, a word a line with its time and confidence.
//!
//! ```text
//! cargo run --release -p shared-model --features audio-file,cpu --example transcribe -- \
//!     www/models/english-small www/samples/stop-the-music.wav
//! ```

mod model_folder;

use std::{env, error::Error, fs::File, path::Path};

use burn::prelude::Device;
use shared_model::{
    audio::SAMPLE_RATE_HZ,
    audio_file::{Stretch, decode},
    recognizer::{Decoder, Recognizer},
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, audio] = arguments.as_slice() else {
        return Err("usage: transcribe MODEL_FOLDER AUDIO_FILE".into());
    };
    let loaded = model_folder::load(Path::new(folder))?;
    let recognizer = Recognizer::new(&loaded, Decoder::Greedy, &Device::flex())?;
    let whole = Stretch {
        offset_secs: 0.0,
        duration_secs: None,
        rate_hz: Some(SAMPLE_RATE_HZ),
        max_secs: 3600.0,
    };
    let audio = decode(&mut File::open(audio)?, &whole)?;
    let transcript = pollster::block_on(recognizer.transcribe(&audio.samples))?;
    for word in &transcript.words {
        let (start, end, percent) = (word.start_secs, word.end_secs, 100.0 * word.confidence);
        println!("{start:6.2} {end:6.2} {percent:3.0} %  {}", word.text);
    }
    Ok(())
}
