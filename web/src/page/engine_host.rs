//! The engine that the page has: which one, what it holds, what is asked of it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::JsValue;
use web_sys::HtmlElement;

use super::{
    dom::by_id,
    probe,
    progress::ProgressBar,
    students::Student,
    trial,
    worker_client::{Failure, Started, WorkerClient},
};
use crate::{
    engine_choice::{self, Adapter, Choice, Wish},
    figures,
    protocol::{EngineKind, FailureKind, LoadTimes, Request, Response},
};

struct Engine {
    client: Rc<WorkerClient>,
    kind: EngineKind,
    loaded: Option<Rc<Student>>,
    /// The adapter that is still to be timed beside it.
    rival: Option<String>,
}

/// Starts engines, replaces them when they fail, and passes requests on.
pub struct EngineHost {
    engine: RefCell<Option<Engine>>,
    /// Counts starts: of two under way only the later one counts.
    starts: Cell<u32>,
    adapter: RefCell<Option<Adapter>>,
    /// The request that the engine serves.
    running: Cell<Option<u32>>,
    /// Whether students are loaded with their language models.
    uses_lm: Cell<bool>,
    status: HtmlElement,
    status_text: HtmlElement,
    progress: Rc<ProgressBar>,
}

impl EngineHost {
    pub fn new(progress: Rc<ProgressBar>, uses_lm: bool) -> Result<Self, JsValue> {
        Ok(Self {
            engine: RefCell::default(),
            starts: Cell::default(),
            adapter: RefCell::default(),
            running: Cell::default(),
            uses_lm: Cell::new(uses_lm),
            status: by_id("engine-status")?,
            status_text: by_id("engine-text")?,
            progress,
        })
    }

    /// Starts the engine that the browser's adapter and the visitor's wish come to.
    pub async fn start_wished(&self, wish: Wish) {
        self.stop("another engine was started");
        let known = self.adapter.borrow().clone();
        let adapter = match known {
            Some(adapter) => adapter,
            None => probe::adapter().await,
        };
        *self.adapter.borrow_mut() = Some(adapter.clone());
        let choice = engine_choice::choose(wish, &adapter, trial::remembered);
        self.start(choice).await;
    }

    /// Starts the chosen engine, and the CPU's where the GPU's cannot be used.
    async fn start(&self, mut choice: Choice) {
        self.stop("another engine was started");
        let start = self.starts.get() + 1;
        self.starts.set(start);
        loop {
            let place = place_of(choice.engine);
            self.show("", &format!("Starting {place}…"));
            let started = WorkerClient::start_engine(choice.engine).await;
            if self.starts.get() != start {
                if let Ok((client, _)) = started {
                    client.stop("another engine was started");
                }
                return;
            }
            match started {
                Ok((client, started)) => {
                    self.show_started(&choice, &started);
                    *self.engine.borrow_mut() = Some(Engine {
                        client,
                        kind: choice.engine,
                        loaded: None,
                        rival: choice.rival,
                    });
                    return;
                }
                Err(reason) if choice.engine == EngineKind::WebGpu => {
                    choice = engine_choice::after_failure(&reason);
                }
                Err(reason) => {
                    return self.show(
                        "failed",
                        &format!(
                            "No engine could be started: {reason}. Reload the page to try again."
                        ),
                    );
                }
            }
        }
    }

    fn stop(&self, reason: &str) {
        if let Some(engine) = self.engine.borrow_mut().take() {
            engine.client.stop(reason);
        }
    }

    fn show_started(&self, choice: &Choice, started: &Started) {
        let passed = figures::milliseconds(started.start_ms);
        self.show_ready(choice, &format!(" Self-test passed in {passed}."));
        let adapter = started
            .adapter
            .as_ref()
            .map_or_else(String::new, |name| format!("; adapter: {name}"));
        self.status.set_title(&format!(
            "Largest error of the self-test: {:.1e}{adapter}",
            started.self_test_error
        ));
    }

    fn show_ready(&self, choice: &Choice, more: &str) {
        let place = place_of(choice.engine);
        let text = format!("Runs on {place}: {}.{more}", choice.reason);
        self.show("ready", &text);
    }

    fn show(&self, state: &str, text: &str) {
        self.status.set_class_name(&format!("engine-line {state}"));
        self.status_text.set_text_content(Some(text));
    }

    /// The worker of the engine; `None` before one has started and after the last one failed.
    pub fn client(&self) -> Option<Rc<WorkerClient>> {
        self.engine
            .borrow()
            .as_ref()
            .map(|engine| engine.client.clone())
    }

