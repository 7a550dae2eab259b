//! The visitor's own words: phrases that are all that is heard, and phrases that are likelier than
//! others. Each list is typed, dropped or opened, kept in this browser and shared by a link.

mod kept;
mod options;
mod view;

use std::{cell::RefCell, rc::Rc};

use gloo::timers::callback::Timeout;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Blob, Element, EventTarget, HtmlInputElement, UrlSearchParams};

use super::{
    dom::{by_id, listen, sentence, window},
    saving,
    worker_client::{Failure, WorkerClient},
};
use crate::protocol::{Boosts, FailureKind, Request, Response, WantedPhrases};
use options::Options;
use view::BoxView;

/// After so long without a key the list is taken as it is.
const TYPED_MS: u32 = 500;
/// Longest file that is read into a box.
const MAX_FILE_BYTES: f64 = 1e6;
const PHRASES: &str = "\
turn [the] (light|lamp) (on|off)
turn (on|off) the <room:room> (light|lamp)
set a timer for <number:minutes> minutes
stop the music

<room> = kitchen | bedroom | (living room | lounge) {living room}
";
const BOOSTS: &str = "\
# A name or a term a line; behind a colon how much likelier, 0 to 100 (4 where there is none).
mister quilter
linnell :8
";

/// What a list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Nothing else is heard.
    Phrases,
    /// They are likelier.
    Boosts,
}

impl Use {
    /// Of its elements, of its place in the browser's storage and of its link.
    fn name(self) -> &'static str {
        match self {
            Self::Phrases => "phrases",
            Self::Boosts => "boosts",
        }
    }

    fn in_use(self) -> &'static str {
        match self {
            Self::Phrases => "all that is heard",
            Self::Boosts => "likelier than other words",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Phrases => PHRASES,
            Self::Boosts => BOOSTS,
        }
    }
}

/// Owns a box and what is in it.
pub struct WordBox {
    what: Use,
    view: BoxView,
    /// Of phrases.
    options: Option<Options>,
    file: HtmlInputElement,
    typing: RefCell<Option<Timeout>>,
    /// What was found right, as parameters, and whether a student was asked.
    checked: RefCell<Option<(String, bool)>>,
    changed: RefCell<Option<Rc<dyn Fn()>>>,
}

impl WordBox {
    pub fn new(what: Use) -> Result<Rc<Self>, JsValue> {
        let name = what.name();
        let options = match what {
            Use::Phrases => Some(Options::new()?),
            Use::Boosts => None,
        };
        let here = Rc::new(Self {
            what,
            view: BoxView::new(name, what.in_use())?,
            options,
            file: by_id(&format!("{name}-file"))?,
            typing: RefCell::default(),
            checked: RefCell::default(),
            changed: RefCell::default(),
        });
        match (kept::linked(name), kept::stored(name)) {
            (Some(linked), _) => {
                here.fill(&linked);
                here.view.open();
            }
            (None, Some(stored)) => here.fill(&stored),
            (None, None) => {}
        }
        here.show_use();
        Ok(here)
    }

    /// Tells of every change.
    pub fn bind(self: &Rc<Self>, changed: impl Fn() + 'static) -> Result<(), JsValue> {
        *self.changed.borrow_mut() = Some(Rc::new(changed));
        let here = self.clone();
        listen(&self.view.text, "input", move |_| here.on_key());
        for control in self.options.iter().flat_map(Options::controls) {
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
        let buttons: Element = by_id(&format!("{}-buttons", self.what.name()))?;
        listen(&buttons, "click", move |event| {
            let target = event.target();
            let target = target.and_then(|target| target.dyn_into::<Element>().ok());
            let id = target.map_or_else(String::new, |target| target.id());
            here.on_button(id.rsplit_once('-').map_or("", |(_, name)| name));
        });
        let here = self.clone();
        let window: EventTarget = window()?.into();
        listen(&window, "hashchange", move |_| {
            let linked = kept::linked(here.what.name());
            let is_new = |linked: &UrlSearchParams| {
                Some(String::from(linked.to_string())) != here.parameters()
            };
            if let Some(linked) = linked.filter(is_new) {
                here.fill(&linked);
                here.view.open();
                here.tell_change();
            }
        });
        Ok(())
    }

    /// The list, if there is a word in it.
    fn list(&self) -> Option<String> {
        let list = self.view.list();
        (!list.trim().is_empty()).then_some(list)
    }

    pub fn is_used(&self) -> bool {
        self.list().is_some()
    }

    /// The phrases in the box, if there are any.
    pub fn phrases(&self) -> Option<WantedPhrases> {
        let list = self.list()?;
        let options = self.options.as_ref()?;
        Some(WantedPhrases {
            list,
            inside_speech: options.hears_inside(),
            threshold: options.threshold(),
        })
    }

    pub fn boosts(&self) -> Boosts {
        self.list().map_or(Boosts::None, Boosts::List)
    }

    /// What is kept and shared.
    fn parameters(&self) -> Option<String> {
        let list = self.list()?;
        let parameters = UrlSearchParams::new().ok()?;
        parameters.append(self.what.name(), &list);
        if let Some(options) = &self.options {
            options.write(&parameters);
        }
        Some(parameters.to_string().into())
    }

    fn fill(&self, parameters: &UrlSearchParams) {
        let list = parameters.get(self.what.name()).unwrap_or_default();
        self.view.set_list(&list);
        if let Some(options) = &self.options {
            options.read(parameters);
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
        kept::unlink(self.what.name());
        let has_room = kept::store(self.what.name(), self.parameters().as_deref());
        self.tell_change();
        if !has_room {
            self.view
                .say("This browser does not keep the list: it is gone when the page is closed.");
        }
    }

    fn show_use(&self) {
        self.view.show_use(self.is_used());
        if let Some(options) = &self.options {
            options.show_use(self.is_used());
        }
    }

    fn tell_change(&self) {
        self.show_use();
        let changed = self.changed.borrow().clone();
        if let Some(changed) = changed {
            changed();
        }
    }

    fn on_button(self: &Rc<Self>, button: &str) {
        match button {
            "example" => {
                self.view.set_list(self.what.example());
                self.take_change();
            }
            "clear" => {
                if let Ok(nothing) = UrlSearchParams::new() {
                    self.fill(&nothing);
                }
                self.view.focus();
                self.take_change();
            }
            "link" => self.copy_link(),
            "go" => self.view.go_to_error(),
            _ => {}
        }
    }

    fn copy_link(self: &Rc<Self>) {
        let Some(parameters) = self.parameters() else {
            return self.view.say("There is no phrase to share.");
        };
        let Some(link) = kept::link(&parameters) else {
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

    /// The words are there, and something else keeps them from being used.
    pub fn show_idle(&self, why: &str) {
        if self.is_used() {
            self.view.show_state(why);
        }
    }

    /// Asks an engine whether the list can be used, and shows what it says; whether it can.
    pub async fn check(&self, client: &Result<Rc<WorkerClient>, Failure>) -> bool {
        let (Some(list), Some(asked)) = (self.list(), self.parameters()) else {
            self.view.clear_notes();
            return true;
        };
        let request = match self.what {
            Use::Phrases => Request::CheckPhrases { list },
            Use::Boosts => Request::CheckBoosts { list },
        };
        let answer = match client {
            Ok(client) => {
                let answer = client.request(&request, None, None).await;
                answer.map(|answer| answer.response)
            }
            Err(failure) => Err(failure.clone()),
        };
        // Something else may stand there by now.
        if self.parameters().as_ref() != Some(&asked) {
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
        let wanted = self.parameters();
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
