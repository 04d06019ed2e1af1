//! Checks, the longest time, and the states between, by plain calls.

use super::super::tests::{GRACE, at, command, core, effects, id, run_task, sent, the_status, welcome};
use super::*;
use crate::end::TaskEnd;
use odeon_protocol::task::{Check, HealthCheck, Probe, TaskExit, TaskInfo, TaskStatus};
use std::time::Duration;

const BAD: CheckResult = CheckResult::HttpStatus(503);
const GOOD: CheckResult = CheckResult::HttpStatus(200);
const PROBE: Probe = Probe::Tcp { port: 80 };

/// A task whose agent answers every update at once, and what has happened to it.
struct Stage {
    core: ExecutorCore,
    told: Vec<TaskStatus>,
    done: Vec<Effect>,
}

impl Stage {
    /// Starts a command at 0 s, which runs at once.
    fn with(change: impl FnOnce(&mut TaskInfo)) -> Self {
        Self::of(core(), change)
    }

    fn of(core: ExecutorCore, change: impl FnOnce(&mut TaskInfo)) -> Self {
        let mut stage = Self { core, told: vec![], done: vec![] };
        let mut message = run_task("t", command(&["x"]));
        change(&mut message.task);
        stage.call(|core, out| core.on_start(at(0), out));
        stage.call(|core, out| core.on_register_answered(welcome(), at(0), out));
        stage.call(|core, out| core.on_run_task(message, at(0), out));
        stage.call(|core, out| core.on_task_report(&id("t"), "", at(0), out));
        stage.done.clear();
        stage
    }

    fn call(&mut self, call: impl FnOnce(&mut ExecutorCore, &mut Vec<Effect>)) {
        let mut pending = effects(&mut self.core, call);
        while !pending.is_empty() {
            for effect in std::mem::take(&mut pending) {
                let Effect::SendUpdate(update) = effect else {
                    self.done.push(effect);
                    continue;
                };
                let answered = |core: &mut ExecutorCore, out: &mut Vec<Effect>| {
                    core.on_update_answered(update.sequence, Some(Ok(())), at(0), out);
                };
                pending.extend(effects(&mut self.core, answered));
                self.told.push(update.status);
            }
        }
    }

    /// The next check is due at this second and not before; it is answered at once.
    fn asked_at(&mut self, second: u64, kind: CheckKind, answer: CheckResult) {
        assert_eq!(self.core.next_deadline(), Some(Duration::from_secs(second)));
        self.call(|core, out| core.on_timer(at(second * 1000), out));
        assert!(
            matches!(self.done.as_slice(), [Effect::Check { kind: asked, .. }] if *asked == kind),
            "{:?}",
            self.done
        );
        self.done.clear();
        self.call(|core, out| core.on_checked(&id("t"), kind, answer, at(second * 1000), out));
    }

    fn ends(&mut self, end: TaskEnd) -> TaskStatus {
        self.call(|core, out| core.on_task_ended(&id("t"), end, at(99_000), out));
        self.told.pop().unwrap()
    }

    fn last(&self) -> (Option<bool>, &str) {
        let status = self.told.last().unwrap();
        (status.healthy, &status.message)
    }
}

fn healthy(stage: &Stage) -> Vec<Option<bool>> {
    stage.told.iter().map(|status| status.healthy).collect()
}

fn with_health(task: &mut TaskInfo) {
    task.health_check = Some(HealthCheck::new(PROBE).into());
}

#[test]
fn a_health_check_begins_after_its_delay_and_tells_the_first_good_answer_only() {
    let mut stage = Stage::with(with_health);
    stage.asked_at(15, CheckKind::Health, GOOD);
    stage.asked_at(25, CheckKind::Health, GOOD);
    assert_eq!(healthy(&stage), [None, Some(true)]);
    let told = stage.told.last().unwrap();
    assert_eq!((told.state, told.reason), (TaskState::Running, Some(StatusReason::TaskHealthCheckStatusUpdated)));
}

