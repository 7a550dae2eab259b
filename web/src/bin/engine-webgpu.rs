//! The worker that computes on WebGPU.

fn main() {
    #[cfg(target_arch = "wasm32")]
    web::engine::start(web::protocol::EngineKind::WebGpu, async {
        // Once per worker: a second set-up of the same device would panic, so it is kept and cloned.
        let (device, setup) = burn::prelude::Device::wgpu_options()
            .init_with_setup_async()
            .await
            .map_err(|error| error.to_string())?;
        let info = setup.adapter.get_info();
        let name = [info.name, info.driver]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(", ");
        Ok(web::engine::EngineDevice {
            device,
            adapter: Some(name).filter(|name| !name.is_empty()),
            // Fewer different sizes of buffers; the GPU's programs depend on no length.
            pad_to_frames_multiple: 32,
            warm_up_secs: &[1],
        })
    });
}
