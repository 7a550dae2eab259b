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
    let channels = (0..audio.number_of_channels()).map(|channel| audio.get_channel_data(channel));
    let channels: Vec<Vec<f32>> = channels.collect::<Result<_, _>>()?;
    let wav = wav_of_floats(&channels, audio.sample_rate() as u32);
    Ok(Uint8Array::from(wav.as_slice()))
}

/// A WAV whose sizes are left open: it ends where the bytes end.
fn wav_of_floats(channels: &[Vec<f32>], rate_hz: u32) -> Vec<u8> {
    const IEEE_FLOAT: u16 = 3;
    const OPEN: [u8; 4] = [0xff; 4];
    let count = channels.len() as u16;
    let length = channels.iter().map(Vec::len).min().unwrap_or(0);
    let mut wav = Vec::with_capacity(44 + length * channels.len() * 4);
    wav.extend([&b"RIFF"[..], &OPEN, b"WAVEfmt ", &16_u32.to_le_bytes()].concat());
    wav.extend(IEEE_FLOAT.to_le_bytes());
    wav.extend(count.to_le_bytes());
    wav.extend(rate_hz.to_le_bytes());
    wav.extend((rate_hz * 4 * u32::from(count)).to_le_bytes());
    wav.extend((4 * count).to_le_bytes());
    wav.extend([&32_u16.to_le_bytes()[..], b"data", &OPEN].concat());
    for frame in 0..length {
        for channel in channels {
            wav.extend(channel[frame].to_le_bytes());
        }
    }
    wav
}
