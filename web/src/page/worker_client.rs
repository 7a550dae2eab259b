//! The page's end of a worker: requests out, answers back to whoever asked.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use js_sys::{ArrayBuffer, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{Blob, ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::dom::words_of;
use crate::{
    protocol::{
        EngineKind, FailureKind, LiveSegment, NO_REQUEST, PROTOCOL_VERSION, Place, Request,
        Response,
    },
    wire,
};

/// A request that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
    /// Of a list of phrases: where it is wrong.
    pub at: Option<Place>,
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            at: None,
        }
    }

    /// Something was asked for out of order.
    pub fn state(message: &str) -> Self {
        Self::new(FailureKind::State, message)
    }
}

/// The answer to a request.
pub struct Answer {
    pub response: Response,
    pub payload: Option<ArrayBuffer>,
}

/// What an engine said about itself when it was ready; nothing of the reader of audio files.
#[derive(Debug, Clone, Default)]
pub struct Started {
    pub adapter: Option<String>,
    pub self_test_error: f32,
    pub start_ms: f64,
}

/// A value that comes later, once.
struct Slot<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

/// What will be there once it is given.
pub struct Later<T>(Rc<RefCell<Slot<T>>>);

impl<T> Later<T> {
    fn new() -> Self {
        Self(Rc::new(RefCell::new(Slot {
            value: None,
            waker: None,
        })))
    }
    fn handle(&self) -> Self {
        Self(self.0.clone())
    }
    fn give(&self, value: T) {
        let waker = {
            let mut slot = self.0.borrow_mut();
            slot.value = Some(value);
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Later<T> {
    type Output = T;
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.0.borrow_mut();
        match slot.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Is told what comes before an answer. One type for all callbacks, so that requests are compiled once.
pub type Progress = Rc<dyn Fn(&Response)>;
/// Gets the segments of a live session, and its failures.
pub type LiveHandler = Rc<dyn Fn(Result<Vec<LiveSegment>, Failure>)>;

struct Pending {
    id: u32,
    progress: Option<Progress>,
    answer: Later<Result<Answer, Failure>>,
}

pub struct WorkerClient {
    worker: Worker,
    next_id: Cell<u32>,
    /// Never more than a few.
    pending: RefCell<Vec<Pending>>,
    /// The request that began the live session, and who gets its words.
    live: RefCell<Option<(u32, LiveHandler)>>,
    start: Later<Result<Started, String>>,
    /// Why nothing can be asked any more.
    dead: RefCell<Option<String>>,
    /// A buffer that came back, for the next samples.
    spare: RefCell<Option<ArrayBuffer>>,
}

impl WorkerClient {
    /// Starts an engine and waits for it to pass its self-test; the reason if it cannot be used.
    pub async fn start_engine(
        kind: EngineKind,
        module: JsValue,
    ) -> Result<(Rc<Self>, Started), String> {
        let program = match kind {
            EngineKind::Cpu => "engine-cpu",
            EngineKind::WebGpu => "engine-webgpu",
        };
        Self::start(program, module).await
    }

    /// Starts a reader of audio files.
    pub async fn start_reader(program: &str, module: JsValue) -> Result<Rc<Self>, String> {
        Ok(Self::start(program, module).await?.0)
    }

    async fn start(program: &str, module: JsValue) -> Result<(Rc<Self>, Started), String> {
        let client = Self::spawn(program, &module).map_err(|error| words_of(&error))?;
        match client.start.handle().await {
            Ok(started) => Ok((client, started)),
            Err(reason) => {
                client.stop("it was not started");
                Err(reason)
            }
        }
    }

    /// `worker.js` takes the compiled program with its first message.
    fn spawn(program: &str, module: &JsValue) -> Result<Rc<Self>, JsValue> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let url = super::fetch::resolve("worker.js")?;
        let worker = Worker::new_with_options(&url, &options)?;
        let first = Object::new();
        let script = super::fetch::resolve(&format!("{program}.js"))?;
        Reflect::set(&first, &"script".into(), &script.into())?;
        Reflect::set(&first, &"module".into(), module)?;
        worker.post_message(&first)?;
        let client = Rc::new(Self {
            worker: worker.clone(),
            next_id: Cell::new(NO_REQUEST + 1),
            pending: RefCell::default(),
            live: RefCell::default(),
            start: Later::new(),
            dead: RefCell::default(),
            spare: RefCell::default(),
        });
        let weak = Rc::downgrade(&client);
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(client) = weak.upgrade() {
                client.receive(&event.data());
            }
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        on_message.forget();
        let weak = Rc::downgrade(&client);
        let on_error = Closure::<dyn FnMut(ErrorEvent)>::new(move |event: ErrorEvent| {
            event.prevent_default();
            if let Some(client) = weak.upgrade() {
                let message = event.message();
                client.die(if message.is_empty() {
                    "its program could not be loaded".to_owned()
                } else {
                    message
                });
            }
        });
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        on_error.forget();
        Ok(client)
    }

    /// Ends the worker; everything pending fails.
    pub fn stop(&self, reason: &str) {
        self.worker.terminate();
        self.die(reason.to_owned());
    }

    pub fn is_dead(&self) -> bool {
        self.dead.borrow().is_some()
    }

    fn die(&self, reason: String) {
        if self.is_dead() {
            return;
        }
        self.worker.terminate();
        *self.dead.borrow_mut() = Some(reason.clone());
        self.start.give(Err(reason.clone()));
        let failure = stopped(&reason);
        let pending = std::mem::take(&mut *self.pending.borrow_mut());
        for request in pending {
            request.answer.give(Err(failure.clone()));
        }
        let live = self.live.borrow_mut().take();
        if let Some((_, handler)) = live {
            handler(Err(failure));
        }
    }

    /// The id that the next request will have, for [`Self::cancel`].
    pub fn next_id(&self) -> u32 {
        self.next_id.get()
    }

    /// Sends a request at once, and waits for its answer; `progress` sees what comes before it.
    pub fn request(
        &self,
        request: &Request,
        payload: Option<ArrayBuffer>,
        progress: Option<Progress>,
    ) -> Later<Result<Answer, Failure>> {
        self.send(request, payload, None, progress)
    }

    /// As [`Self::request`], with a file.
    pub fn request_with_file(
        &self,
        request: &Request,
        file: &Blob,
    ) -> Later<Result<Answer, Failure>> {
        self.send(request, None, Some(file), None)
    }

    fn send(
        &self,
        request: &Request,
        payload: Option<ArrayBuffer>,
        file: Option<&Blob>,
        progress: Option<Progress>,
    ) -> Later<Result<Answer, Failure>> {
        let answer = Later::new();
        if let Some(reason) = self.dead.borrow().as_ref() {
            answer.give(Err(stopped(reason)));
            return answer;
        }
        self.pending.borrow_mut().push(Pending {
            id: self.next_id.get(),
            progress,
            answer: answer.handle(),
        });
        self.post(request, payload, file);
        answer
    }

    fn take_pending(&self, id: u32) -> Option<Pending> {
        let mut pending = self.pending.borrow_mut();
        let place = pending.iter().position(|request| request.id == id)?;
        Some(pending.remove(place))
    }

    /// The next samples of the recording that request `of` began, without an answer of its own.
    pub fn push_piece(&self, of: u32, more: bool, samples: ArrayBuffer) {
        self.post(&Request::Piece { of, more }, Some(samples), None);
    }

    /// A buffer of samples that the worker has taken.
    pub fn take_spare(&self) -> Option<ArrayBuffer> {
        self.spare.borrow_mut().take()
    }

    /// Asks the worker to stop a request; its answer still comes.
    pub fn cancel(&self, request: u32) {
        self.post(&Request::Cancel { request }, None, None);
    }

    /// Live audio of the session that request `of` began, without an answer.
    pub fn push_live(&self, of: u32, samples: ArrayBuffer) {
        self.post(&Request::LivePush { of }, Some(samples), None);
    }

    /// Who gets the segments of the live session that the next request begins, and the failures of
    /// live pushes.
    pub fn set_live_handler(&self, handler: Option<LiveHandler>) {
        *self.live.borrow_mut() = handler.map(|handler| (self.next_id.get(), handler));
    }

    fn post(&self, request: &Request, payload: Option<ArrayBuffer>, file: Option<&Blob>) {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        if let Err(error) = self.try_post(id, request, payload, file) {
            self.settle(id, Err(Failure::new(FailureKind::State, words_of(&error))));
        }
    }

    fn try_post(
        &self,
        id: u32,
        request: &Request,
        payload: Option<ArrayBuffer>,
        file: Option<&Blob>,
    ) -> Result<(), JsValue> {
        let (message, moved) = wire::write(id, request, payload.as_ref())?;
        if let Some(file) = file {
            Reflect::set(&message, &"file".into(), file)?;
        }
        self.worker.post_message_with_transfer(&message, &moved)
    }

    fn receive(&self, message: &JsValue) {
        let Ok(wire::Message {
            id,
            body: response,
            payload,
            ..
        }) = wire::read(message)
        else {
            return self.die(OTHER_BUILD.to_owned());
        };
        match response {
            Response::Ready { protocol, .. } | Response::ReaderReady { protocol }
                if protocol != PROTOCOL_VERSION =>
            {
                self.die(OTHER_BUILD.to_owned());
            }
            Response::ReaderReady { .. } => self.start.give(Ok(Started::default())),
            Response::Ready {
                adapter,
                self_test_error,
                start_ms,
                ..
            } => self.start.give(Ok(Started {
                adapter,
                self_test_error,
                start_ms,
            })),
            Response::Unusable { reason } => self.die(reason),
            Response::Crashed { message } => self.die(message),
            Response::Loading(_) | Response::Transcribing { .. } | Response::Taken => {
                if payload.is_some() {
                    *self.spare.borrow_mut() = payload;
                }
                let progress = {
                    let pending = self.pending.borrow();
                    let found = pending.iter().find(|request| request.id == id);
                    found.and_then(|request| request.progress.clone())
                };
                if let Some(progress) = progress {
                    progress(&response);
                }
            }
            Response::Live(segments) => self.tell_live(Some(id), Ok(segments)),
            Response::Failed { kind, message, at } => {
                self.settle(id, Err(Failure { kind, message, at }));
            }
            Response::Loaded(_)
            | Response::Transcribed { .. }
            | Response::LogProbs { .. }
            | Response::Opened { .. }
            | Response::Block { .. }
            | Response::ErrorRate { .. }
            | Response::PhrasesChecked { .. }
            | Response::LiveStarted
            | Response::LiveEnded => self.settle(id, Ok(Answer { response, payload })),
        }
    }

    fn settle(&self, id: u32, answer: Result<Answer, Failure>) {
        match (self.take_pending(id), answer) {
            (Some(pending), answer) => pending.answer.give(answer),
            // Only live pushes fail without anybody waiting.
            (None, Err(failure)) => self.tell_live(None, Err(failure)),
            (None, Ok(_)) => {}
        }
    }

    /// `id`: of the session that it comes from, where that is told.
    fn tell_live(&self, id: Option<u32>, event: Result<Vec<LiveSegment>, Failure>) {
        let handler = self.live.borrow().clone();
        if let Some((session, handler)) = handler
            && id.is_none_or(|id| id == session)
        {
            handler(event);
        }
    }
}

fn stopped(reason: &str) -> Failure {
    Failure::new(FailureKind::Device, format!("the worker stopped: {reason}"))
}

const OTHER_BUILD: &str = "the page and its workers are of different versions: reload the page";
