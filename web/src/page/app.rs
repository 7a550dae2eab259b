//! The page's state, and everything that goes through the engine.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    Document, DragEvent, Element, Event, File, HtmlAudioElement, HtmlButtonElement, HtmlElement,
    HtmlInputElement, HtmlProgressElement, HtmlSelectElement, KeyboardEvent, Url,
};

use super::{
    dom::{
        by_id, clear, create, create_text, document, listen, listen_actively, set_note, window,
        words_of,
    },
    engine_client::{EngineClient, Failure},
    fetch, foreign_audio,
    live::Live,
    probe,
    students::{self, Student},
    transcript_view::TranscriptView,
};
use crate::{
    catalog::{SampleClip, SampleIndex},
    engine_choice::{self, Adapter, Choice, Wish},
    figures,
    protocol::{AudioPayload, EngineKind, FailureKind, LoadPhase, LoadTimes, Request, Response},
};

/// What the page is doing: it does one thing at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// No engine yet, or none any more.
    Starting,
    Idle,
    /// Loading or transcribing.
    Working,
    Listening,
    Comparing,
}

pub struct Ui {
    pub view: TranscriptView,
    pub record: HtmlButtonElement,
    pub record_label: HtmlElement,
    pub record_state: HtmlElement,
    pub level: Element,
    pub error: HtmlElement,
    pub compare_run: HtmlButtonElement,
    engine_status: HtmlElement,
    engine_text: HtmlElement,
    engine_menu: HtmlSelectElement,
    progress: HtmlElement,
    progress_bar: HtmlProgressElement,
    progress_text: HtmlElement,
    cancel: HtmlButtonElement,
    file: HtmlInputElement,
    drop: HtmlElement,
    player: HtmlAudioElement,
}

pub struct Clip {
    pub url: String,
    pub sample: SampleClip,
}

struct Engine {
    client: Rc<EngineClient>,
    kind: EngineKind,
    /// Index of the student it holds.
    loaded: Option<usize>,
}

pub struct App {
    pub ui: Ui,
    pub students: RefCell<Vec<Rc<Student>>>,
    pub clips: RefCell<Vec<Clip>>,
    pub selected: Cell<usize>,
    pub live: RefCell<Option<Live>>,
    /// Set by the visitor's "Cancel" or "Stop".
    pub cancelled: Cell<bool>,
    activity: Cell<Activity>,
    wish: Cell<Wish>,
    adapter: RefCell<Option<Adapter>>,
    engine: RefCell<Option<Engine>>,
    running: Cell<Option<u32>>,
    object_url: RefCell<Option<String>>,
}

impl App {
    pub fn start() -> Result<(), JsValue> {
        let search = window()?.location().search()?;
        let wish = web_sys::UrlSearchParams::new_with_str(&search)?
            .get("engine")
            .map_or(Wish::Automatic, |name| Wish::from_name(&name));
        let app = Rc::new(Self {
            ui: Ui {
                view: TranscriptView::new()?,
                record: by_id("record")?,
                record_label: by_id("record-label")?,
                record_state: by_id("record-state")?,
                level: by_id("level")?,
                error: by_id("error")?,
                compare_run: by_id("compare-run")?,
                engine_status: by_id("engine-status")?,
                engine_text: by_id("engine-text")?,
                engine_menu: by_id("engine")?,
                progress: by_id("progress")?,
                progress_bar: by_id("progress-bar")?,
                progress_text: by_id("progress-text")?,
                cancel: by_id("cancel")?,
                file: by_id("file")?,
                drop: by_id("drop")?,
                player: by_id("player")?,
            },
            students: RefCell::default(),
            clips: RefCell::default(),
            selected: Cell::new(0),
            live: RefCell::default(),
            cancelled: Cell::new(false),
            activity: Cell::new(Activity::Starting),
            wish: Cell::new(wish),
            adapter: RefCell::default(),
            engine: RefCell::default(),
            running: Cell::new(None),
            object_url: RefCell::default(),
        });
        app.ui.engine_menu.set_value(wish.name());
        app.bind()?;
        app.refresh();
        let catalog = app.clone();
        spawn_local(async move { catalog.read_catalog().await });
        spawn_local(async move { app.boot(None).await });
        Ok(())
    }

