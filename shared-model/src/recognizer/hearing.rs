//! From samples to posteriors: regions with sound, windows, network, and what of it was said.

use super::activity::{BLOCK_SAMPLES, active_regions, block_levels};
use super::speech::SpeechJudge;
use super::stitch::{Piece, Stitcher};
use super::windows::{MAX_CHUNK_BLOCKS, chunk_end, plan_windows};
use super::{Posteriors, RecognizeError, Recognizer, Transcript, Writer, finite, yield_now};
use crate::{
    audio::SAMPLE_RATE_HZ,
    decode::{LogProbs, Word, greedy_ids, num_letters},
    phrases::PhraseHit,
};

const MAX_CHUNK_SAMPLES: usize = MAX_CHUNK_BLOCKS * BLOCK_SAMPLES;

/// From half a minute on a recording may well be a long one.
const LONG_SAMPLES: usize = MAX_CHUNK_SAMPLES / 5;

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Continue,
    Stop,
}

/// Hears a recording chunk by chunk.
pub(super) struct Hearing<'a> {
    recognizer: &'a Recognizer,
    with_phones: bool,
    judge: SpeechJudge<'a>,
    /// Samples before the next chunk.
    num_heard: u64,
}

impl<'a> Hearing<'a> {
    /// `with_phones`: of a phone head, too, if there is one.
    pub(super) fn new(recognizer: &'a Recognizer, with_phones: bool) -> Self {
        Self {
            recognizer,
            with_phones,
            judge: SpeechJudge::new(&recognizer.pitch),
            num_heard: 0,
        }
    }

    /// Hears the next chunk; `progress(done_secs)` after each window, false stops.
    async fn chunk(
        &mut self,
        samples: &[f32],
        progress: &mut dyn FnMut(f32) -> bool,
        heard: &mut dyn FnMut(Posteriors),
    ) -> Result<Flow, RecognizeError> {
        let samples = finite(samples);
        let num_before = self.num_heard;
        self.num_heard += samples.len() as u64;
        let levels = block_levels(&samples);
        let regions = active_regions(&levels);
        let (Some(first), Some(last)) = (regions.first(), regions.last()) else {
            return Ok(Flow::Continue);
        };
        let sample_of = |block: usize| (block * BLOCK_SAMPLES).min(samples.len());
        let sound = &samples[sample_of(first.start)..sample_of(last.end)];
        let gain = self.recognizer.extractor.gain(sound);
        let secs = |sample: usize| secs(num_before + sample as u64);
        let (recognizer, end_secs) = (self.recognizer, secs(samples.len()));
        let frame_secs = recognizer.frame_secs();

        for region in &regions {
            let factor = recognizer.config().subsampling_factor;
            let region_secs = secs(sample_of(region.start));
            let mut give = |piece: Option<Piece>| {
                if let Some(piece) = piece {
                    heard(Posteriors {
                        log_probs: piece.log_probs.tokens,
                        phone_log_probs: piece.log_probs.phones,
                        offset_secs: region_secs + piece.first_frame as f32 * frame_secs,
                        end_secs,
                    });
                }
            };
            let mut stitcher = Stitcher::new(&recognizer.tokens, frame_secs);
            let mut flow = Flow::Continue;
            for window in plan_windows(&levels[region.clone()], factor) {
                let start = region.start + window.blocks.start;
                let end = region.start + window.blocks.end;
                let sound = &samples[sample_of(start)..sample_of(end)];
                let log_probs = recognizer
                    .scaled_log_probs(sound, gain, self.with_phones)
                    .await?;
                let letters = &log_probs.tokens;
                let writes_letters = |wanted| recognizer.writes_letters(letters, wanted);
                if self
                    .judge
                    .is_speech(sound, &levels[start..end], writes_letters)
                {
                    give(stitcher.push(window.blocks.start / factor, window.join, log_probs));
                } else {
                    give(stitcher.interrupt());
                }
                yield_now().await;
                if !progress(secs(sample_of(end))) {
                    flow = Flow::Stop;
                    break;
                }
            }
            give(stitcher.interrupt());
            if flow == Flow::Stop {
                return Ok(flow);
            }
        }
        Ok(Flow::Continue)
    }
}

/// Where the chunk ends that `samples` begin with: all of them, or at a pause.
fn chunk_samples(samples: &[f32]) -> usize {
    if samples.len() <= MAX_CHUNK_SAMPLES {
        return samples.len();
    }
    let levels = block_levels(&samples[..MAX_CHUNK_SAMPLES]);
    chunk_end(&levels) * BLOCK_SAMPLES
}

fn secs(num_samples: u64) -> f32 {
    (num_samples as f64 / f64::from(SAMPLE_RATE_HZ)) as f32
}