#[test]
fn bad_answers_in_the_grace_do_not_count_until_the_task_was_well_once() {
    let health = || HealthCheck { grace: Duration::from_secs(40), ..HealthCheck::new(PROBE) };
    let mut stage = Stage::with(|task| task.health_check = Some(health().into()));
    stage.asked_at(15, CheckKind::Health, BAD);
    stage.asked_at(25, CheckKind::Health, BAD);
    assert_eq!(healthy(&stage), [None]);
    stage.asked_at(35, CheckKind::Health, GOOD);
    stage.asked_at(45, CheckKind::Health, BAD);
    assert_eq!(stage.last(), (Some(false), "unhealthy, 1 of 3 times: the HTTP status is 503"));
    let mut stage = Stage::with(|task| task.health_check = Some(health().into()));
    stage.asked_at(15, CheckKind::Health, GOOD);
    stage.asked_at(25, CheckKind::Health, BAD);
    assert_eq!(stage.last().0, Some(false), "the grace is over with the first good answer");
}

#[test]
fn a_good_answer_begins_the_count_anew() {
    let mut stage = Stage::with(with_health);
    for (second, answer) in [(15, BAD), (25, BAD), (35, GOOD), (45, BAD), (55, BAD)] {
        stage.asked_at(second, CheckKind::Health, answer);
    }
    assert_eq!(healthy(&stage), [None, Some(false), Some(false), Some(true), Some(false), Some(false)]);
    assert_eq!(stage.done, []);
}

#[test]
fn a_task_that_is_unhealthy_too_often_in_a_row_is_killed_and_the_last_update_says_why() {
    let mut stage = Stage::with(with_health);
    stage.asked_at(15, CheckKind::Health, CheckResult::NoAnswer);
    stage.asked_at(25, CheckKind::Health, BAD);
    stage.asked_at(35, CheckKind::Health, BAD);
    assert_eq!(stage.last(), (Some(false), "unhealthy, 3 of 3 times: the HTTP status is 503"));
    assert_eq!(std::mem::take(&mut stage.done), [Effect::AskToEnd(id("t"))]);
    assert_eq!(stage.core.next_deadline(), Some(Duration::from_secs(35) + GRACE), "no further check, only the force");
    let end = stage.ends(TaskEnd::Done);
    assert_eq!((end.state, end.reason), (TaskState::Killed, Some(StatusReason::TaskHealthCheckStatusUpdated)));
    assert_eq!((end.healthy, end.exit), (Some(false), Some(TaskExit::Code(0))));
    assert_eq!(end.message, "unhealthy, 3 of 3 times: the HTTP status is 503");
}

#[test]
fn a_plain_check_tells_what_has_changed_and_kills_nobody() {
    let mut stage = Stage::with(|task| task.check = Some(Check::new(PROBE).into()));
    for (second, answer) in [(15, BAD), (25, BAD), (35, BAD), (45, GOOD), (55, GOOD)] {
        stage.asked_at(second, CheckKind::Plain, answer);
    }
    let told: Vec<_> = stage.told.iter().map(|status| (status.reason, status.check)).collect();
    let reason = Some(StatusReason::TaskCheckStatusUpdated);
    assert_eq!(told, [(None, None), (reason, Some(BAD)), (reason, Some(GOOD))]);
    let end = stage.ends(TaskEnd::Done);
    assert_eq!((end.state, end.check, end.healthy), (TaskState::Finished, Some(GOOD), None));
}

#[test]
fn an_answer_that_comes_when_the_task_is_asked_to_end_changes_nothing() {
    let mut stage = Stage::with(with_health);
    stage.call(|core, out| core.on_timer(at(15_000), out));
    let kill = odeon_protocol::messages::agent_executor::EndTask { task_id: id("t"), grace: GRACE };
    stage.call(|core, out| core.on_end_task(&kill, at(16_000), out));
    let before = stage.told.len();
    stage.call(|core, out| core.on_checked(&id("t"), CheckKind::Health, BAD, at(17_000), out));
    assert_eq!(stage.told.len(), before);
    let end = stage.ends(TaskEnd::Done);
    assert_eq!((end.state, end.reason, end.healthy), (TaskState::Killed, None, None));
}

