//! Listening: from the microphone to words that settle.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use gloo::timers::callback::{Interval, Timeout};
use js_sys::Float32Array;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use web_sys::{AudioContext, Element, HtmlButtonElement, HtmlElement};

use super::{
    dom::{by_id, now},
    engine_host::EngineHost,
    event::{ListeningEvent, PageEvents},
    microphone::{Heard, Microphone},
    students::Student,
    worker_client::WorkerClient,
};
use crate::protocol::Request;

/// A device that delivers nothing but exact zeros this long is the wrong one or switched off.
const SILENT_DEVICE_MS: f64 = 2_000.0;
/// How long a stopped audio thread may take for what is still on its way.
const FINISH_MS: u32 = 1_000;

/// Owns the microphone's button and the session while there is one.
pub struct Listening {
    pub button: HtmlButtonElement,
    label: HtmlElement,
    state: HtmlElement,
    level: Element,
    session: RefCell<Option<Session>>,
    /// Counts sessions, so that what was meant for one does not end the next.
    sessions: Cell<u32>,
    events: PageEvents,
}

struct Session {
    number: u32,
    microphone: Microphone,
    client: Rc<WorkerClient>,
    stopping: Cell<bool>,
    // Ticks while the session lives.
    _clock: Interval,
}

/// What has been heard so far, for the level meter and the warning.
struct Sound {
    started_ms: Cell<f64>,
    last_sound_ms: Cell<f64>,
    warned: Cell<bool>,
}

impl Listening {
    pub fn new(events: PageEvents) -> Result<Rc<Self>, JsValue> {
        Ok(Rc::new(Self {
            button: by_id("record")?,
            label: by_id("record-label")?,
            state: by_id("record-state")?,
            level: by_id("level")?,
            session: RefCell::default(),
            sessions: Cell::default(),
            events,
        }))
    }

    /// Loads the student, then opens the microphone.
    ///
    /// # Errors
    /// In words for the visitor; nothing listens then, and the context is the caller's to close.
    pub async fn start(
        self: &Rc<Self>,
        engine: &EngineHost,
        student: &Rc<Student>,
        context: AudioContext,
    ) -> Result<(), String> {
        let sample_rate_hz = context.sample_rate() as u32;
        let request = Request::LiveStart { sample_rate_hz };
        engine
            .ask(student, &request, None)
            .await
            .map_err(|failure| failure.message)?;
        let client = engine
            .client()
            .ok_or_else(|| "there is no engine".to_owned())?;
        let opened = self.open(&client, context, sample_rate_hz).await;
        if opened.is_err() {
            client.set_live_handler(None::<fn(_)>);
        }
        opened
    }

    async fn open(
        self: &Rc<Self>,
        client: &Rc<WorkerClient>,
        context: AudioContext,
        sample_rate_hz: u32,
    ) -> Result<(), String> {
        let number = self.sessions.get() + 1;
        self.sessions.set(number);
        let events = self.events.clone();
        client.set_live_handler(Some(move |event| {
            events.send(match event {
                Ok(segments) => ListeningEvent::Heard(segments),
                Err(failure) => ListeningEvent::Failed(failure),
            });
        }));

        self.events.send(ListeningEvent::Opening);
        let sound = Rc::new(Sound {
            started_ms: Cell::new(now()),
            last_sound_ms: Cell::new(now()),
            warned: Cell::new(false),
        });
        let (listening, to, heard_sound) = (self.clone(), client.clone(), sound.clone());
        let microphone = Microphone::open(context, move |heard| match heard {
            Heard::Block(samples) => listening.on_samples(&to, &heard_sound, &samples),
            Heard::Done => listening.clone().end_soon(number),
            Heard::Lost => {
                let message = "The microphone went away.".to_owned();
                listening.events.send(ListeningEvent::Warning(message));
                listening.clone().end_soon(number);
            }
        })
        .await?;
        if microphone.sample_rate_hz() != sample_rate_hz {
            return Err("the microphone's rate changed while it was opened; try again".to_owned());
        }
        sound.started_ms.set(now());
        sound.last_sound_ms.set(now());
        let listening = self.clone();
        let clock = Interval::new(250, move || listening.on_tick(&sound));
        self.session.replace(Some(Session {
            number,
            microphone,
            client: client.clone(),
            stopping: Cell::new(false),
            _clock: clock,
        }));
        self.show(true);
        self.events.send(ListeningEvent::Started);
        Ok(())
    }

    fn on_samples(&self, client: &WorkerClient, sound: &Sound, samples: &Float32Array) {
        let values = samples.to_vec();
        if values.iter().any(|value| *value != 0.0) {
            sound.last_sound_ms.set(now());
            if sound.warned.replace(false) {
                self.events.send(ListeningEvent::Warning(String::new()));
            }
        }
        self.show_level(&values);
        client.push_live(samples.buffer());
    }

    /// Root mean square in decibels, from -60 dB (0) to 0 dB (1).
    fn show_level(&self, values: &[f32]) {
        let power =
            values.iter().map(|value| value * value).sum::<f32>() / values.len().max(1) as f32;
        let level = ((10.0 * power.max(1e-9).log10() + 60.0) / 60.0).clamp(0.0, 1.0);
        let _ = self.level.set_attribute("value", &format!("{level:.2}"));
        let _ = self
            .button
            .style()
            .set_property("--level", &format!("{level:.2}"));
    }

    fn on_tick(&self, sound: &Sound) {
        let elapsed_secs = (now() - sound.started_ms.get()) / 1e3;
        self.events.send(ListeningEvent::Clock(elapsed_secs));
        if now() - sound.last_sound_ms.get() > SILENT_DEVICE_MS && !sound.warned.replace(true) {
            self.events.send(ListeningEvent::Warning(
                "No sound comes from this microphone. It may be switched off, or the wrong one is chosen in the browser's settings.".to_owned(),
            ));
        }
    }

    /// Stops the microphone; [`ListeningEvent::Ended`] follows the last words.
    pub fn stop(self: Rc<Self>) {
        let number = {
            let session = self.session.borrow();
            let Some(session) = session.as_ref() else {
                return;
            };
            if session.stopping.replace(true) {
                return;
            }
            session.microphone.finish();
            session.number
        };
        self.button.set_disabled(true);
        // A suspended audio thread answers nothing: do not wait for it for ever.
        Timeout::new(FINISH_MS, move || self.end_soon(number)).forget();
    }

    fn end_soon(self: Rc<Self>, number: u32) {
        spawn_local(async move { self.end(number).await });
    }

    /// Gives the microphone of the session under way back, and waits for its last words.
    pub async fn end_now(&self) {
        self.end(self.sessions.get()).await;
    }

    async fn end(&self, number: u32) {
        let session = self
            .session
            .borrow_mut()
            .take_if(|session| session.number == number);
        let Some(session) = session else {
            return;
        };
        session.microphone.release();
        self.show(false);
        self.events.send(ListeningEvent::Finishing);
        let ended = session.client.request(&Request::LiveStop, None, |_| {});
        let ended = ended.await.map(|_| ());
        session.client.set_live_handler(None::<fn(_)>);
        self.events.send(ListeningEvent::Ended(ended));
    }

    fn show(&self, is_listening: bool) {
        let _ = self
            .button
            .set_attribute("aria-pressed", if is_listening { "true" } else { "false" });
        let (label, state) = if is_listening {
            ("Stop listening", "Listening, press to stop")
        } else {
            ("Start listening", "Press to speak")
        };
        self.label.set_text_content(Some(label));
        self.state.set_text_content(Some(state));
        if !is_listening {
            self.show_level(&[]);
        }
    }
}
