//! A phrase in a lane: behind its words its slots, its tags and how sure it is.

use wasm_bindgen::JsValue;
use web_sys::Element;

use super::dom::append_text;
use crate::protocol::{Phrase, SlotValue};

/// Adds them to the paragraph that has the words.
pub fn phrase_paragraph(paragraph: &Element, phrase: &Phrase) -> Result<(), JsValue> {
    paragraph.set_class_name("phrase");
    for (name, value) in &phrase.slots {
        let value = match value {
            SlotValue::Number(number) => format!("{number:.0}"),
            SlotValue::Text(text) => text.clone(),
        };
        append(paragraph, "slot", &format!("{name}: {value}"))?;
    }
    for tag in &phrase.tags {
        append(paragraph, "slot", tag)?;
    }
    append(
        paragraph,
        "score",
        &format!("{:.0} %", phrase.score * 100.0),
    )
}

fn append(paragraph: &Element, class: &str, text: &str) -> Result<(), JsValue> {
    paragraph.append_with_str_1(" ")?;
    append_text(paragraph, "span", class, text)?;
    Ok(())
}
