//! The shim's library, opened at run time: the one place where this crate calls C code that it was not
//! linked with.
#![allow(
    unsafe_code,
    reason = "functions of a library that is known at run time alone have no other way; each call is behind a safe function that checks what the C side relies on"
)]

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    path::Path,
    sync::atomic::AtomicU64,
};

/// `INTERFACE_VERSION` of `fledge_mpi.c`.
const INTERFACE_VERSION: c_int = 1;
const TEXT_BYTES: usize = 128;

/// Where this process stands among all of them; `struct fledge_mpi_place`.
#[repr(C)]
struct RawPlace {
    rank: c_int,
    size: c_int,
    node: c_int,
    local_rank: c_int,
    library: [c_char; TEXT_BYTES],
}

/// Where this process stands among all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub rank: usize,
    pub size: usize,
    /// Rank of the first process of this machine.
    pub node: usize,
    /// Among the processes of this machine.
    pub local_rank: usize,
    /// Name and version of the MPI.
    pub library: String,
}

type Version = unsafe extern "C" fn() -> c_int;
type Start = unsafe extern "C" fn(*mut RawPlace) -> c_int;
type Gather = unsafe extern "C" fn(
    *const c_void,
    c_int,
    *mut c_void,
    *const c_int,
    *const c_int,
    c_int,
) -> c_int;
type Exchange = unsafe extern "C" fn(
    *const c_void,
    *const c_int,
    *const c_int,
    *mut c_void,
    *const c_int,
    *const c_int,
    c_int,
) -> c_int;
type End = unsafe extern "C" fn() -> c_int;
type Abort = unsafe extern "C" fn(c_int);
type ErrorText = unsafe extern "C" fn(c_int, *mut c_char, c_int);

/// What is sent: bytes or `f32`.
pub(super) trait Unit: Copy + Default {}
impl Unit for u8 {}
impl Unit for f32 {}

/// The opened library. It is never closed.
pub(super) struct Library {
    start: Start,
    gather: Gather,
    exchange: Exchange,
    end: End,
    abort: Abort,
    error_text: ErrorText,
}

impl Library {
    /// Opens the library at `path`; an error in words where that fails.
    pub fn open(path: &Path) -> Result<Self, String> {
        let name = CString::new(path.as_os_str().as_encoded_bytes())
            .map_err(|_| "its name holds a zero byte".to_owned())?;
        // Global: the plug-ins of Open MPI look for the symbols of its main library.
        // SAFETY: the name is a C string; opening runs the constructors of the MPI library, as
        // starting a program that is linked with it would.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        if handle.is_null() {
            return Err(last_error());
        }
        // SAFETY: the types are those of `fledge_mpi.c` in this version, which is asked for first.
        unsafe {
            let version: Version = symbol(handle, c"fledge_mpi_interface_version")?;
            let found = version();
            if found != INTERFACE_VERSION {
                return Err(format!(
                    "it was built by another fledge (interface {found}, not {INTERFACE_VERSION}); build it anew with `fledge mpi build`"
                ));
            }
            Ok(Self {
                start: symbol(handle, c"fledge_mpi_start")?,
                gather: symbol(handle, c"fledge_mpi_gather")?,
                exchange: symbol(handle, c"fledge_mpi_exchange")?,
                end: symbol(handle, c"fledge_mpi_end")?,
                abort: symbol(handle, c"fledge_mpi_abort")?,
                error_text: symbol(handle, c"fledge_mpi_error_text")?,
            })
        }
    }

    /// Joins the other processes. Once, and from the thread that makes every other call.
    pub fn start(&self) -> Result<Place, String> {
        let mut raw = RawPlace {
            rank: 0,
            size: 0,
            node: 0,
            local_rank: 0,
            library: [0; TEXT_BYTES],
        };
        // SAFETY: the structure is the C side's.
        self.check(unsafe { (self.start)(&mut raw) })?;
        let number = |value: c_int| usize::try_from(value).unwrap_or(0);
        Ok(Place {
            rank: number(raw.rank),
            size: number(raw.size),
            node: number(raw.node),
            local_rank: number(raw.local_rank),
            library: text(&raw.library),
        })
    }

    /// Everybody's `own`, one after the other; `counts`: how much each gives.
    pub fn gather<T: Unit>(&self, own: &[T], counts: &[usize]) -> Result<Vec<T>, String> {
        let (counts, starts, total) = layout(counts)?;
        let count = c_int::try_from(own.len()).map_err(|_| too_much())?;
        let mut all = vec![T::default(); total];
        // SAFETY: `own` holds `count` values and `all` the sum of `counts`; that the counts are as
        // many as processes, and the same everywhere, is the caller's promise (see `Mpi`).
        self.check(unsafe {
            (self.gather)(
                start_of(own),
                count,
                start_of_mut(&mut all),
                counts.as_ptr(),
                starts.as_ptr(),
                size_of::<T>() as c_int,
            )
        })?;
        Ok(all)
    }

    /// Sends `send_counts[r]` values of `send` to each process r; gives what came from each.
    pub fn exchange<T: Unit>(
        &self,
        send: &[T],
        send_counts: &[usize],
        receive_counts: &[usize],
    ) -> Result<Vec<T>, String> {
        let (send_counts, send_starts, to_send) = layout(send_counts)?;
        let (receive_counts, receive_starts, total) = layout(receive_counts)?;
        if to_send != send.len() || send_counts.len() != receive_counts.len() {
            return Err("the counts of an exchange are not those of its values".into());
        }
        let mut received = vec![T::default(); total];
        // SAFETY: both buffers hold the sums of their counts, see above.
        self.check(unsafe {
            (self.exchange)(
                start_of(send),
                send_counts.as_ptr(),
                send_starts.as_ptr(),
                start_of_mut(&mut received),
                receive_counts.as_ptr(),
                receive_starts.as_ptr(),
                size_of::<T>() as c_int,
            )
        })?;
        Ok(received)
    }

    /// Leaves the others; all have to.
    pub fn end(&self) -> Result<(), String> {
        // SAFETY: no argument.
        self.check(unsafe { (self.end)() })
    }

    /// Ends every process.
    pub fn abort(&self, status: u8) {
        // SAFETY: a number.
        unsafe { (self.abort)(c_int::from(status)) }
    }

    fn check(&self, code: c_int) -> Result<(), String> {
        if code == 0 {
            return Ok(());
        }
        let mut raw = [0; TEXT_BYTES];
        // SAFETY: the C side writes at most the given size and ends it with a zero.
        unsafe { (self.error_text)(code, raw.as_mut_ptr(), TEXT_BYTES as c_int) };
        Err(format!("MPI says \"{}\" ({code})", text(&raw)))
    }
}

