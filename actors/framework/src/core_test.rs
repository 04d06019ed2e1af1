//! The driver's decisions, by plain calls, with a scheduler that does what the test says.

use super::*;
use crate::calls::Call;
use odeon_protocol::id::{AgentId, MasterId, StatusUuid, TaskId};
use odeon_protocol::messages::master_scheduler::{
    FrameworkFailed, OfferOperation, OfferRescinded, OffersMade, Subscribe, SubscribeError, Subscribed, TaskUpdated,
};
use odeon_protocol::messages::reservations::ReservationError;
use odeon_protocol::offer::{Filters, Offer};
use odeon_protocol::resources::Resources;
use odeon_protocol::role::Role;
use odeon_protocol::task::{StatusReason, StatusSource, TaskInfo, TaskState, Work};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Writes down what it hears.
#[derive(Debug, Default)]
struct Notes(Vec<String>);

impl Scheduler for Notes {
    fn subscribed(&mut self, framework_id: &FrameworkId, _calls: &mut Calls) {
        self.0.push(format!("subscribed {framework_id}"));
    }
    fn offers(&mut self, offers: Vec<Offer>, _calls: &mut Calls) {
        self.0.extend(offers.iter().map(|offer| format!("offer {}", offer.offer_id)));
    }
    fn update(&mut self, status: &TaskStatus, _calls: &mut Calls) {
        self.0.push(format!("{} {}", status.task_id, status.state));
    }
    fn rescinded(&mut self, offer_id: &OfferId, _calls: &mut Calls) {
        self.0.push(format!("rescinded {offer_id}"));
    }
    fn refused(&mut self, error: &CallError, _calls: &mut Calls) {
        self.0.push(format!("refused {error}"));
    }
    fn disconnected(&mut self, _calls: &mut Calls) {
        self.0.push("disconnected".into());
    }
    fn failed(&mut self, message: &str) {
        self.0.push(format!("failed {message}"));
    }
}

type Core = DriverCore<Notes>;

fn at(ms: u64) -> Moment {
    Moment::at_ms(ms)
}

fn framework() -> FrameworkId {
    FrameworkId::new("F").unwrap()
}

fn offer_id(id: &str) -> OfferId {
    OfferId::new(id).unwrap()
}

fn introduction() -> Introduction {
    Introduction {
        info: FrameworkInfo::new("test"),
        framework_id: None,
        actor: "scheduler/1".into(),
        subscribe_timeout: SUBSCRIBE_TIMEOUT_DEFAULT,
    }
}

fn welcome() -> Result<Result<Subscribed, SubscribeError>, String> {
    Ok(Ok(Subscribed { framework_id: framework(), master_id: MasterId::new("m").unwrap() }))
}

fn nobody() -> Result<Result<Subscribed, SubscribeError>, String> {
    Err("refused".into())
}

fn started() -> Core {
    let mut core = Core::new(introduction(), Notes::default());
    core.on_start(at(0), &mut vec![]);
    core
}

fn subscribed() -> Core {
    let mut core = started();
    core.on_subscribe_answered(welcome(), at(0), &mut vec![]);
    core
}

fn offers(ids: &[&str]) -> MasterEvent {
    let offer = |id: &&str| Offer {
        offer_id: offer_id(id),
        framework_id: framework(),
        role: Role::default(),
        agent_id: AgentId::new("S").unwrap(),
        hostname: "h".into(),
        agent_endpoint: "h:1".into(),
        resources: Resources::empty(),
        reserved: Default::default(),
        attributes: BTreeMap::new(),
    };
    MasterEvent::OffersMade(OffersMade { framework_id: framework(), offers: ids.iter().map(offer).collect() })
}

fn update(task: &str, state: TaskState, uuid: Option<&str>) -> MasterEvent {
    let task_id = TaskId::new(task).unwrap();
    let mut status = TaskStatus::new(task_id, state, StatusSource::Executor).on(&AgentId::new("S").unwrap());
    status.uuid = uuid.map(|uuid| StatusUuid::new(uuid).unwrap());
    MasterEvent::TaskUpdated(TaskUpdated { framework_id: framework(), status })
}

fn task(id: &str) -> TaskInfo {
    let command = odeon_protocol::executor::CommandInfo {
        argv: vec!["x".into()],
        environment: BTreeMap::new(),
        working_directory: None,
    };
    TaskInfo::new(TaskId::new(id).unwrap(), id, "cpus:1".parse().unwrap(), Work::Command(command))
}

