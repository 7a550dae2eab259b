//! `metrics.jsonl`: every event as one JSON object a line.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{EventSink, cut_off, open_log};
use crate::event::TrainEvent;

/// Appends events to `metrics.jsonl`.
pub struct JsonlLog {
    file: File,
}

#[derive(Serialize)]
struct Line<'a> {
    unix_secs: f64,
    #[serde(flatten)]
    event: &'a TrainEvent,
}

impl JsonlLog {
    /// Continues an existing file.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: open_log(path)?,
        })
    }
}

#[derive(Deserialize)]
struct Position {
    phase: String,
    step: usize,
}

impl EventSink for JsonlLog {
    fn event(&mut self, unix_secs: f64, event: &TrainEvent) -> io::Result<()> {
        cut_off(&mut self.file, event, |line| {
            let position: Position = serde_json::from_str(line).ok()?;
            Some((position.phase, position.step))
        })?;
        let mut line = serde_json::to_vec(&Line { unix_secs, event })?;
        line.push(b'\n');
        // One write per line: a killed run leaves whole lines.
        self.file.write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::report::samples;

    #[test]
    fn steps_after_the_last_checkpoint_are_logged_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = JsonlLog::open(&path).unwrap();
        for step in 1..=5 {
            log.event(1.0, &samples::step(step)).unwrap();
        }
        // Killed; the checkpoint was of step 3.
        let mut log = JsonlLog::open(&path).unwrap();
        log.event(2.0, &samples::resumed_at(3)).unwrap();
        log.event(2.0, &samples::step(4)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let steps: Vec<_> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64())
            .collect();
        assert_eq!(steps, [Some(1), Some(2), Some(3), None, Some(4)]);
    }

    #[test]
    fn lines_are_objects_and_a_second_run_continues_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        for step in 0..2 {
            let mut log = JsonlLog::open(&path).unwrap();
            log.event(5.5, &samples::step(step)).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["event"], "step");
        assert_eq!(lines[1]["step"], 1);
        assert_eq!(lines[0]["unix_secs"], 5.5);
        assert_eq!(lines[0]["losses"][0][0], "small/kl");
    }
}
