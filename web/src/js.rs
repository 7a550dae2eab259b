//! Calls of browser interfaces by name, for those few whose bindings would rebuild the GPU stack,
//! which shares them.

use js_sys::{Array, Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// A property; undefined where there is none.
pub fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

/// # Errors
/// What the property's setter throws.
pub fn set(object: &JsValue, name: &str, value: &JsValue) -> Result<bool, JsValue> {
    Reflect::set(object, &name.into(), value)
}

/// # Errors
/// What the method throws, or that there is none.
pub fn call(object: &JsValue, name: &str, arguments: &[JsValue]) -> Result<JsValue, JsValue> {
    let method: Function = get(object, name)
        .dyn_into()
        .map_err(|_| JsValue::from_str(&format!("this browser has no {name}")))?;
    method.apply(object, &arguments.iter().cloned().collect::<Array>())
}

/// As [`call`], of a method that gives a promise.
///
/// # Errors
/// What the promise is rejected with, too.
pub async fn call_async(
    object: &JsValue,
    name: &str,
    arguments: &[JsValue],
) -> Result<JsValue, JsValue> {
    let promise: Promise = call(object, name, arguments)?.dyn_into()?;
    JsFuture::from(promise).await
}

/// # Errors
/// What the constructor throws, or that there is none.
pub fn construct(class: &str, arguments: &[JsValue]) -> Result<JsValue, JsValue> {
    let class: Function = get(&js_sys::global(), class)
        .dyn_into()
        .map_err(|_| JsValue::from_str(&format!("this browser has no {class}")))?;
    Reflect::construct(&class, &arguments.iter().cloned().collect::<Array>())
}
