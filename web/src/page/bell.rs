//! Waiting for something to change.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

/// Wakes everybody who waits; each looks for himself whether it was for him.
#[derive(Default)]
pub struct Bell(RefCell<Vec<Waker>>);

impl Bell {
    pub fn ring(&self) {
        for waker in self.0.take() {
            waker.wake();
        }
    }

    /// Waits until `look` finds something; it looks at once and after each ring.
    pub async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        poll_fn(|context| match look() {
            Some(found) => Poll::Ready(found),
            None => {
                self.0.borrow_mut().push(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

/// Lets one in after another.
#[derive(Default)]
pub struct Gate {
    next: Cell<u32>,
    serving: Rc<(Cell<u32>, Bell)>,
}

/// Lets the next one in when it is dropped.
pub struct Pass(Rc<(Cell<u32>, Bell)>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() + 1);
        self.0.1.ring();
    }
}

impl Gate {
    /// In the order of asking. Who asks must wait to the end, else nobody behind is let in.
    pub async fn enter(&self) -> Pass {
        let number = self.next.get();
        self.next.set(number + 1);
        let (now, bell) = &*self.serving;
        bell.until(|| (now.get() == number).then_some(())).await;
        Pass(self.serving.clone())
    }
}
