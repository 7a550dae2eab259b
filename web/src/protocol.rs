//! What the page and its workers say to each other: the only thing that crosses between them.
//!
//! A message is a JavaScript object: `id` (the request it belongs to), `body` (one of the enums below)
//! and, where a variant says so, `payload` (an `ArrayBuffer`, moved, not copied) or `file` (a `Blob`).
//! An engine answers nothing before it has posted [`Response::Ready`] or [`Response::Unusable`].

mod phrases;
mod transcript;

pub use phrases::{
    Boost, Boosts, NearPhrase, OtherSpeech, Phrase, PhraseWarning, Place, SlotValue, WantedPhrases,
};
pub use transcript::{Aligned, LiveSegment, Transcript, Word, WordErrors};

use serde::{Deserialize, Serialize};

/// Changes with every change of meaning. A page and an engine from different builds (a stale browser
/// cache) must not talk.
pub const PROTOCOL_VERSION: u32 = 7;

/// The browser's cache in which fetched files are kept, each under its digest.
pub const KEPT_FILES: &str = "fledge-files";

/// Id of messages that belong to no request.
pub const NO_REQUEST: u32 = 0;

/// A file to fetch. With its digest it is checked, and kept in the browser's cache under it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RemoteFile {
    pub url: String,
    #[serde(default)]
    pub bytes: Option<f64>,
    /// Lower-case hexadecimal.
    #[serde(default)]
    pub sha256: Option<String>,
}

