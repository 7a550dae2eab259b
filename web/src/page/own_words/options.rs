//! How phrases are heard, and what the page says of them above its lanes.

use js_sys::Number;
use wasm_bindgen::JsValue;
use web_sys::{HtmlElement, HtmlInputElement, UrlSearchParams};

use crate::page::dom::by_id;

pub struct Options {
    inside: HtmlInputElement,
    threshold: HtmlInputElement,
    prompt: HtmlElement,
    own_prompt: HtmlElement,
}

impl Options {
    pub fn new() -> Result<Self, JsValue> {
        Ok(Self {
            inside: by_id("phrases-inside")?,
            threshold: by_id("phrases-threshold")?,
            prompt: by_id("prompt")?,
            own_prompt: by_id("own-prompt")?,
        })
    }

    pub fn controls(&self) -> [&HtmlInputElement; 2] {
        [&self.inside, &self.threshold]
    }

    pub fn hears_inside(&self) -> bool {
        self.inside.checked()
    }

    pub fn threshold(&self) -> Option<f64> {
        Some(self.threshold.value_as_number()).filter(|value| value.is_finite())
    }

    /// Invites to say a phrase in place of anything.
    pub fn show_use(&self, is_used: bool) {
        self.prompt.set_hidden(is_used);
        self.own_prompt.set_hidden(!is_used);
    }

    pub fn write(&self, parameters: &UrlSearchParams) {
        if self.hears_inside() {
            parameters.append("spot", "");
        }
        let threshold = self.threshold().map(Number::from);
        if let Some(Ok(threshold)) = threshold.map(|value| value.to_string_with_radix(10)) {
            parameters.append("threshold", &String::from(threshold));
        }
    }

    pub fn read(&self, parameters: &UrlSearchParams) {
        self.inside.set_checked(parameters.has("spot"));
        let threshold = parameters.get("threshold");
        let threshold = threshold.map(|value| Number::parse_float(&value));
        match threshold.filter(|value| value.is_finite()) {
            Some(threshold) => self.threshold.set_value_as_number(threshold),
            None => self.threshold.set_value(""),
        }
    }
}
