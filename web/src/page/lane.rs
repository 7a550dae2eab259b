//! A lane: one student that hears everything that is given to the page.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    rc::Rc,
};

use wasm_bindgen_futures::spawn_local;

use super::{
    bell::Bell,
    decoding::Decoding,
    dom::{now, sentence},
    engine_host::EngineHost,
    engines::Engines,
    feeder::Feeder,
    lane_view::LaneView,
    live_view::LiveView,
    recording::MicrophoneSound,
    stored,
    students::Student,
    tape::Tape,
    turn::Turn,
    worker_client::{Failure, Progress, WorkerClient},
};
use crate::{
    figures,
    protocol::{LoadPhase, Request, Response},
};

/// A recording of this length is shown in paragraphs with their times.
const LONG_SECS: f64 = 60.0;
/// A student's words before its language model is there, which then hears everything once more.
const BY_ITSELF: &str = "by itself; its language model is on its way";
/// Memory of a worker only grows, and windows of a long recording take four times that of a clip: after
/// one, the worker goes. The next is there within a second, from what the browser keeps.
const GIVEN_BACK: &str = "its memory was given back";

/// A worker that holds the student.
struct Loaded {
    client: Rc<WorkerClient>,
    /// The language model that it is to write with is still to be fetched.
    lacks_lm: bool,
}

pub struct Lane {
    pub student: Rc<Student>,
    pub view: Rc<LaneView>,
    pub host: EngineHost,
    /// Whether it hears what is given to the page.
    pub is_on: Cell<bool>,
    /// Among the lanes.
    pub number: usize,
    /// Something is still to come.
    busy: Cell<bool>,
    /// What it hears, or heard last, is a long recording.
    hears_long: Cell<bool>,
}

impl Lane {
    pub fn new(number: usize, student: Rc<Student>, view: LaneView, engines: Rc<Engines>) -> Self {
        Self {
            is_on: Cell::new(!student.is_teacher()),
            student,
            view: Rc::new(view),
            host: EngineHost::new(engines),
            number,
            busy: Cell::new(false),
            hears_long: Cell::new(false),
        }
    }

    /// Loads the student, and says how far that is. Unless it `waits` for its language model, it is
    /// loaded without one that is still to be fetched.
    async fn load(&self, decoding: &Decoding, waits: bool, turn: &Turn) -> Result<Loaded, Failure> {
        let chosen = self.student.lms.file(decoding.lm);
        let has_lm = chosen.is_some() && self.host.holds(&self.student, chosen);
        // Phrases need no language model; one that is there does no harm.
        let wanted = chosen.filter(|_| decoding.phrases.is_none() || has_lm);
        let lacks_lm = match wanted {
            // What has no digest is not kept.
            Some(lm) => !waits && !has_lm && lm.sha256.is_some() && !stored::holds(lm).await,
            None => false,
        };
        let lm = wanted.filter(|_| !lacks_lm);
        if !self.host.holds(&self.student, lm) {
            self.view.set_facts("waits for its turn to load");
        }
        let (view, heard) = (self.view.clone(), turn.clone());
        let progress: Progress = Rc::new(move |response| {
            if heard.is_current() {
                show_loading(&view, response);
            }
        });
        let client = self.host.load(&self.student, lm, progress).await?;
        if !turn.is_current() {
            return Err(Failure::state("it was cancelled"));
        }
        self.view.set_loaded(None);
        self.view.set_facts("");
        Ok(Loaded { client, lacks_lm })
    }

    /// Loads the student ahead of what it will hear; a failure shows there.
    pub async fn prepare(&self, decoding: &Decoding, turn: &Turn) {
        let _ = self.load(decoding, false, turn).await;
    }