impl RemoteFile {
    /// Its address without folders, which is how cards name a language model.
    pub fn name(&self) -> &str {
        let url = &self.url;
        url.rsplit_once('/').map_or(url, |(_, name)| name)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Downloads a model folder and makes it the engine's student. Answers: any number of
    /// [`Response::Loading`], then [`Response::Loaded`].
    ///
    /// With a language model the student's beam search writes with it, else the most probable token
    /// of each frame is written.
    Load {
        model_url: String,
        /// The text of the folder's manifest; absent: it is fetched, too.
        #[serde(default)]
        manifest: Option<String>,
        #[serde(default)]
        lm: Option<RemoteFile>,
    },
    /// Payload: mono f32 samples, the first of a recording. With a reference, what was said is
    /// compared with it. Answers: [`Response::Taken`] if there is `more`, any number of
    /// [`Response::Transcribing`], then [`Response::Transcribed`].
    Transcribe {
        sample_rate_hz: u32,
        #[serde(default)]
        reference: Option<String>,
        /// [`Request::Piece`]s follow.
        #[serde(default)]
        more: bool,
        /// Nothing but these is heard.
        #[serde(default)]
        phrases: Option<WantedPhrases>,
        /// Without phrases: these are likelier.
        #[serde(default)]
        boosts: Boosts,
    },
    /// Payload: the next samples of the recording that a request began. Answer under that request's
    /// id: [`Response::Taken`], or what it ends with.
    Piece { of: u32, more: bool },
    /// Payload: mono f32 samples, at most one window. Answer: [`Response::LogProbs`].
    LogProbs { sample_rate_hz: u32 },
    /// To the reader of audio files. File: wav, flac, ogg vorbis, mp3 or sphere. Answer:
    /// [`Response::Opened`].
    OpenFile,
    /// To the reader. Payload, if there is one: a buffer that the answer may come in. Answer:
    /// [`Response::Block`].
    NextBlock,
    /// Starts a live session. Answers: [`Response::LiveStarted`], then [`Response::Live`] until
    /// [`Response::LiveEnded`].
    LiveStart {
        sample_rate_hz: u32,
        /// Nothing but these is heard.
        #[serde(default)]
        phrases: Option<WantedPhrases>,
        /// Without phrases: these are likelier.
        #[serde(default)]
        boosts: Boosts,
    },
    /// Payload: mono f32 samples at the rate of the session that request `of` began. No answer of its
    /// own.
    LivePush { of: u32 },
    /// Ends that session; its open segment becomes final.
    LiveStop { of: u32 },
    /// Whether a list of phrases can be used, with the student if there is one. Answer:
    /// [`Response::PhrasesChecked`].
    CheckPhrases { list: String },
    /// The same of a list of boosted phrases. Answer: [`Response::PhrasesChecked`].
    CheckBoosts { list: String },
    /// The error rate of utterances, each with its errors and the words of its reference. Answer:
    /// [`Response::ErrorRate`].
    ErrorRate { utterances: Vec<WordErrors> },
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
    /// Bytes so far, and in all where that is known, of a language model, which is fetched after the
    /// model folder.
    DownloadingLm { received: f64, total: Option<f64> },
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
    /// The list of phrases, or of boosted ones, is not right.
    Phrases,
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
    /// How far the recording is heard, and the words that were found since the last of these, with
    /// the phrases that they are.
    Transcribing {
        done_secs: f32,
        words: Vec<Word>,
        phrases: Vec<Phrase>,
    },
    /// The samples were taken; more may be sent. Payload: the buffer that they came in.
    Taken,
    Transcribed {
        transcript: Transcript,
        audio_secs: f64,
        /// Milliseconds of converting the samples' rate.
        resample_ms: f64,
        /// Milliseconds from samples to words.
        recognize_ms: f64,
        errors: Option<WordErrors>,
        /// With a reference: how the words stand against it.
        alignment: Vec<Aligned>,
        cancelled: bool,
    },
    /// Payload: f32 `[num_frames, vocab_size]`, natural logarithm.
    LogProbs {
        vocab_size: usize,
    },
    Opened {
        /// Of the blocks.
        sample_rate_hz: u32,
        /// How long the file is, where its header tells.
        expected_secs: Option<f64>,
    },
    /// Payload: mono f32 samples; of all blocks but the last the same number.
    Block {
        is_last: bool,
        /// With the last one, what the visitor should know; each goes on with a sentence that begins
        /// with the file.
        notices: Vec<String>,
    },
    /// Fractions; the ends of the interval are those of the cards, 95 % by bootstrap.
    ErrorRate {
        rate: f64,
        low: f64,
        high: f64,
    },
    PhrasesChecked {
        /// Alternatives of a public rule counted.
        phrases: usize,
        warnings: Vec<PhraseWarning>,
        /// Whether a student's tokens were asked, too.
        with_student: bool,
    },
    LiveStarted,
    Live(Vec<LiveSegment>),
    LiveEnded,
    Failed {
        kind: FailureKind,
        message: String,
        /// Of a list of phrases: where it is wrong.
        #[serde(default)]
        at: Option<Place>,
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
            more: false,
            phrases: Some(WantedPhrases {
                list: "stop".to_owned(),
                ..WantedPhrases::default()
            }),
            boosts: Boosts::Each(vec![Boost {
                phrase: "go".to_owned(),
                weight: Some(2.0),
            }]),
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
                phrases: Some(vec![Phrase {
                    phrase: "{count}".to_owned(),
                    text: "one".to_owned(),
                    slots: vec![
                        ("count".to_owned(), SlotValue::Number(1.0)),
                        ("word".to_owned(), SlotValue::Text("one".to_owned())),
                    ],
                    tags: vec![],
                    start_secs: 0.1,
                    end_secs: 0.4,
                    score: 0.9,
                    is_settled: false,
                }]),
                others: vec![OtherSpeech {
                    text: "two".to_owned(),
                    start_secs: 1.0,
                    end_secs: 1.5,
                    nearest: Some(NearPhrase {
                        text: "ten".to_owned(),
                        score: 0.1,
                        threshold: 0.35,
                    }),
                }],
            },
        }]);
        let text = serde_json::to_string(&response).unwrap();
        assert_eq!(serde_json::from_str::<Response>(&text).unwrap(), response);
    }
}
