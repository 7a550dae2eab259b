//! `metrics.jsonl`: every event as one JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::EventSink;
use crate::event::TrainEvent;

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
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file })
    }
}

impl EventSink for JsonlLog {
    fn event(&mut self, unix_secs: f64, event: &TrainEvent) -> io::Result<()> {
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