/// Counts and starts as MPI has them, and the sum of the counts.
fn layout(counts: &[usize]) -> Result<(Vec<c_int>, Vec<c_int>, usize), String> {
    let mut total = 0;
    let (mut sizes, mut starts) = (vec![], vec![]);
    for &count in counts {
        sizes.push(c_int::try_from(count).map_err(|_| too_much())?);
        starts.push(c_int::try_from(total).map_err(|_| too_much())?);
        total += count;
    }
    c_int::try_from(total).map_err(|_| too_much())?;
    Ok((sizes, starts, total))
}

/// The address of nothing: that of an empty slice may be one that has a meaning to MPI (Open MPI's
/// `MPI_IN_PLACE` is 1, as is the address of an empty vector of bytes).
static NOTHING: AtomicU64 = AtomicU64::new(0);

fn start_of<T>(values: &[T]) -> *const c_void {
    match values.is_empty() {
        true => NOTHING.as_ptr().cast(),
        false => values.as_ptr().cast(),
    }
}

fn start_of_mut<T>(values: &mut [T]) -> *mut c_void {
    match values.is_empty() {
        true => NOTHING.as_ptr().cast(),
        false => values.as_mut_ptr().cast(),
    }
}

fn too_much() -> String {
    "more than 2^31 values at once".into()
}

/// The first line of a C text.
fn text(raw: &[c_char; TEXT_BYTES]) -> String {
    let bytes: Vec<u8> = raw
        .iter()
        .map(|&byte| byte as u8)
        .take_while(|&byte| byte != 0 && byte != b'\n')
        .collect();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

fn last_error() -> String {
    // SAFETY: dlerror gives null or a C string that stays until the next call on this thread.
    unsafe {
        let error = libc::dlerror();
        match error.is_null() {
            true => "for an unknown reason".into(),
            false => CStr::from_ptr(error).to_string_lossy().into_owned(),
        }
    }
}

/// A function of the library.
///
/// # Safety
/// `F` is the type of the function `name`.
unsafe fn symbol<F: Copy>(handle: *mut c_void, name: &CStr) -> Result<F, String> {
    // SAFETY: an open handle and a C string.
    let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
    if address.is_null() {
        return Err(format!("it has no {}", name.to_string_lossy()));
    }
    // SAFETY: on every system with dlsym a function pointer is as large as a data pointer.
    Ok(unsafe { std::mem::transmute_copy(&address) })
}
