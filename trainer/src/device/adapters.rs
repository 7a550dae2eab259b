//! Graphics adapters through wgpu. Kernels are WGSL, compiled by naga on every graphics interface:
//! the other compilers crash or give wrong numbers on some of the drivers tried.

use burn::prelude::Device;
use burn::tensor::wgpu::WgpuSetup;
use pollster::block_on;

use super::{AdapterCheckError, Agreement, DeviceChoice, DeviceReport, adapter_check};
use crate::fault::trial;

/// Names that software implementations give themselves; some do not report the type `Cpu`.
const SOFTWARE_NAMES: [&str; 6] = [
    "llvmpipe",
    "lavapipe",
    "softpipe",
    "swiftshader",
    "basic render driver",
    "software rasterizer",
];

pub struct Adapter {
    instance: wgpu::Instance,
    adapter: wgpu::Adapter,
    info: wgpu::AdapterInfo,
}

/// Why an adapter is not used.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("it could not be opened: {0}")]
    Open(String),
    #[error(transparent)]
    Check(#[from] AdapterCheckError),
}

/// Graphics interfaces that a choice allows.
pub fn backends(choice: DeviceChoice) -> wgpu::Backends {
    match choice {
        DeviceChoice::Vulkan => wgpu::Backends::VULKAN,
        DeviceChoice::Metal => wgpu::Backends::METAL,
        _ => {
            // Without GL: where it computes, another interface does too, and loading EGL writes
            // complaints to standard error on machines without a display.
            wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12
        }
    }
}

/// All adapters, graphics cards first, the better interface of each first.
pub fn enumerate(backends: wgpu::Backends) -> Vec<Adapter> {
    let mut found = Vec::new();
    // One instance per interface: a broken loader of one must not hide the others.
    for backend in [
        wgpu::Backends::METAL,
        wgpu::Backends::DX12,
        wgpu::Backends::VULKAN,
    ] {
        if !backends.contains(backend) {
            continue;
        }
        let listed = trial(|| {
            let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
                backends: backend,
                ..wgpu::InstanceDescriptor::new_without_display_handle()
            });
            let adapters = block_on(instance.enumerate_adapters(backend));
            (instance, adapters)
        });
        let Ok((instance, adapters)) = listed else {
            continue;
        };
        found.extend(adapters.into_iter().map(|adapter| Adapter {
            instance: instance.clone(),
            info: adapter.get_info(),
            adapter,
        }));
    }
    // Stable: within a rank the order of the interfaces above remains.
    found.sort_by_key(Adapter::rank);
    found
}

impl Adapter {
    /// Graphics cards come before what is none.
    pub fn rank(&self) -> u8 {
        if self.is_software() {
            return 4;
        }
        match self.info.device_type {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other | wgpu::DeviceType::Cpu => 3,
        }
    }

    pub fn is_software(&self) -> bool {
        let name = format!("{} {}", self.info.name, self.info.driver).to_lowercase();
        self.info.device_type == wgpu::DeviceType::Cpu
            || SOFTWARE_NAMES
                .iter()
                .any(|software| name.contains(software))
    }

    fn backend(&self) -> &'static str {
        match self.info.backend {
            wgpu::Backend::Vulkan => "vulkan",
            wgpu::Backend::Metal => "metal",
            wgpu::Backend::Dx12 => "dx12",
            wgpu::Backend::Gl => "gl",
            _ => "other",
        }
    }

    /// Graphics interface and name.
    pub fn label(&self) -> String {
        format!("{}: {}", self.backend(), self.info.name)
    }

    /// Registers the adapter with burn and tries it.
    pub fn open_tested(&self) -> Result<(Device, Agreement), Refusal> {
        let device = trial(|| self.open())
            .and_then(|result| result)
            .map_err(Refusal::Open)?;
        let agreement = adapter_check::agreement(&device)?;
        Ok((device, agreement))
    }

    fn open(&self) -> Result<Device, String> {
        let features = self.adapter.features()
            - wgpu::Features::MAPPABLE_PRIMARY_BUFFERS
            - wgpu::Features::all_experimental_mask();
        let (device, queue) = block_on(self.adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("fledge"),
            required_features: features,
            required_limits: self.adapter.limits(),
            // cubecl allocates in pools of its own.
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        }))
        .map_err(|error| format!("it gives no device: {error}"))?;
        let setup = WgpuSetup {
            instance: self.instance.clone(),
            adapter: self.adapter.clone(),
            device,
            queue,
            backend: self.info.backend,
        };
        Device::wgpu_options()
            .setup(setup)
            .init()
            .map_err(|error| error.to_string())
    }

    pub fn report(&self, self_test: bool) -> DeviceReport {
        let software = self.is_software();
        let tested = self_test.then(|| self.open_tested());
        let passed = matches!(tested, Some(Ok(_)));
        let agreement = match &tested {
            Some(Ok((_, agreement)))
            | Some(Err(Refusal::Check(AdapterCheckError::Differs(agreement)))) => Some(*agreement),
            _ => None,
        };
        let result = match tested {
            None => "not tested".to_owned(),
            Some(Ok((_, agreement))) => format!("self-test passed ({agreement})"),
            Some(Err(reason)) => format!("refused: {reason}"),
        };
        DeviceReport {
            name: self.info.name.clone(),
            backend: self.backend().to_owned(),
            device_type: if software {
                "software"
            } else {
                match self.info.device_type {
                    wgpu::DeviceType::DiscreteGpu => "discrete GPU",
                    wgpu::DeviceType::IntegratedGpu => "integrated GPU",
                    wgpu::DeviceType::VirtualGpu => "virtual GPU",
                    wgpu::DeviceType::Cpu | wgpu::DeviceType::Other => "other",
                }
            }
            .to_owned(),
            driver: format!("{} {}", self.info.driver, self.info.driver_info)
                .trim()
                .to_owned(),
            used_by_auto: passed && !software,
            reason: if software {
                format!("{result}; a software adapter is used only when asked for")
            } else {
                result
            },
            agreement,
        }
    }
}
