//! The JavaScript form of a message, the same in both directions: `{id, body, payload, file}`.

use js_sys::{Array, ArrayBuffer, Object, Reflect};
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Blob;

/// One message with the request that it belongs to.
pub struct Message<T> {
    pub id: u32,
    pub body: T,
    pub payload: Option<ArrayBuffer>,
    pub file: Option<Blob>,
}

/// The message and the list of what is moved with it.
pub fn write<T: Serialize>(
    id: u32,
    body: &T,
    payload: Option<&ArrayBuffer>,
) -> Result<(Object, Array), JsValue> {
    let message = Object::new();
    Reflect::set(&message, &"id".into(), &id.into())?;
    Reflect::set(
        &message,
        &"body".into(),
        &serde_wasm_bindgen::to_value(body)?,
    )?;
    let moved = Array::new();
    if let Some(payload) = payload {
        Reflect::set(&message, &"payload".into(), payload)?;
        moved.push(payload);
    }
    Ok((message, moved))
}

/// # Errors
/// What is missing or of the wrong type.
pub fn read<T: DeserializeOwned>(message: &JsValue) -> Result<Message<T>, String> {
    let field = |name: &str| {
        Reflect::get(message, &name.into()).map_err(|_| format!("a message without {name}"))
    };
    let id = field("id")?
        .as_f64()
        .ok_or("a message whose id is no number")? as u32;
    let body = serde_wasm_bindgen::from_value(field("body")?).map_err(|error| error.to_string())?;
    let payload = field("payload")?;
    let payload = if payload.is_undefined() {
        None
    } else {
        let buffer = payload
            .dyn_into()
            .map_err(|_| "a payload that is no ArrayBuffer".to_owned())?;
        Some(buffer)
    };
    let file = field("file")?.dyn_into().ok();
    Ok(Message {
        id,
        body,
        payload,
        file,
    })
}
