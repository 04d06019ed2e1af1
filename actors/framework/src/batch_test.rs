//! The batch scheduler, by plain calls.

use super::*;
use crate::calls::Call;
use odeon_protocol::executor::CommandInfo;
use odeon_protocol::id::OfferId;
use odeon_protocol::resources::Resources;
use odeon_protocol::role::Role;
use odeon_protocol::task::{TaskExit, Work};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

fn framework() -> FrameworkId {
    FrameworkId::new("F").unwrap()
}

fn resources(text: &str) -> Resources {
    text.parse().unwrap()
}

fn command() -> CommandInfo {
    CommandInfo { argv: vec!["x".into()], environment: BTreeMap::new(), working_directory: None }
}

fn plan(instances: usize, needs: &str) -> BatchPlan {
    BatchPlan::copies("job", instances, &command(), &resources(needs)).unwrap()
}

fn batch(plan: BatchPlan) -> BatchScheduler {
    let mut batch = BatchScheduler::new(plan, |_| {});
    let calls = at(0, |calls| batch.subscribed(&framework(), calls));
    assert_eq!(calls, []);
    batch
}

fn offer(id: &str, host: &str, has: &str) -> Offer {
    Offer {
        offer_id: OfferId::new(id).unwrap(),
        framework_id: framework(),
        role: Role::default(),
        agent_id: AgentId::new(format!("agent-{host}")).unwrap(),
        hostname: host.into(),
        agent_endpoint: format!("{host}:5051"),
        resources: resources(has),
        reserved: Default::default(),
        attributes: BTreeMap::new(),
    }
}

fn at(ms: u64, act: impl FnOnce(&mut Calls)) -> Vec<Call> {
    let mut calls = Calls::new(Moment::at_ms(ms));
    act(&mut calls);
    calls.into_vec()
}

fn offers(batch: &mut BatchScheduler, offers: Vec<Offer>) -> Vec<Call> {
    at(1, |calls| batch.offers(offers, calls))
}

/// Which tasks go on which offer.
fn launched(calls: &[Call]) -> Vec<(String, Vec<String>)> {
    let launch = |call: &Call| match call {
        Call::Accept { offer_ids, tasks, .. } => {
            Some((offer_ids[0].to_string(), tasks.iter().map(|task| task.task_id.to_string()).collect()))
        }
        _ => None,
    };
    calls.iter().filter_map(launch).collect()
}

fn status(task: &str, state: TaskState, exit: Option<TaskExit>) -> TaskStatus {
    let mut status = TaskStatus::new(TaskId::new(task).unwrap(), state, StatusSource::Executor);
    status.exit = exit;
    status
}

fn update(batch: &mut BatchScheduler, status: &TaskStatus) -> Vec<Call> {
    at(2, |calls| batch.update(status, calls))
}

/// Runs all tasks of a plan on one large offer and ends them so, in order.
fn ended(ends: &[(TaskState, Option<TaskExit>)]) -> BatchScheduler {
    let mut batch = batch(plan(ends.len(), "cpus:1"));
    let launched = launched(&offers(&mut batch, vec![offer("O", "h", "cpus:100")])).remove(0).1;
    for (task, (state, exit)) in launched.iter().zip(ends) {
        update(&mut batch, &status(task, *state, *exit));
    }
    batch
}

#[test]
fn as_many_tasks_as_fit_go_on_each_offer_and_then_no_more_offers_are_wanted() {
    let mut batch = batch(plan(3, "cpus:1;mem:10"));
    let calls = offers(
        &mut batch,
        vec![
            offer("O1", "a", "cpus:2.5;mem:100"),
            offer("O2", "b", "cpus:9;mem:9"),
            offer("O3", "c", "cpus:9;mem:900"),
            offer("O4", "d", "cpus:9;mem:900"),
        ],
    );
    let on = |offer: &str, tasks: &[&str]| (offer.to_owned(), tasks.iter().map(|task| (*task).to_owned()).collect());
    assert_eq!(launched(&calls), [on("O1", &["job.0", "job.1"]), on("O3", &["job.2"])]);
    let unused = vec![OfferId::new("O2").unwrap(), OfferId::new("O4").unwrap()];
    assert_eq!(calls[2..], [Call::Decline { offer_ids: unused, filters: Filters::default() }, Call::Suppress]);
}

