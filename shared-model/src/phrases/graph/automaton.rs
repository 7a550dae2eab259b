//! Deterministic automata over characters or tokens, and the smallest that accepts the same
//! (Valmari, "Fast brief practical DFA minimization", Information Processing Letters 112, 2012).

/// State 0 is the start. Of a state at most one arc has a symbol.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Automaton {
    pub is_final: Vec<bool>,
    /// From, symbol, to.
    pub arcs: Vec<(u32, u32, u32)>,
}

impl Automaton {
    pub(super) fn num_states(&self) -> usize {
        self.is_final.len()
    }

    /// The automaton with the fewest states that accepts the same. It has no state if nothing is
    /// accepted. States are numbered in the order in which a search in breadth finds them.
    pub(super) fn minimized(mut self) -> Self {
        self.keep_useful();
        if self.num_states() == 0 {
            return self;
        }
        let blocks = self.equivalent_states();
        let block = |state: u32| blocks.set_of[state as usize];
        let mut arcs: Vec<_> = self
            .arcs
            .iter()
            .map(|(from, symbol, to)| (block(*from), *symbol, block(*to)))
            .collect();
        arcs.sort_unstable();
        arcs.dedup();
        let mut is_final = vec![false; blocks.num_sets()];
        for (state, is_accepting) in (0u32..).zip(&self.is_final) {
            is_final[block(state) as usize] |= *is_accepting;
        }
        Self { is_final, arcs }.in_breadth(block(0))
    }

    /// Drops states that the start does not reach or that reach no final state.
    fn keep_useful(&mut self) {
        let reached = self.marked(std::iter::once(0), |(from, _, to)| (from, to));
        let finals = (0u32..)
            .zip(&self.is_final)
            .filter(|(_, is_final)| **is_final);
        let finals: Vec<u32> = finals.map(|(state, _)| state).collect();
        let useful = self.marked(finals.into_iter(), |(from, _, to)| (to, from));
        let mut number = vec![u32::MAX; self.num_states()];
        let mut next = 0;
        for state in 0..self.num_states() {
            if reached[state] && useful[state] {
                number[state] = next;
                next += 1;
            }
        }
        let kept = |state: u32| number[state as usize] != u32::MAX;
        self.arcs.retain(|(from, _, to)| kept(*from) && kept(*to));
        for (from, _, to) in &mut self.arcs {
            (*from, *to) = (number[*from as usize], number[*to as usize]);
        }
        let mut state = 0;
        self.is_final.retain(|_| {
            state += 1;
            number[state - 1] != u32::MAX
        });
    }

    /// The states that a search from `starts` along the arcs finds.
    fn marked(
        &self,
        starts: impl Iterator<Item = u32>,
        ends: impl Fn((u32, u32, u32)) -> (u32, u32),
    ) -> Vec<bool> {
        let neighbours = Neighbours::new(self.num_states(), self.arcs.iter().map(|arc| ends(*arc)));
        let mut marked = vec![false; self.num_states()];
        let mut open: Vec<u32> = starts
            .filter(|state| (*state as usize) < marked.len())
            .collect();
        open.iter().for_each(|state| marked[*state as usize] = true);
        while let Some(state) = open.pop() {
            for arc in neighbours.of(state) {
                let (_, to) = ends(self.arcs[*arc as usize]);
                if !std::mem::replace(&mut marked[to as usize], true) {
                    open.push(to);
                }
            }
        }
        marked
    }

    /// Sets of states from which the same is accepted.
    fn equivalent_states(&self) -> Partition {
        let mut blocks = Partition::new(self.num_states());
        for (state, is_final) in (0u32..).zip(&self.is_final) {
            if *is_final {
                blocks.mark(state);
            }
        }
        blocks.split();
        let mut cords = self.arcs_by_symbol();
        let incoming = Neighbours::new(
            self.num_states(),
            self.arcs.iter().map(|(f, _, t)| (*t, *f)),
        );
        let (mut next_block, mut next_cord) = (1, 0);
        while next_cord < cords.num_sets() {
            for index in cords.range(next_cord) {
                blocks.mark(self.arcs[cords.elements[index] as usize].0);
            }
            blocks.split();
            next_cord += 1;
            while next_block < blocks.num_sets() {
                for index in blocks.range(next_block) {
                    for arc in incoming.of(blocks.elements[index]) {
                        cords.mark(*arc);
                    }
                }
                cords.split();
                next_block += 1;
            }
        }
        blocks
    }

