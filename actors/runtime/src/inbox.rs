//! The inbox of a supervised actor: what peers send it, in runs.
//!
//! A mailbox of actix takes a box, an envelope and a place in its queue for each message, which costs more than all the
//! rest of a small tell. The context of a supervised actor is begun here, so a future of that context may empty a queue
//! of our own: it has the actor and its context in hand and calls the handlers in a loop, for a whole run of messages
//! that came with one read of a link. Order, bounds and ends are those of a mailbox. What is sent to the address of the
//! actor, past all peers, does not come here.

use crate::answering::ReplyTo;
use crate::fabric::lock;
use crate::figures::Counts;
use actix::dev::{MessageResponse, OneshotSender};
use actix::fut::ActorFuture;
use actix::{Actor, AsyncContext, Context, Handler, Message};
use odeon_protocol::wire::RemoteMessage;
use std::any::Any;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, Waker};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::Instant;

/// Messages that an actor handles before others of its thread have a turn.
const MESSAGES_PER_TURN: usize = 512;

/// Tells that are gathered into one run, at most.
pub(crate) const RUN_MESSAGES_MAX: usize = 512;

/// Messages for an actor that wait together; at least one.
pub(crate) trait Item<A: Actor>: Any + Send {
    /// Handles the next message; false if it was the last.
    fn handle_next(&mut self, actor: &mut A, context: &mut A::Context, counts: &Counts) -> bool;
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
    counts: Arc<Counts>,
    capacity: usize,
}

/// The senders' end of an inbox; with the last one the inbox closes.
pub(crate) struct Inbox<A: Actor>(Arc<Shared<A>>);

