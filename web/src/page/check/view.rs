//! The table and the plots of a check.

use wasm_bindgen::JsValue;
use web_sys::{Element, HtmlElement};

use crate::{
    figures,
    measurement::{HEADINGS, Row},
    page::{
        dom::{append_text, by_id, clear, create},
        offer::Family,
    },
    plot::{Axis, Point, scatter},
    protocol::RemoteFile,
};

pub struct CheckView {
    results: HtmlElement,
    rows: Element,
    size_plot: Element,
    time_plot: Element,
}

impl CheckView {
    pub fn new() -> Result<Self, JsValue> {
        Ok(Self {
            results: by_id("check-results")?,
            rows: by_id("check-rows")?,
            size_plot: by_id("plot-size")?,
            time_plot: by_id("plot-time")?,
        })
    }

    /// Shows what was measured beside what is published of a family. `expected`: rows in all; those that
    /// are still to come have their place, so that nothing moves when they do.
    pub fn show(&self, rows: &[Row], expected: usize, family: &Family) -> Result<(), JsValue> {
        let to_come = expected.saturating_sub(rows.len());
        self.results.set_hidden(rows.is_empty() && to_come == 0);
        clear(&self.rows);
        for row in rows {
            self.append(&row.cells())?;
        }
        for _ in 0..to_come {
            self.append(&HEADINGS.map(|_| "…".to_owned()))?;
        }
        self.draw(rows, family);
        Ok(())
    }

    fn append(&self, cells: &[String; HEADINGS.len()]) -> Result<(), JsValue> {
        let line = create("tr", "")?;
        for (number, (cell, heading)) in cells.iter().zip(HEADINGS).enumerate() {
            let tag = if number == 0 { "th" } else { "td" };
            let cell = append_text(&line, tag, "", cell)?;
            cell.set_attribute("data-label", heading)?;
            if number == 0 {
                cell.set_attribute("scope", "row")?;
            }
        }
        self.rows.append_child(&line)?;
        Ok(())
    }

    fn draw(&self, rows: &[Row], family: &Family) {
        let students = &family.members;
        let with_lm = students.iter().any(|student| student.lms.small.is_some());
        let decoder = if with_lm { "beam" } else { "greedy" };
        let (mut by_size, mut by_time) = (Vec::new(), Vec::new());
        for student in students {
            let summary = &student.summary;
            let set = family.evaluation_set().or(summary.largest_set());
            let lm = student.lms.small.as_ref().map(RemoteFile::name);
            if let Some(found) = set.and_then(|set| summary.evaluation(set, lm)) {
                by_size.push(Point {
                    name: student.name().to_owned(),
                    x: summary.bytes(),
                    y: found.wer,
                    is_published: true,
                });
            }
        }
        for row in rows {
            if row.decoder == decoder {
                let here = |x: f64| Point {
                    name: format!("{} here", row.student),
                    x,
                    y: row.wer,
                    is_published: false,
                };
                by_size.push(here(row.bytes));
                by_time.push(here(row.median_ms));
            }
        }
        let size = Axis {
            label: "size of the download",
            format: figures::bytes,
        };
        let time = Axis {
            label: "time for a clip, median",
            format: figures::milliseconds,
        };
        let by_size = scatter("Wrong words against size", size, &by_size);
        self.size_plot.set_inner_html(&by_size);
        if by_time.is_empty() {
            self.time_plot
                .set_text_content(Some("Times are of this machine: they come with a check."));
        } else {
            let by_time = scatter("Wrong words against time", time, &by_time);
            self.time_plot.set_inner_html(&by_time);
        }
    }
}
