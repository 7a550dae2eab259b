//! The engine that the page has: which one, what it holds, what is asked of it.

use std::rc::Rc;

use js_sys::{ArrayBuffer, Uint8Array};

use super::{
    app::{Activity, App, state_failure},
    probe, trial,
    worker_client::{Failure, WorkerClient},
};
use crate::{
    engine_choice::{self, Choice},
    figures,
    protocol::{EngineKind, FailureKind, LoadPhase, LoadTimes, Request, Response},
};

pub struct Engine {
    client: Rc<WorkerClient>,
    kind: EngineKind,
    /// Index of the student it holds.
    loaded: Option<usize>,
    /// The adapter that is still to be timed beside it.
    rival: Option<String>,
}

impl Engine {
    pub fn new(client: Rc<WorkerClient>, kind: EngineKind) -> Self {
        Self {
            client,
            kind,
            loaded: None,
            rival: None,
        }
    }
}

impl App {
    /// Starts an engine: the given one, else what the probe and the visitor's wish come to.
    pub async fn boot(self: &Rc<Self>, choice: Option<Choice>) {
        self.set_activity(Activity::Starting);
        if let Some(engine) = self.engine.borrow_mut().take() {
            engine.client.stop("another engine was started");
        }
        let mut choice = match choice {
            Some(choice) => choice,
            None => {
                let known = self.adapter.borrow().clone();
                let adapter = match known {
                    Some(adapter) => adapter,
                    None => probe::adapter().await,
                };
                *self.adapter.borrow_mut() = Some(adapter.clone());
                engine_choice::choose(self.wish.get(), &adapter, trial::remembered)
            }
        };
        loop {
            let place = place_of(choice.engine);
            self.show_engine("", &format!("Starting {place}…"));
            match WorkerClient::start_engine(choice.engine).await {
                Ok((client, started)) => {
                    let passed = figures::milliseconds(started.start_ms);
                    self.show_ready(&choice, &format!(" Self-test passed in {passed}."));
                    self.ui.engine_status.set_title(&format!(
                        "Largest error of the self-test: {:.1e}{}",
                        started.self_test_error,
                        started
                            .adapter
                            .map_or_else(String::new, |name| format!("; adapter: {name}"))
                    ));
                    *self.engine.borrow_mut() = Some(Engine {
                        rival: choice.rival,
                        ..Engine::new(client, choice.engine)
                    });
                    return self.set_activity(Activity::Idle);
                }
                Err(reason) if choice.engine == EngineKind::WebGpu => {
                    choice = engine_choice::after_failure(&reason);
                }
                Err(reason) => {
                    return self.show_engine(
                        "failed",
                        &format!(
                            "No engine could be started: {reason}. Reload the page to try again."
                        ),
                    );
                }
            }
        }
    }

    fn show_ready(&self, choice: &Choice, more: &str) {
        let place = place_of(choice.engine);
        let text = format!("Runs on {place}: {}.{more}", choice.reason);
        self.show_engine("ready", &text);
    }

    fn show_engine(&self, state: &str, text: &str) {
        self.ui
            .engine_status
            .set_class_name(&format!("engine-line {state}"));
        self.ui.engine_text.set_text_content(Some(text));
    }

    pub fn client(&self) -> Option<Rc<WorkerClient>> {
        self.engine
            .borrow()
            .as_ref()
            .map(|engine| engine.client.clone())
    }

    /// Replaces an engine that failed. The CPU engine is the last resort of both.
    pub async fn replace_engine(self: &Rc<Self>, failure: &Failure) {
        let was_gpu = self
            .engine
            .borrow()
            .as_ref()
            .is_some_and(|engine| engine.kind == EngineKind::WebGpu);
        let activity = self.activity();
        let choice = if was_gpu {
            engine_choice::after_failure(&failure.message)
        } else {
            Choice {
                engine: EngineKind::Cpu,
                reason: "it was started again after a failure".to_owned(),
                rival: None,
            }
        };
        self.boot(Some(choice)).await;
        if self.client().is_some() {
            self.set_activity(activity);
        }
    }