    fn bind(self: &Rc<Self>) -> Result<(), JsValue> {
        let app = self.clone();
        listen(&self.ui.record, "click", move |_| {
            app.clone().toggle_listening()
        });
        let app = self.clone();
        listen(&self.ui.cancel, "click", move |_| app.cancel());
        let app = self.clone();
        listen(&self.ui.compare_run, "click", move |_| {
            app.clone().toggle_comparison()
        });
        let app = self.clone();
        listen(&self.ui.engine_menu, "change", move |_| {
            app.wish.set(Wish::from_name(&app.ui.engine_menu.value()));
            let app = app.clone();
            spawn_local(async move { app.boot(None).await });
        });
        let app = self.clone();
        listen(&self.ui.file, "change", move |_| {
            let file = app.ui.file.files().and_then(|files| files.get(0));
            // The same file may be chosen again.
            app.ui.file.set_value("");
            if let Some(file) = file {
                app.clone().accept_file(file);
            }
        });
        self.bind_drop();
        let app = self.clone();
        let document: Document = document()?;
        listen_actively(&document, "keydown", move |event| app.clone().on_key(event));
        Ok(())
    }

    fn bind_drop(self: &Rc<Self>) {
        for event in ["dragenter", "dragover"] {
            let app = self.clone();
            listen_actively(&self.ui.drop, event, move |event| {
                event.prevent_default();
                let _ = app.ui.drop.class_list().add_1("over");
            });
        }
        let app = self.clone();
        listen(&self.ui.drop, "dragleave", move |_| {
            let _ = app.ui.drop.class_list().remove_1("over");
        });
        let app = self.clone();
        listen_actively(&self.ui.drop, "drop", move |event| {
            event.prevent_default();
            let _ = app.ui.drop.class_list().remove_1("over");
            let file = event
                .dyn_ref::<DragEvent>()
                .and_then(|event| event.data_transfer())
                .and_then(|data| data.files())
                .and_then(|files| files.get(0));
            if let Some(file) = file {
                app.clone().accept_file(file);
            }
        });
    }

