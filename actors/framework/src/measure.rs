//! Schedulers that measure: one that has one task at a time, and takes the time of each from its submission to its end;
//! and one that uses all that it is offered.

mod all_offers;

pub use all_offers::{AllOffers, TaskKind};

use std::time::{Duration, Instant};

use crate::calls::{Calls, Outcome};
use crate::node::{DriverSettings, RunningScheduler, run_scheduler};
use crate::scheduler::Scheduler;
use odeon_protocol::id::{FrameworkId, OfferId};
use odeon_protocol::offer::{Filters, Offer};
use odeon_protocol::task::{TaskInfo, TaskState, TaskStatus};
use odeon_runtime::Node;

/// Runs the tasks in their order, each when the one before has ended.
#[derive(Debug)]
pub struct OneByOne {
    /// The next one last.
    tasks: Vec<TaskInfo>,
    /// When the present one was submitted, and whether it waits for an offer.
    present: Option<(Instant, bool)>,
    times: Vec<Duration>,
}

impl OneByOne {
    /// Has submitted nothing yet.
    #[must_use]
    pub fn new(mut tasks: Vec<TaskInfo>) -> Self {
        tasks.reverse();
        Self { tasks, present: None, times: Vec::new() }
    }

    /// Runs the tasks, as [`run_scheduler`] does.
    pub fn run(self, settings: DriverSettings, node: &Node) -> RunningScheduler<Self> {
        run_scheduler(settings, node, self)
    }

    /// How long each task took, in order.
    #[must_use]
    pub fn times(&self) -> &[Duration] {
        &self.times
    }

    fn submit(&mut self, calls: &mut Calls) {
        if self.tasks.is_empty() {
            calls.finish(Outcome::Finished);
        } else {
            self.present = Some((Instant::now(), true));
            calls.revive();
        }
    }
}

impl Scheduler for OneByOne {
    fn subscribed(&mut self, _framework_id: &FrameworkId, calls: &mut Calls) {
        if self.present.is_none() {
            self.submit(calls);
        }
    }

    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        let mut unused: Vec<OfferId> = offers.into_iter().map(|offer| offer.offer_id).collect();
        if let Some((_, waits @ true)) = &mut self.present
            && let Some(task) = self.tasks.pop()
        {
            *waits = false;
            calls.accept(vec![unused.remove(0)], vec![task], Filters::default());
            // The cluster is idle but for this task: nothing is offered until the next one is submitted.
            calls.suppress();
        }
        if !unused.is_empty() {
            calls.decline(unused, Filters::default());
        }
    }

    fn update(&mut self, status: &TaskStatus, calls: &mut Calls) {
        if !status.state.is_terminal() {
            return;
        }
        if status.state != TaskState::Finished {
            let text = format!("task {} is {}: {}", status.task_id, status.state, status.message);
            calls.finish(Outcome::Failed(text));
            return;
        }
        self.times.extend(self.present.take().map(|(submitted, _)| submitted.elapsed()));
        self.submit(calls);
    }
}

#[cfg(test)]
mod tests {
    use crate::calls::Call;
    use odeon_protocol::executor::CommandInfo;
    use odeon_protocol::id::{AgentId, TaskId};
    use odeon_protocol::moment::Moment;
    use odeon_protocol::role::Role;
    use odeon_protocol::task::{StatusSource, Work};

    use super::*;

    fn task(id: &str) -> TaskInfo {
        let command = CommandInfo { argv: vec!["true".to_owned()], environment: [].into(), working_directory: None };
        let resources = "cpus:1".parse().expect("resources");
        TaskInfo::new(TaskId::new(id).expect("an id"), id, resources, Work::Command(command))
    }

    fn offer(id: &str) -> Offer {
        Offer {
            offer_id: OfferId::new(id).expect("an id"),
            framework_id: FrameworkId::new("f").expect("an id"),
            role: Role::default(),
            agent_id: AgentId::new("a").expect("an id"),
            hostname: "h".to_owned(),
            agent_endpoint: "h:1".to_owned(),
            resources: "cpus:4".parse().expect("resources"),
            reserved: Default::default(),
            attributes: [].into(),
        }
    }

    fn calls(act: impl FnOnce(&mut Calls)) -> Vec<Call> {
        let mut calls = Calls::new(Moment::at_ms(0));
        act(&mut calls);
        calls.into_vec()
    }

    fn ended(state: TaskState) -> TaskStatus {
        TaskStatus::new(TaskId::new("a").expect("an id"), state, StatusSource::Executor)
    }

    #[test]
    fn the_next_task_is_submitted_when_the_one_before_has_ended() {
        let mut scheduler = OneByOne::new(vec![task("a"), task("b")]);
        let id = FrameworkId::new("f").expect("an id");
        assert_eq!(calls(|calls| scheduler.subscribed(&id, calls)), [Call::Revive]);
        let made = calls(|calls| scheduler.offers(vec![offer("1"), offer("2")], calls));
        assert!(
            matches!(&made[..], [Call::Accept { tasks, .. }, Call::Suppress, Call::Decline { .. }] if tasks[0].task_id.as_str() == "a"),
            "{made:?}"
        );
        assert!(matches!(&calls(|calls| scheduler.offers(vec![offer("3")], calls))[..], [Call::Decline { .. }]));
        assert_eq!(calls(|calls| scheduler.update(&ended(TaskState::Running), calls)), []);
        assert_eq!(calls(|calls| scheduler.update(&ended(TaskState::Finished), calls)), [Call::Revive]);
        calls(|calls| scheduler.offers(vec![offer("4")], calls));
        let last = calls(|calls| scheduler.update(&ended(TaskState::Finished), calls));
        assert_eq!((last, scheduler.times().len()), (vec![Call::Finish(Outcome::Finished)], 2));
    }

    #[test]
    fn a_task_that_fails_ends_the_measure() {
        let mut scheduler = OneByOne::new(vec![task("a"), task("b")]);
        let made = calls(|calls| scheduler.update(&ended(TaskState::Failed), calls));
        assert!(matches!(&made[..], [Call::Finish(Outcome::Failed(text))] if text.contains("TASK_FAILED")), "{made:?}");
    }
}
