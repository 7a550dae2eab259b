//! What an engine reads from the kept files, and puts there.

use js_sys::{Array, ArrayBuffer, Uint8Array};
use sha2::{Digest, Sha256};
use wasm_bindgen::{JsCast, JsValue};

use crate::{js, kept_files};

/// Lower-case hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub struct Kept {
    cache: JsValue,
}

impl Kept {
    /// `None` where the browser gives this page no storage.
    pub async fn open() -> Option<Self> {
        let opened = kept_files::open().await;
        opened.ok().map(|cache| Self { cache })
    }

    /// The file, if it is there and whole; a damaged one is thrown away.
    pub async fn get(&self, sha256: &str) -> Option<Vec<u8>> {
        let key = kept_files::key(sha256);
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

    pub async fn put(&self, sha256: &str, bytes: &[u8]) {
        let parts = Array::of1(&Uint8Array::from(bytes));
        kept_files::put(&self.cache, sha256, &parts).await;
    }
}
