//! Formats that our own decoders do not read (AAC, Opus, video files): the browser decodes them.

use js_sys::{ArrayBuffer, Float32Array, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AudioBuffer, OfflineAudioContext};

/// Opus is always 48 kHz and the rest mostly; the browser converts what is not.
const RATE_HZ: u32 = 48_000;

/// Mono samples and their rate; an error in words.
pub async fn decode(bytes: &Uint8Array) -> Result<(Float32Array, u32), String> {
    const UNREADABLE: &str = "this is no audio file that the browser can read";
    let context = OfflineAudioContext::new_with_number_of_channels_and_length_and_sample_rate(
        1,
        1,
        RATE_HZ as f32,
    )
    .map_err(|_| UNREADABLE.to_owned())?;
    // A copy: decoding takes the buffer away.
    let copy: ArrayBuffer = bytes.slice(0, bytes.length()).buffer();
    let promise = context
        .decode_audio_data(&copy)
        .map_err(|_| UNREADABLE.to_owned())?;
    let audio: AudioBuffer = JsFuture::from(promise)
        .await
        .and_then(JsCast::dyn_into)
        .map_err(|_| UNREADABLE.to_owned())?;
    let channels = audio.number_of_channels();
    let mut mono = vec![0.0f32; audio.length() as usize];
    for channel in 0..channels {
        let samples = audio
            .get_channel_data(channel)
            .map_err(|_| UNREADABLE.to_owned())?;
        for (sum, sample) in mono.iter_mut().zip(samples) {
            *sum += sample / channels as f32;
        }
    }
    Ok((
        Float32Array::from(mono.as_slice()),
        audio.sample_rate() as u32,
    ))
}
