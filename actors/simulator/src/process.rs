//! A simulated process: one run of one role, with its clock, its inbox and its open questions.
//!
//! What it does with what it hears is in `hosts`.

use crate::hosts::Host;
use crate::message::{Asked, Body, NoAnswer, Reply, ReplyTo};
use crate::plan::Site;
use odeon_executor::TaskEnd;
use odeon_protocol::id::{ContainerId, TaskId};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::TaskExit;
use odeon_runtime::NodeId;
use std::collections::VecDeque;
use std::time::Duration;

/// Numbers processes in the order of their starts; never used twice in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pid(pub(crate) u32);

/// Something that happens to a process.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "an input is moved once, out of the queue")]
pub(crate) enum Input {
    Start,
    Request {
        from: NodeId,
        reply_to: Option<ReplyTo>,
        body: Body,
    },
    Answer {
        asked: Asked,
        answer: Result<Reply, NoAnswer>,
        node: Option<NodeId>,
    },
    LinkDown {
        node: NodeId,
    },
    Timer {
        generation: u64,
    },
    WriteEnded,
    ExecutorOver {
        container_id: ContainerId,
        exit: Option<TaskExit>,
    },
    Unresponsive {
        container_id: ContainerId,
    },
    MailRetry {
        container_id: ContainerId,
        mailer: u64,
    },
    TaskRuns {
        task_id: TaskId,
    },
    TaskOver {
        task_id: TaskId,
        end: TaskEnd,
    },
    JobArrives {
        job: u32,
    },
    /// An operator asks a master for something; the number decides for what.
    OperatorAsks {
        wish: u64,
    },
}

impl Input {
    /// A small number for the trace.
    pub(crate) fn code(&self) -> u64 {
        match self {
            Self::Start => 100,
            Self::Request { body, .. } => body.code(),
            Self::Answer { answer, .. } => 200 + answer.as_ref().err().map_or(0, |why| 1 + *why as u64),
            Self::LinkDown { .. } => 101,
            Self::Timer { .. } => 102,
            Self::WriteEnded => 103,
            Self::ExecutorOver { .. } => 104,
            Self::Unresponsive { .. } => 105,
            Self::MailRetry { .. } => 106,
            Self::TaskRuns { .. } => 107,
            Self::TaskOver { .. } => 108,
            Self::JobArrives { .. } => 109,
            Self::OperatorAsks { .. } => 110,
        }
    }
}

/// How the clocks of a process go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessClock {
    pub(crate) born_us: u64,
    /// Ahead of the true time by so many millionths, or behind.
    pub(crate) drift_ppm: i64,
    pub(crate) wall_offset_ms: i64,
}

/// The wall time at which every run begins.
const WALL_START_MS: i64 = 1_700_000_000_000;

impl ProcessClock {
    pub(crate) fn now(&self, now_us: u64) -> Moment {
        let elapsed_us = scaled(now_us - self.born_us, 1_000_000 + self.drift_ppm, 1_000_000);
        let wall_ms = WALL_START_MS + (now_us / 1000) as i64 + self.wall_offset_ms;
        Moment { since_start: Duration::from_micros(elapsed_us), wall_ms: wall_ms.max(0) as u64 }
    }

    /// The first true time at which the clock shows `deadline` or more.
    pub(crate) fn when(&self, deadline: Duration) -> u64 {
        let deadline_us = u64::try_from(deadline.as_micros()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4);
        let true_us = scaled(deadline_us, 1_000_000, 1_000_000 + self.drift_ppm);
        self.born_us.saturating_add(true_us).saturating_add(1)
    }
}

fn scaled(amount: u64, numerator: i64, denominator: i64) -> u64 {
    let product = i128::from(amount) * i128::from(numerator) / i128::from(denominator);
    u64::try_from(product).unwrap_or(u64::MAX / 4)
}

/// One run of one role.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) node: NodeId,
    pub(crate) site: Site,
    pub(crate) clock: ProcessClock,
    pub(crate) host: Host,
    pub(crate) paused: bool,
    /// What happened while it stood still.
    pub(crate) inbox: VecDeque<Input>,
    /// The timer that is set: its deadline, and its generation.
    pub(crate) timer: Option<Duration>,
    pub(crate) timer_generation: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_never_fires_before_its_clock_shows_the_deadline() {
        for drift_ppm in [-200, -3, 0, 7, 200] {
            let clock = ProcessClock { born_us: 12_345, drift_ppm, wall_offset_ms: 0 };
            for micros in [0, 1, 999, 75_000_000, 3_600_000_001] {
                let deadline = Duration::from_micros(micros);
                assert!(clock.now(clock.when(deadline)).since_start >= deadline, "{drift_ppm} {micros}");
            }
        }
    }
}
