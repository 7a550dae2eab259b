//! A phrase in a lane: behind its words its slots, its tags and its score. And what is no phrase, and
//! why not.

use wasm_bindgen::JsValue;
use web_sys::Element;

use super::dom::{append_text, create};
use crate::figures;
use crate::protocol::{NearPhrase, OtherSpeech, Phrase, SlotValue};

/// Adds them to the paragraph that has the words.
pub fn phrase_paragraph(paragraph: &Element, phrase: &Phrase) -> Result<(), JsValue> {
    paragraph.set_class_name("phrase");
    for (name, value) in &phrase.slots {
        let value = match value {
            SlotValue::Number(number) => figures::fixed(*number, 0),
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
        &format!("score {}", percent(phrase.score)),
    )
}

/// What was said, what came nearest to it, and what that lacked.
pub fn other_paragraph(other: &OtherSpeech) -> Result<Element, JsValue> {
    let paragraph = create("p", "none")?;
    append_text(&paragraph, "span", "", "none of these:")?;
    append(&paragraph, "said", &format!("“{}”", other.text))?;
    append(&paragraph, "score", &reason(other.nearest.as_ref()))?;
    Ok(paragraph)
}

fn reason(nearest: Option<&NearPhrase>) -> String {
    let Some(NearPhrase {
        text,
        score,
        threshold,
    }) = nearest
    else {
        return "no phrase is near".to_owned();
    };
    let (score_told, needed) = (percent(*score), percent(*threshold));
    if score >= threshold {
        return format!("“{text}” is in it, score {score_told}, but not alone");
    }
    format!("nearest: “{text}”, score {score_told} of the {needed} needed")
}

fn percent(share: f32) -> String {
    format!("{} %", figures::fixed((share * 100.0).into(), 0))
}

fn append(paragraph: &Element, class: &str, text: &str) -> Result<(), JsValue> {
    paragraph.append_with_str_1(" ")?;
    append_text(paragraph, "span", class, text)?;
    Ok(())
}
