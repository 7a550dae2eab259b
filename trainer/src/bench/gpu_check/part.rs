//! One part of the check: a program of its own, with so much time and no more. A driver that crashes
//! or hangs ends its part and not the check.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};

/// What is started, and how long it may run.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Of its row and its files.
    pub name: &'static str,
    pub program: OsString,
    pub arguments: Vec<OsString>,
    pub budget: Duration,
}

/// How a part ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum End {
    Done,
    Failed {
        reason: String,
    },
    /// Stopped; what it had printed counts.
    OutOfTime {
        budget_secs: u64,
    },
    /// It needs what this machine does not have.
    Absent {
        reason: String,
    },
}

/// A part that has ended, with the lines that it printed.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub name: &'static str,
    pub end: End,
    pub secs: f64,
    pub output: String,
}

const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Part {
    /// Runs it to its end or to that of its time, `deadline` at the latest. What it prints is kept
    /// in `folder`, as `NAME.jsonl` and `NAME.log`.
    ///
    /// # Errors
    ///
    /// `folder` cannot be written. A program that does not start is a part that failed.
    pub fn run(&self, folder: &Path, deadline: Instant) -> io::Result<Ended> {
        let printed = folder.join(format!("{}.jsonl", self.name));
        let log = folder.join(format!("{}.log", self.name));
        let started = Instant::now();
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(File::create(&printed)?)
            .stderr(File::create(&log)?)
            .spawn();
        let left = deadline.saturating_duration_since(started);
        let budget = self.budget.min(left);
        let end = match child.map(|child| wait(child, budget)) {
            Err(error) => End::Failed {
                reason: format!("{} did not start: {error}", self.program.display()),
            },
            Ok(Err(error)) => End::Failed {
                reason: format!("waiting for it failed: {error}"),
            },
            Ok(Ok(None)) => End::OutOfTime {
                budget_secs: budget.as_secs(),
            },
            Ok(Ok(Some(status))) if status.success() => End::Done,
            Ok(Ok(Some(status))) => End::Failed {
                reason: last_line(&fs::read(&log)?).unwrap_or_else(|| status.to_string()),
            },
        };
        Ok(Ended {
            name: self.name,
            end,
            secs: started.elapsed().as_secs_f64(),
            output: String::from_utf8_lossy(&fs::read(&printed)?).into_owned(),
        })
    }
}

/// The exit status, or `None` for a program that was stopped.
fn wait(mut child: Child, budget: Duration) -> io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() >= budget {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The last line of a log that says something.
fn last_line(log: &[u8]) -> Option<String> {
    let log = String::from_utf8_lossy(log);
    let mut lines = log.lines().rev().map(str::trim);
    lines.find(|line| !line.is_empty()).map(str::to_owned)
}

impl Ended {
    /// A part that was left out.
    pub fn absent(name: &'static str, reason: String) -> Self {
        Self {
            name,
            end: End::Absent { reason },
            secs: 0.0,
            output: String::new(),
        }
    }

    /// Every line that it printed whole, one JSON object each.
    pub fn lines<T: DeserializeOwned>(&self) -> Vec<T> {
        let lines = self.output.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn run(script: &str, budget: Duration, deadline: Duration) -> Ended {
        let folder = tempfile::tempdir().unwrap();
        let part = Part {
            name: "shell",
            program: "sh".into(),
            arguments: vec!["-c".into(), script.into()],
            budget,
        };
        part.run(folder.path(), Instant::now() + deadline).unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(300);

    #[test]
    fn lines_of_a_part_that_ends_are_read() {
        let ended = run("echo 1; echo 2; echo none >&2", LONG, LONG);
        assert_eq!(ended.end, End::Done);
        assert_eq!(ended.lines::<u32>(), [1, 2]);
    }

    #[test]
    fn a_part_that_fails_gives_its_last_words_and_what_it_had_found() {
        let ended = run(
            "echo 1; echo first >&2; echo 'no adapter' >&2; echo >&2; exit 4",
            LONG,
            LONG,
        );
        let reason = "no adapter".to_owned();
        assert_eq!(ended.end, End::Failed { reason });
        assert_eq!(ended.lines::<u32>(), [1]);
        assert!(matches!(run("exit 4", LONG, LONG).end, End::Failed { .. }));
    }

    #[test]
    fn a_part_that_hangs_is_stopped_and_keeps_what_it_had_found() {
        for (budget, deadline) in [(SHORT, LONG), (LONG, SHORT)] {
            let ended = run(
                "echo 1; printf '{\"half\": '; exec sleep 60",
                budget,
                deadline,
            );
            assert_eq!(ended.end, End::OutOfTime { budget_secs: 0 });
            assert_eq!(ended.lines::<u32>(), [1]);
            assert!(ended.secs < 10.0);
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_a_part_that_failed() {
        let folder = tempfile::tempdir().unwrap();
        let part = Part {
            name: "none",
            program: "/no/such/program".into(),
            arguments: vec![],
            budget: LONG,
        };
        let ended = part.run(folder.path(), Instant::now() + LONG).unwrap();
        assert!(matches!(ended.end, End::Failed { reason } if reason.contains("/no/such/program")));
    }
}
