//! A recording on its way to several lanes: each takes block after block at its own pace, and none is
//! kept that all have taken.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use js_sys::{ArrayBuffer, Float32Array};

use super::{bell::Bell, worker_client::Failure};

/// Blocks that the fastest lane may be ahead.
const MAX_BLOCKS: usize = 4;

/// Mono samples.
#[derive(Clone)]
pub struct Block {
    pub samples: Float32Array,
    pub is_last: bool,
}

/// A lane's own copy of a block: what is sent to a worker is taken away, and other lanes need it.
pub struct Copied {
    pub samples: ArrayBuffer,
    pub is_last: bool,
}

impl Block {
    /// `spare`: a buffer that may be written into.
    fn copied(&self, spare: Option<ArrayBuffer>) -> Copied {
        let fits = |buffer: &ArrayBuffer| buffer.byte_length() == 4 * self.samples.length();
        let samples = match spare.filter(fits) {
            Some(buffer) => {
                Float32Array::new(&buffer).set(&self.samples, 0);
                buffer
            }
            None => self.samples.slice(0, self.samples.length()).buffer(),
        };
        Copied {
            samples,
            is_last: self.is_last,
        }
    }
}

/// A lane, and the number of the block that it takes next.
struct Taker {
    lane: usize,
    next: usize,
}

pub struct Tape {
    pub sample_rate_hz: u32,
    /// How long the recording is, where that is known.
    pub expected_secs: Option<f64>,
    blocks: RefCell<VecDeque<Block>>,
    /// Number of the first block that is kept.
    first: Cell<usize>,
    takers: RefCell<Vec<Taker>>,
    failure: RefCell<Option<Failure>>,
    /// The buffer of a block that all have taken.
    spare: RefCell<Option<ArrayBuffer>>,
    bell: Bell,
}

impl Tape {
    pub fn new(sample_rate_hz: u32, expected_secs: Option<f64>, lanes: &[usize]) -> Self {
        let takers = lanes.iter().map(|&lane| Taker { lane, next: 0 });
        Self {
            sample_rate_hz,
            expected_secs,
            blocks: RefCell::default(),
            first: Cell::default(),
            takers: RefCell::new(takers.collect()),
            failure: RefCell::default(),
            spare: RefCell::default(),
            bell: Bell::default(),
        }
    }

    /// Adds a block once there is room; false if nobody takes any more.
    pub async fn push(&self, block: Block) -> bool {
        let room = || {
            if self.takers.borrow().is_empty() {
                return Some(false);
            }
            (self.blocks.borrow().len() < MAX_BLOCKS).then_some(true)
        };
        let is_wanted = self.bell.until(room).await;
        if is_wanted {
            self.blocks.borrow_mut().push_back(block);
            self.bell.ring();
        }
        is_wanted
    }

    /// No more blocks come, for this reason.
    pub fn fail(&self, failure: Failure) {
        *self.failure.borrow_mut() = Some(failure);
        self.bell.ring();
    }

    /// A buffer for the next block.
    pub fn take_spare(&self) -> Option<ArrayBuffer> {
        self.spare.borrow_mut().take()
    }

    /// The next block for a lane, in the buffer that `spare` gives, if that is just as long.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn next(
        &self,
        lane: usize,
        spare: impl FnOnce() -> Option<ArrayBuffer>,
    ) -> Result<Copied, Failure> {
        self.bell
            .until(|| {
                let number = self.next_of(lane)?;
                let block = self
                    .blocks
                    .borrow()
                    .get(number.checked_sub(self.first.get())?)
                    .cloned();
                match block {
                    Some(block) => Some(Ok((number, block))),
                    None => self.failure.borrow().clone().map(Err),
                }
            })
            .await
            .map(|(number, block)| {
                let copied = block.copied(spare());
                self.set_next(lane, number + 1);
                self.forget();
                copied
            })
    }

    /// Begins anew for a lane; false if its first block is gone.
    pub fn rewind(&self, lane: usize) -> bool {
        let is_whole = self.first.get() == 0;
        if is_whole {
            self.set_next(lane, 0);
        }
        is_whole
    }

    /// A lane takes no more.
    pub fn leave(&self, lane: usize) {
        self.takers.borrow_mut().retain(|taker| taker.lane != lane);
        self.forget();
    }

    fn next_of(&self, lane: usize) -> Option<usize> {
        let takers = self.takers.borrow();
        let taker = takers.iter().find(|taker| taker.lane == lane)?;
        Some(taker.next)
    }

    /// A lane that had left takes again.
    fn set_next(&self, lane: usize, next: usize) {
        let mut takers = self.takers.borrow_mut();
        match takers.iter_mut().find(|taker| taker.lane == lane) {
            Some(taker) => taker.next = next,
            None => takers.push(Taker { lane, next }),
        }
    }

    /// Gives back what all have taken, but for a recording of few blocks: it may be begun anew.
    fn forget(&self) {
        let least = self
            .takers
            .borrow()
            .iter()
            .map(|taker| taker.next)
            .min()
            .unwrap_or(usize::MAX);
        let mut blocks = self.blocks.borrow_mut();
        while blocks.len() >= MAX_BLOCKS && self.first.get() < least {
            let gone = blocks.pop_front().map(|block| block.samples.buffer());
            *self.spare.borrow_mut() = gone;
            self.first.set(self.first.get() + 1);
        }
        drop(blocks);
        self.bell.ring();
    }
}
