//! The page's state, and what its controls do.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{
    Document, DragEvent, Element, Event, HtmlAudioElement, HtmlButtonElement, HtmlElement,
    HtmlInputElement, HtmlProgressElement, HtmlSelectElement, KeyboardEvent,
};

use super::{
    clips::Clip,
    dom::{by_id, document, listen, listen_actively, set_note, window},
    engine_host::Engine,
    live::Live,
    students::{self, Student},
    transcript_view::TranscriptView,
    worker_client::{Failure, WorkerClient},
};
use crate::{
    engine_choice::{Adapter, Wish},
    protocol::FailureKind,
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
    pub engine_status: HtmlElement,
    pub engine_text: HtmlElement,
    engine_menu: HtmlSelectElement,
    /// Whether to write with a language model; shown where the student has one.
    pub lm: HtmlInputElement,
    lm_option: HtmlElement,
    pub progress: HtmlElement,
    pub progress_bar: HtmlProgressElement,
    pub progress_text: HtmlElement,
    cancel: HtmlButtonElement,
    file: HtmlInputElement,
    drop: HtmlElement,
    pub player: HtmlAudioElement,
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
    pub(super) wish: Cell<Wish>,
    pub(super) adapter: RefCell<Option<Adapter>>,
    pub(super) engine: RefCell<Option<Engine>>,
    /// Decodes audio files; started by the first.
    pub(super) reader: RefCell<Option<Rc<WorkerClient>>>,
    /// The request that the engine serves.
    pub(super) running: Cell<Option<u32>>,
    pub(super) object_url: RefCell<Option<String>>,
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
                lm: by_id("lm")?,
                lm_option: by_id("lm-option")?,
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
            reader: RefCell::default(),
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
        listen(&self.ui.lm, "change", move |_| app.forget_loaded());
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
        let students = self.students.borrow();
        let selected = students.get(self.selected.get());
        let has_lm = selected.is_some_and(|student| student.lm_url.is_some());
        self.ui.lm_option.set_hidden(!has_lm);
        self.ui
            .lm
            .set_disabled(!(is_idle || activity == Activity::Starting));
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
        let choose = move |index| {
            app.selected.set(index);
            app.refresh();
        };
        if let Err(error) = students::show(&self.students.borrow(), 0, choose) {
            web_sys::console::error_1(&error);
        }
        super::compare::show_students(&self.students.borrow());
        if let Err(error) = self.read_samples().await {
            web_sys::console::warn_1(&JsValue::from_str(&error));
        }
        self.refresh();
    }
}

pub fn state_failure(message: &str) -> Failure {
    Failure {
        kind: FailureKind::State,
        message: message.to_owned(),
    }
}
