//! Turns of the worker's event loop.
//!
//! A future that wakes itself is polled again before the browser delivers the next message, so a
//! long computation that yields between its parts would still be deaf to "cancel". [`in_turns`]
//! puts a turn of the event loop in between.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker, ready},
};

use js_sys::{Function, Promise};
use wasm_bindgen_futures::JsFuture;
use web_sys::DedicatedWorkerGlobalScope;

/// Runs `future`; each time it yields, the messages that came in are delivered first.
pub fn in_turns<F: Future>(scope: &DedicatedWorkerGlobalScope, future: F) -> InTurns<F> {
    InTurns {
        scope: scope.clone(),
        future: Box::pin(future),
        turn: None,
    }
}

pub struct InTurns<F> {
    scope: DedicatedWorkerGlobalScope,
    future: Pin<Box<F>>,
    turn: Option<JsFuture>,
}

/// Tells a future that woke itself (it yields) from one that waits for something else.
struct Bell {
    rung: AtomicBool,
    outer: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Relaxed);
        self.outer.wake_by_ref();
    }
}

impl<F: Future> Future for InTurns<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if let Some(turn) = &mut self.turn {
            // A timer that fails to be set is a turn that is over.
            let _ = ready!(Pin::new(turn).poll(context));
            self.turn = None;
        }
        let bell = Arc::new(Bell {
            rung: AtomicBool::new(false),
            outer: context.waker().clone(),
        });
        let waker = Waker::from(bell.clone());
        if let Poll::Ready(value) = self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Poll::Ready(value);
        }
        if bell.rung.load(Ordering::Relaxed) {
            let scope = self.scope.clone();
            let promise = Promise::new(&mut |resolve: Function, reject: Function| {
                if scope
                    .set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, 0)
                    .is_err()
                {
                    let _ = reject.call0(&wasm_bindgen::JsValue::NULL);
                }
            });
            // It was woken already: the next poll waits for the timer.
            self.turn = Some(JsFuture::from(promise));
        }
        Poll::Pending
    }
}
