//! Files kept in the browser's cache, each under the digest of its bytes: whatever changes on the
//! server has another name, and nothing kept is ever out of date. Page and engines share them.

use js_sys::Array;
use wasm_bindgen::JsValue;

use crate::{js, protocol::KEPT_FILES};

/// # Errors
/// The browser gives this page no storage: in a private window of some, and on pages that are
/// neither served by https nor from this machine.
pub async fn open() -> Result<JsValue, JsValue> {
    let caches = js::get(&js_sys::global(), "caches");
    js::call_async(&caches, "open", &[KEPT_FILES.into()]).await
}

/// Keys of the cache are addresses; none of these is ever asked for.
pub fn key(sha256: &str) -> JsValue {
    JsValue::from_str(&format!("/by-sha256/{sha256}"))
}

/// Keeps a file, given in parts. Where there is no room it is fetched again at the next visit.
pub async fn put(cache: &JsValue, sha256: &str, parts: &Array) {
    let blob = js::construct("Blob", &[parts.into()]);
    let response = blob.and_then(|blob| js::construct("Response", &[blob]));
    if let Ok(response) = response {
        let _ = js::call_async(cache, "put", &[key(sha256), response]).await;
    }
}
