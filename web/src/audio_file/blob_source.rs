//! A file of the browser as a source of bytes: a worker may read it where it lies.

use std::{
    cell::RefCell,
    io::{Error, Read, Seek, SeekFrom},
};

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Blob;

use crate::js;

/// Read at once: a call into the browser costs as much as some hundred kilobytes.
const WINDOW_BYTES: u64 = 1 << 20;

/// What was read is freed when the browser looks for garbage, which Chromium does by the array buffers
/// that it counts; what it holds of a file is not among them, and grew to the size of the file. A
/// buffer that nobody writes into takes no memory, and counts.
const COUNTED_BYTES: u32 = 16 << 20;

thread_local! {
    /// The file that is read, beside its source: sources may move between threads, a file may not.
    static FILE: RefCell<Option<Blob>> = const { RefCell::new(None) };
    /// One for all windows: each would be garbage, too.
    static READER: Option<JsValue> = js::construct("FileReaderSync", &[]).ok();
}

/// One at a time: a new one takes the place of the last.
pub struct BlobSource {
    size: u64,
    position: u64,
    window: Vec<u8>,
    window_start: u64,
}

impl BlobSource {
    pub fn new(file: Blob) -> Self {
        let size = file.size() as u64;
        FILE.set(Some(file));
        Self {
            size,
            position: 0,
            window: Vec::new(),
            window_start: 0,
        }
    }

    fn fill(&mut self) -> Result<(), JsValue> {
        let start = self.position;
        let end = (start + WINDOW_BYTES).min(self.size);
        let bytes = FILE.with_borrow(|file| -> Result<Uint8Array, JsValue> {
            let file = file.as_ref().ok_or("no file is open")?;
            let part = file.slice_with_f64_and_f64(start as f64, end as f64)?;
            let read = READER.with(|reader| {
                let reader = reader.as_ref().ok_or("this browser reads no files here")?;
                js::call(reader, "readAsArrayBuffer", &[part.into()])
            });
            let buffer: ArrayBuffer = read?.dyn_into()?;
            Ok(Uint8Array::new(&buffer))
        })?;
        let _ = js::construct("ArrayBuffer", &[COUNTED_BYTES.into()]);
        self.window.resize(bytes.length() as usize, 0);
        bytes.copy_to(&mut self.window);
        self.window_start = start;
        Ok(())
    }

    /// What the window holds from the position on.
    fn rest(&self) -> &[u8] {
        let offset = self.position.checked_sub(self.window_start);
        offset
            .and_then(|offset| self.window.get(usize::try_from(offset).ok()?..))
            .unwrap_or_default()
    }
}

impl Read for BlobSource {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if self.rest().is_empty() && self.position < self.size {
            self.fill()
                .map_err(|_| Error::other("the browser cannot read the file any more"))?;
        }
        let rest = self.rest();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for BlobSource {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, Error> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| Error::other("a position before the file"))?;
        Ok(self.position)
    }
}
