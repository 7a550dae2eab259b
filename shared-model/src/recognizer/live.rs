//! Live audio: push samples, read partial and final words.
//!
//! A segment opens when speech begins, a little earlier than the detector noticed. While it is
//! open it is decoded again and again; its features are normalised by [`RunningNormalizer`]. It
//! ends by silence, at its longest length or with the session. Its final is
//! [`Recognizer::transcribe`] of its samples, whatever the partials said. Only where a segment
//! without any pause reaches the longest length, the final holds the settled words of that
//! transcript and the rest of the samples begins the next segment.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::{
    Posteriors, RecognizeError, Recognizer, Transcript,
    activity::{BLOCK_SAMPLES, BLOCKS_PER_SEC, block_level},
    finite,
    normalizer::RunningNormalizer,
    speech::SpeechJudge,
    voice::VoiceDetector,
    windows::find_pause,
};
use crate::{audio::SAMPLE_RATE_HZ, decode::Word, model::Normalization, phrases::PhraseHit};

/// Blocks that a segment keeps before the one in which speech was noticed (at least 0.06 s late),
/// and after the last one with speech.
const PRE_ROLL_BLOCKS: usize = 40;
const POST_ROLL_BLOCKS: usize = 30;
/// Weight of the corpus statistics in partial results: one second.
const PRIOR_FRAMES: f32 = 100.0;
/// Multiply-adds that the partial results of a second of audio may cost: a fraction of what one
/// core does in a second, in a browser and on a slow device too.
const PARTIAL_BUDGET: u64 = 800_000_000;
/// Each second of a segment is decoded this many times for partial results, by the network's cost.
/// At the most, the longest segment still has a result every tenth of a second.
const PARTIAL_REPEATS: std::ops::RangeInclusive<u64> = 20..=150;
/// With so much behind its end a phrase is settled in a partial result, if the one before had it
/// too; with more where a longer phrase may follow.
const SETTLED_PHRASE_SECS: f32 = 0.2;
const SETTLED_OPEN_PHRASE_SECS: f32 = 0.5;
/// How far apart two partial results may put the same phrase.
const SAME_PHRASE_SECS: f32 = 0.2;
/// In a segment without a pause, words that end less than this before its end are not settled.
const UNSETTLED_SECS: f32 = 1.0;

/// When live audio gives results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LiveConfig {
    /// Seconds of new audio between partial results; longer in long segments.
    pub partial_interval_secs: f32,
    /// Silence that ends an utterance, seconds.
    pub endpoint_silence_secs: f32,
    /// Longest utterance before its settled words are committed, seconds.
    pub max_utterance_secs: f32,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            partial_interval_secs: 0.1,
            endpoint_silence_secs: 0.7,
            max_utterance_secs: 15.0,
        }
    }
}

impl LiveConfig {
    fn validate(&self) -> Result<(), RecognizeError> {
        let settings = [
            (
                "partial_interval_secs",
                self.partial_interval_secs,
                0.05,
                60.0,
                "0.05 to 60",
            ),
            (
                "endpoint_silence_secs",
                self.endpoint_silence_secs,
                0.1,
                10.0,
                "0.1 to 10",
            ),
            (
                "max_utterance_secs",
                self.max_utterance_secs,
                2.0,
                60.0,
                "2 to 60",
            ),
        ];
        for (name, value, least, most, expected) in settings {
            if !(least..=most).contains(&value) {
                return Err(RecognizeError::Setting {
                    name,
                    value,
                    expected,
                });
            }
        }
        Ok(())
    }
}

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

/// An open segment; everything counts in blocks of 10 ms.
struct Segment {
    id: u64,
    /// First block, from the session's begin.
    start_block: u64,
    samples: Vec<f32>,
    levels: Vec<f32>,
    /// One past the last block with speech.
    speech_end: usize,
    /// Blocks when the last partial result was given.
    partial_blocks: usize,
    /// The phrases of that result.
    partial_phrases: Vec<PhraseHit>,
}

impl Segment {
    fn num_blocks(&self) -> usize {
        self.levels.len()
    }

    fn push(&mut self, block: &[f32], level: f32, is_speech: bool) {
        self.samples.extend_from_slice(block);
        self.levels.push(level);
        if is_speech {
            self.speech_end = self.num_blocks();
        }
    }

    fn start_secs(&self) -> f32 {
        (self.start_block as f64 / f64::from(BLOCKS_PER_SEC)) as f32
    }

