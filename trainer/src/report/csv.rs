//! `metrics.csv`: every number of a run, one a row. Which losses there are depends on the recipe,
//! so names are values of a column and not columns.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::{EventSink, cut_off, open_log, position, scalars};
use crate::event::TrainEvent;

const HEADER: &str = "unix_secs,phase,step,epoch,name,value\n";

/// Appends the numbers of events to `metrics.csv`.
pub struct CsvLog {
    file: File,
}

impl CsvLog {
    /// Continues an existing file.
    ///
    /// # Errors
    /// A file that cannot be opened or begun.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = open_log(path)?;
        if file.metadata()?.len() == 0 {
            file.write_all(HEADER.as_bytes())?;
        }
        Ok(Self { file })
    }
}

impl EventSink for CsvLog {
    fn event(&mut self, unix_secs: f64, event: &TrainEvent) -> io::Result<()> {
        cut_off(&mut self.file, event, |line| {
            let mut fields = line.split(',').skip(1);
            Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
        })?;
        let Some((phase, step, epoch)) = position(event) else {
            return Ok(());
        };
        let mut rows = String::new();
        for (name, value) in scalars(event) {
            let (phase, name) = (field(phase), field(&name));
            rows += &format!("{unix_secs:.3},{phase},{step},{epoch},{name},{value}\n");
        }
        self.file.write_all(rows.as_bytes())
    }
}

/// RFC 4180: quotes around what holds a separator, quotes doubled.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::report::samples;

    #[test]
    fn rows_after_the_last_checkpoint_are_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let mut log = CsvLog::open(&path).unwrap();
        for step in 1..=5 {
            log.event(1.0, &samples::step(step)).unwrap();
        }
        let rows = std::fs::read_to_string(&path).unwrap().lines().count() - 1;
        let mut log = CsvLog::open(&path).unwrap();
        log.event(2.0, &samples::resumed_at(3)).unwrap();
        let left = std::fs::read_to_string(&path).unwrap().lines().count() - 1;
        assert_eq!(left, rows / 5 * 3);
    }

    #[test]
    fn the_header_is_written_once_and_rows_name_their_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        CsvLog::open(&path)
            .unwrap()
            .event(1.0, &samples::step(7))
            .unwrap();
        let mut log = CsvLog::open(&path).unwrap();
        log.event(2.0, &samples::validation()).unwrap();
        log.event(
            2.0,
            &TrainEvent::Notice {
                message: "n".into(),
            },
        )
        .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("unix_secs").count(), 1);
        assert!(
            text.contains("1.000,distill,7,2,distill/loss/small/kl,0.5\n"),
            "{text}"
        );
        assert!(text.ends_with("2.000,distill,20,1,distill/dev_blank_share/small,0.8\n"));
    }

    #[test]
    fn separators_and_quotes_are_escaped() {
        assert_eq!(field("a,b"), "\"a,b\"");
        assert_eq!(field("say \"x\""), "\"say \"\"x\"\"\"");
        assert_eq!(field("plain"), "plain");
    }
}
