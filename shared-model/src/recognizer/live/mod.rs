//! Live audio: push samples, read partial and final words.
//!
//! A segment opens when speech begins, a little earlier than the detector noticed. While it is
//! open it is decoded again and again; its features are normalised by
//! [`RunningNormalizer`](super::normalizer::RunningNormalizer). It
//! ends by silence, at its longest length or with the session. Its final is
//! [`Recognizer::transcribe`] of its samples, whatever the partials said. Only where a segment
//! without any pause reaches the longest length, the final holds the settled words of that
//! transcript and the rest of the samples begins the next segment.

mod config;
mod open;
mod segment;
mod settle;

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::{
    RecognizeError, Recognizer, Transcript,
    activity::{BLOCK_SAMPLES, BLOCKS_PER_SEC, block_level},
    finite,
    voice::VoiceDetector,
    windows::find_pause,
};
use crate::audio::SAMPLE_RATE_HZ;
pub use config::LiveConfig;
use segment::{Segment, Tail};
use settle::{settle_phrases, settled};

/// Blocks that a segment keeps before the one in which speech was noticed (at least 0.06 s late),
/// and after the last one with speech.
const PRE_ROLL_BLOCKS: usize = 40;
const POST_ROLL_BLOCKS: usize = 30;
/// Multiply-adds that the partial results of a second of audio may cost: a fraction of what one
/// core does in a second, in a browser and on a slow device too.
const PARTIAL_BUDGET: u64 = 800_000_000;
/// Each second of a segment is decoded this many times for partial results, by the network's cost.
/// At the most, the longest segment still has a result every tenth of a second.
const PARTIAL_REPEATS: std::ops::RangeInclusive<u64> = 20..=150;

/// A segment opens once, changes through partials, and ends with exactly one final, whose
/// transcript is empty if it turned out to be noise. Segments are numbered 0, 1, 2, ...; one ends
/// before the next begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum LiveEvent {
    /// What an open segment sounds like so far; the next may say something else.
    Partial {
        /// Number of the segment.
        segment: u64,
        /// Times are seconds since the session began.
        transcript: Transcript,
    },
    /// What a segment was; never changes afterwards.
    Final {
        /// Number of the segment.
        segment: u64,
        /// Times are seconds since the session began.
        transcript: Transcript,
    },
}

/// Turns a session's audio into events. Memory is bounded by the longest utterance.
///
/// ```
/// use std::rc::Rc;
///
/// use burn::prelude::Device;
/// use shared_model::{
///     bundle::read_model,
///     metrics::word_errors,
///     recognizer::{Decoder, LiveConfig, LiveEvent, LiveRecognizer, Recognizer},
/// };
///
/// # let folder = std::fs::read_dir("../www/models/quick-medium")?;
/// # let files = folder.map(|entry| {
/// #     let entry = entry?;
/// #     let name = entry.file_name().to_string_lossy().into_owned();
/// #     Ok((name, std::fs::read(entry.path())?))
/// # }).collect::<std::io::Result<shared_model::bundle::Files>>()?;
/// // `files`: the model folder's, by name (see `bundle`).
/// let recognizer = Recognizer::new(&read_model(&files)?, Decoder::Greedy, &Device::flex())?;
/// let mut live = LiveRecognizer::new(Rc::new(recognizer), LiveConfig::default())?;
///
/// // 16 kHz mono samples, a tenth of a second at a time.
/// # let clip = |name: &str| -> std::io::Result<Vec<f32>> {
/// #     let bytes = std::fs::read(format!("../www/samples/{name}.wav"))?;
/// #     let (samples, _) = bytes[44..].as_chunks::<2>();
/// #     let samples = samples.iter().map(|&s| f32::from(i16::from_le_bytes(s)) / 32768.0);
/// #     Ok(samples.chain(std::iter::repeat_n(0.0, 16_000)).collect())
/// # };
/// # let microphone = [clip("seven-two-nine-four")?, clip("set-a-timer-for-five-minutes")?].concat();
/// let mut said = vec![];
/// for samples in microphone.chunks(1600) {
///     for event in pollster::block_on(live.push(samples))? {
///         match event {
///             LiveEvent::Partial { transcript, .. } => println!("... {}", transcript.text),
///             LiveEvent::Final { transcript, .. } => said.push(transcript.text),
///         }
///     }
/// }
/// assert_eq!(said.len(), 2);
/// assert!(word_errors("seven two nine four", &said[0]).errors() <= 1);
/// assert!(word_errors("set a timer for five minutes", &said[1]).errors() <= 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LiveRecognizer {
    recognizer: Rc<Recognizer>,
    config: LiveConfig,
    /// A partial result is due after this part of a segment at the earliest.
    partial_share: usize,
    detector: VoiceDetector,
    /// The begun block.
    begun: Vec<f32>,
    /// The last blocks before speech, whole blocks only, and their levels.
    pre_roll: Vec<f32>,
    pre_roll_levels: Vec<f32>,
    segment: Option<Segment>,
    num_blocks: u64,
    next_id: u64,
}

