//! Ctrl-C: the first asks for a clean stop, the second ends the process. SIGUSR1, which batch systems
//! send before time is up, asks for a clean stop, however often it comes.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// Catches Ctrl-C (and, on Unix, requests to terminate and SIGUSR1) from now on; the flag tells that
/// one came. Loops look at it between steps and save before they stop.
pub fn stop_flag() -> &'static AtomicBool {
    stop_flag_of(true)
}

/// As [`stop_flag`], of one of several processes that are signalled together.
///
/// - `is_first`: it tells for all.
pub fn stop_flag_of(is_first: bool) -> &'static AtomicBool {
    #[cfg(unix)]
    {
        static WATCH: std::sync::Once = std::sync::Once::new();
        WATCH.call_once(|| watch_signals(is_first));
    }
    #[cfg(not(unix))]
    let _ = is_first;
    &STOP
}

/// Without a thread to wait for signals they keep their usual effect: they end the process.
#[cfg(unix)]
fn watch_signals(is_first: bool) {
    use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::exit;

    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGUSR1]) else {
        return;
    };
    let handle = signals.handle();
    let watching = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                let is_known = STOP.swap(true, Ordering::SeqCst);
                match (is_known, signal) {
                    (true, SIGUSR1) => {}
                    // At once: nothing that other threads still use is torn down.
                    (true, _) => exit(130),
                    (false, _) if !is_first => {}
                    (false, SIGUSR1) => eprintln!("stopping (SIGUSR1)"),
                    (false, _) => eprintln!("stopping (Ctrl-C once more: at once)"),
                }
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
