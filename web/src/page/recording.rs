//! What was given to the page last: it can be heard and transcribed again.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use js_sys::{Array, Float32Array, Int16Array, Uint8Array};
use wasm_bindgen::JsValue;
use web_sys::{Blob, BlobPropertyBag};

use super::{bell::Bell, dom::now};

/// Of the microphone so much is kept, at half the memory of what came from it.
const MAX_KEPT_SECS: f64 = 30.0 * 60.0;

pub struct Recording {
    /// What it is called in messages.
    pub name: String,
    /// What is said in it, if that is known.
    pub truth: Option<String>,
    pub sound: Sound,
}

pub enum Sound {
    File(Blob),
    Microphone(Rc<MicrophoneSound>),
}

/// What the microphone heard, in blocks of 16-bit samples.
pub struct MicrophoneSound {
    pub sample_rate_hz: u32,
    blocks: RefCell<Vec<Option<Int16Array>>>,
    /// Samples in all, and in the blocks that were given back.
    num_samples: Cell<f64>,
    num_gone: Cell<f64>,
    first_kept: Cell<usize>,
    /// When its first sample was said, by the page's clock.
    started_ms: Cell<f64>,
    has_ended: Cell<bool>,
    pub bell: Bell,
}

impl MicrophoneSound {
    pub fn new(sample_rate_hz: u32) -> Self {
        Self {
            sample_rate_hz,
            blocks: RefCell::default(),
            num_samples: Cell::default(),
            num_gone: Cell::default(),
            first_kept: Cell::default(),
            started_ms: Cell::default(),
            has_ended: Cell::default(),
            bell: Bell::default(),
        }
    }

    pub fn push(&self, samples: &[f32]) {
        if self.blocks.borrow().is_empty() {
            let length_ms = samples.len() as f64 * 1e3 / f64::from(self.sample_rate_hz);
            self.started_ms.set(now() - length_ms);
        }
        let scaled: Vec<i16> = samples
            .iter()
            .map(|sample| (sample * 32_767.0).clamp(-32_768.0, 32_767.0) as i16)
            .collect();
        let block = Int16Array::from(scaled.as_slice());
        self.blocks.borrow_mut().push(Some(block));
        self.num_samples
            .set(self.num_samples.get() + samples.len() as f64);
        self.forget_oldest();
        self.bell.ring();
    }

    fn forget_oldest(&self) {
        let most = MAX_KEPT_SECS * f64::from(self.sample_rate_hz);
        let mut blocks = self.blocks.borrow_mut();
        while self.num_samples.get() - self.num_gone.get() > most {
            let first = self.first_kept.get();
            let gone = blocks.get_mut(first).and_then(Option::take);
            let gone = gone.map_or(0, |block| block.length());
            self.num_gone.set(self.num_gone.get() + f64::from(gone));
            self.first_kept.set(first + 1);
        }
    }

    pub fn end(&self) {
        self.has_ended.set(true);
        self.bell.ring();
    }

    pub fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    /// Whether all of it is still there.
    pub fn is_whole(&self) -> bool {
        self.first_kept.get() == 0
    }

    /// How long what is kept of it is.
    pub fn kept_secs(&self) -> f64 {
        (self.num_samples.get() - self.num_gone.get()) / f64::from(self.sample_rate_hz)
    }

    pub fn num_blocks(&self) -> usize {
        self.blocks.borrow().len()
    }

    /// The samples of blocks from `start` on, as floats.
    pub fn samples_from(&self, start: usize) -> Float32Array {
        let blocks = self.blocks.borrow();
        let mut samples: Vec<f32> = Vec::new();
        for block in blocks.iter().skip(start).flatten() {
            samples.extend(
                block
                    .to_vec()
                    .iter()
                    .map(|value| f32::from(*value) / 32_767.0),
            );
        }
        Float32Array::from(samples.as_slice())
    }

    /// Milliseconds between something that ended after so many seconds of it, and now.
    pub fn ms_since(&self, secs: f32) -> f64 {
        now() - self.started_ms.get() - f64::from(secs) * 1e3
    }

    /// Since its first sample; 0 before it.
    pub fn secs_since_start(&self) -> f64 {
        match self.num_blocks() {
            0 => 0.0,
            _ => self.ms_since(0.0) / 1e3,
        }
    }

    /// As a WAV file, to be played.
    pub fn to_wav(&self) -> Result<Blob, JsValue> {
        let blocks = self.blocks.borrow();
        let num_samples = self.num_samples.get() - self.num_gone.get();
        let header = wav_header(1, self.sample_rate_hz, num_samples as u32);
        let parts = Array::of1(&Uint8Array::from(header.as_slice()));
        for block in blocks.iter().flatten() {
            parts.push(block);
        }
        wav_blob(&parts)
    }
}

/// Of 16-bit samples.
pub fn wav_header(channels: u16, sample_rate_hz: u32, frames: u32) -> Vec<u8> {
    let frame_bytes = 2 * u32::from(channels);
    let data_bytes = frames.saturating_mul(frame_bytes);
    let mut header = b"RIFF".to_vec();
    header.extend(data_bytes.saturating_add(36).to_le_bytes());
    header.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    header.extend(channels.to_le_bytes());
    header.extend(sample_rate_hz.to_le_bytes());
    header.extend((sample_rate_hz * frame_bytes).to_le_bytes());
    header.extend((frame_bytes as u16).to_le_bytes());
    header.extend(b"\x10\0data");
    header.extend(data_bytes.to_le_bytes());
    header
}

pub fn wav_blob(parts: &Array) -> Result<Blob, JsValue> {
    let kind = BlobPropertyBag::new();
    kind.set_type("audio/wav");
    Blob::new_with_u8_array_sequence_and_options(parts, &kind)
}
