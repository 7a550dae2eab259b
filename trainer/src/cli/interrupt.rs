//! Ctrl-C: the first asks for a clean stop, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// Catches Ctrl-C (and, on Unix, a request to terminate) from now on; the flag tells that one
/// came. Loops look at it between steps and save before they stop.
pub fn stop_flag() -> &'static AtomicBool {
    #[cfg(unix)]
    {
        static WATCH: std::sync::Once = std::sync::Once::new();
        WATCH.call_once(watch_signals);
    }
    &STOP
}

/// Without a thread to wait for signals they keep their usual effect: they end the process.
#[cfg(unix)]
fn watch_signals() {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::exit;

    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else {
        return;
    };
    let handle = signals.handle();
    let watching = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for _ in signals.forever() {
                if STOP.swap(true, Ordering::SeqCst) {
                    // At once: nothing that other threads still use is torn down.
                    exit(130);
                }
                eprintln!("stopping (Ctrl-C once more: at once)");
            }
        });
    if watching.is_err() {
        handle.close();
    }
}

/// Whether a stop was asked for.
pub fn is_stopping() -> bool {
    STOP.load(Ordering::SeqCst)
}
