//! What commands say: results on standard output, the rest on standard error.

use std::io::{self, Write};

use super::CliResult;
use crate::device::OpenDevice;

/// Writes one result to standard output.
pub(crate) fn print_line(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes one JSON object as a line to standard output.
pub(crate) fn print_json<T: serde::Serialize>(value: &T) -> CliResult<()> {
    print_line(&serde_json::to_string(value)?)?;
    Ok(())
}

/// Says what computes, and why.
pub(crate) fn tell_device(device: &OpenDevice) {
    let _ = writeln!(
        io::stderr(),
        "computing on {}: {}",
        device.name,
        device.reason
    );
}
