//! Fetching the page's own small files.

use js_sys::{ArrayBuffer, Promise, Reflect, Uint8Array};
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, RequestInit, Response, Url};

use super::dom::{document, window, words_of};

/// Absolute form of a path relative to the page.
pub fn resolve(path: &str) -> Result<String, JsValue> {
    let base = document()?
        .base_uri()?
        .ok_or_else(|| JsValue::from_str("the page has no address"))?;
    Ok(Url::new_with_base(path, &base)?.href())
}

/// File names are fixed, so the server is asked whether the copy in the browser's cache still holds.
fn revalidating(url: &str) -> Result<Promise, JsValue> {
    let options = RequestInit::new();
    Reflect::set(&options, &"cache".into(), &"no-cache".into())?;
    Ok(window()?.fetch_with_str_and_init(url, &options))
}

/// # Errors
/// In words for the visitor.
pub async fn get(url: &str) -> Result<Response, String> {
    let fetched = match revalidating(url) {
        Ok(promise) => JsFuture::from(promise).await,
        Err(error) => Err(error),
    };
    let response: Response = fetched
        .and_then(JsCast::dyn_into)
        .map_err(|error| format!("{url} could not be fetched: {}", words_of(&error)))?;
    if response.ok() {
        Ok(response)
    } else {
        Err(format!(
            "{url}: the server answered {}",
            u32::from(response.status())
        ))
    }
}

pub async fn bytes_of(url: &str, response: &Response) -> Result<Uint8Array, String> {
    let buffer = match response.array_buffer() {
        Ok(promise) => JsFuture::from(promise).await,
        Err(error) => Err(error),
    };
    buffer
        .and_then(|buffer| buffer.dyn_into::<ArrayBuffer>())
        .map(|buffer| Uint8Array::new(&buffer))
        .map_err(|error| format!("{url} could not be read: {}", words_of(&error)))
}

pub async fn blob(url: &str) -> Result<Blob, String> {
    let response = get(url).await?;
    let blob = match response.blob() {
        Ok(promise) => JsFuture::from(promise).await,
        Err(error) => Err(error),
    };
    blob.and_then(|blob| blob.dyn_into())
        .map_err(|error| format!("{url} could not be read: {}", words_of(&error)))
}

pub async fn json<T: DeserializeOwned>(url: &str) -> Result<T, String> {
    let response = get(url).await?;
    let text = match response.text() {
        Ok(promise) => JsFuture::from(promise).await,
        Err(error) => Err(error),
    };
    let text = text.map_err(|error| format!("{url} could not be read: {}", words_of(&error)))?;
    let text = text.as_string().unwrap_or_default();
    crate::json::read(&text).map_err(|error| format!("{url}: {error}"))
}