fn accept(core: &mut Core, offer: &str, tasks: &[&str], now: Moment) -> Vec<Effect> {
    let tasks = tasks.iter().map(|id| task(id)).collect();
    effects(core, |core, out| {
        core.on_input(|_, calls| calls.accept(vec![offer_id(offer)], tasks, Filters::default()), now, out);
    })
}

fn effects(core: &mut Core, call: impl FnOnce(&mut Core, &mut Vec<Effect>)) -> Vec<Effect> {
    let mut out = Vec::new();
    call(core, &mut out);
    out
}

/// One word for each effect, with what matters.
fn words(effects: &[Effect]) -> Vec<String> {
    let ids = |ids: &[OfferId]| ids.iter().map(OfferId::to_string).collect::<Vec<_>>().join(",");
    let word = |effect: &Effect| match effect {
        Effect::Subscribe(Subscribe { framework_id, suppressed, .. }) => {
            let suppressed = if suppressed.is_empty() { "" } else { " suppressed" };
            format!("subscribe {}{suppressed}", framework_id.as_ref().map_or("new", FrameworkId::as_str))
        }
        Effect::End(outcome) => format!("end {outcome:?}"),
        Effect::Call { call, .. } => match call {
            MasterCall::Accept(call) => format!("accept {}", ids(&call.offer_ids)),
            MasterCall::Decline(call) => format!("decline {}", ids(&call.offer_ids)),
            MasterCall::Revive(_) => "revive".into(),
            MasterCall::Suppress(_) => "suppress".into(),
            MasterCall::Demand(call) => format!("demand {}", call.units.as_ref().map_or(0, Vec::len)),
            MasterCall::Kill(call) => format!("kill {}", call.task_id),
            MasterCall::Acknowledge(call) => format!("acknowledge {}", call.uuid),
            MasterCall::Reconcile(call) => {
                let tasks: Vec<&str> = call.tasks.iter().map(|(task_id, _)| task_id.as_str()).collect();
                format!("reconcile {}", tasks.join(","))
            }
            MasterCall::Teardown(_) => "teardown".into(),
        },
    };
    effects.iter().map(word).collect()
}

fn ticket(effects: &[Effect]) -> Ticket {
    match effects {
        [Effect::Call { ticket, .. }, ..] => *ticket,
        other => panic!("expected a call, got {other:?}"),
    }
}

#[test]
fn what_is_waited_for_is_told_when_it_changes_and_again_to_a_master_that_has_forgotten_it() {
    let mut core = subscribed();
    let unit: Resources = "cpus:1".parse().unwrap();
    let say = |core: &mut Core, units: Option<Vec<Resources>>| {
        words(&effects(core, |core, out| core.on_input(|_, calls| calls.demand(units), at(1), out)))
    };
    assert_eq!(say(&mut core, Some(vec![unit.clone()])), ["demand 1"]);
    assert_eq!(say(&mut core, Some(vec![unit])), Vec::<String>::new(), "it is known");
    core.on_link_down(at(2), &mut vec![]);
    let out = effects(&mut core, |core, out| core.on_subscribe_answered(welcome(), at(3), out));
    assert!(words(&out).contains(&"demand 1".to_owned()), "{:?}", words(&out));
    assert_eq!(say(&mut core, None), ["demand 0"]);
}

#[test]
fn a_master_that_is_not_there_is_tried_again_ever_more_slowly_until_the_timeout() {
    let mut core = started();
    let (mut now, mut waits) = (0, vec![]);
    let end = loop {
        core.on_subscribe_answered(nobody(), at(now), &mut vec![]);
        let next = u64::try_from(core.next_deadline().unwrap().as_millis()).unwrap();
        waits.push(next - now);
        now = next;
        let out = effects(&mut core, |core, out| core.on_timer(at(now), out));
        if words(&out) != ["subscribe new"] {
            break out;
        }
    };
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 3700]);
    assert_eq!(end, [Effect::End(Outcome::MasterUnreachable { cause: "refused".into() })]);
    assert_eq!(core.next_deadline(), None);
}

#[test]
fn a_subscription_that_is_never_answered_times_out_as_well() {
    let mut core = started();
    assert_eq!(core.next_deadline(), Some(SUBSCRIBE_TIMEOUT_DEFAULT));
    let out = effects(&mut core, |core, out| core.on_timer(at(10_000), out));
    assert!(matches!(&out[..], [Effect::End(Outcome::MasterUnreachable { .. })]));
}