    /// Fetches the language model that the student went ahead of, and says so.
    fn fetch_lm(&self, decoding: &Decoding, turn: &Turn) -> impl Future<Output = ()> + 'static {
        let (view, turn) = (self.view.clone(), turn.clone());
        let lm = self.student.lms.file(decoding.lm).cloned();
        let progress: Progress = Rc::new(move |response| {
            if let (Response::Loading(LoadPhase::Downloading { received, total }), true) =
                (response, turn.is_current())
            {
                let (here, all) = (figures::bytes(*received), figures::bytes(*total));
                view.set_facts(&format!("{BY_ITSELF}: {here} of {all}"));
            }
        });
        self.host.fetch_lm(lm, progress)
    }

    /// The visitor wants no more words of it.
    pub fn give_up(&self) {
        if self.hears_long.get() {
            self.host.stop(GIVEN_BACK);
        }
        self.view.set_partial("");
        self.view.set_loaded(None);
        if self.view.words().is_empty() {
            self.view.set_placeholder("Cancelled.");
            self.view.set_facts("");
        } else if self.busy.replace(false) {
            self.view.set_facts("cancelled, these words so far");
        }
    }

    /// Transcribes a recording, and shows what comes of it. The end of it, if it came to one.
    pub async fn hear(
        &self,
        tape: &Rc<Tape>,
        truth: Option<&str>,
        decoding: &Decoding,
        turn: &Turn,
    ) -> Option<Response> {
        self.busy.set(true);
        // Of a long recording the beginning is not kept: it is heard once, with the language model.
        let mut again = false;
        let heard = loop {
            let loaded = self.load(decoding, again || is_long(tape), turn).await;
            let lacks_lm = loaded.as_ref().is_ok_and(|loaded| loaded.lacks_lm);
            if again && turn.is_current() {
                self.view.reset("");
            }
            let heard = match loaded {
                Ok(loaded) => self.feed(&loaded.client, tape, truth, decoding, turn).await,
                Err(failure) => Err(failure),
            };
            match heard {
                Ok(response) if lacks_lm && turn.is_current() && tape.rewind(self.number) => {
                    self.show_result(&response);
                    self.view.set_facts(BY_ITSELF);
                    self.fetch_lm(decoding, turn).await;
                    again = true;
                }
                Err(failure)
                    if turn.is_current()
                        && self.host.may_retry(&failure)
                        && tape.rewind(self.number) =>
                {
                    self.view.reset("");
                }
                heard => break heard,
            }
        };
        tape.leave(self.number);
        if !turn.is_current() {
            return None;
        }
        self.busy.set(false);
        if is_long(tape) {
            self.host.stop(GIVEN_BACK);
        }
        match heard {
            Ok(response) => {
                self.show_result(&response);
                Some(response)
            }
            Err(failure) => {
                self.view.fail(&sentence(&failure.message));
                None
            }
        }
    }

    async fn feed(
        &self,
        client: &Rc<WorkerClient>,
        tape: &Rc<Tape>,
        truth: Option<&str>,
        decoding: &Decoding,
        turn: &Turn,
    ) -> Result<Response, Failure> {
        let first = tape.next(self.number, || client.take_spare()).await?;
        let phrases = decoding.phrases.clone();
        let hears_phrases = phrases.is_some();
        let request = Request::Transcribe {
            sample_rate_hz: tape.sample_rate_hz,
            // Words that no phrase has were not to be written.
            reference: truth.filter(|_| !hears_phrases).map(str::to_owned),
            more: !first.is_last,
            phrases,
            boosts: decoding.boosts.clone(),
        };
        let taken = Rc::new((Cell::new(0), Bell::default()));
        if !first.is_last {
            let feeder = Feeder {
                client: client.clone(),
                request: client.next_id(),
                tape: tape.clone(),
                lane: self.number,
                taken: taken.clone(),
            };
            let turn = turn.clone();
            spawn_local(async move { feeder.run(&turn).await });
        }
        let (view, turn) = (self.view.clone(), turn.clone());
        let total_secs = tape.expected_secs;
        let is_long = is_long(tape);
        self.hears_long.set(is_long);
        view.set_long(is_long);
        let started_ms = now();
        let progress: Progress = Rc::new(move |response| match response {
            Response::Taken => {
                taken.0.set(taken.0.get() + 1);
                taken.1.ring();
            }
            Response::Transcribing {
                done_secs,
                words,
                phrases,
            } if turn.is_current() => {
                let shown = if hears_phrases {
                    view.push_phrases(words, phrases, is_long)
                } else {
                    view.push_words(words, is_long)
                };
                if shown.is_ok() && is_long {
                    let elapsed_secs = (now() - started_ms) / 1e3;
                    view.set_facts(&so_far(f64::from(*done_secs), total_secs, elapsed_secs));
                }
            }
            _ => {}
        });
        self.host
            .ask(client, &request, Some(first.samples), Some(progress))
            .await
    }

    fn show_result(&self, response: &Response) {
        let Response::Transcribed {
            transcript,
            audio_secs,
            recognize_ms,
            errors,
            alignment,
            ..
        } = response
        else {
            return;
        };
        let view = &self.view;
        let is_long = *audio_secs > LONG_SECS;
        let told = view.words().len();
        let rest = transcript.words.get(told..).unwrap_or_default();
        let others = &transcript.others;
        let shown = match (errors, &transcript.phrases) {
            (_, Some(phrases)) => {
                view.set_verdict(&count_phrases(phrases.len(), others.len()));
                if is_long {
                    let told = view.num_phrases();
                    view.push_phrases(rest, phrases.get(told..).unwrap_or_default(), is_long)
                } else {
                    view.show_phrases(&transcript.words, phrases, others)
                }
            }
            (Some(errors), None) => {
                view.set_verdict(&match errors.errors {
                    0 => format!("all {} right", errors.reference_words),
                    wrong => format!("{wrong} of {} wrong", errors.reference_words),
                });
                view.show_compared(&transcript.words, alignment)
            }
            (None, None) => view.push_words(rest, is_long),
        };
        if let Err(error) = shown {
            web_sys::console::error_1(&error);
        }
        if transcript.words.is_empty() && (is_long || others.is_empty()) {
            view.set_placeholder(nothing(transcript.phrases.is_some()));
        }
        let speed = audio_secs * 1e3 / recognize_ms.max(0.01);
        let time = figures::milliseconds(*recognize_ms);
        view.set_facts(&format!("{time}, {} real time", figures::times(speed)));
    }

    /// Listens to the microphone until it stops, from its first sample on, however late the student
    /// is there.
    pub async fn listen(&self, sound: &Rc<MicrophoneSound>, decoding: &Decoding, turn: &Turn) {
        let mut again = false;
        loop {
            let loaded = self.load(decoding, again, turn).await;
            let lacks_lm = loaded.as_ref().is_ok_and(|loaded| loaded.lacks_lm);
            if again && turn.is_current() {
                self.view.reset("");
            }
            let lm_is_there = Rc::new(Cell::new(!lacks_lm));
            if lacks_lm {
                let (fetched, lm_is_there) = (self.fetch_lm(decoding, turn), lm_is_there.clone());
                let sound = sound.clone();
                spawn_local(async move {
                    fetched.await;
                    lm_is_there.set(true);
                    sound.bell.ring();
                });
            }
            let is_over = || lacks_lm && lm_is_there.get() && sound.is_whole();
            let listened = match loaded {
                Ok(loaded) => {
                    self.follow(&loaded.client, sound, decoding, is_over, turn)
                        .await
                }
                Err(failure) => Err(failure),
            };
            if !turn.is_current() {
                return;
            }
            match listened {
                Ok(()) if lacks_lm && sound.is_whole() => {
                    self.view.set_facts(BY_ITSELF);
                    sound.bell.until(|| lm_is_there.get().then_some(())).await;
                    again = true;
                }
                Ok(()) => break,
                Err(failure) if sound.is_whole() && self.host.may_retry(&failure) => {
                    self.view.reset("");
                }
                Err(failure) => return self.view.fail(&sentence(&failure.message)),
            }
        }
        self.view.set_partial("");
        if self.view.is_empty() {
            self.view
                .set_placeholder(nothing(decoding.phrases.is_some()));
        }
    }

    /// Hears the microphone from its first sample until it stops or `is_over`.
    async fn follow(
        &self,
        client: &Rc<WorkerClient>,
        sound: &Rc<MicrophoneSound>,
        decoding: &Decoding,
        is_over: impl Fn() -> bool,
        turn: &Turn,
    ) -> Result<(), Failure> {
        let sample_rate_hz = sound.sample_rate_hz;
        let failed: Rc<RefCell<Option<Failure>>> = Rc::default();
        let live = LiveView {
            view: self.view.clone(),
            sound: sound.clone(),
            turn: turn.clone(),
            // What was said before the student was there is late for another reason.
            live_from_secs: sound.secs_since_start(),
        };
        let to = failed.clone();
        let bell = sound.clone();
        client.set_live_handler(Some(Rc::new(move |event| match event {
            Ok(segments) => live.show(segments),
            Err(failure) => {
                *to.borrow_mut() = Some(failure);
                bell.bell.ring();
            }
        })));
        let request = Request::LiveStart {
            sample_rate_hz,
            phrases: decoding.phrases.clone(),
            boosts: decoding.boosts.clone(),
        };
        let session = client.next_id();
        client.request(&request, None, None).await?;
        self.view.set_placeholder("Listening…");
        let mut next = 0;
        while turn.is_current() && failed.borrow().is_none() && !is_over() {
            let end = sound.num_blocks();
            if end > next {
                client.push_live(session, sound.samples_from(next).buffer());
                next = end;
            } else if sound.has_ended() {
                break;
            }
            let news = || {
                let is_new = sound.num_blocks() > next || sound.has_ended() || is_over();
                (is_new || failed.borrow().is_some()).then_some(())
            };
            sound.bell.until(news).await;
        }
        let stopped = client
            .request(&Request::LiveStop { of: session }, None, None)
            .await;
        if turn.is_current() {
            client.set_live_handler(None);
        }
        match failed.take() {
            Some(failure) => Err(failure),
            None => stopped.map(|_| ()),
        }
    }
}

