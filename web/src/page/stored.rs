//! What of the site's files this browser keeps, by their digests.

use std::collections::BTreeSet;

use js_sys::Array;
use wasm_bindgen::{JsCast, JsValue};

use crate::{
    js, kept_files,
    protocol::{KEPT_FILES, RemoteFile},
};

/// Digests of the files that are kept; none where the browser keeps nothing.
pub async fn digests() -> BTreeSet<String> {
    found().await.unwrap_or_default()
}

/// Whether a file is kept; one without a digest never is.
pub async fn holds(file: &RemoteFile) -> bool {
    let stored = digests().await;
    let digest = file.sha256.as_ref();
    digest.is_some_and(|digest| stored.contains(digest))
}

async fn found() -> Result<BTreeSet<String>, JsValue> {
    let cache = kept_files::open().await?;
    let keys: Array = js::call_async(&cache, "keys", &[]).await?.dyn_into()?;
    let digest = |key: JsValue| {
        let url = js::get(&key, "url").as_string()?;
        url.rsplit('/').next().map(str::to_owned)
    };
    Ok(keys.iter().filter_map(digest).collect())
}

/// Throws all of them away.
pub async fn clear() {
    let caches = js::get(&js_sys::global(), "caches");
    let _ = js::call_async(&caches, "delete", &[KEPT_FILES.into()]).await;
}
