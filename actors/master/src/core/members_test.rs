//! Those who follow the members hear of each change once and in order, or are told how much they missed.

use super::testkit::{Play, lasting};
use crate::effect::Effect;
use crate::settings::MasterRules;
use odeon_protocol::messages::directory::{HELD_FOR, Revision};
use odeon_protocol::messages::members::{
    MEMBER_EVENTS_MAX, Member, MemberChange, MemberRole, MemberState, MembersSeen, WatchMembers,
};
use odeon_runtime::Hold;

impl Play {
    fn watch(&mut self, seen: Option<Revision>) -> Option<MembersSeen> {
        match self.call(|core, now, _| core.on_watch_members(&WatchMembers { seen }, now)) {
            Hold::Answered(answer) => Some(answer.unwrap()),
            Hold::Held(_) => None,
        }
    }

    fn members_told(&mut self) -> Vec<MembersSeen> {
        let told = std::mem::take(&mut self.effects).into_iter();
        told.filter_map(|effect| if let Effect::TellMembers(_, seen) = effect { Some(seen) } else { None }).collect()
    }
}

fn changes(seen: &MembersSeen) -> Vec<(MemberChange, &str, MemberState)> {
    let told = seen.events.iter();
    told.map(|event| (event.change, event.member.name.as_str(), event.member.state)).collect()
}

fn named(members: &[Member]) -> Vec<(MemberRole, &str, MemberState)> {
    members.iter().map(|member| (member.role, member.name.as_str(), member.state)).collect()
}

#[test]
fn the_first_answer_is_who_is_there() {
    let mut play = Play::new();
    play.agent("a", "cpus:1");
    play.subscribe("s", None, lasting("batch"));
    let seen = play.watch(None).unwrap();
    let members = seen.members.unwrap();
    let up = MemberState::Up;
    assert_eq!(named(&members), [(MemberRole::Agent, "a", up), (MemberRole::Framework, "batch", up)]);
    assert_eq!((members[0].node.as_deref(), members[0].incarnation), (Some("a"), Some(1)));
    assert_eq!((seen.missed, seen.events), (0, Vec::new()));
}

#[test]
fn an_agent_that_comes_breaks_off_is_out_of_reach_and_is_back_is_told_in_order() {
    let mut play = Play::new();
    let seen = play.watch(None).unwrap().revision;
    assert_eq!(play.watch(Some(seen)), None, "nothing has happened");
    let agent_id = play.agent("a", "cpus:1");
    let told = play.members_told();
    assert_eq!(changes(&told[0]), [(MemberChange::Joined, "a", MemberState::Up)]);
    let seen = told[0].revision;
    play.lose("a");
    let minutes = MasterRules::default().agent_return_timeout.as_millis();
    play.wait(u64::try_from(minutes).unwrap());
    let told = play.watch(Some(seen)).unwrap();
    let lost = [
        (MemberChange::Disconnected, "a", MemberState::Disconnected),
        (MemberChange::Unreachable, "a", MemberState::Unreachable),
    ];
    assert_eq!(changes(&told), lost);
    play.register_as("a", "cpus:1", Some(agent_id), Vec::new());
    let told = play.watch(Some(told.revision)).unwrap();
    assert_eq!(changes(&told), [(MemberChange::Returned, "a", MemberState::Up)]);
}

#[test]
fn a_framework_that_ends_is_removed() {
    let mut play = Play::new();
    let framework_id = play.subscribe("s", None, lasting("batch"));
    let seen = play.watch(None).unwrap().revision;
    play.lose("s");
    play.call(|core, now, out| core.end_framework(&framework_id, now, out));
    let told = play.watch(Some(seen)).unwrap();
    let ended = [
        (MemberChange::Disconnected, "batch", MemberState::Disconnected),
        (MemberChange::Removed, "batch", MemberState::Removed),
    ];
    assert_eq!(changes(&told), ended);
}

#[test]
fn one_who_comes_too_late_is_told_how_much_it_missed_and_who_is_there() {
    let mut play = Play::new();
    play.agent("first", "cpus:1");
    let seen = play.watch(None).unwrap().revision;
    for number in 0..=MEMBER_EVENTS_MAX {
        play.agent(&format!("a{number}"), "cpus:1");
    }
    let late = play.watch(Some(seen)).unwrap();
    assert_eq!((late.missed, late.events.len()), (MEMBER_EVENTS_MAX as u64 + 1, 0));
    assert_eq!(late.members.unwrap().len(), MEMBER_EVENTS_MAX + 2);
    let seen = Revision { number: seen.number + 1, ..seen };
    assert_eq!(play.watch(Some(seen)).unwrap().events.len(), MEMBER_EVENTS_MAX, "just kept");
}

#[test]
fn another_master_begins_with_who_is_there() {
    let mut play = Play::new();
    play.agent("a", "cpus:1");
    let seen = play.watch(None).unwrap().revision;
    let mut play = play.restart();
    let told = play.watch(Some(seen)).unwrap();
    assert_eq!(named(&told.members.unwrap()), [(MemberRole::Agent, "a", MemberState::Disconnected)]);
    assert_ne!(told.revision.run, seen.run);
}

#[test]
fn one_who_has_waited_for_long_is_told_that_nothing_happened() {
    let mut play = Play::new();
    let seen = play.watch(None).unwrap();
    assert_eq!(play.watch(Some(seen.revision)), None);
    play.members_told();
    play.wait(u64::try_from(HELD_FOR.as_millis()).unwrap());
    assert_eq!(play.members_told(), [MembersSeen { members: None, ..seen }]);
}
