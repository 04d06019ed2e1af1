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
        let watcher = Some(actix_rt::spawn(watch_task(joined, channels.reports, force, tell)));
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

/// A task of this process that has ended before it was told that it runs, and has said nothing, is told by its end alone.
async fn watch_task(
    mut work: JoinHandle<Result<(), TaskFailure>>,
    mut reports: watch::Receiver<String>,
    force: Force,
    tell: impl Fn(TaskNews),
) {
    let (mut may_report, mut is_told) = (true, force == Force::Own);
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut work => break ended,
            changed = reports.changed(), if may_report => match changed {
                Ok(()) => {
                    is_told = true;
                    tell(TaskNews::Report(reports.borrow_and_update().clone()));
                }
                Err(_) => may_report = false,
            },
        }
    };
    // The last words come before the end.
    if let Some(Ok(())) = reports.changed().now_or_never() {
        let words = reports.borrow_and_update().clone();
        if is_told || !words.is_empty() {
            tell(TaskNews::Report(words));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// What is told of a task that reports these texts, one after the other, and ends.
    async fn told(force: Force, texts: &[&'static str], rests: bool) -> Vec<TaskNews> {
        let (urgency, _observed) = watch::channel(Urgency::None);
        let (report, reports) = watch::channel(String::new());
        let (news, texts) = (Rc::new(RefCell::new(Vec::new())), texts.to_vec());
        let heard = Rc::clone(&news);
        let work = async move {
            for text in texts {
                report.send_replace(text.to_owned());
                if rests {
                    tokio::task::yield_now().await;
                    tokio::task::yield_now().await;
                }
            }
            Ok(())
        };
        let tell = move |news| heard.borrow_mut().push(news);
        let mut task = RunningTask::start(work.boxed_local(), Channels { urgency, reports }, force, tell);
        task.watcher.take().expect("it has one").await.expect("it does not panic");
        news.take()
    }

    fn report(text: &str) -> TaskNews {
        TaskNews::Report(text.to_owned())
    }

    #[actix_rt::test]
    async fn a_task_that_has_ended_before_anybody_looks_is_told_by_its_end_alone() {
        assert_eq!(told(Force::Abort, &[""], false).await, [TaskNews::Ended(TaskEnd::Done)]);
    }

    #[actix_rt::test]
    async fn what_a_task_says_is_told_before_its_end_however_short_it_is() {
        let expected = [report("words"), TaskNews::Ended(TaskEnd::Done)];
        assert_eq!(told(Force::Abort, &["", "words"], false).await, expected);
    }

    #[actix_rt::test]
    async fn that_a_task_runs_is_told_while_it_does() {
        let expected = [report(""), TaskNews::Ended(TaskEnd::Done)];
        assert_eq!(told(Force::Abort, &[""], true).await, expected);
    }

    #[actix_rt::test]
    async fn that_a_command_has_begun_is_told_even_if_it_has_ended_since() {
        let expected = [report(""), TaskNews::Ended(TaskEnd::Done)];
        assert_eq!(told(Force::Own, &[""], false).await, expected);
    }
}
