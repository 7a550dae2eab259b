//! What the site offers: its students, of which the page shows a family, and the clips to try them on.

use std::{cell::RefCell, rc::Rc};

use wasm_bindgen::JsValue;

use super::{
    bell::Bell,
    engines::Engines,
    lane::Lane,
    lanes, samples,
    students::{self, Student},
};
use crate::catalog::{self, SampleClip, SampleSet};

/// Owns the students, the clips and the lanes.
pub struct Offer {
    students: RefCell<Vec<Rc<Student>>>,
    samples: RefCell<Vec<Rc<SampleSet>>>,
    lanes: RefCell<Vec<Rc<Lane>>>,
    /// Rings when there are lanes: whoever is quicker waits for them.
    there: Bell,
}

/// A family, with the clips that go with it.
#[derive(Clone, Default)]
pub struct Family {
    pub members: Vec<Rc<Student>>,
    pub clips: Option<Rc<SampleSet>>,
}

impl Family {
    /// Clips whose words are known and whose error rates are published.
    pub fn known_clips(&self) -> impl Iterator<Item = &SampleClip> {
        let clips = self.clips.as_deref().map_or(&[][..], |set| &set.clips);
        clips.iter().filter(|clip| clip.evaluation_set.is_some())
    }

    /// The test set that they are from.
    pub fn evaluation_set(&self) -> Option<&str> {
        self.known_clips().next()?.evaluation_set.as_deref()
    }
}

impl Offer {
    pub fn new() -> Self {
        Self {
            students: RefCell::default(),
            samples: RefCell::default(),
            lanes: RefCell::default(),
            there: Bell::default(),
        }
    }

    /// # Errors
    /// In words for the visitor.
    pub async fn read_students(&self) -> Result<(), String> {
        let (found, unreadable) = students::fetch_students()
            .await
            .map_err(|error| format!("The list of students is missing. {error}."))?;
        unreadable.iter().for_each(|error| warn(error));
        if found.is_empty() {
            return Err("This site has no students.".to_owned());
        }
        *self.students.borrow_mut() = found;
        Ok(())
    }

    /// Without clips there is still the microphone.
    pub async fn read_samples(&self) {
        match samples::fetch_samples().await {
            Ok(sets) => *self.samples.borrow_mut() = sets,
            Err(error) => warn(&error),
        }
    }

    pub fn families(&self) -> Vec<String> {
        students::families(&self.students.borrow())
    }

    pub fn family(&self, name: &str) -> Family {
        let students = self.students.borrow();
        let members = students.iter().filter(|student| student.group == name);
        Family {
            members: members.cloned().collect(),
            clips: catalog::for_group(&self.samples.borrow(), name),
        }
    }

    /// Puts lanes for a family in the place of the others.
    pub fn show(&self, family: &Family, engines: &Rc<Engines>) -> Result<Vec<Rc<Lane>>, JsValue> {
        for lane in self.lanes.take() {
            lane.host.stop("another family was chosen");
        }
        let lanes = lanes::show(&family.members, engines)?;
        *self.lanes.borrow_mut() = lanes.clone();
        self.there.ring();
        Ok(lanes)
    }

    pub fn lanes(&self) -> Vec<Rc<Lane>> {
        self.lanes.borrow().clone()
    }

    /// The lanes that hear, once there are lanes.
    pub async fn racing(&self) -> Vec<Rc<Lane>> {
        let there = || (!self.lanes.borrow().is_empty()).then_some(());
        self.there.until(there).await;
        lanes::racing(&self.lanes.borrow())
    }

    pub fn reset_lanes(&self, placeholder: &str) {
        for lane in self.lanes.borrow().iter() {
            lane.view.reset(placeholder);
        }
    }
}

fn warn(message: &str) {
    web_sys::console::warn_1(&JsValue::from_str(message));
}
