//! What our own decoders do not read: the browser decodes it, as far as it is short. It decodes a
//! recording as a whole, at four bytes a sample, so an hour of it would take gigabytes.

use js_sys::{Array, ArrayBuffer, Int16Array, Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AudioBuffer, Blob, HtmlAudioElement, OfflineAudioContext, Url};

use super::{
    dom::{pause, words_of},
    recording::{wav_blob, wav_header},
    turn::Turn,
};

/// The rate of the models: the browser converts to it while it decodes, which takes a third of the
/// memory of the usual 48 kHz.
const RATE_HZ: u32 = 16_000;
/// Longer recordings are left to our own decoders.
const MAX_SECS: f64 = 600.0;
/// Frames that are copied at once: a few milliseconds, between which the page answers.
const PART_FRAMES: usize = 1 << 16;

/// All channels as a WAV file, or why there is none.
pub async fn decode_to_wav(file: &Blob, turn: &Turn) -> Result<Blob, String> {
    let unreadable = |_| "the browser cannot read it either".to_owned();
    let secs = duration(file).await.map_err(unreadable)?;
    // What has no end that is known is not short.
    if secs.is_nan() || secs > MAX_SECS {
        let minutes = crate::figures::fixed(MAX_SECS / 60.0, 0);
        return Err(format!(
            "the browser's decoder is used for up to {minutes} minutes: convert it to FLAC or MP3"
        ));
    }
    let audio = decode(file).await.map_err(unreadable)?;
    write(&audio, turn)
        .await
        .map_err(|error| format!("it could not be copied: {}", words_of(&error)))
}

/// In seconds, as the browser's player reads it from the beginning of the file.
async fn duration(file: &Blob) -> Result<f64, JsValue> {
    let url = Url::create_object_url_with_blob(file)?;
    let player = HtmlAudioElement::new()?;
    player.set_preload("metadata");
    let known = Promise::new(&mut |resolve, reject| {
        player.set_onloadedmetadata(Some(&resolve));
        player.set_onerror(Some(&reject));
    });
    player.set_src(&url);
    let known = JsFuture::from(known).await;
    let secs = player.duration();
    player.set_src("");
    let _ = Url::revoke_object_url(&url);
    known.map(|_| secs)
}

async fn decode(file: &Blob) -> Result<AudioBuffer, JsValue> {
    let bytes: ArrayBuffer = JsFuture::from(file.array_buffer()).await?.dyn_into()?;
    let context = OfflineAudioContext::new_with_number_of_channels_and_length_and_sample_rate(
        1,
        1,
        RATE_HZ as f32,
    )?;
    let promise = context.decode_audio_data(&bytes)?;
    JsFuture::from(promise).await?.dyn_into()
}

async fn write(audio: &AudioBuffer, turn: &Turn) -> Result<Blob, JsValue> {
    let channels = audio.number_of_channels();
    let frames = audio.length() as usize;
    let header = wav_header(channels as u16, audio.sample_rate() as u32, audio.length());
    let parts = Array::of1(&Uint8Array::from(header.as_slice()));
    let mut samples = vec![0.0f32; PART_FRAMES.min(frames)];
    for start in (0..frames).step_by(PART_FRAMES) {
        if !turn.is_current() {
            break;
        }
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
        parts.push(&wav_blob(&bytes)?.into());
        pause(0).await;
    }
    wav_blob(&parts)
}
