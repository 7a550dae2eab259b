//! The row above the lanes: what was said, where that is known, and the sound itself.

use std::rc::Rc;

use wasm_bindgen::JsValue;
use web_sys::HtmlElement;

use super::{dom::by_id, player::Player, recording::Recording};
use crate::figures;

pub struct Said {
    text: HtmlElement,
    from: HtmlElement,
    pub player: Rc<Player>,
}

impl Said {
    pub fn new() -> Result<Self, JsValue> {
        Ok(Self {
            text: by_id("said")?,
            from: by_id("said-from")?,
            player: Player::new()?,
        })
    }

    /// Shows a recording; whether it can be played.
    pub fn show(&self, recording: &Recording) -> bool {
        let truth = recording.truth.as_deref();
        self.write(truth.unwrap_or("Only you know."), truth.is_none());
        self.from.set_text_content(Some(&recording.name));
        self.player.take(recording)
    }

    /// The microphone begins to listen.
    pub fn show_listening(&self) {
        self.player.forget();
        self.write("…", true);
        self.from.set_text_content(Some("your microphone"));
    }

    pub fn show_clock(&self, secs: f64) {
        self.write(&figures::clock(secs), false);
    }

    fn write(&self, text: &str, is_quiet: bool) {
        self.text.set_text_content(Some(text));
        let _ = self.text.class_list().toggle_with_force("quiet", is_quiet);
    }
}
