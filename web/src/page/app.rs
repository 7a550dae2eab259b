//! The page as a whole: its parts, what it is doing, and what each control makes of them.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{AudioContext, Document, File};

use super::{
    audio_reader::AudioReader,
    clips::{self, Clip, Player},
    comparison::{self, Comparison},
    controls::{Activity, Controls, Usable, is_free_space},
    dom::{document, listen, listen_actively, window, words_of},
    engine_host::EngineHost,
    event::{ListeningEvent, PageEvents},
    fetch,
    listening::Listening,
    microphone::{self, Microphone},
    progress::ProgressBar,
    students::{self, Student},
    transcript_view::TranscriptView,
    worker_client::Failure,
};
use crate::{
    engine_choice::Wish,
    figures,
    protocol::{Request, Response},
};

pub struct App {
    activity: Cell<Activity>,
    students: RefCell<Vec<Rc<Student>>>,
    clips: RefCell<Vec<Clip>>,
    selected: Cell<usize>,
    /// Set by the visitor's "Cancel".
    cancelled: Cell<bool>,
    controls: Controls,
    view: TranscriptView,
    player: Player,
    progress: Rc<ProgressBar>,
    engine: Rc<EngineHost>,
    reader: Rc<AudioReader>,
    comparison: Comparison,
    listening: Rc<Listening>,
}

impl App {
    pub fn start() -> Result<(), JsValue> {
        let search = window()?.location().search()?;
        let wish = web_sys::UrlSearchParams::new_with_str(&search)?
            .get("engine")
            .map_or(Wish::Automatic, |name| Wish::from_name(&name));
        let controls = Controls::new()?;
        let progress = Rc::new(ProgressBar::new()?);
        let engine = Rc::new(EngineHost::new(progress.clone(), controls.lm.checked())?);
        let reader = Rc::new(AudioReader::default());
        let events = PageEvents::default();
        let app = Rc::new(Self {
            activity: Cell::new(Activity::Starting),
            students: RefCell::default(),
            clips: RefCell::default(),
            selected: Cell::new(0),
            cancelled: Cell::new(false),
            view: TranscriptView::new()?,
            player: Player::new()?,
            comparison: Comparison::new(engine.clone(), reader.clone())?,
            listening: Listening::new(events.clone())?,
            controls,
            progress,
            engine,
            reader,
        });
        let page = Rc::downgrade(&app);
        events.connect(move |event| {
            if let Some(page) = page.upgrade() {
                page.on_listening(event);
            }
        });
        app.controls.engine_menu.set_value(wish.name());
        app.bind()?;
        app.enable();
        let catalog = app.clone();
        spawn_local(async move { catalog.read_catalog().await });
        spawn_local(async move { app.start_engine(wish).await });
        Ok(())
    }

    fn bind(self: &Rc<Self>) -> Result<(), JsValue> {
        let app = self.clone();
        listen(&self.listening.button, "click", move |_| {
            app.clone().toggle_listening();
        });
        let app = self.clone();
        listen(&self.controls.cancel, "click", move |_| app.cancel());
        let app = self.clone();
        listen(&self.comparison.button, "click", move |_| {
            app.clone().toggle_comparison();
        });
        let app = self.clone();
        listen(&self.controls.engine_menu, "change", move |_| {
            let app = app.clone();
            let wish = Wish::from_name(&app.controls.engine_menu.value());
            spawn_local(async move { app.start_engine(wish).await });
        });
        let app = self.clone();
        listen(&self.controls.lm, "change", move |_| {
            app.engine.use_lm(app.controls.lm.checked());
        });
        let app = self.clone();
        listen(&self.controls.file, "change", move |_| {
            if let Some(file) = app.controls.take_chosen_file() {
                app.clone().accept_file(file);
            }
        });
        let app = self.clone();
        self.controls
            .on_drop(move |file| app.clone().accept_file(file));
        let app = self.clone();
        let document: Document = document()?;
        listen_actively(&document, "keydown", move |event| {
            if is_free_space(event) && !app.listening.button.disabled() {
                event.prevent_default();
                app.clone().toggle_listening();
            }
        });
        Ok(())
    }

