//! Links on an event clock: who sends has a line of its own for sending, and one for receiving; a message takes each for
//! its bytes, and the delay between them.
//!
//! Times are in nanoseconds, as whole numbers: the same on every host.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::nanoseconds;

/// What somebody hears, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Heard {
    pub(super) at: u64,
    pub(super) to: usize,
    pub(super) from: usize,
    /// What the sender makes of it.
    pub(super) tag: u64,
}

/// A message at one of the two lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: u64,
    /// Of two at the same time the one that was made first.
    sequence: u64,
    step: Step,
    to: usize,
    from: usize,
    tag: u64,
    bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// It can leave.
    Leave,
    /// Its first byte is at the receiver.
    Arrive,
    /// All of it is there, or what was waited for is done.
    Hear,
}

/// Everybody's lines.
#[derive(Debug)]
pub(super) struct Network {
    delay: u64,
    bandwidth: u64,
    sending_until: Vec<u64>,
    receiving_until: Vec<u64>,
    bytes: Vec<u64>,
    events: BinaryHeap<Reverse<Event>>,
    sequence: u64,
}

impl Network {
    pub(super) fn new(members: usize, delay: Duration, bandwidth: u64) -> Self {
        Self {
            delay: nanoseconds(delay),
            bandwidth,
            sending_until: vec![0; members],
            receiving_until: vec![0; members],
            bytes: vec![0; members],
            events: BinaryHeap::new(),
            sequence: 0,
        }
    }

    /// A message that can leave at a time.
    pub(super) fn send(&mut self, at: u64, from: usize, to: usize, bytes: u64, tag: u64) {
        self.push(Event { at, sequence: 0, step: Step::Leave, to, from, tag, bytes });
    }

    /// What a message takes if both lines are free; its bytes are counted.
    pub(super) fn alone(&mut self, from: usize, to: usize, bytes: u64) -> u64 {
        self.bytes[from] += bytes;
        self.bytes[to] += bytes;
        self.delay + self.takes(bytes)
    }

    /// How long a message keeps a line.
    fn takes(&self, bytes: u64) -> u64 {
        u64::try_from(u128::from(bytes) * 1_000_000_000 / u128::from(self.bandwidth)).unwrap_or(u64::MAX)
    }

    /// Tells somebody something at a time, over no link.
    pub(super) fn wake(&mut self, at: u64, to: usize, tag: u64) {
        self.push(Event { at, sequence: 0, step: Step::Hear, to, from: to, tag, bytes: 0 });
    }

    /// The next thing that is heard; nothing if nothing is under way.
    pub(super) fn next(&mut self) -> Option<Heard> {
        loop {
            let Reverse(event) = self.events.pop()?;
            let Event { at, to, from, tag, bytes, .. } = event;
            let takes = self.takes(bytes);
            match event.step {
                Step::Leave => {
                    let begins = at.max(self.sending_until[from]);
                    self.sending_until[from] = begins + takes;
                    self.bytes[from] += bytes;
                    self.push(Event { at: begins + self.delay, step: Step::Arrive, ..event });
                }
                Step::Arrive => {
                    let begins = at.max(self.receiving_until[to]);
                    self.receiving_until[to] = begins + takes;
                    self.bytes[to] += bytes;
                    self.push(Event { at: begins + takes, step: Step::Hear, ..event });
                }
                Step::Hear => return Some(Heard { at, to, from, tag }),
            }
        }
    }

    /// Sent by all, and through the busiest.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.bytes.iter().sum::<u64>() / 2, self.bytes.iter().copied().max().unwrap_or(0))
    }

    fn push(&mut self, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse(Event { sequence: self.sequence, ..event }));
    }
}
