//! What the page makes of the visitor's own words.

use std::rc::Rc;

use super::{App, State};
use crate::page::decoding::Decoding;

impl App {
    /// Unless that is done: asks an engine, with its student if it has one by now.
    pub(super) async fn check_phrases(&self) {
        if let Some(lane) = self.offer.racing().await.first()
            && self.phrases.needs_check()
        {
            self.phrases.check(&lane.host.client().await).await;
        }
    }

    /// The visitor's phrases changed. What runs gives way, so that the engine answers.
    pub(super) async fn on_phrases(self: &Rc<Self>) {
        self.refresh_storage();
        if self.state.get() == State::Working {
            self.offer
                .lanes()
                .iter()
                .for_each(|lane| lane.host.cancel());
        }
        if let Some(lane) = self.offer.racing().await.first()
            && self.phrases.check(&lane.host.client().await).await
        {
            self.on_choice();
        }
    }

    /// What becomes of sound from now on.
    pub(super) fn decoding(&self) -> Rc<Decoding> {
        Rc::new(Decoding {
            with_lm: self.settings.lm.checked(),
            phrases: self.phrases.wanted(),
        })
    }
}
