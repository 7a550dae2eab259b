//! What GPU the browser offers, asked before anything large is fetched.

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::dom::window;
use crate::engine_choice::Adapter;

/// Through reflection: the bindings of WebGPU are unstable, and three properties are all we need.
pub async fn adapter() -> Adapter {
    let get = |object: &JsValue, key: &str| {
        Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
    };
    let Ok(window) = window() else {
        return Adapter::NoApi;
    };
    let gpu = get(&window.navigator(), "gpu");
    let Ok(request) = get(&gpu, "requestAdapter").dyn_into::<Function>() else {
        return Adapter::NoApi;
    };
    let promise = request
        .call0(&gpu)
        .and_then(|promise| promise.dyn_into::<Promise>());
    let adapter = match promise {
        Ok(promise) => JsFuture::from(promise).await.unwrap_or(JsValue::NULL),
        Err(_) => JsValue::NULL,
    };
    if adapter.is_null() || adapter.is_undefined() {
        return Adapter::None;
    }
    let info = get(&adapter, "info");
    let parts: Vec<String> = ["vendor", "architecture", "device", "description"]
        .into_iter()
        .filter_map(|key| get(&info, key).as_string())
        .filter(|part| !part.is_empty())
        .collect();
    // The flag has moved between the two objects during the life of the API.
    let is_fallback = [&info, &adapter]
        .into_iter()
        .any(|object| get(object, "isFallbackAdapter").is_truthy());
    Adapter::Found {
        name: if parts.is_empty() {
            "unnamed".to_owned()
        } else {
            parts.join(" ")
        },
        is_fallback,
    }
}
