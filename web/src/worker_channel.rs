//! A worker's end: messages to and from the page.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeSet, VecDeque},
    rc::Rc,
    task::{Poll, Waker},
};

use js_sys::{ArrayBuffer, Float32Array};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{AbortController, Blob, DedicatedWorkerGlobalScope, MessageEvent};

use crate::{
    protocol::{FailureKind, NO_REQUEST, Request, Response},
    wire,
};

/// One request with its payload: one buffer, or several where requests were joined.
pub struct Incoming {
    pub id: u32,
    pub request: Request,
    pub payload: Vec<ArrayBuffer>,
    pub file: Option<Blob>,
}

impl Incoming {
    /// The payload as f32 samples; a last incomplete one of a buffer is dropped.
    pub fn samples(&self) -> Vec<f32> {
        let count = |buffer: &ArrayBuffer| buffer.byte_length() / 4;
        let total: u32 = self.payload.iter().map(count).sum();
        let mut samples = vec![0.0; total as usize];
        let mut rest = samples.as_mut_slice();
        for buffer in &self.payload {
            let length = count(buffer);
            let (part, later) = rest.split_at_mut(length as usize);
            Float32Array::new_with_byte_offset_and_length(buffer, 0, length).copy_to(part);
            rest = later;
        }
        samples
    }
}

/// Samples in a buffer: `spare`, if it is just as long, else a new one. Buffers that are thrown away
/// pile up until a browser looks for garbage.
pub fn buffer_of(samples: &[f32], spare: Option<ArrayBuffer>) -> ArrayBuffer {
    let fits = |buffer: &ArrayBuffer| buffer.byte_length() as usize == 4 * samples.len();
    match spare.filter(fits) {
        Some(buffer) => {
            Float32Array::new(&buffer).copy_from(samples);
            buffer
        }
        None => Float32Array::from(samples).buffer(),
    }
}

#[derive(Clone)]
pub struct Channel {
    scope: DedicatedWorkerGlobalScope,
    cancelled: Rc<RefCell<BTreeSet<u32>>>,
    /// Request of the running download and what stops it.
    download: Rc<RefCell<Option<(u32, AbortController)>>>,
    /// Parts of the recording under way that nobody took yet, and who waits for one.
    pieces: Rc<RefCell<VecDeque<Incoming>>>,
    wants_piece: Rc<RefCell<Option<Waker>>>,
    /// Ids are given in increasing order: everything up to here was served.
    served: Rc<Cell<u32>>,
}

impl Channel {
    /// `None` outside a dedicated worker.
    pub fn of_worker() -> Option<Self> {
        let scope = js_sys::global().dyn_into().ok()?;
        Some(Self {
            scope,
            cancelled: Rc::default(),
            download: Rc::default(),
            pieces: Rc::default(),
            wants_piece: Rc::default(),
            served: Rc::default(),
        })
    }

    pub fn scope(&self) -> &DedicatedWorkerGlobalScope {
        &self.scope
    }

    /// Milliseconds.
    pub fn now(&self) -> f64 {
        self.scope
            .performance()
            .map_or(0.0, |performance| performance.now())
    }

    pub fn post(&self, id: u32, response: &Response, payload: Option<&[f32]>) {
        let payload = payload.map(|samples| buffer_of(samples, None));
        self.post_buffer(id, response, payload.as_ref());
    }

    pub fn post_buffer(&self, id: u32, response: &Response, payload: Option<&ArrayBuffer>) {
        if let Err(error) = self.try_post(id, response, payload) {
            web_sys::console::error_2(&JsValue::from_str("message not posted:"), &error);
        }
    }

    fn try_post(
        &self,
        id: u32,
        response: &Response,
        payload: Option<&ArrayBuffer>,
    ) -> Result<(), JsValue> {
        let (message, moved) = wire::write(id, response, payload)?;
        self.scope.post_message_with_transfer(&message, &moved)
    }

    /// Tells the page that the worker died before the panic takes it down.
    pub fn report_panics(&self) {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            previous(info);
            // The hook must be Send, a channel is not: take the scope anew.
            if let Some(channel) = Self::of_worker() {
                let message = info.to_string();
                channel.post(NO_REQUEST, &Response::Crashed { message }, None);
            }
        }));
    }

    pub fn on_message(&self, mut accept: impl FnMut(Incoming) + 'static) {
        let channel = self.clone();
        let handler = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            match wire::read(&event.data()) {
                Ok(message) => accept(Incoming {
                    id: message.id,
                    request: message.body,
                    payload: message.payload.into_iter().collect(),
                    file: message.file,
                }),
                Err(error) => {
                    let message = format!("the page sent something unreadable: {error}");
                    let kind = FailureKind::State;
                    let at = None;
                    channel.post(NO_REQUEST, &Response::Failed { kind, message, at }, None);
                }
            }
        });
        self.scope
            .set_onmessage(Some(handler.as_ref().unchecked_ref()));
        // Lives as long as the worker.
        handler.forget();
    }

    pub fn cancel(&self, request: u32) {
        if request <= self.served.get() {
            return;
        }
        self.cancelled.borrow_mut().insert(request);
        if let Some((id, controller)) = self.download.borrow().as_ref()
            && *id == request
        {
            controller.abort();
        }
        self.wake_for_piece();
    }

    /// Keeps a part of the recording that request `of` began; one that comes late is dropped.
    pub fn add_piece(&self, of: u32, piece: Incoming) {
        if of > self.served.get() {
            self.pieces.borrow_mut().push_back(piece);
            self.wake_for_piece();
        }
    }

    /// The next part of the recording under way; `None` once the request is cancelled.
    pub async fn next_piece(&self, request: u32) -> Option<Incoming> {
        std::future::poll_fn(|context| {
            if self.is_cancelled(request) {
                return Poll::Ready(None);
            }
            let piece = self.pieces.borrow_mut().pop_front();
            if piece.is_some() {
                return Poll::Ready(piece);
            }
            *self.wants_piece.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn wake_for_piece(&self) {
        if let Some(waker) = self.wants_piece.borrow_mut().take() {
            waker.wake();
        }
    }

    pub fn is_cancelled(&self, request: u32) -> bool {
        self.cancelled.borrow().contains(&request)
    }

    pub fn set_download(&self, download: Option<(u32, AbortController)>) {
        *self.download.borrow_mut() = download;
    }

    /// Forgets what was kept about requests up to this one.
    pub fn finished(&self, request: u32) {
        self.served.set(self.served.get().max(request));
        self.cancelled.borrow_mut().retain(|id| *id > request);
        self.pieces.borrow_mut().clear();
    }
}
