//! What a part of the page tells the page.

use std::{cell::RefCell, rc::Rc};

use super::worker_client::Failure;
use crate::protocol::LiveSegment;

/// What happens while the page listens, in this order.
pub enum ListeningEvent {
    /// The student is ready; the browser is asked for the microphone.
    Opening,
    Started,
    /// Seconds since the start.
    Clock(f64),
    Heard(Vec<LiveSegment>),
    /// For the visitor; empty when the last one holds no longer.
    Warning(String),
    /// The microphone is given back; the last words are on their way.
    Finishing,
    Ended(Result<(), Failure>),
    /// The engine failed; the session is still to be ended.
    Failed(Failure),
}

/// The way from a part to the page, which is built after its parts.
#[derive(Clone, Default)]
pub struct PageEvents {
    handler: Rc<RefCell<Option<Handler>>>,
}

type Handler = Rc<dyn Fn(ListeningEvent)>;

impl PageEvents {
    pub fn connect(&self, handler: impl Fn(ListeningEvent) + 'static) {
        *self.handler.borrow_mut() = Some(Rc::new(handler));
    }

    pub fn send(&self, event: ListeningEvent) {
        let handler = self.handler.borrow().clone();
        if let Some(handler) = handler {
            handler(event);
        }
    }
}
