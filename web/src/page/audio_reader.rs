//! Audio files to samples: by our own decoders, in a worker of their own, and where they know the
//! format not, by the browser's.

use js_sys::{ArrayBuffer, Uint8Array};

use super::{
    app::{App, state_failure},
    foreign_audio,
    worker_client::{Failure, WorkerClient},
};
use crate::protocol::{FailureKind, Request, Response};

pub struct DecodedFile {
    /// Bytes of mono f32 samples.
    pub samples: Uint8Array,
    pub sample_rate_hz: u32,
    /// What the visitor should know of it.
    pub notices: Vec<String>,
}

impl App {
    /// Decodes a whole file.
    pub async fn decode_file(&self, bytes: &Uint8Array) -> Result<DecodedFile, Failure> {
        let unknown = match self.decode_by_reader(bytes).await {
            Err(failure) if failure.kind == FailureKind::UnknownAudio => failure.message,
            decoded => return decoded,
        };
        match foreign_audio::decode_to_wav(bytes).await {
            // The browser's channels go through the reader as well: one rule makes one of them.
            Ok(wav) => self.decode_by_reader(&wav).await,
            Err(_) => Err(Failure {
                kind: FailureKind::BadAudio,
                message: format!("{unknown}; the browser cannot read it either"),
            }),
        }
    }

    async fn decode_by_reader(&self, bytes: &Uint8Array) -> Result<DecodedFile, Failure> {
        let running = self.reader.borrow().clone();
        let reader = match running {
            Some(reader) if !reader.is_dead() => reader,
            _ => {
                let started = WorkerClient::start_reader().await;
                let reader = started.map_err(|reason| {
                    state_failure(&format!(
                        "the reader of audio files did not start: {reason}"
                    ))
                })?;
                *self.reader.borrow_mut() = Some(reader.clone());
                reader
            }
        };
        // A copy goes: what is sent is taken away, and the browser's decoder may need it.
        let copy: ArrayBuffer = bytes.slice(0, bytes.length()).buffer();
        let answer = reader
            .request(&Request::DecodeFile, Some(copy), |_| {})
            .await
            .map_err(|failure| match failure.kind {
                FailureKind::Device => Failure {
                    kind: FailureKind::BadAudio,
                    message: "cannot be decoded: the decoder gave up on it".to_owned(),
                },
                _ => failure,
            })?;
        match (answer.response, answer.payload) {
            (
                Response::Decoded {
                    sample_rate_hz,
                    notices,
                },
                Some(samples),
            ) => Ok(DecodedFile {
                samples: Uint8Array::new(&samples),
                sample_rate_hz,
                notices,
            }),
            _ => Err(state_failure("the reader answered out of order")),
        }
    }

    pub fn is_reading(&self) -> bool {
        let reader = self.reader.borrow();
        reader.as_ref().is_some_and(|reader| reader.is_busy())
    }

    pub fn stop_reader(&self) {
        let reader = self.reader.borrow_mut().take();
        if let Some(reader) = reader {
            reader.stop("it was cancelled");
        }
    }
}
