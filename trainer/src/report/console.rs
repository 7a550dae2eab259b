//! Plain progress lines for people, on standard error.

use std::io::{self, IsTerminal, Write};

use super::EventSink;
use crate::event::TrainEvent;

/// Seconds between step lines.
const STEP_INTERVAL_SECS: f64 = 5.0;

/// Writes progress lines; colours only on a terminal and without `NO_COLOR`.
pub struct Console {
    out: Box<dyn Write>,
    colour: bool,
    last_step_line: f64,
}

impl Console {
    /// Lines on standard error.
    pub fn stderr() -> Self {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && io::stderr().is_terminal();
        Self::new(Box::new(io::stderr()), colour)
    }

    /// Lines on `out`, in colour or not.
    pub fn new(out: Box<dyn Write>, colour: bool) -> Self {
        Self {
            out,
            colour,
            last_step_line: f64::NEG_INFINITY,
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn step_is_due(&mut self, now: f64, is_edge: bool) -> bool {
        let is_due = is_edge || now - self.last_step_line >= STEP_INTERVAL_SECS;
        if is_due {
            self.last_step_line = now;
        }
        is_due
    }

    fn lines(&mut self, now: f64, event: &TrainEvent) -> Vec<String> {
        match event {
            TrainEvent::Started {
                phase,
                networks,
                parameters,
                epochs,
                steps_per_epoch,
                resumed_at_step,
            } => {
                self.last_step_line = f64::NEG_INFINITY;
                let names: Vec<_> = networks
                    .iter()
                    .zip(parameters)
                    .map(|(name, count)| format!("{name} ({} parameters)", format_count(*count)))
                    .collect();
                let mut line = format!(
                    "{}: {}, {epochs} epochs of about {steps_per_epoch} steps",
                    self.paint("1", phase),
                    names.join(", ")
                );
                if *resumed_at_step > 0 {
                    line += &format!(", continued at step {resumed_at_step}");
                }
                vec![line]
            }
            TrainEvent::Step {
                phase,
                step,
                epoch,
                total_steps,
                learning_rate,
                losses,
                audio_secs_per_sec,
                data_wait_share,
                eta_secs,
                memory_bytes,
                infeasible,
                team,
                ..
            } => {
                if !self.step_is_due(now, step == total_steps) {
                    return vec![];
                }
                let losses: Vec<_> = losses
                    .iter()
                    .map(|(name, value)| format!("{name} {value:.4}"))
                    .collect();
                let mut line = format!(
                    "{phase} {step}/{total_steps}  epoch {epoch}  loss {}  lr {learning_rate:.2e}  \
                     {audio_secs_per_sec:.0} s audio/s  data wait {:.1} %  {}  ETA {}",
                    losses.join(" "),
                    data_wait_share * 100.0,
                    format_bytes(*memory_bytes),
                    format_duration(*eta_secs),
                );
                if let Some(times) = team {
                    line += &format!(
                        "  a batch: compute {:.0} ms, exchange {:.0} ms, waiting {:.0} ms",
                        times.compute_ms, times.exchange_ms, times.waiting_ms
                    );
                }
                if *infeasible > 0 {
                    line += &format!("  {infeasible} utterances too short for their text");
                }
                vec![line]
            }
            TrainEvent::Validation {
                phase,
                network,
                epoch,
                loss,
                wer,
                cer,
                per,
                blank_share,
                samples,
                is_best,
                ..
            } => {
                let best = if *is_best { "  (best)" } else { "" };
                let wer = format!("WER {:.2} %", wer * 100.0);
                let wer = if *is_best {
                    self.paint("32", &wer)
                } else {
                    wer
                };
                let per = per.map_or(String::new(), |per| format!("PER {:.2} %  ", per * 100.0));
                let mut lines = vec![format!(
                    "{phase} epoch {epoch}  {network}: dev loss {loss:.4}  {wer}  CER {:.2} %  \
                     {per}blank {:.0} %{best}",
                    cer * 100.0,
                    blank_share * 100.0
                )];
                for (reference, hypothesis) in samples {
                    lines.push(format!("    said:  {reference}"));
                    lines.push(format!("    heard: {hypothesis}"));
                }
                lines
            }
            // Every checkpoint would be noise; the run folder shows them.
            TrainEvent::Checkpoint { .. } => vec![],
            TrainEvent::Quarantined { path, reason } => {
                vec![format!(
                    "{} left out {path}: {reason}",
                    self.paint("33", "warning:")
                )]
            }
            TrainEvent::Notice { message } => vec![message.clone()],
            TrainEvent::Warning { message } => {
                vec![format!("{} {message}", self.paint("33", "warning:"))]
            }
            TrainEvent::Finished { phase, costs } => {
                let (total, validation) = (costs.total(), costs.validation);
                vec![format!(
                    "{phase}: done in {} ({} of processors), validation {} of it ({})",
                    format_duration(total.wall_secs),
                    format_duration(total.cpu_secs),
                    format_duration(validation.wall_secs),
                    format_duration(validation.cpu_secs),
                )]
            }
        }
    }
}

impl EventSink for Console {
    fn event(&mut self, unix_secs: f64, event: &TrainEvent) -> io::Result<()> {
        for line in self.lines(unix_secs, event) {
            // A closed terminal must not end a training run.
            let _ = writeln!(self.out, "{line}");
        }
        Ok(())
    }
}

/// `1:02:03` or `2:03`.
pub fn format_duration(secs: f64) -> String {
    if !secs.is_finite() || secs < 0.0 {
        return "?".to_owned();
    }
    let secs = secs.round() as u64;
    let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{secs:02}")
    } else {
        format!("{minutes}:{secs:02}")
    }
}

/// `820.0 kB`, `4.7 MB`: decimal units, as the page and the documents have them.
pub fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "kB", "MB", "GB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    // What would be rounded to 1000.0 is 1.0 of the next unit.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// `1,234,567`.
pub fn format_count(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    fn console(colour: bool) -> Console {
        Console::new(Box::new(io::sink()), colour)
    }

    #[test]
    fn step_lines_come_at_intervals_and_at_the_last_step() {
        let mut console = console(false);
        assert_eq!(console.lines(0.0, &samples::step(1)).len(), 1);
        assert_eq!(console.lines(1.0, &samples::step(2)).len(), 0);
        assert_eq!(console.lines(6.0, &samples::step(3)).len(), 1);
        assert_eq!(console.lines(6.1, &samples::step(40)).len(), 1);
    }

    #[test]
    fn a_step_line_holds_what_a_waiting_person_asks_for() {
        let lines = console(false).lines(0.0, &samples::step(8));
        for part in [
            "8/40",
            "small/kl 0.5000",
            "lr 1.00e-3",
            "80 s audio/s",
            "1.0 %",
            "629.1 MB",
            "1:15",
        ] {
            assert!(lines[0].contains(part), "{part} in {}", lines[0]);
        }
    }

    #[test]
    fn validation_shows_transcripts_and_colour_only_when_wanted() {
        let plain = console(false).lines(0.0, &samples::validation());
        assert_eq!(plain.len(), 3);
        assert!(plain[0].contains("WER 12.50 %") && plain[0].contains("(best)"));
        assert!(!plain.concat().contains('\x1b'));
        assert!(console(true).lines(0.0, &samples::validation())[0].contains('\x1b'));
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(format_count(0), "0");
        assert_eq!(format_count(18_600_192), "18,600,192");
        assert_eq!(format_duration(3723.4), "1:02:03");
        assert_eq!(format_duration(f64::NAN), "?");
        assert_eq!(format_bytes(17), "17 B");
        assert_eq!(format_bytes(999), "999 B");
        assert_eq!(format_bytes(1_536), "1.5 kB");
        assert_eq!(format_bytes(999_960), "1.0 MB");
        assert_eq!(format_bytes(2_668_399), "2.7 MB");
        assert_eq!(format_bytes(3_000_000_000_000), "3000.0 GB");
    }
}
