//! What has arrived for a subscriber and was not taken yet: bounded, in the order of each publisher, with what was missed.
//!
//! Pure. What was missed is told before the next message of the same publisher, or once all that waits was taken.

use odeon_protocol::messages::topics::{Published, PublisherId};
use std::collections::{BTreeMap, VecDeque};

/// The most publishers that are remembered; of one that was forgotten a gap is not seen.
const PUBLISHERS_MAX: usize = 1024;

/// What a subscriber takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The body of a message.
    Message(PublisherId, Vec<u8>),
    /// So many messages of a publisher are missing here.
    Missed(PublisherId, u64),
}

/// What is known of a publisher.
#[derive(Debug, Default)]
struct Heard {
    /// The number of the last message that has arrived.
    last: u64,
    /// Messages that were missed since the last one that was put in.
    missed: u64,
    /// When it was heard last, counted in messages.
    at: u64,
}

/// The messages that wait for one subscriber.
#[derive(Debug)]
pub(crate) struct TopicInbox {
    capacity: usize,
    arrivals: VecDeque<Arrival>,
    /// How many of them are messages.
    waiting: usize,
    publishers: BTreeMap<PublisherId, Heard>,
    count: u64,
}

impl TopicInbox {
    /// Holds at most so many messages, one at least.
    pub(crate) fn new(capacity: usize) -> Self {
        let (arrivals, publishers) = (VecDeque::new(), BTreeMap::new());
        Self { capacity: capacity.max(1), arrivals, waiting: 0, publishers, count: 0 }
    }

    /// Takes a message in, or notes that it was missed.
    pub(crate) fn put(&mut self, published: Published) {
        let Published { publisher, number, body } = published;
        self.count += 1;
        let is_known = self.publishers.contains_key(&publisher);
        if !is_known {
            self.make_room();
        }
        let heard = self.publishers.entry(publisher.clone()).or_default();
        if is_known && number <= heard.last {
            return;
        }
        // Of one that was not heard before nothing is missing: its earlier messages were for others.
        heard.missed += if is_known { number - heard.last - 1 } else { 0 };
        (heard.last, heard.at) = (number, self.count);
        if self.waiting >= self.capacity {
            heard.missed += 1;
            return;
        }
        match std::mem::take(&mut heard.missed) {
            0 => {}
            missed => self.arrivals.push_back(Arrival::Missed(publisher.clone(), missed)),
        }
        self.waiting += 1;
        self.arrivals.push_back(Arrival::Message(publisher, body));
    }

    /// Takes out what comes next.
    pub(crate) fn take(&mut self) -> Option<Arrival> {
        if let Some(arrival) = self.arrivals.pop_front() {
            self.waiting -= usize::from(matches!(arrival, Arrival::Message(..)));
            return Some(arrival);
        }
        let (publisher, heard) = self.publishers.iter_mut().find(|(_, heard)| heard.missed > 0)?;
        Some(Arrival::Missed(publisher.clone(), std::mem::take(&mut heard.missed)))
    }

    fn make_room(&mut self) {
        if self.publishers.len() < PUBLISHERS_MAX {
            return;
        }
        let longest_ago = self.publishers.iter().min_by_key(|(_, heard)| heard.at).map(|(id, _)| id.clone());
        if let Some(id) = longest_ago {
            self.publishers.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publisher(number: u64) -> PublisherId {
        PublisherId { node: "n".into(), incarnation: 1, number }
    }

    fn inbox(capacity: usize, arriving: &[(u64, u64)]) -> TopicInbox {
        let mut inbox = TopicInbox::new(capacity);
        for (from, number) in arriving {
            inbox.put(Published { publisher: publisher(*from), number: *number, body: vec![*number as u8] });
        }
        inbox
    }

    fn all(inbox: &mut TopicInbox) -> Vec<Arrival> {
        std::iter::from_fn(|| inbox.take()).collect()
    }

    fn message(from: u64, number: u8) -> Arrival {
        Arrival::Message(publisher(from), vec![number])
    }

    #[test]
    fn a_gap_is_told_before_the_message_behind_it() {
        let mut inbox = inbox(9, &[(1, 5), (1, 6), (2, 1), (1, 9)]);
        let missed = Arrival::Missed(publisher(1), 2);
        assert_eq!(all(&mut inbox), [message(1, 5), message(1, 6), message(2, 1), missed, message(1, 9)]);
    }

    #[test]
    fn what_finds_no_room_is_told_once_all_that_waits_was_taken() {
        let mut inbox = inbox(2, &[(1, 1), (1, 2), (1, 3), (1, 4)]);
        assert_eq!(all(&mut inbox), [message(1, 1), message(1, 2), Arrival::Missed(publisher(1), 2)]);
        inbox.put(Published { publisher: publisher(1), number: 5, body: vec![5] });
        assert_eq!(all(&mut inbox), [message(1, 5)], "it is told once");
    }

    #[test]
    fn what_was_heard_already_is_not_heard_again() {
        assert_eq!(all(&mut inbox(9, &[(1, 1), (1, 2), (1, 2), (1, 1)])), [message(1, 1), message(1, 2)]);
    }

    #[test]
    fn messages_that_wait_and_publishers_that_are_remembered_are_bounded() {
        let mut inbox = inbox(10, &[]);
        for number in 1..=100 {
            for from in 0..2 * PUBLISHERS_MAX as u64 {
                inbox.put(Published { publisher: publisher(from), number: 2 * number, body: Vec::new() });
            }
        }
        assert_eq!((inbox.waiting, inbox.publishers.len()), (10, PUBLISHERS_MAX));
        assert!(inbox.arrivals.len() <= 20);
    }
}
