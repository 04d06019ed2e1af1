//! The executor's decisions, by plain calls.

use super::tasks::ENDED_MAX;
use super::updates::UNDER_WAY_MAX;
use super::*;
use crate::task::TaskFailure;
use odeon_protocol::executor::{CommandInfo, ExecutorInfo};
use odeon_protocol::id::AgentId;
use odeon_protocol::resources::Resources;
use odeon_protocol::task::TaskExit;
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(super) const GRACE: Duration = Duration::from_secs(4);

pub(super) fn core() -> ExecutorCore {
    core_that_waits(None)
}

fn core_that_waits(recovery_timeout: Option<Duration>) -> ExecutorCore {
    let identity = Identity {
        framework_id: FrameworkId::new("F").unwrap(),
        executor_id: ExecutorId::new("e").unwrap(),
        container_id: ContainerId::new("c").unwrap(),
        shutdown_grace: GRACE,
        recovery_timeout,
    };
    ExecutorCore::new(identity, BTreeSet::from(["nap".to_owned()]))
}

pub(super) fn id(text: &str) -> TaskId {
    TaskId::new(text).unwrap()
}

pub(super) fn run_task(task_id: &str, work: Work) -> RunTask {
    let task = TaskInfo::new(id(task_id), "n", Resources::empty(), work);
    RunTask { task, sandbox: "/s".into() }
}

pub(super) fn command(argv: &[&str]) -> Work {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    Work::Command(CommandInfo { argv, environment: BTreeMap::new(), working_directory: None })
}

fn registered(task_type: &str) -> Work {
    Work::Registered { executor: executor_info(), task_type: task_type.into(), data: vec![] }
}

fn shared(argv: &[&str]) -> Work {
    let command = command(argv).command().cloned().unwrap();
    Work::SharedCommand { executor: executor_info(), command }
}

fn executor_info() -> ExecutorInfo {
    let executor_id = ExecutorId::new("e").unwrap();
    ExecutorInfo { executor_id, name: String::new(), resources: Resources::empty(), program: None, binary: None }
}

pub(super) fn welcome() -> Option<Result<ExecutorRegistered, RegisterExecutorError>> {
    let agent_id = AgentId::new("S").unwrap();
    Some(Ok(ExecutorRegistered { agent_id, executor: executor_info(), kill_grace: GRACE, killing_state: false }))
}

fn unknown() -> RegisterExecutorError {
    RegisterExecutorError::UnknownContainer(ContainerId::new("c").unwrap())
}

/// Calls the core and returns what it wants done.
pub(super) fn effects(core: &mut ExecutorCore, call: impl FnOnce(&mut ExecutorCore, &mut Vec<Effect>)) -> Vec<Effect> {
    let mut out = Vec::new();
    call(core, &mut out);
    out
}

pub(super) fn at(ms: u64) -> Moment {
    Moment::at_ms(ms)
}

/// An executor that has registered and has started the tasks.
fn running(tasks: &[(&str, Work)]) -> ExecutorCore {
    let mut core = core();
    let mut out = Vec::new();
    core.on_start(at(0), &mut out);
    core.on_register_answered(welcome(), at(0), &mut out);
    for (task_id, work) in tasks {
        core.on_run_task(run_task(task_id, work.clone()), at(0), &mut out);
    }
    core
}

/// The states and numbers of the updates among effects.
pub(super) fn sent(effects: &[Effect]) -> Vec<(u64, TaskState)> {
    let update = |effect: &Effect| match effect {
        Effect::SendUpdate(update) => Some((update.sequence, update.status.state)),
        _ => None,
    };
    effects.iter().filter_map(update).collect()
}

pub(super) fn the_status(effects: &[Effect]) -> TaskStatus {
    match effects {
        [Effect::SendUpdate(update)] => update.status.clone(),
        other => panic!("expected one update, got {other:?}"),
    }
}

