//! The page: document, microphone and files. No model code; that is the engine's.

mod app;
mod audio_reader;
mod bell;
mod check;
mod decoding;
mod dom;
mod drop_target;
mod engine_host;
mod engines;
mod event;
mod feeder;
mod fetch;
mod fetch_ahead;
mod foreign_audio;
mod hearing;
mod lane;
mod lane_view;
mod lanes;
mod listening;
mod live_view;
mod lm_setting;
mod microphone;
mod offer;
mod own_words;
mod phrase_view;
mod player;
mod probe;
mod recording;
mod said;
mod samples;
mod saving;
mod settings;
mod storage;
mod stored;
mod students;
mod tape;
mod toolbar;
mod trial;
mod turn;
mod worker_client;

use wasm_bindgen::JsValue;

/// Binds the document and starts an engine.
pub fn start() {
    console_error_panic_hook::set_once();
    if let Err(error) = app::App::start() {
        web_sys::console::error_2(&JsValue::from_str("the page did not start:"), &error);
    }
}
