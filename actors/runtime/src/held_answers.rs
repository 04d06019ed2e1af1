//! `HeldAnswers<T>`: the askers behind the questions that a core holds.

use crate::held::QuestionId;
use crate::reply::Reply;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use tokio::sync::oneshot;

/// Those who wait for an answer to a question of [`HeldQuestions`](crate::HeldQuestions). Clones are the same ones. Lives
/// on one arbiter.
pub struct HeldAnswers<T> {
    waiting: Rc<RefCell<BTreeMap<QuestionId, oneshot::Sender<T>>>>,
    /// What those are told who still wait when this is dropped.
    ended: fn() -> T,
}

impl<T: 'static> HeldAnswers<T> {
    /// Nobody waits yet. `ended` is what they are told if the one who holds their questions ends first.
    #[must_use]
    pub fn new(ended: fn() -> T) -> Self {
        Self { waiting: Rc::default(), ended }
    }

    /// The reply to a question that is held from now on.
    #[must_use]
    pub fn later(&self, id: QuestionId) -> Reply<T> {
        let (answer, answered) = oneshot::channel();
        self.waiting.borrow_mut().insert(id, answer);
        let ended = self.ended;
        Reply::later(async move { answered.await.unwrap_or_else(|_| ended()) })
    }

    /// Answers a question; nobody minds if the asker has gone.
    pub fn give(&self, id: QuestionId, answer: T) {
        if let Some(waiting) = self.waiting.borrow_mut().remove(&id) {
            let _ = waiting.send(answer);
        }
    }
}

impl<T> Clone for HeldAnswers<T> {
    fn clone(&self) -> Self {
        Self { waiting: Rc::clone(&self.waiting), ended: self.ended }
    }
}

impl<T> fmt::Debug for HeldAnswers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.waiting.borrow().keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn who_waits_is_answered_or_told_that_the_holder_has_ended() {
        let answers = HeldAnswers::new(|| "ended");
        let (first, second) = (answers.later(1), answers.later(2));
        answers.give(1, "answer");
        drop(answers);
        assert_eq!((first.wait().await, second.wait().await), ("answer", "ended"));
    }
}