impl LiveRecognizer {
    /// A session that has heard nothing yet.
    ///
    /// # Errors
    /// [`RecognizeError::Setting`] for a setting out of its range.
    pub fn new(recognizer: Rc<Recognizer>, config: LiveConfig) -> Result<Self, RecognizeError> {
        config.validate()?;
        let per_second = recognizer
            .config()
            .multiply_adds(1, BLOCKS_PER_SEC as usize);
        let repeats = (PARTIAL_BUDGET / per_second.max(1))
            .clamp(*PARTIAL_REPEATS.start(), *PARTIAL_REPEATS.end());
        Ok(Self {
            recognizer,
            config,
            partial_share: repeats as usize,
            detector: VoiceDetector::new(),
            begun: Vec::with_capacity(BLOCK_SAMPLES),
            pre_roll: Vec::new(),
            pre_roll_levels: Vec::new(),
            segment: None,
            num_blocks: 0,
            next_id: 0,
        })
    }

    /// 16 kHz samples; work per pushed second is bounded however long the session runs.
    ///
    /// A push that brings several partial results' worth of audio gives only the last of them.
    ///
    /// # Errors
    /// [`RecognizeError::Device`] if the device fails.
    pub async fn push(&mut self, samples: &[f32]) -> Result<Vec<LiveEvent>, RecognizeError> {
        let samples = finite(samples);
        let mut events = Vec::new();
        let mut rest = &samples[..];
        while !rest.is_empty() {
            let missing = BLOCK_SAMPLES - self.begun.len();
            let (now, later) = rest.split_at(missing.min(rest.len()));
            self.begun.extend_from_slice(now);
            rest = later;
            if self.begun.len() == BLOCK_SAMPLES {
                let block = std::mem::replace(&mut self.begun, Vec::with_capacity(BLOCK_SAMPLES));
                self.take_block(&block, &mut events).await?;
            }
        }
        self.give_partial(&mut events).await?;
        Ok(events)
    }

    /// Ends the session: the open segment, if any, becomes final. Times and numbers go on if more
    /// is pushed.
    ///
    /// # Errors
    /// [`RecognizeError::Device`] if the device fails.
    pub async fn finish(&mut self) -> Result<Vec<LiveEvent>, RecognizeError> {
        let mut events = Vec::new();
        let mut block = std::mem::replace(&mut self.begun, Vec::with_capacity(BLOCK_SAMPLES));
        if !block.is_empty() {
            block.resize(BLOCK_SAMPLES, 0.0);
            self.take_block(&block, &mut events).await?;
        }
        if let Some(mut segment) = self.segment.take() {
            segment.split_off(segment.speech_end + POST_ROLL_BLOCKS);
            self.give_final(&segment, &mut events).await?;
        }
        self.detector = VoiceDetector::new();
        self.pre_roll.clear();
        self.pre_roll_levels.clear();
        Ok(events)
    }

    async fn take_block(
        &mut self,
        block: &[f32],
        events: &mut Vec<LiveEvent>,
    ) -> Result<(), RecognizeError> {
        let level = block_level(block);
        let is_speech = self.detector.push(level);
        self.num_blocks += 1;
        let Some(segment) = &mut self.segment else {
            self.extend_pre_roll(block, level);
            if is_speech {
                self.open_segment();
            }
            return Ok(());
        };
        segment.push(block, level, is_speech);
        let silence = segment.num_blocks() - segment.speech_end;
        let is_over = silence >= blocks(self.config.endpoint_silence_secs);
        let is_longest = segment.num_blocks() >= blocks(self.config.max_utterance_secs);
        if is_over {
            self.end_by_silence(events).await
        } else if is_longest {
            self.end_by_length(events).await
        } else {
            Ok(())
        }
    }

    fn extend_pre_roll(&mut self, block: &[f32], level: f32) {
        self.pre_roll.extend_from_slice(block);
        self.pre_roll_levels.push(level);
        let surplus = self.pre_roll_levels.len().saturating_sub(PRE_ROLL_BLOCKS);
        self.pre_roll.drain(..surplus * BLOCK_SAMPLES);
        self.pre_roll_levels.drain(..surplus);
    }

