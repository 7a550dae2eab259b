use serde::Serialize;

/// What the environment of a run was.
#[derive(Debug, Clone, Serialize)]
pub struct Environment {
    /// The program's version.
    pub fledge: String,
    /// What computes.
    pub device: String,
    /// Why it was taken.
    pub device_reason: String,
    /// The operating system.
    pub os: String,
    /// The processor's architecture.
    pub arch: String,
    /// Threads that may work at once.
    pub cores: usize,
    /// The command line.
    pub command: Vec<String>,
}

impl Environment {
    /// This process on this machine.
    pub fn capture(device: &str, device_reason: &str) -> Self {
        Self {
            fledge: env!("CARGO_PKG_VERSION").into(),
            device: device.into(),
            device_reason: device_reason.into(),
            os: std::env::consts::OS.into(),
            arch: std::env::consts::ARCH.into(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            command: std::env::args().collect(),
        }
    }
}
