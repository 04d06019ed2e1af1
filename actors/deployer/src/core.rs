//! Decides what the deployer does: which actor is launched where, started again, or given up, and what people are told.
//!
//! Deliberately absent: sockets, clocks, files, and what actors do. A launch leaves only when its record is durable.

mod changes;
mod rolling;
mod singletons;
mod tasks;
mod view;
mod watching;

use crate::state::{ActorKey, DeployerState, Phase, Record};
use odeon_framework::{Call, Outcome};
use odeon_protocol::deployment::{ActorLocation, ActorReport, DeploymentName};
use odeon_protocol::id::{FrameworkId, TaskId};
use odeon_protocol::messages::directory::ActorsSeen;
use odeon_protocol::moment::Moment;
use odeon_runtime::{Outbox, QuestionId};
use rolling::Watch;
use singletons::Leases;
use std::collections::BTreeMap;
use std::time::Duration;
use watching::Watching;

pub use watching::{TELL_INTERVAL, WATCHES_MAX};

/// The most deployments.
pub const DEPLOYMENTS_MAX: usize = 1000;
/// The most actors of all deployments.
pub const ACTORS_MAX: usize = 10_000;
/// Before the framework subscribes again when it was ended by others, or found no master.
pub const SUBSCRIBE_AGAIN: Duration = Duration::from_secs(5);
/// Before an actor whose task was lost is launched again.
pub const LAUNCH_AGAIN: Duration = Duration::from_secs(1);
/// Records after which one says everything anew.
pub const RECORDS_MAX: usize = 10_000;

/// What the core wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Start the framework, as the one of that id if it has one.
    Subscribe(Option<FrameworkId>),
    /// Call the master through the framework's driver.
    Call(Call),
    /// Answer one who follows actors.
    TellActors(QuestionId, ActorsSeen),
}

/// What the core emits.
pub type DeployerOutbox = Outbox<Effect, Record>;

/// The state of the deployer.
#[derive(Debug)]
pub struct DeployerCore {
    state: DeployerState,
    /// Records written since the last one that says everything.
    records: usize,
    /// What its actors are told to ask for other actors.
    directory: String,
    /// The actors behind the tasks that have not ended.
    tasks: BTreeMap<TaskId, ActorKey>,
    /// What the hosts of placed actors report.
    reports: BTreeMap<ActorKey, ActorReport>,
    /// Of waiting actors: until when they must, and why they have no task.
    waits: BTreeMap<ActorKey, Wait>,
    /// When those that failed were started again.
    failures: BTreeMap<ActorKey, Vec<Duration>>,
    /// Of updates that are under way.
    watches: BTreeMap<DeploymentName, Watch>,
    /// Of singletons.
    leases: Leases,
    watching: Watching,
    connection: Connection,
    /// Up to when waits have been looked at.
    woken_at: Duration,
}

#[derive(Debug, Clone, Default)]
struct Wait {
    not_before: Duration,
    reason: String,
}

/// How the framework stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Connection {
    /// There is none, and none is wanted.
    Off,
    /// It is started then.
    Due(Duration),
    /// It is started; the master has not answered, or the connection broke.
    Away,
    /// The master makes offers, unless it was told not to.
    Up { suppressed: bool },
    /// It is ending, because nothing is deployed.
    Finishing,
}

impl DeployerCore {
    /// A deployer that goes on where the records end. `directory` is where its actors ask for each other, `run` tells
    /// this run from others.
    pub fn recover(records: Vec<Record>, directory: String, run: u64, now: Moment, out: &mut DeployerOutbox) -> Self {
        let leases = Leases::after(!records.is_empty(), now);
        let state = DeployerState::replay(records);
        let tasks = state.actors().filter_map(|(key, _, actor)| Some((actor.place()?.task_id.clone(), key))).collect();
        let report = |location: &ActorLocation| ActorReport::running(location.clone());
        let reports =
            state.actors().filter_map(|(key, _, actor)| Some((key, report(actor.place()?.location.as_ref()?))));
        let reports = reports.collect();
        let mut core = Self {
            state,
            records: 0,
            directory,
            tasks,
            reports,
            waits: BTreeMap::new(),
            failures: BTreeMap::new(),
            watches: BTreeMap::new(),
            leases,
            watching: Watching::new(run),
            connection: Connection::Off,
            woken_at: now.since_start,
        };
        core.say_all(out);
        core.settle(now, out);
        core
    }

    /// The master knows the framework.
    pub fn on_subscribed(&mut self, framework_id: &FrameworkId, now: Moment, out: &mut DeployerOutbox) {
        if self.connection == Connection::Finishing {
            return;
        }
        self.connection = Connection::Up { suppressed: false };
        if self.state.framework_id.as_ref() != Some(framework_id) {
            self.note(Record::Subscribed(framework_id.clone()), out);
        }
        let placed = self.state.actors().filter_map(|(_, _, actor)| actor.place());
        let tasks: Vec<_> = placed.map(|place| (place.task_id.clone(), Some(place.agent_id.clone()))).collect();
        if !tasks.is_empty() {
            out.send(Effect::Call(Call::Reconcile(tasks)));
        }
        self.kill_all_unwanted(out);
        self.watches.clear();
        self.roll_all(now, out);
        self.settle(now, out);
    }

