//! "Check our numbers": every student over people's recordings, on this machine, beside what its card
//! says of the same decoder and test set.

mod runs;
mod view;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, HtmlButtonElement, HtmlElement, HtmlProgressElement};

use super::{
    audio_reader::AudioReader,
    dom::{by_id, listen, window, words_of},
    engines::Engines,
    fetch,
    offer::Family,
    samples, saving,
    students::Student,
    turn::{Turn, Turns},
    worker_client::{Failure, WorkerClient},
};
use crate::{
    figures,
    measurement::{Report, Row},
    protocol::{EngineKind, RemoteFile, Request, Response},
};
use runs::{KnownClip, Runs, transcribe};
use view::CheckView;

/// Runs over all clips: the first counts errors, the later ones time.
const ROUNDS: usize = 3;
/// Before a report in the address of a page.
const LINK: &str = "#check=";

/// Owns the button, the table and the plots.
pub struct Check {
    button: HtmlButtonElement,
    bar: HtmlProgressElement,
    status: HtmlElement,
    view: CheckView,
    engines: Rc<Engines>,
    reader: AudioReader,
    turns: Turns,
    is_running: Cell<bool>,
    /// Rows that the run under way will have; none while nothing runs.
    expected: Cell<usize>,
    family: RefCell<Family>,
    report: RefCell<Option<Report>>,
}

impl Check {
    pub fn new(engines: Rc<Engines>) -> Result<Rc<Self>, JsValue> {
        let check = Rc::new(Self {
            button: by_id("check")?,
            bar: by_id("check-bar")?,
            status: by_id("check-status")?,
            view: CheckView::new()?,
            engines,
            reader: AudioReader::default(),
            turns: Turns::default(),
            is_running: Cell::default(),
            expected: Cell::default(),
            family: RefCell::default(),
            report: RefCell::default(),
        });
        let here = check.clone();
        listen(&check.button, "click", move |_| here.toggle());
        let here = check.clone();
        let results: Element = by_id("check-results")?;
        listen(&results, "click", move |event| here.on_button(event));
        Ok(check)
    }

    /// Offers a family and its known clips; draws what is published.
    pub fn offer(&self, family: Family) {
        let (mut count, mut bytes) = (0_usize, 0.0);
        for clip in family.known_clips() {
            count += 1;
            bytes += clip.bytes;
        }
        *self.family.borrow_mut() = family;
        self.button.set_hidden(count == 0);
        let size = figures::bytes(bytes);
        self.button.set_text_content(Some(&format!(
            "Check our numbers: {count} clips, {size} to fetch"
        )));
        let linked = self.linked_report();
        *self.report.borrow_mut() = linked;
        self.show();
    }

    /// A report in the page's address, of the family that is shown.
    fn linked_report(&self) -> Option<Report> {
        let hash = window().ok()?.location().hash().ok()?;
        let text = js_sys::decode_uri_component(hash.strip_prefix(LINK)?).ok()?;
        let report = Report::from_json(&String::from(text))?;
        let family = self.family.borrow();
        let is_ours = family
            .members
            .first()
            .is_some_and(|student| student.group == report.family);
        is_ours.then_some(report)
    }

    fn toggle(self: &Rc<Self>) {
        let turn = self.turns.begin();
        if self.is_running.get() {
            // What runs sees it after its clip.
            return self.say("Stopping…");
        }
        let check = self.clone();
        spawn_local(async move { check.run(&turn).await });
    }

    fn say(&self, text: &str) {
        self.status.set_text_content(Some(text));
    }

    async fn run(&self, turn: &Turn) {
        self.is_running.set(true);
        let label = self.button.text_content();
        self.button.set_text_content(Some("Stop"));
        self.bar.set_value(0.0);
        let _ = self.bar.class_list().remove_1("absent");
        let kinds = self.engines.kinds_to_check();
        let decoders = self.decoders();
        self.expected.set(kinds.len() * decoders.len());
        self.show();
        let outcome = self.measure_all(&kinds, &decoders, turn).await;
        self.expected.set(0);
        self.show();
        let _ = self.bar.class_list().add_1("absent");
        self.button.set_text_content(label.as_deref());
        self.is_running.set(false);
        self.say(&match outcome {
            Ok(()) => "Done. Errors count over all clips; times are of the runs after the first."
                .to_owned(),
            Err(_) if !turn.is_current() => "Stopped.".to_owned(),
            Err(failure) => format!("The check stopped: {}.", failure.message),
        });
    }

    /// Each student greedily, and where it has a language model with the one that the page opens with,
    /// whichever is chosen: figures are published of that one.
    fn decoders(&self) -> Vec<(Rc<Student>, bool)> {
        let mut decoders = Vec::new();
        for student in &self.family.borrow().members {
            decoders.push((student.clone(), false));
            if student.lms.small.is_some() {
                decoders.push((student.clone(), true));
            }
        }
        decoders
    }

    async fn measure_all(
        &self,
        kinds: &[EngineKind],
        decoders: &[(Rc<Student>, bool)],
        turn: &Turn,
    ) -> Result<(), Failure> {
        self.say("Fetching the clips…");
        let clips = self.decode_all(turn).await?;
        let (first, _) = decoders
            .first()
            .ok_or_else(|| Failure::state("there are no students"))?;
        let set = self.family.borrow().evaluation_set().map(str::to_owned);
        *self.report.borrow_mut() = Some(Report {
            family: first.group.clone(),
            set: set.unwrap_or_default(),
            browser: window()
                .and_then(|window| window.navigator().user_agent())
                .unwrap_or_default(),
            rows: Vec::new(),
        });
        let total = (kinds.len() * decoders.len() * ROUNDS * clips.len()) as f64;
        let done = Cell::new(0.0);
        let step = || {
            done.set(done.get() + 1.0);
            self.bar.set_value(done.get() / total);
        };
        for &kind in kinds {
            let module = self
                .engines
                .module(kind)
                .await
                .map_err(|one| Failure::state(&one))?;
            let started = WorkerClient::start_engine(kind, module).await;
            let (client, _) = started.map_err(|one| Failure::state(&one))?;
            let measured = self
                .measure_engine(&client, kind, decoders, &clips, turn, &step)
                .await;
            client.stop("the check is over");
            measured?;
        }
        Ok(())
    }

