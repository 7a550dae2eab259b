//! The worker that decodes audio files of every kind.

fn main() {
    #[cfg(target_arch = "wasm32")]
    web::audio_file::start();
}
