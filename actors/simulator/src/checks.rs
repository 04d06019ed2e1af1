//! The invariants, checked after every event against the cores' state and against what was seen so far.
//!
//! The first violation counts. What can only be said at the end is in `ending`.

use crate::hosts::{Host, Me};
use crate::message::Reply;
use crate::plan::Site;
use crate::process::Pid;
use crate::workload::News;
use odeon_agent::core::AgentCore;
use odeon_agent::effect::Record as AgentRecord;
use odeon_framework::effect::MasterCall;
use odeon_master::effect::{AgentCommand, Effect, SchedulerEvent};
use odeon_master::{MasterCore, Record, Registry};
use odeon_protocol::id::{AgentId, FrameworkId, OfferId, StatusUuid, TaskId};
use odeon_protocol::messages::Epoch;
use odeon_protocol::messages::master_agent::ForwardStatus;
use odeon_protocol::moment::Moment;
use odeon_protocol::offer::Offer;
use odeon_protocol::resources::TypedResources;
use odeon_protocol::task::{StatusReason, TaskState, TaskStatus};
use odeon_runtime::{Emission, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

/// Something that must never be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant, as `I1`.
    pub invariant: &'static str,
    /// What was found.
    pub text: String,
    /// When, in simulated time.
    pub at: Duration,
}

type TaskKey = (FrameworkId, TaskId);

/// Agents whose books are looked at after one event of the master; all of them in a small cluster.
const BOOKS_PER_EVENT: usize = 16;
/// Updates that may wait for one task.
const STREAM_MAX: usize = 1000;

/// What an agent has written about the updates of a task.
#[derive(Debug, Default)]
struct AgentLog {
    /// In the order in which they were made.
    made: BTreeMap<TaskKey, Vec<StatusUuid>>,
    durable: BTreeSet<StatusUuid>,
    /// The newest term that is on the disk.
    epoch: Epoch,
    /// Tasks that outlive the process of the agent.
    kept: BTreeSet<TaskKey>,
    /// Durable updates of those, until somebody has taken note of them.
    owed: BTreeMap<StatusUuid, TaskKey>,
}

impl AgentLog {
    fn on_update(&mut self, framework_id: &FrameworkId, status: &TaskStatus) {
        let Some(uuid) = &status.uuid else { return };
        let key = (framework_id.clone(), status.task_id.clone());
        if self.kept.contains(&key) {
            self.owed.insert(uuid.clone(), key);
        }
        self.durable.insert(uuid.clone());
    }
}

/// What a framework was shown of a task.
#[derive(Debug, Default)]
struct Shown {
    /// The end that its agent has told.
    end: Option<(TaskState, StatusUuid)>,
    last: Option<StatusUuid>,
}

/// A refusal that still holds.
#[derive(Debug)]
struct Refusal {
    resources: TypedResources,
    until: Duration,
}

