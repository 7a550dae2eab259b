//! Whether what the network wrote was said, or is what it makes of music and noise.
//!
//! A network that has heard nothing but speech writes syllables for strings, drums and bursts of
//! noise, and writes them with confidence. What tells speech apart is the sound: the pitch of a
//! voice glides all the time, that of strings, keys and pipes stands still from one note to the
//! next, and noise has none. In four seconds of sound or more at least an eighth of the voiced
//! frames of all speech that it was tried on glide, under a tenth of those of plucked strings.
//!
//! A pitch takes as long as a frame's features. So few frames are looked at first, and around
//! those that are voiced all of them, until enough is known.

use super::activity::{BLOCKS_PER_SEC, ascending};
use super::pitch::{PitchTracker, Scratch};

/// Blocks this far below the loud ones (the 95th percentile) are pauses, dB.
const PAUSE_DEPTH_DB: f32 = 25.0;
/// From this strength on a frame has a pitch.
const VOICED_STRENGTH: f32 = 0.45;
/// A pitch moves by no more between frames 10 ms apart, in the natural log; a note begins with more.
const LARGEST_STEP: f32 = 0.05;
/// A glide goes one way for so many steps, and so far in the natural log.
const GLIDE_STEPS: usize = 4;
const GLIDE_EXTENT: f32 = 0.02;
/// Voiced frames that glide, at least.
const GLIDING_SHARE: f32 = 0.1;
/// Enough to be sure before all of a window was looked at.
const SURE_GLIDING_SHARE: f32 = 0.25;
const SURE_GLIDING_FRAMES: usize = 60;
/// With less sound than this a glide may be missing: a single word has hardly one.
const JUDGED_BLOCKS: usize = 400;
/// With less than this even voiced sound may be missing ("yes house" has next to none).
const VOICELESS_BLOCKS: usize = 200;
/// Speech stays voiced for longer once in a while.
const VOICED_STEPS: usize = 3;
/// A sound that never lasts so long is a click; the shortest of a few hundred words lasts 9 blocks.
const CLICK_BLOCKS: usize = 6;
/// Letters of the best path a second of sound, at least: a siren glides, too, and gives a letter
/// in ten seconds.
const LETTERS_PER_SEC: f32 = 0.1;
/// Frames between those that are looked at first, and between those and the next: of steadily
/// voiced sound the second look misses nothing ([`VOICED_STEPS`]), the first no vowel.
const LOOKS: [(usize, usize); 2] = [(0, 8), (4, 8)];

/// Judges the windows of a recording one after the other.
pub(super) struct SpeechJudge<'a> {
    tracker: &'a PitchTracker,
    /// What the last window was that could be judged.
    was_noise: bool,
}

impl<'a> SpeechJudge<'a> {
    pub(super) fn new(tracker: &'a PitchTracker) -> Self {
        Self {
            tracker,
            was_noise: false,
        }
    }

    /// Whether a window's words count.
    ///
    /// - `levels`: of the blocks of `samples`, dB.
    /// - `writes_letters`: whether the network's best path has so many letters.
    ///
    /// A window with too little sound to be judged is speech, but after noise only if it glides.
    pub(super) fn is_speech(
        &mut self,
        samples: &[f32],
        levels: &[f32],
        writes_letters: impl Fn(usize) -> bool,
    ) -> bool {
        let is_loud = loud_blocks(levels);
        let loud = is_loud.iter().filter(|is_loud| **is_loud).count();
        let search = || Search::new(self.tracker, samples, &is_loud);
        if loud >= JUDGED_BLOCKS {
            let letters = (loud as f32 / BLOCKS_PER_SEC * LETTERS_PER_SEC).ceil();
            if !writes_letters(letters as usize) {
                // Nothing is written of it, whatever it is.
                return false;
            }
            self.was_noise = !search().finds_a_voice();
            return !self.was_noise;
        }
        let are_clicks = longest_sound(levels) < CLICK_BLOCKS;
        let may_be_voiceless = loud < VOICELESS_BLOCKS && !are_clicks;
        if (may_be_voiceless && !self.was_noise) || !writes_letters(1) {
            return true;
        }
        // A click may be far louder than the speech beside it, but it has no voice.
        (may_be_voiceless || search().finds_voiced_sound())
            && (!self.was_noise || search().finds_a_voice())
    }
}

/// Whether each block belongs to the sound of a window rather than to its pauses.
fn loud_blocks(levels: &[f32]) -> Vec<bool> {
    let sorted = ascending(levels.to_vec());
    let loud = sorted.get(levels.len().saturating_sub(1) * 19 / 20);
    let threshold = loud.copied().unwrap_or(0.0) - PAUSE_DEPTH_DB;
    levels.iter().map(|level| *level > threshold).collect()
}