#[test]
fn updates_leave_one_by_one_in_order_and_again_until_they_are_answered() {
    let mut core = running(&[("t", registered("nap"))]);
    let first = effects(&mut core, |core, out| core.on_task_report(&id("t"), "", at(1), out));
    assert_eq!(sent(&first), [(1, TaskState::Running)]);
    let end = effects(&mut core, |core, out| core.on_task_ended(&id("t"), TaskEnd::Done, at(2), out));
    assert_eq!(end, []);
    let none = effects(&mut core, |core, out| core.on_update_answered(1, None, at(3), out));
    assert_eq!(none, []);
    assert_eq!(core.next_deadline(), Some(at(3).after(UPDATE_RETRY)));
    let again = effects(&mut core, |core, out| core.on_timer(at(503), out));
    assert_eq!(again, first);
    let second = effects(&mut core, |core, out| core.on_update_answered(1, Some(Ok(())), at(504), out));
    assert_eq!(sent(&second), [(2, TaskState::Finished)]);
    let rest = effects(&mut core, |core, out| core.on_update_answered(2, Some(Ok(())), at(505), out));
    assert_eq!((rest, core.next_deadline()), (vec![], None));
}

#[test]
fn updates_of_different_tasks_do_not_wait_for_each_other() {
    let mut core = running(&[("a", registered("nap")), ("b", registered("nap"))]);
    let report =
        |core: &mut ExecutorCore, task: &str| effects(core, |core, out| core.on_task_report(&id(task), "", at(1), out));
    assert_eq!(sent(&report(&mut core, "a")), [(1, TaskState::Running)]);
    assert_eq!(sent(&report(&mut core, "b")), [(2, TaskState::Running)]);
    let end = |core: &mut ExecutorCore, task: &str| {
        effects(core, |core, out| core.on_task_ended(&id(task), TaskEnd::Done, at(2), out))
    };
    assert_eq!((end(&mut core, "a"), end(&mut core, "b")), (vec![], vec![]));
    let of_b = effects(&mut core, |core, out| core.on_update_answered(2, Some(Ok(())), at(3), out));
    assert_eq!((sent(&of_b), the_status(&of_b).task_id), (vec![(3, TaskState::Finished)], id("b")));
    let none = effects(&mut core, |core, out| core.on_update_answered(1, None, at(3), out));
    assert_eq!(none, [], "the end of a task waits for its start");
}

#[test]
fn so_many_updates_are_under_way_and_no_more() {
    let names: Vec<String> = (0..=UNDER_WAY_MAX).map(|number| format!("t{number}")).collect();
    let tasks: Vec<(&str, Work)> = names.iter().map(|name| (name.as_str(), registered("nap"))).collect();
    let mut core = running(&tasks);
    let mut report = |name: &String| effects(&mut core, |core, out| core.on_task_report(&id(name), "", at(1), out));
    let counts: Vec<usize> = names.iter().map(|name| report(name).len()).collect();
    assert_eq!((counts.iter().sum::<usize>(), counts[UNDER_WAY_MAX]), (UNDER_WAY_MAX, 0));
    let next = effects(&mut core, |core, out| core.on_update_answered(7, Some(Ok(())), at(2), out));
    assert_eq!(the_status(&next).task_id, id(&names[UNDER_WAY_MAX]));
}

#[test]
fn a_task_that_has_ended_is_not_started_again_and_names_are_remembered_up_to_a_bound() {
    let mut core = running(&[("t", registered("nap"))]);
    let mut out = Vec::new();
    core.on_task_ended(&id("t"), TaskEnd::Done, at(1), &mut out);
    core.on_run_task(run_task("t", registered("nap")), at(2), &mut out);
    assert_eq!(sent(&out).len(), out.len(), "only the end is told: {out:?}");
    for number in 0..ENDED_MAX {
        core.on_run_task(run_task(&format!("u{number}"), registered("unknown")), at(3), &mut Vec::new());
    }
    let again = effects(&mut core, |core, out| core.on_run_task(run_task("t", registered("nap")), at(4), out));
    assert!(matches!(again[..], [Effect::StartTask { .. }]), "{again:?}");
}

