//! What the visitor asked for last: whatever was begun before it gives way.

use std::{cell::Cell, rc::Rc};

#[derive(Clone, Default)]
pub struct Turns(Rc<Cell<u32>>);

/// Something that was begun; it goes on while nothing else was.
#[derive(Clone)]
pub struct Turn {
    number: u32,
    now: Rc<Cell<u32>>,
}

impl Turns {
    pub fn begin(&self) -> Turn {
        self.0.set(self.0.get() + 1);
        Turn {
            number: self.0.get(),
            now: self.0.clone(),
        }
    }
}

impl Turn {
    pub fn is_current(&self) -> bool {
        self.now.get() == self.number
    }
}
