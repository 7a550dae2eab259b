//! The sample clips.

use std::rc::Rc;

use wasm_bindgen::JsValue;
use web_sys::{Element, HtmlElement};

use super::{
    dom::{append_text, by_id, clear, create, listen, words_of},
    fetch,
};
use crate::{
    catalog::{SampleIndex, SampleSet},
    figures,
};

pub async fn fetch_samples() -> Result<Vec<Rc<SampleSet>>, String> {
    let index: SampleIndex = fetch::json(&clip_url("index.json")?).await?;
    Ok(index.sets.into_iter().map(Rc::new).collect())
}

pub fn clip_url(file: &str) -> Result<String, String> {
    fetch::resolve(&format!("samples/{file}")).map_err(|error| words_of(&error))
}

/// Shows a button for each clip that has a name, and what goes with the set; `choose` gets the number
/// of the clip that is pressed.
pub fn show(set: &SampleSet, choose: impl Fn(usize) + 'static) -> Result<(), JsValue> {
    let list: Element = by_id("samples")?;
    clear(&list);
    let choose = Rc::new(choose);
    for (number, clip) in set.clips.iter().enumerate() {
        let Some(name) = &clip.name else { continue };
        let item = create("li", "")?;
        let button = create("button", "chip")?;
        button.set_attribute("type", "button")?;
        append_text(&button, "span", "chip-play", "▶")?.set_attribute("aria-hidden", "true")?;
        button.append_with_str_1(&format!(" {name} "))?;
        append_text(
            &button,
            "span",
            "chip-secs",
            &format!("{} s", figures::fixed(clip.secs, 1)),
        )?;
        button.set_attribute("title", &format!("Transcribe “{}”", clip.text))?;
        let choose = choose.clone();
        listen(&button, "click", move |_| choose(number));
        item.append_child(&button)?;
        list.append_child(&item)?;
    }
    let prompt: HtmlElement = by_id("prompt")?;
    prompt.set_text_content(Some(&format!("Press and say: “{}”", set.prompt)));
    let note: HtmlElement = by_id("samples-note")?;
    let bytes: f64 = set.clips.iter().map(|clip| clip.bytes).sum();
    let size = figures::bytes(bytes);
    note.set_text_content(Some(&format!(
        "{} Licence: {}. All clips: {size}.",
        set.note, set.license
    )));
    Ok(())
}