#[test]
fn tasks_that_wait_for_long_say_what_they_need_and_that_nothing_more_is_needed() {
    let mut batch = batch(plan(2, "cpus:2;mem:10"));
    assert_eq!(batch.next_tick(), Some(DEMAND_AFTER));
    let small = offers(&mut batch, vec![offer("O1", "a", "cpus:1;mem:100")]);
    assert!(matches!(small[..], [Call::Decline { .. }]), "{small:?}");
    let said = at(1000, |calls| batch.tick(calls.now(), calls));
    assert_eq!(said, [Call::Demand(Some(vec![resources("cpus:2;mem:10")]))]);
    assert_eq!(batch.next_tick(), None, "once");
    let placed = offers(&mut batch, vec![offer("O2", "b", "cpus:9;mem:900")]);
    assert_eq!(placed[1..], [Call::Demand(None), Call::Suppress]);
}

#[test]
fn a_task_that_makes_room_for_a_higher_priority_is_launched_again_and_has_not_failed() {
    let mut batch = batch(plan(1, "cpus:1"));
    offers(&mut batch, vec![offer("O1", "a", "cpus:1")]);
    let mut preempted = status("job", TaskState::Killed, None);
    preempted.reason = Some(StatusReason::ContainerPreempted);
    assert_eq!(update(&mut batch, &preempted), [Call::Revive]);
    let again = launched(&offers(&mut batch, vec![offer("O2", "a", "cpus:1")]));
    assert_eq!(again, [("O2".to_owned(), vec!["job-retry-1".to_owned()])]);
    update(&mut batch, &status("job-retry-1", TaskState::Finished, Some(TaskExit::Code(0))));
    assert_eq!(batch.exit_code(), Some(0));
}

#[test]
fn an_offer_is_filled_in_the_order_of_the_plan_with_whatever_still_fits() {
    let task = |(index, needs): (usize, &str)| {
        let task_id = TaskId::new(format!("t{index}")).unwrap();
        TaskInfo::new(task_id, "t", resources(needs), Work::Command(command()))
    };
    let needs = ["cpus:2", "cpus:1", "cpus:4", "cpus:2", "cpus:1"];
    let tasks = needs.into_iter().enumerate().map(task).collect();
    let mut batch = batch(BatchPlan::of_tasks(tasks).unwrap());
    let calls = offers(&mut batch, vec![offer("o1", "a", "cpus:6")]);
    assert_eq!(launched(&calls)[0].1, ["t0", "t1", "t3", "t4"]);
    let calls = offers(&mut batch, vec![offer("o2", "a", "cpus:3"), offer("o3", "b", "cpus:4")]);
    assert_eq!(launched(&calls)[0].1, ["t2"]);
}

#[test]
fn what_happens_is_told() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    let mut batch = BatchScheduler::new(plan(1, "cpus:1"), move |event| sink.lock().unwrap().push(event));
    offers(&mut batch, vec![offer("O", "h", "cpus:1")]);
    let running = status("job", TaskState::Running, None);
    update(&mut batch, &running);
    let launched = BatchEvent::Launched {
        framework_id: framework(),
        task_id: TaskId::new("job").unwrap(),
        agent_id: AgentId::new("agent-h").unwrap(),
        agent_endpoint: "h:5051".into(),
        hostname: "h".into(),
    };
    assert_eq!(*events.lock().unwrap(), [launched, BatchEvent::Updated { status: running }]);
}

#[test]
fn the_run_finishes_with_the_last_task_and_an_end_counts_once() {
    let mut batch = batch(plan(2, "cpus:1"));
    offers(&mut batch, vec![offer("O", "h", "cpus:2")]);
    assert_eq!(update(&mut batch, &status("job.0", TaskState::Finished, None)), []);
    assert_eq!(update(&mut batch, &status("job.0", TaskState::Failed, None)), []);
    assert_eq!(batch.result(), BatchResult::Unfinished);
    let last = update(&mut batch, &status("job.1", TaskState::Finished, None));
    assert_eq!(last, [Call::Finish(Outcome::Finished)]);
    assert_eq!((batch.result(), batch.exit_code()), (BatchResult::Ended, Some(0)));
}

#[test]
fn the_exit_code_is_the_first_in_the_order_of_the_plan_that_is_not_zero() {
    use TaskState::{Failed, Finished, Killed, Lost};
    let code = |code| Some(TaskExit::Code(code));
    let finished = (Finished, code(0));
    assert_eq!(ended(&[finished, finished]).exit_code(), Some(0));
    assert_eq!(ended(&[finished, (Failed, code(3)), (Failed, code(2))]).exit_code(), Some(3));
    assert_eq!(ended(&[(Killed, Some(TaskExit::Signal(15)))]).exit_code(), Some(143));
    assert_eq!(ended(&[finished, (Lost, None)]).exit_code(), None);
    assert_eq!(ended(&[(Lost, None), (Failed, code(7))]).exit_code(), Some(7));
    assert_eq!(ended(&[(Killed, code(0))]).exit_code(), None);
}

