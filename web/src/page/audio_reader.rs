//! Audio files to samples: by our own decoders of the usual kinds, in a worker of their own; by those of
//! all kinds, which are fetched when the first do not know a file; and at last by the browser's.

use std::{cell::RefCell, rc::Rc};

use js_sys::{ArrayBuffer, Float32Array};
use web_sys::Blob;

use super::{
    engines, foreign_audio,
    tape::Block,
    turn::Turn,
    worker_client::{Failure, WorkerClient},
};
use crate::protocol::{FailureKind, Request, Response};

/// A file that is being read.
pub struct OpenFile {
    pub sample_rate_hz: u32,
    pub expected_secs: Option<f64>,
    reader: Rc<WorkerClient>,
}

/// Owns the workers that decode; the first file that needs one starts it.
#[derive(Default)]
pub struct AudioReader {
    usual: RefCell<Option<Rc<WorkerClient>>>,
    all: RefCell<Option<Rc<WorkerClient>>>,
}

/// What a reader knows.
#[derive(Clone, Copy)]
enum Kinds {
    Usual,
    All,
}

impl AudioReader {
    /// Opens a file; the one before it is closed.
    ///
    /// # Errors
    /// The file is no audio that our decoders or the browser's read, or it is damaged.
    pub async fn open(&self, file: &Blob, turn: &Turn) -> Result<OpenFile, Failure> {
        let mut unknown = String::new();
        for kinds in [Kinds::Usual, Kinds::All] {
            match self.open_in_worker(file, kinds).await {
                Err(failure) if failure.kind == FailureKind::UnknownAudio => {
                    unknown = failure.message;
                }
                opened => return opened,
            }
            if !turn.is_current() {
                return Err(Failure::state("it was cancelled"));
            }
        }
        let decoded = foreign_audio::decode_to_wav(file, turn).await;
        if !turn.is_current() {
            return Err(Failure::state("it was cancelled"));
        }
        match decoded {
            // The browser's channels go through the reader as well: one rule makes one of them.
            Ok(wav) => self.open_in_worker(&wav, Kinds::Usual).await,
            Err(reason) => Err(Failure::new(
                FailureKind::BadAudio,
                format!("{unknown}; {reason}"),
            )),
        }
    }

    async fn reader(&self, kinds: Kinds) -> Result<Rc<WorkerClient>, Failure> {
        let (program, worker) = match kinds {
            Kinds::Usual => ("audio-file", &self.usual),
            Kinds::All => ("audio-file-all", &self.all),
        };
        let running = worker.borrow().clone();
        if let Some(reader) = running.filter(|reader| !reader.is_dead()) {
            return Ok(reader);
        }
        let missing = |reason: String| {
            Failure::state(&format!(
                "the reader of audio files did not start: {reason}"
            ))
        };
        let module = engines::compile(program).await.map_err(missing)?;
        let started = WorkerClient::start_reader(program, module).await;
        let reader = started.map_err(missing)?;
        *worker.borrow_mut() = Some(reader.clone());
        Ok(reader)
    }

    async fn open_in_worker(&self, file: &Blob, kinds: Kinds) -> Result<OpenFile, Failure> {
        let reader = self.reader(kinds).await?;
        let answer = reader.request_with_file(&Request::OpenFile, file).await;
        match answer.map_err(given_up)?.response {
            Response::Opened {
                sample_rate_hz,
                expected_secs,
            } => Ok(OpenFile {
                sample_rate_hz,
                expected_secs,
                reader,
            }),
            _ => Err(Failure::state("the reader answered out of order")),
        }
    }
}

impl OpenFile {
    /// The next block, in the buffer `spare` if it can be, and with the last one what the visitor
    /// should know of the file.
    ///
    /// # Errors
    /// The file is damaged.
    pub async fn next_block(
        &self,
        spare: Option<ArrayBuffer>,
    ) -> Result<(Block, Vec<String>), Failure> {
        let answer = self.reader.request(&Request::NextBlock, spare, None);
        let answer = answer.await;
        let answer = answer.map_err(given_up)?;
        match (answer.response, answer.payload) {
            (Response::Block { is_last, notices }, Some(samples)) => {
                let samples = Float32Array::new(&samples);
                Ok((Block { samples, is_last }, notices))
            }
            _ => Err(Failure::state("the reader answered out of order")),
        }
    }
}

/// A reader that died did so over the file.
fn given_up(failure: Failure) -> Failure {
    match failure.kind {
        FailureKind::Device => Failure::new(
            FailureKind::BadAudio,
            "cannot be decoded: the decoder gave up on it",
        ),
        _ => failure,
    }
}
