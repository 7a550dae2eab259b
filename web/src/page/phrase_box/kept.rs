//! Where a visitor's phrases outlive the page: in this browser, and in a link.

use wasm_bindgen::JsValue;
use web_sys::UrlSearchParams;

use crate::{js, page::dom::window, protocol::WantedPhrases};

/// Where the browser keeps them.
const KEY: &str = "fledge-phrases";
/// Before the phrases in the address of a page.
const LINK: &str = "#phrases=";
/// Longer links are cut by what people send them with.
const MAX_LINK_CHARS: usize = 8_000;

/// The phrases that this browser keeps.
pub fn stored() -> Option<WantedPhrases> {
    let text = storage()?.get_item(KEY).ok()??;
    serde_json::from_str(&text).ok()
}

/// Keeps them; whether there was room.
pub fn store(wanted: Option<&WantedPhrases>) -> bool {
    let Some(storage) = storage() else {
        return wanted.is_none();
    };
    match wanted.map(serde_json::to_string) {
        Some(Ok(text)) => storage.set_item(KEY, &text).is_ok(),
        Some(Err(_)) => false,
        None => storage.remove_item(KEY).is_ok(),
    }
}

fn storage() -> Option<web_sys::Storage> {
    window().ok()?.local_storage().ok()?
}

/// The phrases in the page's address.
pub fn linked() -> Option<WantedPhrases> {
    let hash = window().ok()?.location().hash().ok()?;
    if !hash.starts_with(LINK) || hash.len() > MAX_LINK_CHARS {
        return None;
    }
    let parameters = UrlSearchParams::new_with_str(&hash[1..]).ok()?;
    let threshold = parameters.get("threshold");
    Some(WantedPhrases {
        list: parameters.get("phrases")?,
        inside_speech: parameters.get("spot").is_some(),
        threshold: threshold.and_then(|value| value.parse().ok()),
    })
}

/// Puts the phrases into the page's address, which is the link then; `None` if they are too long.
pub fn link(wanted: &WantedPhrases) -> Option<String> {
    let parameters = UrlSearchParams::new().ok()?;
    parameters.append("phrases", &wanted.list);
    if wanted.inside_speech {
        parameters.append("spot", "");
    }
    if let Some(threshold) = wanted.threshold {
        parameters.append("threshold", &threshold.to_string());
    }
    let hash = format!("#{}", String::from(parameters.to_string()));
    if hash.len() > MAX_LINK_CHARS {
        return None;
    }
    let location = window().ok()?.location();
    location.set_hash(&hash).ok()?;
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
