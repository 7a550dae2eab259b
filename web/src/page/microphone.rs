//! The microphone, at the device's own rate, through an audio worklet.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use js_sys::{Array, Float32Array, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AudioContext, AudioContextState, AudioWorkletNode, AudioWorkletNodeOptions, DomException,
    MediaDeviceInfo, MediaDeviceKind, MediaStream, MediaStreamAudioSourceNode,
    MediaStreamConstraints, MediaStreamTrack, MessageEvent,
};

use super::dom::{window, words_of};

/// How long the browser's sound may take to start, once the microphone is open.
const MAX_START_MS: i32 = 10_000;

/// What comes from the microphone.
pub enum Heard {
    /// Mono samples.
    Block(Float32Array),
    /// Everything up to the stop has been delivered.
    Done,
    /// The device went away.
    Lost,
}

pub struct Microphone {
    context: AudioContext,
    stream: MediaStream,
    // Kept: a source that is collected falls silent.
    _source: MediaStreamAudioSourceNode,
    node: AudioWorkletNode,
    _handlers: [Closure<dyn FnMut(MessageEvent)>; 2],
    released: Cell<bool>,
}

impl Microphone {
    /// The audio context of a recording. Must be called straight from the visitor's action, else
    /// the browser starts it suspended.
    pub fn context() -> Result<AudioContext, String> {
        let is_secure = window().is_ok_and(|window| window.is_secure_context());
        if !is_secure {
            return Err(
                "Browsers give the microphone only to pages served by https or from this machine. Files and sample clips work here.".to_owned(),
            );
        }
        let context = AudioContext::new().map_err(|error| words_of(&error))?;
        // Resumed again once the device is open; a failure shows there.
        let _ = context.resume();
        Ok(context)
    }

    /// Asks for the device, or any where none is named, and starts delivering. After an error the
    /// context is the caller's to [`close`].
    pub async fn open(
        context: &AudioContext,
        device: Option<String>,
        heard: impl FnMut(Heard) + 'static,
    ) -> Result<Self, String> {
        Self::try_open(context, device, heard)
            .await
            .map_err(|error| explain(&error))
    }

    async fn try_open(
        context: &AudioContext,
        device: Option<String>,
        heard: impl FnMut(Heard) + 'static,
    ) -> Result<Self, JsValue> {
        let constraints = MediaStreamConstraints::new();
        // What a telephone call wants bends the sound that the model learned.
        let audio = Object::new();
        for processing in ["echoCancellation", "noiseSuppression", "autoGainControl"] {
            Reflect::set(&audio, &processing.into(), &false.into())?;
        }
        if let Some(device) = device {
            Reflect::set(&audio, &"deviceId".into(), &device.into())?;
        }
        constraints.set_audio(&audio);
        let devices = window()?.navigator().media_devices()?;
        let stream: MediaStream =
            JsFuture::from(devices.get_user_media_with_constraints(&constraints)?)
                .await?
                .dyn_into()?;
        match Self::connect(context, &stream, heard).await {
            Ok((source, node, handlers)) => Ok(Self {
                context: context.clone(),
                stream,
                _source: source,
                node,
                _handlers: handlers,
                released: Cell::new(false),
            }),
            Err(error) => {
                stop_tracks(&stream);
                Err(error)
            }
        }
    }

