//! The visitor's own words: a list of phrases that is all that is heard, typed, dropped or opened,
//! kept in this browser and shared by a link.

mod kept;
mod view;

use std::{cell::RefCell, rc::Rc};

use gloo::timers::callback::Timeout;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Blob, Element, EventTarget, HtmlInputElement};

use super::{
    dom::{by_id, listen, sentence, window},
    saving,
    worker_client::{Failure, WorkerClient},
};
use crate::protocol::{FailureKind, Request, Response, WantedPhrases};
use view::BoxView;

/// After so long without a key the list is taken as it is.
const TYPED_MS: u32 = 500;
/// Longest file that is read into the box.
const MAX_FILE_BYTES: f64 = 1e6;
const EXAMPLE: &str = "\
turn [the] (light|lamp) (on|off)
turn (on|off) the <room:room> (light|lamp)
set a timer for <number:minutes> minutes
stop the music

<room> = kitchen | bedroom | (living room | lounge) {living room}
";

/// Owns the box and what is in it.
pub struct PhraseBox {
    view: BoxView,
    inside: HtmlInputElement,
    threshold: HtmlInputElement,
    file: HtmlInputElement,
    typing: RefCell<Option<Timeout>>,
    /// What was found right, and whether a student was asked.
    checked: RefCell<Option<(WantedPhrases, bool)>>,
    changed: RefCell<Option<Rc<dyn Fn()>>>,
}

impl PhraseBox {
    pub fn new() -> Result<Rc<Self>, JsValue> {
        let here = Rc::new(Self {
            view: BoxView::new()?,
            inside: by_id("phrases-inside")?,
            threshold: by_id("phrases-threshold")?,
            file: by_id("phrases-file")?,
            typing: RefCell::default(),
            checked: RefCell::default(),
            changed: RefCell::default(),
        });
        match (kept::linked(), kept::stored()) {
            (Some(linked), _) => {
                here.fill(&linked);
                here.view.open();
            }
            (None, Some(stored)) => here.fill(&stored),
            (None, None) => {}
        }
        here.view.show_use(here.wanted().is_some());
        Ok(here)
    }

    /// Tells of every change.
    pub fn bind(self: &Rc<Self>, changed: impl Fn() + 'static) -> Result<(), JsValue> {
        *self.changed.borrow_mut() = Some(Rc::new(changed));
        let here = self.clone();
        listen(&self.view.text, "input", move |_| here.on_key());
        for control in [&self.inside, &self.threshold] {
            let here = self.clone();
            listen(control, "change", move |_| here.take_change());
        }
        let here = self.clone();
        listen(&self.file, "change", move |_| {
            let file = here.file.files().and_then(|files| files.get(0));
            // The same file may be chosen again.
            here.file.set_value("");
            if let Some(file) = file {
                here.take_file(file.into());
            }
        });
        let here = self.clone();
        let buttons: Element = by_id("phrases-buttons")?;
        listen(&buttons, "click", move |event| {
            let target = event.target();
            let target = target.and_then(|target| target.dyn_into::<Element>().ok());
            here.on_button(&target.map_or_else(String::new, |target| target.id()));
        });
        let here = self.clone();
        let window: EventTarget = window()?.into();
        listen(&window, "hashchange", move |_| {
            if let Some(linked) = kept::linked().filter(|one| Some(one) != here.wanted().as_ref()) {
                here.fill(&linked);
                here.view.open();
                here.tell_change();
            }
        });
        Ok(())
    }

    /// The phrases in the box, if there are any.
    pub fn wanted(&self) -> Option<WantedPhrases> {
        let list = self.view.list();
        let threshold = Some(self.threshold.value_as_number());
        (!list.trim().is_empty()).then(|| WantedPhrases {
            list,
            inside_speech: self.inside.checked(),
            threshold: threshold.filter(|value| value.is_finite()),
        })
    }

    fn fill(&self, wanted: &WantedPhrases) {
        self.view.set_list(&wanted.list);
        self.inside.set_checked(wanted.inside_speech);
        match wanted.threshold {
            Some(threshold) => self.threshold.set_value_as_number(threshold),
            None => self.threshold.set_value(""),
        }
    }

