//! Formats that our own decoders do not read (AAC, Opus, video files): the browser decodes them.

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AudioBuffer, OfflineAudioContext};

/// Opus is always 48 kHz and the rest mostly; the browser converts what is not.
const RATE_HZ: u32 = 48_000;

/// All channels as a WAV of floats; the browser's error where it cannot read the file.
pub async fn decode_to_wav(bytes: &Uint8Array) -> Result<Uint8Array, JsValue> {
    let context = OfflineAudioContext::new_with_number_of_channels_and_length_and_sample_rate(
        1,
        1,
        RATE_HZ as f32,
    )?;
    // A copy: decoding takes the buffer away.
    let copy: ArrayBuffer = bytes.slice(0, bytes.length()).buffer();
    let promise = context.decode_audio_data(&copy)?;
    let audio: AudioBuffer = JsFuture::from(promise).await?.dyn_into()?;
    let count = audio.number_of_channels() as usize;
    let length = audio.length() as usize;
    let mut wav = vec![0; WAV_HEADER.len() + 4 * count * length];
    wav[..WAV_HEADER.len()].copy_from_slice(WAV_HEADER);
    wav[22] = count as u8;
    wav[24..28].copy_from_slice(&(audio.sample_rate() as u32).to_le_bytes());
    for channel in 0..count {
        let samples = audio.get_channel_data(channel as u32)?;
        let places = wav[WAV_HEADER.len() + 4 * channel..].chunks_mut(4 * count);
        for (place, sample) in places.zip(samples) {
            place[..4].copy_from_slice(&sample.to_le_bytes());
        }
    }
    Ok(Uint8Array::from(wav.as_slice()))
}

/// Of a WAV of floats, but for channels (byte 22) and rate (24). Sizes are left open: it ends where the
/// bytes end; byte rate and block align follow from the rest.
const WAV_HEADER: &[u8; 44] = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x03\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\x20\0data\xff\xff\xff\xff";