#[test]
fn a_talkative_task_overwrites_its_own_waiting_words() {
    let mut core = running(&[("t", registered("nap"))]);
    let say = |core: &mut ExecutorCore, text: &str| {
        effects(core, |core, out| core.on_task_report(&id("t"), text, at(1), out))
    };
    assert_eq!(the_status(&say(&mut core, "1")).message, "1");
    assert_eq!(say(&mut core, "2"), []);
    assert_eq!(say(&mut core, "3"), []);
    let next = effects(&mut core, |core, out| core.on_update_answered(1, Some(Ok(())), at(2), out));
    assert_eq!(the_status(&next).message, "3");
    let rest = effects(&mut core, |core, out| core.on_update_answered(2, Some(Ok(())), at(3), out));
    assert_eq!(rest, []);
}

/// An executor with one task whose agent has just gone out of reach; returns when it ends its task.
fn ms_until_it_gives_its_agent_up(mut core: ExecutorCore) -> u64 {
    let mut out = Vec::new();
    core.on_start(at(0), &mut out);
    core.on_register_answered(welcome(), at(0), &mut out);
    core.on_run_task(run_task("t", registered("nap")), at(0), &mut out);
    core.on_link_down(at(1000), &mut out);
    let mut ms = 1000;
    while !out.contains(&Effect::AskToEnd(id("t"))) {
        core.on_register_answered(None, at(ms), &mut out);
        let due = core.next_deadline().expect("it waits or has given up");
        ms = u64::try_from(due.as_millis()).unwrap();
        core.on_timer(at(ms), &mut out);
    }
    ms - 1000
}

#[test]
fn an_agent_that_is_gone_is_waited_for_as_long_as_the_framework_checkpoints() {
    assert_eq!(ms_until_it_gives_its_agent_up(core()), 2000);
    let window = Duration::from_secs(15 * 60);
    assert_eq!(ms_until_it_gives_its_agent_up(core_that_waits(Some(window))), 900_000);
}

#[test]
fn the_end_of_a_task_waits_for_the_agent_that_is_started_again() {
    let mut core = core_that_waits(Some(Duration::from_secs(900)));
    let mut out = Vec::new();
    core.on_start(at(0), &mut out);
    core.on_register_answered(welcome(), at(0), &mut out);
    core.on_run_task(run_task("t", command(&["true"])), at(0), &mut out);
    core.on_link_down(at(10), &mut out);
    core.on_register_answered(None, at(11), &mut out);
    out.clear();
    core.on_task_ended(&id("t"), TaskEnd::Done, at(20), &mut out);
    assert_eq!(out, []);
    let back = effects(&mut core, |core, out| core.on_register_answered(welcome(), at(60_000), out));
    assert_eq!(sent(&back), [(1, TaskState::Finished)]);
    let end = effects(&mut core, |core, out| core.on_update_answered(1, Some(Ok(())), at(60_001), out));
    assert_eq!(end, [Effect::End(ExecutorEnd::TaskDone)]);
}

#[test]
fn an_unknown_task_type_is_an_error_that_names_the_known_ones() {
    let mut core = running(&[]);
    let out = effects(&mut core, |core, out| core.on_run_task(run_task("t", registered("nope")), at(1), out));
    let status = the_status(&out);
    assert_eq!((status.state, status.reason), (TaskState::Error, Some(StatusReason::TaskInvalid)));
    assert!(status.message.contains("\"nope\"") && status.message.contains("registered: nap"), "{}", status.message);
}

