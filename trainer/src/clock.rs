//! Time that processors spent, and memory.

use std::time::Duration;

/// Time that this thread computed; unlike a clock on the wall it does not run while others do.
pub(crate) fn thread_time() -> Duration {
    #[cfg(unix)]
    {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: clock_gettime only writes the structure it is given.
        #[allow(unsafe_code)]
        let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
        if status == 0 {
            return Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
        }
    }
    wall_time()
}

/// Time on the wall since the first call.
fn wall_time() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// What the system has counted for this process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Time of all threads, in the program and in the kernel for it.
    pub total: Duration,
    /// The kernel's part: page faults and what the allocator asks for.
    pub kernel: Duration,
    /// The most memory that was in use so far; 0 where the system does not tell.
    pub peak_memory_bytes: u64,
}

impl Usage {
    pub(crate) fn now() -> Self {
        #[cfg(unix)]
        {
            // SAFETY: all-zero bytes are a value of this structure of numbers, and getrusage only
            // writes it.
            #[allow(unsafe_code)]
            let (status, usage) = unsafe {
                let mut usage: libc::rusage = std::mem::zeroed();
                (libc::getrusage(libc::RUSAGE_SELF, &mut usage), usage)
            };
            if status == 0 {
                let duration = |time: libc::timeval| {
                    Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000)
                };
                let kernel = duration(usage.ru_stime);
                // Linux counts in KiB, macOS in bytes.
                let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
                return Self {
                    total: duration(usage.ru_utime) + kernel,
                    kernel,
                    peak_memory_bytes: usage.ru_maxrss as u64 * unit,
                };
            }
        }
        Self {
            total: wall_time(),
            ..Self::default()
        }
    }
}
