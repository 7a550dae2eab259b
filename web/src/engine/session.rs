//! What the engine holds between requests, and how each is served.

use std::{rc::Rc, sync::Arc};

use shared_model::{
    audio::{SAMPLE_RATE_HZ, StreamResampler, resample},
    bundle::read_model,
    decode::{BeamDecoder, lm::NgramLm},
    metrics::word_errors,
    recognizer::{Decoder, LiveConfig, LiveEvent, LiveRecognizer, Recognizer},
    tokens::normalize_text,
};

use super::{
    EngineDevice, Failure,
    download::{fetch_folder, fetch_lm},
    turns::in_turns,
};
use crate::{
    protocol::{
        FailureKind, LiveSegment, LoadPhase, LoadTimes, Request, Response, Transcript, Word,
        WordErrors,
    },
    worker_channel::{Channel, Incoming},
};

struct Student {
    recognizer: Rc<Recognizer>,
    vocab_size: usize,
}

struct Live {
    /// The request that started it; its answers carry this id.
    id: u32,
    recognizer: LiveRecognizer,
    resampler: StreamResampler,
}

pub struct Session {
    engine: EngineDevice,
    channel: Channel,
    student: Option<Student>,
    live: Option<Live>,
    /// The language model fetched last, and its address.
    lm: Option<(String, Arc<NgramLm>)>,
}

impl Session {
    pub fn new(engine: EngineDevice, channel: Channel) -> Self {
        Self {
            engine,
            channel,
            student: None,
            live: None,
            lm: None,
        }
    }

    pub async fn serve(&mut self, incoming: Incoming) {
        let id = incoming.id;
        let served = match incoming.request.clone() {
            Request::Load { model_url, lm_url } => {
                self.load(id, &model_url, lm_url.as_deref()).await
            }
            Request::Transcribe {
                sample_rate_hz,
                reference,
            } => {
                self.transcribe(incoming, sample_rate_hz, reference.as_deref())
                    .await
            }
            Request::LogProbs { sample_rate_hz } => self.log_probs(incoming, sample_rate_hz).await,
            Request::LiveStart { sample_rate_hz } => self.live_start(id, sample_rate_hz),
            Request::LivePush => self.live_push(&incoming).await,
            Request::LiveStop => self.live_stop(id).await,
            // Taken out before the queue.
            Request::Cancel { .. } => Ok(()),
            Request::DecodeFile => Err(Failure::new(
                FailureKind::State,
                "an engine reads no audio files",
            )),
        };
        if let Err(failure) = served {
            let response = Response::Failed {
                kind: failure.kind,
                message: failure.message,
            };
            self.channel.post(id, &response, None);
        }
        self.channel.finished(id);
    }

    fn student(&self) -> Result<&Student, Failure> {
        self.student
            .as_ref()
            .ok_or_else(|| Failure::new(FailureKind::State, "no model is loaded"))
    }

    async fn load(
        &mut self,
        id: u32,
        model_url: &str,
        lm_url: Option<&str>,
    ) -> Result<(), Failure> {
        let started = self.channel.now();
        let files = fetch_folder(&self.channel, id, model_url).await?;
        let lm = match lm_url {
            Some(url) => Some(self.language_model(id, url).await?),
            None => None,
        };
        let downloaded = self.channel.now();
        self.post_phase(id, LoadPhase::Checking);
        let loaded = read_model(&files).map_err(|error| Failure::new(FailureKind::Model, error))?;
        drop(files);
        // The old student goes first: two at once may not fit.
        self.live = None;
        self.student = None;
        self.post_phase(id, LoadPhase::Preparing);
        let vocab_size = loaded.tokens.len();
        let decoder = match lm {
            Some(lm) => {
                let config = loaded.beam.clone().unwrap_or_default();
                let decoder = BeamDecoder::new(&loaded.tokens, config, None, Some(lm));
                Decoder::Beam(decoder.map_err(|error| Failure::new(FailureKind::Model, error))?)
            }
            None => Decoder::Greedy,
        };
        let recognizer = Recognizer::new(&loaded, decoder, &self.engine.device)?
            .with_pad_to_frames_multiple(self.engine.pad_to_frames_multiple);
        // Compiles what the first words would wait for: a GPU's programs, the module's hot loops.
        // The network does the same work for silence as for speech.
        for secs in self.engine.warm_up_secs {
            let silence = vec![0.0; secs * SAMPLE_RATE_HZ as usize];
            recognizer.log_probs(&silence).await?;
        }
        self.student = Some(Student {
            recognizer: Rc::new(recognizer),
            vocab_size,
        });
        let times = LoadTimes {
            download_ms: downloaded - started,
            build_ms: self.channel.now() - downloaded,
        };
        self.channel.post(id, &Response::Loaded(times), None);
        Ok(())
    }

    /// The last one asked for is kept: students of a family share it.
    async fn language_model(&mut self, id: u32, url: &str) -> Result<Arc<NgramLm>, Failure> {
        if let Some((known, lm)) = &self.lm
            && known == url
        {
            return Ok(lm.clone());
        }
        let bytes = fetch_lm(&self.channel, id, url).await?;
        self.post_phase(id, LoadPhase::Checking);
        // The page offers the compact form only; a reader of ARPA text would add to the download.
        let lm = NgramLm::from_binary(&bytes);
        let lm = Arc::new(lm.map_err(|error| Failure::new(FailureKind::Model, error))?);
        self.lm = Some((url.to_owned(), lm.clone()));
        Ok(lm)
    }