    async fn start_engine(self: Rc<Self>, wish: Wish) {
        self.set_activity(Activity::Starting);
        self.engine.start_wished(wish).await;
        self.rest(Activity::Starting);
    }

    async fn read_catalog(self: Rc<Self>) {
        match students::fetch_students().await {
            Ok((found, unreadable)) => {
                for error in unreadable {
                    web_sys::console::warn_1(&JsValue::from_str(&error));
                }
                *self.students.borrow_mut() = found;
            }
            Err(error) => self
                .controls
                .show_error(&format!("The list of students is missing. {error}")),
        }
        let app = self.clone();
        let choose = move |index| {
            app.selected.set(index);
            app.enable();
        };
        if let Err(error) = students::show(&self.students.borrow(), 0, choose) {
            web_sys::console::error_1(&error);
        }
        comparison::show_students(&self.students.borrow());
        let app = self.clone();
        let choose = move |number| {
            let app = app.clone();
            spawn_local(async move { app.transcribe_sample(number).await });
        };
        match clips::show_samples(choose).await {
            Ok(clips) => *self.clips.borrow_mut() = clips,
            Err(error) => web_sys::console::warn_1(&JsValue::from_str(&error)),
        }
        self.enable();
    }

    fn set_activity(&self, activity: Activity) {
        self.activity.set(activity);
        self.enable();
    }

    /// After `activity`: idle, or without an engine, if nothing else has begun since.
    fn rest(&self, activity: Activity) {
        if self.activity.get() == activity {
            self.set_activity(match self.engine.client() {
                Some(_) => Activity::Idle,
                None => Activity::Starting,
            });
        }
    }

    fn enable(&self) {
        let usable = Usable {
            activity: self.activity.get(),
            has_students: !self.students.borrow().is_empty(),
            has_clips: !self.clips.borrow().is_empty(),
            has_lm: self
                .student()
                .is_some_and(|student| student.lm_url.is_some()),
        };
        self.controls
            .enable(usable, &self.listening.button, &self.comparison.button);
    }

    /// The chosen student.
    fn student(&self) -> Option<Rc<Student>> {
        self.students.borrow().get(self.selected.get()).cloned()
    }

    /// Stops whatever runs.
    fn cancel(&self) {
        self.cancelled.set(true);
        self.comparison.stop();
        self.reader.cancel();
        self.engine.cancel();
    }

    /// Hides what belongs to the last result.
    fn begin_result(&self, placeholder: &str) {
        self.cancelled.set(false);
        self.controls.show_error("");
        self.view.reset(placeholder);
    }

    /// Says why there is no result.
    fn end_without_result(&self, message: &str) {
        if self.cancelled.get() {
            self.view.set_placeholder("Cancelled.");
        } else {
            self.view.set_placeholder("Words will appear here.");
            self.controls.show_error(message);
        }
    }

    fn accept_file(self: Rc<Self>, file: File) {
        // The field is disabled then, but dropping always works.
        if self.activity.get() != Activity::Idle || self.student().is_none() {
            self.controls
                .show_error("The page is not ready for a file yet. Drop it again in a moment.");
            return;
        }
        spawn_local(async move {
            let name = file.name();
            self.player.show_file(&file);
            match JsFuture::from(file.array_buffer()).await {
                Ok(buffer) => {
                    let bytes = Uint8Array::new(&buffer);
                    self.transcribe(&name, bytes, None).await;
                }
                Err(error) => self
                    .controls
                    .show_error(&format!("{name} could not be read: {}", words_of(&error))),
            }
        });
    }

    async fn transcribe_sample(self: Rc<Self>, number: usize) {
        let clip = self.clips.borrow().get(number).cloned();
        let Some(clip) = clip.filter(|_| self.activity.get() == Activity::Idle) else {
            return;
        };
        self.player.show_clip(&clip.url);
        match fetch::bytes(&clip.url).await {
            Ok(bytes) => {
                let name = clips::clip_name(number);
                self.transcribe(&name, bytes, Some(clip.sample.text)).await;
            }
            Err(error) => self.controls.show_error(&error),
        }
    }

