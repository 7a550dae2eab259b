//! What is kept in this browser, and what is still to be fetched.

use std::rc::Rc;

use wasm_bindgen::JsValue;
use web_sys::{HtmlButtonElement, HtmlElement};

use super::{dom::by_id, lane::Lane, stored};
use crate::{figures, lm_choice::LmChoice};

pub struct Storage {
    pub clear_button: HtmlButtonElement,
    fetch_note: HtmlElement,
    stored_note: HtmlElement,
}

impl Storage {
    pub fn new() -> Result<Self, JsValue> {
        Ok(Self {
            clear_button: by_id("clear-stored")?,
            fetch_note: by_id("fetch-note")?,
            stored_note: by_id("stored-note")?,
        })
    }

    /// Tells what these lanes have to fetch before their next words.
    pub async fn refresh(&self, lanes: &[Rc<Lane>], lm: LmChoice) {
        let stored = stored::digests().await;
        let text = match missing_bytes(lanes, lm, &stored) {
            0.0 => "Stored on this device.".to_owned(),
            missing => format!("{} to fetch first.", figures::bytes(missing)),
        };
        self.fetch_note.set_text_content(Some(&text));
        let kept = match stored.len() {
            0 => "None are stored.".to_owned(),
            count => format!("{count} files are stored."),
        };
        self.stored_note.set_text_content(Some(&kept));
    }
}

fn missing_bytes(lanes: &[Rc<Lane>], lm: LmChoice, stored: &[String]) -> f64 {
    let mut missing = 0.0;
    let mut lm_bytes = 0.0;
    for lane in lanes {
        let needed = lane.student.summary.needed();
        let files = needed.filter(|file| !stored.contains(&file.sha256));
        missing += files.map(|file| file.bytes).sum::<f64>();
        if let Some(lm) = lane.student.lms.file(lm)
            && !lm
                .sha256
                .as_ref()
                .is_some_and(|digest| stored.contains(digest))
        {
            // Students of a family share it.
            lm_bytes = lm.bytes.unwrap_or(0.0);
        }
    }
    missing + lm_bytes
}
