//! Every student over the same clips, on this machine.

use std::{cell::Cell, rc::Rc};

use wasm_bindgen::JsValue;
use web_sys::{Element, HtmlButtonElement, HtmlElement, HtmlProgressElement};

use super::{
    audio_reader::{AudioReader, DecodedFile},
    clips::Clip,
    dom::{append_text, by_id, clear, create},
    engine_host::EngineHost,
    fetch,
    students::Student,
    worker_client::Failure,
};
use crate::{
    figures,
    plot::{Axis, Point, scatter},
    protocol::{FailureKind, LoadTimes, Request, Response},
};

/// Runs over all clips; the first run of the first is cold.
const ROUNDS: usize = 3;

/// What was measured of one student.
#[derive(Debug, Clone, Default)]
struct Measurement {
    load: LoadTimes,
    first_run_ms: Option<f64>,
    warm_ms: Vec<f64>,
    warm_audio_secs: f64,
    reference_words: usize,
    word_errors: usize,
}

impl Measurement {
    fn warm_median_ms(&self) -> Option<f64> {
        figures::median(&self.warm_ms)
    }
    fn real_time_factor(&self) -> Option<f64> {
        let secs = self.warm_ms.iter().sum::<f64>() / 1e3;
        (self.warm_audio_secs > 0.0).then(|| secs / self.warm_audio_secs)
    }

    /// Takes in a transcribed clip. The first round counts errors, the later ones time.
    fn add(&mut self, answer: &Response, round: usize, is_cold: bool) -> Result<(), Failure> {
        let Response::Transcribed {
            audio_secs,
            recognize_ms,
            errors,
            ..
        } = answer
        else {
            return Err(Failure::state("the engine answered out of order"));
        };
        if round == 0 {
            let errors = errors.unwrap_or_default();
            self.reference_words += errors.reference_words;
            self.word_errors += errors.errors;
        }
        if is_cold {
            self.first_run_ms = Some(*recognize_ms);
        } else if round > 0 {
            self.warm_ms.push(*recognize_ms);
            self.warm_audio_secs += audio_secs;
        }
        Ok(())
    }

    /// A fraction.
    fn word_error_rate(&self) -> Option<f64> {
        (self.reference_words > 0).then(|| self.word_errors as f64 / self.reference_words as f64)
    }
}

/// Columns after the name that a run fills; the others come from the manifests.
const MEASURED: [usize; 5] = [3, 4, 5, 6, 7];

/// The table before any run.
pub fn show_students(students: &[Rc<Student>]) {
    if let Err(error) = try_show_students(students) {
        web_sys::console::error_1(&error);
    }
}

fn try_show_students(students: &[Rc<Student>]) -> Result<(), JsValue> {
    let rows: Element = by_id("compare-rows")?;
    clear(&rows);
    for student in students {
        let row = create("tr", "")?;
        append_text(&row, "th", "", student.label(students))?.set_attribute("scope", "row")?;
        let published = student.summary.published();
        let mut cells = [const { String::new() }; 8];
        cells[0] = figures::parameters(student.summary.parameters);
        cells[1] = figures::bytes(student.summary.bytes());
        cells[7] = published.map_or_else(String::new, |one| figures::percent(one.wer));
        for cell in cells {
            let text = if cell.is_empty() { "–" } else { &cell };
            append_text(&row, "td", "", text)?;
        }
        if let (Some(published), Some(last)) = (published, row.last_element_child()) {
            last.set_attribute(
                "title",
                &format!("{}, {}", published.set, published.decoder),
            )?;
        }
        rows.append_child(&row)?;
    }
    Ok(())
}

fn row(index: usize) -> Option<Element> {
    let rows: Element = by_id("compare-rows").ok()?;
    rows.children().item(index as u32)
}

fn set_cell(row: &Element, column: usize, text: Option<String>) {
    if let Some(cell) = row.children().item(column as u32) {
        cell.set_text_content(Some(text.as_deref().unwrap_or("–")));
    }
}

/// Owns the table, the plots and the run that fills them.
pub struct Comparison {
    pub button: HtmlButtonElement,
    bar: HtmlProgressElement,
    status: HtmlElement,
    stopped: Cell<bool>,
    engine: Rc<EngineHost>,
    reader: Rc<AudioReader>,
}

impl Comparison {
    pub fn new(engine: Rc<EngineHost>, reader: Rc<AudioReader>) -> Result<Self, JsValue> {
        Ok(Self {
            button: by_id("compare-run")?,
            bar: by_id("compare-bar")?,
            status: by_id("compare-status")?,
            stopped: Cell::new(false),
            engine,
            reader,
        })
    }

    /// Lets every student transcribe every clip, and shows what comes of it.
    pub async fn run(&self, students: &[Rc<Student>], clips: &[Clip]) {
        self.stopped.set(false);
        self.button.set_text_content(Some("Stop"));
        let outcome = self.measure_all(students, clips).await;
        self.button.set_text_content(Some("Run the comparison"));
        self.bar.set_hidden(true);
        match outcome {
            Ok(()) => {}
            Err(_) if self.stopped.get() => self.say("Stopped."),
            Err(failure) => self.say(&format!("The comparison stopped: {}.", failure.message)),
        }
    }

    /// Ends the run after what is under way.
    pub fn stop(&self) {
        self.stopped.set(true);
    }

    fn say(&self, text: &str) {
        self.status.set_text_content(Some(text));
    }

