//! The paths that are kept after a frame: inside phrases, and in the speech around them.

use super::links::NONE;
use crate::tokens::BLANK_ID;

/// Below this difference the smaller term is lost in rounding: exp(-17) is less than 2^-24.
const LOST_NATS: f32 = 17.0;

/// What leads to a place: the best path through the background, and all alignments of a phrase.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    /// Natural log, shifted so that the best path has 0.
    pub score: f32,
    /// The score where the word before ended.
    pub base: f32,
    /// What tells the moment of that and the characters said since from others.
    pub key: u64,
    pub link: u32,
}

impl Path {
    pub(super) const START: Self = Self {
        score: 0.0,
        base: 0.0,
        key: 0,
        link: NONE,
    };
    pub(super) const IMPOSSIBLE: Self = Self {
        score: f32::NEG_INFINITY,
        base: 0.0,
        key: 0,
        link: NONE,
    };

    pub(super) fn plus(self, score: f32) -> Self {
        Self {
            score: self.score + score,
            ..self
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        if other.score > self.score {
            other
        } else {
            self
        }
    }

    /// With other alignments, if they are of the same characters since the same moment.
    pub(super) fn with(self, other: Self) -> Self {
        if self.key == other.key {
            self.joined(other)
        } else {
            self
        }
    }

    /// Both together if they are alignments of the same characters since the same moment, else the
    /// better.
    fn joined(self, other: Self) -> Self {
        let (best, less) = if other.score > self.score {
            (other, self)
        } else {
            (self, other)
        };
        if best.key != less.key || less.score < best.score - LOST_NATS {
            return best;
        }
        best.plus((less.score - best.score).exp().ln_1p())
    }

    pub(super) fn is_possible(&self) -> bool {
        self.score > f32::NEG_INFINITY
    }
}

/// The two best paths whose last tokens differ: whoever adds a token may not repeat the last one.
#[derive(Debug, Clone, Copy)]
pub(super) struct BestTwo {
    /// Last token (0 for blank) and path.
    best: (u32, Path),
    other: Path,
}

impl BestTwo {
    pub(super) fn new() -> Self {
        Self {
            best: (0, Path::IMPOSSIBLE),
            other: Path::IMPOSSIBLE,
        }
    }

    pub(super) fn add(&mut self, token: u32, path: Path) {
        if path.score > self.best.1.score {
            if token != self.best.0 {
                self.other = self.best.1;
            }
            self.best = (token, path);
        } else if token != self.best.0 {
            self.other = self.other.or(path);
        }
    }

    /// The best path that `token` may follow; anything may follow a blank, and a blank anything.
    pub(super) fn before(&self, token: u32) -> Path {
        if self.best.0 == token && token != BLANK_ID {
            self.other
        } else {
            self.best.1
        }
    }
}

/// Paths by place, each place at most once.
#[derive(Debug)]
pub(super) struct Active {
    pub paths: Vec<(u32, Path)>,
    /// Index in `paths` of each place, or [`NONE`].
    index: Vec<u32>,
}

impl Active {
    pub(super) fn new(num_places: usize) -> Self {
        Self {
            paths: Vec::new(),
            index: vec![NONE; num_places],
        }
    }

    pub(super) fn clear(&mut self) {
        for (place, _) in &self.paths {
            self.index[*place as usize] = NONE;
        }
        self.paths.clear();
    }

    /// What leads to a place so far.
    pub(super) fn path(&self, place: u32) -> Option<Path> {
        let index = self.index[place as usize];
        self.paths.get(index as usize).map(|(_, path)| *path)
    }

    /// Joins a path to the one that leads to the same place already.
    pub(super) fn add(&mut self, place: u32, path: Path) {
        let index = &mut self.index[place as usize];
        if *index == NONE {
            *index = self.paths.len() as u32;
            self.paths.push((place, path));
        } else {
            let known = &mut self.paths[*index as usize].1;
            *known = known.joined(path);
        }
    }

    /// Drops paths below `least`, and the worst of more than `most`.
    pub(super) fn prune(&mut self, least: f32, most: usize) {
        let index = &mut self.index;
        let mut drop_if = |paths: &mut Vec<(u32, Path)>, least: f32| {
            paths.retain(|(place, path)| {
                let is_kept = path.score >= least;
                if !is_kept {
                    index[*place as usize] = NONE;
                }
                is_kept
            });
        };
        drop_if(&mut self.paths, least);
        if self.paths.len() > most {
            let mut scores: Vec<f32> = self.paths.iter().map(|(_, path)| path.score).collect();
            let (_, least, _) = scores.select_nth_unstable_by(most - 1, |a, b| b.total_cmp(a));
            drop_if(&mut self.paths, *least);
        }
        for (at, (place, _)) in (0u32..).zip(&self.paths) {
            self.index[*place as usize] = at;
        }
    }
}
