//! Checks: what an executor asks a running task again and again, and what comes of it.
//!
//! Only the description is here. Who asks, and when, is the executor's business.

use super::TaskExit;
use crate::executor::CommandInfo;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The shortest time between two checks.
pub const CHECK_INTERVAL_MIN: Duration = Duration::from_millis(10);
/// The longest path that is asked for over HTTP, in bytes.
pub const CHECK_PATH_BYTES_MAX: usize = 2048;

/// A question to a task that is asked again and again while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// How it is asked.
    pub probe: Probe,
    /// Between the start of the task and the first time.
    #[serde(default = "Check::delay_default")]
    pub delay: Duration,
    /// Between an answer and the next time.
    #[serde(default = "Check::interval_default")]
    pub interval: Duration,
    /// How long an answer may take.
    #[serde(default = "Check::timeout_default")]
    pub timeout: Duration,
}

/// One way to ask a task how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Probe {
    /// Run a command beside the task, in its sandbox; the answer is how it ends.
    Command(CommandInfo),
    /// Ask for a path at a port of the loopback address; the answer is the status code.
    Http {
        /// The port.
        port: u16,
        /// The path, from the slash on.
        path: String,
    },
    /// Connect to a port of the loopback address; the answer is whether that went well.
    Tcp {
        /// The port.
        port: u16,
    },
}

/// A check whose answer decides whether the task may live on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// The question.
    pub check: Check,
    /// The task is killed after so many bad answers in a row.
    #[serde(default = "HealthCheck::failures_default")]
    pub consecutive_failures: u32,
    /// From the start of the task, until its first good answer, bad ones do not count for so long.
    #[serde(default = "HealthCheck::grace_default")]
    pub grace: Duration,
}

/// What a check has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckResult {
    /// The command ended.
    Exit(TaskExit),
    /// The status code of the HTTP answer.
    HttpStatus(u16),
    /// Whether the port took the connection.
    Connected(bool),
    /// There was no answer in time, or none that can be read.
    NoAnswer,
}

/// Why a check cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckInvalid {
    /// It names no program.
    #[error("the command of the check is empty")]
    NoProgram,
    /// There is no such port.
    #[error("the port of the check is 0")]
    Port,
    /// It cannot be put into a request.
    #[error(
        "the path {0:?} of the check does not begin with a slash, is too long, or has blanks or control characters"
    )]
    Path(String),
    /// It would ask without a pause.
    #[error("the interval {0:?} of the check is shorter than {CHECK_INTERVAL_MIN:?}")]
    Interval(Duration),
    /// No answer could be in time.
    #[error("the timeout of the check is zero")]
    Timeout,
    /// The task would be killed before it was asked.
    #[error("the health check allows no failure at all: it takes at least 1 to kill the task")]
    Failures,
}

impl Check {
    /// A check with the times that Mesos gives it: 15 s, then every 10 s, for 20 s at most.
    #[must_use]
    pub fn new(probe: Probe) -> Self {
        let (delay, interval, timeout) = (Self::delay_default(), Self::interval_default(), Self::timeout_default());
        Self { probe, delay, interval, timeout }
    }

    fn delay_default() -> Duration {
        Duration::from_secs(15)
    }

    fn interval_default() -> Duration {
        Duration::from_secs(10)
    }

    fn timeout_default() -> Duration {
        Duration::from_secs(20)
    }

    /// Whether it can be carried out.
    ///
    /// # Errors
    /// [`CheckInvalid`] names what is wrong.
    pub fn validate(&self) -> Result<(), CheckInvalid> {
        match &self.probe {
            Probe::Command(command) if command.argv.first().is_none_or(String::is_empty) => {
                return Err(CheckInvalid::NoProgram);
            }
            Probe::Http { port: 0, .. } | Probe::Tcp { port: 0 } => return Err(CheckInvalid::Port),
            Probe::Http { path, .. } if !is_path(path) => return Err(CheckInvalid::Path(path.clone())),
            _ => {}
        }
        if self.interval < CHECK_INTERVAL_MIN {
            return Err(CheckInvalid::Interval(self.interval));
        }
        if self.timeout.is_zero() { Err(CheckInvalid::Timeout) } else { Ok(()) }
    }
}