#[test]
fn a_refused_framework_has_failed() {
    let mut core = started();
    let refusal = SubscribeError::Removed(framework());
    let out = effects(&mut core, |core, out| core.on_subscribe_answered(Ok(Err(refusal)), at(1), out));
    assert!(matches!(&out[..], [Effect::End(Outcome::Failed(_))]));
    assert_eq!(core.scheduler().0, ["failed framework F has been removed; subscribe without an id"]);
}

#[test]
fn what_overtakes_the_answer_to_the_subscription_is_not_lost() {
    let mut core = started();
    assert_eq!(effects(&mut core, |core, out| core.on_event(offers(&["O1"]), at(1), out)), []);
    core.on_subscribe_answered(welcome(), at(2), &mut vec![]);
    assert_eq!(core.scheduler().0, ["subscribed F", "offer O1"]);
    assert_eq!(words(&accept(&mut core, "O1", &["t"], at(3))), ["accept O1"]);
}

#[test]
fn an_update_is_shown_once_and_acknowledged_each_time() {
    let mut core = subscribed();
    for now in 1..4 {
        let event = update("t", TaskState::Running, Some("u1"));
        let out = effects(&mut core, |core, out| core.on_event(event, at(now), out));
        assert_eq!(words(&out), ["acknowledge u1"]);
    }
    let without = effects(&mut core, |core, out| core.on_event(update("t", TaskState::Lost, None), at(5), out));
    assert_eq!(without, []);
    assert_eq!(core.scheduler().0, ["subscribed F", "t TASK_RUNNING", "t TASK_LOST"]);
}

#[test]
fn offers_of_before_a_break_cannot_be_used_and_their_tasks_are_told_lost() {
    let mut core = subscribed();
    core.on_event(offers(&["O1"]), at(1), &mut vec![]);
    let out = effects(&mut core, |core, out| core.on_link_down(at(2), out));
    assert_eq!(words(&out), ["subscribe F"]);
    assert_eq!(accept(&mut core, "O1", &["t1"], at(3)), []);
    core.on_subscribe_answered(welcome(), at(4), &mut vec![]);
    assert_eq!(accept(&mut core, "O1", &["t2"], at(5)), []);
    assert_eq!(core.next_deadline(), Some(Duration::ZERO));
    core.on_timer(at(6), &mut vec![]);
    let heard = &core.scheduler().0[2..];
    assert_eq!(heard, ["disconnected", "subscribed F", "t1 TASK_LOST", "t2 TASK_LOST"]);
}

#[test]
fn a_rescinded_offer_is_void_and_those_beside_it_go_back() {
    let mut core = subscribed();
    core.on_event(offers(&["O1", "O2"]), at(1), &mut vec![]);
    let rescinded = OfferRescinded { framework_id: framework(), offer_id: offer_id("O1") };
    core.on_event(MasterEvent::OfferRescinded(rescinded), at(2), &mut vec![]);
    let out = effects(&mut core, |core, out| {
        let ids = vec![offer_id("O1"), offer_id("O2")];
        core.on_input(|_, calls| calls.accept(ids, vec![task("t")], Filters::default()), at(3), out);
    });
    assert_eq!(words(&out), ["decline O2"]);
}

#[test]
fn unfinished_tasks_are_asked_for_after_each_break_and_now_and_then() {
    let mut core = subscribed();
    core.on_event(offers(&["O1"]), at(1), &mut vec![]);
    let _ = accept(&mut core, "O1", &["t1", "t2", "t3"], at(2));
    core.on_event(update("t2", TaskState::Finished, Some("u")), at(3), &mut vec![]);
    core.on_link_down(at(4), &mut vec![]);
    let out = effects(&mut core, |core, out| core.on_subscribe_answered(welcome(), at(5), out));
    assert_eq!(words(&out), ["reconcile t1,t3"]);
    let due = at(5).after(RECONCILE_INTERVAL);
    assert_eq!(core.next_deadline(), Some(due));
    let later = Moment { since_start: due, wall_ms: 0 };
    assert_eq!(words(&effects(&mut core, |core, out| core.on_timer(later, out))), ["reconcile t1,t3"]);
}

#[test]
fn nothing_unfinished_asks_for_nothing() {
    let mut core = subscribed();
    core.on_link_down(at(4), &mut vec![]);
    let out = effects(&mut core, |core, out| core.on_subscribe_answered(welcome(), at(5), out));
    assert_eq!(out, []);
}

