//! A weighted automaton, and its form in a file of OpenFST.

/// A state's number.
pub(super) type State = u32;

/// A step that reads a label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Arc {
    /// From 1.
    pub label: u32,
    /// Cost: a negative natural logarithm.
    pub weight: f32,
    pub next: State,
}

/// States with their arcs and what it costs to end in them.
#[derive(Debug, Default)]
pub(super) struct Fst {
    finals: Vec<f32>,
    arcs: Vec<Vec<Arc>>,
}

impl Fst {
    /// A new state without arcs, in which no path may end.
    pub(super) fn add_state(&mut self) -> State {
        self.finals.push(f32::INFINITY);
        self.arcs.push(Vec::new());
        self.finals.len() as State - 1
    }

    pub(super) fn add_arc(&mut self, from: State, label: u32, weight: f32, next: State) {
        self.arcs[from as usize].push(Arc {
            label,
            weight,
            next,
        });
    }

    /// Paths may end in the state at this cost, or at a lower one that was set before.
    pub(super) fn end(&mut self, state: State, weight: f32) {
        let end = &mut self.finals[state as usize];
        *end = end.min(weight);
    }

    pub(super) fn arcs(&self, state: State) -> &[Arc] {
        &self.arcs[state as usize]
    }

    pub(super) fn num_states(&self) -> usize {
        self.arcs.len()
    }

    pub(super) fn num_arcs(&self) -> usize {
        self.arcs.iter().map(Vec::len).sum()
    }

    /// A `VectorFst<StdArc>` as OpenFST 1.x reads it (`fst/vector-fst.h`, version 2): numbers in little
    /// endian, both labels of an arc the same or, where words are not told apart, the second one 0.
    pub(super) fn to_openfst(&self, start: State) -> Vec<u8> {
        const MAGIC: i32 = 2_125_659_606;
        const VERSION: i32 = 2;
        // Expanded and mutable; what else holds is left to be found out.
        const PROPERTIES: u64 = 3;
        const ARC_BYTES: usize = 16;
        const STATE_BYTES: usize = 12;
        let mut out =
            Vec::with_capacity(100 + STATE_BYTES * self.num_states() + ARC_BYTES * self.num_arcs());
        out.extend(MAGIC.to_le_bytes());
        for name in ["vector", "standard"] {
            out.extend((name.len() as i32).to_le_bytes());
            out.extend(name.as_bytes());
        }
        out.extend(VERSION.to_le_bytes());
        out.extend(0i32.to_le_bytes());
        out.extend(PROPERTIES.to_le_bytes());
        for number in [start as usize, self.num_states(), self.num_arcs()] {
            out.extend((number as i64).to_le_bytes());
        }
        for (end, arcs) in self.finals.iter().zip(&self.arcs) {
            out.extend(end.to_le_bytes());
            out.extend((arcs.len() as i64).to_le_bytes());
            for arc in arcs {
                out.extend(arc.label.to_le_bytes());
                out.extend(0u32.to_le_bytes());
                out.extend(arc.weight.to_le_bytes());
                out.extend(arc.next.to_le_bytes());
            }
        }
        out
    }
}