    async fn transcribe(&self, name: &str, bytes: Uint8Array, truth: Option<String>) {
        let Some(student) = self.student() else {
            return;
        };
        if self.activity.get() != Activity::Idle {
            return;
        }
        self.set_activity(Activity::Working);
        self.begin_result("Listening to the clip…");
        match self.transcribe_with(&student, &bytes, truth.clone()).await {
            Ok((response, notices)) => {
                let shown = self.view.show_result(&response, truth.as_deref(), &notices);
                if let Err(error) = shown {
                    web_sys::console::error_1(&error);
                }
            }
            Err(failure) => self.end_without_result(&format!("{name}: {}.", failure.message)),
        }
        self.rest(Activity::Working);
    }

    async fn transcribe_with(
        &self,
        student: &Rc<Student>,
        bytes: &Uint8Array,
        reference: Option<String>,
    ) -> Result<(Response, Vec<String>), Failure> {
        self.progress.show(None, "Reading the file");
        let audio = self.reader.decode(bytes).await;
        self.progress.hide();
        let audio = audio?;
        let request = Request::Transcribe {
            sample_rate_hz: audio.sample_rate_hz,
            reference,
        };
        let answer = self
            .engine
            .ask(student, &request, Some(&audio.samples))
            .await?;
        Ok((answer, audio.notices))
    }

    fn toggle_comparison(self: Rc<Self>) {
        match self.activity.get() {
            Activity::Comparing => self.cancel(),
            Activity::Idle => spawn_local(async move {
                self.set_activity(Activity::Comparing);
                let students = self.students.borrow().clone();
                let clips = self.clips.borrow().clone();
                self.comparison.run(&students, &clips).await;
                self.rest(Activity::Comparing);
            }),
            _ => {}
        }
    }

    fn toggle_listening(self: Rc<Self>) {
        match self.activity.get() {
            Activity::Listening => self.listening.clone().stop(),
            Activity::Idle => {
                // Before anything is awaited: the browser ties sound to the visitor's action.
                match Microphone::context() {
                    Ok(context) => spawn_local(async move { self.listen(context).await }),
                    Err(message) => self.controls.show_error(&message),
                }
            }
            _ => {}
        }
    }

    async fn listen(&self, context: AudioContext) {
        let Some(student) = self.student() else {
            return;
        };
        self.set_activity(Activity::Working);
        self.begin_result("Getting ready…");
        self.player.hide();
        let started = self
            .listening
            .start(&self.engine, &student, context.clone())
            .await;
        if let Err(message) = started {
            microphone::close(&context);
            self.end_without_result(&message);
            self.rest(Activity::Working);
        }
    }

    fn on_listening(self: &Rc<Self>, event: ListeningEvent) {
        match event {
            ListeningEvent::Opening => self.view.set_placeholder("Waiting for the microphone…"),
            ListeningEvent::Started => {
                self.set_activity(Activity::Listening);
                self.view.set_placeholder("Listening. Say something.");
            }
            ListeningEvent::Clock(secs) => self.view.set_note(&figures::clock(secs)),
            ListeningEvent::Heard(segments) => {
                if let Err(error) = self.view.show_live(&segments) {
                    web_sys::console::error_1(&error);
                }
            }
            ListeningEvent::Warning(message) => self.controls.show_error(&message),
            ListeningEvent::Finishing => {
                self.set_activity(Activity::Working);
                self.view.set_placeholder("Finishing…");
            }
            ListeningEvent::Ended(ended) => {
                if let Err(failure) = ended {
                    self.controls.show_error(&failure.message);
                }
                self.view.end_live();
                self.rest(Activity::Working);
            }
            ListeningEvent::Failed(failure) => {
                self.controls
                    .show_error(&format!("Listening stopped: {}.", failure.message));
                let app = self.clone();
                spawn_local(async move { app.recover(&failure).await });
            }
        }
    }

    /// Ends a session whose engine failed, and starts another engine if that one is gone.
    async fn recover(&self, failure: &Failure) {
        self.listening.end_now().await;
        if self.engine.client().is_none_or(|client| client.is_dead()) {
            self.set_activity(Activity::Starting);
            self.engine.replace(failure).await;
            self.rest(Activity::Starting);
        }
    }
}
