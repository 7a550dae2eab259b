//! What the page and its workers say to each other: the only thing that crosses between them.
//!
//! A message is a JavaScript object of three fields: `id` (the request it belongs to), `body` (one of
//! the enums below) and, where a variant says so, `payload` (an `ArrayBuffer`, moved, not copied).
//! An engine answers nothing before it has posted [`Response::Ready`] or [`Response::Unusable`].

use serde::{Deserialize, Serialize};

/// Changes with every change of meaning. A page and an engine from different builds (a stale browser
/// cache) must not talk.
pub const PROTOCOL_VERSION: u32 = 4;

/// Id of messages that belong to no request.
pub const NO_REQUEST: u32 = 0;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Downloads a model folder and makes it the engine's student. Answers: any number of
    /// [`Response::Loading`], then [`Response::Loaded`].
    ///
    /// With the address of a language model the student's beam search writes with it, else the most
    /// probable token of each frame is written.
    Load {
        model_url: String,
        lm_url: Option<String>,
    },
    /// Payload: mono f32 samples. With a reference, errors are counted against it. Answers: any
    /// number of [`Response::Transcribing`], then [`Response::Transcribed`].
    Transcribe {
        sample_rate_hz: u32,
        reference: Option<String>,
    },
    /// Payload: mono f32 samples, at most one window. Answer: [`Response::LogProbs`].
    LogProbs { sample_rate_hz: u32 },
    /// To the reader of audio files. Payload: the bytes of a wav, flac, ogg vorbis, mp3 or sphere
    /// file. Answer: [`Response::Decoded`].
    DecodeFile,
    /// Starts a live session. Answers: [`Response::LiveStarted`], then [`Response::Live`] until
    /// [`Response::LiveEnded`].
    LiveStart { sample_rate_hz: u32 },
    /// Payload: mono f32 samples at the session's rate. No answer of its own.
    LivePush,
    /// Ends the session; its open segment becomes final.
    LiveStop,
    /// Stops the request with this id within one window; it answers with what it has.
    Cancel { request: u32 },
}

/// Which device an engine computes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EngineKind {
    Cpu,
    WebGpu,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum LoadPhase {
    /// Bytes so far and in all, over all files.
    Downloading { received: f64, total: f64 },
    /// Bytes so far of a language model, which is fetched after the model folder.
    DownloadingLm { received: f64 },
    /// Sizes, hashes, shapes and values are being checked.
    Checking,
    /// Weights go to the device; on a GPU its programs are compiled.
    Preparing,
}

/// Milliseconds of each step of a load.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LoadTimes {
    pub download_ms: f64,
    /// Checking and building the network, and its first run.
    pub build_ms: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    pub text: String,
    pub start_secs: f32,
    pub end_secs: f32,
    /// 0 to 1.
    pub confidence: f32,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Transcript {
    pub text: String,
    pub words: Vec<Word>,
}

/// Word errors against a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WordErrors {
    pub reference_words: usize,
    pub errors: usize,
}

/// A live segment. It opens once, changes, and ends with one final form that never changes again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveSegment {
    pub segment: f64,
    pub is_final: bool,
    pub transcript: Transcript,
}

/// What kind of failure it was, for those who act on it; the message is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// The audio is of a format that our decoders do not read; the browser may.
    UnknownAudio,
    /// The audio is damaged, empty or too long.
    BadAudio,
    /// The model folder could not be fetched.
    Download,
    /// The model folder is not right.
    Model,
    /// The device failed: another engine may work.
    Device,
    /// Asked for something out of order, such as transcribing before a model is loaded.
    State,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// The engine's self-test agreed with the stored answer.
    Ready {
        protocol: u32,
        engine: EngineKind,
        /// The adapter's name, on a GPU.
        adapter: Option<String>,
        /// Largest difference to the stored log-probabilities.
        self_test_error: f32,
        /// Milliseconds of device start-up and self-test.
        start_ms: f64,
    },
    /// The reader of audio files is there.
    ReaderReady {
        protocol: u32,
    },
    /// The engine cannot be used on this machine; the page takes another.
    Unusable {
        reason: String,
    },
    /// The worker died; nothing can be asked of it any more.
    Crashed {
        message: String,
    },
    Loading(LoadPhase),
    Loaded(LoadTimes),
    Transcribing {
        done_secs: f32,
        total_secs: f32,
    },
    Transcribed {
        transcript: Transcript,
        audio_secs: f64,
        /// Milliseconds of converting the samples' rate.
        resample_ms: f64,
        /// Milliseconds from samples to words.
        recognize_ms: f64,
        errors: Option<WordErrors>,
        cancelled: bool,
    },
    /// Payload: f32 `[num_frames, vocab_size]`, natural logarithm.
    LogProbs {
        vocab_size: usize,
    },
    /// Payload: mono f32 samples.
    Decoded {
        sample_rate_hz: u32,
        /// What the visitor should know; each goes on with a sentence that begins with the file.
        notices: Vec<String>,
    },
    LiveStarted,
    Live(Vec<LiveSegment>),
    LiveEnded,
    Failed {
        kind: FailureKind,
        message: String,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn messages_survive_a_round_trip() {
        let request = Request::Transcribe {
            sample_rate_hz: 44_100,
            reference: Some("one two".to_owned()),
        };
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);

        let response = Response::Live(vec![LiveSegment {
            segment: 3.0,
            is_final: true,
            transcript: Transcript {
                text: "one".to_owned(),
                words: vec![Word {
                    text: "one".to_owned(),
                    start_secs: 0.1,
                    end_secs: 0.4,
                    confidence: 0.9,
                }],
            },
        }]);
        let text = serde_json::to_string(&response).unwrap();
        assert_eq!(serde_json::from_str::<Response>(&text).unwrap(), response);
    }
}