    /// Takes what lies behind `block` out of the segment.
    fn split_off(&mut self, block: usize) -> Tail {
        let block = block.min(self.num_blocks());
        Tail {
            start_block: self.start_block + block as u64,
            samples: self
                .samples
                .split_off((block * BLOCK_SAMPLES).min(self.samples.len())),
            levels: self.levels.split_off(block),
            speech_end: self.speech_end.saturating_sub(block),
        }
    }
}

/// What is left of a segment behind its final.
struct Tail {
    start_block: u64,
    samples: Vec<f32>,
    levels: Vec<f32>,
    speech_end: usize,
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

impl Recognizer {
    /// What an utterance whose end is not known yet sounds like.
    async fn open_transcript(
        &self,
        samples: &[f32],
        levels: &[f32],
        offset_secs: f32,
    ) -> Result<Transcript, RecognizeError> {
        let features = self.features(samples, self.extractor.gain(samples));
        let (features, is_normalized) = match self.config().normalization {
            Normalization::None => (features, false),
            Normalization::Utterance => {
                let mut normalizer = self.running_normalizer();
                normalizer.push(&features);
                (normalizer.normalize(&features), true)
            }
        };
        let mut log_probs = self.feature_log_probs(&[features], is_normalized).await?;
        let log_probs = log_probs.pop().unwrap_or_default();
        let writes_letters = |wanted| self.writes_letters(&log_probs, wanted);
        if !SpeechJudge::new(&self.pitch).is_speech(samples, levels, writes_letters) {
            return Ok(Transcript::default());
        }
        let posteriors = Posteriors {
            log_probs,
            offset_secs,
            end_secs: offset_secs + samples.len() as f32 / SAMPLE_RATE_HZ as f32,
        };
        let mut writer = self.writer();
        writer.take(&posteriors);
        Ok(writer.finish())
    }

    /// A model that never saw a corpus has no statistics to start from: zeros and ones.
    fn running_normalizer(&self) -> RunningNormalizer {
        let (mean, std) = self.model().corpus_stats();
        let is_unset =
            mean.iter().all(|value| *value == 0.0) && std.iter().all(|value| *value == 1.0);
        RunningNormalizer::new(mean, std, if is_unset { 0.0 } else { PRIOR_FRAMES })
    }
}

/// Says which phrases of a partial result at `end_secs` are settled. `before`: those of the last
/// partial result.
fn settle_phrases(phrases: &mut [PhraseHit], before: &[PhraseHit], end_secs: f32) {
    for phrase in phrases {
        let is_same = |old: &PhraseHit| {
            old.text == phrase.text && (old.end_secs - phrase.end_secs).abs() <= SAME_PHRASE_SECS
        };
        let needed_secs = if phrase.may_go_on {
            SETTLED_OPEN_PHRASE_SECS
        } else {
            SETTLED_PHRASE_SECS
        };
        phrase.is_settled = end_secs - phrase.end_secs >= needed_secs && before.iter().any(is_same);
    }
}

/// How many words of an unbroken segment are settled, and the block where the rest begins: the
/// quietest one in the widest gap between two words of the second half.
fn settled(words: &[Word], levels: &[f32]) -> (usize, usize) {
    let end_secs = levels.len() as f32 / BLOCKS_PER_SEC;
    let block = |secs: f32| ((secs * BLOCKS_PER_SEC) as usize).min(levels.len());
    let gap = words
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| {
            pair[0].end_secs >= end_secs / 2.0 && pair[1].start_secs <= end_secs - UNSETTLED_SECS
        })
        .max_by(|(_, a), (_, b)| {
            let width = |pair: &[Word]| pair[1].start_secs - pair[0].end_secs;
            width(a).total_cmp(&width(b))
        });
    match gap {
        Some((index, pair)) => {
            let range =
                block(pair[0].end_secs)..block(pair[1].start_secs).max(block(pair[0].end_secs) + 1);
            (index + 1, quietest(levels, range))
        }
        None => {
            let cut = quietest(levels, levels.len() / 2..levels.len());
            let is_before = |word: &&Word| block((word.start_secs + word.end_secs) / 2.0) < cut;
            (words.iter().take_while(is_before).count(), cut)
        }
    }
}

fn quietest(levels: &[f32], range: std::ops::Range<usize>) -> usize {
    let start = range.start;
    range
        .filter(|block| *block < levels.len())
        .min_by(|a, b| levels[*a].total_cmp(&levels[*b]))
        .unwrap_or(start.min(levels.len()))
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
    transcript
}

fn blocks(secs: f32) -> usize {
    (secs * BLOCKS_PER_SEC).round() as usize
}

const _: () = assert!(SAMPLE_RATE_HZ as usize == BLOCK_SAMPLES * 100);
