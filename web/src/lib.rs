//! Fledge in the browser.
//!
//! Five programs from one crate. `page` owns the document: buttons, microphone, results; it has no
//! network in it. `engine-cpu` and `engine-webgpu` are dedicated workers which own a student and
//! differ only in the device they compute on; `audio-file` is one that decodes files of the usual
//! kinds, `audio-file-all` of all. Page and workers share [`protocol`] and nothing else.
//!
//! Everything that needs no browser (what is said on the wire, which engine to take, how figures
//! are written, the plot) compiles and is tested natively.

pub mod catalog;
#[cfg(not(target_arch = "wasm32"))]
pub mod custom_sections;
pub mod engine_choice;
pub mod export;
pub mod figures;
pub mod json;
pub mod lm_choice;
pub mod measurement;
pub mod plot;
pub mod protocol;
pub mod published;

#[cfg(any(feature = "engine", test))]
pub mod self_test;

#[cfg(all(target_arch = "wasm32", feature = "audio-file"))]
pub mod audio_file;
#[cfg(all(target_arch = "wasm32", feature = "engine"))]
pub mod engine;
#[cfg(target_arch = "wasm32")]
pub mod js;
#[cfg(all(target_arch = "wasm32", any(feature = "engine", feature = "page")))]
mod kept_files;
#[cfg(all(target_arch = "wasm32", feature = "page"))]
pub mod page;
#[cfg(target_arch = "wasm32")]
pub mod wire;
#[cfg(all(
    target_arch = "wasm32",
    any(feature = "audio-file", feature = "engine")
))]
pub mod worker_channel;