    /// The connection to the master broke; the driver restores it.
    pub fn on_disconnected(&mut self) {
        if matches!(self.connection, Connection::Up { .. }) {
            self.connection = Connection::Away;
        }
    }

    /// The run of the framework is over.
    pub fn on_framework_ended(&mut self, outcome: &Outcome, now: Moment, out: &mut DeployerOutbox) {
        let was_wanted = self.connection != Connection::Finishing;
        self.connection = if was_wanted { Connection::Due(now.after(SUBSCRIBE_AGAIN)) } else { Connection::Off };
        // Only a master that could not be reached may still know the framework.
        if !matches!(outcome, Outcome::MasterUnreachable { .. }) {
            self.forget_framework(now, out);
        }
        self.settle(now, out);
    }

    /// The time that [`next_deadline`](Self::next_deadline) named has come.
    pub fn on_timer(&mut self, now: Moment, out: &mut DeployerOutbox) {
        let waits = self.waits.values().map(|wait| wait.not_before).chain(self.lease_deadlines());
        let woken = { waits }.any(|at| (self.woken_at..=now.since_start).contains(&at));
        self.leases.forget(now);
        self.woken_at = now.since_start;
        if let Connection::Due(at) = self.connection
            && at <= now.since_start
        {
            self.connection = Connection::Off;
        }
        if self.roll_all(now, out) | woken {
            self.want_offers(now, out);
        }
        self.settle(now, out);
        self.tell_watchers(now, out);
    }

    /// When it wants to be woken, in the time of [`Moment::since_start`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let waits = self.waits.values().map(|wait| wait.not_before).filter(|at| *at > self.woken_at);
        let due = match self.connection {
            Connection::Due(at) => Some(at),
            _ => None,
        };
        let rolling = self.rolling_deadlines().filter(|at| *at > self.woken_at);
        let leases = self.lease_deadlines().filter(|at| *at > self.woken_at);
        waits.chain(rolling).chain(leases).chain(due).chain(self.watching.next_deadline()).min()
    }

    /// Starts the framework if something is deployed, ends it if nothing is, and takes no offers that nobody needs.
    fn settle(&mut self, now: Moment, out: &mut DeployerOutbox) {
        let is_empty = self.state.deployments.is_empty();
        match &self.connection {
            Connection::Off if !is_empty => {
                self.connection = Connection::Away;
                out.send(Effect::Subscribe(self.state.framework_id.clone()));
            }
            Connection::Away | Connection::Up { .. } if is_empty => {
                self.connection = Connection::Finishing;
                out.send(Effect::Call(Call::Finish(Outcome::Finished)));
            }
            Connection::Up { suppressed: false } if self.ready(now).next().is_none() => {
                self.connection = Connection::Up { suppressed: true };
                out.send(Effect::Call(Call::Suppress));
            }
            _ => {}
        }
    }

    /// Asks for offers if an actor waits that may be launched.
    fn want_offers(&mut self, now: Moment, out: &mut DeployerOutbox) {
        if matches!(self.connection, Connection::Up { .. }) && self.ready(now).next().is_some() {
            self.connection = Connection::Up { suppressed: false };
            out.send(Effect::Call(Call::Revive));
        }
    }

    /// The actors that may be launched now.
    fn ready(&self, now: Moment) -> impl Iterator<Item = ActorKey> {
        let may = move |key: &ActorKey| self.waits.get(key).is_none_or(|wait| wait.not_before <= now.since_start);
        let waiting = self.state.actors().filter(move |(key, deployment, actor)| {
            actor.phase == Phase::Waiting && self.has_no_lease(deployment, key, now)
        });
        waiting.map(|(key, _, _)| key).filter(may)
    }

    /// The master knows nothing of it any more, so none of its tasks runs.
    fn forget_framework(&mut self, now: Moment, out: &mut DeployerOutbox) {
        if self.state.framework_id.is_some() {
            self.note(Record::Unsubscribed, out);
        }
        for (_, actor) in std::mem::take(&mut self.tasks) {
            self.end(&actor, Phase::Waiting, now, "its framework was ended", out);
        }
    }

    /// Changes the state, durably.
    fn note(&mut self, record: Record, out: &mut DeployerOutbox) {
        self.note_change(&record);
        self.state.apply(&record);
        self.note_change(&record);
        out.write(record);
        self.records += 1;
        if self.records >= RECORDS_MAX {
            self.say_all(out);
        }
    }

    fn say_all(&mut self, out: &mut DeployerOutbox) {
        self.records = 0;
        out.write(Record::Snapshot(self.state.clone()));
    }
}

#[cfg(test)]
#[path = "core_test.rs"]
mod tests;

#[cfg(test)]
#[path = "rolling_test.rs"]
mod rolling_tests;

#[cfg(test)]
#[path = "singletons_test.rs"]
mod singletons_tests;

#[cfg(test)]
#[path = "watching_test.rs"]
mod watching_tests;