    fn on_key(self: &Rc<Self>) {
        let here = self.clone();
        let timeout = Timeout::new(TYPED_MS, move || here.take_change());
        // The one before is dropped, and with it called off.
        self.typing.replace(Some(timeout));
    }

    /// The visitor changed something: it is kept, and no link has it any more.
    fn take_change(&self) {
        kept::unlink();
        let wanted = self.wanted();
        let has_room = kept::store(wanted.as_ref());
        self.tell_change();
        if !has_room {
            self.view
                .say("This browser does not keep the list: it is gone when the page is closed.");
        }
    }

    fn tell_change(&self) {
        self.view.show_use(self.wanted().is_some());
        let changed = self.changed.borrow().clone();
        if let Some(changed) = changed {
            changed();
        }
    }

    fn on_button(self: &Rc<Self>, id: &str) {
        match id {
            "phrases-example" => {
                self.view.set_list(EXAMPLE);
                self.take_change();
            }
            "phrases-clear" => {
                self.fill(&WantedPhrases::default());
                self.view.focus();
                self.take_change();
            }
            "phrases-link" => self.copy_link(),
            "phrases-go" => self.view.go_to_error(),
            _ => {}
        }
    }

    fn copy_link(self: &Rc<Self>) {
        let Some(wanted) = self.wanted() else {
            return self.view.say("There is no phrase to share.");
        };
        let Some(link) = kept::link(&wanted) else {
            return self
                .view
                .say("The list is too long for a link: share it as a file.");
        };
        let here = self.clone();
        spawn_local(async move { here.view.say(saving::copy(&link).await) });
    }

    /// Whether an element belongs to the box.
    pub fn holds(&self, element: &Element) -> bool {
        self.view.root.contains(Some(element))
    }

    /// Puts the text of a file into the box.
    pub fn take_file(self: &Rc<Self>, file: Blob) {
        let here = self.clone();
        spawn_local(async move {
            text_of(&file).await.map_or_else(
                |message| here.view.show_error(message, None),
                |text| {
                    here.view.set_list(&text);
                    here.take_change();
                },
            );
            here.view.open();
        });
    }

    /// Asks an engine whether the list can be used, and shows what it says; whether it can.
    pub async fn check(&self, client: &Result<Rc<WorkerClient>, Failure>) -> bool {
        let wanted = self.wanted();
        let Some(asked) = wanted.clone() else {
            self.view.clear_notes();
            return true;
        };
        let list = asked.list.clone();
        let answer = match client {
            Ok(client) => {
                let request = Request::CheckPhrases { list };
                let answer = client.request(&request, None, |_| {}).await;
                answer.map(|answer| answer.response)
            }
            Err(failure) => Err(failure.clone()),
        };
        // Something else may stand there by now.
        if self.wanted() != wanted {
            return false;
        }
        match answer {
            Ok(Response::PhrasesChecked {
                phrases,
                warnings,
                with_student,
            }) => {
                self.view.show_checked(phrases, &warnings);
                *self.checked.borrow_mut() = Some((asked, with_student));
                true
            }
            Ok(_) => false,
            Err(failure) if failure.kind == FailureKind::Phrases => {
                self.view
                    .show_error(&sentence(&failure.message), failure.at);
                false
            }
            // No engine: that is told elsewhere.
            Err(_) => false,
        }
    }

    /// Whether a student may know better what can be written than who was asked.
    pub fn needs_check(&self) -> bool {
        let wanted = self.wanted();
        let checked = self.checked.borrow();
        let known = checked
            .as_ref()
            .is_some_and(|(list, with_student)| *with_student && Some(list) == wanted.as_ref());
        wanted.is_some() && !known
    }
}

async fn text_of(file: &Blob) -> Result<String, &'static str> {
    if file.size() > MAX_FILE_BYTES {
        return Err("The file has more than a megabyte: that is no list of phrases.");
    }
    let text = JsFuture::from(file.text()).await;
    let text = text.ok().and_then(|text| text.as_string());
    // What is no UTF-8 has become replacement characters.
    let is_text = |text: &String| !text.contains(['\u{fffd}', '\0']);
    text.filter(is_text)
        .ok_or("The file is no text in UTF-8: a list of phrases is.")
}
