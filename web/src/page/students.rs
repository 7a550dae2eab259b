//! The students on offer and the choice among them.

use std::rc::Rc;

use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, HtmlInputElement};

use super::{
    dom::{append_text, by_id, clear, create, listen},
    fetch,
};
use crate::{
    catalog::{ModelIndex, ModelSummary},
    figures,
};

pub struct Student {
    /// Absolute URL of the model folder.
    pub url: String,
    pub group: String,
    /// Absolute URL of a language model that goes with it.
    pub lm_url: Option<String>,
    pub summary: ModelSummary,
}

impl Student {
    pub fn name(&self) -> &str {
        &self.summary.name
    }

    /// What tells it from the others where no heading does: its name, or that of its folder where
    /// another student has the same.
    pub fn label<'a>(&'a self, all: &[Rc<Self>]) -> &'a str {
        let namesakes = all.iter().filter(|other| other.name() == self.name());
        match self.url.rsplit('/').next() {
            Some(folder) if namesakes.count() > 1 => folder,
            _ => self.name(),
        }
    }

    /// Download, and the published error rate with its test set.
    fn facts(&self) -> Vec<String> {
        let rate = self.summary.published().map(|published| {
            let wer = figures::percent(published.wer);
            format!("WER {wer} on {}", published.set)
        });
        let size = figures::bytes(self.summary.bytes());
        std::iter::once(size).chain(rate).collect()
    }
}

/// Reads the index and every manifest; a folder that cannot be read is left out and named.
pub async fn fetch_students() -> Result<(Vec<Rc<Student>>, Vec<String>), String> {
    let words = |error: JsValue| super::dom::words_of(&error);
    let index_url = fetch::resolve("models/index.json").map_err(words)?;
    let index: ModelIndex = fetch::json(&index_url).await?;
    let (mut students, mut unreadable) = (Vec::new(), Vec::new());
    for entry in index.models {
        let url = fetch::resolve(&format!("models/{}", entry.path)).map_err(words)?;
        match fetch::json::<ModelSummary>(&format!("{url}/manifest.json")).await {
            Ok(summary) => {
                let own = summary.lm().map(|name| format!("{url}/{name}"));
                let shared = entry
                    .lm
                    .map(|path| fetch::resolve(&format!("models/{path}")));
                students.push(Rc::new(Student {
                    url,
                    group: entry.group,
                    lm_url: own.or(shared.transpose().map_err(words)?),
                    summary,
                }));
            }
            Err(error) => unreadable.push(error),
        }
    }
    Ok((students, unreadable))
}

/// Fills the picker: one radio button a student, under the headings of their groups.
pub fn show(
    students: &[Rc<Student>],
    selected: usize,
    choose: impl Fn(usize) + 'static,
) -> Result<(), JsValue> {
    let options: Element = by_id("students")?;
    clear(&options);
    let choose = Rc::new(choose);
    let mut row: Option<(String, Element)> = None;
    for (index, student) in students.iter().enumerate() {
        let current = match &row {
            Some((group, element)) if *group == student.group => element.clone(),
            _ => {
                let block = create("div", "")?;
                if !student.group.is_empty() {
                    append_text(&block, "span", "group-name", &student.group)?;
                }
                let element = create("div", "option-row")?;
                block.append_child(&element)?;
                options.append_child(&block)?;
                row = Some((student.group.clone(), element.clone()));
                element
            }
        };
        let label = create("label", "option")?;
        label.set_attribute("title", &student.summary.description)?;
        let input: HtmlInputElement = create("input", "")?.unchecked_into();
        input.set_type("radio");
        input.set_name("student");
        input.set_value(&index.to_string());
        input.set_checked(index == selected);
        label.append_child(&input)?;
        append_text(&label, "span", "option-name", student.name())?;
        for fact in student.facts() {
            append_text(&label, "span", "option-facts", &fact)?;
        }
        current.append_child(&label)?;
        let choose = choose.clone();
        listen(&input, "change", move |_| choose(index));
    }
    Ok(())
}
