//! Which threads go first.

/// Lets this thread work where the others of this process leave a processor idle. A batch is wanted
/// some batches from now, a gradient at once: where both ask for a processor, one part of a batch would
/// end late and the threads that have ended theirs would wait for it. It gives way by a few steps and no
/// more: behind the work of other programs it would never come to its own.
pub(super) fn give_way() {
    // Elsewhere niceness belongs to the whole process.
    #[cfg(target_os = "linux")]
    {
        const STEPS: libc::c_int = 4;
        // SAFETY: the calls read their numbers and write no memory of this process; 0 is the
        // calling thread. A refusal costs speed and nothing else.
        #[allow(unsafe_code)]
        unsafe {
            let own = libc::getpriority(libc::PRIO_PROCESS, 0);
            libc::setpriority(libc::PRIO_PROCESS, 0, own + STEPS);
        }
    }
}
