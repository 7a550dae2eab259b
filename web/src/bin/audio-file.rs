//! The worker that decodes audio files of the usual kinds.

fn main() {
    #[cfg(target_arch = "wasm32")]
    web::audio_file::start();
}
