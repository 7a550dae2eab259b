//! A lane's own worker: which student it holds, what is asked of it.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    rc::Rc,
};

use js_sys::ArrayBuffer;

use super::{
    bell::Gate,
    engines::Engines,
    fetch_ahead::{fetch_ahead, fetch_files},
    students::Student,
    worker_client::{Failure, Progress, WorkerClient},
};
use crate::protocol::{EngineKind, FailureKind, LoadTimes, RemoteFile, Request, Response};

struct Engine {
    client: Rc<WorkerClient>,
    /// The page's choice when it was started.
    number: u32,
    loaded: Option<Loaded>,
}

struct Loaded {
    student: Rc<Student>,
    /// Where its language model came from.
    lm: Option<String>,
}

/// Starts the worker, replaces it when it fails, and passes requests on.
pub struct EngineHost {
    engines: Rc<Engines>,
    engine: RefCell<Option<Engine>>,
    starting: Gate,
    /// The request that the worker serves.
    running: Cell<Option<u32>>,
}

impl EngineHost {
    pub fn new(engines: Rc<Engines>) -> Self {
        Self {
            engines,
            engine: RefCell::default(),
            starting: Gate::default(),
            running: Cell::default(),
        }
    }

    /// The worker, started if there is none of the page's choice.
    ///
    /// # Errors
    /// No engine can be used.
    pub async fn client(&self) -> Result<Rc<WorkerClient>, Failure> {
        let _pass = self.starting.enter().await;
        loop {
            if let Some(client) = self.running_client() {
                return Ok(client);
            }
            self.stop("another engine was started");
            let (kind, number) = (self.engines.kind(), self.engines.number());
            self.engines.show_starting();
            let started = match self.engines.module(kind).await {
                Ok(module) => WorkerClient::start_engine(kind, module).await,
                Err(reason) => Err(reason),
            };
            match started {
                Ok((client, started)) => {
                    self.engines.show_started(&started);
                    *self.engine.borrow_mut() = Some(Engine {
                        client,
                        number,
                        loaded: None,
                    });
                }
                Err(reason) if kind == EngineKind::WebGpu => {
                    self.engines.fall_back(&reason);
                }
                Err(reason) => {
                    self.engines.show_failed(&reason);
                    return Err(Failure::state(&format!(
                        "no engine could be started: {reason}"
                    )));
                }
            }
        }
    }

    fn running_client(&self) -> Option<Rc<WorkerClient>> {
        let engine = self.engine.borrow();
        let engine = engine.as_ref()?;
        let is_current = engine.number == self.engines.number() && !engine.client.is_dead();
        is_current.then(|| engine.client.clone())
    }

    pub fn stop(&self, reason: &str) {
        if let Some(engine) = self.engine.borrow_mut().take() {
            engine.client.stop(reason);
        }
    }

    /// Whether the worker holds the student with this language model, or without any.
    pub fn holds(&self, student: &Rc<Student>, lm: Option<&RemoteFile>) -> bool {
        let engine = self.engine.borrow();
        let loaded = engine.as_ref().and_then(|engine| engine.loaded.as_ref());
        let is_same = loaded.is_some_and(|loaded| {
            Rc::ptr_eq(&loaded.student, student) && loaded.lm.as_ref() == lm.map(|file| &file.url)
        });
        drop(engine);
        is_same && self.running_client().is_some()
    }

    /// Makes a student the worker's, unless it is already. A device that fails is replaced by the
    /// CPU.
    ///
    /// # Errors
    /// There is no engine, or the model folder cannot be used.
    pub async fn load(
        &self,
        student: &Rc<Student>,
        lm: Option<&RemoteFile>,
        progress: Progress,
    ) -> Result<Rc<WorkerClient>, Failure> {
        let _pass = self.engines.loading.enter().await;
        if self.engines.is_program_missing() {
            fetch_ahead(student, lm, progress.clone()).await;
        }
        loop {
            let client = self.client().await?;
            if self.holds(student, lm) {
                return Ok(client);
            }
            match self.load_anew(&client, student, lm, &progress).await {
                Ok(_) => {}
                Err(failure) if self.may_retry(&failure) => continue,
                Err(failure) => return Err(failure),
            }
            if let Some(faster) = self.engines.try_rival(&client, student).await {
                client.stop("the GPU is faster");
                *self.engine.borrow_mut() = Some(Engine {
                    client: faster,
                    number: self.engines.number(),
                    loaded: None,
                });
            }
        }
    }

    /// Fetches a language model, after everything that lanes wait for already; what fails here fails
    /// when it is loaded.
    pub fn fetch_lm(
        &self,
        lm: Option<RemoteFile>,
        progress: Progress,
    ) -> impl Future<Output = ()> + 'static {
        let engines = self.engines.clone();
        async move {
            let _pass = engines.loading.enter().await;
            fetch_files(lm.into_iter().collect(), progress).await;
        }
    }

    /// Whether a failure is the device's, and there is another one: the next attempt uses that.
    pub fn may_retry(&self, failure: &Failure) -> bool {
        failure.kind == FailureKind::Device && self.engines.fall_back(&failure.message)
    }

    async fn load_anew(
        &self,
        client: &Rc<WorkerClient>,
        student: &Rc<Student>,
        lm: Option<&RemoteFile>,
        progress: &Progress,
    ) -> Result<LoadTimes, Failure> {
        self.set_loaded(None);
        let request = Request::Load {
            model_url: student.url.clone(),
            manifest: Some(student.manifest.clone()),
            lm: lm.cloned(),
        };
        let Response::Loaded(times) = self
            .ask(client, &request, None, Some(progress.clone()))
            .await?
        else {
            return Err(Failure::state("the engine answered out of order"));
        };
        self.set_loaded(Some(Loaded {
            student: student.clone(),
            lm: lm.map(|file| file.url.clone()),
        }));
        Ok(times)
    }

    fn set_loaded(&self, loaded: Option<Loaded>) {
        if let Some(engine) = self.engine.borrow_mut().as_mut() {
            engine.loaded = loaded;
        }
    }

    /// One request, which [`Self::cancel`] can stop.
    ///
    /// # Errors
    /// What the request fails with.
    pub async fn ask(
        &self,
        client: &Rc<WorkerClient>,
        request: &Request,
        payload: Option<ArrayBuffer>,
        progress: Option<Progress>,
    ) -> Result<Response, Failure> {
        let id = client.next_id();
        self.running.set(Some(id));
        let answer = client.request(request, payload, progress).await;
        if self.running.get() == Some(id) {
            self.running.set(None);
        }
        answer.map(|answer| answer.response)
    }

    /// Stops the request under way; it answers with what it has.
    pub fn cancel(&self) {
        let engine = self.engine.borrow();
        if let (Some(engine), Some(request)) = (engine.as_ref(), self.running.get()) {
            engine.client.cancel(request);
        }
    }
}
