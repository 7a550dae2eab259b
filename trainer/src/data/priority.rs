//! Which threads go first.

/// Lets this thread work where the others leave a processor idle. A batch is wanted some batches
/// from now, a gradient at once: where both ask for a processor, one part of a batch would end
/// late and the threads that have ended theirs would wait for it.
pub(super) fn give_way() {
    // Elsewhere niceness belongs to the whole process.
    #[cfg(target_os = "linux")]
    {
        const LOWEST: libc::c_int = 19;
        // SAFETY: the call reads its numbers and writes no memory of this process; 0 is the
        // calling thread. A refusal costs speed and nothing else.
        #[allow(unsafe_code)]
        unsafe {
            libc::setpriority(libc::PRIO_PROCESS, 0, LOWEST);
        }
    }
}
