//! Plays what was given to the page, all of it or one word.

use std::{cell::RefCell, rc::Rc};

use gloo::timers::callback::Timeout;
use wasm_bindgen::JsValue;
use web_sys::{Blob, HtmlAudioElement, Url};

use super::{
    dom::by_id,
    recording::{Recording, Sound},
};

/// Heard before and after a word, so that it is not cut.
const MARGIN_SECS: f32 = 0.08;

/// Owns the address of what is to be played.
pub struct Player {
    element: HtmlAudioElement,
    url: RefCell<Option<String>>,
    /// Ends the word that is played.
    stop: RefCell<Option<Timeout>>,
}

impl Player {
    pub fn new() -> Result<Rc<Self>, JsValue> {
        Ok(Rc::new(Self {
            element: by_id("player")?,
            url: RefCell::default(),
            stop: RefCell::default(),
        }))
    }

    /// Takes a recording; false if it cannot be played any more.
    pub fn take(&self, recording: &Recording) -> bool {
        let blob = match &recording.sound {
            Sound::File(file) => Some(file.clone()),
            Sound::Microphone(sound) if sound.is_whole() => sound.to_wav().ok(),
            Sound::Microphone(_) => None,
        };
        self.set(blob.filter(|blob| blob.size() > 0.0).as_ref());
        self.url.borrow().is_some()
    }

    pub fn forget(&self) {
        self.set(None);
    }

    fn set(&self, blob: Option<&Blob>) {
        self.stop.take();
        let url = blob.and_then(|blob| Url::create_object_url_with_blob(blob).ok());
        match &url {
            Some(url) => self.element.set_src(url),
            None => {
                let _ = self.element.pause();
                let _ = self.element.remove_attribute("src");
            }
        }
        self.element.set_hidden(url.is_none());
        if let Some(old) = self.url.replace(url) {
            let _ = Url::revoke_object_url(&old);
        }
    }

    /// Plays from one second to another.
    pub fn play(self: &Rc<Self>, start_secs: f32, end_secs: f32) {
        if self.url.borrow().is_none() {
            return;
        }
        self.stop.take();
        let start = (start_secs - MARGIN_SECS).max(0.0);
        self.element.set_current_time(f64::from(start));
        let playing = self.element.play();
        let ms = ((end_secs + MARGIN_SECS - start) * 1e3).max(100.0) as u32;
        let player = Rc::downgrade(self);
        *self.stop.borrow_mut() = Some(Timeout::new(ms, move || {
            if let Some(player) = player.upgrade() {
                let _ = player.element.pause();
            }
        }));
        if let Ok(playing) = playing {
            // What cannot be played says so in the element itself.
            wasm_bindgen_futures::spawn_local(async move {
                let _ = wasm_bindgen_futures::JsFuture::from(playing).await;
            });
        }
    }
}
