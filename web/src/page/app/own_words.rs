//! What the page makes of the visitor's own words.

use std::rc::Rc;

use super::{App, State};
use crate::{page::decoding::Decoding, protocol::Boosts};

/// Phrases are all that is heard: none of them can be likelier.
const IDLE: &str = "not used while your own phrases are all that is heard";

impl App {
    /// Unless that is done: asks an engine, with its student if it has one by now.
    pub(super) async fn check_own_words(&self) {
        if self.phrases.needs_check() || self.boosts.needs_check() {
            self.ask_of_words().await;
        }
    }

    /// Whether what is in the boxes can be used.
    async fn ask_of_words(&self) -> bool {
        let Some(lane) = self.offer.racing().await.first().cloned() else {
            return false;
        };
        let client = lane.host.client().await;
        let are_phrases_right = self.phrases.check(&client).await;
        let are_boosts_right = self.boosts.check(&client).await;
        if self.phrases.is_used() {
            self.boosts.show_idle(IDLE);
            return are_phrases_right;
        }
        are_phrases_right && are_boosts_right
    }

    /// The visitor changed them. What runs gives way, so that the engine answers.
    pub(super) async fn on_own_words(self: &Rc<Self>) {
        self.refresh_storage();
        if self.state.get() == State::Working {
            self.offer
                .lanes()
                .iter()
                .for_each(|lane| lane.host.cancel());
        }
        if self.ask_of_words().await {
            self.on_choice();
        }
    }

    /// What becomes of sound from now on.
    pub(super) fn decoding(&self) -> Rc<Decoding> {
        let phrases = self.phrases.phrases();
        let boosts = match phrases {
            Some(_) => Boosts::None,
            None => self.boosts.boosts(),
        };
        Rc::new(Decoding {
            lm: self.settings.lm.choice(),
            phrases,
            boosts,
        })
    }
}