/// Blocks of the longest stretch that is as loud as the loudest block, but for the depth of a pause.
fn longest_sound(levels: &[f32]) -> usize {
    let loudest = levels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    levels
        .split(|level| *level <= loudest - PAUSE_DEPTH_DB)
        .map(<[f32]>::len)
        .max()
        .unwrap_or(0)
}

/// What the pitch of a window's loud frames does, as far as they were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Glides {
    voiced_frames: usize,
    gliding_frames: usize,
    /// Steps between frames that are voiced one after the other.
    longest_voiced: usize,
}

impl Glides {
    /// Adds frames that are voiced one after the other; `pitches`: natural log of Hz.
    fn add(&mut self, pitches: &[f32]) {
        self.voiced_frames += pitches.len();
        let mut voiced_steps = 0;
        // The open glide: its steps, and how far it has come.
        let (mut steps, mut extent) = (0, 0.0f32);
        for pair in pitches.windows(2) {
            let step = pair[1] - pair[0];
            let is_smooth = step.abs() < LARGEST_STEP;
            voiced_steps = if is_smooth { voiced_steps + 1 } else { 0 };
            self.longest_voiced = self.longest_voiced.max(voiced_steps);
            let goes_on = is_smooth && step != 0.0;
            if !goes_on || step * extent < 0.0 {
                self.close(steps, extent);
                (steps, extent) = (0, 0.0);
            }
            if goes_on {
                steps += 1;
                extent += step;
            }
        }
        self.close(steps, extent);
    }

    fn close(&mut self, steps: usize, extent: f32) {
        if steps >= GLIDE_STEPS && extent.abs() > GLIDE_EXTENT {
            self.gliding_frames += steps + 1;
        }
    }

    fn share(&self) -> f32 {
        self.gliding_frames as f32 / self.voiced_frames.max(1) as f32
    }

    fn are_surely_a_voices(&self) -> bool {
        self.gliding_frames >= SURE_GLIDING_FRAMES && self.share() >= SURE_GLIDING_SHARE
    }

    fn are_a_voices(&self) -> bool {
        self.gliding_frames > 0 && self.share() >= GLIDING_SHARE
    }

    fn are_voiced(&self) -> bool {
        self.longest_voiced >= VOICED_STEPS
    }
}

/// Looks for voiced frames in a window.
struct Search<'a> {
    tracker: &'a PitchTracker,
    samples: &'a [f32],
    scratch: Scratch,
    /// Whether a frame needs no look (any more): it is quiet, or it had one.
    is_done: Vec<bool>,
    glides: Glides,
}

impl<'a> Search<'a> {
    fn new(tracker: &'a PitchTracker, samples: &'a [f32], is_loud: &[bool]) -> Self {
        // A frame is as loud as the block in its middle.
        let is_loud = |frame: usize| is_loud.get(frame + 2) == Some(&true);
        Self {
            tracker,
            samples,
            scratch: tracker.scratch(),
            is_done: (0..PitchTracker::num_frames(samples.len()))
                .map(|frame| !is_loud(frame))
                .collect(),
            glides: Glides::default(),
        }
    }

    fn finds_voiced_sound(mut self) -> bool {
        LOOKS
            .into_iter()
            .any(|look| self.look(look, Glides::are_voiced))
    }

    fn finds_a_voice(mut self) -> bool {
        let [first, second] = LOOKS;
        if self.look(first, Glides::are_surely_a_voices) {
            return true;
        }
        // Noise has no pitch that lasts.
        if !self.glides.are_voiced() {
            return false;
        }
        self.look(second, Glides::are_surely_a_voices) || self.glides.are_a_voices()
    }

    /// Looks at every so many frames, and at all around one that is voiced, until `is_enough`;
    /// whether it was.
    fn look(&mut self, (first, step): (usize, usize), is_enough: fn(&Glides) -> bool) -> bool {
        for frame in (first..self.is_done.len()).step_by(step) {
            let Some(ln_hz) = self.voiced(frame) else {
                continue;
            };
            let mut run = Vec::new();
            run.extend((0..frame).rev().map_while(|before| self.voiced(before)));
            run.reverse();
            run.push(ln_hz);
            let later = frame + 1..self.is_done.len();
            run.extend(later.map_while(|after| self.voiced(after)));
            self.glides.add(&run);
            if is_enough(&self.glides) {
                return true;
            }
        }
        false
    }

    /// The pitch of a frame that needs a look and is voiced.
    fn voiced(&mut self, frame: usize) -> Option<f32> {
        if std::mem::replace(&mut self.is_done[frame], true) {
            return None;
        }
        let pitch = self.tracker.pitch(self.samples, frame, &mut self.scratch);
        (pitch.strength > VOICED_STRENGTH).then_some(pitch.ln_hz)
    }
}

#[cfg(test)]
mod tests {
    use super::super::activity::block_levels;
    use super::*;

