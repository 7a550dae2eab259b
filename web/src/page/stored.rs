//! What of the site's files this browser keeps, by their digests.

use js_sys::Array;
use wasm_bindgen::{JsCast, JsValue};

use crate::{
    js, kept_files,
    protocol::{KEPT_FILES, RemoteFile},
};

/// Digests of the files that are kept; none where the browser keeps nothing.
pub async fn digests() -> Vec<String> {
    found().await.unwrap_or_default()
}

/// Whether a file is kept; one without a digest never is.
pub async fn holds(file: &RemoteFile) -> bool {
    let stored = digests().await;
    let digest = file.sha256.as_ref();
    digest.is_some_and(|digest| stored.contains(digest))
}

async fn found() -> Result<Vec<String>, JsValue> {
    let cache = kept_files::open().await?;
    let keys: Array = js::call_async(&cache, "keys", &[]).await?.dyn_into()?;
    let digest = |key: JsValue| {
        let url = js::get(&key, "url").as_string()?;
        Some(url.rsplit_once('/')?.1.to_owned())
    };
    Ok(keys.iter().filter_map(digest).collect())
}

/// Throws all of them away.
pub async fn clear() {
    let caches = js::get(&js_sys::global(), "caches");
    let _ = js::call_async(&caches, "delete", &[KEPT_FILES.into()]).await;
}