#[test]
fn a_framework_that_takes_over_asks_for_all_its_tasks() {
    let introduction = Introduction { framework_id: Some(framework()), ..introduction() };
    let mut core = Core::new(introduction, Notes::default());
    let start = effects(&mut core, |core, out| core.on_start(at(0), out));
    assert_eq!(words(&start), ["subscribe F"]);
    let out = effects(&mut core, |core, out| core.on_subscribe_answered(welcome(), at(1), out));
    assert_eq!(words(&out), ["reconcile "]);
}

#[test]
fn a_launch_that_was_not_answered_is_asked_for_soon() {
    let mut core = subscribed();
    core.on_event(offers(&["O1"]), at(1), &mut vec![]);
    let ticket = ticket(&accept(&mut core, "O1", &["t"], at(2)));
    core.on_call_answered(ticket, CallAnswer::NoAnswer, at(10), &mut vec![]);
    assert_eq!(core.next_deadline(), Some(at(10).after(RECONCILE_SOON)));
    assert_eq!(words(&effects(&mut core, |core, out| core.on_timer(at(1010), out))), ["reconcile t"]);
}

#[test]
fn a_kill_is_repeated_until_the_task_has_ended() {
    let mut core = subscribed();
    let kill = |core: &mut Core, now| {
        effects(core, |core, out| core.on_input(|_, calls| calls.kill(TaskId::new("t").unwrap()), now, out))
    };
    assert_eq!(words(&kill(&mut core, at(0))), ["kill t"]);
    assert_eq!(words(&effects(&mut core, |core, out| core.on_timer(at(10_000), out))), ["kill t"]);
    core.on_link_down(at(10_001), &mut vec![]);
    assert_eq!(kill(&mut core, at(10_002)), []);
    let out = effects(&mut core, |core, out| core.on_subscribe_answered(welcome(), at(10_003), out));
    assert_eq!(words(&out), ["kill t"]);
    core.on_event(update("t", TaskState::Killed, None), at(10_004), &mut vec![]);
    assert_eq!(effects(&mut core, |core, out| core.on_timer(at(30_000), out)), []);
}

#[test]
fn whether_offers_are_wanted_survives_a_break_and_a_lost_call() {
    let mut core = subscribed();
    let out = effects(&mut core, |core, out| core.on_input(|_, calls| calls.suppress(), at(1), out));
    assert_eq!(words(&out), ["suppress"]);
    core.on_call_answered(ticket(&out), CallAnswer::NoAnswer, at(2), &mut vec![]);
    assert_eq!(words(&effects(&mut core, |core, out| core.on_timer(at(1002), out))), ["suppress"]);
    let out = effects(&mut core, |core, out| core.on_link_down(at(1003), out));
    assert_eq!(words(&out), ["subscribe F suppressed"]);
    let away = effects(&mut core, |core, out| core.on_input(|_, calls| calls.revive(), at(1004), out));
    assert_eq!(away, []);
    let out = effects(&mut core, |core, out| core.on_subscribe_answered(welcome(), at(1005), out));
    assert_eq!(words(&out), ["revive"]);
}

#[test]
fn a_master_that_does_not_know_the_caller_is_subscribed_to_again() {
    let mut core = subscribed();
    let out = effects(&mut core, |core, out| core.on_input(|_, calls| calls.revive(), at(1), out));
    let answer = || CallAnswer::Answered(Err(CallError::NotSubscribed(framework())));
    let again = effects(&mut core, |core, inner| core.on_call_answered(ticket(&out), answer(), at(2), inner));
    assert_eq!(words(&again), ["subscribe F"]);
    core.on_subscribe_answered(welcome(), at(3), &mut vec![]);
    let old = effects(&mut core, |core, inner| core.on_call_answered(ticket(&out), answer(), at(4), inner));
    assert_eq!(old, []);
}

#[test]
fn a_finished_framework_is_taken_down_before_the_run_ends() {
    let mut core = subscribed();
    core.on_event(offers(&["O1"]), at(1), &mut vec![]);
    let out = effects(&mut core, |core, out| {
        let act = |_: &mut Notes, calls: &mut Calls| {
            calls.decline(vec![offer_id("O1")], Filters::default());
            calls.finish(Outcome::Finished);
            calls.revive();
        };
        core.on_input(act, at(2), out);
    });
    assert_eq!(words(&out), ["decline O1", "teardown"]);
    let ticket = ticket(&out[1..]);
    core.on_call_answered(ticket, CallAnswer::Broken, at(3), &mut vec![]);
    assert_eq!(words(&effects(&mut core, |core, out| core.on_timer(at(203), out))), ["subscribe F"]);
    let again = effects(&mut core, |core, out| core.on_subscribe_answered(welcome(), at(204), out));
    assert_eq!(words(&again), ["teardown"]);
    let end = effects(&mut core, |core, out| {
        core.on_call_answered(ticket, CallAnswer::Answered(Ok(())), at(205), out);
    });
    assert_eq!(end, [Effect::End(Outcome::Finished)]);
}