impl Recognizer {
    /// What [`Self::transcribe`] gives to the decoder; `progress(done_secs, total_secs)` after each
    /// window, false stops.
    pub(super) async fn hear(
        &self,
        mut hearing: Hearing<'_>,
        samples: &[f32],
        progress: &mut dyn FnMut(f32, f32) -> bool,
        heard: &mut dyn FnMut(Posteriors),
    ) -> Result<(), RecognizeError> {
        let total_secs = secs(samples.len() as u64);
        let mut rest = samples;
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(chunk_samples(rest));
            let mut progress = |done_secs| progress(done_secs, total_secs);
            if hearing.chunk(chunk, &mut progress, heard).await? == Flow::Stop {
                break;
            }
            rest = later;
        }
        Ok(())
    }

    /// Whether the best path has at least so many letters.
    pub(super) fn writes_letters(&self, log_probs: &[f32], wanted: usize) -> bool {
        let mut ids = greedy_ids(LogProbs::new(log_probs, self.tokens.len()));
        let mut letters = 0;
        while letters < wanted {
            let Some(id) = ids.next() else { return false };
            letters += num_letters(&self.tokens, id);
        }
        true
    }
}

/// Is told of the words that are certain, and of the phrases that they are.
type Told<'a> = dyn FnMut(&[Word], &[PhraseHit]) + 'a;

/// A transcript of audio that arrives piece by piece, of any length, in bounded memory. The words
/// are those of [`Recognizer::transcribe`] of all pieces in one.
pub struct Transcription<'a> {
    hearing: Hearing<'a>,
    /// Samples short of a chunk.
    pending: Vec<f32>,
    writer: Writer<'a>,
    told: Option<Box<Told<'a>>>,
    flow: Flow,
}

impl Recognizer {
    /// Begins a transcript of audio that is not all there.
    pub fn begin(&self) -> Transcription<'_> {
        Transcription {
            hearing: Hearing::new(self, self.decoder.reads_phones()),
            pending: Vec::new(),
            writer: self.writer(),
            told: None,
            flow: Flow::Continue,
        }
    }
}

impl<'a> Transcription<'a> {
    /// Tells words, and phrases where only those are heard, as they are found, in the order they
    /// were said: each once, and all of them before [`Self::finish`] gives them.
    pub fn telling(mut self, told: impl FnMut(&[Word], &[PhraseHit]) + 'a) -> Self {
        self.told = Some(Box::new(told));
        self
    }

    /// Takes the next 16 kHz mono samples; `progress(done_secs)` after each window, false stops for
    /// good.
    ///
    /// # Errors
    /// What the device says.
    pub async fn push(
        &mut self,
        samples: &[f32],
        progress: &mut dyn FnMut(f32) -> bool,
    ) -> Result<(), RecognizeError> {
        // Of a long recording the room for a chunk is taken once, and kept: a list that grows by doubling
        // has up to three times the chunk, which a browser's memory never gives back.
        let needed = self.pending.len() + samples.len();
        if needed > self.pending.capacity() && needed > LONG_SAMPLES {
            let room = needed.max(MAX_CHUNK_SAMPLES + samples.len());
            self.pending.reserve_exact(room - self.pending.len());
        }
        self.pending.extend_from_slice(samples);
        while self.pending.len() > MAX_CHUNK_SAMPLES && self.flow == Flow::Continue {
            let mut pending = std::mem::take(&mut self.pending);
            let end = chunk_samples(&pending);
            self.hear(&pending[..end], progress).await?;
            pending.drain(..end);
            self.pending = pending;
        }
        Ok(())
    }

    /// The words of everything that was pushed, or of what there was before the stop.
    ///
    /// # Errors
    /// What the device says.
    pub async fn finish(
        mut self,
        progress: &mut dyn FnMut(f32) -> bool,
    ) -> Result<Transcript, RecognizeError> {
        let rest = std::mem::take(&mut self.pending);
        if self.flow == Flow::Continue && !rest.is_empty() {
            self.hear(&rest, progress).await?;
        }
        let (words, phrases) = self.writer.num_written();
        let transcript = self.writer.finish();
        if let Some(told) = &mut self.told
            && transcript.words.len() > words
        {
            told(&transcript.words[words..], &transcript.phrases[phrases..]);
        }
        Ok(transcript)
    }

    async fn hear(
        &mut self,
        chunk: &[f32],
        progress: &mut dyn FnMut(f32) -> bool,
    ) -> Result<(), RecognizeError> {
        let Self {
            hearing,
            writer,
            told,
            ..
        } = self;
        let mut heard = |posteriors: Posteriors| {
            let (words, phrases) = writer.take(&posteriors);
            if let Some(told) = told
                && !words.is_empty()
            {
                told(words, phrases);
            }
        };
        self.flow = hearing.chunk(chunk, progress, &mut heard).await?;
        Ok(())
    }
}
