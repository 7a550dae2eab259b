//! Arguments that several commands have.

use std::{num::NonZeroUsize, path::Path};

use shared_model::{bundle::LoadedModel, weights::Int8Weights};

use crate::{
    data::Depth,
    device::{self, DeviceChoice, DeviceError, OpenDevice},
    model_folder::{self, ModelFolderError},
};

/// Which device computes; the same options in every command that computes.
#[derive(Debug, Clone, clap::Args)]
pub struct DeviceArgs {
    /// Which device to compute on
    #[arg(long, value_enum, default_value_t, value_name = "DEVICE")]
    device: DeviceChoice,
    /// Accept a graphics adapter that is emulated on the CPU (slow; for tests). The environment
    /// variable FLEDGE_SOFTWARE_ADAPTER=1 does the same
    #[arg(long)]
    allow_software_adapter: bool,
}

impl DeviceArgs {
    pub(crate) fn open(&self) -> Result<OpenDevice, DeviceError> {
        self.open_nth(0)
    }

    /// For one of several processes of this machine, `place` of them: each takes a graphics card of its
    /// own where there are enough.
    pub(crate) fn open_nth(&self, place: usize) -> Result<OpenDevice, DeviceError> {
        let from_environment = std::env::var_os("FLEDGE_SOFTWARE_ADAPTER")
            .is_some_and(|value| !value.is_empty() && value != "0");
        device::open(
            self.device,
            self.allow_software_adapter || from_environment,
            place,
        )
    }
}

/// How many threads compute; the same option in every command that spreads utterances over them.
#[derive(Debug, Clone, clap::Args)]
pub struct ThreadArgs {
    /// Threads on the CPU [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl ThreadArgs {
    pub(crate) fn count(&self) -> usize {
        self.threads.map_or_else(num_cores, NonZeroUsize::get)
    }
}

/// What is printed; the same options in every command whose result is a table or an object.
#[derive(Debug, Clone, clap::Args)]
pub struct PrintArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Do not print progress
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// How weights are multiplied; the same options in `evaluate` and `transcribe`.
#[derive(Debug, Clone, clap::Args)]
pub struct WeightArgs {
    /// Expand int8 weights to f32 before multiplying, as graphics adapters do
    #[arg(long)]
    expand_int8: bool,
}

impl WeightArgs {
    /// The model of a folder with its weights as asked.
    pub(crate) fn read(&self, folder: &Path) -> Result<LoadedModel, ModelFolderError> {
        let mut loaded = model_folder::read(folder)?;
        if self.expand_int8 {
            loaded.int8 = Int8Weights::default();
        }
        Ok(loaded)
    }
}

/// How closely audio is looked at.
pub(crate) fn depth(headers_only: bool) -> Depth {
    if headers_only {
        Depth::Headers
    } else {
        Depth::Decode
    }
}

/// Threads for work on the CPU, one a core.
pub(crate) fn num_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
