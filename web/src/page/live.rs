//! Listening: from the microphone to words that settle.

use std::{cell::Cell, rc::Rc};

use gloo::timers::callback::{Interval, Timeout};
use js_sys::Float32Array;
use wasm_bindgen_futures::spawn_local;
use web_sys::AudioContext;

use super::{
    app::{Activity, App},
    dom::now,
    microphone::{self, Heard, Microphone},
    worker_client::{Failure, WorkerClient},
};
use crate::{
    figures,
    protocol::{LiveSegment, Request},
};

/// A device that delivers nothing but exact zeros this long is the wrong one or switched off.
const SILENT_DEVICE_MS: f64 = 2_000.0;

/// A running session.
pub struct Live {
    microphone: Microphone,
    client: Rc<WorkerClient>,
    started_ms: f64,
    stopping: Cell<bool>,
    // Ticks while the session lives.
    _clock: Interval,
}

/// What has been heard so far, for the level meter and the warning.
struct Sound {
    last_sound_ms: Cell<f64>,
    warned: Cell<bool>,
}

impl App {
    pub fn toggle_listening(self: Rc<Self>) {
        match self.activity() {
            Activity::Listening => self.stop_listening(),
            Activity::Idle => {
                // Before anything is awaited: the browser ties sound to the visitor's action.
                match Microphone::context() {
                    Ok(context) => spawn_local(async move { self.listen(context).await }),
                    Err(message) => self.show_error(&message),
                }
            }
            _ => {}
        }
    }

    async fn listen(self: Rc<Self>, context: AudioContext) {
        self.set_activity(Activity::Working);
        self.begin_result("Getting ready…");
        self.hide_player();
        if let Err(message) = self.try_listen(context.clone()).await {
            microphone::close(&context);
            if let Some(client) = self.client() {
                client.set_live_handler(None::<fn(_)>);
            }
            self.ui.view.set_placeholder(if self.cancelled.get() {
                "Cancelled."
            } else {
                "Words will appear here."
            });
            if !self.cancelled.get() {
                self.show_error(&message);
            }
            self.show_listening(false);
            if self.activity() == Activity::Working {
                self.set_activity(Activity::Idle);
            }
        }
    }

    async fn try_listen(self: &Rc<Self>, context: AudioContext) -> Result<(), String> {
        let sample_rate_hz = context.sample_rate() as u32;
        let request = Request::LiveStart { sample_rate_hz };
        self.ask(self.selected.get(), &request, None)
            .await
            .map_err(|failure| failure.message)?;
        let client = self
            .client()
            .ok_or_else(|| "there is no engine".to_owned())?;
        let app = self.clone();
        client.set_live_handler(Some(move |event| app.on_live(event)));

        self.ui.view.set_placeholder("Waiting for the microphone…");
        let sound = Rc::new(Sound {
            last_sound_ms: Cell::new(now()),
            warned: Cell::new(false),
        });
        let (app, to, heard_sound) = (self.clone(), client.clone(), sound.clone());
        let microphone = Microphone::open(context, move |heard| match heard {
            Heard::Block(samples) => app.on_samples(&to, &heard_sound, &samples),
            Heard::Done | Heard::Lost => {
                if matches!(heard, Heard::Lost) {
                    app.show_error("The microphone went away.");
                }
                let app = app.clone();
                spawn_local(async move { app.end_session().await });
            }
        })
        .await?;
        if microphone.sample_rate_hz() != sample_rate_hz {
            return Err("the microphone's rate changed while it was opened; try again".to_owned());
        }
        sound.last_sound_ms.set(now());
        let app = self.clone();
        let clock = Interval::new(250, move || app.on_tick(&sound));
        self.live.replace(Some(Live {
            microphone,
            client,
            started_ms: now(),
            stopping: Cell::new(false),
            _clock: clock,
        }));
        self.show_listening(true);
        self.set_activity(Activity::Listening);
        self.ui.view.set_placeholder("Listening. Say something.");
        Ok(())
    }

    fn on_samples(&self, client: &WorkerClient, sound: &Sound, samples: &Float32Array) {
        let values = samples.to_vec();
        if values.iter().any(|value| *value != 0.0) {
            sound.last_sound_ms.set(now());
            if sound.warned.replace(false) {
                self.show_error("");
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
        let _ = self.ui.level.set_attribute("value", &format!("{level:.2}"));
        let _ = self
            .ui
            .record
            .style()
            .set_property("--level", &format!("{level:.2}"));
    }

    fn on_tick(&self, sound: &Sound) {
        if let Some(live) = self.live.borrow().as_ref() {
            let elapsed = (now() - live.started_ms) / 1e3;
            self.ui.view.set_note(&figures::clock(elapsed));
        }
        if now() - sound.last_sound_ms.get() > SILENT_DEVICE_MS && !sound.warned.replace(true) {
            self.show_error(
                "No sound comes from this microphone. It may be switched off, or the wrong one is chosen in the browser's settings.",
            );
        }
    }

    fn on_live(self: &Rc<Self>, event: Result<Vec<LiveSegment>, Failure>) {
        match event {
            Ok(segments) => {
                for segment in segments {
                    if segment.is_final {
                        self.ui.view.set_partial("");
                        if let Err(error) = self.ui.view.push_final(&segment.transcript) {
                            web_sys::console::error_1(&error);
                        }
                    } else {
                        self.ui.view.set_partial(&segment.transcript.text);
                    }
                }
            }
            Err(failure) => {
                self.show_error(&format!("Listening stopped: {}.", failure.message));
                let app = self.clone();
                spawn_local(async move {
                    app.clone().end_session().await;
                    if app.client().is_none_or(|client| client.is_dead()) {
                        app.replace_engine(&failure).await;
                        app.set_activity(Activity::Idle);
                    }
                });
            }
        }
    }

    fn stop_listening(self: Rc<Self>) {
        {
            let live = self.live.borrow();
            let Some(live) = live.as_ref() else { return };
            if live.stopping.replace(true) {
                return;
            }
            live.microphone.finish();
        }
        self.ui.record.set_disabled(true);
        // A suspended audio thread answers nothing: do not wait for it for ever.
        Timeout::new(1_000, move || {
            spawn_local(async move { self.end_session().await });
        })
        .forget();
    }

    /// Gives the microphone back and waits for the last words.
    async fn end_session(self: Rc<Self>) {
        let Some(live) = self.live.take() else {
            return;
        };
        live.microphone.release();
        self.show_listening(false);
        self.set_activity(Activity::Working);
        self.ui.view.set_placeholder("Finishing…");
        let ended = live.client.request(&Request::LiveStop, None, |_| {}).await;
        live.client.set_live_handler(None::<fn(_)>);
        if let Err(failure) = ended {
            self.show_error(&failure.message);
        }
        self.ui.view.set_partial("");
        if self.ui.view.is_empty() {
            self.ui.view.set_placeholder("No words were heard.");
        }
        if self.activity() == Activity::Working {
            self.set_activity(Activity::Idle);
        }
    }

    fn show_listening(&self, is_listening: bool) {
        let _ = self
            .ui
            .record
            .set_attribute("aria-pressed", if is_listening { "true" } else { "false" });
        let (label, state) = if is_listening {
            ("Stop listening", "Listening, press to stop")
        } else {
            ("Start listening", "Press to speak")
        };
        self.ui.record_label.set_text_content(Some(label));
        self.ui.record_state.set_text_content(Some(state));
        if !is_listening {
            self.show_level(&[]);
        }
    }
}