    fn post_phase(&self, id: u32, phase: LoadPhase) {
        self.channel.post(id, &Response::Loading(phase), None);
    }

    async fn transcribe(
        &self,
        incoming: Incoming,
        sample_rate_hz: u32,
        reference: Option<&str>,
    ) -> Result<(), Failure> {
        let (channel, id) = (&self.channel, incoming.id);
        let recognizer = self.student()?.recognizer.clone();
        let started = channel.now();
        let samples = samples_of(&incoming, sample_rate_hz)?;
        let resampled = channel.now();
        let mut progress = |done_secs: f32, total_secs: f32| {
            let response = Response::Transcribing {
                done_secs,
                total_secs,
            };
            channel.post(id, &response, None);
            !channel.is_cancelled(id)
        };
        let transcript = in_turns(
            channel.scope(),
            recognizer.transcribe_with_progress(&samples, &mut progress),
        )
        .await?;
        let errors = reference.map(|reference| {
            let counts = word_errors(
                &normalize_text(reference),
                &normalize_text(&transcript.text),
            );
            WordErrors {
                reference_words: counts.reference_len,
                errors: counts.errors(),
            }
        });
        let response = Response::Transcribed {
            transcript: transcript_of(transcript),
            audio_secs: samples.len() as f64 / f64::from(SAMPLE_RATE_HZ),
            resample_ms: resampled - started,
            recognize_ms: channel.now() - resampled,
            errors,
            cancelled: channel.is_cancelled(id),
        };
        channel.post(id, &response, None);
        Ok(())
    }

    async fn log_probs(&self, incoming: Incoming, sample_rate_hz: u32) -> Result<(), Failure> {
        let id = incoming.id;
        let student = self.student()?;
        let samples = samples_of(&incoming, sample_rate_hz)?;
        let log_probs = student.recognizer.log_probs(&samples).await?;
        let vocab_size = student.vocab_size;
        self.channel
            .post(id, &Response::LogProbs { vocab_size }, Some(&log_probs));
        Ok(())
    }

    fn live_start(&mut self, id: u32, sample_rate_hz: u32) -> Result<(), Failure> {
        let recognizer = self.student()?.recognizer.clone();
        let resampler = StreamResampler::new(sample_rate_hz, SAMPLE_RATE_HZ)
            .map_err(|error| Failure::new(FailureKind::BadAudio, error))?;
        self.live = Some(Live {
            id,
            recognizer: LiveRecognizer::new(recognizer, LiveConfig::default())?,
            resampler,
        });
        self.channel.post(id, &Response::LiveStarted, None);
        Ok(())
    }

    async fn live_push(&mut self, incoming: &Incoming) -> Result<(), Failure> {
        // Audio that was on its way when the session ended belongs to nobody.
        let Some(live) = &mut self.live else {
            return Ok(());
        };
        let samples = live
            .resampler
            .push(&incoming.samples())
            .map_err(|error| Failure::new(FailureKind::BadAudio, error))?;
        let events = live.recognizer.push(&samples).await?;
        let id = live.id;
        self.post_live(id, events);
        Ok(())
    }

    async fn live_stop(&mut self, id: u32) -> Result<(), Failure> {
        let Some(mut live) = self.live.take() else {
            self.channel.post(id, &Response::LiveEnded, None);
            return Ok(());
        };
        let rest = live
            .resampler
            .finish()
            .map_err(|error| Failure::new(FailureKind::BadAudio, error))?;
        let mut events = live.recognizer.push(&rest).await?;
        events.extend(live.recognizer.finish().await?);
        self.post_live(live.id, events);
        self.channel.post(id, &Response::LiveEnded, None);
        Ok(())
    }

    fn post_live(&self, id: u32, events: Vec<LiveEvent>) {
        if events.is_empty() {
            return;
        }
        let segments = events
            .into_iter()
            .map(|event| {
                let (segment, is_final, transcript) = match event {
                    LiveEvent::Partial {
                        segment,
                        transcript,
                    } => (segment, false, transcript),
                    LiveEvent::Final {
                        segment,
                        transcript,
                    } => (segment, true, transcript),
                };
                LiveSegment {
                    segment: segment as f64,
                    is_final,
                    transcript: transcript_of(transcript),
                }
            })
            .collect();
        self.channel.post(id, &Response::Live(segments), None);
    }
}

/// The payload at the rate of the models.
fn samples_of(incoming: &Incoming, sample_rate_hz: u32) -> Result<Vec<f32>, Failure> {
    let samples = incoming.samples();
    if sample_rate_hz == SAMPLE_RATE_HZ {
        return Ok(samples);
    }
    resample(&samples, sample_rate_hz, SAMPLE_RATE_HZ)
        .map_err(|error| Failure::new(FailureKind::BadAudio, error))
}

fn transcript_of(transcript: shared_model::recognizer::Transcript) -> Transcript {
    Transcript {
        text: transcript.text,
        words: transcript
            .words
            .into_iter()
            .map(|word| Word {
                text: word.text,
                start_secs: word.start_secs,
                end_secs: word.end_secs,
                confidence: word.confidence,
            })
            .collect(),
    }
}
