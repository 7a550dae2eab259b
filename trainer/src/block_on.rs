//! Waits for a future on the calling thread. What the trainer awaits (a recogniser on the CPU, a
//! graphics device) either is ready at once or wakes its waiter.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_that_another_thread_finishes_is_waited_for() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut started = false;
        let value = block_on(std::future::poll_fn(|context| {
            if !started {
                started = true;
                let waker = context.waker().clone();
                let sender = sender.clone();
                std::thread::spawn(move || {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    let _ = sender.send(41);
                    waker.wake();
                });
            }
            receiver.try_recv().map_or(Poll::Pending, Poll::Ready)
        }));
        assert_eq!(value, 41);
    }
}