    /// Space starts and stops the microphone, unless it means something else where the focus is.
    fn on_key(self: Rc<Self>, event: &Event) {
        let Some(key) = event.dyn_ref::<KeyboardEvent>() else {
            return;
        };
        let is_plain = key.key() == " "
            && !key.repeat()
            && !(key.ctrl_key() || key.alt_key() || key.meta_key() || key.shift_key());
        let is_taken = event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok())
            .and_then(|target| {
                target
                    .closest("a, button, input, select, textarea, summary, audio, label")
                    .ok()
                    .flatten()
            })
            .is_some();
        if is_plain && !is_taken && !self.ui.record.disabled() {
            event.prevent_default();
            self.toggle_listening();
        }
    }

    pub fn activity(&self) -> Activity {
        self.activity.get()
    }

    pub fn set_activity(&self, activity: Activity) {
        self.activity.set(activity);
        self.refresh();
    }

    /// Enables exactly what can be used now.
    fn refresh(&self) {
        let activity = self.activity.get();
        let is_idle = activity == Activity::Idle;
        let has_students = !self.students.borrow().is_empty();
        let is_listening = activity == Activity::Listening;
        self.ui
            .record
            .set_disabled(!(has_students && (is_idle || is_listening)));
        let can_compare = has_students && !self.clips.borrow().is_empty();
        self.ui
            .compare_run
            .set_disabled(!(can_compare && (is_idle || activity == Activity::Comparing)));
        self.ui
            .engine_menu
            .set_disabled(!(is_idle || activity == Activity::Starting));
        self.ui.file.set_disabled(!(is_idle && has_students));
        for selector in ["#samples button", "#students input"] {
            let Ok(found) = document().and_then(|document| document.query_selector_all(selector))
            else {
                continue;
            };
            for index in 0..found.length() {
                if let Some(element) = found
                    .get(index)
                    .and_then(|node| node.dyn_into::<Element>().ok())
                {
                    let may = is_idle
                        || (selector == "#students input" && activity == Activity::Starting);
                    let _ = element.toggle_attribute_with_force("disabled", !may);
                }
            }
        }
    }

    pub fn show_error(&self, message: &str) {
        set_note(&self.ui.error, message);
    }

    async fn read_catalog(self: Rc<Self>) {
        match students::fetch_students().await {
            Ok((found, unreadable)) => {
                for error in unreadable {
                    web_sys::console::warn_1(&JsValue::from_str(&error));
                }
                *self.students.borrow_mut() = found;
            }
            Err(error) => self.show_error(&format!("The list of students is missing. {error}")),
        }
        let app = self.clone();
        let choose = move |index| app.selected.set(index);
        if let Err(error) = students::show(&self.students.borrow(), 0, choose) {
            web_sys::console::error_1(&error);
        }
        super::compare::show_students(&self.students.borrow());
        if let Err(error) = self.read_samples().await {
            web_sys::console::warn_1(&JsValue::from_str(&error));
        }
        self.refresh();
    }

    async fn read_samples(self: &Rc<Self>) -> Result<(), String> {
        let words = |error: JsValue| words_of(&error);
        let index: SampleIndex =
            fetch::json(&fetch::resolve("samples/index.json").map_err(words)?).await?;
        let list: Element = by_id("samples").map_err(words)?;
        clear(&list);
        let note: HtmlElement = by_id("samples-note").map_err(words)?;
        note.set_text_content(Some(&index.note));
        for (number, sample) in index.clips.into_iter().enumerate() {
            let url = fetch::resolve(&format!("samples/{}", sample.file)).map_err(words)?;
            let label = match sample.secs {
                Some(secs) => format!("Clip {} · {secs:.1} s", number + 1),
                None => format!("Clip {}", number + 1),
            };
            self.add_clip_button(&list, number, &label).map_err(words)?;
            self.clips.borrow_mut().push(Clip { url, sample });
        }
        Ok(())
    }

    fn add_clip_button(
        self: &Rc<Self>,
        list: &Element,
        number: usize,
        label: &str,
    ) -> Result<(), JsValue> {
        let item = create("li", "")?;
        let button = create_text("button", "chip", label)?;
        button.set_attribute("type", "button")?;
        let app = self.clone();
        listen(&button, "click", move |_| {
            let app = app.clone();
            spawn_local(async move { app.transcribe_sample(number).await });
        });
        item.append_child(&button)?;
        list.append_child(&item)?;
        Ok(())
    }

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
                engine_choice::choose(self.wish.get(), &adapter)
            }
        };
        loop {
            let place = place_of(choice.engine);
            self.show_engine("", &format!("Starting {place}…"));
            match EngineClient::start(choice.engine).await {
                Ok((client, started)) => {
                    self.show_engine(
                        "ready",
                        &format!(
                            "Runs on {place}: {}. Self-test passed in {}.",
                            choice.reason,
                            figures::milliseconds(started.start_ms)
                        ),
                    );
                    self.ui.engine_status.set_title(&format!(
                        "Largest error of the self-test: {:.1e}{}",
                        started.self_test_error,
                        started
                            .adapter
                            .map_or_else(String::new, |name| format!("; adapter: {name}"))
                    ));
                    *self.engine.borrow_mut() = Some(Engine {
                        client,
                        kind: choice.engine,
                        loaded: None,
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

    fn show_engine(&self, state: &str, text: &str) {
        self.ui
            .engine_status
            .set_class_name(&format!("engine-line {state}"));
        self.ui.engine_text.set_text_content(Some(text));
    }

    pub fn client(&self) -> Option<Rc<EngineClient>> {
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
        };
        let response = self.send(&client, &request, None).await?;
        let Response::Loaded(times) = response else {
            return Err(state_failure("the engine answered out of order"));
        };
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
        client: &Rc<EngineClient>,
        request: &Request,
        payload: Option<&Uint8Array>,
    ) -> Result<Response, Failure> {
        let app = self.clone();
        self.running.set(Some(client.next_id()));
        // A copy goes: what is sent is taken away, and a second engine may need it.
        let payload: Option<ArrayBuffer> =
            payload.map(|bytes| bytes.slice(0, bytes.length()).buffer());
        let response = client
            .request(request, payload, move |response| {
                app.show_progress(response)
            })
            .await;
        self.running.set(None);
        self.hide_progress();
        response
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

    fn cancel(&self) {
        self.cancelled.set(true);
        if let (Some(client), Some(request)) = (self.client(), self.running.get()) {
            client.cancel(request);
        }
    }

    /// Cancels from elsewhere on the page.
    pub fn cancel_running(&self) {
        self.cancel();
    }

    fn accept_file(self: Rc<Self>, file: File) {
        if self.activity() != Activity::Idle || self.students.borrow().is_empty() {
            return;
        }
        spawn_local(async move {
            let name = file.name();
            // A player for an empty file would only complain.
            let url = (file.size() > 0.0)
                .then(|| Url::create_object_url_with_blob(&file).ok())
                .flatten();
            if let Some(old) = self.object_url.replace(url.clone()) {
                let _ = Url::revoke_object_url(&old);
            }
            self.show_player(url.as_deref());
            match JsFuture::from(file.array_buffer()).await {
                Ok(buffer) => {
                    let bytes = Uint8Array::new(&buffer);
                    self.transcribe(&name, bytes, None).await;
                }
                Err(error) => {
                    self.show_error(&format!("{name} could not be read: {}", words_of(&error)));
                }
            }
        });
    }

    async fn transcribe_sample(self: Rc<Self>, number: usize) {
        let Some((url, text)) = self
            .clips
            .borrow()
            .get(number)
            .map(|clip| (clip.url.clone(), clip.sample.text.clone()))
        else {
            return;
        };
        if self.activity() != Activity::Idle {
            return;
        }
        self.show_player(Some(&url));
        match fetch::bytes(&url).await {
            Ok(bytes) => {
                let name = format!("Clip {}", number + 1);
                self.transcribe(&name, bytes, Some(text)).await;
            }
            Err(error) => self.show_error(&error),
        }
    }

    fn show_player(&self, url: Option<&str>) {
        match url {
            Some(url) => self.ui.player.set_src(url),
            None => {
                let _ = self.ui.player.remove_attribute("src");
            }
        }
        self.ui.player.set_hidden(url.is_none());
    }

    /// Hides what belongs to the last result.
    pub fn begin_result(&self, placeholder: &str) {
        self.cancelled.set(false);
        self.show_error("");
        self.ui.view.reset(placeholder);
    }

    pub fn hide_player(&self) {
        self.show_player(None);
    }

    async fn transcribe(self: &Rc<Self>, name: &str, bytes: Uint8Array, truth: Option<String>) {
        if self.activity() != Activity::Idle {
            return;
        }
        self.set_activity(Activity::Working);
        self.begin_result("Listening to the clip…");
        let answer = self.transcribe_any_format(bytes, truth.clone()).await;
        match answer {
            Ok(response) => self.show_result(&response, truth.as_deref()),
            Err(_) if self.cancelled.get() => self.ui.view.set_placeholder("Cancelled."),
            Err(failure) => {
                self.ui.view.set_placeholder("Words will appear here.");
                self.show_error(&format!("{name}: {}.", failure.message));
            }
        }
        if self.activity() == Activity::Working {
            self.set_activity(Activity::Idle);
        }
    }

    async fn transcribe_any_format(
        self: &Rc<Self>,
        bytes: Uint8Array,
        reference: Option<String>,
    ) -> Result<Response, Failure> {
        let index = self.selected.get();
        let request = |audio| Request::Transcribe {
            audio,
            reference: reference.clone(),
        };
        match self
            .ask(index, &request(AudioPayload::File), Some(&bytes))
            .await
        {
            Err(failure) if failure.kind == FailureKind::UnknownAudio => {}
            answer => return answer,
        }
        let (samples, sample_rate_hz) =
            foreign_audio::decode(&bytes)
                .await
                .map_err(|message| Failure {
                    kind: FailureKind::BadAudio,
                    message,
                })?;
        let samples = Uint8Array::new(&samples.buffer());
        self.ask(
            index,
            &request(AudioPayload::Samples { sample_rate_hz }),
            Some(&samples),
        )
        .await
    }

    fn show_result(&self, response: &Response, truth: Option<&str>) {
        let Response::Transcribed {
            transcript,
            audio_secs,
            recognize_ms,
            errors,
            cancelled,
            ..
        } = response
        else {
            return;
        };
        let view = &self.ui.view;
        let shown = view.push_final(transcript).and_then(|()| match truth {
            Some(text) => view.show_truth(text, &verdict(errors.as_ref())),
            None => Ok(()),
        });
        if let Err(error) = shown {
            web_sys::console::error_1(&error);
        }
        let speed = audio_secs * 1e3 / recognize_ms.max(0.01);
        let cut = if *cancelled {
            "cancelled, so far: "
        } else {
            ""
        };
        view.set_note(&format!(
            "{cut}{audio_secs:.1} s of audio in {}, {} real time",
            figures::milliseconds(*recognize_ms),
            times(speed)
        ));
        if transcript.text.is_empty() {
            view.set_placeholder("No words were heard.");
        }
    }
}

pub fn state_failure(message: &str) -> Failure {
    Failure {
        kind: FailureKind::State,
        message: message.to_owned(),
    }
}

fn place_of(engine: EngineKind) -> &'static str {
    match engine {
        EngineKind::Cpu => "the CPU",
        EngineKind::WebGpu => "the GPU",
    }
}

/// `27×`, `0.4×`.
fn times(factor: f64) -> String {
    if factor < 9.95 {
        format!("{factor:.1}×")
    } else {
        format!("{factor:.0}×")
    }
}

fn verdict(errors: Option<&crate::protocol::WordErrors>) -> String {
    match errors {
        Some(errors) if errors.errors == 0 => "Every word is right.".to_owned(),
        Some(errors) => format!(
            "{} of {} words wrong.",
            errors.errors, errors.reference_words
        ),
        None => String::new(),
    }
}