#[test]
fn a_task_is_launched_again_as_often_as_told_under_a_new_id() {
    let mut batch = batch(plan(1, "cpus:1").retries(1));
    offers(&mut batch, vec![offer("O1", "h", "cpus:1")]);
    assert_eq!(update(&mut batch, &status("job", TaskState::Lost, None)), [Call::Revive]);
    let calls = offers(&mut batch, vec![offer("O2", "h", "cpus:1")]);
    assert_eq!(launched(&calls)[0].1, ["job-retry-1"]);
    assert_eq!(update(&mut batch, &status("job", TaskState::Running, None)), []);
    let last = update(&mut batch, &status("job-retry-1", TaskState::Failed, Some(TaskExit::Code(5))));
    assert_eq!((last, batch.exit_code()), (vec![Call::Finish(Outcome::Finished)], Some(5)));
}

#[test]
fn a_task_whose_offer_was_withdrawn_has_not_failed() {
    let mut batch = batch(plan(1, "cpus:1"));
    offers(&mut batch, vec![offer("O1", "h", "cpus:1")]);
    let lost = status("job", TaskState::Lost, None).because(StatusReason::InvalidOffers, "rescinded");
    assert_eq!(update(&mut batch, &lost), [Call::Revive]);
    assert_eq!(launched(&offers(&mut batch, vec![offer("O2", "h", "cpus:1")])).len(), 1);
    assert_eq!(update(&mut batch, &status("job-retry-1", TaskState::Lost, None)), [Call::Finish(Outcome::Finished)]);
}

#[test]
fn an_interrupt_kills_what_runs_and_launches_nothing_more() {
    let mut batch = batch(plan(2, "cpus:1").retries(9));
    offers(&mut batch, vec![offer("O1", "h", "cpus:1")]);
    let calls = at(3, |calls| batch.kill_all(calls));
    assert_eq!(calls, [Call::Kill(TaskId::new("job.0").unwrap())]);
    assert_eq!(launched(&offers(&mut batch, vec![offer("O2", "h", "cpus:9")])), []);
    let last = update(&mut batch, &status("job.0", TaskState::Killed, Some(TaskExit::Signal(15))));
    assert_eq!(last, [Call::Finish(Outcome::Interrupted)]);
    assert_eq!(batch.ends().map(|end| end.state).collect::<Vec<_>>(), [TaskState::Killed, TaskState::Killed]);
}

fn not_placed(needs: &str, seen: Vec<Offer>) -> NotPlaced {
    let mut batch = batch(plan(2, needs).placement_timeout(Duration::from_secs(5)));
    offers(&mut batch, seen);
    let said = at(1000, |calls| batch.tick(Moment::at_ms(1000), calls));
    assert!(matches!(said[..], [Call::Demand(Some(_))]), "{said:?}");
    assert_eq!(batch.next_tick(), Some(Duration::from_secs(5)));
    assert_eq!(at(4999, |calls| batch.tick(Moment::at_ms(4999), calls)), []);
    let calls = at(5000, |calls| batch.tick(Moment::at_ms(5000), calls));
    assert_eq!(calls, [Call::Finish(Outcome::Finished)]);
    assert_eq!(batch.next_tick(), None);
    let BatchResult::NotPlaced(why) = batch.result() else { panic!("not placed") };
    *why
}

#[test]
fn tasks_without_a_place_are_told_what_they_lack() {
    let seen = vec![offer("O1", "a", "cpus:4;mem:100"), offer("O2", "b", "cpus:8;mem:10")];
    let why = not_placed("cpus:9;gpus:1;mem:50", seen.clone()).to_string();
    let expected = "2 of 2 tasks found no place within 5s, each asks for cpus:9;gpus:1;mem:50; \
        cpus: 9 asked, at most 8 offered (by b); gpus: 1 asked, no agent offers any";
    assert_eq!(why, expected);
    let why = not_placed("cpus:8;mem:100", seen).to_string();
    assert!(why.ends_with("no agent offered all of it at once, the nearest was a with cpus:4;mem:100"), "{why}");
    let why = not_placed("cpus:1", vec![]).to_string();
    assert!(why.ends_with("; no agent offered anything"), "{why}");
}

#[test]
fn a_port_that_a_smaller_range_has_is_no_shortage() {
    let seen = vec![offer("O1", "a", "cpus:1;ports:[31000-32000]"), offer("O2", "b", "ports:[80-80]")];
    assert_eq!(not_placed("cpus:1;ports:[80-80]", seen).shortages, []);
}

