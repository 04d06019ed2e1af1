//! The inbox of a supervised actor: what peers send it, in runs.
//!
//! A mailbox of actix takes a box, an envelope and a place in its queue for each message, which costs more than all the
//! rest of a small tell. The context of a supervised actor is begun here, so a future of that context may empty a queue
//! of our own: it has the actor and its context in hand and calls the handlers in a loop, for a whole run of messages
//! that came with one read of a link. Order, bounds and ends are those of a mailbox. What is sent to the address of the
//! actor, past all peers, does not come here.

use crate::fabric::lock;
use actix::dev::{MessageResponse, OneshotSender};
use actix::fut::ActorFuture;
use actix::{Actor, AsyncContext, Context, Handler, Message};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, Waker};

/// Messages that an actor handles before others of its thread have a turn.
const MESSAGES_PER_TURN: usize = 512;

/// Messages for an actor that wait together.
pub(crate) trait Item<A: Actor>: Send {
    /// Handles the next message; false if there is none.
    fn handle_next(&mut self, actor: &mut A, context: &mut A::Context) -> bool;
    /// How many messages there are.
    fn len(&self) -> usize;
}

struct State<A: Actor> {
    items: VecDeque<Box<dyn Item<A>>>,
    /// Set while the actor has nothing to do.
    waker: Option<Waker>,
    /// Set once nobody is left who could send.
    closed: bool,
    /// Set once the actor is gone.
    ended: bool,
}

struct Shared<A: Actor> {
    state: Mutex<State<A>>,
    /// Messages that have not been handled.
    waiting: AtomicUsize,
    capacity: usize,
}

/// The senders' end of an inbox; with the last one the inbox closes.
pub(crate) struct Inbox<A: Actor>(Arc<Shared<A>>);

impl<A: Actor> Inbox<A> {
    /// An inbox for so many tells, and what empties it.
    pub(crate) fn new(capacity: usize) -> (Arc<Self>, Drain<A>) {
        let state = State { items: VecDeque::new(), waker: None, closed: false, ended: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), waiting: AtomicUsize::new(0), capacity });
        (Arc::new(Self(Arc::clone(&shared))), Drain { shared, items: VecDeque::new() })
    }

    /// How many more tells it takes before it is full.
    pub(crate) fn room(&self) -> usize {
        self.0.capacity.saturating_sub(self.0.waiting.load(Ordering::Relaxed))
    }

    /// Puts messages in, whether there is room or not; false if the actor is gone.
    pub(crate) fn put(&self, item: Box<dyn Item<A>>) -> bool {
        let mut state = lock(&self.0.state);
        if state.ended {
            return false;
        }
        self.0.waiting.fetch_add(item.len(), Ordering::Relaxed);
        state.items.push_back(item);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        true
    }
}

impl<A: Actor> Drop for Inbox<A> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.closed = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Empties an inbox: a future of the context of its actor. It ends when the inbox is closed and empty.
pub(crate) struct Drain<A: Actor> {
    shared: Arc<Shared<A>>,
    /// Taken out of the inbox.
    items: VecDeque<Box<dyn Item<A>>>,
}

impl<A: Actor> Drain<A> {
    /// Takes out all there is.
    fn refill(&mut self, task: &task::Context<'_>) -> Poll<bool> {
        let mut state = lock(&self.shared.state);
        std::mem::swap(&mut state.items, &mut self.items);
        if !self.items.is_empty() {
            return Poll::Ready(true);
        }
        if state.closed {
            return Poll::Ready(false);
        }
        state.waker = Some(task.waker().clone());
        Poll::Pending
    }

    /// Handles messages of the first item; how many, which is none if none were left.
    fn handle_some(&mut self, actor: &mut A, context: &mut Context<A>, count_max: usize) -> usize
    where
        A: Actor<Context = Context<A>>,
    {
        let Some(item) = self.items.front_mut() else { return 0 };
        let mut count = 0;
        // An actor that waits for a future of its own, or stops, hears nothing meanwhile.
        while count < count_max && !context.waiting() {
            if !item.handle_next(actor, context) {
                self.items.pop_front();
                break;
            }
            count += 1;
        }
        self.shared.waiting.fetch_sub(count, Ordering::Relaxed);
        count
    }
}

impl<A: Actor<Context = Context<A>>> ActorFuture<A> for Drain<A> {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut A,
        context: &mut Context<A>,
        task: &mut task::Context<'_>,
    ) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut left = MESSAGES_PER_TURN;
        while !context.waiting() {
            if left == 0 {
                task.waker().wake_by_ref();
                break;
            }
            if this.items.is_empty() {
                match this.refill(task) {
                    Poll::Ready(true) => {}
                    Poll::Ready(false) => return Poll::Ready(()),
                    Poll::Pending => break,
                }
            }
            left -= this.handle_some(actor, context, left);
        }
        Poll::Pending
    }
}

impl<A: Actor> Drop for Drain<A> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.ended = true;
        let lost = std::mem::take(&mut state.items);
        drop(state);
        // Whoever hears of it may send again, so not under the lock.
        drop(lost);
    }
}

/// Tells of one kind that came together.
pub(crate) struct Tells<T> {
    messages: VecDeque<T>,
    /// Dropped once all have been handled or never will be.
    _until: Option<OneshotSender<()>>,
}

impl<T> Tells<T> {
    pub(crate) fn new(messages: VecDeque<T>, until: Option<OneshotSender<()>>) -> Self {
        Self { messages, _until: until }
    }
}

impl<A, T> Item<A> for Tells<T>
where
    A: Actor + Handler<T>,
    T: Message + Send,
{
    fn handle_next(&mut self, actor: &mut A, context: &mut A::Context) -> bool {
        let Some(message) = self.messages.pop_front() else { return false };
        Handler::handle(actor, message, context).handle(context, None);
        true
    }

    fn len(&self) -> usize {
        self.messages.len()
    }
}

/// A message that came alone, with whoever waits for its reply.
pub(crate) struct One<T: Message>(Option<(T, Option<OneshotSender<T::Result>>)>);

impl<T: Message> One<T> {
    pub(crate) fn new(message: T, asker: Option<OneshotSender<T::Result>>) -> Self {
        Self(Some((message, asker)))
    }
}

impl<A, T> Item<A> for One<T>
where
    A: Actor + Handler<T>,
    T: Message<Result: Send> + Send,
{
    fn handle_next(&mut self, actor: &mut A, context: &mut A::Context) -> bool {
        let Some((message, asker)) = self.0.take() else { return false };
        let is_taken_back = asker.as_ref().is_some_and(OneshotSender::is_closed);
        if !is_taken_back {
            Handler::handle(actor, message, context).handle(context, asker);
        }
        true
    }

    fn len(&self) -> usize {
        usize::from(self.0.is_some())
    }
}
