//! The way from an agent to one executor, as `actors/agent/src/mailer.rs`: one letter at a time, some tried again.

use crate::message::{Body, NoAnswer};
use odeon_runtime::NodeId;
use std::collections::VecDeque;

/// Letters that may wait for one executor.
const LETTERS_MAX: usize = 4096;
const ATTEMPTS_MAX: u32 = 4;
pub(super) const RETRY_WAIT_US: u64 = 500_000;

/// The way to one executor.
#[derive(Debug)]
pub(super) struct Mailer {
    pub(super) number: u64,
    pub(super) node: NodeId,
    letters: VecDeque<Body>,
    attempts: u32,
    /// The first letter is on its way, or waits to be tried again.
    busy: bool,
    broken: bool,
}

/// What follows when the first letter was answered, or not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The next one can go.
    Next,
    /// It is tried again after a wait.
    Again,
    /// The executor does not take a task.
    Broken,
}

impl Mailer {
    pub(super) fn new(number: u64, node: NodeId) -> Self {
        Self { number, node, letters: VecDeque::new(), attempts: 0, busy: false, broken: false }
    }

    /// Takes a letter; false if too many wait, or none is delivered any more.
    pub(super) fn post(&mut self, letter: Body) -> bool {
        let taken = !self.broken && self.letters.len() < LETTERS_MAX;
        if taken {
            self.letters.push_back(letter);
        }
        taken
    }

    /// The letter that goes now, if none is on its way.
    pub(super) fn next(&mut self) -> Option<Body> {
        if self.busy || self.broken {
            return None;
        }
        self.attempts += 1;
        self.busy = !self.letters.is_empty();
        self.letters.front().cloned()
    }

    pub(super) fn on_answered(&mut self, failed: Option<NoAnswer>) -> Delivery {
        let retries = !matches!(self.letters.front(), Some(Body::ShutdownExecutor(_)));
        if failed.is_some() && retries && self.attempts < ATTEMPTS_MAX {
            return Delivery::Again;
        }
        let letter = self.letters.pop_front();
        self.busy = false;
        self.attempts = 0;
        if failed.is_some() && matches!(letter, Some(Body::RunTask(_))) {
            self.broken = true;
            return Delivery::Broken;
        }
        Delivery::Next
    }

    /// The wait before another attempt is over.
    pub(super) fn on_retry(&mut self) {
        self.busy = false;
    }
}
