//! The worker that decodes audio files.

fn main() {
    #[cfg(target_arch = "wasm32")]
    web::audio_file::start();
}