#[test]
fn an_empty_command_is_an_error_and_ends_its_executor() {
    let mut core = running(&[]);
    let out = effects(&mut core, |core, out| core.on_run_task(run_task("t", command(&[])), at(1), out));
    assert_eq!(the_status(&out).state, TaskState::Error);
    let end = effects(&mut core, |core, out| core.on_update_answered(1, Some(Ok(())), at(2), out));
    assert_eq!(end, [Effect::End(ExecutorEnd::TaskDone)]);
}

#[test]
fn a_command_executor_ends_when_the_agent_knows_the_end_of_its_command() {
    let mut core = running(&[("t", command(&["true"]))]);
    let out = effects(&mut core, |core, out| core.on_task_ended(&id("t"), TaskEnd::Done, at(1), out));
    let status = the_status(&out);
    assert_eq!((status.state, status.exit), (TaskState::Finished, Some(TaskExit::Code(0))));
    let end = effects(&mut core, |core, out| core.on_update_answered(1, Some(Ok(())), at(2), out));
    assert_eq!(end, [Effect::End(ExecutorEnd::TaskDone)]);
}

#[test]
fn an_executor_that_its_tasks_name_stays_for_the_next_one() {
    for work in [registered("nap"), shared(&["true"])] {
        let mut core = running(&[("t", work.clone())]);
        let mut out = Vec::new();
        core.on_task_ended(&id("t"), TaskEnd::Done, at(1), &mut out);
        core.on_update_answered(1, Some(Ok(())), at(2), &mut out);
        assert!(!out.iter().any(|effect| matches!(effect, Effect::End(_))));
        let next = effects(&mut core, |core, out| core.on_run_task(run_task("u", work), at(3), out));
        assert!(matches!(&next[..], [Effect::StartTask { .. }]));
    }
}

#[test]
fn a_shared_command_that_has_finished_has_the_exit_code_of_one() {
    let mut core = running(&[("t", shared(&["true"]))]);
    let out = effects(&mut core, |core, out| core.on_task_ended(&id("t"), TaskEnd::Done, at(1), out));
    assert_eq!(the_status(&out).exit, Some(TaskExit::Code(0)));
}

#[test]
fn a_task_that_is_asked_to_end_is_killed_whatever_it_returns() {
    let ends = [TaskEnd::Done, TaskEnd::Failed(TaskFailure::new("x")), TaskEnd::Panicked("p".into()), TaskEnd::Aborted];
    for end in ends {
        let mut core = running(&[("t", registered("nap"))]);
        let ask = EndTask { task_id: id("t"), grace: GRACE };
        let asked = effects(&mut core, |core, out| core.on_end_task(&ask, at(10), out));
        assert_eq!(asked, [Effect::AskToEnd(id("t"))]);
        let out = effects(&mut core, |core, out| core.on_task_ended(&id("t"), end, at(11), out));
        assert_eq!(the_status(&out).state, TaskState::Killed);
    }
}

#[test]
fn a_task_is_forced_after_the_shortest_grace_and_once() {
    let mut core = running(&[("t", registered("nap"))]);
    let mut out = Vec::new();
    for grace in [9, 3, 5] {
        let message = EndTask { task_id: id("t"), grace: Duration::from_secs(grace) };
        core.on_end_task(&message, at(0), &mut out);
    }
    assert_eq!(out, [Effect::AskToEnd(id("t"))]);
    assert_eq!(core.next_deadline(), Some(Duration::from_secs(3)));
    assert_eq!(effects(&mut core, |core, out| core.on_timer(at(2999), out)), []);
    assert_eq!(effects(&mut core, |core, out| core.on_timer(at(3000), out)), [Effect::ForceToEnd(id("t"))]);
    assert_eq!(effects(&mut core, |core, out| core.on_timer(at(9000), out)), []);
}

