//! The worker: owns one student on one device and answers the page's requests one after another.

mod answers;
mod download;
mod kept;
mod session;
mod student;
mod transfer;
mod turns;

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use burn::prelude::Device;
use wasm_bindgen_futures::spawn_local;

use crate::{
    protocol::{EngineKind, FailureKind, NO_REQUEST, PROTOCOL_VERSION, Place, Request, Response},
    worker_channel::{Channel, Incoming},
};
use session::Session;

/// A device that is ready to compute.
pub struct EngineDevice {
    pub device: Device,
    /// The adapter's name, on a GPU.
    pub adapter: Option<String>,
    /// See [`Recognizer::with_pad_to_frames_multiple`](shared_model::recognizer::Recognizer).
    pub pad_to_frames_multiple: usize,
    /// Lengths of silence that are recognised when a student is loaded.
    pub warm_up_secs: &'static [usize],
}

/// What a request fails with.
#[derive(Debug)]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
    /// Of a list of phrases: where it is wrong.
    pub at: Option<Place>,
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl ToString) -> Self {
        Self {
            kind,
            message: message.to_string(),
            at: None,
        }
    }
}

impl From<shared_model::recognizer::RecognizeError> for Failure {
    fn from(error: shared_model::recognizer::RecognizeError) -> Self {
        let kind = match error {
            shared_model::recognizer::RecognizeError::Device(_) => FailureKind::Device,
            _ => FailureKind::Model,
        };
        Self::new(kind, error)
    }
}

/// Starts the engine of this worker: sets the device up, tests it, then serves the page.
pub fn start(
    engine: EngineKind,
    device: impl Future<Output = Result<EngineDevice, String>> + 'static,
) {
    console_error_panic_hook::set_once();
    let Some(channel) = Channel::of_worker() else {
        // Opened as a page's script by mistake: there is nobody to answer.
        return;
    };
    channel.report_panics();
    spawn_local(async move {
        let started = channel.now();
        let ready = match device.await {
            Ok(ready) => ready,
            Err(reason) => return channel.post(NO_REQUEST, &Response::Unusable { reason }, None),
        };
        let self_test_error = match crate::self_test::run(&ready.device).await {
            Ok(error) => error,
            Err(error) => {
                let reason = error.to_string();
                return channel.post(NO_REQUEST, &Response::Unusable { reason }, None);
            }
        };
        let adapter = ready.adapter.clone();
        let queue = Rc::new(Queue {
            waiting: RefCell::new(VecDeque::new()),
            session: RefCell::new(Some(Session::new(ready, channel.clone()))),
            channel: channel.clone(),
        });
        channel.on_message(move |incoming| queue.clone().accept(incoming));
        channel.post(
            NO_REQUEST,
            &Response::Ready {
                protocol: PROTOCOL_VERSION,
                engine,
                adapter,
                self_test_error,
                start_ms: channel.now() - started,
            },
            None,
        );
    });
}

/// Requests wait here while one is served. The session is absent while it serves.
struct Queue {
    waiting: RefCell<VecDeque<Incoming>>,
    session: RefCell<Option<Session>>,
    channel: Channel,
}

impl Queue {
    fn accept(self: Rc<Self>, incoming: Incoming) {
        if let Request::Cancel { request } = incoming.request {
            self.channel.cancel(request);
            return;
        }
        if let Request::Piece { of, .. } = incoming.request {
            self.channel.add_piece(of, incoming);
            return;
        }
        self.waiting.borrow_mut().push_back(incoming);
        let Some(mut session) = self.session.borrow_mut().take() else {
            return;
        };
        spawn_local(async move {
            while let Some(next) = self.next() {
                session.serve(next).await;
            }
            *self.session.borrow_mut() = Some(session);
        });
    }

    /// The next request; live audio that piled up while the engine was busy becomes one push, so
    /// that a slow machine does fewer passes instead of falling behind.
    fn next(&self) -> Option<Incoming> {
        let mut waiting = self.waiting.borrow_mut();
        let mut next = waiting.pop_front()?;
        if matches!(next.request, Request::LivePush { .. }) {
            while waiting
                .front()
                .is_some_and(|following| following.request == next.request)
            {
                if let Some(following) = waiting.pop_front() {
                    next.payload.extend(following.payload);
                }
            }
        }
        Some(next)
    }
}
