//! What a box of the visitor's words shows.

use std::cell::Cell;

use wasm_bindgen::JsValue;
use web_sys::{HtmlDetailsElement, HtmlElement};

use crate::{
    js,
    page::dom::{append_text, by_id, clear, sentence, set_note},
    protocol::{PhraseWarning, Place},
};

/// Warnings that are shown.
const SHOWN: usize = 3;

pub struct BoxView {
    pub root: HtmlDetailsElement,
    /// A text area.
    pub text: HtmlElement,
    error: HtmlElement,
    go: HtmlElement,
    note: HtmlElement,
    state: HtmlElement,
    /// What stands in the state where the words are used.
    in_use: &'static str,
    error_at: Cell<Option<Place>>,
}

impl BoxView {
    /// The elements whose ids begin with `name`.
    pub fn new(name: &str, in_use: &'static str) -> Result<Self, JsValue> {
        Ok(Self {
            root: by_id(name)?,
            text: by_id(&format!("{name}-text"))?,
            error: by_id(&format!("{name}-error"))?,
            go: by_id(&format!("{name}-go"))?,
            note: by_id(&format!("{name}-note"))?,
            state: by_id(&format!("{name}-state"))?,
            in_use,
            error_at: Cell::default(),
        })
    }

    pub fn open(&self) {
        self.root.set_open(true);
    }

    pub fn list(&self) -> String {
        js::get(&self.text, "value").as_string().unwrap_or_default()
    }

    pub fn set_list(&self, list: &str) {
        let _ = js::set(&self.text, "value", &list.into());
    }

    pub fn focus(&self) {
        let _ = self.text.focus();
    }

    /// In the line that folds the box away.
    pub fn show_state(&self, state: &str) {
        self.state.set_text_content(Some(state));
    }

    pub fn show_use(&self, is_used: bool) {
        self.show_state(if is_used { self.in_use } else { "" });
    }

    pub fn say(&self, text: &str) {
        self.note.set_text_content(Some(text));
    }

    pub fn clear_notes(&self) {
        self.say("");
        self.set_error("", None);
    }

    pub fn show_error(&self, message: &str, at: Option<Place>) {
        self.say("");
        self.set_error(message, at);
        self.show_state("cannot be used yet");
    }

    fn set_error(&self, message: &str, at: Option<Place>) {
        set_note(&self.error, message);
        self.go.set_hidden(at.is_none());
        self.error_at.set(at);
        let is_wrong = if message.is_empty() { "false" } else { "true" };
        let _ = self.text.set_attribute("aria-invalid", is_wrong);
    }

    pub fn show_checked(&self, phrases: usize, warnings: &[PhraseWarning]) {
        self.set_error("", None);
        let count = match phrases {
            1 => "1 phrase".to_owned(),
            count => format!("{count} phrases"),
        };
        self.show_state(&format!("{count}, {}", self.in_use));
        clear(&self.note);
        let lines = warnings.iter().take(SHOWN).map(|warning| {
            let Place { line, column } = warning.at;
            sentence(&format!(
                "line {line}, column {column}: {}",
                warning.message
            ))
        });
        for line in std::iter::once(format!("{count}.")).chain(lines) {
            let _ = append_text(&self.note, "span", "", &line);
        }
    }

    /// Puts the cursor where the list is wrong.
    pub fn go_to_error(&self) {
        let Some(at) = self.error_at.get() else {
            return;
        };
        let list = self.list();
        // A text area ends its lines with one character, whatever was put into it.
        let mut lines = list.lines();
        let above = lines.by_ref().take(at.line - 1);
        let before: usize = above.map(|line| units(line) + 1).sum();
        let line = lines.next().unwrap_or_default();
        let index = line
            .char_indices()
            .nth(at.column - 1)
            .map(|(index, _)| index);
        let parts = index.and_then(|index| line.split_at_checked(index));
        let (left, right) = parts.unwrap_or((line, ""));
        let word = right.chars().take_while(|letter| !letter.is_whitespace());
        let start = before + units(left);
        let length: usize = word.map(char::len_utf16).sum();
        let range = [start, start + length].map(|at| JsValue::from(at as u32));
        self.focus();
        let _ = js::call(&self.text, "setSelectionRange", &range);
    }
}

/// As the browser counts.
fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}
