//! Who belongs to the cluster, for those who follow: the members there are, and a bounded log of what has become of them.
//!
//! Decides nothing about members: the places where that is done note it here.

use super::agents::{Agent, Presence};
use super::frameworks::Framework;
use super::{MasterCore, MasterOutbox};
use crate::effect::Effect;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::messages::directory::{HELD_FOR, Revision, WatchError};
use odeon_protocol::messages::members::{
    MEMBER_EVENTS_MAX, Member, MemberChange, MemberEvent, MemberRole, MemberState, MembersSeen, WatchMembers,
};
use odeon_protocol::moment::Moment;
use odeon_runtime::{HeldQuestions, Hold};
use std::collections::VecDeque;
use std::time::Duration;

/// The most questions about members that are held.
const QUESTIONS_MAX: usize = 4096;

/// What happened last, and who waits for what happens next.
#[derive(Debug)]
pub(super) struct MemberLog {
    /// The number of the newest event.
    number: u64,
    /// The oldest first.
    events: VecDeque<MemberEvent>,
    /// What each asker has seen.
    questions: HeldQuestions<u64>,
}

impl Default for MemberLog {
    fn default() -> Self {
        Self { number: 0, events: VecDeque::new(), questions: HeldQuestions::new(QUESTIONS_MAX) }
    }
}

impl MemberLog {
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.questions.next_deadline()
    }

    fn push(&mut self, event: MemberEvent) {
        self.number += 1;
        self.events.push_back(event);
        if self.events.len() > MEMBER_EVENTS_MAX {
            self.events.pop_front();
        }
    }

    /// The events after a number, and how many of them are not kept any more.
    fn after(&self, seen: u64) -> (u64, Vec<MemberEvent>) {
        let new = self.number.saturating_sub(seen);
        let kept = new.min(self.events.len() as u64);
        let skipped = self.events.len() - usize::try_from(kept).expect("at most as many as there are");
        (new - kept, self.events.iter().skip(skipped).cloned().collect())
    }
}

impl MasterCore {
    /// Answers at once if something has happened since, or with all members if that cannot be told; otherwise when
    /// something happens.
    pub fn on_watch_members(&mut self, question: &WatchMembers, now: Moment) -> Hold<Result<MembersSeen, WatchError>> {
        let seen = question.seen.filter(|seen| seen.run == self.epoch.0 && seen.number <= self.members.number);
        match seen {
            Some(seen) if seen.number == self.members.number => {
                match self.members.questions.hold(seen.number, now.after(HELD_FOR)) {
                    Some(id) => Hold::Held(id),
                    None => Hold::Answered(Err(WatchError::TooMany(QUESTIONS_MAX))),
                }
            }
            Some(seen) => Hold::Answered(Ok(self.members_since(seen.number))),
            None => Hold::Answered(Ok(MembersSeen { members: Some(self.members_now()), ..self.nothing_new() })),
        }
    }

    /// Tells those who have waited for long that nothing has happened.
    pub(super) fn end_long_waits(&mut self, now: Moment, out: &mut MasterOutbox) {
        for (id, _) in self.members.questions.take_due(now.since_start) {
            out.send(Effect::TellMembers(id, self.nothing_new()));
        }
    }

    /// To be called once the state of the agent is what it is after the change, or, if it is removed, before.
    pub(super) fn note_agent(&mut self, agent_id: &AgentId, change: MemberChange, now: Moment, out: &mut MasterOutbox) {
        if let Some(agent) = self.agents.get(agent_id) {
            self.note_member(change, member_of_agent(agent_id, agent), now, out);
        }
    }

    /// As [`note_agent`](Self::note_agent).
    pub(super) fn note_framework(
        &mut self,
        framework_id: &FrameworkId,
        change: MemberChange,
        now: Moment,
        out: &mut MasterOutbox,
    ) {
        if let Some(framework) = self.frameworks.get(framework_id) {
            self.note_member(change, member_of_framework(framework_id, framework), now, out);
        }
    }

    fn note_member(&mut self, change: MemberChange, mut member: Member, now: Moment, out: &mut MasterOutbox) {
        if change == MemberChange::Removed {
            member.state = MemberState::Removed;
        }
        self.members.push(MemberEvent { at_ms: now.wall_ms, change, member });
        for (id, seen) in self.members.questions.take_if(|_| true) {
            out.send(Effect::TellMembers(id, self.members_since(seen)));
        }
    }

    fn members_since(&self, seen: u64) -> MembersSeen {
        let (missed, events) = self.members.after(seen);
        match missed {
            0 => MembersSeen { events, ..self.nothing_new() },
            // Those that are kept are in the picture already.
            _ => {
                let missed = missed + events.len() as u64;
                MembersSeen { missed, members: Some(self.members_now()), ..self.nothing_new() }
            }
        }
    }

    fn nothing_new(&self) -> MembersSeen {
        let revision = Revision { run: self.epoch.0, number: self.members.number };
        MembersSeen { revision, missed: 0, members: None, events: Vec::new() }
    }

    fn members_now(&self) -> Vec<Member> {
        let agents = self.agents.iter().map(|(agent_id, agent)| member_of_agent(agent_id, agent));
        let frameworks = self.frameworks.iter().map(|(id, framework)| member_of_framework(id, framework));
        agents.chain(frameworks).collect()
    }
}

fn member_of_agent(agent_id: &AgentId, agent: &Agent) -> Member {
    Member {
        role: MemberRole::Agent,
        id: agent_id.to_string(),
        name: agent.info.hostname.clone(),
        state: match agent.presence {
            Presence::Connected => MemberState::Up,
            Presence::Recovered | Presence::Disconnected => MemberState::Disconnected,
            Presence::Unreachable => MemberState::Unreachable,
        },
        node: agent.node().map(|node| node.name.clone()),
        incarnation: agent.node().map(|node| node.incarnation),
        endpoint: Some(agent.info.endpoint.clone()),
    }
}

fn member_of_framework(framework_id: &FrameworkId, framework: &Framework) -> Member {
    let node = framework.scheduler.as_ref().map(|scheduler| &scheduler.node);
    Member {
        role: MemberRole::Framework,
        id: framework_id.to_string(),
        name: framework.info.name.clone(),
        state: if node.is_some() { MemberState::Up } else { MemberState::Disconnected },
        node: node.map(|node| node.name.clone()),
        incarnation: node.map(|node| node.incarnation),
        endpoint: None,
    }
}
