//! The live line of a training job, on standard error; standard output belongs to the result.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use odeon_learning::program::Progress;

/// How often the line is renewed on a terminal, and how often a line is added where there is none.
const TERMINAL_INTERVAL: Duration = Duration::from_millis(100);
const PLAIN_INTERVAL: Duration = Duration::from_secs(2);

/// Shows rounds as they come.
pub(super) struct ProgressLine {
    rows_per_round: usize,
    started: Instant,
    shown: Option<Instant>,
    last: Option<Progress>,
    is_terminal: bool,
}

impl ProgressLine {
    /// A line for rounds that read so many rows each.
    pub(super) fn new(rows_per_round: usize) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { rows_per_round, started: Instant::now(), shown: None, last: None, is_terminal }
    }

    /// Takes a round in; the first one is always shown.
    pub(super) fn show(&mut self, progress: &Progress) {
        if self.last.is_none() {
            self.started = Instant::now();
        }
        self.last = Some(*progress);
        let interval = if self.is_terminal { TERMINAL_INTERVAL } else { PLAIN_INTERVAL };
        if self.shown.is_none_or(|shown| shown.elapsed() >= interval) {
            self.write();
        }
    }

    /// Says something on a line of its own.
    pub(super) fn say(&mut self, text: &str) {
        write_stderr(&format!("{text}\n"));
    }

    /// Shows the last round and ends the line.
    pub(super) fn end(&mut self) {
        if self.last.is_some() {
            self.write();
            if self.is_terminal {
                write_stderr("\n");
            }
        }
    }

    fn write(&mut self) {
        let Some(progress) = &self.last else { return };
        self.shown = Some(Instant::now());
        let text = line(progress, self.rows_per_round, self.started.elapsed());
        let text = if self.is_terminal { format!("\r\x1b[2K{text}") } else { format!("{text}\n") };
        write_stderr(&text);
    }
}

fn write_stderr(text: &str) {
    let mut stderr = std::io::stderr().lock();
    // Whoever closed standard error does not want to see progress.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// The first round has no time yet, and so no rate.
fn line(progress: &Progress, rows_per_round: usize, elapsed: Duration) -> String {
    let Progress { round, objective, gradient_norm, .. } = progress;
    let rounds = format!("round {round}  loss {objective:.12}  gradient {gradient_norm:.2e}");
    let rows = f64::from(round.saturating_sub(1)) * rows_per_round as f64;
    match elapsed.as_secs_f64() {
        seconds if seconds > 0.0 && rows > 0.0 => format!("{rounds}  {:.0} rows/s", rows / seconds),
        _ => rounds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_round_loss_and_rate() {
        let progress = Progress { round: 3, objective: 0.5, gradient_norm: 1e-3 };
        let text = line(&progress, 120, Duration::from_secs(2));
        assert_eq!(text, "round 3  loss 0.500000000000  gradient 1.00e-3  120 rows/s");
    }
}
