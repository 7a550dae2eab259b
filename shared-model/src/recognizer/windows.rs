//! Long audio in windows, very long audio in chunks: where to cut.

use std::ops::Range;

use super::activity::ascending;

/// Longest audio that is heard as one recording, with one level: memory is bounded by it, and a long
/// recording's first words wait for it. 3 minutes.
pub(super) const MAX_CHUNK_BLOCKS: usize = 18_000;
/// The end of a chunk is looked for in this much of it.
const CHUNK_END_BLOCKS: usize = 6000;
/// Longest window. Attention and memory grow with it; training utterances are rarely longer.
const MAX_WINDOW_BLOCKS: usize = 2000;
/// A window that has to end at a pause is at least this long.
const MIN_WINDOW_BLOCKS: usize = 1200;
/// Common part of two windows where there is no pause: two seconds of context on each side.
const OVERLAP_BLOCKS: usize = 400;
/// Length of a pause: longer than the closure of a stop consonant.
const PAUSE_BLOCKS: usize = 30;
/// How far a pause lies below the loud parts of its window.
const PAUSE_DEPTH_DB: f32 = 14.0;

/// How a window meets the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// At a pause (or it is the first): nothing is shared.
    Pause,
    Overlap,
}

/// A window of a region, in blocks of 10 ms from the region's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    pub blocks: Range<usize>,
    pub join: Join,
}

/// Windows that cover a region with these levels. Each starts at a multiple of `grid` blocks, so
/// that the encoder frames of two windows fall on the same instants.
pub(super) fn plan_windows(levels: &[f32], grid: usize) -> Vec<Window> {
    let mut windows = Vec::new();
    let (mut start, mut join) = (0, Join::Pause);
    while levels.len() - start > MAX_WINDOW_BLOCKS {
        let whole = start..start + MAX_WINDOW_BLOCKS;
        let pause = find_pause(&levels[whole.clone()], MIN_WINDOW_BLOCKS)
            .map(|block| (start + block) / grid * grid)
            .filter(|cut| *cut > start);
        let (blocks, next) = match pause {
            Some(cut) => (start..cut, (cut, Join::Pause)),
            None => {
                let next = (whole.end - OVERLAP_BLOCKS) / grid * grid;
                (whole, (next, Join::Overlap))
            }
        };
        windows.push(Window { blocks, join });
        (start, join) = next;
    }
    windows.push(Window {
        blocks: start..levels.len(),
        join,
    });
    windows
}

/// Where a chunk of more than the longest recording ends: in the middle of the quietest pause of
/// its last minute. `levels`: of the chunk's blocks.
pub(super) fn chunk_end(levels: &[f32]) -> usize {
    let from = levels.len().saturating_sub(CHUNK_END_BLOCKS);
    quietest_pause(levels, from).map_or(levels.len(), |(_, block)| block)
}

/// The middle of the deepest pause at or after block `from`; the latest of equals.
pub(super) fn find_pause(levels: &[f32], from: usize) -> Option<usize> {
    let (level, block) = quietest_pause(levels, from)?;
    let loud = ascending(levels.to_vec())[(levels.len() - 1) * 9 / 10];
    (level <= loud - PAUSE_DEPTH_DB).then_some(block)
}

/// The quietest stretch of the length of a pause at or after block `from`, the latest of equals:
/// its level and its middle.
fn quietest_pause(levels: &[f32], from: usize) -> Option<(f32, usize)> {
    let mut best: Option<(f32, usize)> = None;
    for (start, pause) in levels.windows(PAUSE_BLOCKS).enumerate().skip(from) {
        // The loudest tenth of a pause is left out of account, so that a click does not end it.
        let level = ascending(pause.to_vec())[PAUSE_BLOCKS * 9 / 10];
        if best.is_none_or(|(least, _)| level <= least) {
            best = Some((level, start + PAUSE_BLOCKS / 2));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Speech at -20 dB with pauses of 0.4 s at -60 dB, one every `period` blocks.
    fn speech(num_blocks: usize, period: usize) -> Vec<f32> {
        let level = |block: usize| {
            if block % period >= period - 40 {
                -60.0
            } else {
                -20.0
            }
        };
        (0..num_blocks).map(level).collect()
    }

    #[test]
    fn up_to_a_window_nothing_is_cut() {
        for num_blocks in [0, 1, 2000] {
            let windows = plan_windows(&speech(num_blocks, 300), 4);
            assert_eq!(windows.len(), 1);
            assert_eq!(windows[0].blocks, 0..num_blocks);
        }
    }

    #[test]
    fn windows_end_in_pauses_and_cover_everything_once() {
        let levels = speech(240_000, 700);
        let windows = plan_windows(&levels, 8);
        let mut end = 0;
        for (index, window) in windows.iter().enumerate() {
            assert_eq!(window.blocks.start, end);
            assert!(window.blocks.len() <= 2000);
            assert_eq!(window.blocks.start % 8, 0);
            assert_eq!(window.join, Join::Pause);
            end = window.blocks.end;
            if index + 1 < windows.len() {
                assert_eq!(levels[end], -60.0);
                assert!(window.blocks.len() >= 1190);
            }
        }
        assert_eq!(end, levels.len());
    }

    #[test]
    fn without_pauses_windows_overlap_by_four_seconds() {
        let windows = plan_windows(&[-20.0; 5000], 8);
        let expected = [
            (0..2000, Join::Pause),
            (1600..3600, Join::Overlap),
            (3200..5000, Join::Overlap),
        ];
        let found: Vec<_> = windows.into_iter().map(|w| (w.blocks, w.join)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_chunk_ends_in_the_quietest_place_of_its_last_minute() {
        let mut levels = vec![-20.0; MAX_CHUNK_BLOCKS];
        levels[1000..1060].fill(-80.0);
        levels[14_000..14_040].fill(-30.0);
        levels[15_000..15_040].fill(-25.0);
        let end = chunk_end(&levels);
        assert!((14_010..14_030).contains(&end), "{end}");
        assert_eq!(chunk_end(&[-20.0; 10]), 10);
    }

    #[test]
    fn a_pause_is_deep_and_long() {
        let mut levels = vec![-20.0; 2000];
        levels[1500..1510].fill(-60.0);
        assert_eq!(find_pause(&levels, 1200), None);
        levels[1500..1560].fill(-30.0);
        assert_eq!(find_pause(&levels, 1200), None);
        levels[1500..1560].fill(-50.0);
        // A click in the pause does not end it.
        levels[1530] = -10.0;
        let pause = find_pause(&levels, 1200).expect("there is a pause");
        assert!((1512..1548).contains(&pause), "{pause}");
        assert_eq!(find_pause(&levels, 1560), None);
        assert_eq!(find_pause(&[-50.0; 10], 0), None);
    }
}
