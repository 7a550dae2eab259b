//! Files kept in the browser's cache, each under the digest of its bytes: whatever changes on the
//! server has another name, and nothing kept is ever out of date.

use js_sys::{Array, ArrayBuffer, Uint8Array};
use sha2::{Digest, Sha256};
use wasm_bindgen::{JsCast, JsValue};

use crate::{js, protocol::KEPT_FILES};

/// Lower-case hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub struct Kept {
    cache: JsValue,
}

impl Kept {
    /// `None` where the browser gives this page no storage: in a private window of some, and on
    /// pages that are neither served by https nor from this machine.
    pub async fn open() -> Option<Self> {
        let caches = js::get(&js_sys::global(), "caches");
        let opened = js::call_async(&caches, "open", &[KEPT_FILES.into()]).await;
        opened.ok().map(|cache| Self { cache })
    }

    /// The file, if it is there and whole; a damaged one is thrown away.
    pub async fn get(&self, sha256: &str) -> Option<Vec<u8>> {
        let key = key(sha256);
        let response = js::call_async(&self.cache, "match", std::slice::from_ref(&key))
            .await
            .ok()?;
        let buffer = js::call_async(&response, "arrayBuffer", &[]).await.ok()?;
        let buffer: ArrayBuffer = buffer.dyn_into().ok()?;
        let bytes = Uint8Array::new(&buffer).to_vec();
        if digest(&bytes) == sha256 {
            return Some(bytes);
        }
        let _ = js::call_async(&self.cache, "delete", &[key]).await;
        None
    }

    /// Keeps a file. Where there is no room it is fetched again at the next visit.
    pub async fn put(&self, sha256: &str, bytes: &[u8]) {
        let parts = Array::of1(&Uint8Array::from(bytes));
        let blob = js::construct("Blob", &[parts.into()]);
        let response = blob.and_then(|blob| js::construct("Response", &[blob]));
        if let Ok(response) = response {
            let _ = js::call_async(&self.cache, "put", &[key(sha256), response]).await;
        }
    }
}

/// Keys of the cache are addresses; none of these is ever asked for.
fn key(sha256: &str) -> JsValue {
    JsValue::from_str(&format!("/by-sha256/{sha256}"))
}
