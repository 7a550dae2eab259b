//! What a part of the page tells the page.

use std::{cell::RefCell, rc::Rc};

/// What happens while the page listens.
pub enum ListeningEvent {
    /// Seconds since the start.
    Clock(f64),
    /// For the visitor; empty when the last one holds no longer.
    Warning(String),
    /// The microphone is given back, and everything that it heard is there.
    Stopped,
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
