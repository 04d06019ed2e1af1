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
pub struct HeldAnswers<T>(Rc<RefCell<BTreeMap<QuestionId, oneshot::Sender<T>>>>);

impl<T: 'static> HeldAnswers<T> {
    /// The reply to a question that is held from now on.
    #[must_use]
    pub fn later(&self, id: QuestionId) -> Reply<T> {
        let (answer, answered) = oneshot::channel();
        self.0.borrow_mut().insert(id, answer);
        Reply::later(async move {
            match answered.await {
                Ok(answer) => answer,
                // The actor that held it has ended, which its asker hears in another way.
                Err(_) => std::future::pending().await,
            }
        })
    }

    /// Answers a question; nobody minds if the asker has gone.
    pub fn give(&self, id: QuestionId, answer: T) {
        if let Some(waiting) = self.0.borrow_mut().remove(&id) {
            let _ = waiting.send(answer);
        }
    }
}

impl<T> Default for HeldAnswers<T> {
    fn default() -> Self {
        Self(Rc::default())
    }
}

impl<T> Clone for HeldAnswers<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> fmt::Debug for HeldAnswers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.borrow().keys()).finish()
    }
}
