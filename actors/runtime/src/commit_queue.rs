//! `CommitQueue`: which record to write now, and which effects may leave. Pure ordering, no IO.
//!
//! Whether a write succeeded is the shell's business; see `committer.rs`.

use crate::outbox::{Emission, Outbox};
use std::collections::VecDeque;

/// A place in the order of records: everything up to it is durable, or not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Durable(u64);

/// Records to write together, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteBatch<R> {
    /// What to report to [`CommitQueue::on_durable`] once they are written.
    pub up_to: Durable,
    /// The records.
    pub records: Vec<R>,
}

/// Holds effects back until the records emitted before them are durable.
#[derive(Debug)]
pub struct CommitQueue<E, R> {
    /// Effects in order, each with the place that must be durable first.
    held: VecDeque<(Durable, E)>,
    unwritten: Vec<R>,
    emitted: Durable,
    writing: Option<Durable>,
    durable: Durable,
}

impl<E, R> CommitQueue<E, R> {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self { held: VecDeque::new(), unwritten: Vec::new(), emitted: Durable(0), writing: None, durable: Durable(0) }
    }

    /// Takes in what a handler emitted. Returns the effects that may leave now, and the place that
    /// must be durable before the handler's reply may.
    #[must_use = "effects may leave and the reply may have to wait"]
    pub fn push(&mut self, outbox: Outbox<E, R>) -> (Vec<E>, Durable) {
        for emission in outbox.into_emissions() {
            match emission {
                Emission::Send(effect) => self.held.push_back((self.emitted, effect)),
                Emission::Write(record) => {
                    self.emitted.0 += 1;
                    self.unwritten.push(record);
                }
            }
        }
        (self.release(), self.emitted)
    }

    /// The next write: all that has gathered, or nothing while one is under way.
    pub fn next_write(&mut self) -> Option<WriteBatch<R>> {
        if self.writing.is_some() || self.unwritten.is_empty() {
            return None;
        }
        self.writing = Some(self.emitted);
        Some(WriteBatch { up_to: self.emitted, records: std::mem::take(&mut self.unwritten) })
    }

    /// The write under way is durable. Returns the effects that may leave now, in order.
    ///
    /// # Panics
    /// If that write is not under way, which is a bug of the caller.
    #[must_use = "effects may leave"]
    pub fn on_durable(&mut self, up_to: Durable) -> Vec<E> {
        assert_eq!(self.writing.take(), Some(up_to), "a write ended that had not begun");
        self.durable = up_to;
        self.release()
    }

    /// Whether a place is durable.
    #[must_use]
    pub fn is_durable(&self, place: Durable) -> bool {
        place <= self.durable
    }

    fn release(&mut self) -> Vec<E> {
        let count = self.held.iter().take_while(|(after, _)| *after <= self.durable).count();
        self.held.drain(..count).map(|(_, effect)| effect).collect()
    }
}

impl<E, R> Default for CommitQueue<E, R> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outbox(emissions: &[Emission<u32, u32>]) -> Outbox<u32, u32> {
        let mut outbox = Outbox::new();
        for emission in emissions {
            match emission {
                Emission::Send(effect) => outbox.send(*effect),
                Emission::Write(record) => outbox.write(*record),
            }
        }
        outbox
    }

    #[test]
    fn effects_of_later_handlers_queue_behind_an_unfinished_write() {
        let mut queue = CommitQueue::new();
        let (released, reply) = queue.push(outbox(&[Emission::Send(1), Emission::Write(10), Emission::Send(2)]));
        assert_eq!(released, vec![1]);
        assert!(!queue.is_durable(reply));
        let write = queue.next_write().unwrap();
        let (released, later_reply) = queue.push(outbox(&[Emission::Send(3)]));
        assert_eq!((released, later_reply), (vec![], reply));
        assert_eq!(queue.on_durable(write.up_to), vec![2, 3]);
        assert!(queue.is_durable(reply));
    }

    #[test]
    fn records_that_gather_during_a_write_are_written_together() {
        let mut queue = CommitQueue::<u32, u32>::new();
        let _ = queue.push(outbox(&[Emission::Write(1)]));
        let first = queue.next_write().unwrap();
        let _ = queue.push(outbox(&[Emission::Write(2)]));
        let _ = queue.push(outbox(&[Emission::Write(3)]));
        assert_eq!(queue.next_write(), None);
        let _ = queue.on_durable(first.up_to);
        assert_eq!(queue.next_write().unwrap().records, vec![2, 3]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(Vec<bool>),
        Write,
        Finish,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let push = proptest::collection::vec(any::<bool>(), 0..5).prop_map(Step::Push);
        proptest::collection::vec(prop_oneof![2 => push, 1 => Just(Step::Write), 1 => Just(Step::Finish)], 0..40)
    }

    proptest! {
        /// Every emission has its number in the order; a journal of finished writes is kept beside the queue.
        #[test]
        fn no_effect_leaves_before_an_earlier_write_is_durable_and_order_is_kept(steps in steps()) {
            let mut queue = CommitQueue::new();
            let (mut number, mut all, mut left, mut written) = (0, Vec::new(), Vec::new(), Vec::new());
            let mut under_way: Option<WriteBatch<u32>> = None;
            for step in steps.into_iter().chain([Step::Finish, Step::Write, Step::Finish]) {
                let released = match step {
                    Step::Push(is_write) => {
                        let emissions: Vec<_> = is_write.iter().map(|is_write| {
                            number += 1;
                            if *is_write { Emission::Write(number) } else { Emission::Send(number) }
                        }).collect();
                        all.extend(emissions.clone());
                        queue.push(outbox(&emissions)).0
                    }
                    Step::Write => { under_way = queue.next_write().or(under_way); vec![] }
                    Step::Finish => under_way.take().map_or(vec![], |batch| {
                        written.extend(batch.records);
                        queue.on_durable(batch.up_to)
                    }),
                };
                for effect in released {
                    let earlier: Vec<u32> = all.iter().filter_map(|e| match e {
                        Emission::Write(record) if *record < effect => Some(*record),
                        _ => None,
                    }).collect();
                    prop_assert!(written.starts_with(&earlier), "{effect} left before {earlier:?} was durable");
                    left.push(effect);
                }
            }
            let sends: Vec<u32> = all.iter().filter_map(|e| if let Emission::Send(n) = e { Some(*n) } else { None }).collect();
            prop_assert_eq!(left, sends, "every effect leaves once, in order");
        }
    }
}