#[test]
fn the_end_of_a_framework_does_not_wait_for_ever() {
    let mut core = subscribed();
    core.on_interrupt(at(0), &mut vec![]);
    let out = effects(&mut core, |core, out| core.on_timer(at(5000), out));
    assert_eq!(out, [Effect::End(Outcome::Interrupted)]);
}

#[test]
fn an_interrupt_before_the_answer_leaves_no_framework_behind() {
    let mut core = started();
    assert_eq!(effects(&mut core, |core, out| core.on_interrupt(at(1), out)), []);
    let out = effects(&mut core, |core, out| core.on_subscribe_answered(welcome(), at(2), out));
    assert_eq!(words(&out), ["teardown"]);
    let mut core = started();
    core.on_subscribe_answered(nobody(), at(1), &mut vec![]);
    let out = effects(&mut core, |core, out| core.on_interrupt(at(2), out));
    assert_eq!(out, [Effect::End(Outcome::Interrupted)]);
}

#[test]
fn a_framework_that_was_taken_over_ends_and_is_left_alone() {
    let mut core = subscribed();
    let event = MasterEvent::FrameworkFailed(FrameworkFailed { framework_id: framework(), message: "taken".into() });
    let out = effects(&mut core, |core, out| core.on_event(event, at(1), out));
    assert_eq!(out, [Effect::End(Outcome::Failed("taken".into()))]);
    assert_eq!(core.scheduler().0.last().unwrap(), "failed taken");
}

#[test]
fn a_local_update_says_why() {
    let mut core = Core::new(
        Introduction {
            info: FrameworkInfo {
                capabilities: BTreeSet::from([odeon_protocol::framework::Capability::PartitionAware]),
                ..FrameworkInfo::new("test")
            },
            ..introduction()
        },
        Notes::default(),
    );
    core.on_start(at(0), &mut vec![]);
    core.on_subscribe_answered(welcome(), at(0), &mut vec![]);
    let _ = accept(&mut core, "O9", &["t"], at(1));
    let status = core.local.front().unwrap();
    assert_eq!((status.state, status.reason), (TaskState::Dropped, Some(StatusReason::InvalidOffers)));
}

#[derive(Debug, Clone)]
enum Event {
    Welcome,
    Nobody,
    LinkDown,
    Offers(u8),
    Call(u8),
    Update(u8, bool),
    Answer(u8),
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Welcome),
        2 => Just(Event::Nobody),
        1 => Just(Event::LinkDown),
        4 => (0..6_u8).prop_map(Event::Offers),
        6 => (0..24_u8).prop_map(Event::Call),
        4 => (0..6_u8, any::<bool>()).prop_map(|(task, ends)| Event::Update(task, ends)),
        4 => (0..4_u8).prop_map(Event::Answer),
        3 => (0..4000_u64).prop_map(Event::Pass),
    ]
}

fn a_call(number: u8) -> Call {
    let id = number % 6;
    match number / 6 {
        0 => Call::Accept {
            offer_ids: vec![offer_id(&format!("O{id}"))],
            operations: Vec::new(),
            tasks: vec![task(&format!("t{id}"))],
            filters: Filters::default(),
        },
        1 => Call::Kill(TaskId::new(format!("t{id}")).unwrap()),
        2 if id == 5 => Call::Finish(Outcome::Finished),
        2 => Call::Suppress,
        _ => Call::Revive,
    }
}

