//! Which engine the page computes with, and its program, which all lanes share.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use wasm_bindgen::JsValue;
use web_sys::HtmlElement;

use super::{
    bell::Gate,
    dom::by_id,
    probe,
    students::Student,
    trial,
    worker_client::{Started, WorkerClient},
};
use crate::{
    engine_choice::{self, Adapter, Choice, Wish},
    figures, js,
    protocol::EngineKind,
};

/// Owns the choice of the engine and the sentence that tells it.
pub struct Engines {
    choice: RefCell<Choice>,
    /// Counts choices, so that an engine of an earlier one is replaced.
    number: Cell<u32>,
    adapter: RefCell<Option<Adapter>>,
    /// Programs by their names.
    modules: RefCell<Vec<(&'static str, JsValue)>>,
    /// Programs are fetched, and students loaded, one after another: what comes first is ready
    /// first, and what two lanes share is fetched once.
    pub loading: Gate,
    fetching: Gate,
    status: HtmlElement,
    status_text: HtmlElement,
}

impl Engines {
    pub fn new() -> Result<Self, JsValue> {
        Ok(Self {
            choice: RefCell::new(Choice {
                engine: EngineKind::Cpu,
                reason: String::new(),
                rival: None,
            }),
            number: Cell::default(),
            adapter: RefCell::default(),
            modules: RefCell::default(),
            loading: Gate::default(),
            fetching: Gate::default(),
            status: by_id("engine-status")?,
            status_text: by_id("engine-text")?,
        })
    }

    /// Chooses what the browser's adapter and the visitor's wish come to.
    pub async fn choose(&self, wish: Wish) {
        let known = self.adapter.borrow().clone();
        let adapter = match known {
            Some(adapter) => adapter,
            None => probe::adapter().await,
        };
        *self.adapter.borrow_mut() = Some(adapter.clone());
        self.take(engine_choice::choose(wish, &adapter, trial::remembered));
    }

    fn take(&self, choice: Choice) {
        self.number.set(self.number.get() + 1);
        *self.choice.borrow_mut() = choice;
    }

    pub fn kind(&self) -> EngineKind {
        self.choice.borrow().engine
    }

    pub fn number(&self) -> u32 {
        self.number.get()
    }

    /// The engines that figures are worth checking on: the CPU's, and the GPU's where there is one.
    pub fn kinds_to_check(&self) -> Vec<EngineKind> {
        let has_gpu = self
            .adapter
            .borrow()
            .as_ref()
            .is_some_and(Adapter::is_hardware);
        let mut kinds = vec![EngineKind::Cpu];
        if has_gpu || self.kind() == EngineKind::WebGpu {
            kinds.push(EngineKind::WebGpu);
        }
        kinds
    }

    /// The CPU is the last resort: false if it was it that failed.
    pub fn fall_back(&self, reason: &str) -> bool {
        if self.kind() == EngineKind::Cpu {
            return false;
        }
        self.take(engine_choice::after_failure(reason));
        true
    }

    /// Times the CPU engine, which holds the student, and one on the GPU, if that is still to be
    /// done; gives the GPU's worker if it is faster.
    pub async fn try_rival(
        &self,
        cpu: &WorkerClient,
        student: &Student,
    ) -> Option<Rc<WorkerClient>> {
        let adapter = self.choice.borrow_mut().rival.take()?;
        let module = self.module(EngineKind::WebGpu).await.ok()?;
        let (choice, faster) = trial::beside_cpu(&adapter, cpu, module, student).await;
        if faster.is_some() {
            self.take(choice);
        } else {
            *self.choice.borrow_mut() = choice;
        }
        self.show_ready("");
        faster
    }

    /// Whether the chosen engine's program is still to be fetched, or on its way.
    pub fn is_program_missing(&self) -> bool {
        self.compiled(program_of(self.kind())).is_none()
    }

    fn compiled(&self, program: &str) -> Option<JsValue> {
        let modules = self.modules.borrow();
        let found = modules.iter().find(|(name, _)| *name == program);
        found.map(|(_, module)| module.clone())
    }

    /// The program of an engine, compiled once for all lanes.
    pub async fn module(&self, kind: EngineKind) -> Result<JsValue, String> {
        let program = program_of(kind);
        let _pass = self.fetching.enter().await;
        if let Some(module) = self.compiled(program) {
            return Ok(module);
        }
        let module = compile(program).await?;
        self.modules.borrow_mut().push((program, module.clone()));
        Ok(module)
    }

    pub fn show_started(&self, started: &Started) {
        let passed = figures::milliseconds(started.start_ms);
        self.show_ready(&format!(" Self-test passed in {passed}."));
        let adapter = started
            .adapter
            .as_ref()
            .map_or_else(String::new, |name| format!("; adapter: {name}"));
        let error = figures::fixed(f64::from(started.self_test_error) * 1e6, 1);
        self.status.set_title(&format!(
            "Largest error of the self-test: {error} millionths{adapter}"
        ));
    }

    fn show_ready(&self, more: &str) {
        let choice = self.choice.borrow();
        let place = place_of(choice.engine);
        self.show(
            "ready",
            &format!("Runs on {place}: {}.{more}", choice.reason),
        );
    }

    pub fn show_starting(&self) {
        self.show("", &format!("Starting {}…", place_of(self.kind())));
    }

    pub fn show_failed(&self, reason: &str) {
        let text = format!("No engine could be started: {reason}. Reload the page to try again.");
        self.show("failed", &text);
    }

    fn show(&self, state: &str, text: &str) {
        self.status.set_class_name(&format!("engine-line {state}"));
        self.status_text.set_text_content(Some(text));
    }
}

/// Fetches and compiles a program, while it comes; a server that calls it by a wrong type is forgiven.
pub async fn compile(program: &str) -> Result<JsValue, String> {
    let url = super::fetch::resolve(&format!("{program}_bg.wasm"))
        .map_err(|error| super::dom::words_of(&error))?;
    let response = super::fetch::get(&url).await?;
    let assembly = js::get(&js_sys::global(), "WebAssembly");
    let content_type = response.headers().get("content-type").ok().flatten();
    let (how, program): (&str, JsValue) = match content_type.as_deref() {
        Some("application/wasm") => ("compileStreaming", response.into()),
        _ => (
            "compile",
            super::fetch::bytes_of(&url, &response).await?.into(),
        ),
    };
    js::call_async(&assembly, how, &[program])
        .await
        .map_err(|error| format!("{url}: {}", super::dom::words_of(&error)))
}

fn program_of(engine: EngineKind) -> &'static str {
    match engine {
        EngineKind::Cpu => "engine-cpu",
        EngineKind::WebGpu => "engine-webgpu",
    }
}

pub fn place_of(engine: EngineKind) -> &'static str {
    match engine {
        EngineKind::Cpu => "the CPU",
        EngineKind::WebGpu => "the GPU",
    }
}
