//! The training scheduler: spreading, replacing and ending, as plain calls.

use super::*;
use odeon_framework::Call;
use odeon_protocol::id::OfferId;
use odeon_protocol::role::Role;
use odeon_protocol::task::StatusSource;
use odeon_runtime::ActorAddress;
use proptest::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

fn offer(number: usize, resources: &str) -> Offer {
    Offer {
        offer_id: OfferId::new(format!("o{number}")).unwrap(),
        framework_id: FrameworkId::new("f").unwrap(),
        role: Role::default(),
        agent_id: AgentId::new(format!("a{number}")).unwrap(),
        hostname: format!("host{number}"),
        agent_endpoint: "127.0.0.1:1".to_owned(),
        resources: resources.parse().unwrap(),
        reserved: Default::default(),
        attributes: BTreeMap::new(),
    }
}

fn scheduler(workers: u32) -> (TrainingScheduler, Rc<RefCell<Vec<WorkerId>>>) {
    let assignment =
        WorkerAssignment { coordinator: ActorAddress { actor: "coordinator".into(), node: None, endpoint: None } };
    let ended = Rc::new(RefCell::new(Vec::new()));
    let heard = Rc::clone(&ended);
    let resources = "cpus:0.5;mem:64".parse().unwrap();
    (TrainingScheduler::new(workers, resources, &assignment, Box::new(move |id, _| heard.borrow_mut().push(id))), ended)
}

fn offers(scheduler: &mut TrainingScheduler, offers: Vec<Offer>) -> Vec<Call> {
    let mut calls = Calls::new(Moment::default());
    scheduler.offers(offers, &mut calls);
    calls.into_vec()
}

fn update(scheduler: &mut TrainingScheduler, task: &str, state: TaskState) -> Vec<Call> {
    let mut calls = Calls::new(Moment::default());
    let status = TaskStatus::new(TaskId::new(task).unwrap(), state, StatusSource::Executor);
    scheduler.update(&status, &mut calls);
    calls.into_vec()
}

fn launched(calls: &[Call]) -> Vec<usize> {
    let count = |call: &Call| if let Call::Accept { tasks, .. } = call { tasks.len() } else { 0 };
    calls.iter().map(count).collect()
}

#[test]
fn workers_spread_over_the_agents() {
    let (mut scheduler, _) = scheduler(3);
    let calls = offers(&mut scheduler, vec![offer(1, "cpus:4;mem:1000"), offer(2, "cpus:4;mem:1000")]);
    assert_eq!(launched(&calls), [2, 1]);
}

#[test]
fn a_lost_worker_is_told_and_replaced() {
    let (mut scheduler, ended) = scheduler(1);
    offers(&mut scheduler, vec![offer(1, "cpus:4;mem:1000")]);
    assert_eq!(update(&mut scheduler, "worker-0", TaskState::Lost), [Call::Revive]);
    assert_eq!(update(&mut scheduler, "worker-0", TaskState::Lost), []);
    assert_eq!(*ended.borrow(), [WorkerId("worker-0".into())]);
    let calls = offers(&mut scheduler, vec![offer(2, "cpus:4;mem:1000")]);
    assert_eq!(launched(&calls), [1]);
    assert!(scheduler.tasks().contains_key(&TaskId::new("worker-1").unwrap()));
}

#[test]
fn the_framework_ends_when_the_last_worker_has_finished() {
    let (mut scheduler, ended) = scheduler(2);
    offers(&mut scheduler, vec![offer(1, "cpus:4;mem:1000")]);
    let mut calls = Calls::new(Moment::default());
    scheduler.end(&mut calls);
    assert_eq!(calls.into_vec(), []);
    assert_eq!(update(&mut scheduler, "worker-0", TaskState::Finished), []);
    assert_eq!(update(&mut scheduler, "worker-1", TaskState::Finished), [Call::Finish(Outcome::Finished)]);
    assert!(ended.borrow().is_empty());
}

#[test]
fn a_worker_that_does_not_finish_does_not_hold_the_framework_forever() {
    let (mut scheduler, _) = scheduler(1);
    offers(&mut scheduler, vec![offer(1, "cpus:4;mem:1000")]);
    scheduler.end(&mut Calls::new(Moment::default()));
    for (at_ms, expected) in [(1_000, vec![]), (10_999, vec![]), (11_000, vec![Call::Finish(Outcome::Finished)])] {
        let mut calls = Calls::new(Moment::at_ms(at_ms));
        scheduler.tick(Moment::at_ms(at_ms), &mut calls);
        assert_eq!(calls.into_vec(), expected, "at {at_ms} ms");
    }
    assert_eq!(scheduler.next_tick(), None);
}

#[test]
fn replacements_are_bounded() {
    let (mut scheduler, _) = scheduler(1);
    let mut count = 0;
    while launched(&offers(&mut scheduler, vec![offer(1, "cpus:4;mem:1000")])) == [1] {
        update(&mut scheduler, &format!("worker-{count}"), TaskState::Failed);
        count += 1;
    }
    assert_eq!(count, 1 + REPLACEMENTS_MAX);
}

proptest! {
    #[test]
    fn no_offer_is_overdrawn_and_all_that_fit_are_placed(cpus in proptest::collection::vec(0u64..5_000, 1..6), count in 0usize..20) {
        let worker: Resources = "cpus:0.5;mem:64".parse().unwrap();
        let host: Resources = "mem:32".parse().unwrap();
        let offers: Vec<Offer> = cpus.iter().enumerate().map(|(number, cpus)| {
            let mut offer = offer(number, "mem:4000");
            offer.resources = offer.resources.clone().with_scalar("cpus", Scalar::from_thousandths(*cpus));
            offer
        }).collect();
        let placed = spread(&offers, &worker, &host, count);
        let room: usize = cpus.iter().map(|cpus| usize::try_from(cpus / 500).unwrap()).sum();
        prop_assert_eq!(placed.iter().sum::<usize>(), count.min(room));
        for (placed, cpus) in placed.iter().zip(&cpus) {
            prop_assert!(*placed as u64 * 500 <= *cpus);
        }
    }
}