#[test]
fn a_failed_command_keeps_its_exit_and_a_panic_its_text() {
    let mut core = running(&[("c", command(&["x"])), ("t", registered("nap"))]);
    let failure = TaskFailure::of_command("boom", TaskExit::Signal(9));
    let out = effects(&mut core, |core, out| core.on_task_ended(&id("c"), TaskEnd::Failed(failure), at(1), out));
    let status = the_status(&out);
    assert_eq!((status.state, status.exit), (TaskState::Failed, Some(TaskExit::Signal(9))));
    assert_eq!(status.reason, Some(StatusReason::CommandExecutorFailed));
    let mut out = Vec::new();
    core.on_task_ended(&id("t"), TaskEnd::Panicked("index 7".into()), at(2), &mut out);
    core.on_update_answered(1, Some(Ok(())), at(3), &mut out);
    assert_eq!(the_status(&out).message, "the task panicked: index 7");
}

#[test]
fn a_short_break_of_the_link_costs_nothing_but_a_registration() {
    let mut core = running(&[("t", registered("nap"))]);
    let sent_before = effects(&mut core, |core, out| core.on_task_report(&id("t"), "", at(1), out));
    let mut out = Vec::new();
    core.on_link_down(at(1000), &mut out);
    core.on_update_answered(1, None, at(1000), &mut out);
    core.on_register_answered(None, at(1100), &mut out);
    core.on_timer(at(1300), &mut out);
    assert!(matches!(out[..], [Effect::Register(_), Effect::Register(_)]), "{out:?}");
    let resent = effects(&mut core, |core, out| core.on_register_answered(welcome(), at(1400), out));
    assert_eq!(resent, sent_before);
    assert_eq!(effects(&mut core, |core, out| core.on_timer(at(9000), out)), []);
}

#[test]
fn an_agent_that_stays_away_costs_the_tasks_and_the_executor() {
    let mut core = running(&[("t", registered("nap"))]);
    let mut out = Vec::new();
    core.on_link_down(at(1000), &mut out);
    out.clear();
    core.on_timer(at(2999), &mut out);
    assert_eq!(out, []);
    core.on_timer(at(3000), &mut out);
    assert_eq!(out, [Effect::AskToEnd(id("t"))]);
    let end = effects(&mut core, |core, out| core.on_task_ended(&id("t"), TaskEnd::Done, at(3100), out));
    assert_eq!(end, [Effect::End(ExecutorEnd::AgentLost)]);
}

#[test]
fn an_executor_that_is_not_wanted_ends_at_once() {
    let mut core = core();
    let mut out = Vec::new();
    core.on_start(at(0), &mut out);
    core.on_register_answered(Some(Err(unknown())), at(1), &mut out);
    assert_eq!(out.last(), Some(&Effect::End(ExecutorEnd::Refused(unknown()))));
    let mut core = running(&[("t", registered("nap"))]);
    let mut out = Vec::new();
    core.on_task_report(&id("t"), "", at(1), &mut out);
    core.on_update_answered(1, Some(Err(unknown())), at(2), &mut out);
    core.on_timer(at(2), &mut out);
    assert_eq!(out[1..], [Effect::AskToEnd(id("t")), Effect::ForceToEnd(id("t"))]);
}

#[test]
fn a_shutdown_ends_the_tasks_before_the_agent_would_and_waits_for_the_answers() {
    let mut core = running(&[("t", registered("nap"))]);
    let mut out = Vec::new();
    core.on_shutdown(&ShutdownExecutor { grace: GRACE }, at(0), &mut out);
    assert_eq!(core.next_deadline(), Some(Duration::from_secs(3)));
    core.on_timer(at(3000), &mut out);
    core.on_task_ended(&id("t"), TaskEnd::Aborted, at(3001), &mut out);
    assert_eq!(sent(&out), [(1, TaskState::Killed)]);
    assert_eq!(out[..2], [Effect::AskToEnd(id("t")), Effect::ForceToEnd(id("t"))]);
    let late = effects(&mut core, |core, out| core.on_run_task(run_task("u", registered("nap")), at(3002), out));
    assert_eq!(sent(&late), [(2, TaskState::Killed)]);
    let waits = effects(&mut core, |core, out| core.on_update_answered(1, Some(Ok(())), at(3003), out));
    assert_eq!(waits, []);
    let end = effects(&mut core, |core, out| core.on_update_answered(2, Some(Ok(())), at(3004), out));
    assert_eq!(end, [Effect::End(ExecutorEnd::Shutdown)]);
}

