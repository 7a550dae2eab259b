//! The sample clips, and the player of what is being transcribed.

use std::{cell::RefCell, rc::Rc};

use wasm_bindgen::JsValue;
use web_sys::{Element, File, HtmlAudioElement, HtmlElement, Url};

use super::{
    dom::{by_id, clear, create, create_text, listen, words_of},
    fetch,
};
use crate::catalog::{SampleClip, SampleIndex};

#[derive(Clone)]
pub struct Clip {
    pub url: String,
    pub sample: SampleClip,
}

/// Reads the list of sample clips and shows a button for each; `choose` gets the number of the one
/// that is pressed.
pub async fn show_samples(choose: impl Fn(usize) + 'static) -> Result<Vec<Clip>, String> {
    let words = |error: JsValue| words_of(&error);
    let index: SampleIndex =
        fetch::json(&fetch::resolve("samples/index.json").map_err(words)?).await?;
    let list: Element = by_id("samples").map_err(words)?;
    clear(&list);
    let note: HtmlElement = by_id("samples-note").map_err(words)?;
    note.set_text_content(Some(&index.note));
    let choose = Rc::new(choose);
    let mut clips = Vec::new();
    for (number, sample) in index.clips.into_iter().enumerate() {
        let url = fetch::resolve(&format!("samples/{}", sample.file)).map_err(words)?;
        let label = match sample.secs {
            Some(secs) => format!("{} · {secs:.1} s", clip_name(number)),
            None => clip_name(number),
        };
        let choose = choose.clone();
        add_button(&list, &label, move || choose(number)).map_err(words)?;
        clips.push(Clip { url, sample });
    }
    Ok(clips)
}

/// What a sample clip is called on the page.
pub fn clip_name(number: usize) -> String {
    format!("Clip {}", number + 1)
}

fn add_button(list: &Element, label: &str, press: impl Fn() + 'static) -> Result<(), JsValue> {
    let item = create("li", "")?;
    let button = create_text("button", "chip", label)?;
    button.set_attribute("type", "button")?;
    listen(&button, "click", move |_| press());
    item.append_child(&button)?;
    list.append_child(&item)?;
    Ok(())
}

/// Plays what was given to the page; owns the address of a file while it is the one to play.
pub struct Player {
    element: HtmlAudioElement,
    file_url: RefCell<Option<String>>,
}

impl Player {
    pub fn new() -> Result<Self, JsValue> {
        Ok(Self {
            element: by_id("player")?,
            file_url: RefCell::default(),
        })
    }

    pub fn show_file(&self, file: &File) {
        // A player for an empty file would only complain.
        let url = (file.size() > 0.0)
            .then(|| Url::create_object_url_with_blob(file).ok())
            .flatten();
        self.show(url.as_deref());
        self.forget_file(url);
    }

    pub fn show_clip(&self, url: &str) {
        self.show(Some(url));
        self.forget_file(None);
    }

    pub fn hide(&self) {
        self.show(None);
        self.forget_file(None);
    }

    /// Gives the memory of the last file back once nothing plays it.
    fn forget_file(&self, new: Option<String>) {
        if let Some(old) = self.file_url.replace(new) {
            let _ = Url::revoke_object_url(&old);
        }
    }

    fn show(&self, url: Option<&str>) {
        match url {
            Some(url) => self.element.set_src(url),
            None => {
                let _ = self.element.remove_attribute("src");
            }
        }
        self.element.set_hidden(url.is_none());
    }
}
