//! `Committer`: performs effects in order and writes records off the arbiter, many with one sync.
//!
//! The order is decided by [`CommitQueue`]; the bytes are the [`RecordLog`]'s, usually a [`Journal`]. A failed write is never
//! tried again as if the file were clean: it fails the node.

use crate::commit_queue::{CommitQueue, Durable, WriteBatch};
use crate::journal::Journal;
use crate::node::Node;
use crate::outbox::Outbox;
use crate::record_log::RecordLog;
use crate::reply::Reply;
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use tokio::sync::watch;

/// The write that a reply depends on has failed; the node is failing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal could not be written")]
pub struct CommitError;

/// Commits the outboxes of one actor; clones are the same committer. Lives on the actor's arbiter.
pub struct Committer<E, R> {
    shared: Rc<Shared<E, R>>,
}

impl<E, R> Clone for Committer<E, R> {
    fn clone(&self) -> Self {
        Self { shared: Rc::clone(&self.shared) }
    }
}

struct Shared<E, R> {
    node: Node,
    /// Named in the failure of the node.
    part: String,
    queue: RefCell<CommitQueue<E, R>>,
    perform: RefCell<Box<dyn FnMut(E)>>,
    /// Effects that may leave and have not yet, because one before them is being performed.
    ready: RefCell<VecDeque<E>>,
    performing: Cell<bool>,
    log: LogSlot<R>,
    progress: watch::Sender<Progress>,
}

type Log<R> = Box<dyn RecordLog<R>>;

/// The log is away while a write is under way.
enum LogSlot<R> {
    None,
    Kept(RefCell<Option<Log<R>>>),
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    durable: Durable,
    failed: bool,
}

impl<R> LogSlot<R> {
    fn kept(log: Log<R>) -> Self {
        Self::Kept(RefCell::new(Some(log)))
    }
}

impl<E: 'static, R: Serialize + Send + 'static> Committer<E, R> {
    /// A committer that performs effects through `perform`.
    ///
    /// `part` names the actor if a write fails. Without a journal records are dropped and everything
    /// leaves at once, in order. `perform` must not wait: it starts things.
    pub fn new(
        node: &Node,
        part: impl Into<String>,
        journal: Option<Journal<R>>,
        perform: impl FnMut(E) + 'static,
    ) -> Self {
        let log = journal.map_or(LogSlot::None, |journal| LogSlot::kept(Box::new(journal)));
        Self::build(node, part.into(), log, Box::new(perform))
    }

    /// As [`new`](Self::new), with records that go to a log of any kind.
    pub fn with_log(
        node: &Node,
        part: impl Into<String>,
        log: Box<dyn RecordLog<R>>,
        perform: impl FnMut(E) + 'static,
    ) -> Self {
        Self::build(node, part.into(), LogSlot::kept(log), Box::new(perform))
    }

    fn build(node: &Node, part: String, log: LogSlot<R>, perform: Box<dyn FnMut(E)>) -> Self {
        let shared = Shared {
            node: node.clone(),
            part,
            queue: RefCell::new(CommitQueue::new()),
            perform: RefCell::new(perform),
            ready: RefCell::default(),
            performing: Cell::new(false),
            log,
            progress: watch::channel(Progress::default()).0,
        };
        Self { shared: Rc::new(shared) }
    }

