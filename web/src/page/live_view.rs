//! What a lane shows while it listens.

use std::rc::Rc;

use wasm_bindgen::JsValue;

use super::{lane_view::LaneView, recording::MicrophoneSound, turn::Turn};
use crate::{
    figures,
    protocol::{LiveSegment, Transcript},
};

pub struct LiveView {
    pub view: Rc<LaneView>,
    pub sound: Rc<MicrophoneSound>,
    pub turn: Turn,
    /// Seconds from which on words were awaited.
    pub live_from_secs: f64,
}

impl LiveView {
    pub fn show(&self, segments: Vec<LiveSegment>) {
        if !self.turn.is_current() {
            return;
        }
        for segment in segments {
            if segment.is_final {
                self.view.set_partial("");
                self.show_latency(&segment.transcript);
                if let Err(error) = self.push(&segment.transcript) {
                    web_sys::console::error_1(&error);
                }
            } else {
                self.view.set_partial(&segment.transcript.text);
            }
        }
    }

    fn push(&self, transcript: &Transcript) -> Result<(), JsValue> {
        let Some(phrases) = &transcript.phrases else {
            return self.view.push_segment(&transcript.words);
        };
        if phrases.is_empty() && transcript.others.is_empty() {
            return self.view.push_none();
        }
        self.view.push_phrases(&transcript.words, phrases, false)?;
        let mut others = transcript.others.iter();
        others.try_for_each(|other| self.view.push_other(other))
    }

    /// From the end of the last word to the moment when it stands.
    fn show_latency(&self, transcript: &Transcript) {
        let Some(last) = transcript.words.last() else {
            return;
        };
        if f64::from(last.start_secs) >= self.live_from_secs {
            let late = figures::milliseconds(self.sound.ms_since(last.end_secs));
            self.view.set_facts(&format!("{late} after the last word"));
        }
    }
}
