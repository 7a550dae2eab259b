//! What the visitor may choose beside what is said: family, students, language model, engine,
//! microphone.

use std::rc::Rc;

use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Element, HtmlElement, HtmlInputElement, HtmlOptionElement, HtmlSelectElement};

use super::{
    dom::{append_text, by_id, clear, create, listen},
    lane::Lane,
    lm_setting::LmSetting,
    microphone,
};
use crate::figures;

pub struct Settings {
    pub family: HtmlSelectElement,
    family_option: HtmlElement,
    switches: Element,
    pub lm: LmSetting,
    pub engine: HtmlSelectElement,
    pub microphone: HtmlSelectElement,
}

impl Settings {
    /// `lm`: the language model that the page's address asks for.
    pub fn new(lm: Option<String>) -> Result<Self, JsValue> {
        Ok(Self {
            family: by_id("family")?,
            family_option: by_id("family-option")?,
            switches: by_id("lane-switches")?,
            lm: LmSetting::new(lm)?,
            engine: by_id("engine")?,
            microphone: by_id("microphone")?,
        })
    }

    pub fn show_families(&self, families: &[String], chosen: &str) -> Result<(), JsValue> {
        clear(&self.family);
        for name in families {
            add_option(&self.family, name, name)?;
        }
        self.family.set_value(chosen);
        self.family_option.set_hidden(families.len() < 2);
        Ok(())
    }

    /// A switch for each lane; `switched` is told after each change.
    pub fn show_lanes(
        &self,
        lanes: &[Rc<Lane>],
        switched: impl Fn(&Lane) + 'static,
    ) -> Result<(), JsValue> {
        clear(&self.switches);
        let switched = Rc::new(switched);
        for lane in lanes {
            let label = create("label", "switch")?;
            let input: HtmlInputElement = create("input", "")?.unchecked_into();
            input.set_type("checkbox");
            input.set_checked(lane.is_on.get());
            label.append_child(&input)?;
            let role = if lane.student.is_teacher() {
                ", their teacher"
            } else {
                ""
            };
            let size = figures::bytes(lane.student.summary.bytes());
            let name = format!(" {}{role} ({size})", lane.student.name());
            append_text(&label, "span", "", &name)?;
            self.switches.append_child(&label)?;
            let (lane, switched, field) = (lane.clone(), switched.clone(), input.clone());
            listen(&input, "change", move |_| {
                lane.is_on.set(field.checked());
                switched(&lane);
            });
        }
        self.lm.show(lanes)
    }

    /// The device that was chosen; none: the browser's choice.
    pub fn device(&self) -> Option<String> {
        Some(self.microphone.value()).filter(|device| !device.is_empty())
    }

    /// The microphones that the browser tells of now.
    pub async fn refresh_devices(&self) {
        let Ok(devices) = microphone::devices().await else {
            return;
        };
        let chosen = self.microphone.value();
        clear(&self.microphone);
        let _ = add_option(&self.microphone, "", "The browser's choice");
        for (id, label) in &devices {
            let _ = add_option(&self.microphone, id, label);
        }
        let is_there = devices.iter().any(|(id, _)| *id == chosen);
        self.microphone
            .set_value(if is_there { &chosen } else { "" });
    }
}

pub fn add_option(select: &HtmlSelectElement, value: &str, text: &str) -> Result<(), JsValue> {
    let option: HtmlOptionElement = create("option", "")?.unchecked_into();
    option.set_value(value);
    option.set_text_content(Some(text));
    select.append_child(&option)?;
    Ok(())
}
