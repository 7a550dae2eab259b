//! The transcript on the page: settled text that never changes, and the words still in motion.

use wasm_bindgen::JsValue;
use web_sys::{Element, HtmlElement};

use super::dom::{by_id, clear, create, create_text, set_note};
use crate::{
    figures,
    protocol::{LiveSegment, Response, Transcript, WordErrors},
};

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

    fn set_partial(&self, text: &str) {
        if !text.is_empty() {
            self.placeholder.set_hidden(true);
        }
        self.partial.set_text_content(Some(text));
        self.region.set_scroll_top(self.region.scroll_height());
    }

    /// Shows what is heard live: settled segments, and the words of the open one.
    pub fn show_live(&self, segments: &[LiveSegment]) -> Result<(), JsValue> {
        for segment in segments {
            if segment.is_final {
                self.set_partial("");
                self.push_final(&segment.transcript)?;
            } else {
                self.set_partial(&segment.transcript.text);
            }
        }
        Ok(())
    }

    /// No more words come; says so where none came.
    pub fn end_live(&self) {
        self.set_partial("");
        if self.finals.child_element_count() == 0 {
            self.set_placeholder("No words were heard.");
        } else {
            self.set_placeholder("");
        }
    }

    /// Adds text that will not change.
    fn push_final(&self, transcript: &Transcript) -> Result<(), JsValue> {
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

    /// Shows the answer to a file: its words, how long they took, what the reader noticed, and what
    /// was really said where that is known.
    pub fn show_result(
        &self,
        response: &Response,
        truth: Option<&str>,
        notices: &[String],
    ) -> Result<(), JsValue> {
        let Response::Transcribed {
            transcript,
            audio_secs,
            recognize_ms,
            errors,
            cancelled,
            ..
        } = response
        else {
            return Ok(());
        };
        self.push_final(transcript)?;
        if let Some(text) = truth {
            self.show_truth(text, &verdict(errors.as_ref()))?;
        }
        let speed = audio_secs * 1e3 / recognize_ms.max(0.01);
        let cut = if *cancelled {
            "cancelled, so far: "
        } else {
            ""
        };
        self.set_note(&format!(
            "{cut}{audio_secs:.1} s of audio in {}, {} real time{}",
            figures::milliseconds(*recognize_ms),
            times(speed),
            told(notices)
        ));
        if transcript.text.is_empty() {
            self.set_placeholder("No words were heard.");
        }
        Ok(())
    }

    /// What was really said, and how far off the transcript is.
    fn show_truth(&self, text: &str, verdict: &str) -> Result<(), JsValue> {
        clear(&self.truth);
        let said: Element = create_text("strong", "", text)?;
        self.truth.append_with_str_1("What was said: ")?;
        self.truth.append_child(&said)?;
        self.truth.append_with_str_1(&format!(". {verdict}"))?;
        self.truth.set_hidden(false);
        Ok(())
    }
}

/// What the reader said of the file, as sentences after another.
fn told(notices: &[String]) -> String {
    notices
        .iter()
        .map(|notice| format!(". The file {notice}"))
        .collect()
}

/// `27×`, `0.4×`.
fn times(factor: f64) -> String {
    if factor < 9.95 {
        format!("{factor:.1}×")
    } else {
        format!("{factor:.0}×")
    }
}

fn verdict(errors: Option<&WordErrors>) -> String {
    match errors {
        Some(errors) if errors.errors == 0 => "Every word is right.".to_owned(),
        Some(errors) => format!(
            "{} of {} words wrong.",
            errors.errors, errors.reference_words
        ),
        None => String::new(),
    }
}