#[test]
fn a_batch_that_is_placed_has_no_deadline_any_more() {
    let mut batch = batch(plan(1, "cpus:1").placement_timeout(Duration::from_secs(5)));
    offers(&mut batch, vec![offer("O1", "h", "cpus:1")]);
    assert_eq!(batch.next_tick(), None);
}

#[test]
fn a_plan_that_cannot_work_is_refused() {
    let copies = |name: &str, count, needs: &str| BatchPlan::copies(name, count, &command(), &resources(needs));
    assert_eq!(copies("a", 0, "cpus:1"), Err(PlanError::Count(0)));
    assert_eq!(copies("a", INSTANCES_MAX + 1, "cpus:1"), Err(PlanError::Count(INSTANCES_MAX + 1)));
    assert!(matches!(copies("a/b", 1, "cpus:1"), Err(PlanError::Name { .. })));
    assert!(matches!(copies(&"a".repeat(250), 1, "cpus:1"), Err(PlanError::NameTooLong { .. })));
    let empty = BatchPlan::copies("a", 1, &command(), &Resources::empty());
    assert!(matches!(empty, Err(PlanError::NoResources(_))));
    let task = plan(1, "cpus:1").tasks()[0].clone();
    assert!(matches!(BatchPlan::of_tasks(vec![task.clone(), task]), Err(PlanError::SameId(_))));
}

#[derive(Debug, Clone)]
enum Step {
    Offer(u64, u64),
    Update(usize, usize, bool),
    Interrupt,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0..6_u64, 0..60_u64).prop_map(|(cpus, mem)| Step::Offer(cpus, mem)),
        20 => (0..12_usize, 0..TaskState::ALL.len(), any::<bool>())
            .prop_map(|(task, state, withdrawn)| Step::Update(task, state, withdrawn)),
        1 => Just(Step::Interrupt),
    ]
}

proptest! {
    #[test]
    fn no_launch_goes_beyond_its_offer_and_each_task_ends_once(
        instances in 1..6_usize, retries in 0..2_u32, steps in proptest::collection::vec(step(), 0..60)
    ) {
        let mut batch = batch(plan(instances, "cpus:1;mem:10").retries(retries));
        let (mut ids, mut open, mut finishes) = (Vec::<TaskId>::new(), BTreeSet::new(), 0);
        let rescue = (0..400).map(|n| if n % 2 == 0 { Step::Offer(100, 1000) } else { Step::Update(n / 2, 4, false) });
        for (number, step) in steps.into_iter().chain(rescue).enumerate() {
            let mut given = Resources::empty();
            let calls = match step {
                Step::Offer(cpus, mem) => {
                    let offer = offer(&format!("O{number}"), "h", &format!("cpus:{}.5;mem:{}", cpus, mem + 1));
                    given = offer.resources.clone();
                    offers(&mut batch, vec![offer])
                }
                Step::Update(task, state, withdrawn) => {
                    let Some(task_id) = ids.get(task % ids.len().max(1)).cloned() else { continue };
                    let state = TaskState::ALL[state];
                    let mut status = TaskStatus::new(task_id.clone(), state, StatusSource::Agent);
                    if withdrawn && state == TaskState::Lost {
                        status.reason = Some(StatusReason::InvalidOffers);
                    }
                    if state.is_terminal() {
                        open.remove(&task_id);
                    }
                    update(&mut batch, &status)
                }
                Step::Interrupt => at(1, |calls| batch.kill_all(calls)),
            };
            let mut answered = 0;
            for call in calls {
                match call {
                    Call::Accept { tasks, .. } => {
                        answered += 1;
                        let sum = tasks.iter().try_fold(Resources::empty(), |sum, task| sum.checked_add(&task.resources));
                        prop_assert!(given.contains(&sum.unwrap()), "more than was offered");
                        for task in tasks {
                            prop_assert!(!ids.contains(&task.task_id), "{} is launched twice", task.task_id);
                            ids.push(task.task_id.clone());
                            open.insert(task.task_id);
                        }
                    }
                    Call::Decline { .. } => answered += 1,
                    Call::Finish(_) => finishes += 1,
                    _ => {}
                }
            }
            prop_assert_eq!(answered, usize::from(!given.is_empty()), "an offer is answered once");
            let before = batch.ends().count();
            prop_assert!(before + open.len() <= instances, "a task runs beside its own end");
        }
        prop_assert_eq!((batch.ends().count(), finishes >= 1), (instances, true));
        prop_assert!(batch.ends().all(|end| end.state.is_terminal()));
    }
}
