//! Files may be dropped anywhere on the page.

use wasm_bindgen::{JsCast, JsValue};
use web_sys::{DragEvent, Element, File};

use super::dom::{document, listen_actively};
use crate::js;

/// `accept` is told where a file was dropped, too.
pub fn bind(accept: impl Fn(File, Option<Element>) + 'static) -> Result<(), JsValue> {
    let document = document()?;
    let body = document
        .body()
        .ok_or_else(|| JsValue::from_str("the page has no body"))?;
    for event in ["dragenter", "dragover"] {
        let body = body.clone();
        listen_actively(&document, event, move |event| {
            event.prevent_default();
            let _ = body.class_list().add_1("over");
        });
    }
    let marked = body.clone();
    listen_actively(&document, "dragleave", move |event| {
        // Between two elements of the page there is somewhere to go to.
        if js::get(event, "relatedTarget").is_null() {
            let _ = marked.class_list().remove_1("over");
        }
    });
    listen_actively(&document, "drop", move |event| {
        event.prevent_default();
        let _ = body.class_list().remove_1("over");
        let file = event
            .dyn_ref::<DragEvent>()
            .and_then(|event| event.data_transfer())
            .and_then(|data| data.files())
            .and_then(|files| files.get(0));
        if let Some(file) = file {
            let target = event.target();
            accept(file, target.and_then(|target| target.dyn_into().ok()));
        }
    });
    Ok(())
}