/// All checkers of a run, and what they remember.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(crate) now_us: u64,
    pub(crate) violation: Option<Violation>,
    /// Messages that come only when something has gone wrong, or begins.
    pub(crate) unrest: u64,
    /// The master has emitted more than pings.
    loud: bool,
    /// The last agent whose books were looked at, in a large cluster.
    books_next: Option<AgentId>,
    epoch: Epoch,
    agent_epochs: BTreeMap<Site, (Pid, Epoch)>,
    agent_logs: BTreeMap<Site, AgentLog>,
    /// All updates that were ever made: whose, where, and the order within the task.
    updates: BTreeMap<StatusUuid, (TaskKey, Site, usize)>,
    running: BTreeMap<TaskKey, Pid>,
    /// Who was to get each offer. What was decided in a term that never became durable is decided again.
    offers: BTreeMap<OfferId, (Pid, FrameworkId)>,
    made_offers: BTreeSet<OfferId>,
    /// What is offered at this moment, and by whom: a master does not know the offers of the one before it.
    offered: BTreeMap<OfferId, (Pid, Offer)>,
    used_offers: BTreeSet<OfferId>,
    /// By master, because each has a clock of its own.
    refusals: BTreeMap<(Pid, FrameworkId, AgentId), Vec<Refusal>>,
    registry_agents: BTreeMap<AgentId, bool>,
    removed_agents: BTreeSet<AgentId>,
    registry_frameworks: BTreeSet<FrameworkId>,
    removed_frameworks: BTreeSet<FrameworkId>,
    /// What is reserved of each agent by the durable records.
    reserved: BTreeMap<AgentId, TypedResources>,
    /// The same with what each master has decided since it began, durable or not.
    decided_reserved: BTreeMap<Pid, BTreeMap<AgentId, TypedResources>>,
    subscribers: BTreeMap<(Pid, FrameworkId), NodeId>,
    shown: BTreeMap<TaskKey, Shown>,
    told_ends: BTreeMap<(Pid, FrameworkId, TaskId), TaskState>,
    /// Tasks of which some master has told an end of its own finding.
    ended_by_master: BTreeSet<TaskKey>,
    /// Updates that a scheduler has seen.
    seen: BTreeSet<StatusUuid>,
    /// Which framework each process of a scheduler was told to be.
    frameworks: BTreeMap<Pid, FrameworkId>,
    pub(crate) launched: BTreeSet<TaskKey>,
    /// Those of them whose framework checkpoints: what is told of them is durable before.
    checkpointed: BTreeSet<TaskKey>,
    pub(crate) offer_count: u64,
    /// How often schedulers were told each state.
    pub(crate) told: BTreeMap<TaskState, u64>,
}

impl Checks {
    pub(crate) fn fail(&mut self, invariant: &'static str, text: String) {
        let at = Duration::from_micros(self.now_us);
        self.violation.get_or_insert(Violation { invariant, text, at });
    }