#[test]
fn an_executor_ends_even_if_a_task_or_the_agent_never_answers() {
    let mut core = running(&[("t", registered("nap"))]);
    let mut out = Vec::new();
    core.on_shutdown(&ShutdownExecutor { grace: GRACE }, at(0), &mut out);
    core.on_timer(at(4999), &mut out);
    assert!(!out.iter().any(|effect| matches!(effect, Effect::End(_))));
    core.on_timer(at(5000), &mut out);
    assert_eq!(out.last(), Some(&Effect::End(ExecutorEnd::Shutdown)));
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let mut core = running(&[("t", registered("nap"))]);
    let text = format!("a{}", "ü".repeat(MESSAGE_BYTES_MAX));
    let out = effects(&mut core, |core, out| core.on_task_report(&id("t"), &text, at(1), out));
    assert_eq!(the_status(&out).message.len(), MESSAGE_BYTES_MAX - 1);
}

/// What can happen to an executor, in any order.
#[derive(Debug, Clone)]
enum Event {
    Registered(bool),
    RegisterFailed,
    LinkDown,
    Run(u8, bool),
    EndTask(u8, u64),
    Report(u8),
    Ended(u8, TaskEnd),
    /// One of those under way is answered, or not.
    Answered(usize, bool),
    Shutdown(u64),
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let end = prop_oneof![
        Just(TaskEnd::Done),
        Just(TaskEnd::Aborted),
        Just(TaskEnd::Failed(TaskFailure::new("f"))),
        Just(TaskEnd::Panicked("p".into()))
    ];
    prop_oneof![
        1 => (0..20_u8).prop_map(|dice| Event::Registered(dice > 0)),
        1 => Just(Event::RegisterFailed),
        1 => Just(Event::LinkDown),
        6 => (0..4_u8, any::<bool>()).prop_map(|(task, is_command)| Event::Run(task, is_command)),
        2 => (0..4_u8, 0..3000_u64).prop_map(|(task, grace)| Event::EndTask(task, grace)),
        4 => (0..4_u8).prop_map(Event::Report),
        4 => (0..4_u8, end).prop_map(|(task, end)| Event::Ended(task, end)),
        8 => (0..8_usize, any::<bool>()).prop_map(|(pick, ok)| Event::Answered(pick, ok)),
        1 => (0..3000_u64).prop_map(Event::Shutdown),
        3 => (0..800_u64).prop_map(Event::Pass),
    ]
}

/// Follows the effects of a core, and checks what must always hold.
#[derive(Default)]
struct Watcher {
    started: BTreeSet<TaskId>,
    last: BTreeMap<u64, TaskStatus>,
    /// Under way, of which task.
    open: BTreeMap<u64, TaskId>,
    terminal: BTreeMap<TaskId, u64>,
    ended: bool,
}

impl Watcher {
    fn see(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            assert!(!self.ended, "{effect:?} after the end");
            match effect {
                Effect::StartTask { task, .. } => assert!(self.started.insert(task.task_id), "started twice"),
                Effect::SendUpdate(update) => self.see_update(update),
                Effect::AskToEnd(task_id) | Effect::ForceToEnd(task_id) => assert!(self.started.contains(&task_id)),
                Effect::End(_) => self.ended = true,
                Effect::Register(_) | Effect::Check { .. } => {}
            }
        }
    }

    fn see_update(&mut self, update: UpdateStatus) {
        let UpdateStatus { sequence, status, .. } = update;
        let known = self.last.last_key_value().map_or(0, |(last, _)| *last);
        assert!(!self.open.values().any(|task_id| *task_id == status.task_id), "two updates of a task in flight");
        self.open.insert(sequence, status.task_id.clone());
        match self.last.get(&sequence) {
            Some(earlier) => assert_eq!(earlier, &status, "another update of the same number"),
            None => {
                assert_eq!(sequence, known + 1, "a number is left out");
                let ended_before = self.terminal.contains_key(&status.task_id);
                assert!(!ended_before, "{status:?} after the end of the task");
                if status.state.is_terminal() {
                    self.terminal.insert(status.task_id.clone(), sequence);
                }
                self.last.insert(sequence, status);
            }
        }
    }
}

