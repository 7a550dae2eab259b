//! What the engine holds between requests, and how each is served.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
};

use shared_model::{
    audio::{SAMPLE_RATE_HZ, StreamResampler, resample},
    bundle::read_model,
    decode::lm::NgramLm,
    recognizer::{Decoder, LiveConfig, LiveEvent, LiveRecognizer, Recognizer},
};

use super::{
    EngineDevice, Failure,
    answers::{alignment_of, error_rate, errors_of, phrase_of, transcript_of, word_of},
    download::{fetch_folder, fetch_lm},
    student::{Student, check_boosts, check_phrases},
    turns::in_turns,
};
use crate::{
    protocol::{
        Boosts, FailureKind, LiveSegment, LoadPhase, LoadTimes, RemoteFile, Request, Response,
        WantedPhrases,
    },
    worker_channel::{Channel, Incoming},
};

/// What listens to a recording or to a session.
struct Listener {
    recognizer: Rc<Recognizer>,
    hears_phrases: bool,
}

struct Live {
    recognizer: LiveRecognizer,
    hears_phrases: bool,
    resampler: StreamResampler,
}

pub struct Session {
    engine: EngineDevice,
    channel: Channel,
    student: Option<Student>,
    /// By the request that began each; its answers carry that id.
    live: BTreeMap<u32, Live>,
    /// The language model fetched last, and its address.
    lm: Option<(String, Arc<NgramLm>)>,
}

impl Session {
    pub fn new(engine: EngineDevice, channel: Channel) -> Self {
        Self {
            engine,
            channel,
            student: None,
            live: BTreeMap::new(),
            lm: None,
        }
    }

