//! Formats that our own decoders do not read (AAC, Opus, video files): the browser decodes them.

use js_sys::{Array, ArrayBuffer, Int16Array, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AudioBuffer, Blob, OfflineAudioContext};

use super::recording::{wav_blob, wav_header};

/// The rate of the models: the browser converts to it while it decodes, which takes a third of the
/// memory of the usual 48 kHz.
const RATE_HZ: u32 = 16_000;
/// Frames that are copied at once.
const PART_FRAMES: usize = 1 << 20;

/// All channels as a WAV file; the browser's error where it cannot read the file.
pub async fn decode_to_wav(file: &Blob) -> Result<Blob, JsValue> {
    let bytes: ArrayBuffer = JsFuture::from(file.array_buffer()).await?.dyn_into()?;
    let context = OfflineAudioContext::new_with_number_of_channels_and_length_and_sample_rate(
        1,
        1,
        RATE_HZ as f32,
    )?;
    let promise = context.decode_audio_data(&bytes)?;
    let audio: AudioBuffer = JsFuture::from(promise).await?.dyn_into()?;
    let channels = audio.number_of_channels();
    let frames = audio.length() as usize;
    let header = wav_header(channels as u16, audio.sample_rate() as u32, audio.length());
    let parts = Array::of1(&Uint8Array::from(header.as_slice()));
    let mut samples = vec![0.0f32; PART_FRAMES.min(frames)];
    for start in (0..frames).step_by(PART_FRAMES) {
        let length = PART_FRAMES.min(frames - start);
        let mut part = vec![0i16; length * channels as usize];
        for channel in 0..channels {
            let samples = &mut samples[..length];
            audio.copy_from_channel_with_start_in_channel(samples, channel as i32, start as u32)?;
            let places = part
                .iter_mut()
                .skip(channel as usize)
                .step_by(channels as usize);
            for (place, sample) in places.zip(samples.iter()) {
                *place = (sample * 32_767.0).clamp(-32_768.0, 32_767.0) as i16;
            }
        }
        // Into a blob at once: the browser may keep that outside of its memory.
        let bytes = Array::of1(&Int16Array::from(part.as_slice()));
        let part = wav_blob(&bytes)?;
        parts.push(&part);
    }
    wav_blob(&parts)
}
