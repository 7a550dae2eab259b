//! Listening: the microphone's button, its level, and the session while there is one.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use gloo::timers::callback::{Interval, Timeout};
use js_sys::Float32Array;
use wasm_bindgen::JsValue;
use web_sys::{AudioContext, Element, HtmlButtonElement, HtmlElement};

use super::{
    dom::{by_id, now},
    event::{ListeningEvent, PageEvents},
    microphone::{self, Heard, Microphone},
    recording::MicrophoneSound,
    turn::Turn,
};

/// A device that delivers nothing but exact zeros this long is the wrong one or switched off.
const SILENT_DEVICE_MS: f64 = 2_000.0;
/// How long a stopped audio thread may take for what is still on its way.
const FINISH_MS: u32 = 1_000;

pub struct Listening {
    pub button: HtmlButtonElement,
    label: HtmlElement,
    level: Element,
    session: RefCell<Option<Session>>,
    /// Counts sessions, so that what was meant for one does not end the next.
    sessions: Cell<u32>,
    events: PageEvents,
}

struct Session {
    number: u32,
    microphone: Microphone,
    sound: Rc<MicrophoneSound>,
    stopping: Cell<bool>,
    // Ticks while the session lives.
    _clock: Interval,
}

/// When something was heard, for the warning.
struct Attention {
    started_ms: Cell<f64>,
    last_sound_ms: Cell<f64>,
    warned: Cell<bool>,
}

/// What the button does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ButtonState {
    Idle,
    /// The browser asks the visitor for the microphone.
    Asking,
    Listening,
}

impl Listening {
    pub fn new(events: PageEvents) -> Result<Rc<Self>, JsValue> {
        Ok(Rc::new(Self {
            button: by_id("record")?,
            label: by_id("record-label")?,
            level: by_id("level")?,
            session: RefCell::default(),
            sessions: Cell::default(),
            events,
        }))
    }

    /// Opens the microphone. `None` if the visitor did something else before it was there.
    ///
    /// # Errors
    /// In words for the visitor.
    pub async fn start(
        self: &Rc<Self>,
        context: AudioContext,
        device: Option<String>,
        turn: &Turn,
    ) -> Result<Option<Rc<MicrophoneSound>>, String> {
        self.show(ButtonState::Asking);
        let opened = self.open(&context, device, turn).await;
        if !matches!(opened, Ok(Some(_))) {
            microphone::close(&context);
        }
        if turn.is_current() && opened.is_err() {
            self.show(ButtonState::Idle);
        }
        opened
    }

    async fn open(
        self: &Rc<Self>,
        context: &AudioContext,
        device: Option<String>,
        turn: &Turn,
    ) -> Result<Option<Rc<MicrophoneSound>>, String> {
        let number = self.sessions.get() + 1;
        self.sessions.set(number);
        let sound = Rc::new(MicrophoneSound::new(context.sample_rate() as u32));
        let attention = Rc::new(Attention {
            started_ms: Cell::new(now()),
            last_sound_ms: Cell::new(now()),
            warned: Cell::new(false),
        });
        let (listening, to, noticed) = (self.clone(), sound.clone(), attention.clone());
        let on_heard = move |heard| match heard {
            Heard::Block(samples) => listening.on_samples(&to, &noticed, &samples),
            Heard::Done => listening.end(number),
            Heard::Lost => {
                let message = "The microphone went away.".to_owned();
                listening.events.send(ListeningEvent::Warning(message));
                listening.end(number);
            }
        };
        let microphone = Microphone::open(context, device, on_heard).await?;
        if !turn.is_current() {
            microphone.release();
            return Ok(None);
        }
        if microphone.sample_rate_hz() != sound.sample_rate_hz {
            return Err("The microphone's rate changed while it was opened; try again.".to_owned());
        }
        attention.started_ms.set(now());
        attention.last_sound_ms.set(now());
        let listening = self.clone();
        let clock = Interval::new(250, move || listening.on_tick(&attention));
        self.session.replace(Some(Session {
            number,
            microphone,
            sound: sound.clone(),
            stopping: Cell::new(false),
            _clock: clock,
        }));
        self.show(ButtonState::Listening);
        Ok(Some(sound))
    }

    fn on_samples(&self, sound: &MicrophoneSound, attention: &Attention, samples: &Float32Array) {
        let values = samples.to_vec();
        if values.iter().any(|value| *value != 0.0) {
            attention.last_sound_ms.set(now());
            if attention.warned.replace(false) {
                self.events.send(ListeningEvent::Warning(String::new()));
            }
        }
        self.show_level(&values);
        sound.push(&values);
    }

    /// Root mean square in decibels, from -60 dB (0) to 0 dB (1).
    fn show_level(&self, values: &[f32]) {
        let power =
            values.iter().map(|value| value * value).sum::<f32>() / values.len().max(1) as f32;
        let decibels = 10.0 * js_sys::Math::log10(power.max(1e-9).into());
        let level = crate::figures::fixed(((decibels + 60.0) / 60.0).clamp(0.0, 1.0), 2);
        let _ = self.level.set_attribute("value", &level);
        let _ = self.button.style().set_property("--level", &level);
    }

    fn on_tick(&self, attention: &Attention) {
        let elapsed_secs = (now() - attention.started_ms.get()) / 1e3;
        self.events.send(ListeningEvent::Clock(elapsed_secs));
        let silent_ms = now() - attention.last_sound_ms.get();
        if silent_ms > SILENT_DEVICE_MS && !attention.warned.replace(true) {
            self.events.send(ListeningEvent::Warning(
                "No sound comes from this microphone. It may be switched off; another one can be chosen under Settings.".to_owned(),
            ));
        }
    }

    /// Stops the microphone; [`ListeningEvent::Stopped`] follows what is still on its way.
    pub fn stop(self: &Rc<Self>) {
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
        // A suspended audio thread answers nothing: do not wait for it for ever.
        let listening = self.clone();
        Timeout::new(FINISH_MS, move || listening.end(number)).forget();
    }

    /// Gives the microphone back at once.
    pub fn cancel(&self) {
        self.end(self.sessions.get());
        self.show(ButtonState::Idle);
    }

    fn end(&self, number: u32) {
        let session = self
            .session
            .borrow_mut()
            .take_if(|session| session.number == number);
        let Some(session) = session else {
            return;
        };
        session.microphone.release();
        session.sound.end();
        self.show(ButtonState::Idle);
        self.events.send(ListeningEvent::Stopped);
    }

    fn show(&self, state: ButtonState) {
        let is_listening = state == ButtonState::Listening;
        let pressed = if is_listening { "true" } else { "false" };
        let _ = self.button.set_attribute("aria-pressed", pressed);
        self.label.set_text_content(Some(match state {
            ButtonState::Idle => "Start listening",
            ButtonState::Asking => "Do not wait for the microphone",
            ButtonState::Listening => "Stop listening",
        }));
        if !is_listening {
            self.show_level(&[]);
        }
    }
}