    const SECS: usize = 20;
    const TAU: f32 = std::f32::consts::TAU;

    fn noise(num_samples: usize, amplitude: f32) -> Vec<f32> {
        let mut state = 5u32;
        (0..num_samples)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                amplitude * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
            })
            .collect()
    }

    /// A string plucked every `every_secs` (Karplus and Strong, Computer Music Journal 7, 1983).
    fn plucked(every_secs: f32) -> Vec<f32> {
        let mut out = vec![0.0; SECS * 16_000];
        let every = (every_secs * 16_000.0) as usize;
        for (note, start) in (0..out.len()).step_by(every).enumerate() {
            let hz = [220.0, 247.0, 262.0, 294.0, 330.0, 349.0][note % 6];
            let mut string = noise((16_000.0 / hz) as usize, 0.4);
            for index in 0..(out.len() - start).min(24_000) {
                let at = index % string.len();
                let next = string[(at + 1) % string.len()];
                out[start + index] += string[at];
                string[at] = 0.498 * (string[at] + next);
            }
        }
        out
    }

    /// Syllables whose pitch rises and falls, with pauses; the pitch of a person who reads.
    fn voice(secs: f32) -> Vec<f32> {
        let mut phase = 0.0;
        (0..(secs * 16_000.0) as usize)
            .map(|i| {
                let t = i as f32 / 16_000.0;
                phase += TAU * 130.0 * (0.2 * (TAU * 1.3 * t).sin()).exp() / 16_000.0;
                let syllable = (TAU * 2.0 * t).sin().max(0.0);
                (1..20)
                    .map(|k| (phase * k as f32).sin() / k as f32)
                    .sum::<f32>()
                    * 0.1
                    * syllable
            })
            .collect()
    }

    fn judge(samples: &[f32], letters: usize) -> bool {
        let tracker = PitchTracker::new();
        SpeechJudge::new(&tracker)
            .is_speech(samples, &block_levels(samples), |wanted| letters >= wanted)
    }

    #[test]
    fn strings_and_noise_are_no_speech_and_a_voice_is_at_any_level() {
        for every_secs in [0.25, 0.5, 1.0, 2.5] {
            assert!(!judge(&plucked(every_secs), 60), "every {every_secs} s");
        }
        for amplitude in [0.01, 0.3] {
            assert!(!judge(&noise(SECS * 16_000, amplitude), 60));
        }
        let drum = |i: usize| (-((i % 4000) as f32) / 500.0).exp();
        let noise = noise(SECS * 16_000, 0.5);
        let drums: Vec<f32> = noise.iter().enumerate().map(|(i, s)| s * drum(i)).collect();
        assert!(!judge(&drums, 60));
        for gain in [1.0, 0.001] {
            let voice: Vec<f32> = voice(20.0).iter().map(|s| s * gain).collect();
            assert!(judge(&voice, 60), "{gain}");
        }
    }

    #[test]
    fn a_siren_is_no_speech_for_what_it_writes() {
        let mut phase = 0.0;
        let siren: Vec<f32> = (0..SECS * 16_000)
            .map(|i| {
                phase += TAU * (300.0 + 100.0 * (TAU * i as f32 / 32_000.0).sin()) / 16_000.0;
                0.3 * phase.sin()
            })
            .collect();
        assert!(!judge(&siren, 1));
        assert!(judge(&siren, 30));
    }

    #[test]
    fn a_word_is_too_short_to_be_judged_unless_music_came_before() {
        let tracker = PitchTracker::new();
        let mut judge = SpeechJudge::new(&tracker);
        let mut is_speech = |samples: &[f32]| {
            judge.is_speech(samples, &block_levels(samples), |wanted| wanted <= 5)
        };
        let string = &plucked(2.5)[..8000];
        assert!(is_speech(string));
        assert!(!is_speech(&plucked(0.5)));
        assert!(!is_speech(string));
        assert!(is_speech(&voice(0.9)));
        assert!(is_speech(&voice(20.0)));
        assert!(is_speech(string));
    }

    #[test]
    fn clicks_are_no_speech_and_a_click_in_speech_takes_no_word() {
        let click = |samples: &mut [f32], every: usize| {
            for start in (0..samples.len() - 50).step_by(every) {
                samples[start + 10..start + 30].fill(0.9);
                samples[start + 30..start + 50].fill(-0.9);
            }
        };
        for every in [4_000, 8_000, 24_000] {
            let mut clicks = vec![0.0; SECS * 16_000];
            click(&mut clicks, every);
            assert!(!judge(&clicks, 9), "every {every} samples");
        }
        let mut word: Vec<f32> = voice(0.9).iter().map(|s| s * 0.03).collect();
        click(&mut word, 10_000);
        assert!(judge(&word, 5));
    }
}