impl<A: Actor> Inbox<A> {
    /// An inbox for so many tells, and what empties it. The counts go on from an earlier run of the actor.
    pub(crate) fn new(capacity: usize, counts: Arc<Counts>) -> (Arc<Self>, Drain<A>) {
        counts.on_start();
        let state = State { items: VecDeque::new(), waker: None, closed: false, ended: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), counts, capacity });
        (Arc::new(Self(Arc::clone(&shared))), Drain { shared, items: VecDeque::new() })
    }

    /// How many more tells it takes before it is full.
    pub(crate) fn room(&self) -> usize {
        self.0.capacity.saturating_sub(usize::try_from(self.0.counts.waiting()).unwrap_or(usize::MAX))
    }

    /// Puts messages in, whether there is room or not; false if the actor is gone.
    pub(crate) fn put(&self, item: Box<dyn Item<A>>) -> bool {
        self.add(item.len(), |items| items.push_back(item))
    }

    /// Puts a tell in, whether there is room or not, with those that came before it if they are of its kind; false if
    /// the actor is gone.
    pub(crate) fn tell<T>(&self, message: T) -> bool
    where
        A: Handler<T>,
        T: Message + Send + 'static,
    {
        self.add(1, |items| {
            let last = items.back_mut().and_then(|item| (&mut **item as &mut dyn Any).downcast_mut::<Tells<T>>());
            match last.filter(|tells| tells.0.len() < RUN_MESSAGES_MAX) {
                Some(tells) => tells.0.push_back(message),
                None => items.push_back(Box::new(Tells(VecDeque::from([message])))),
            }
        })
    }

    /// Puts an ask of another node in, whether there is room or not, with those that came before it if they are of its
    /// kind. If the actor is gone, its asker hears so.
    pub(crate) fn ask_from_afar<M, T>(&self, message: T, to: ReplyTo)
    where
        A: Handler<T>,
        M: RemoteMessage,
        T: Message<Result = M::Result> + Send + 'static,
    {
        self.add(1, |items| {
            let last = items.back_mut().and_then(|item| (&mut **item as &mut dyn Any).downcast_mut::<FarAsks<M, T>>());
            match last.filter(|asks| asks.asks.len() < RUN_MESSAGES_MAX) {
                Some(asks) => asks.asks.push_back((message, to)),
                None => {
                    let asks = VecDeque::from([(message, to)]);
                    items.push_back(Box::new(FarAsks::<M, T> { asks, message: PhantomData }));
                }
            }
        });
    }

    fn add(&self, count: usize, add: impl FnOnce(&mut VecDeque<Box<dyn Item<A>>>)) -> bool {
        let mut state = lock(&self.0.state);
        if state.ended {
            return false;
        }
        self.0.counts.on_put(count);
        add(&mut state.items);
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

    /// Handles messages of the first item; how many.
    fn handle_some(&mut self, actor: &mut A, context: &mut Context<A>, count_max: usize) -> usize
    where
        A: Actor<Context = Context<A>>,
    {
        let Some(item) = self.items.front_mut() else { return 0 };
        let mut count = 0;
        // An actor that waits for a future of its own, or stops, hears nothing meanwhile.
        while count < count_max && !context.waiting() {
            count += 1;
            // Before it is handled: a handler that tells its own actor finds the room that its message has left.
            self.shared.counts.on_taken();
            if !item.handle_next(actor, context, &self.shared.counts) {
                self.items.pop_front();
                break;
            }
        }
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
        let begun = Instant::now();
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
        if left < MESSAGES_PER_TURN {
            this.shared.counts.on_handled(begun.elapsed());
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

/// Tells of one kind from this node that came one after the other.
struct Tells<T>(VecDeque<T>);

impl<A, T> Item<A> for Tells<T>
where
    A: Actor + Handler<T>,
    T: Message + Send + 'static,
{
    fn handle_next(&mut self, actor: &mut A, context: &mut A::Context, _: &Counts) -> bool {
        if let Some(message) = self.0.pop_front() {
            Handler::handle(actor, message, context).handle(context, None);
        }
        !self.0.is_empty()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Asks of other nodes that came together: messages `M`, which the actor hears as `T`.
pub(crate) struct FarAsks<M, T> {
    asks: VecDeque<(T, ReplyTo)>,
    message: PhantomData<fn() -> M>,
}

impl<A, M, T> Item<A> for FarAsks<M, T>
where
    A: Actor + Handler<T>,
    M: RemoteMessage,
    T: Message<Result = M::Result> + Send + 'static,
{
    fn handle_next(&mut self, actor: &mut A, context: &mut A::Context, _: &Counts) -> bool {
        // Unless nobody waits for it any more.
        if let Some((message, to)) = self.asks.pop_front().filter(|(_, to)| to.is_wanted()) {
            let (asker, mut reply) = oneshot::channel();
            Handler::handle(actor, message, context).handle(context, Some(asker));
            match reply.try_recv() {
                Ok(reply) => to.answer::<M>(&reply),
                Err(TryRecvError::Empty) => to.answer_later::<M>(reply),
                // Nobody will answer, and dropping `to` says so.
                Err(TryRecvError::Closed) => {}
            }
        }
        !self.asks.is_empty()
    }

    fn len(&self) -> usize {
        self.asks.len()
    }
}

/// A message whose sender waits.
pub(crate) struct Ask<T: Message>(Option<(T, OneshotSender<T::Result>)>);

impl<T: Message> Ask<T> {
    pub(crate) fn new(message: T, asker: OneshotSender<T::Result>) -> Self {
        Self(Some((message, asker)))
    }
}

impl<A, T> Item<A> for Ask<T>
where
    A: Actor + Handler<T>,
    T: Message<Result: Send> + Send + 'static,
{
    fn handle_next(&mut self, actor: &mut A, context: &mut A::Context, _: &Counts) -> bool {
        // Unless its sender has taken it back.
        if let Some((message, asker)) = self.0.take().filter(|(_, asker)| !asker.is_closed()) {
            Handler::handle(actor, message, context).handle(context, Some(asker));
        }
        false
    }

    fn len(&self) -> usize {
        1
    }
}
