//! Consumers of training events: the console, and the run folder's `metrics.jsonl`, `metrics.csv`
//! and TensorBoard files. Tables, charts and HTML pages of the reports that commands make.

mod chart;
mod console;
mod csv;
pub(crate) mod html;
mod jsonl;
mod table;
mod tensorboard;

pub use chart::ChartError;
pub(crate) use chart::{Chart, Line, Point, Series};
pub use console::{Console, format_bytes, format_count, format_duration};
pub use csv::CsvLog;
pub use jsonl::JsonlLog;
pub(crate) use table::Table;
pub use tensorboard::TensorBoard;

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::event::TrainEvent;
use crate::exit_status::{ExitStatus, HasExitStatus};

/// A place that events go to.
pub trait EventSink {
    /// `unix_secs`: when it happened, seconds since 1970.
    ///
    /// # Errors
    /// What the file or stream says.
    fn event(&mut self, unix_secs: f64, event: &TrainEvent) -> io::Result<()>;
}

/// A log file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be written; free some space or choose another run folder with --run")]
pub struct ReportError {
    path: PathBuf,
    source: io::Error,
}

impl HasExitStatus for ReportError {
    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Failed
    }
}

/// All consumers of a run.
pub struct Reports {
    sinks: Vec<(PathBuf, Box<dyn EventSink>)>,
}

impl Reports {
    /// The console alone (`quiet`: nothing).
    pub fn console_only(quiet: bool) -> Self {
        let mut sinks: Vec<(PathBuf, Box<dyn EventSink>)> = Vec::new();
        if !quiet {
            sinks.push((PathBuf::from("standard error"), Box::new(Console::stderr())));
        }
        Self { sinks }
    }

    /// The console and the log files of a run folder, which are continued if they exist.
    ///
    /// # Errors
    /// A log file that cannot be opened.
    pub fn for_run(folder: &Path, quiet: bool) -> Result<Self, ReportError> {
        let mut reports = Self::console_only(quiet);
        let jsonl = folder.join("metrics.jsonl");
        let csv = folder.join("metrics.csv");
        let tensorboard = folder.join("tensorboard");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ReportError { path, source }
        };
        let log = JsonlLog::open(&jsonl).map_err(failed(&jsonl))?;
        reports.sinks.push((jsonl, Box::new(log)));
        let log = CsvLog::open(&csv).map_err(failed(&csv))?;
        reports.sinks.push((csv, Box::new(log)));
        let log = TensorBoard::create(&tensorboard, unix_secs()).map_err(failed(&tensorboard))?;
        reports.sinks.push((tensorboard, Box::new(log)));
        Ok(reports)
    }

    /// Hands an event to every consumer.
    ///
    /// # Errors
    /// A log file that cannot be written.
    pub fn event(&mut self, event: &TrainEvent) -> Result<(), ReportError> {
        let now = unix_secs();
        for (path, sink) in &mut self.sinks {
            sink.event(now, event).map_err(|source| ReportError {
                path: path.clone(),
                source,
            })?;
        }
        Ok(())
    }
}

fn unix_secs() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// The numbers of an event as `(tag, value)`, under the names that tables and plots show.
fn scalars(event: &TrainEvent) -> Vec<(String, f64)> {
    match event {
        TrainEvent::Step {
            phase,
            learning_rate,
            losses,
            gradient_norm,
            audio_secs_per_sec,
            data_wait_share,
            memory_bytes,
            infeasible,
            team,
            ..
        } => {
            let mut values = Vec::with_capacity(losses.len() + gradient_norm.len() + 5);
            for (name, value) in losses {
                values.push((format!("{phase}/loss/{name}"), *value));
            }
            for (name, value) in gradient_norm {
                values.push((format!("{phase}/gradient_norm/{name}"), *value));
            }
            values.push((format!("{phase}/learning_rate"), *learning_rate));
            values.push((format!("{phase}/audio_secs_per_sec"), *audio_secs_per_sec));
            values.push((format!("{phase}/data_wait_share"), *data_wait_share));
            values.push((format!("{phase}/memory_bytes"), *memory_bytes as f64));
            values.push((format!("{phase}/infeasible"), *infeasible as f64));
            if let Some(times) = team {
                values.push((format!("{phase}/compute_ms"), times.compute_ms));
                values.push((format!("{phase}/exchange_ms"), times.exchange_ms));
                values.push((format!("{phase}/waiting_ms"), times.waiting_ms));
            }
            values
        }
        TrainEvent::Validation {
            phase,
            network,
            loss,
            wer,
            cer,
            per,
            blank_share,
            ..
        } => [
            ("loss", Some(*loss)),
            ("wer", Some(*wer)),
            ("cer", Some(*cer)),
            ("per", *per),
            ("blank_share", Some(*blank_share)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((format!("{phase}/dev_{name}/{network}"), value?)))
        .collect(),
        _ => Vec::new(),
    }
}

/// Step and epoch of the events that have them.
fn position(event: &TrainEvent) -> Option<(&str, usize, usize)> {
    match event {
        TrainEvent::Step {
            phase, step, epoch, ..
        }
        | TrainEvent::Validation {
            phase, step, epoch, ..
        } => Some((phase, *step, *epoch)),
        _ => None,
    }
}

/// Opens a log of lines to be continued.
fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)
}

