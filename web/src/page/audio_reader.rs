//! Audio files to samples: by our own decoders, in a worker of their own, and where they know the
//! format not, by the browser's.

use std::{cell::RefCell, rc::Rc};

use js_sys::{ArrayBuffer, Uint8Array};

use super::{
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

/// Owns the worker that decodes; the first file starts it.
#[derive(Default)]
pub struct AudioReader {
    worker: RefCell<Option<Rc<WorkerClient>>>,
}

impl AudioReader {
    /// Decodes a whole file.
    ///
    /// # Errors
    /// The file is no audio that our decoders or the browser's read, or it is damaged.
    pub async fn decode(&self, bytes: &Uint8Array) -> Result<DecodedFile, Failure> {
        let unknown = match self.decode_in_worker(bytes).await {
            Err(failure) if failure.kind == FailureKind::UnknownAudio => failure.message,
            decoded => return decoded,
        };
        match foreign_audio::decode_to_wav(bytes).await {
            // The browser's channels go through the reader as well: one rule makes one of them.
            Ok(wav) => self.decode_in_worker(&wav).await,
            Err(_) => Err(Failure {
                kind: FailureKind::BadAudio,
                message: format!("{unknown}; the browser cannot read it either"),
            }),
        }
    }

    async fn decode_in_worker(&self, bytes: &Uint8Array) -> Result<DecodedFile, Failure> {
        let running = self.worker.borrow().clone();
        let reader = match running {
            Some(reader) if !reader.is_dead() => reader,
            _ => {
                let started = WorkerClient::start_reader().await;
                let reader = started.map_err(|reason| {
                    Failure::state(&format!(
                        "the reader of audio files did not start: {reason}"
                    ))
                })?;
                *self.worker.borrow_mut() = Some(reader.clone());
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
            _ => Err(Failure::state("the reader answered out of order")),
        }
    }

    /// Gives up the file under way. A decoder hears nothing while it works, so its worker ends; the
    /// next file starts another.
    pub fn cancel(&self) {
        let is_busy = (self.worker.borrow().as_ref()).is_some_and(|worker| worker.is_busy());
        if is_busy && let Some(worker) = self.worker.take() {
            worker.stop("it was cancelled");
        }
    }
}
