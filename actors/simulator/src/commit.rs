//! The journal of a process: the real commit queue over a disk on which writes take time.
//!
//! Keeps its own count of what each effect and answer waits for, so that the queue is checked, not believed.

use crate::defect::Defect;
use crate::message::{Reply, ReplyTo};
use odeon_runtime::{CommitQueue, Durable, Emission, Outbox, WriteBatch};
use std::collections::VecDeque;

/// An answer that waits for records.
#[derive(Debug)]
struct Waiting {
    place: Durable,
    /// Records emitted before it, by our own count.
    after: u64,
    to: Option<ReplyTo>,
    reply: Reply,
}

/// Something has left before a record on which it depends was durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftTooEarly {
    /// Records that had to be durable.
    pub(crate) needed: u64,
    /// Records that were.
    pub(crate) durable: u64,
}

/// What may leave now, in order.
#[derive(Debug)]
pub(crate) struct Released<E> {
    pub(crate) effects: Vec<E>,
    pub(crate) replies: Vec<(Option<ReplyTo>, Reply)>,
    pub(crate) too_early: Option<LeftTooEarly>,
}

/// Commits what one core emits.
#[derive(Debug)]
pub(crate) struct Commits<E, R> {
    queue: CommitQueue<E, R>,
    waiting: VecDeque<Waiting>,
    writing: Option<WriteBatch<R>>,
    emitted: u64,
    durable: u64,
    /// For each effect that is held back, how many records were emitted before it.
    needs: VecDeque<u64>,
}

impl<E, R> Commits<E, R> {
    pub(crate) fn new() -> Self {
        Self {
            queue: CommitQueue::new(),
            waiting: VecDeque::new(),
            writing: None,
            emitted: 0,
            durable: 0,
            needs: VecDeque::new(),
        }
    }

    /// Takes in what a handler emitted, and its answer.
    pub(crate) fn push(&mut self, outbox: Outbox<E, R>, reply: Option<(Option<ReplyTo>, Reply)>) -> Released<E> {
        for emission in outbox.emissions() {
            match emission {
                Emission::Send(_) => self.needs.push_back(self.emitted),
                Emission::Write(_) => self.emitted += 1,
            }
        }
        let outbox = if Defect::EffectBeforeDurable.is_on() { effects_first(outbox) } else { outbox };
        let (effects, place) = self.queue.push(outbox);
        if let Some((to, reply)) = reply {
            self.waiting.push_back(Waiting { place, after: self.emitted, to, reply });
        }
        self.release(effects)
    }

    /// Begins the next write, if there is one and none is under way.
    pub(crate) fn begin_write(&mut self) -> bool {
        if self.writing.is_some() {
            return false;
        }
        self.writing = self.queue.next_write();
        self.writing.is_some()
    }

    /// The write under way is durable: its records, and what may leave now.
    pub(crate) fn on_durable(&mut self) -> Option<(Vec<R>, Released<E>)> {
        let WriteBatch { up_to, records } = self.writing.take()?;
        self.durable += records.len() as u64;
        let effects = self.queue.on_durable(up_to);
        Some((records, self.release(effects)))
    }

    /// The process has died: what was being written, of which any first part may be on disk.
    pub(crate) fn into_unfinished(self) -> Vec<R> {
        self.writing.map(|batch| batch.records).unwrap_or_default()
    }

    fn release(&mut self, effects: Vec<E>) -> Released<E> {
        let mut needed = 0;
        for _ in &effects {
            needed = needed.max(self.needs.pop_front().unwrap_or(0));
        }
        let mut replies = Vec::new();
        while let Some(first) = self.waiting.front() {
            if !self.queue.is_durable(first.place) && !Defect::AckBeforeDurable.is_on() {
                break;
            }
            let Some(Waiting { after, to, reply, .. }) = self.waiting.pop_front() else { break };
            needed = needed.max(after);
            replies.push((to, reply));
        }
        let too_early = (needed > self.durable).then_some(LeftTooEarly { needed, durable: self.durable });
        Released { effects, replies, too_early }
    }
}

/// What a shell does that has not understood the order of an outbox.
fn effects_first<E, R>(outbox: Outbox<E, R>) -> Outbox<E, R> {
    let (mut sorted, mut records) = (Outbox::new(), Vec::new());
    for emission in outbox.into_emissions() {
        match emission {
            Emission::Send(effect) => sorted.send(effect),
            Emission::Write(record) => records.push(record),
        }
    }
    records.into_iter().for_each(|record| sorted.write(record));
    sorted
}