    fn expect(&mut self, invariant: &'static str, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.fail(invariant, text());
        }
    }

    /// Looks at the state of the core that has just acted.
    pub(crate) fn after_event(&mut self, host: &Host, me: &Me) {
        match host {
            Host::Master(host) => self.check_master(&host.core, me.pid),
            Host::Agent(host) => self.check_agent(&host.core, me),
            Host::Executor(_) | Host::Scheduler(_) => {}
        }
    }

    fn check_master(&mut self, core: &MasterCore, master: Pid) {
        for agent_id in self.next_books(core) {
            let books = match core.books(&agent_id) {
                Ok(Some(books)) => books,
                Ok(None) => continue,
                Err(error) => return self.fail("I1", format!("{agent_id}: counted twice: {error}")),
            };
            let sum = books.used.checked_add(&books.offered).and_then(|sum| sum.checked_add(&books.free));
            self.expect("I1", sum.as_ref() == Ok(&books.total), || {
                format!("{agent_id}: used + offered + free is not the total: {books:?}")
            });
            self.expect("I1", books.used == books.taken && books.offered == books.held_out, || {
                format!("{agent_id}: the ledger differs from tasks and offers: {books:?}")
            });
            let kept = self.decided_by(master).get(&agent_id).cloned().unwrap_or_default();
            self.expect("I20", books.reserved == kept && books.classes_agree, || {
                format!("{agent_id}: {kept} is reserved by the registry: {books:?}")
            });
        }
    }

    /// What is reserved for all that a master knows; it begins with what is durable.
    fn decided_by(&mut self, master: Pid) -> &mut BTreeMap<AgentId, TypedResources> {
        self.decided_reserved.entry(master).or_insert_with(|| self.reserved.clone())
    }

    /// The agents whose books are looked at now: all of a small cluster, of a large one some in turn. Where nothing
    /// but pings has left the master, one is enough: what went wrong is found as soon as it is of consequence.
    fn next_books(&mut self, core: &MasterCore) -> Vec<AgentId> {
        let most = if std::mem::take(&mut self.loud) { BOOKS_PER_EVENT } else { 1 };
        if self.registry_agents.len() <= most {
            return core.agent_ids().take(BOOKS_PER_EVENT).cloned().collect();
        }
        let from = self.books_next.take().map_or(Bound::Unbounded, Bound::Excluded);
        let ids = self.registry_agents.range((from, Bound::Unbounded)).take(most);
        let ids: Vec<AgentId> = ids.map(|(agent_id, _)| agent_id.clone()).collect();
        self.books_next = ids.last().cloned();
        ids
    }

    fn check_agent(&mut self, core: &AgentCore, me: &Me) {
        match core.books() {
            Ok(books) => self.expect("I1", books.free.checked_add(&books.charged).as_ref() == Ok(&books.total), || {
                format!("{}: free + charged is not the total: {books:?}", me.site)
            }),
            Err(error) => self.fail("I1", format!("{}: counted twice: {error}", me.site)),
        }
        let before = self.agent_epochs.insert(me.site, (me.pid, core.epoch()));
        let fell = before.is_some_and(|(pid, epoch)| pid == me.pid && epoch > core.epoch());
        self.expect("I7", !fell, || format!("{}: its epoch fell to {}", me.site, core.epoch()));
        let longest = core.longest_stream();
        self.expect("I13", longest <= STREAM_MAX, || format!("{}: {longest} updates wait for one task", me.site));
    }

    // The registry.

    pub(crate) fn on_master_starts(&mut self) {
        self.offered.clear();
        self.refusals.clear();
    }

    pub(crate) fn on_recovery(&mut self, registry: &Registry) {
        let lost = self.registry_agents.keys().find(|agent_id| !registry.agents.contains_key(*agent_id)).cloned();
        self.expect("I5", lost.is_none(), || format!("{lost:?} was admitted and is not in the registry"));
    }

    pub(crate) fn on_registry_record(&mut self, record: &Record) {
        match record {
            Record::EpochStarted { epoch } => {
                let (epoch, before) = (*epoch, self.epoch);
                self.expect("I7", epoch > before, || format!("term {epoch} begins after term {before}"));
                self.epoch = epoch;
            }
            Record::AgentAdmitted { agent_id, .. } => {
                let came_back = self.removed_agents.contains(agent_id);
                self.expect("I5", !came_back, || format!("{agent_id} was removed and is admitted again"));
                self.registry_agents.insert(agent_id.clone(), true);
            }
            Record::AgentUnreachable { agent_id } => {
                let known = self.registry_agents.insert(agent_id.clone(), false).is_some();
                self.expect("I5", known, || format!("{agent_id} is unreachable and was never admitted"));
            }
            Record::AgentRemoved { agent_id } | Record::AgentGone { agent_id, .. } => {
                self.registry_agents.remove(agent_id);
                self.removed_agents.insert(agent_id.clone());
                self.reserved.remove(agent_id);
            }
            Record::AgentReserved { agent_id, reserved } => {
                self.reserved.insert(agent_id.clone(), reserved.clone());
            }
            Record::FrameworkAdmitted { framework_id, .. } => {
                let came_back = self.removed_frameworks.contains(framework_id);
                self.expect("I5", !came_back, || format!("{framework_id} has ended and is admitted again"));
                self.registry_frameworks.insert(framework_id.clone());
            }
            Record::FrameworkRemoved { framework_id, .. } => {
                self.registry_frameworks.remove(framework_id);
                self.removed_frameworks.insert(framework_id.clone());
            }
            // What operators ask for and who is connected: no invariant of who may come back depends on it.
            _ => {}
        }
    }

    // What the master lets out.

    pub(crate) fn on_master_reply(&mut self, reply: &Reply) {
        match reply {
            Reply::RegisterAgent(Ok(registered)) => {
                let known = self.registry_agents.get(&registered.agent_id) == Some(&true)
                    || self.removed_agents.contains(&registered.agent_id);
                let agent_id = &registered.agent_id;
                let (told, durable) = (registered.epoch, self.epoch);
                self.expect("I6", told <= durable, || format!("term {told} is told, term {durable} is durable"));
                self.expect("I6", known, || format!("{agent_id} is told that it is admitted, the registry is not"));
            }
            Reply::Subscribe(Ok(subscribed)) => {
                let framework_id = &subscribed.framework_id;
                let known =
                    self.registry_frameworks.contains(framework_id) || self.removed_frameworks.contains(framework_id);
                self.expect("I6", known, || format!("{framework_id} is subscribed, the registry does not have it"));
            }
            _ => {}
        }
    }

    /// An effect leaves the master.
    pub(crate) fn on_master_effect(&mut self, effect: &Effect) {
        match effect {
            Effect::TellScheduler { event: SchedulerEvent::AgentLost(lost), .. } => {
                let away = self.registry_agents.get(&lost.agent_id) != Some(&true);
                let agent_id = &lost.agent_id;
                self.expect("I6", away, || format!("{agent_id} is told to be lost, the registry has it as present"));
            }
            Effect::TellScheduler { event: SchedulerEvent::Offers(made), .. } => {
                for offer in &made.offers {
                    let is_new = self.made_offers.insert(offer.offer_id.clone());
                    self.expect("I9", is_new, || format!("{} is made again", offer.offer_id));
                }
            }
            Effect::CommandAgent { command: AgentCommand::Launch(launch), .. } => {
                let key = (launch.framework_id.clone(), launch.task.task_id.clone());
                if launch.checkpoint {
                    self.checkpointed.insert(key.clone());
                }
                self.launched.insert(key);
            }
            _ => {}
        }
    }

    /// The master has decided; the effects may still wait for records.
    pub(crate) fn on_master_decision(&mut self, master: Pid, emitted: &[Emission<Effect, Record>], now: Moment) {
        let is_ping = |one: &Emission<Effect, Record>| {
            matches!(one, Emission::Send(Effect::CommandAgent { command: AgentCommand::Ping(_), .. }))
        };
        self.loud |= emitted.iter().any(|one| !is_ping(one));
        for emission in emitted {
            match emission {
                Emission::Send(Effect::TellScheduler { event: SchedulerEvent::Offers(made), .. }) => {
                    made.offers.iter().for_each(|offer| self.on_offer(master, &made.framework_id, offer, now));
                }
                Emission::Send(Effect::TellScheduler { event: SchedulerEvent::Updated(updated), .. }) => {
                    self.on_told(master, &updated.framework_id, &updated.status);
                }
                Emission::Send(Effect::TellScheduler { event: SchedulerEvent::Rescinded(rescinded), .. }) => {
                    let used = self.used_offers.contains(&rescinded.offer_id);
                    let offer_id = &rescinded.offer_id;
                    self.expect("I9", !used, || format!("{offer_id} was used and is rescinded"));
                    self.offered.remove(offer_id);
                }
                Emission::Write(Record::AgentReserved { agent_id, reserved }) => {
                    self.decided_by(master).insert(agent_id.clone(), reserved.clone());
                }
                Emission::Send(_) | Emission::Write(_) => {}
            }
        }
    }

    fn on_offer(&mut self, master: Pid, framework_id: &FrameworkId, offer: &Offer, now: Moment) {
        self.offer_count += 1;
        let place = (framework_id.clone(), offer.agent_id.clone());
        let before = self.offers.insert(offer.offer_id.clone(), (master, framework_id.clone()));
        let again = before.is_some_and(|(by, _)| by == master);
        self.expect("I9", !again, || format!("{} is offered twice", offer.offer_id));
        self.offered.insert(offer.offer_id.clone(), (master, offer.clone()));
        let is_theirs = offer.reserved.parts().all(|(class, _)| class.is_for(&offer.role));
        self.expect("I20", is_theirs, || format!("{} of others is offered to {}", offer.reserved, offer.role));
        let refusals = self.refusals.get(&(master, place.0, place.1)).map(Vec::as_slice).unwrap_or_default();
        let resources = offer.by_class().unwrap_or_default();
        let holds = |one: &&Refusal| one.until > now.since_start && one.resources.contains(&resources);
        let broken = refusals.iter().find(holds).map(|one| one.until);
        self.expect("I11", broken.is_none(), || {
            format!(
                "{framework_id} is offered {} of {} at {:?}, refused until {broken:?}",
                offer.resources, offer.agent_id, now.since_start
            )
        });
    }

    // What the master hears.

    /// The agent is who the master takes it for: one that asks again before it knows its id does not say so itself.
    pub(crate) fn on_agent_registers(&mut self, agent_id: Option<&AgentId>) {
        self.unrest += 1;
        if let Some(agent_id) = agent_id {
            self.refusals.retain(|(_, _, on), _| on != agent_id);
        }
    }

    pub(crate) fn on_subscribed(&mut self, master: Pid, framework_id: &FrameworkId, from: &NodeId) {
        self.unrest += 1;
        self.refusals.retain(|(_, of, _), _| of != framework_id);
        self.subscribers.insert((master, framework_id.clone()), from.clone());
    }

    pub(crate) fn before_call(&mut self, call: &MasterCall) {
        if let MasterCall::Revive(revive) = call {
            self.refusals.retain(|(_, of, _), _| *of != revive.framework_id);
        }
    }

    /// The master has obeyed a call: the caller must be who is subscribed, and no offer may be used twice.
    pub(crate) fn on_call_obeyed(
        &mut self,
        master: Pid,
        framework_id: &FrameworkId,
        from: &NodeId,
        call: &MasterCall,
        emitted: &[Emission<Effect, Record>],
        now: Moment,
    ) {
        let owner = self.subscribers.get(&(master, framework_id.clone()));
        let is_owner = owner == Some(from);
        self.expect("I10", is_owner, || format!("{from} was obeyed as {framework_id}, which it is not"));
        match call {
            MasterCall::Accept(accept) => {
                let is_launch = |one: &Emission<Effect, Record>| {
                    matches!(one, Emission::Send(Effect::CommandAgent { command: AgentCommand::Launch(_), .. }))
                };
                if accept.operations.is_empty() && !emitted.iter().any(is_launch) {
                    return;
                }
                for offer_id in &accept.offer_ids {
                    let is_theirs = self.offers.get(offer_id).is_some_and(|(_, of)| of == framework_id);
                    let is_new = self.used_offers.insert(offer_id.clone());
                    self.expect("I9", is_theirs && is_new, || format!("{offer_id} was used by {framework_id} again"));
                    self.offered.remove(offer_id);
                }
            }
            MasterCall::Decline(decline) => {
                for offer_id in &decline.offer_ids {
                    let Some((_, offer)) = self.offered.remove(offer_id).filter(|(by, _)| *by == master) else {
                        continue;
                    };
                    let until = now.after(decline.filters.refuse);
                    let resources = offer.by_class().unwrap_or_default();
                    let refusals = self.refusals.entry((master, framework_id.clone(), offer.agent_id)).or_default();
                    refusals.retain(|one| one.until > now.since_start);
                    refusals.push(Refusal { resources, until });
                }
            }
            _ => {}
        }
    }

    // Agents.

    pub(crate) fn on_command(&mut self, site: Site, command: Epoch, current: Epoch, obeyed: bool) {
        self.expect("I7", !obeyed || command >= current, || {
            format!("{site} follows term {current} and obeyed a command of term {command}")
        });
    }

    /// A record was made; it is not durable yet.
    pub(crate) fn on_agent_record(&mut self, site: Site, record: &AgentRecord) {
        match record {
            AgentRecord::Updated { framework_id, status, .. } => self.on_update_made(site, framework_id, status),
            AgentRecord::Acknowledged { framework_id, task_id, uuid } => {
                self.check_forgetting(&(framework_id.clone(), task_id.clone()), uuid);
            }
            _ => {}
        }
    }

    /// An update may be forgotten once a scheduler has seen it, or nobody is left who wants to.
    fn check_forgetting(&mut self, key: &TaskKey, uuid: &StatusUuid) {
        let is_of_no_use = self.ended_by_master.contains(key) || !self.registry_frameworks.contains(&key.0);
        let is_seen = is_of_no_use || self.seen.contains(uuid);
        self.expect("I3", is_seen, || format!("{}: the update {uuid} is forgotten, no scheduler has seen it", key.1));
    }

    fn on_update_made(&mut self, site: Site, framework_id: &FrameworkId, status: &TaskStatus) {
        let key = (framework_id.clone(), status.task_id.clone());
        let Some(uuid) = status.uuid.clone() else {
            return self.fail("I4", format!("{}: an update without uuid is recorded", key.1));
        };
        let made = self.agent_logs.entry(site).or_default().made.entry(key.clone()).or_default();
        let place = made.len();
        made.push(uuid.clone());
        let before = self.updates.insert(uuid.clone(), (key, site, place));
        self.expect("I4", before.is_none(), || format!("the uuid {uuid} is used again"));
    }

    pub(crate) fn on_agent_durable(&mut self, site: Site, record: &AgentRecord) {
        let log = self.agent_logs.entry(site).or_default();
        match record {
            AgentRecord::Admitted { epoch, .. } => log.epoch = log.epoch.max(*epoch),
            AgentRecord::Launched { framework_id, task, .. } => {
                log.kept.insert((framework_id.clone(), task.task_id.clone()));
            }
            AgentRecord::Updated { framework_id, status, .. } => log.on_update(framework_id, status),
            AgentRecord::Acknowledged { uuid, .. } => {
                log.owed.remove(uuid);
            }
            AgentRecord::Forgotten { framework_id, task_id } | AgentRecord::Dropped { framework_id, task_id } => {
                let gone = (framework_id.clone(), task_id.clone());
                log.owed.retain(|_, of| *of != gone);
            }
            AgentRecord::Snapshot(_) | AgentRecord::Ended { .. } => {}
        }
    }

    /// A new process of an agent has read what the one before has left.
    pub(crate) fn on_agent_starts(&mut self, site: Site, core: &AgentCore) {
        let durable = self.agent_logs.get(&site).map(|log| log.epoch).unwrap_or_default();
        self.expect("I7", core.epoch() >= durable, || {
            format!("{site} begins in term {}, term {durable} is on its disk", core.epoch())
        });
    }

    /// An update that was durable, and of which nobody has ever taken note.
    pub(crate) fn owed(&self) -> Option<String> {
        let (site, log) = self.agent_logs.iter().find(|(_, log)| !log.owed.is_empty())?;
        let (uuid, key) = log.owed.first_key_value()?;
        Some(format!("{site} has lost the update {uuid} of {}, which was durable", key.1))
    }

    pub(crate) fn on_forward(&mut self, site: Site, message: &ForwardStatus) {
        self.unrest += 1;
        let task_id = &message.status.task_id;
        let Some(uuid) = &message.status.uuid else {
            return self.fail("I4", format!("{task_id}: an update without uuid is forwarded"));
        };
        let durable = self.agent_logs.get(&site).is_some_and(|log| log.durable.contains(uuid));
        let key = (message.framework_id.clone(), task_id.clone());
        if self.checkpointed.contains(&key) {
            self.expect("I6", durable, || format!("{task_id}: the update {uuid} is forwarded before it is durable"));
        } else if !durable && self.updates.get(uuid).is_none_or(|(of, by, _)| (of, *by) != (&key, site)) {
            // It was never recorded: this is the first that is heard of it.
            self.on_update_made(site, &key.0, &message.status);
        }
    }

    // Executors.

    pub(crate) fn on_task_starts(&mut self, pid: Pid, framework_id: &FrameworkId, task_id: &TaskId) {
        let before = self.running.insert((framework_id.clone(), task_id.clone()), pid);
        self.expect("I2", before.is_none(), || format!("{task_id} of {framework_id} runs in two places"));
    }

    pub(crate) fn on_task_stops(&mut self, pid: Pid, framework_id: &FrameworkId, task_id: &TaskId) {
        let key = (framework_id.clone(), task_id.clone());
        if self.running.get(&key) == Some(&pid) {
            self.running.remove(&key);
        }
    }

    pub(crate) fn running_count(&self) -> usize {
        self.running.len()
    }

    // Schedulers.

    /// What a scheduler has heard. One that another process has taken over from hears what it was told before.
    pub(crate) fn on_news(&mut self, pid: Pid, serves: bool, news: Vec<News>) {
        for one in news {
            match one {
                News::Subscribed(framework_id) => {
                    self.frameworks.insert(pid, framework_id);
                }
                News::Offered(offer_id) => {
                    let of = self.offers.get(&offer_id).map(|(_, of)| of.clone());
                    let own = self.frameworks.get(&pid).cloned();
                    self.expect("I9", of == own, || format!("{offer_id} of {of:?} is in the hands of {own:?}"));
                }
                News::Updated(status) => {
                    *self.told.entry(status.state).or_default() += 1;
                    self.seen.extend(status.uuid.clone());
                    if serves {
                        self.on_update(pid, &status);
                    }
                }
            }
        }
    }

    fn on_update(&mut self, pid: Pid, status: &TaskStatus) {
        let Some(framework_id) = self.frameworks.get(&pid).cloned() else { return };
        let key = (framework_id, status.task_id.clone());
        if let Some(uuid) = &status.uuid {
            self.check_order(&key, uuid);
        }
        let Some(uuid) = status.uuid.clone().filter(|_| status.state.is_terminal()) else { return };
        let before = self.shown.entry(key).or_default().end.replace((status.state, uuid));
        let contradiction = before.filter(|(state, _)| *state != status.state);
        self.expect("I3", contradiction.is_none(), || {
            format!("{} has ended as {} and as {contradiction:?}", status.task_id, status.state)
        });
    }

    /// One master tells one end of a task. That it does not know a task, when it is asked, is no end.
    fn on_told(&mut self, master: Pid, framework_id: &FrameworkId, status: &TaskStatus) {
        if !status.state.is_terminal() {
            return;
        }
        if status.uuid.is_none() {
            self.ended_by_master.insert((framework_id.clone(), status.task_id.clone()));
            if status.reason == Some(StatusReason::Reconciliation) {
                return;
            }
        }
        let key = (master, framework_id.clone(), status.task_id.clone());
        let before = self.told_ends.insert(key, status.state).filter(|before| *before != status.state);
        self.expect("I3", before.is_none(), || {
            format!("a master tells that {} has ended as {}, after {before:?}", status.task_id, status.state)
        });
    }

    fn check_order(&mut self, key: &TaskKey, uuid: &StatusUuid) {
        let Some((of, site, place)) = self.updates.get(uuid).cloned() else {
            return self.fail("I4", format!("{}: nobody made the update {uuid}", key.1));
        };
        self.expect("I4", of == *key, || format!("{}: the update {uuid} is of {}", key.1, of.1));
        let last = self.shown.entry(key.clone()).or_default().last.replace(uuid.clone());
        let last = last.and_then(|last| self.updates.get(&last)).cloned();
        let fell = last.is_some_and(|(_, by, before)| by == site && before > place);
        self.expect("I4", !fell, || format!("{}: an older update is shown after a newer one", key.1));
    }
}
