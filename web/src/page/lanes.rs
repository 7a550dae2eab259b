//! The lanes of a family: all of its students, and its teacher beside them.

use std::{cell::Cell, future::Future, pin::Pin, rc::Rc};

use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use web_sys::Element;

use super::{
    bell::Bell,
    dom::{by_id, clear},
    engines::Engines,
    lane::Lane,
    lane_view::LaneView,
    students::Student,
};
use crate::figures;

/// Makes a lane for each member, in the order of the catalog, and puts them on the page.
pub fn show(members: &[Rc<Student>], engines: &Rc<Engines>) -> Result<Vec<Rc<Lane>>, JsValue> {
    let place: Element = by_id("lanes")?;
    clear(&place);
    let students = members.iter().filter(|member| !member.is_teacher());
    let largest = students
        .map(|student| student.summary.bytes())
        .fold(1.0, f64::max);
    let mut lanes = Vec::new();
    for (number, student) in members.iter().enumerate() {
        let bytes = student.summary.bytes();
        let note = if student.is_teacher() {
            ", their teacher"
        } else {
            ""
        };
        let share = (bytes / largest).min(1.0);
        let view = LaneView::new(student.name(), note, &figures::bytes(bytes), share)?;
        if number == 0 {
            view.announce();
        }
        place.append_child(&view.root)?;
        lanes.push(Rc::new(Lane::new(
            number,
            student.clone(),
            view,
            engines.clone(),
        )));
    }
    arrange(&lanes);
    Ok(lanes)
}

/// Shows the lanes that are on; one alone has the room of all.
pub fn arrange(lanes: &[Rc<Lane>]) {
    for lane in lanes {
        lane.view.root.set_hidden(!lane.is_on.get());
    }
    if let Ok(place) = by_id::<Element>("lanes") {
        let is_single = lanes.iter().filter(|lane| lane.is_on.get()).count() == 1;
        let _ = place.toggle_attribute_with_force("data-single", is_single);
    }
}

/// Those that are on, the smallest first: the order in which they load.
pub fn racing(lanes: &[Rc<Lane>]) -> Vec<Rc<Lane>> {
    let racing: Vec<&Rc<Lane>> = lanes.iter().filter(|lane| lane.is_on.get()).collect();
    let bytes: Vec<f64> = racing
        .iter()
        .map(|lane| lane.student.summary.bytes())
        .collect();
    let places = figures::order(&bytes).into_iter();
    places.map(|place| racing[place].clone()).collect()
}

pub type Job = Pin<Box<dyn Future<Output = ()>>>;

/// Does all of them at once, and waits for the last.
pub async fn all(jobs: Vec<Job>) {
    let left = Rc::new((Cell::new(jobs.len()), Bell::default()));
    for job in jobs {
        let left = left.clone();
        spawn_local(async move {
            job.await;
            left.0.set(left.0.get() - 1);
            left.1.ring();
        });
    }
    let (count, bell) = &*left;
    bell.until(|| (count.get() == 0).then_some(())).await;
}
