//! Runs one task beside the executor's actor, and tells how it goes.

use crate::end::TaskEnd;
use crate::task::{TaskFailure, Urgency};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use std::any::Any;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinHandle};

/// What a task does.
pub(crate) type Work = LocalBoxFuture<'static, Result<(), TaskFailure>>;

/// What is heard of a task; the last one is always its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TaskNews {
    /// It runs, and says this.
    Report(String),
    /// It has ended.
    Ended(TaskEnd),
}

/// What happens to a task that does not want to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Force {
    /// Its future is dropped.
    Abort,
    /// It sees to it by itself: a command has processes to end.
    Own,
}

/// A task under way. Dropping it drops the task.
#[derive(Debug)]
pub(crate) struct RunningTask {
    urgency: watch::Sender<Urgency>,
    work: AbortHandle,
    force: Force,
    watcher: Option<JoinHandle<()>>,
}

impl RunningTask {
    /// Starts the work on this thread; `tell` hears of it.
    pub(crate) fn start(work: Work, channels: Channels, force: Force, tell: impl Fn(TaskNews) + 'static) -> Self {
        let joined = actix_rt::spawn(work);
        let work = joined.abort_handle();
        let watcher = Some(actix_rt::spawn(watch_task(joined, channels.reports, tell)));
        Self { urgency: channels.urgency, work, force, watcher }
    }

    /// Asks the task to end.
    pub(crate) fn ask_to_end(&self) {
        self.raise(Urgency::Asked);
    }

    /// Makes the task end.
    pub(crate) fn force_to_end(&self) {
        self.raise(Urgency::Forced);
        if self.force == Force::Abort {
            self.work.abort();
        }
    }

    /// Drops the task, and waits until nothing of it is left.
    pub(crate) async fn dropped(mut self) {
        self.work.abort();
        if let Some(watcher) = self.watcher.take() {
            // It cannot panic, and if it did, it would be gone as well.
            let _ = watcher.await;
        }
    }

    fn raise(&self, level: Urgency) {
        self.urgency.send_if_modified(|current| {
            let higher = *current < level;
            *current = level.max(*current);
            higher
        });
    }
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// The executor's ends of the channels that a task's context holds.
#[derive(Debug)]
pub(crate) struct Channels {
    pub(crate) urgency: watch::Sender<Urgency>,
    pub(crate) reports: watch::Receiver<String>,
}

async fn watch_task(
    mut work: JoinHandle<Result<(), TaskFailure>>,
    mut reports: watch::Receiver<String>,
    tell: impl Fn(TaskNews),
) {
    let mut may_report = true;
    let ended = loop {
        tokio::select! {
            changed = reports.changed(), if may_report => match changed {
                Ok(()) => tell(TaskNews::Report(reports.borrow_and_update().clone())),
                Err(_) => may_report = false,
            },
            ended = &mut work => break ended,
        }
    };
    // The last words come before the end.
    if let Some(Ok(())) = reports.changed().now_or_never() {
        tell(TaskNews::Report(reports.borrow_and_update().clone()));
    }
    tell(TaskNews::Ended(task_end(ended)));
}

fn task_end(joined: Result<Result<(), TaskFailure>, JoinError>) -> TaskEnd {
    match joined {
        Ok(Ok(())) => TaskEnd::Done,
        Ok(Err(failure)) => TaskEnd::Failed(failure),
        Err(error) => match error.try_into_panic() {
            Ok(payload) => TaskEnd::Panicked(panic_text(payload.as_ref())),
            Err(_) => TaskEnd::Aborted,
        },
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text").to_owned()
}
