//! `HeldQuestions<Q>`: questions that are answered when what they ask about has changed, or when they were held long enough.
//!
//! Pure: whoever holds them says what has changed and what time it is. The askers wait in
//! [`HeldAnswers`](crate::HeldAnswers). Who asks again after each answer misses nothing for long, and nobody keeps a list
//! of subscribers.

use std::collections::BTreeMap;
use std::time::Duration;

/// Names a question that is held.
pub type QuestionId = u64;

/// What a core makes of a question for changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold<T> {
    /// It is answered at once.
    Answered(T),
    /// It is held; the answer comes later, under this number.
    Held(QuestionId),
}

/// Questions that wait for a change, at most so many.
#[derive(Debug)]
pub struct HeldQuestions<Q> {
    capacity: usize,
    next: QuestionId,
    held: BTreeMap<QuestionId, (Duration, Q)>,
}

impl<Q> HeldQuestions<Q> {
    /// Holds at most `capacity`.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { capacity, next: 0, held: BTreeMap::new() }
    }

    /// Holds a question until then, unless it is answered before; none if too many are held.
    pub fn hold(&mut self, question: Q, until: Duration) -> Option<QuestionId> {
        if self.held.len() >= self.capacity {
            return None;
        }
        self.next += 1;
        self.held.insert(self.next, (until, question));
        Some(self.next)
    }

    /// Takes the questions that a change answers.
    pub fn take_if(&mut self, is_answered: impl Fn(&Q) -> bool) -> Vec<(QuestionId, Q)> {
        self.take(|_, question| is_answered(question))
    }

    /// Takes the questions that were held long enough.
    pub fn take_due(&mut self, now: Duration) -> Vec<(QuestionId, Q)> {
        self.take(|until, _| until <= now)
    }

    /// When the first of them was held long enough.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.held.values().map(|(until, _)| *until).min()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn take(&mut self, is_taken: impl Fn(Duration, &Q) -> bool) -> Vec<(QuestionId, Q)> {
        let taken = self.held.extract_if(.., |_, (until, question)| is_taken(*until, question));
        taken.map(|(id, (_, question))| (id, question)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_question_is_taken_once_by_a_change_or_by_its_time() {
        let mut held = HeldQuestions::new(3);
        let ids: Vec<_> =
            ["a", "b", "a"].into_iter().zip([5, 7, 9]).map(|(q, s)| held.hold(q, at(s)).unwrap()).collect();
        assert_eq!(held.hold("c", at(1)), None, "there is room for three");
        assert_eq!(held.next_deadline(), Some(at(5)));
        assert_eq!(held.take_if(|question| *question == "a"), [(ids[0], "a"), (ids[2], "a")]);
        assert_eq!(held.take_due(at(6)), []);
        assert_eq!(held.take_due(at(7)), [(ids[1], "b")]);
        assert!(held.is_empty() && held.next_deadline().is_none());
        assert!(held.hold("c", at(1)).unwrap() > ids[2], "no number is used twice");
    }
}