#[test]
fn a_task_that_takes_too_long_is_asked_then_forced_and_has_failed_whatever_it_returns() {
    let mut stage = Stage::with(|task| {
        task.max_completion_time = Some(Duration::from_secs(60));
        task.kill_grace = Some(Duration::from_secs(7));
    });
    assert_eq!(stage.core.next_deadline(), Some(Duration::from_secs(60)));
    stage.call(|core, out| core.on_timer(at(60_000), out));
    assert_eq!(std::mem::take(&mut stage.done), [Effect::AskToEnd(id("t"))]);
    assert_eq!(stage.core.next_deadline(), Some(Duration::from_secs(67)));
    stage.call(|core, out| core.on_timer(at(67_000), out));
    assert_eq!(std::mem::take(&mut stage.done), [Effect::ForceToEnd(id("t"))]);
    let end = stage.ends(TaskEnd::Done);
    assert_eq!((end.state, end.reason), (TaskState::Failed, Some(StatusReason::MaxCompletionTimeReached)));
    assert_eq!(end.message, "the task did not end within its max completion time of 60s");
}

#[test]
fn a_task_that_ends_in_its_time_leaves_nothing_to_wait_for() {
    let mut stage = Stage::with(|task| {
        with_health(task);
        task.max_completion_time = Some(Duration::from_secs(60));
    });
    assert_eq!(stage.ends(TaskEnd::Done).state, TaskState::Finished);
    assert_eq!(stage.core.next_deadline(), None);
}

#[test]
fn a_task_whose_check_cannot_be_carried_out_is_not_started() {
    let mut core = core();
    let mut message = run_task("t", command(&["x"]));
    message.task.health_check = Some(HealthCheck::new(Probe::Tcp { port: 0 }).into());
    effects(&mut core, |core, out| core.on_register_answered(welcome(), at(0), out));
    let status = the_status(&effects(&mut core, |core, out| core.on_run_task(message, at(0), out)));
    assert_eq!((status.state, status.reason), (TaskState::Error, Some(StatusReason::TaskInvalid)));
    assert_eq!(status.message, "the port of the check is 0");
}

#[test]
fn a_framework_that_understands_it_hears_of_starting_and_killing_and_no_running_after_that() {
    let mut patient = core();
    patient.killing_state = true;
    let mut stage = Stage::of(patient, |_| {});
    let kill = odeon_protocol::messages::agent_executor::EndTask { task_id: id("t"), grace: GRACE };
    stage.call(|core, out| core.on_end_task(&kill, at(1), out));
    stage.call(|core, out| core.on_end_task(&kill, at(2), out));
    stage.call(|core, out| core.on_task_report(&id("t"), "tidying up", at(3), out));
    let states: Vec<TaskState> = stage.told.iter().map(|status| status.state).collect();
    assert_eq!(states, [TaskState::Starting, TaskState::Running, TaskState::Killing, TaskState::Killing]);
    assert_eq!(stage.ends(TaskEnd::Done).state, TaskState::Killed);
}

#[test]
fn the_answer_to_a_registration_says_whether_the_framework_understands_killing() {
    let mut core = core();
    let mut answer = welcome();
    if let Some(Ok(registered)) = &mut answer {
        registered.killing_state = true;
    }
    effects(&mut core, |core, out| core.on_register_answered(answer, at(0), out));
    let first = effects(&mut core, |core, out| core.on_run_task(run_task("t", command(&["x"])), at(0), out));
    assert_eq!(sent(&first), [(1, TaskState::Starting)]);
}
