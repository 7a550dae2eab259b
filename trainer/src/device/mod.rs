//! Which device computes: the CPU (flex) or a graphics card through wgpu.
//!
//! A graphics card is used only after a self-test: a tiny network's forward pass, gradients and
//! optimiser step must agree with the CPU's. Some drivers give wrong numbers without any error.

mod adapter_check;
#[cfg(feature = "gpu")]
mod adapters;
mod read_back;

pub use adapter_check::{
    AdapterCheckError, Agreement, TOLERANCE, Trial, agreement, compare_with_cpu,
};

pub use read_back::{ReadBacks, read_back, take_read_backs};

use burn::prelude::Device;
use serde::{Deserialize, Serialize};

use crate::exit_status::{ExitStatus, HasExitStatus};

/// What `--device` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// A graphics card that passes the self-test, else the CPU
    #[default]
    Auto,
    /// The CPU
    Cpu,
    /// A graphics card through any graphics interface
    Wgpu,
    /// A graphics card through Vulkan
    Vulkan,
    /// A graphics card through Metal
    Metal,
}

impl DeviceChoice {
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
        }
    }
}

/// Whether work is spread over processor cores or given to one graphics card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// The processor.
    Cpu,
    /// A graphics adapter, software ones included.
    Gpu,
}

/// A device that is ready to compute.
#[derive(Debug, Clone)]
pub struct OpenDevice {
    /// What tensors are made on.
    pub device: Device,
    /// `cpu`, or graphics interface and adapter.
    pub name: String,
    /// How work is spread.
    pub kind: DeviceKind,
    /// Why this one, for people.
    pub reason: String,
}

impl OpenDevice {
    /// The CPU, for the given reason.
    pub fn cpu(reason: impl Into<String>) -> Self {
        Self {
            device: Device::flex(),
            name: "cpu".to_owned(),
            kind: DeviceKind::Cpu,
            reason: reason.into(),
        }
    }
}

/// A device that was asked for and cannot be had.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum DeviceError {
    /// Graphics support was left out of this build.
    #[error(
        "--device {choice}: this fledge was built without graphics support; use --device cpu or build with the feature `gpu`"
    )]
    NotBuilt {
        /// What `--device` says.
        choice: &'static str,
    },
    /// Nothing answers through the graphics interfaces that the choice allows.
    #[error("--device {choice}: no adapter was found ({seen}); see `fledge devices`")]
    NoAdapter {
        /// What `--device` says.
        choice: &'static str,
        /// What there is instead.
        seen: String,
    },
    /// Adapters are there, and none may be used.
    #[error("--device {choice}: {adapter} was refused: {reason}; use --device cpu")]
    Refused {
        /// What `--device` says.
        choice: &'static str,
        /// The first of them.
        adapter: String,
        /// Why it is not used.
        reason: String,
    },
}

impl HasExitStatus for DeviceError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::NotBuilt { .. } | Self::NoAdapter { .. } | Self::Refused { .. } => {
                ExitStatus::Device
            }
        }
    }
}

/// One adapter of this machine, or the CPU.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceReport {
    /// For people: the adapter's name, or cores and instruction sets.
    pub name: String,
    /// `cpu`, `vulkan`, `gl`, `metal` or `dx12`.
    pub backend: String,
    /// `cpu`, `discrete GPU`, `integrated GPU`, `virtual GPU`, `software` or `other`.
    pub device_type: String,
    /// Name and version of the driver.
    pub driver: String,
    /// What `--device auto` would do with it, and why.
    pub used_by_auto: bool,
    /// Why it would be used or not.
    pub reason: String,
    /// Greatest relative differences from the CPU, if the self-test ran to its end.
    pub agreement: Option<Agreement>,
}

/// Opens the device that `choice` asks for. `allow_software`: accept adapters that compute on the
/// CPU (lavapipe, llvmpipe, SwiftShader) when a graphics card is named explicitly.
///
/// # Errors
/// A graphics card that was asked for and is not there, was left out of this build, or fails its
/// self-test; `auto` takes the CPU then.
///
/// - `place`: of this process among those of the machine that want an adapter each: the adapters are
///   tried from this one on.
pub fn open(
    choice: DeviceChoice,
    allow_software: bool,
    place: usize,
) -> Result<OpenDevice, DeviceError> {
    if choice == DeviceChoice::Cpu {
        return Ok(OpenDevice::cpu("asked for"));
    }
    open_gpu(choice, allow_software, place)
}

