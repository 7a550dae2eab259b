//! The worker that decodes audio files, by the same decoders as the trainer: a file gives the same
//! samples, and so the same words, in the browser and natively.

use std::io::Cursor;

use shared_model::{
    audio::SAMPLE_RATE_HZ,
    audio_file::{AudioFileError, Stretch, decode},
};

use crate::{
    protocol::{FailureKind, NO_REQUEST, PROTOCOL_VERSION, Request, Response},
    worker_channel::{Channel, Incoming},
};

/// All of a file, at the rate of the models. Two hours of samples still fit into a tab's memory in
/// each of the three places that hold them for a moment.
const WHOLE: Stretch = Stretch {
    offset_secs: 0.0,
    duration_secs: None,
    rate_hz: Some(SAMPLE_RATE_HZ),
    max_secs: 2.0 * 3600.0,
};

/// Serves the page's [`Request::DecodeFile`].
pub fn start() {
    console_error_panic_hook::set_once();
    let Some(channel) = Channel::of_worker() else {
        // Opened as a page's script by mistake: there is nobody to answer.
        return;
    };
    channel.report_panics();
    let answers = channel.clone();
    channel.on_message(move |incoming| answer(&answers, incoming));
    let protocol = PROTOCOL_VERSION;
    channel.post(NO_REQUEST, &Response::ReaderReady { protocol }, None);
}

fn answer(channel: &Channel, incoming: Incoming) {
    let failed = |kind, message: String| {
        channel.post(incoming.id, &Response::Failed { kind, message }, None);
    };
    if incoming.request != Request::DecodeFile {
        let message = "the reader of audio files does nothing else";
        return failed(FailureKind::State, message.to_owned());
    }
    match decode(&mut Cursor::new(&incoming.payload), &WHOLE) {
        Ok(audio) => {
            let response = Response::Decoded {
                sample_rate_hz: audio.sample_rate_hz,
                notices: audio.notices.iter().map(ToString::to_string).collect(),
            };
            channel.post(incoming.id, &response, Some(&audio.samples));
        }
        Err(error) => {
            let kind = match error {
                AudioFileError::Unrecognised
                | AudioFileError::Unsupported(_)
                | AudioFileError::ForeignCodec { .. } => FailureKind::UnknownAudio,
                _ => FailureKind::BadAudio,
            };
            failed(kind, error.to_string());
        }
    }
}