fn play(core: &mut ExecutorCore, watcher: &mut Watcher, now: &mut u64, event: Event, out: &mut Vec<Effect>) {
    let task = |number: u8| id(&format!("t{number}"));
    let moment = at(*now);
    match event {
        Event::Registered(true) => core.on_register_answered(welcome(), moment, out),
        Event::Registered(false) => core.on_register_answered(Some(Err(unknown())), moment, out),
        Event::RegisterFailed => core.on_register_answered(None, moment, out),
        Event::LinkDown => core.on_link_down(moment, out),
        Event::Run(number, true) => core.on_run_task(run_task(task(number).as_str(), command(&["x"])), moment, out),
        Event::Run(number, false) => core.on_run_task(run_task(task(number).as_str(), registered("nap")), moment, out),
        Event::EndTask(number, ms) => {
            let message = EndTask { task_id: task(number), grace: Duration::from_millis(ms) };
            core.on_end_task(&message, moment, out);
        }
        Event::Report(number) => core.on_task_report(&task(number), "r", moment, out),
        Event::Ended(number, end) => {
            if watcher.started.contains(&task(number)) {
                core.on_task_ended(&task(number), end, moment, out);
            }
        }
        Event::Answered(pick, ok) => {
            let picked = watcher.open.keys().nth(pick % watcher.open.len().max(1)).copied();
            if let Some(sequence) = picked {
                watcher.open.remove(&sequence);
                core.on_update_answered(sequence, ok.then_some(Ok(())), moment, out);
            }
        }
        Event::Shutdown(ms) => {
            core.on_shutdown(&ShutdownExecutor { grace: Duration::from_millis(ms) }, moment, out);
        }
        Event::Pass(ms) => {
            *now += ms;
            core.on_timer(at(*now), out);
            let next = core.next_deadline();
            assert!(next.is_none_or(|next| next > Duration::from_millis(*now)), "{next:?} is past after the timer");
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_each_task_has_one_end_and_the_executor_comes_to_its_own(
        events in proptest::collection::vec(event(), 0..80)
    ) {
        let (mut core, mut watcher, mut now) = (core(), Watcher::default(), 0);
        let mut out = Vec::new();
        core.on_start(at(0), &mut out);
        watcher.see(out);
        for event in events {
            let mut out = Vec::new();
            play(&mut core, &mut watcher, &mut now, event, &mut out);
            watcher.see(out);
        }
        // All faults are gone: the agent answers, the tasks obey, and the executor is told to end.
        let mut out = Vec::new();
        core.on_register_answered(welcome(), at(now), &mut out);
        core.on_shutdown(&ShutdownExecutor { grace: GRACE }, at(now), &mut out);
        watcher.see(out);
        for task_id in watcher.started.clone() {
            let mut out = Vec::new();
            core.on_task_ended(&task_id, TaskEnd::Done, at(now), &mut out);
            watcher.see(out);
        }
        for _ in 0..40 {
            for event in [Event::Answered(0, true), Event::Pass(200)] {
                let mut out = Vec::new();
                play(&mut core, &mut watcher, &mut now, event, &mut out);
                watcher.see(out);
            }
        }
        prop_assert!(watcher.ended);
        prop_assert_eq!(core.next_deadline(), None);
    }
}