/// Cuts a log off before the first line of the phase that begins after the step it resumes at: a
/// killed run logged steps after its last checkpoint, and they are done, and logged, again.
///
/// `position` reads phase and step of a line that has them.
fn cut_off(
    log: &mut File,
    started: &TrainEvent,
    position: impl Fn(&str) -> Option<(String, usize)>,
) -> io::Result<()> {
    let TrainEvent::Started {
        phase,
        resumed_at_step,
        ..
    } = started
    else {
        return Ok(());
    };
    log.rewind()?;
    let mut lines = BufReader::new(&*log);
    let (mut line, mut offset) = (Vec::new(), 0);
    loop {
        line.clear();
        let bytes = lines.read_until(b'\n', &mut line)?;
        if bytes == 0 {
            return Ok(());
        }
        let is_lost = position(&String::from_utf8_lossy(&line))
            .is_some_and(|(of, step)| of == *phase && step > *resumed_at_step);
        if is_lost {
            return log.set_len(offset);
        }
        offset += bytes as u64;
    }
}

#[cfg(test)]
pub(crate) mod samples {
    //! Events that the tests of all consumers share.
    use super::TrainEvent;

    pub fn step(step: usize) -> TrainEvent {
        TrainEvent::Step {
            phase: "distill".into(),
            step,
            epoch: 2,
            total_steps: 40,
            learning_rate: 1e-3,
            losses: vec![("small/kl".into(), 0.5), ("small/ctc".into(), 2.0)],
            gradient_norm: vec![("small".into(), 1.25)],
            audio_secs_per_sec: 80.0,
            data_wait_share: 0.01,
            eta_secs: 75.0,
            memory_bytes: 600 << 20,
            infeasible: 0,
            team: None,
        }
    }

    pub fn resumed_at(step: usize) -> TrainEvent {
        TrainEvent::Started {
            phase: "distill".into(),
            networks: vec!["small".into()],
            parameters: vec![1000],
            epochs: 4,
            steps_per_epoch: 10,
            resumed_at_step: step,
        }
    }

    pub fn validation() -> TrainEvent {
        TrainEvent::Validation {
            phase: "distill".into(),
            network: "small".into(),
            step: 20,
            epoch: 1,
            loss: 1.5,
            wer: 0.125,
            cer: 0.05,
            per: None,
            blank_share: 0.8,
            samples: vec![("one, \"two\"".into(), "one too".into())],
            is_best: true,
            training_cpu_secs: 30.0,
            network_cpu_secs: 10.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_of_a_step_has_a_scalar_of_its_own() {
        let names: Vec<_> = scalars(&samples::step(3))
            .into_iter()
            .map(|s| s.0)
            .collect();
        assert!(names.contains(&"distill/loss/small/kl".to_owned()));
        assert!(names.contains(&"distill/gradient_norm/small".to_owned()));
        let wer = scalars(&samples::validation());
        assert!(wer.contains(&("distill/dev_wer/small".to_owned(), 0.125)));
    }

    #[test]
    fn a_run_folder_that_cannot_be_written_is_named() {
        let error = Reports::for_run(Path::new("/nonexistent/folder"), true)
            .err()
            .expect("cannot be created");
        assert!(error.to_string().contains("metrics.jsonl"), "{error}");
    }
}
