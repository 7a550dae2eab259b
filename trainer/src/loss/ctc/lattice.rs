//! The states that an alignment passes through: blank, label, blank, label, ..., blank.

use shared_model::tokens::BLANK_ID;

/// The states of one feasible utterance. An alignment is in one state at each frame; it starts in
/// one of the first two, ends in one of the last two, and from one frame to the next stays, goes on
/// to the next state, or skips the blank between two different labels.
pub(super) struct Lattice<'a> {
    pub target: &'a [u32],
    pub frames: usize,
    pub states: usize,
}

impl<'a> Lattice<'a> {
    pub fn new(target: &'a [u32], frames: usize) -> Self {
        Self {
            target,
            frames,
            states: 2 * target.len() + 1,
        }
    }

    /// Class that state `state` stands for.
    pub fn class(&self, state: usize) -> usize {
        if state.is_multiple_of(2) {
            BLANK_ID as usize
        } else {
            self.target[state / 2] as usize
        }
    }

    /// Whether `state` may be entered from the label before it.
    pub fn may_skip_to(&self, state: usize) -> bool {
        state >= 3 && state % 2 == 1 && self.target[state / 2] != self.target[state / 2 - 1]
    }

    /// States at `frame` that are reachable from the start and can still reach the end, but for
    /// the blanks that equal neighbours need.
    pub fn window(&self, frame: usize) -> std::ops::RangeInclusive<usize> {
        let first = self.states.saturating_sub(2 * (self.frames - frame));
        first..=(2 * frame + 1).min(self.states - 1)
    }
}