#[cfg(not(feature = "gpu"))]
fn open_gpu(
    choice: DeviceChoice,
    _allow_software: bool,
    _place: usize,
) -> Result<OpenDevice, DeviceError> {
    if choice == DeviceChoice::Auto {
        return Ok(OpenDevice::cpu(
            "this fledge was built without graphics support",
        ));
    }
    Err(DeviceError::NotBuilt {
        choice: choice.name(),
    })
}

#[cfg(feature = "gpu")]
fn open_gpu(
    choice: DeviceChoice,
    allow_software: bool,
    place: usize,
) -> Result<OpenDevice, DeviceError> {
    let mut found = adapters::enumerate(adapters::backends(choice));
    // Of equals alone: a card of another rank is no substitute while there is one of the first.
    let equals = found.iter().take_while(|a| a.rank() == found[0].rank());
    let equals = equals.count();
    if equals > 0 {
        found[..equals].rotate_left(place % equals);
    }
    let mut refusals = Vec::new();
    for adapter in &found {
        if adapter.is_software() && (choice == DeviceChoice::Auto || !allow_software) {
            refusals.push((
                adapter.label(),
                "it is a software adapter, which has to be asked for (--allow-software-adapter)"
                    .to_owned(),
            ));
            continue;
        }
        match adapter.open_tested() {
            Ok((device, agreement)) => {
                return Ok(OpenDevice {
                    device,
                    name: adapter.label(),
                    kind: DeviceKind::Gpu,
                    reason: format!("its self-test agrees with the CPU ({agreement})"),
                });
            }
            Err(refusal) => refusals.push((adapter.label(), refusal.to_string())),
        }
    }
    match (choice, refusals.into_iter().next()) {
        (DeviceChoice::Auto, None) => Ok(OpenDevice::cpu("no graphics adapter was found")),
        (DeviceChoice::Auto, Some((adapter, reason))) => {
            Ok(OpenDevice::cpu(format!("{adapter} was not used: {reason}")))
        }
        (_, None) => Err(DeviceError::NoAdapter {
            choice: choice.name(),
            seen: "none answers through this graphics interface".to_owned(),
        }),
        (_, Some((adapter, reason))) => Err(DeviceError::Refused {
            choice: choice.name(),
            adapter,
            reason,
        }),
    }
}

/// The CPU with its cores and instruction sets.
pub fn cpu_report() -> DeviceReport {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    DeviceReport {
        name: format!("{cores} threads, {}", instruction_sets()),
        backend: "cpu".to_owned(),
        device_type: "cpu".to_owned(),
        driver: "flex".to_owned(),
        used_by_auto: true,
        reason: "always available".to_owned(),
        agreement: None,
    }
}

/// Labels of the graphics adapters of this machine, in the order in which `auto` tries them.
#[cfg(feature = "gpu")]
pub fn gpu_reports(self_test: bool) -> Vec<DeviceReport> {
    adapters::enumerate(adapters::backends(DeviceChoice::Wgpu))
        .iter()
        .map(|adapter| adapter.report(self_test))
        .collect()
}

/// None: graphics support was left out of this build.
#[cfg(not(feature = "gpu"))]
pub fn gpu_reports(_self_test: bool) -> Vec<DeviceReport> {
    Vec::new()
}

/// What the vector units of this processor offer, of those that the kernels use.
fn instruction_sets() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        let sets = [
            ("AVX-512", is_x86_feature_detected!("avx512f")),
            ("AVX2", is_x86_feature_detected!("avx2")),
            ("FMA", is_x86_feature_detected!("fma")),
            ("SSE4.2", is_x86_feature_detected!("sse4.2")),
        ];
        let names: Vec<_> = sets.iter().filter(|s| s.1).map(|s| s.0).collect();
        if names.is_empty() {
            "SSE2".to_owned()
        } else {
            names.join(" ")
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        "NEON".to_owned()
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        std::env::consts::ARCH.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_given_when_asked_for() {
        let open = open(DeviceChoice::Cpu, false, 0).expect("the CPU is always there");
        assert_eq!(open.kind, DeviceKind::Cpu);
        assert_eq!(open.name, "cpu");
    }

    #[cfg(not(feature = "gpu"))]
    #[test]
    fn a_build_without_graphics_says_so_and_auto_takes_the_cpu() {
        let auto = open(DeviceChoice::Auto, false, 0).expect("auto never fails");
        assert_eq!(auto.kind, DeviceKind::Cpu);
        assert!(auto.reason.contains("without graphics"));
        let error = open(DeviceChoice::Vulkan, true, 0).expect_err("there is no Vulkan here");
        assert!(error.to_string().contains("--device vulkan"), "{error}");
    }
}