    pub async fn serve(&mut self, incoming: Incoming) {
        let id = incoming.id;
        let served = match incoming.request.clone() {
            Request::Load {
                model_url,
                manifest,
                lm,
            } => self.load(id, &model_url, manifest, lm.as_ref()).await,
            Request::Transcribe {
                sample_rate_hz,
                reference,
                phrases,
                boosts,
                ..
            } => match self.hearing(phrases.as_ref(), &boosts) {
                Ok(listener) => {
                    let reference = reference.as_deref();
                    self.transcribe(incoming, sample_rate_hz, reference, listener)
                        .await
                }
                Err(failure) => Err(failure),
            },
            Request::LogProbs { sample_rate_hz } => self.log_probs(incoming, sample_rate_hz).await,
            Request::LiveStart {
                sample_rate_hz,
                phrases,
                boosts,
            } => {
                let listener = self.hearing(phrases.as_ref(), &boosts);
                listener.and_then(|listener| self.live_start(id, sample_rate_hz, listener))
            }
            Request::LivePush { of } => self.live_push(of, &incoming).await,
            Request::LiveStop { of } => self.live_stop(id, of).await,
            Request::CheckPhrases { list } => {
                check_phrases(&list, self.student.as_ref()).map(|checked| {
                    self.channel.post(id, &checked, None);
                })
            }
            Request::CheckBoosts { list } => {
                check_boosts(&list, self.student.as_ref()).map(|checked| {
                    self.channel.post(id, &checked, None);
                })
            }
            Request::ErrorRate { utterances } => {
                self.channel.post(id, &error_rate(&utterances), None);
                Ok(())
            }
            // Taken out before the queue.
            Request::Cancel { .. } | Request::Piece { .. } => Ok(()),
            Request::OpenFile | Request::NextBlock => Err(Failure::new(
                FailureKind::State,
                "an engine reads no audio files",
            )),
        };
        if let Err(failure) = served {
            let response = Response::Failed {
                kind: failure.kind,
                message: failure.message,
                at: failure.at,
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

    /// # Errors
    /// There is no student, or the lists cannot be used.
    fn hearing(
        &self,
        phrases: Option<&WantedPhrases>,
        boosts: &Boosts,
    ) -> Result<Listener, Failure> {
        Ok(Listener {
            recognizer: self.student()?.hearing(phrases, boosts)?,
            hears_phrases: phrases.is_some(),
        })
    }

    async fn load(
        &mut self,
        id: u32,
        model_url: &str,
        manifest: Option<String>,
        lm: Option<&RemoteFile>,
    ) -> Result<(), Failure> {
        let started = self.channel.now();
        let files = fetch_folder(&self.channel, id, model_url, manifest).await?;
        let lm = match lm {
            Some(file) => Some(self.language_model(id, file).await?),
            None => None,
        };
        let downloaded = self.channel.now();
        self.post_phase(id, LoadPhase::Checking);
        let loaded = read_model(&files).map_err(|error| Failure::new(FailureKind::Model, error))?;
        drop(files);
        // The old student goes first: two at once may not fit.
        self.live.clear();
        self.student = None;
        self.post_phase(id, LoadPhase::Preparing);
        let decoder = match lm {
            Some(lm) => {
                let decoder = loaded.beam_search(lm);
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
        let beam = loaded.beam.unwrap_or_default();
        let weights_id = loaded.manifest.weights_id();
        self.student = Some(Student::new(recognizer, weights_id, beam));
        let times = LoadTimes {
            download_ms: downloaded - started,
            build_ms: self.channel.now() - downloaded,
        };
        self.channel.post(id, &Response::Loaded(times), None);
        Ok(())
    }

    /// The last one asked for is kept: students of a family share it.
    async fn language_model(
        &mut self,
        id: u32,
        file: &RemoteFile,
    ) -> Result<Arc<NgramLm>, Failure> {
        if let Some((known, lm)) = &self.lm
            && *known == file.url
        {
            return Ok(lm.clone());
        }
        let bytes = fetch_lm(&self.channel, id, file).await?;
        self.post_phase(id, LoadPhase::Checking);
        // The page offers the compact form only; a reader of ARPA text would add to the download.
        let lm = NgramLm::from_binary(&bytes);
        let lm = Arc::new(lm.map_err(|error| Failure::new(FailureKind::Model, error))?);
        self.lm = Some((file.url.clone(), lm.clone()));
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
        listener: Listener,
    ) -> Result<(), Failure> {
        let (channel, id) = (&self.channel, incoming.id);
        let heard = Heard::default();
        let hearing = hear(
            channel,
            &listener.recognizer,
            incoming,
            sample_rate_hz,
            &heard,
        );
        let transcript = in_turns(channel.scope(), hearing).await?;
        let response = Response::Transcribed {
            errors: reference.map(|reference| errors_of(reference, &transcript)),
            alignment: reference.map_or_else(Vec::new, |one| alignment_of(one, &transcript)),
            transcript: transcript_of(transcript, listener.hears_phrases),
            audio_secs: heard.num_samples.get() as f64 / f64::from(SAMPLE_RATE_HZ),
            resample_ms: heard.resample_ms.get(),
            recognize_ms: heard.recognize_ms.get(),
            cancelled: channel.is_cancelled(id),
        };
        channel.post(id, &response, None);
        Ok(())
    }

    async fn log_probs(&self, incoming: Incoming, sample_rate_hz: u32) -> Result<(), Failure> {
        let id = incoming.id;
        let student = self.student()?;
        let samples = samples_of(&incoming, sample_rate_hz)?;
        let recognizer = student.hearing(None, &Boosts::None)?;
        let log_probs = recognizer.log_probs(&samples).await?;
        let vocab_size = recognizer.tokens().len();
        self.channel
            .post(id, &Response::LogProbs { vocab_size }, Some(&log_probs));
        Ok(())
    }

    fn live_start(
        &mut self,
        id: u32,
        sample_rate_hz: u32,
        listener: Listener,
    ) -> Result<(), Failure> {
        let resampler = StreamResampler::new(sample_rate_hz, SAMPLE_RATE_HZ)
            .map_err(|error| Failure::new(FailureKind::BadAudio, error))?;
        let recognizer = LiveRecognizer::new(listener.recognizer, LiveConfig::default())?;
        let live = Live {
            recognizer,
            hears_phrases: listener.hears_phrases,
            resampler,
        };
        self.live.insert(id, live);
        self.channel.post(id, &Response::LiveStarted, None);
        Ok(())
    }

    async fn live_push(&mut self, session: u32, incoming: &Incoming) -> Result<(), Failure> {
        // Audio that was on its way when the session ended belongs to nobody.
        let Some(live) = self.live.get_mut(&session) else {
            return Ok(());
        };
        let samples = live
            .resampler
            .push(&incoming.samples())
            .map_err(|error| Failure::new(FailureKind::BadAudio, error))?;
        let events = live.recognizer.push(&samples).await?;
        let hears_phrases = live.hears_phrases;
        self.post_live(session, events, hears_phrases);
        Ok(())
    }

    async fn live_stop(&mut self, id: u32, session: u32) -> Result<(), Failure> {
        let Some(mut live) = self.live.remove(&session) else {
            self.channel.post(id, &Response::LiveEnded, None);
            return Ok(());
        };
        let rest = live
            .resampler
            .finish()
            .map_err(|error| Failure::new(FailureKind::BadAudio, error))?;
        let mut events = live.recognizer.push(&rest).await?;
        events.extend(live.recognizer.finish().await?);
        self.post_live(session, events, live.hears_phrases);
        self.channel.post(id, &Response::LiveEnded, None);
        Ok(())
    }

    fn post_live(&self, id: u32, events: Vec<LiveEvent>, hears_phrases: bool) {
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
                    transcript: transcript_of(transcript, hears_phrases),
                }
            })
            .collect();
        self.channel.post(id, &Response::Live(segments), None);
    }
}

/// What was measured of a recording so far.
#[derive(Default)]
struct Heard {
    num_samples: Cell<u64>,
    resample_ms: Cell<f64>,
    recognize_ms: Cell<f64>,
}

/// Transcribes a recording that comes in pieces, the first of them with its request.
async fn hear(
    channel: &Channel,
    recognizer: &Recognizer,
    first: Incoming,
    sample_rate_hz: u32,
    heard: &Heard,
) -> Result<shared_model::recognizer::Transcript, Failure> {
    let bad_audio = |error| Failure::new(FailureKind::BadAudio, error);
    let id = first.id;
    let mut resampler = StreamResampler::new(sample_rate_hz, SAMPLE_RATE_HZ).map_err(bad_audio)?;
    let found = RefCell::new((Vec::new(), Vec::new()));
    let mut transcription = recognizer.begin().telling(|words, phrases| {
        let (found_words, found_phrases) = &mut *found.borrow_mut();
        found_words.extend(words.iter().cloned().map(word_of));
        found_phrases.extend(phrases.iter().cloned().map(phrase_of));
    });
    let mut progress = |done_secs: f32| {
        let (words, phrases) = found.take();
        let told = Response::Transcribing {
            done_secs,
            words,
            phrases,
        };
        channel.post(id, &told, None);
        !channel.is_cancelled(id)
    };
    let mut next = Some(first);
    while let Some(mut piece) = next {
        let is_more = matches!(
            piece.request,
            Request::Transcribe { more: true, .. } | Request::Piece { more: true, .. }
        );
        let started = channel.now();
        let mut samples = resampler.push(&piece.samples()).map_err(bad_audio)?;
        if !is_more {
            samples.extend(resampler.finish().map_err(bad_audio)?);
        }
        let resampled = channel.now();
        heard
            .num_samples
            .set(heard.num_samples.get() + samples.len() as u64);
        heard
            .resample_ms
            .set(heard.resample_ms.get() + resampled - started);
        transcription.push(&samples, &mut progress).await?;
        heard
            .recognize_ms
            .set(heard.recognize_ms.get() + channel.now() - resampled);
        next = if is_more {
            channel.post_buffer(id, &Response::Taken, piece.payload.pop().as_ref());
            channel.next_piece(id).await
        } else {
            None
        };
    }
    let started = channel.now();
    let transcript = transcription.finish(&mut progress).await?;
    heard
        .recognize_ms
        .set(heard.recognize_ms.get() + channel.now() - started);
    Ok(transcript)
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