    async fn measure_all(&self, students: &[Rc<Student>], clips: &[Clip]) -> Result<(), Failure> {
        for row in (0..students.len()).filter_map(row) {
            for column in MEASURED {
                set_cell(&row, column, None);
            }
        }
        self.say("Fetching the clips…");
        let mut decoded: Vec<(DecodedFile, &str)> = Vec::new();
        for clip in clips {
            let bytes = fetch::bytes(&clip.url)
                .await
                .map_err(|error| Failure::state(&error))?;
            decoded.push((self.reader.decode(&bytes).await?, &clip.sample.text));
        }
        self.bar.set_value(0.0);
        self.bar.set_hidden(false);
        let total = (students.len() * (ROUNDS * clips.len() + 1)) as f64;
        let mut done = 0.0;
        let mut step = || {
            done += 1.0;
            self.bar.set_value(done / total);
        };
        let mut measured: Vec<Measurement> = Vec::new();
        for (index, student) in students.iter().enumerate() {
            self.say(&format!("{}: loading…", student.name()));
            let row = row(index);
            if let Some(row) = &row {
                row.set_class_name("running");
            }
            let result = self.measure(student, &decoded, &mut step).await;
            if let Some(row) = &row {
                row.set_class_name("");
            }
            let measurement = result?;
            if let Some(row) = &row {
                show_measurement(row, &measurement);
            }
            measured.push(measurement);
            draw(students, &measured);
        }
        mark_best(&measured);
        self.say(&format!(
            "{} students, {} clips, {ROUNDS} runs each.",
            students.len(),
            clips.len()
        ));
        Ok(())
    }

    async fn measure(
        &self,
        student: &Rc<Student>,
        clips: &[(DecodedFile, &str)],
        step: &mut impl FnMut(),
    ) -> Result<Measurement, Failure> {
        // Loaded anew even if the engine has it: its load time is part of the result.
        let load = match self.engine.load_anew(student).await {
            Err(failure) if failure.kind == FailureKind::Device => {
                self.engine.replace(&failure).await;
                self.engine.load_anew(student).await?
            }
            loaded => loaded?,
        };
        step();
        let mut measurement = Measurement {
            load,
            ..Measurement::default()
        };
        for round in 0..ROUNDS {
            self.say(&format!(
                "{}: run {} of {ROUNDS}…",
                student.name(),
                round + 1
            ));
            for (number, (audio, text)) in clips.iter().enumerate() {
                if self.stopped.get() {
                    return Err(Failure::state("it was stopped"));
                }
                let request = Request::Transcribe {
                    sample_rate_hz: audio.sample_rate_hz,
                    reference: Some((*text).to_owned()),
                };
                let answer = self.engine.ask(student, &request, Some(&audio.samples));
                let is_cold = round == 0 && number == 0;
                measurement.add(&answer.await?, round, is_cold)?;
                step();
            }
        }
        Ok(measurement)
    }
}

fn show_measurement(row: &Element, measurement: &Measurement) {
    let load_ms = measurement.load.download_ms + measurement.load.build_ms;
    let values = [
        Some(figures::milliseconds(load_ms)),
        measurement.first_run_ms.map(figures::milliseconds),
        measurement.warm_median_ms().map(figures::milliseconds),
        measurement
            .real_time_factor()
            .map(|factor| format!("{factor:.3}")),
        measurement.word_error_rate().map(figures::percent),
    ];
    for (column, value) in MEASURED.into_iter().zip(values) {
        set_cell(row, column, value);
    }
}

/// Marks the best warm run and the best error rate.
fn mark_best(measured: &[Measurement]) {
    let best = |column: usize, values: Vec<Option<f64>>| {
        let least = values
            .iter()
            .flatten()
            .copied()
            .fold(f64::INFINITY, f64::min);
        // Where all are equal none is best.
        let differ = values.iter().any(|value| *value != Some(least));
        for (index, value) in values.iter().enumerate() {
            let is_best = differ && *value == Some(least);
            if let Some(cell) = row(index).and_then(|row| row.children().item(column as u32)) {
                cell.set_class_name(if is_best { "best" } else { "" });
            }
        }
    };
    best(
        5,
        measured.iter().map(Measurement::warm_median_ms).collect(),
    );
    best(
        7,
        measured.iter().map(Measurement::word_error_rate).collect(),
    );
}

fn draw(students: &[Rc<Student>], measured: &[Measurement]) {
    let points = |x_of: &dyn Fn(&Student, &Measurement) -> Option<f64>| -> Vec<Point> {
        students
            .iter()
            .zip(measured)
            .filter_map(|(student, measurement)| {
                Some(Point {
                    name: student.label(students).to_owned(),
                    x: x_of(student, measurement)?,
                    y: measurement.word_error_rate()?,
                })
            })
            .collect()
    };
    let size = Axis {
        label: "download size",
        format: figures::bytes,
    };
    let latency = Axis {
        label: "warm run, median",
        format: figures::milliseconds,
    };
    let by_size = points(&|student, _| Some(student.summary.bytes()));
    let by_latency = points(&|_, measurement| measurement.warm_median_ms());
    for (id, title, axis, points) in [
        (
            "plot-size",
            "Word error rate against download size",
            size,
            by_size,
        ),
        (
            "plot-latency",
            "Word error rate against warm run time",
            latency,
            by_latency,
        ),
    ] {
        if let Ok(place) = by_id::<Element>(id) {
            place.set_inner_html(&scatter(title, axis, &points));
        }
    }
}
