//! `Reply<T>`: what a handler answers, at once or when a future ends.

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Actor, Message};
use futures_util::future::LocalBoxFuture;
use std::fmt;

/// The reply of a handler: known already, or the end of a future that runs on the actor's arbiter.
///
/// What is known already leaves at once, without a task. All futures are one kind of task, however many kinds of
/// replies there are: actix's own `ResponseFuture` has a kind for each, and each is compiled.
pub struct Reply<T>(State<T>);

enum State<T> {
    Now(T),
    Later(LocalBoxFuture<'static, T>),
}

impl<T: 'static> Reply<T> {
    /// A reply that is known.
    #[must_use]
    pub fn now(value: T) -> Self {
        Self(State::Now(value))
    }

    /// What the future ends with; if it never ends, the asker sees a timeout or the end of the actor.
    #[must_use]
    pub fn later(value: impl Future<Output = T> + 'static) -> Self {
        Self(State::Later(Box::pin(value)))
    }

    /// Waits for the reply, for a handler whose own reply depends on it.
    pub async fn wait(self) -> T {
        match self.0 {
            State::Now(value) => value,
            State::Later(value) => value.await,
        }
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Now(_) => "Reply::now",
            State::Later(_) => "Reply::later",
        })
    }
}

impl<A: Actor, M: Message<Result: 'static>> MessageResponse<A, M> for Reply<M::Result> {
    fn handle(self, _: &mut A::Context, asker: Option<OneshotSender<M::Result>>) {
        // An asker that is gone needs no reply.
        let answer = |value| drop(asker.map(|asker| asker.send(value)));
        match self.0 {
            State::Now(value) => answer(value),
            State::Later(value) => {
                let task: LocalBoxFuture<'static, ()> = Box::pin(async move { answer(value.await) });
                actix_rt::spawn(task);
            }
        }
    }
}
