//! A panic is a fault of the program: it is reported in one line, without a trace, and ends the
//! process with status 1. Drivers of graphics cards may panic inside a trial; those are expected.

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Trials under way, on any thread: a GPU runtime panics on threads of its own.
static TRIALS: AtomicUsize = AtomicUsize::new(0);

/// Replaces the standard hook, which prints several lines and a hint about backtraces.
pub fn install_hook() {
    std::panic::set_hook(Box::new(|info| {
        if TRIALS.load(Ordering::SeqCst) == 0 {
            eprintln!("{}", fault_line(info));
        }
    }));
}

fn fault_line(info: &PanicHookInfo<'_>) -> String {
    let place = info
        .location()
        .map(|place| format!(" at {}:{}", place.file(), place.line()))
        .unwrap_or_default();
    format!(
        "error: this is a bug in fledge, please report it: {}{place}",
        one_line(&payload_text(info.payload()))
    )
}

/// An error with all its causes in one line. Each of them says its own sentence and no other's.
pub fn error_line(error: &dyn std::error::Error) -> String {
    let mut line = one_line(&error.to_string());
    let mut next = error.source();
    while let Some(cause) = next {
        line.push_str(": ");
        line.push_str(&one_line(&cause.to_string()));
        next = cause.source();
    }
    line
}

/// Joins the lines of a message: every error of the command line is one line.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn payload_text(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "no message".to_owned()
    }
}

/// Runs something that may panic for reasons outside this program, such as a graphics driver, and
/// gives the panic's message instead.
pub fn trial<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    TRIALS.fetch_add(1, Ordering::SeqCst);
    let result = catch_unwind(AssertUnwindSafe(work));
    TRIALS.fetch_sub(1, Ordering::SeqCst);
    result.map_err(|payload| one_line(&payload_text(payload.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_gives_the_panic_as_a_message() {
        assert_eq!(trial(|| 3), Ok(3));
        let message = trial(|| -> u8 { panic!("no\nadapter {}", 7) });
        assert_eq!(message, Err("no adapter 7".to_owned()));
    }
}
