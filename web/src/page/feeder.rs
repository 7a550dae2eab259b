//! A recording's way from a tape to a worker.

use std::{cell::Cell, rc::Rc};

use js_sys::ArrayBuffer;

use super::{
    bell::Bell,
    tape::{Copied, Tape},
    turn::Turn,
    worker_client::WorkerClient,
};

/// Sends the later blocks of a recording, each when the one before it was taken.
pub struct Feeder {
    pub client: Rc<WorkerClient>,
    pub request: u32,
    pub tape: Rc<Tape>,
    pub lane: usize,
    pub taken: Rc<(Cell<u32>, Bell)>,
}

impl Feeder {
    pub async fn run(&self, turn: &Turn) {
        let mut sent = 1;
        while turn.is_current() {
            let (count, bell) = &*self.taken;
            bell.until(|| (count.get() >= sent).then_some(())).await;
            // Where the file is damaged the words up to there are still good.
            let spare = || self.client.take_spare();
            let block = self.tape.next(self.lane, spare).await;
            let block = block.unwrap_or_else(|_| Copied {
                samples: ArrayBuffer::new(0),
                is_last: true,
            });
            self.client
                .push_piece(self.request, !block.is_last, block.samples);
            sent += 1;
            if block.is_last {
                break;
            }
        }
    }
}
