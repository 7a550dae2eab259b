//! The progress bar under the transcript.

use wasm_bindgen::JsValue;
use web_sys::{HtmlElement, HtmlProgressElement};

use super::dom::by_id;
use crate::{
    figures,
    protocol::{LoadPhase, Response},
};

pub struct ProgressBar {
    row: HtmlElement,
    bar: HtmlProgressElement,
    text: HtmlElement,
}

impl ProgressBar {
    pub fn new() -> Result<Self, JsValue> {
        Ok(Self {
            row: by_id("progress")?,
            bar: by_id("progress-bar")?,
            text: by_id("progress-text")?,
        })
    }

    /// Without a fraction the bar only shows that something is going on.
    pub fn show(&self, fraction: Option<f64>, text: &str) {
        self.row.set_hidden(false);
        match fraction {
            Some(fraction) => self.bar.set_value(fraction.min(1.0)),
            None => {
                let _ = self.bar.remove_attribute("value");
            }
        }
        self.text.set_text_content(Some(text));
    }

    pub fn hide(&self) {
        self.row.set_hidden(true);
    }

    /// What an engine says of a request under way; its other messages change nothing.
    pub fn follow(&self, response: &Response) {
        let (fraction, text) = match response {
            Response::Loading(LoadPhase::Downloading { received, total }) => (
                Some(received / total.max(1.0)),
                format!(
                    "Downloading the student: {} of {}",
                    figures::bytes(*received),
                    figures::bytes(*total)
                ),
            ),
            Response::Loading(LoadPhase::DownloadingLm { received }) => (
                None,
                format!(
                    "Downloading the language model: {}",
                    figures::bytes(*received)
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
        self.show(fraction, &text);
    }
}