    /// Makes a student the engine's; `Ok(None)` if it is already.
    pub async fn load(self: &Rc<Self>, index: usize) -> Result<Option<LoadTimes>, Failure> {
        let (Some(client), Some(student)) =
            (self.client(), self.students.borrow().get(index).cloned())
        else {
            return Err(state_failure("there is no engine"));
        };
        let is_loaded = self
            .engine
            .borrow()
            .as_ref()
            .is_some_and(|engine| engine.loaded == Some(index) && !engine.client.is_dead());
        if is_loaded {
            return Ok(None);
        }
        self.set_loaded(None);
        let request = Request::Load {
            model_url: student.url.clone(),
            lm_url: student.lm_url.clone().filter(|_| self.ui.lm.checked()),
        };
        let Response::Loaded(times) = self.send(&client, &request, None).await? else {
            return Err(state_failure("the engine answered out of order"));
        };
        let rival = self
            .engine
            .borrow_mut()
            .as_mut()
            .and_then(|engine| engine.rival.take());
        if let Some(adapter) = rival {
            let (choice, faster) = self.try_rival(&adapter, &client, &student).await;
            self.show_ready(&choice, "");
            if let Some(faster) = faster {
                client.stop("the GPU is faster");
                *self.engine.borrow_mut() = Some(faster);
            }
        }
        self.set_loaded(Some(index));
        Ok(Some(times))
    }

    fn set_loaded(&self, index: Option<usize>) {
        if let Some(engine) = self.engine.borrow_mut().as_mut() {
            engine.loaded = index;
        }
    }

    /// Makes the next [`Self::load`] a real one.
    pub fn forget_loaded(&self) {
        self.set_loaded(None);
    }

    async fn send(
        self: &Rc<Self>,
        client: &Rc<WorkerClient>,
        request: &Request,
        payload: Option<&Uint8Array>,
    ) -> Result<Response, Failure> {
        let app = self.clone();
        self.running.set(Some(client.next_id()));
        // A copy goes: what is sent is taken away, and a second engine may need it.
        let payload: Option<ArrayBuffer> =
            payload.map(|bytes| bytes.slice(0, bytes.length()).buffer());
        let answer = client
            .request(request, payload, move |response| {
                app.show_progress(response)
            })
            .await;
        self.running.set(None);
        self.hide_progress();
        answer.map(|answer| answer.response)
    }

    /// One request to the student `index`, loaded first if need be. When the device fails, once
    /// more on the CPU.
    pub async fn ask(
        self: &Rc<Self>,
        index: usize,
        request: &Request,
        payload: Option<&Uint8Array>,
    ) -> Result<Response, Failure> {
        let mut is_retry = false;
        loop {
            let answer = match self.load(index).await {
                Ok(_) => match self.client() {
                    Some(client) => self.send(&client, request, payload).await,
                    None => Err(state_failure("there is no engine")),
                },
                Err(failure) => Err(failure),
            };
            match answer {
                Err(failure) if failure.kind == FailureKind::Device && !is_retry => {
                    is_retry = true;
                    self.replace_engine(&failure).await;
                }
                answer => return answer,
            }
        }
    }

    fn show_progress(&self, response: &Response) {
        let (fraction, text) = match response {
            Response::Loading(LoadPhase::Downloading { received, total }) => (
                Some(received / total.max(1.0)),
                format!(
                    "Downloading the student: {} of {}",
                    figures::bytes(*received),
                    figures::bytes(*total)
                ),
            ),
            Response::Loading(LoadPhase::DownloadingLm { received }) => (
                None,
                format!(
                    "Downloading the language model: {}",
                    figures::bytes(*received)
                ),
            ),
            Response::Loading(LoadPhase::Checking) => (None, "Checking the files".to_owned()),
            Response::Loading(LoadPhase::Preparing) => (None, "Preparing the network".to_owned()),
            Response::Transcribing {
                done_secs,
                total_secs,
            } => (
                Some(f64::from(done_secs / total_secs.max(0.01))),
                format!(
                    "Transcribing: {} of {}",
                    figures::clock(f64::from(*done_secs)),
                    figures::clock(f64::from(*total_secs))
                ),
            ),
            _ => return,
        };
        self.show_work(fraction, &text);
    }

    /// The progress bar; without a fraction it only shows that something is going on.
    pub fn show_work(&self, fraction: Option<f64>, text: &str) {
        self.ui.progress.set_hidden(false);
        match fraction {
            Some(fraction) => self.ui.progress_bar.set_value(fraction.min(1.0)),
            None => {
                let _ = self.ui.progress_bar.remove_attribute("value");
            }
        }
        self.ui.progress_text.set_text_content(Some(text));
    }

    pub fn hide_progress(&self) {
        self.ui.progress.set_hidden(true);
    }

    /// Stops whatever runs.
    pub fn cancel(&self) {
        self.cancelled.set(true);
        // A decoder hears nothing while it works; the next file starts another.
        if self.is_reading() {
            self.stop_reader();
        }
        if let (Some(client), Some(request)) = (self.client(), self.running.get()) {
            client.cancel(request);
        }
    }
}

fn place_of(engine: EngineKind) -> &'static str {
    match engine {
        EngineKind::Cpu => "the CPU",
        EngineKind::WebGpu => "the GPU",
    }
}
