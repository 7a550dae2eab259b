//! Input that cannot be sought in, as a file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::error::Problem;

/// More than this is not taken from a pipe: 48 hours of 16-bit stereo at 44.1 kHz are 30 GB, and a
/// disk is full before.
const MAX_SPOOLED_BYTES: u64 = 8 << 30;

/// Copies all of `input` into a temporary file that has no name.
pub(super) fn spool(input: impl Read) -> Result<File, Problem> {
    spool_up_to(input, MAX_SPOOLED_BYTES)
}

fn spool_up_to(input: impl Read, max_bytes: u64) -> Result<File, Problem> {
    let mut file = tempfile::tempfile().map_err(Problem::Spool)?;
    let copied =
        std::io::copy(&mut input.take(max_bytes + 1), &mut file).map_err(Problem::Spool)?;
    if copied > max_bytes {
        return Err(Problem::TooLarge {
            max_gb: max_bytes / 1_000_000_000,
        });
    }
    file.seek(SeekFrom::Start(0)).map_err(Problem::Spool)?;
    Ok(file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pipe_gives_is_read_from_its_beginning_and_up_to_a_limit() {
        let mut copy = Vec::new();
        let mut file = spool_up_to(&b"0123456789"[..], 10).unwrap();
        file.read_to_end(&mut copy).unwrap();
        assert_eq!(copy, b"0123456789");
        let refused = spool_up_to(std::io::repeat(7), 100_000);
        assert!(matches!(refused, Err(Problem::TooLarge { .. })));
    }
}