    async fn decode_all(&self, turn: &Turn) -> Result<Vec<KnownClip>, Failure> {
        let family = self.family.borrow().clone();
        let mut clips = Vec::new();
        for clip in family.known_clips() {
            let url = samples::clip_url(&clip.file).map_err(|one| Failure::state(&one))?;
            let file = fetch::blob(&url)
                .await
                .map_err(|one| Failure::state(&one))?;
            let open = self.reader.open(&file, turn).await?;
            let (block, _) = open.next_block(None).await?;
            clips.push(KnownClip {
                samples: block.samples,
                sample_rate_hz: open.sample_rate_hz,
                text: clip.text.clone(),
            });
        }
        Ok(clips)
    }

    async fn measure_engine(
        &self,
        client: &WorkerClient,
        kind: EngineKind,
        decoders: &[(Rc<Student>, bool)],
        clips: &[KnownClip],
        turn: &Turn,
        step: &impl Fn(),
    ) -> Result<(), Failure> {
        for (student, with_lm) in decoders {
            let decoder = if *with_lm {
                "with language model"
            } else {
                "greedy"
            };
            self.say(&format!("{}, {decoder}…", student.name()));
            let load = Request::Load {
                model_url: student.url.clone(),
                manifest: Some(student.manifest.clone()),
                lm: student.lms.small.clone().filter(|_| *with_lm),
            };
            client.request(&load, None, None).await?;
            let mut runs = Runs::default();
            for round in 0..ROUNDS {
                for clip in clips {
                    if !turn.is_current() {
                        return Err(Failure::state("it was stopped"));
                    }
                    runs.add(round, transcribe(client, clip).await?);
                    step();
                }
            }
            let row = self.row(client, student, *with_lm, kind, &runs).await?;
            if let Some(report) = self.report.borrow_mut().as_mut() {
                report.rows.push(row);
            }
            self.show();
        }
        Ok(())
    }

    async fn row(
        &self,
        client: &WorkerClient,
        student: &Student,
        with_lm: bool,
        kind: EngineKind,
        runs: &Runs,
    ) -> Result<Row, Failure> {
        let utterances = runs.errors.clone();
        let (words, errors) = (
            utterances.iter().map(|one| one.reference_words).sum(),
            utterances.iter().map(|one| one.errors).sum(),
        );
        let clips = utterances.len();
        let request = Request::ErrorRate { utterances };
        let answer = client.request(&request, None, None).await?;
        let Response::ErrorRate { rate, low, high } = answer.response else {
            return Err(Failure::state("the engine answered out of order"));
        };
        let lm = student.lms.small.as_ref().filter(|_| with_lm);
        let published = {
            let report = self.report.borrow();
            let set = report.as_ref().map(|report| report.set.as_str());
            let lm = lm.map(RemoteFile::name);
            set.and_then(|set| student.summary.evaluation(set, lm))
        };
        let times = runs.warm_ms.iter().copied();
        Ok(Row {
            student: student.name().to_owned(),
            bytes: student.summary.bytes(),
            decoder: if with_lm { "beam" } else { "greedy" }.to_owned(),
            engine: match kind {
                EngineKind::Cpu => "CPU",
                EngineKind::WebGpu => "GPU",
            }
            .to_owned(),
            clips,
            words,
            errors,
            wer: rate,
            wer_low: low,
            wer_high: high,
            published_wer: published.map(|one| one.wer),
            published_words: published.map_or(0, |one| one.words),
            first_ms: runs.first_ms,
            least_ms: times.clone().fold(f64::INFINITY, f64::min),
            median_ms: figures::median(&runs.warm_ms).unwrap_or_default(),
            most_ms: times.clone().fold(0.0, f64::max),
            speed: runs.warm_secs * 1e3 / times.sum::<f64>().max(0.01),
        })
    }

    fn show(&self) {
        let report = self.report.borrow();
        let rows = report.as_ref().map_or(&[][..], |report| &report.rows);
        let expected = self.expected.get();
        if let Err(error) = self.view.show(rows, expected, &self.family.borrow()) {
            web_sys::console::error_1(&error);
        }
    }

    fn on_button(self: &Rc<Self>, event: &web_sys::Event) {
        let target = event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok());
        let report = self.report.borrow();
        let (Some(target), Some(report)) = (target, report.as_ref()) else {
            return;
        };
        match target.id().as_str() {
            "check-json" => {
                let saved = saving::save("fledge-check.json", "application/json", &report.json());
                if let Err(error) = saved {
                    self.say(&format!("Not saved: {}.", words_of(&error)));
                }
            }
            "check-copy" => self.copy(report.markdown()),
            "check-link" => {
                let text = String::from(js_sys::encode_uri_component(&report.json()));
                if let Ok(window) = window() {
                    let _ = window.location().set_hash(&format!("{LINK}{text}"));
                    self.copy(window.location().href().unwrap_or_default());
                }
            }
            _ => {}
        }
    }

    fn copy(self: &Rc<Self>, text: String) {
        let check = self.clone();
        spawn_local(async move { check.say(saving::copy(&text).await) });
    }
}
