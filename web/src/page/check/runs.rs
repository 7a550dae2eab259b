//! The runs of one student with one decoder.

use js_sys::Float32Array;

use crate::{
    page::worker_client::{Failure, WorkerClient},
    protocol::{Boosts, Request, Response, WordErrors},
};

/// A clip whose words are known.
pub struct KnownClip {
    pub samples: Float32Array,
    pub sample_rate_hz: u32,
    pub text: String,
}

/// What came of them.
#[derive(Default)]
pub struct Runs {
    pub errors: Vec<WordErrors>,
    pub first_ms: f64,
    pub warm_ms: Vec<f64>,
    pub warm_secs: f64,
}

impl Runs {
    pub fn add(&mut self, round: usize, (errors, ms, secs): (WordErrors, f64, f64)) {
        if round == 0 {
            if self.errors.is_empty() {
                self.first_ms = ms;
            }
            self.errors.push(errors);
        } else {
            self.warm_ms.push(ms);
            self.warm_secs += secs;
        }
    }
}

/// Errors, milliseconds of computing, seconds of sound.
pub async fn transcribe(
    client: &WorkerClient,
    clip: &KnownClip,
) -> Result<(WordErrors, f64, f64), Failure> {
    let request = Request::Transcribe {
        sample_rate_hz: clip.sample_rate_hz,
        reference: Some(clip.text.clone()),
        more: false,
        phrases: None,
        boosts: Boosts::None,
    };
    let samples = clip.samples.slice(0, clip.samples.length()).buffer();
    let answer = client.request(&request, Some(samples), None).await?;
    match answer.response {
        Response::Transcribed {
            errors: Some(errors),
            recognize_ms,
            audio_secs,
            ..
        } => Ok((errors, recognize_ms, audio_secs)),
        _ => Err(Failure::state("the engine answered out of order")),
    }
}
