//! The transcript on the page: settled text that never changes, and the words still in motion.

use wasm_bindgen::JsValue;
use web_sys::{Element, HtmlElement};

use super::dom::{by_id, clear, create, create_text, set_note};
use crate::protocol::Transcript;

/// Words below this confidence are marked as unsure.
const UNSURE: f32 = 0.5;

pub struct TranscriptView {
    region: HtmlElement,
    finals: HtmlElement,
    partial: HtmlElement,
    placeholder: HtmlElement,
    note: HtmlElement,
    truth: HtmlElement,
}

impl TranscriptView {
    pub fn new() -> Result<Self, JsValue> {
        let finals: HtmlElement = by_id("finals")?;
        let region = finals
            .parent_element()
            .map(wasm_bindgen::JsCast::unchecked_into)
            .ok_or_else(|| JsValue::from_str("#finals has no parent"))?;
        Ok(Self {
            region,
            finals,
            partial: by_id("partial")?,
            placeholder: by_id("placeholder")?,
            note: by_id("result-note")?,
            truth: by_id("truth")?,
        })
    }

    /// Empties everything; `placeholder` stands where the words will be.
    pub fn reset(&self, placeholder: &str) {
        clear(&self.finals);
        self.partial.set_text_content(None);
        self.set_note("");
        set_note(&self.truth, "");
        set_note(&self.placeholder, placeholder);
    }

    /// A small line beside the heading.
    pub fn set_note(&self, note: &str) {
        self.note.set_text_content(Some(note));
    }

    pub fn set_placeholder(&self, text: &str) {
        set_note(&self.placeholder, text);
    }

    pub fn is_empty(&self) -> bool {
        self.finals.child_element_count() == 0
    }

    pub fn set_partial(&self, text: &str) {
        if !text.is_empty() {
            self.placeholder.set_hidden(true);
        }
        self.partial.set_text_content(Some(text));
        self.region.set_scroll_top(self.region.scroll_height());
    }

    /// Adds text that will not change.
    pub fn push_final(&self, transcript: &Transcript) -> Result<(), JsValue> {
        if transcript.text.is_empty() {
            return Ok(());
        }
        self.placeholder.set_hidden(true);
        let paragraph = create("p", "")?;
        if transcript.words.is_empty() {
            paragraph.set_text_content(Some(&transcript.text));
        }
        for (index, word) in transcript.words.iter().enumerate() {
            if index > 0 {
                paragraph.append_with_str_1(" ")?;
            }
            let (class, hint) = if word.confidence < UNSURE {
                ("word-unsure", "unsure, ")
            } else {
                ("", "")
            };
            let span = create_text("span", class, &word.text)?;
            span.set_attribute(
                "title",
                &format!(
                    "{hint}{:.2} to {:.2} s, confidence {:.0} %",
                    word.start_secs,
                    word.end_secs,
                    word.confidence * 100.0
                ),
            )?;
            paragraph.append_child(&span)?;
        }
        self.finals.append_child(&paragraph)?;
        self.region.set_scroll_top(self.region.scroll_height());
        Ok(())
    }

    /// What was really said, and how far off the transcript is.
    pub fn show_truth(&self, text: &str, verdict: &str) -> Result<(), JsValue> {
        clear(&self.truth);
        let said: Element = create_text("strong", "", text)?;
        self.truth.append_with_str_1("What was said: ")?;
        self.truth.append_child(&said)?;
        self.truth.append_with_str_1(&format!(". {verdict}"))?;
        self.truth.set_hidden(false);
        Ok(())
    }
}
