//! The page's controls: what can be used now, and what the visitor does with them.

use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    DragEvent, Element, Event, File, HtmlButtonElement, HtmlElement, HtmlInputElement,
    HtmlSelectElement, KeyboardEvent,
};

use super::dom::{by_id, document, listen_actively, set_note};

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

/// What decides which controls can be used.
#[derive(Debug, Clone, Copy)]
pub struct Usable {
    pub activity: Activity,
    pub has_students: bool,
    pub has_clips: bool,
    /// The chosen student has a language model.
    pub has_lm: bool,
}

pub struct Controls {
    pub cancel: HtmlButtonElement,
    pub engine_menu: HtmlSelectElement,
    pub file: HtmlInputElement,
    /// Whether to write with a language model; shown where the student has one.
    pub lm: HtmlInputElement,
    lm_option: HtmlElement,
    drop: HtmlElement,
    error: HtmlElement,
}

impl Controls {
    pub fn new() -> Result<Self, JsValue> {
        Ok(Self {
            cancel: by_id("cancel")?,
            engine_menu: by_id("engine")?,
            file: by_id("file")?,
            lm: by_id("lm")?,
            lm_option: by_id("lm-option")?,
            drop: by_id("drop")?,
            error: by_id("error")?,
        })
    }

    /// An empty message takes the last one away.
    pub fn show_error(&self, message: &str) {
        set_note(&self.error, message);
    }

    /// Enables exactly what can be used now.
    pub fn enable(&self, usable: Usable, record: &HtmlButtonElement, compare: &HtmlButtonElement) {
        let Usable {
            activity,
            has_students,
            has_clips,
            has_lm,
        } = usable;
        let is_idle = activity == Activity::Idle;
        let may_choose = is_idle || activity == Activity::Starting;
        let is_listening = activity == Activity::Listening;
        record.set_disabled(!(has_students && (is_idle || is_listening)));
        let is_comparing = activity == Activity::Comparing;
        compare.set_disabled(!(has_students && has_clips && (is_idle || is_comparing)));
        self.engine_menu.set_disabled(!may_choose);
        self.file.set_disabled(!(is_idle && has_students));
        self.lm_option.set_hidden(!has_lm);
        self.lm.set_disabled(!may_choose);
        enable_all("#samples button", is_idle);
        enable_all("#students input", may_choose);
    }

    /// Takes files that are dropped on their field.
    pub fn on_drop(&self, accept: impl Fn(File) + 'static) {
        for event in ["dragenter", "dragover"] {
            let field = self.drop.clone();
            listen_actively(&self.drop, event, move |event| {
                event.prevent_default();
                let _ = field.class_list().add_1("over");
            });
        }
        let field = self.drop.clone();
        listen_actively(&self.drop, "dragleave", move |_| {
            let _ = field.class_list().remove_1("over");
        });
        let field = self.drop.clone();
        listen_actively(&self.drop, "drop", move |event| {
            event.prevent_default();
            let _ = field.class_list().remove_1("over");
            let file = event
                .dyn_ref::<DragEvent>()
                .and_then(|event| event.data_transfer())
                .and_then(|data| data.files())
                .and_then(|files| files.get(0));
            if let Some(file) = file {
                accept(file);
            }
        });
    }

    /// The file that was chosen in the field, once: the same file may be chosen again.
    pub fn take_chosen_file(&self) -> Option<File> {
        let file = self.file.files().and_then(|files| files.get(0));
        self.file.set_value("");
        file
    }
}

fn enable_all(selector: &str, may: bool) {
    let Ok(found) = document().and_then(|document| document.query_selector_all(selector)) else {
        return;
    };
    for index in 0..found.length() {
        if let Some(element) = found
            .get(index)
            .and_then(|node| node.dyn_into::<Element>().ok())
        {
            let _ = element.toggle_attribute_with_force("disabled", !may);
        }
    }
}

/// Whether a key press is the space bar, alone, where the focus has no use for it.
pub fn is_free_space(event: &Event) -> bool {
    let Some(key) = event.dyn_ref::<KeyboardEvent>() else {
        return false;
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
    is_plain && !is_taken
}