    /// Takes in what a handler emitted; effects leave as soon as the rule allows.
    ///
    /// The future resolves when everything emitted so far is durable. It does not borrow the
    /// committer and need not be awaited for the effects to leave.
    ///
    /// # Errors
    /// [`CommitError`] if a write failed; the reply must not leave then.
    pub fn commit(&self, outbox: Outbox<E, R>) -> impl Future<Output = Result<(), CommitError>> + 'static + use<E, R> {
        let place = self.take(outbox);
        durable(self.shared.progress.subscribe(), place)
    }

    /// As [`commit`](Self::commit), with the handler's reply, which leaves only when it may: at once if nothing is
    /// being written that it depends on.
    ///
    /// After a failed write it never does: the node is failing, and the asker sees a timeout or the
    /// end of the actor.
    pub fn reply_after<T: 'static>(&self, outbox: Outbox<E, R>, reply: T) -> Reply<T> {
        let place = self.take(outbox);
        if place <= self.shared.progress.borrow().durable {
            return Reply::now(reply);
        }
        let progress = self.shared.progress.subscribe();
        Reply::later(async move {
            if durable(progress, place).await.is_err() {
                std::future::pending::<()>().await;
            }
            reply
        })
    }

    /// Queues what a handler emitted, and says when it is durable.
    fn take(&self, outbox: Outbox<E, R>) -> Durable {
        let (released, place) = self.shared.queue.borrow_mut().push(outbox);
        self.release(released);
        self.write_next();
        place
    }

    /// Performs effects in order, even if performing one commits more.
    fn release(&self, effects: Vec<E>) {
        self.shared.ready.borrow_mut().extend(effects);
        if self.shared.performing.replace(true) {
            return;
        }
        let _done = Performing(&self.shared.performing);
        loop {
            let Some(effect) = self.shared.ready.borrow_mut().pop_front() else { break };
            (self.shared.perform.borrow_mut())(effect);
        }
    }

    fn write_next(&self) {
        let LogSlot::Kept(slot) = &self.shared.log else {
            let unneeded = self.shared.queue.borrow_mut().next_write();
            if let Some(batch) = unneeded {
                self.on_durable(batch.up_to);
            }
            return;
        };
        // After a failure the log does not come back, so nothing is written any more.
        let Some(log) = slot.borrow_mut().take() else { return };
        let next = self.shared.queue.borrow_mut().next_write();
        match next {
            None => *slot.borrow_mut() = Some(log),
            Some(batch) => {
                actix_rt::spawn(self.clone().watch_write(log, batch));
            }
        }
    }

    /// Runs a write in a task of its own, so that a panic of an effect that it releases is seen.
    async fn watch_write(self, log: Log<R>, batch: WriteBatch<R>) {
        let ended = actix_rt::spawn(self.clone().write(log, batch)).await;
        if let Some(error) = ended.err().filter(tokio::task::JoinError::is_panic) {
            self.fail(&format!("an effect panicked: {error}"));
        }
    }

    async fn write(self, mut log: Log<R>, batch: WriteBatch<R>) {
        let WriteBatch { up_to, records } = batch;
        let written = tokio::task::spawn_blocking(move || log.append(&records).map(|()| log)).await;
        match written {
            Ok(Ok(log)) => {
                if let LogSlot::Kept(slot) = &self.shared.log {
                    *slot.borrow_mut() = Some(log);
                }
                self.on_durable(up_to);
                self.write_next();
            }
            Ok(Err(error)) => self.fail(&error.reason),
            Err(error) => self.fail(&format!("the journal writer panicked: {error}")),
        }
    }

    fn on_durable(&self, up_to: Durable) {
        let released = self.shared.queue.borrow_mut().on_durable(up_to);
        self.shared.progress.send_modify(|progress| progress.durable = up_to);
        self.release(released);
    }

    fn fail(&self, reason: &str) {
        self.shared.progress.send_modify(|progress| progress.failed = true);
        self.shared.node.fail(self.shared.part.as_str(), reason);
    }
}

/// Waits until the writes up to a place have ended.
async fn durable(mut progress: watch::Receiver<Progress>, place: Durable) -> Result<(), CommitError> {
    match progress.wait_for(|now| now.failed || place <= now.durable).await {
        Ok(now) if place <= now.durable => Ok(()),
        Ok(_) | Err(_) => Err(CommitError),
    }
}

/// Ends the performing even if an effect panics.
struct Performing<'a>(&'a Cell<bool>);

impl Drop for Performing<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
