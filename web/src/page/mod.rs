//! The page: document, microphone and files. No model code; that is the engine's.

mod app;
mod audio_reader;
mod clips;
mod comparison;
mod controls;
mod dom;
mod engine_host;
mod event;
mod fetch;
mod foreign_audio;
mod listening;
mod microphone;
mod probe;
mod progress;
mod students;
mod transcript_view;
mod trial;
mod worker_client;

use wasm_bindgen::JsValue;

/// Binds the document and starts an engine.
pub fn start() {
    console_error_panic_hook::set_once();
    if let Err(error) = app::App::start() {
        web_sys::console::error_2(&JsValue::from_str("the page did not start:"), &error);
    }
}
