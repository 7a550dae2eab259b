//! The worker that computes on the CPU, with SIMD and without any GPU code.

fn main() {
    #[cfg(target_arch = "wasm32")]
    web::engine::start(web::protocol::EngineKind::Cpu, async {
        Ok(web::engine::EngineDevice {
            device: burn::prelude::Device::flex(),
            adapter: None,
            pad_to_frames_multiple: 1,
            warm_up_secs: &[2],
        })
    });
}