fn count_phrases(phrases: usize, others: usize) -> String {
    match (phrases, others) {
        (0, _) => "none of these".to_owned(),
        (1, 0) => "1 phrase".to_owned(),
        (1, others) => format!("1 phrase, {others} × none of these"),
        (phrases, 0) => format!("{phrases} phrases"),
        (phrases, others) => format!("{phrases} phrases, {others} × none of these"),
    }
}

fn is_long(tape: &Tape) -> bool {
    tape.expected_secs.is_none_or(|secs| secs > LONG_SECS)
}

fn show_loading(view: &LaneView, response: &Response) {
    let (share, text) = match response {
        Response::Loading(LoadPhase::Downloading { received, total }) => {
            let (here, all) = (figures::bytes(*received), figures::bytes(*total));
            (received / total.max(1.0), format!("{here} of {all}"))
        }
        Response::Loading(LoadPhase::DownloadingLm { received, .. }) => {
            let here = figures::bytes(*received);
            (1.0, format!("language model: {here}"))
        }
        Response::Loading(_) => (1.0, "preparing".to_owned()),
        _ => return,
    };
    view.set_loaded(Some(share));
    view.set_facts(&text);
}

/// How far a long recording is, and what is left of it at the pace so far.
fn so_far(done_secs: f64, total_secs: Option<f64>, elapsed_secs: f64) -> String {
    let done = figures::clock(done_secs);
    let Some(total_secs) = total_secs else {
        return format!("{done} so far");
    };
    let left_secs = (total_secs - done_secs) * elapsed_secs / done_secs.max(1.0);
    let (total, left) = (figures::clock(total_secs), figures::time_left(left_secs));
    format!("{done} of {total}, {left} left")
}

/// What stands where nothing was heard.
fn nothing(hears_phrases: bool) -> &'static str {
    if hears_phrases {
        "None of your phrases was heard."
    } else {
        "No words were heard."
    }
}
