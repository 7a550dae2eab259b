//! Where a visitor's phrases outlive the page: in this browser, and in a link. Both have the form of
//! an address's parameters.

use js_sys::Number;
use wasm_bindgen::JsValue;
use web_sys::UrlSearchParams;

use crate::{js, page::dom::window, protocol::WantedPhrases};

/// Where the browser keeps them.
const KEY: &str = "fledge-phrases";
/// Before the phrases in the address of a page.
const LINK: &str = "#phrases=";
/// Longer links are cut by what people send them with.
const MAX_LINK_CHARS: usize = 8_000;

fn read(text: &str) -> Option<WantedPhrases> {
    let parameters = UrlSearchParams::new_with_str(text).ok()?;
    let threshold = parameters.get("threshold");
    let threshold = threshold.map(|value| Number::parse_float(&value));
    Some(WantedPhrases {
        list: parameters.get("phrases")?,
        inside_speech: parameters.has("spot"),
        threshold: threshold.filter(|value| value.is_finite()),
    })
}

fn write(wanted: &WantedPhrases) -> Option<String> {
    let parameters = UrlSearchParams::new().ok()?;
    parameters.append("phrases", &wanted.list);
    if wanted.inside_speech {
        parameters.append("spot", "");
    }
    if let Some(threshold) = wanted.threshold {
        let threshold = Number::from(threshold).to_string_with_radix(10).ok()?;
        parameters.append("threshold", &String::from(threshold));
    }
    Some(parameters.to_string().into())
}

/// The phrases that this browser keeps.
pub fn stored() -> Option<WantedPhrases> {
    read(&storage()?.get_item(KEY).ok()??)
}

/// Keeps them; whether there was room.
pub fn store(wanted: Option<&WantedPhrases>) -> bool {
    let Some(storage) = storage() else {
        return wanted.is_none();
    };
    match wanted {
        Some(wanted) => write(wanted).is_some_and(|text| storage.set_item(KEY, &text).is_ok()),
        None => storage.remove_item(KEY).is_ok(),
    }
}

fn storage() -> Option<web_sys::Storage> {
    window().ok()?.local_storage().ok()?
}

/// The phrases in the page's address.
pub fn linked() -> Option<WantedPhrases> {
    let hash = window().ok()?.location().hash().ok()?;
    let is_ours = hash.starts_with(LINK) && hash.len() <= MAX_LINK_CHARS;
    read(hash.get(1..).filter(|_| is_ours)?)
}

/// Puts the phrases into the page's address, which is the link then; `None` if they are too long.
pub fn link(wanted: &WantedPhrases) -> Option<String> {
    let text = write(wanted).filter(|text| text.len() < MAX_LINK_CHARS)?;
    let location = window().ok()?.location();
    location.set_hash(&text).ok()?;
    location.href().ok()
}

/// Takes the phrases out of the page's address, which no longer holds what is in the box.
pub fn unlink() {
    let Ok(window) = window() else { return };
    let location = window.location();
    let is_linked = location.hash().is_ok_and(|hash| hash.starts_with(LINK));
    if let (true, Ok(href)) = (is_linked, location.href()) {
        let bare = href.split('#').next().unwrap_or_default();
        let arguments = [JsValue::NULL, "".into(), bare.into()];
        let _ = js::call(&js::get(&window, "history"), "replaceState", &arguments);
    }
}