/// What may stand in the first line of a request; anything else could end the line.
fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.len() <= CHECK_PATH_BYTES_MAX && path.bytes().all(|byte| byte.is_ascii_graphic())
}

impl HealthCheck {
    /// A health check that kills after 3 bad answers in a row, of which none counts in the first 10 s.
    #[must_use]
    pub fn new(probe: Probe) -> Self {
        Self { check: Check::new(probe), consecutive_failures: Self::failures_default(), grace: Self::grace_default() }
    }

    fn failures_default() -> u32 {
        3
    }

    fn grace_default() -> Duration {
        Duration::from_secs(10)
    }

    /// Whether it can be carried out.
    ///
    /// # Errors
    /// [`CheckInvalid`] names what is wrong.
    pub fn validate(&self) -> Result<(), CheckInvalid> {
        if self.consecutive_failures == 0 { Err(CheckInvalid::Failures) } else { self.check.validate() }
    }
}

impl CheckResult {
    /// Whether it speaks for the task: a code of zero, a status from 200 to 399, or a connection.
    #[must_use]
    pub fn is_good(self) -> bool {
        match self {
            Self::Exit(exit) => exit == TaskExit::Code(0),
            Self::HttpStatus(status) => (200..400).contains(&status),
            Self::Connected(connected) => connected,
            Self::NoAnswer => false,
        }
    }
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(exit) => write!(f, "the command of the check {exit}"),
            Self::HttpStatus(status) => write!(f, "the HTTP status is {status}"),
            Self::Connected(true) => f.write_str("the port takes connections"),
            Self::Connected(false) => f.write_str("the port takes no connection"),
            Self::NoAnswer => f.write_str("there was no answer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(path: &str) -> Check {
        Check::new(Probe::Http { port: 80, path: path.into() })
    }

    #[test]
    fn a_check_that_cannot_be_carried_out_is_refused_with_its_reason() {
        let empty = CommandInfo { argv: vec![], environment: [].into(), working_directory: None };
        assert_eq!(Check::new(Probe::Command(empty)).validate(), Err(CheckInvalid::NoProgram));
        assert_eq!(Check::new(Probe::Tcp { port: 0 }).validate(), Err(CheckInvalid::Port));
        for path in ["health", "", "/a b", "/a\r\nHost: other", "/\u{e9}"] {
            assert_eq!(http(path).validate(), Err(CheckInvalid::Path(path.to_owned())));
        }
        let often = Check { interval: Duration::from_millis(9), ..http("/") };
        assert_eq!(often.validate(), Err(CheckInvalid::Interval(often.interval)));
        assert_eq!(Check { timeout: Duration::ZERO, ..http("/") }.validate(), Err(CheckInvalid::Timeout));
        let health = HealthCheck { consecutive_failures: 0, ..HealthCheck::new(http("/").probe) };
        assert_eq!(health.validate(), Err(CheckInvalid::Failures));
        assert_eq!(HealthCheck::new(http("/a?b=%20").probe).validate(), Ok(()));
    }

    #[test]
    fn good_answers_are_zero_a_status_below_400_and_a_connection() {
        for (status, good) in [(199, false), (200, true), (399, true), (400, false), (503, false)] {
            assert_eq!(CheckResult::HttpStatus(status).is_good(), good, "{status}");
        }
        let exits = [TaskExit::Code(0), TaskExit::Code(1), TaskExit::Signal(9)];
        assert_eq!(exits.map(|exit| CheckResult::Exit(exit).is_good()), [true, false, false]);
        assert!(CheckResult::Connected(true).is_good() && !CheckResult::Connected(false).is_good());
        assert!(!CheckResult::NoAnswer.is_good());
    }
}