    /// The newest block of the pre-roll is the one in which speech was noticed.
    fn open_segment(&mut self) {
        let levels = std::mem::take(&mut self.pre_roll_levels);
        let tail = Tail {
            start_block: self.num_blocks - levels.len() as u64,
            samples: std::mem::take(&mut self.pre_roll),
            speech_end: levels.len(),
            levels,
        };
        self.open(tail);
    }

    fn open(&mut self, tail: Tail) {
        self.segment = Some(Segment {
            id: self.next_id,
            start_block: tail.start_block,
            samples: tail.samples,
            levels: tail.levels,
            speech_end: tail.speech_end,
            partial_blocks: 0,
            partial_phrases: Vec::new(),
        });
        self.next_id += 1;
    }

    /// A tail with speech begins the next segment; silence may belong to the one after.
    fn carry_over(&mut self, tail: Tail) {
        if tail.speech_end > 0 {
            self.open(tail);
            return;
        }
        self.detector.close();
        for (block, level) in tail.samples.chunks_exact(BLOCK_SAMPLES).zip(&tail.levels) {
            self.extend_pre_roll(block, *level);
        }
    }

    async fn end_by_silence(&mut self, events: &mut Vec<LiveEvent>) -> Result<(), RecognizeError> {
        let Some(mut segment) = self.segment.take() else {
            return Ok(());
        };
        let tail = segment.split_off(segment.speech_end + POST_ROLL_BLOCKS);
        self.carry_over(tail);
        self.give_final(&segment, events).await
    }

    /// Commits at the deepest pause of the second half; without one, between two settled words.
    async fn end_by_length(&mut self, events: &mut Vec<LiveEvent>) -> Result<(), RecognizeError> {
        let Some(mut segment) = self.segment.take() else {
            return Ok(());
        };
        if let Some(pause) = find_pause(&segment.levels, segment.num_blocks() / 2) {
            let tail = segment.split_off(pause);
            self.give_final(&segment, events).await?;
            self.carry_over(tail);
            return Ok(());
        }
        let transcript = self.recognizer.transcribe(&segment.samples).await?;
        let (kept, cut) = settled(&transcript.words, &segment.levels);
        let transcript = transcript.before_word(kept);
        let offset_secs = segment.start_secs();
        let tail = segment.split_off(cut);
        events.push(LiveEvent::Final {
            segment: segment.id,
            transcript: shifted(transcript, offset_secs),
        });
        self.carry_over(tail);
        Ok(())
    }

    async fn give_final(
        &self,
        segment: &Segment,
        events: &mut Vec<LiveEvent>,
    ) -> Result<(), RecognizeError> {
        let transcript = self.recognizer.transcribe(&segment.samples).await?;
        events.push(LiveEvent::Final {
            segment: segment.id,
            transcript: shifted(transcript, segment.start_secs()),
        });
        Ok(())
    }

    async fn give_partial(&mut self, events: &mut Vec<LiveEvent>) -> Result<(), RecognizeError> {
        let interval = blocks(self.config.partial_interval_secs);
        let Some(segment) = &mut self.segment else {
            return Ok(());
        };
        let num_blocks = segment.num_blocks();
        if num_blocks - segment.partial_blocks < interval.max(num_blocks / self.partial_share) {
            return Ok(());
        }
        segment.partial_blocks = num_blocks;
        let mut transcript = self
            .recognizer
            .open_transcript(&segment.samples, &segment.levels, segment.start_secs())
            .await?;
        let end_secs = segment.start_secs() + num_blocks as f32 / BLOCKS_PER_SEC;
        settle_phrases(&mut transcript.phrases, &segment.partial_phrases, end_secs);
        segment.partial_phrases.clone_from(&transcript.phrases);
        events.push(LiveEvent::Partial {
            segment: segment.id,
            transcript,
        });
        Ok(())
    }
}

fn shifted(mut transcript: Transcript, offset_secs: f32) -> Transcript {
    let of_phrases = transcript
        .phrases
        .iter_mut()
        .flat_map(|phrase| &mut phrase.words);
    for word in transcript.words.iter_mut().chain(of_phrases) {
        word.start_secs += offset_secs;
        word.end_secs += offset_secs;
    }
    for phrase in &mut transcript.phrases {
        phrase.start_secs += offset_secs;
        phrase.end_secs += offset_secs;
    }
    for other in &mut transcript.others {
        other.start_secs += offset_secs;
        other.end_secs += offset_secs;
    }
    transcript
}

fn blocks(secs: f32) -> usize {
    (secs * BLOCKS_PER_SEC).round() as usize
}

const _: () = assert!(SAMPLE_RATE_HZ as usize == BLOCK_SAMPLES * 100);
