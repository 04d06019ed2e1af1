//! A scheduler that uses all that it is offered, at once, for as long as it runs: the load of a large cluster.

use crate::calls::Calls;
use crate::node::{DriverSettings, RunningScheduler, run_scheduler};
use crate::scheduler::Scheduler;
use odeon_protocol::id::{FrameworkId, TaskId};
use odeon_protocol::offer::{Filters, Offer};
use odeon_protocol::resources::{Resources, ResourcesError};
use odeon_protocol::task::{TaskInfo, TaskState, TaskStatus, Work};
use odeon_runtime::Node;
use std::rc::Rc;

/// What every task of a load is.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskKind {
    /// What it takes; not nothing.
    pub resources: Resources,
    /// What runs.
    pub work: Work,
}

/// Launches as many tasks on each offer as fit.
pub struct AllOffers {
    kind: TaskKind,
    /// Told of each offer.
    on_offer: Rc<dyn Fn(&Offer)>,
    /// Told of each task that has ended otherwise than well.
    on_failure: Rc<dyn Fn(&TaskStatus)>,
    launched: u64,
}

impl AllOffers {
    /// Has launched nothing yet.
    pub fn new(kind: TaskKind, on_offer: Rc<dyn Fn(&Offer)>, on_failure: Rc<dyn Fn(&TaskStatus)>) -> Self {
        Self { kind, on_offer, on_failure, launched: 0 }
    }

    /// Runs until it is interrupted, as [`run_scheduler`] does.
    pub fn run(self, settings: DriverSettings, node: &Node) -> RunningScheduler<Self> {
        run_scheduler(settings, node, self)
    }

    fn tasks_for(&mut self, mut left: Resources) -> Vec<TaskInfo> {
        let mut tasks = Vec::new();
        while take(&mut left, &self.kind.resources).is_ok() {
            let task_id = TaskId::new(self.launched.to_string()).expect("a number is an id");
            self.launched += 1;
            tasks.push(TaskInfo::new(task_id, "load", self.kind.resources.clone(), self.kind.work.clone()));
        }
        tasks
    }
}

fn take(left: &mut Resources, each: &Resources) -> Result<(), ResourcesError> {
    *left = left.checked_sub(each)?;
    Ok(())
}

impl Scheduler for AllOffers {
    fn subscribed(&mut self, _framework_id: &FrameworkId, _calls: &mut Calls) {}

    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            (self.on_offer)(&offer);
            let (offer_ids, tasks) = (vec![offer.offer_id], self.tasks_for(offer.resources));
            if tasks.is_empty() {
                calls.decline(offer_ids, Filters::default());
            } else {
                calls.accept(offer_ids, tasks, Filters::default());
            }
        }
    }

    fn update(&mut self, status: &TaskStatus, _calls: &mut Calls) {
        if status.state.is_terminal() && status.state != TaskState::Finished {
            (self.on_failure)(status);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::Call;
    use odeon_protocol::executor::CommandInfo;
    use odeon_protocol::id::{AgentId, OfferId};
    use odeon_protocol::moment::Moment;
    use odeon_protocol::role::Role;
    use odeon_protocol::task::StatusSource;
    use std::cell::RefCell;

    fn offer(id: &str, resources: &str) -> Offer {
        Offer {
            offer_id: OfferId::new(id).expect("an id"),
            framework_id: FrameworkId::new("f").expect("an id"),
            role: Role::default(),
            agent_id: AgentId::new("a").expect("an id"),
            hostname: "h".to_owned(),
            agent_endpoint: "h:1".to_owned(),
            resources: resources.parse().expect("resources"),
            reserved: Default::default(),
            attributes: [].into(),
        }
    }

    fn command() -> TaskKind {
        let work = Work::Command(CommandInfo { argv: Vec::new(), environment: [].into(), working_directory: None });
        TaskKind { resources: "cpus:1".parse().expect("resources"), work }
    }

    #[test]
    fn each_offer_gets_as_many_tasks_as_fit_and_is_declined_if_none_does() {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&seen);
        let on_offer = move |offer: &Offer| noted.borrow_mut().push(offer.offer_id.to_string());
        let mut scheduler = AllOffers::new(command(), Rc::new(on_offer), Rc::new(|_| ()));
        let mut calls = Calls::new(Moment::at_ms(0));
        scheduler.offers(vec![offer("1", "cpus:2.5;mem:8"), offer("2", "cpus:0.5")], &mut calls);
        let [Call::Accept { tasks, .. }, Call::Decline { offer_ids, .. }] = calls.as_slice() else {
            panic!("{calls:?}")
        };
        let ids: Vec<&str> = tasks.iter().map(|task| task.task_id.as_str()).collect();
        assert_eq!((ids, offer_ids[0].as_str()), (vec!["0", "1"], "2"));
        assert_eq!(*seen.borrow(), ["1", "2"]);
    }

    #[test]
    fn an_end_that_is_no_good_one_is_told() {
        let failures = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&failures);
        let on_failure = move |status: &TaskStatus| noted.borrow_mut().push(status.state);
        let mut scheduler = AllOffers::new(command(), Rc::new(|_| ()), Rc::new(on_failure));
        for state in [TaskState::Running, TaskState::Finished, TaskState::Lost] {
            let status = TaskStatus::new(TaskId::new("t").expect("an id"), state, StatusSource::Agent);
            scheduler.update(&status, &mut Calls::new(Moment::at_ms(0)));
        }
        assert_eq!(*failures.borrow(), [TaskState::Lost]);
    }
}