    async fn connect(
        context: &AudioContext,
        stream: &MediaStream,
        heard: impl FnMut(Heard) + 'static,
    ) -> Result<
        (
            MediaStreamAudioSourceNode,
            AudioWorkletNode,
            [Closure<dyn FnMut(MessageEvent)>; 2],
        ),
        JsValue,
    > {
        let script = super::fetch::resolve("recorder.js")?;
        JsFuture::from(context.audio_worklet()?.add_module(&script)?).await?;
        let options = AudioWorkletNodeOptions::new();
        options.set_number_of_outputs(0);
        let node = AudioWorkletNode::new_with_options(context, "recorder", &options)?;
        let heard = Rc::new(RefCell::new(heard));
        let to = heard.clone();
        let on_block = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let block = match event.data().dyn_into::<Float32Array>() {
                Ok(block) => Heard::Block(block),
                Err(_) => Heard::Done,
            };
            to.borrow_mut()(block);
        });
        node.port()?
            .set_onmessage(Some(on_block.as_ref().unchecked_ref()));
        let on_lost =
            Closure::<dyn FnMut(MessageEvent)>::new(move |_| heard.borrow_mut()(Heard::Lost));
        for track in tracks(stream) {
            track.set_onended(Some(on_lost.as_ref().unchecked_ref()));
        }
        let source = context.create_media_stream_source(stream)?;
        source.connect_with_audio_node(&node)?;
        let first = Array::of2(&context.resume()?.into(), &late()?.into());
        JsFuture::from(Promise::race(&first)).await?;
        Ok((source, node, [on_block, on_lost]))
    }

    pub fn sample_rate_hz(&self) -> u32 {
        self.context.sample_rate() as u32
    }

    /// Asks for what is still on its way; [`Heard::Done`] follows it.
    pub fn finish(&self) {
        if let Ok(port) = self.node.port() {
            let _ = port.post_message(&JsValue::TRUE);
        }
    }

    /// Gives the device back: the browser's recording sign goes out.
    pub fn release(&self) {
        if self.released.replace(true) {
            return;
        }
        for track in tracks(&self.stream) {
            track.set_onended(None);
        }
        stop_tracks(&self.stream);
        if let Ok(port) = self.node.port() {
            port.set_onmessage(None);
            port.close();
        }
        close(&self.context);
    }
}

impl Drop for Microphone {
    fn drop(&mut self) {
        self.release();
    }
}

/// Closes a context once; a second time would be an error.
pub fn close(context: &AudioContext) {
    if context.state() != AudioContextState::Closed {
        let _ = context.close();
    }
}

/// The microphones that the browser tells of: identifier and name. Names come with the permission.
pub async fn devices() -> Result<Vec<(String, String)>, JsValue> {
    let devices = window()?.navigator().media_devices()?;
    let found: Array = JsFuture::from(devices.enumerate_devices()?)
        .await?
        .dyn_into()?;
    let microphones = found
        .iter()
        .filter_map(|device| device.dyn_into::<MediaDeviceInfo>().ok())
        .filter(|device| device.kind() == MediaDeviceKind::Audioinput)
        .map(|device| (device.device_id(), device.label()))
        .filter(|(id, label)| !id.is_empty() && !label.is_empty());
    Ok(microphones.collect())
}

/// Fails after a while: a browser without any sound device may never answer.
fn late() -> Result<Promise, JsValue> {
    let window = window()?;
    let reason = "the browser's sound did not start; it may need something to play sound on";
    Ok(Promise::new(&mut |_, reject| {
        let reason = Array::of1(&reason.into());
        let _ = window.set_timeout_with_callback_and_timeout_and_arguments(
            &reject,
            MAX_START_MS,
            &reason,
        );
    }))
}

fn tracks(stream: &MediaStream) -> Vec<MediaStreamTrack> {
    let tracks: Array = stream.get_tracks();
    tracks
        .iter()
        .filter_map(|track| track.dyn_into().ok())
        .collect()
}

fn stop_tracks(stream: &MediaStream) {
    tracks(stream).iter().for_each(MediaStreamTrack::stop);
}

/// One sentence for each way in which a microphone can be missing.
fn explain(error: &JsValue) -> String {
    let name = error
        .dyn_ref::<DomException>()
        .map(DomException::name)
        .unwrap_or_default();
    match name.as_str() {
        "NotAllowedError" | "SecurityError" => {
            "The microphone was not allowed. Allow it in the browser's address bar, then try again."
                .to_owned()
        }
        "NotFoundError" | "OverconstrainedError" => {
            "No microphone was found. Plug one in, or use a file or a sample clip.".to_owned()
        }
        "NotReadableError" | "AbortError" => {
            "The microphone is there but gives no sound: another program may be using it."
                .to_owned()
        }
        _ => format!("The microphone could not be opened: {}.", words_of(error)),
    }
}