#[test]
fn operations_go_with_the_tasks_and_a_refusal_of_them_is_told_to_the_scheduler() {
    let mut core = subscribed();
    core.on_event(offers(&["O1"]), at(1), &mut vec![]);
    let operation = OfferOperation::Reserve { resources: "cpus:1".parse().unwrap(), labels: BTreeMap::new() };
    let made = effects(&mut core, |core, out| {
        let act = |_: &mut Notes, calls: &mut Calls| {
            calls.accept_after(vec![operation.clone()], vec![offer_id("O1")], vec![task("t")], Filters::default());
        };
        core.on_input(act, at(2), out);
    });
    let [Effect::Call { ticket, call: MasterCall::Accept(accept) }] = &made[..] else { panic!("{made:?}") };
    assert_eq!((&accept.operations, accept.tasks.len()), (&vec![operation], 1));
    let cause = ReservationError::Nothing;
    let refused = CallAnswer::Answered(Err(CallError::Operation { index: 0, cause }));
    core.on_call_answered(*ticket, refused, at(3), &mut vec![]);
    let told = core.scheduler.0.last().cloned().unwrap();
    assert_eq!(told, "refused operation 0 on the offers cannot be done: no resources are named");
}

proptest! {
    #[test]
    fn whatever_happens_no_offer_is_used_twice_and_the_run_comes_to_an_end(
        events in proptest::collection::vec(event(), 0..80)
    ) {
        let mut core = Core::new(introduction(), Notes::default());
        let (mut now, mut asked, mut tickets, mut ended) = (0_u64, 0_i32, Vec::new(), false);
        let mut usable = BTreeSet::new();
        let mut step = |core: &mut Core, now: &mut u64, event: Option<Event>| {
            let mut out = Vec::new();
            match event {
                None => core.on_start(at(*now), &mut out),
                Some(Event::Welcome | Event::Nobody) if asked == 0 => {}
                Some(Event::Welcome) => {
                    asked -= 1;
                    core.on_subscribe_answered(welcome(), at(*now), &mut out);
                }
                Some(Event::Nobody) => {
                    asked -= 1;
                    core.on_subscribe_answered(nobody(), at(*now), &mut out);
                }
                Some(Event::LinkDown) => core.on_link_down(at(*now), &mut out),
                Some(Event::Offers(id)) => {
                    // A master offers only to those it has admitted.
                    if matches!(core.phase, Phase::Subscribed) {
                        usable.insert(format!("O{id}"));
                        core.on_event(offers(&[&format!("O{id}")]), at(*now), &mut out);
                    }
                }
                Some(Event::Call(number)) => {
                    core.on_input(|_, calls| match a_call(number) {
                        Call::Accept { offer_ids, tasks, filters, .. } => calls.accept(offer_ids, tasks, filters),
                        Call::Kill(task_id) => calls.kill(task_id),
                        Call::Finish(outcome) => calls.finish(outcome),
                        Call::Suppress => calls.suppress(),
                        _ => calls.revive(),
                    }, at(*now), &mut out);
                }
                Some(Event::Update(id, ends)) => {
                    let state = if ends { TaskState::Finished } else { TaskState::Running };
                    core.on_event(update(&format!("t{id}"), state, Some("u")), at(*now), &mut out);
                }
                Some(Event::Answer(kind)) => {
                    if let Some(ticket) = tickets.pop() {
                        let answer = match kind {
                            0 => CallAnswer::Broken,
                            1 => CallAnswer::NoAnswer,
                            2 => CallAnswer::Answered(Err(CallError::NotSubscribed(framework()))),
                            _ => CallAnswer::Answered(Ok(())),
                        };
                        core.on_call_answered(ticket, answer, at(*now), &mut out);
                    }
                }
                Some(Event::Pass(ms)) => {
                    *now += ms;
                    core.on_timer(at(*now), &mut out);
                    let next = core.next_deadline();
                    assert!(next.is_none_or(|next| next > Duration::from_millis(*now)), "{next:?} is past");
                }
            }
            for effect in out {
                assert!(!ended, "{effect:?} after the end");
                match effect {
                    Effect::Subscribe(_) => {
                        asked += 1;
                        assert_eq!(asked, 1, "two subscriptions under way");
                        usable.clear();
                    }
                    Effect::Call { ticket, call } => {
                        tickets.push(ticket);
                        if let MasterCall::Accept(call) = call {
                            assert!(usable.remove(call.offer_ids[0].as_str()), "an offer that is void is used");
                        }
                    }
                    Effect::End(_) => ended = true,
                }
            }
            ended
        };
        step(&mut core, &mut now, None);
        for event in events {
            step(&mut core, &mut now, Some(event));
        }
        step(&mut core, &mut now, Some(Event::Call(17)));
        let mut over = false;
        for _ in 0..20 {
            over |= step(&mut core, &mut now, Some(Event::Welcome));
            over |= step(&mut core, &mut now, Some(Event::Answer(3)));
            over |= step(&mut core, &mut now, Some(Event::Pass(1000)));
        }
        prop_assert!(over);
    }
}