    /// Replaces an engine that failed. The CPU engine is the last resort of both.
    pub async fn replace(&self, failure: &Failure) {
        let was_gpu = self
            .engine
            .borrow()
            .as_ref()
            .is_some_and(|engine| engine.kind == EngineKind::WebGpu);
        let choice = if was_gpu {
            engine_choice::after_failure(&failure.message)
        } else {
            Choice {
                engine: EngineKind::Cpu,
                reason: "it was started again after a failure".to_owned(),
                rival: None,
            }
        };
        self.start(choice).await;
    }

    /// Loads students with or without their language models from now on.
    pub fn use_lm(&self, uses_lm: bool) {
        self.uses_lm.set(uses_lm);
        self.set_loaded(None);
    }

    /// Makes a student the engine's; `Ok(None)` if it is already.
    ///
    /// # Errors
    /// There is no engine, the model folder cannot be used, or the device failed.
    pub async fn load(&self, student: &Rc<Student>) -> Result<Option<LoadTimes>, Failure> {
        let client = self.client().ok_or_else(no_engine)?;
        let is_loaded = self.engine.borrow().as_ref().is_some_and(|engine| {
            let loaded = engine.loaded.as_ref();
            loaded.is_some_and(|loaded| Rc::ptr_eq(loaded, student)) && !client.is_dead()
        });
        if is_loaded {
            return Ok(None);
        }
        self.load_anew(student).await.map(Some)
    }

    /// As [`Self::load`], even if the engine has the student already.
    pub async fn load_anew(&self, student: &Rc<Student>) -> Result<LoadTimes, Failure> {
        let client = self.client().ok_or_else(no_engine)?;
        self.set_loaded(None);
        let request = Request::Load {
            model_url: student.url.clone(),
            lm_url: student.lm_url.clone().filter(|_| self.uses_lm.get()),
        };
        let Response::Loaded(times) = self.send(&client, &request, None).await? else {
            return Err(Failure::state("the engine answered out of order"));
        };
        let rival = self
            .engine
            .borrow_mut()
            .as_mut()
            .and_then(|engine| engine.rival.take());
        if let Some(adapter) = rival {
            self.try_rival(&adapter, client, student).await;
        }
        self.set_loaded(Some(student.clone()));
        Ok(times)
    }

    /// Times the CPU engine, which holds the student, and one on the GPU; keeps the faster.
    async fn try_rival(&self, adapter: &str, cpu: Rc<WorkerClient>, student: &Student) {
        self.progress.show(None, "Timing the GPU, once");
        let (choice, faster) = trial::beside_cpu(adapter, &cpu, student).await;
        self.progress.hide();
        self.show_ready(&choice, "");
        if let Some(client) = faster {
            cpu.stop("the GPU is faster");
            *self.engine.borrow_mut() = Some(Engine {
                client,
                kind: choice.engine,
                loaded: None,
                rival: None,
            });
        }
    }

    fn set_loaded(&self, student: Option<Rc<Student>>) {
        if let Some(engine) = self.engine.borrow_mut().as_mut() {
            engine.loaded = student;
        }
    }

    async fn send(
        &self,
        client: &Rc<WorkerClient>,
        request: &Request,
        payload: Option<&Uint8Array>,
    ) -> Result<Response, Failure> {
        self.running.set(Some(client.next_id()));
        // A copy goes: what is sent is taken away, and a second engine may need it.
        let payload: Option<ArrayBuffer> =
            payload.map(|bytes| bytes.slice(0, bytes.length()).buffer());
        let progress = self.progress.clone();
        let answer = client
            .request(request, payload, move |response| progress.follow(response))
            .await;
        self.running.set(None);
        self.progress.hide();
        answer.map(|answer| answer.response)
    }

    /// One request to a student, loaded first if need be. When the device fails, once more on the
    /// CPU.
    ///
    /// # Errors
    /// Those of [`Self::load`], and what the request itself fails with.
    pub async fn ask(
        &self,
        student: &Rc<Student>,
        request: &Request,
        payload: Option<&Uint8Array>,
    ) -> Result<Response, Failure> {
        let mut is_retry = false;
        loop {
            let answer = match self.load(student).await {
                Ok(_) => match self.client() {
                    Some(client) => self.send(&client, request, payload).await,
                    None => Err(no_engine()),
                },
                Err(failure) => Err(failure),
            };
            match answer {
                Err(failure) if failure.kind == FailureKind::Device && !is_retry => {
                    is_retry = true;
                    self.replace(&failure).await;
                }
                answer => return answer,
            }
        }
    }

    /// Stops the request under way; it answers with what it has.
    pub fn cancel(&self) {
        if let (Some(client), Some(request)) = (self.client(), self.running.get()) {
            client.cancel(request);
        }
    }
}

fn no_engine() -> Failure {
    Failure::state("there is no engine")
}

fn place_of(engine: EngineKind) -> &'static str {
    match engine {
        EngineKind::Cpu => "the CPU",
        EngineKind::WebGpu => "the GPU",
    }
}
