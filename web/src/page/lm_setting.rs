//! Which language model students write with: none, the small one, a larger one. The choice is kept in
//! this browser, and in the page's address, which can be shared.

use std::{cell::Cell, rc::Rc};

use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Event, HtmlElement, HtmlInputElement, Url};

use super::{
    dom::{by_id, local_storage, replace_address, window},
    lane::Lane,
    students::Student,
};
use crate::lm_choice::{LmChoice, told};

/// Where the browser keeps the choice.
const KEY: &str = "fledge-lm";

pub struct LmSetting {
    pub group: HtmlElement,
    choice: Cell<LmChoice>,
}

impl LmSetting {
    /// `asked`: what the page's address asks for, before what was chosen at an earlier visit.
    pub fn new(asked: Option<String>) -> Result<Self, JsValue> {
        let kept = || local_storage()?.get_item(KEY).ok()?;
        let name = asked.or_else(kept).unwrap_or_default();
        Ok(Self {
            group: by_id("lm")?,
            choice: Cell::new(LmChoice::from_name(&name)),
        })
    }

    pub fn choice(&self) -> LmChoice {
        self.choice.get()
    }

    /// Shows what there is for the students of a family, which share it.
    pub fn show(&self, lanes: &[Rc<Lane>]) -> Result<(), JsValue> {
        let mut students = lanes.iter().map(|lane| &*lane.student);
        let sharing = students.find(|student| student.lms.small.is_some());
        self.group.set_hidden(sharing.is_none());
        let Some(Student { lms, summary, .. }) = sharing else {
            return Ok(());
        };
        let large: HtmlElement = by_id("lm-large-option")?;
        large.set_hidden(lms.large.is_none());
        let set = summary.largest_set().unwrap_or_default();
        for choice in LmChoice::ALL {
            let (name, file) = (choice.name(), lms.file(choice));
            let students = lanes.iter().map(|lane| &*lane.student);
            let students = students.filter(|student| !student.is_teacher());
            let told = told(file, set, students.map(|student| &student.summary));
            let note: HtmlElement = by_id(&format!("lm-{name}-note"))?;
            note.set_text_content(Some(&told));
            let radio: HtmlInputElement = by_id(&format!("lm-{name}"))?;
            radio.set_checked(choice == lms.within(self.choice.get()));
        }
        Ok(())
    }

    /// The visitor chose.
    pub fn take(&self, event: &Event) {
        let target = event.target().and_then(|target| target.dyn_into().ok());
        let Some(radio) = target.map(|radio: HtmlInputElement| radio.value()) else {
            return;
        };
        self.choice.set(LmChoice::from_name(&radio));
        let name = self.choice.get().name();
        // Without storage the address still has it.
        if let Some(storage) = local_storage() {
            let _ = storage.set_item(KEY, name);
        }
        let here = window().and_then(|window| window.location().href());
        if let Ok(address) = here.and_then(|href| Url::new(&href)) {
            address.search_params().set("lm", name);
            replace_address(&address.href());
        }
    }
}
