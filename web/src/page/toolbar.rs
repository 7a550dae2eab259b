//! What is done with a transcript: copied, saved, read word by word.

use std::{cell::RefCell, rc::Rc};

use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, Event, HtmlElement, HtmlSelectElement, KeyboardEvent};

use super::{
    dom::{by_id, clear, document, listen, listen_actively, words_of},
    lane::Lane,
    player::Player,
    saving,
    settings::add_option,
};
use crate::{export::Format, figures::fixed, protocol::Word};

/// Owns the row of buttons under the lanes.
pub struct Toolbar {
    row: HtmlElement,
    lane_menu: HtmlSelectElement,
    info: HtmlElement,
    lanes: RefCell<Vec<Rc<Lane>>>,
    player: Rc<Player>,
}

impl Toolbar {
    pub fn new(player: Rc<Player>) -> Result<Rc<Self>, JsValue> {
        let toolbar = Rc::new(Self {
            row: by_id("toolbar")?,
            lane_menu: by_id("words-of")?,
            info: by_id("word-info")?,
            lanes: RefCell::default(),
            player,
        });
        let row: Element = by_id("toolbar")?;
        let here = toolbar.clone();
        listen(&row, "click", move |event| here.on_button(event));
        let lanes: Element = by_id("lanes")?;
        let here = toolbar.clone();
        listen(&lanes, "click", move |event| here.on_word(event));
        let here = toolbar.clone();
        listen_actively(&lanes, "keydown", move |event| here.on_key(event));
        Ok(toolbar)
    }

    pub fn set_lanes(&self, lanes: &[Rc<Lane>]) -> Result<(), JsValue> {
        *self.lanes.borrow_mut() = lanes.to_vec();
        clear(&self.lane_menu);
        for lane in lanes {
            add_option(
                &self.lane_menu,
                &lane.number.to_string(),
                lane.student.name(),
            )?;
        }
        Ok(())
    }

    /// Shown where there are words; `can_play`: the sound is there, too.
    pub fn show(&self, can_play: bool) {
        let lanes = self.lanes.borrow();
        let has_words = |lane: &&Rc<Lane>| lane.is_on.get() && !lane.view.words().is_empty();
        let first = lanes.iter().find(has_words);
        if let Some(first) = first
            && !self.chosen().is_some_and(|lane| has_words(&&lane))
        {
            self.lane_menu.set_value(&first.number.to_string());
        }
        self.row.set_hidden(first.is_none() && !can_play);
        self.info.set_text_content(None);
    }

    fn chosen(&self) -> Option<Rc<Lane>> {
        let number: usize = self.lane_menu.value().parse().ok()?;
        self.lanes.borrow().get(number).cloned()
    }

    fn say(&self, text: &str) {
        self.info.set_text_content(Some(text));
    }

    fn on_button(self: &Rc<Self>, event: &Event) {
        let Some(lane) = self.chosen() else { return };
        let Some(button) = target(event, "button") else {
            return;
        };
        let words = lane.view.words();
        let name = lane.student.name();
        if button.id() == "copy" {
            let text = Format::Text.write(name, &words);
            let here = self.clone();
            spawn_local(async move { here.say(saving::copy(text.trim_end()).await) });
        } else if let Some(extension) = button.get_attribute("data-save")
            && let Some(format) = Format::from_extension(&extension)
        {
            let text = format.write(name, &words);
            let file = format!("transcript-{name}.{extension}");
            let saved = saving::save(&file, format.media_type(), &text);
            self.say(&match saved {
                Ok(()) => format!("Saved the words of {name}."),
                Err(error) => format!("Not saved: {}.", words_of(&error)),
            });
        }
    }

    fn on_word(&self, event: &Event) {
        if let Some((lane, word)) = self.word(event) {
            self.play(&lane, &word);
        }
    }

    fn play(&self, lane: &Lane, word: &Word) {
        self.say(&format!(
            "“{}” of {}: {} to {} s, {} % sure",
            word.text,
            lane.student.name(),
            fixed(word.start_secs.into(), 2),
            fixed(word.end_secs.into(), 2),
            sure(word)
        ));
        self.player.play(word.start_secs, word.end_secs);
    }

    fn on_key(&self, event: &Event) {
        let Some(key) = event.dyn_ref::<KeyboardEvent>() else {
            return;
        };
        let Some(lane) = self.lane(event) else { return };
        let by = match key.key().as_str() {
            "ArrowRight" => 1,
            "ArrowLeft" => -1,
            "Enter" | " " => 0,
            _ => return,
        };
        if by != 0 {
            event.prevent_default();
            lane.view.move_focus(by);
            if let Some((lane, word)) = self.focused(&lane) {
                self.tell(&lane, &word);
            }
        } else if let Some((lane, word)) = self.word(event) {
            event.prevent_default();
            self.play(&lane, &word);
        }
    }

    fn tell(&self, lane: &Lane, word: &Word) {
        self.say(&format!(
            "“{}” of {}: {} % sure",
            word.text,
            lane.student.name(),
            sure(word)
        ));
    }

    fn focused(&self, lane: &Rc<Lane>) -> Option<(Rc<Lane>, Word)> {
        let element = document().ok()?.active_element()?;
        let number: usize = element.get_attribute("data-word")?.parse().ok()?;
        let word = lane.view.words().get(number)?.clone();
        Some((lane.clone(), word))
    }

    /// The lane that an event happened in.
    fn lane(&self, event: &Event) -> Option<Rc<Lane>> {
        let root = target(event, ".lane")?;
        let lanes = self.lanes.borrow();
        let mut lanes = lanes.iter();
        lanes
            .find(|lane| lane.view.root.is_same_node(Some(&root)))
            .cloned()
    }

    fn word(&self, event: &Event) -> Option<(Rc<Lane>, Word)> {
        let element = target(event, ".word")?;
        let lane = self.lane(event)?;
        let number: usize = element.get_attribute("data-word")?.parse().ok()?;
        let word = lane.view.words().get(number)?.clone();
        Some((lane, word))
    }
}

fn target(event: &Event, selector: &str) -> Option<Element> {
    let element: Element = event.target()?.dyn_into().ok()?;
    element.closest(selector).ok()?
}

/// How sure a student is of a word, in percent.
fn sure(word: &Word) -> String {
    fixed((word.confidence * 100.0).into(), 0)
}
