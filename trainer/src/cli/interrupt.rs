//! Ctrl-C: the first asks for a clean stop, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// Catches Ctrl-C (and, on Unix, a request to terminate) from now on; the flag tells that one
/// came. Loops look at it between steps and save before they stop.
pub fn stop_flag() -> &'static AtomicBool {
    #[cfg(unix)]
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler only touches an atomic and calls `_exit`, `write`, both of which
        // are allowed in a signal handler.
        #[allow(unsafe_code)]
        unsafe {
            libc::signal(signal, on_signal as *const () as libc::sighandler_t);
        }
    }
    &STOP
}

#[cfg(unix)]
extern "C" fn on_signal(_signal: libc::c_int) {
    const FIRST: &[u8] = b"stopping (Ctrl-C once more: at once)\n";
    if STOP.swap(true, Ordering::SeqCst) {
        // SAFETY: `_exit` may be called in a signal handler.
        #[allow(unsafe_code)]
        unsafe {
            libc::_exit(130);
        }
    }
    // SAFETY: `write` may be called in a signal handler; the buffer is static.
    #[allow(unsafe_code)]
    unsafe {
        libc::write(2, FIRST.as_ptr().cast(), FIRST.len());
    }
}

/// Whether a stop was asked for.
pub fn is_stopping() -> bool {
    STOP.load(Ordering::SeqCst)
}
