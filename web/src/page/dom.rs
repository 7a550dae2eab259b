//! Short forms for the few things done to elements.

use gloo::events::EventListener;
use js_sys::Promise;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Document, Element, Event, EventTarget, HtmlElement, Window};

use crate::js;

pub fn window() -> Result<Window, JsValue> {
    web_sys::window().ok_or_else(|| JsValue::from_str("no window"))
}

pub fn document() -> Result<Document, JsValue> {
    window()?
        .document()
        .ok_or_else(|| JsValue::from_str("no document"))
}

/// The element with this id. That index.html has it with a tag of this kind is trusted.
pub fn by_id<T: JsCast>(id: &str) -> Result<T, JsValue> {
    element(id).map(JsCast::unchecked_into)
}

fn element(id: &str) -> Result<Element, JsValue> {
    let element = document()?.get_element_by_id(id);
    element.ok_or_else(|| JsValue::from_str(&format!("index.html lacks #{id}")))
}

pub fn create(tag: &str, class: &str) -> Result<Element, JsValue> {
    let element = document()?.create_element(tag)?;
    if !class.is_empty() {
        element.set_class_name(class);
    }
    Ok(element)
}

/// A new element with text in it.
pub fn create_text(tag: &str, class: &str, text: &str) -> Result<Element, JsValue> {
    let element = create(tag, class)?;
    element.set_text_content(Some(text));
    Ok(element)
}

/// Adds a new element with text at the end of another.
pub fn append_text(
    parent: &Element,
    tag: &str,
    class: &str,
    text: &str,
) -> Result<Element, JsValue> {
    let element = create_text(tag, class, text)?;
    parent.append_child(&element)?;
    Ok(element)
}

pub fn clear(element: &Element) {
    element.set_text_content(None);
}

/// Text, and shown only if there is any.
pub fn set_note(element: &HtmlElement, text: &str) {
    element.set_text_content(Some(text));
    element.set_hidden(text.is_empty());
}

/// What this browser keeps for the page's visitors, where it keeps anything.
pub fn local_storage() -> Option<web_sys::Storage> {
    window().ok()?.local_storage().ok()?
}

/// Puts another address of this page in the place of the present one, without a visit.
pub fn replace_address(href: &str) {
    let Ok(window) = window() else { return };
    let arguments = [JsValue::NULL, "".into(), href.into()];
    let _ = js::call(&js::get(&window, "history"), "replaceState", &arguments);
}

/// Listens for as long as the page lives.
pub fn listen(target: &EventTarget, event: &'static str, handler: impl FnMut(&Event) + 'static) {
    EventListener::new(target, event, handler).forget();
}

/// As [`listen`], and the handler may prevent the browser's own action.
pub fn listen_actively(
    target: &EventTarget,
    event: &'static str,
    handler: impl FnMut(&Event) + 'static,
) {
    let options = gloo::events::EventListenerOptions::enable_prevent_default();
    EventListener::new_with_options(target, event, options, handler).forget();
}

/// Lets everything else have its turn, for at least this long.
pub async fn pause(ms: i32) {
    let promise = Promise::new(&mut |resolve, _| {
        if let Ok(window) = window() {
            let _ = window.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms);
        }
    });
    let _ = JsFuture::from(promise).await;
}

/// Milliseconds.
pub fn now() -> f64 {
    window()
        .ok()
        .and_then(|window| window.performance())
        .map_or(0.0, |performance| performance.now())
}

/// A JavaScript error in words: its message, without a stack.
pub fn words_of(error: &JsValue) -> String {
    if let Some(error) = error.dyn_ref::<js_sys::Error>() {
        return error.message().into();
    }
    if let Some(error) = error.dyn_ref::<web_sys::DomException>() {
        return error.message();
    }
    error
        .as_string()
        .unwrap_or_else(|| "an unknown error".to_owned())
}

/// A message of a worker as a sentence. The tables of capital letters beyond ASCII would be a
/// sixteenth of the module, and messages are in English.
pub fn sentence(message: &str) -> String {
    let mut sentence = format!("{}.", message.trim_end_matches('.'));
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence
}