    /// Sets of arcs with one symbol each.
    fn arcs_by_symbol(&self) -> Partition {
        let mut cords = Partition::new(self.arcs.len());
        cords.elements.sort_by_key(|arc| self.arcs[*arc as usize].1);
        cords.bounds.clear();
        let mut start = 0;
        for end in 1..=self.arcs.len() {
            let symbol = |index: usize| self.arcs[cords.elements[index] as usize].1;
            if end == self.arcs.len() || symbol(end) != symbol(start) {
                cords.bounds.push((start, end));
                start = end;
            }
        }
        cords.marked = vec![0; cords.bounds.len()];
        for (set, &(start, end)) in (0u32..).zip(&cords.bounds) {
            for index in start..end {
                let arc = cords.elements[index] as usize;
                cords.place[arc] = index as u32;
                cords.set_of[arc] = set;
            }
        }
        cords
    }

    fn in_breadth(self, start: u32) -> Self {
        let neighbours = Neighbours::new(
            self.num_states(),
            self.arcs.iter().map(|(f, _, t)| (*f, *t)),
        );
        let mut number = vec![u32::MAX; self.num_states()];
        let mut order = vec![start];
        number[start as usize] = 0;
        let mut at = 0;
        while at < order.len() {
            for arc in neighbours.of(order[at]) {
                let to = self.arcs[*arc as usize].2;
                if number[to as usize] == u32::MAX {
                    number[to as usize] = order.len() as u32;
                    order.push(to);
                }
            }
            at += 1;
        }
        let renumbered = self
            .arcs
            .iter()
            .map(|(f, symbol, t)| (number[*f as usize], *symbol, number[*t as usize]));
        let mut arcs: Vec<_> = renumbered.collect();
        arcs.sort_unstable();
        let is_final = order.iter().map(|state| self.is_final[*state as usize]);
        Self {
            is_final: is_final.collect(),
            arcs,
        }
    }
}

/// Indices of the arcs of each state.
pub(super) struct Neighbours {
    first: Vec<u32>,
    arcs: Vec<u32>,
}

impl Neighbours {
    /// `ends`: of each arc, the state that it belongs to first.
    pub(super) fn new(num_states: usize, ends: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        let mut first = vec![0u32; num_states + 1];
        for (state, _) in ends.clone() {
            first[state as usize + 1] += 1;
        }
        for state in 0..num_states {
            first[state + 1] += first[state];
        }
        let mut next = first.clone();
        let mut arcs = vec![0; first[num_states] as usize];
        for (arc, (state, _)) in (0u32..).zip(ends) {
            let place = &mut next[state as usize];
            arcs[*place as usize] = arc;
            *place += 1;
        }
        Self { first, arcs }
    }

    pub(super) fn of(&self, state: u32) -> &[u32] {
        let state = state as usize;
        &self.arcs[self.first[state] as usize..self.first[state + 1] as usize]
    }
}

/// Elements in disjoint sets that can be split in time of what was marked.
struct Partition {
    /// Set after set.
    elements: Vec<u32>,
    /// Where each element stands among them.
    place: Vec<u32>,
    set_of: Vec<u32>,
    bounds: Vec<(usize, usize)>,
    /// How many elements of each set are marked; they stand first.
    marked: Vec<usize>,
    touched: Vec<u32>,
}

impl Partition {
    /// All in one set.
    fn new(count: usize) -> Self {
        Self {
            elements: (0..count as u32).collect(),
            place: (0..count as u32).collect(),
            set_of: vec![0; count],
            bounds: if count > 0 {
                vec![(0, count)]
            } else {
                Vec::new()
            },
            marked: vec![0; usize::from(count > 0)],
            touched: Vec::new(),
        }
    }

    fn num_sets(&self) -> usize {
        self.bounds.len()
    }

    fn range(&self, set: usize) -> std::ops::Range<usize> {
        self.bounds[set].0..self.bounds[set].1
    }

    /// Marks an element that is not marked yet; one that is stays so.
    fn mark(&mut self, element: u32) {
        let set = self.set_of[element as usize];
        let at = self.place[element as usize] as usize;
        let border = self.bounds[set as usize].0 + self.marked[set as usize];
        if at < border {
            return;
        }
        let other = self.elements[border];
        self.elements.swap(at, border);
        self.place[other as usize] = at as u32;
        self.place[element as usize] = border as u32;
        if self.marked[set as usize] == 0 {
            self.touched.push(set);
        }
        self.marked[set as usize] += 1;
    }

    /// Parts the marked elements of each set from the others; the smaller part is the new set.
    fn split(&mut self) {
        while let Some(set) = self.touched.pop() {
            let (start, end) = self.bounds[set as usize];
            let border = start + std::mem::take(&mut self.marked[set as usize]);
            if border == end {
                continue;
            }
            let new = if border - start <= end - border {
                self.bounds[set as usize] = (border, end);
                (start, border)
            } else {
                self.bounds[set as usize] = (start, border);
                (border, end)
            };
            for index in new.0..new.1 {
                self.set_of[self.elements[index] as usize] = self.bounds.len() as u32;
            }
            self.bounds.push(new);
            self.marked.push(0);
        }
    }
}
