//! What paths have passed, as a tree with parent pointers.

/// No link.
pub(super) const NONE: u32 = u32::MAX;
/// Links before those that no path needs are dropped for the first time: 4 MB.
const FIRST_SWEEP: usize = 1 << 18;

/// What a link remembers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    /// A letter that belongs to no phrase.
    Background,
    /// The first token of a phrase.
    First(u32),
    /// A later one.
    Next(u32),
    /// A phrase was over; the natural-log probability of it and nothing else since the word before.
    End { log_prob: f32 },
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub previous: u32,
    pub frame: u32,
    pub step: Step,
}

/// All links that are still needed, and some that are not.
#[derive(Debug)]
pub(super) struct Links {
    links: Vec<Link>,
    next_sweep: usize,
}

impl Links {
    pub(super) fn new() -> Self {
        Self {
            links: Vec::new(),
            next_sweep: FIRST_SWEEP,
        }
    }

    pub(super) fn add(&mut self, previous: u32, frame: u32, step: Step) -> u32 {
        self.links.push(Link {
            previous,
            frame,
            step,
        });
        (self.links.len() - 1) as u32
    }

    /// The links that lead to `link`, in the order they were passed.
    pub(super) fn path(&self, mut link: u32) -> Vec<Link> {
        let mut path = Vec::new();
        while link != NONE {
            path.push(self.links[link as usize]);
            link = self.links[link as usize].previous;
        }
        path.reverse();
        path
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    pub(super) fn want_sweep(&self) -> bool {
        self.links.len() >= self.next_sweep
    }

    /// Drops what none of `kept` leads back to, and gives these their new numbers.
    pub(super) fn sweep<'a>(&mut self, kept: impl Iterator<Item = &'a mut u32>) {
        const UNSEEN: u32 = NONE;
        let mut number = vec![UNSEEN; self.links.len()];
        let kept: Vec<&mut u32> = kept.filter(|link| **link != NONE).collect();
        for link in &kept {
            let mut at = **link;
            while at != NONE && number[at as usize] == UNSEEN {
                number[at as usize] = 0;
                at = self.links[at as usize].previous;
            }
        }
        let mut next = 0;
        for index in 0..self.links.len() {
            if number[index] == UNSEEN {
                continue;
            }
            let mut link = self.links[index];
            // A link is younger than the one before it, which has its new number already.
            if link.previous != NONE {
                link.previous = number[link.previous as usize];
            }
            self.links[next] = link;
            number[index] = next as u32;
            next += 1;
        }
        self.links.truncate(next);
        for link in kept {
            *link = number[*link as usize];
        }
        self.next_sweep = FIRST_SWEEP.max(2 * next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_keeps_every_path_that_is_wanted_and_nothing_else() {
        let mut links = Links::new();
        let a = links.add(NONE, 0, Step::First(1));
        let lost = links.add(a, 1, Step::Next(2));
        links.add(lost, 2, Step::Next(3));
        let mut b = links.add(a, 3, Step::Next(4));
        let mut c = links.add(b, 4, Step::End { log_prob: -1.0 });
        let mut none = NONE;
        let frames = |links: &Links, link| -> Vec<u32> {
            links.path(link).iter().map(|link| link.frame).collect()
        };
        links.sweep([&mut b, &mut c, &mut none].into_iter());
        assert_eq!(links.links.len(), 3);
        assert_eq!(frames(&links, b), [0, 3]);
        assert_eq!(frames(&links, c), [0, 3, 4]);
        assert_eq!(none, NONE);
    }
}
