//! How processes of the world start and end, and what they leave behind.

use crate::defect::Defect;
use crate::hosts::{AgentHost, ExecutorHost, Host, MasterHost, Me, SchedulerHost};
use crate::plan::Site;
use crate::process::{Input, Pid, Process, ProcessClock};
use crate::workload::Workload;
use crate::world::{Event, World};
use odeon_agent::AgentLimits;
use odeon_agent::core::{AgentCore, ReconfigurationPolicy, RecoverError, Start};
use odeon_agent::effect::{ContainerPlace, Record as AgentRecord};
use odeon_framework::core::{DriverCore, Introduction, SUBSCRIBE_TIMEOUT_DEFAULT};
use odeon_master::{MasterCore, MasterOutbox, MasterRules, Registry};
use odeon_protocol::agent::AgentInfo;
use odeon_protocol::framework::{Capability, FrameworkInfo};
use odeon_protocol::id::{ContainerId, IdSource, MasterId};
use odeon_protocol::resources::{Class, Resources, Scalar, TypedResources};
use odeon_protocol::role::Role;
use odeon_protocol::task::TaskExit;
use odeon_runtime::NodeId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// A process that has ended by itself is started again after so long, at most.
const RESTART_US: u64 = 3_000_000;
/// How far clocks go wrong, in millionths.
const DRIFT_PPM: u64 = 200;
/// After how many records an agent writes a snapshot: few, so that it happens often.
const JOURNAL_RECORDS: (u64, u64) = (8, 60);

/// Each framework has a role of its own, or it could reserve nothing.
pub(crate) fn role_of(framework: u32) -> Role {
    Role::new(format!("framework-{framework}")).expect("letters, digits and a dash are a role")
}

/// What every other agent reserves for the first framework: too little to keep any job of the others from running.
fn reserved_by_configuration() -> TypedResources {
    let amounts = Resources::cpus_mem(Scalar::from_thousandths(200), 64);
    TypedResources::empty().with(Class::reserved(role_of(0)), amounts)
}

impl World {
    /// Starts the process of a machine, unless it runs already.
    pub(crate) fn start(&mut self, site: Site) {
        self.starting.remove(&site);
        if self.serving.contains_key(&site) {
            return;
        }
        let clock = self.new_clock(site);
        let host = match site {
            Site::Master => self.new_master(&clock),
            Site::Agent(number) => match self.new_agent(number) {
                Ok(host) => host,
                Err(error) => return self.checks.fail("I14", format!("{site} cannot go on: {error}")),
            },
            Site::Framework(number) => match self.workloads.remove(&number) {
                Some(workload) => self.new_scheduler(number, workload),
                None => return,
            },
        };
        let pid = self.add_process(site, clock, host);
        self.serving.insert(site, pid);
        self.give(pid, Input::Start);
    }

    fn add_process(&mut self, site: Site, clock: ProcessClock, host: Host) -> Pid {
        let pid = self.next_pid();
        let name = match &host {
            Host::Executor(host) => format!("executor-{}", host.place.container_id),
            _ => site.to_string(),
        };
        let node = NodeId { name, incarnation: self.chance.identity.next() };
        let process = Process {
            node,
            site,
            clock,
            host,
            paused: false,
            inbox: VecDeque::new(),
            timer: None,
            timer_generation: 0,
        };
        self.processes.insert(pid, process);
        pid
    }

    fn new_clock(&mut self, site: Site) -> ProcessClock {
        let drift_ppm = self.chance.identity.below(2 * DRIFT_PPM) as i64 - DRIFT_PPM as i64;
        let wall_offset_ms = self.wall_offsets_ms.get(&site).copied().unwrap_or(0);
        ProcessClock { born_us: self.now_us, drift_ppm, wall_offset_ms }
    }

    pub(crate) fn new_master(&mut self, clock: &ProcessClock) -> Host {
        if Defect::LoseDurableRecord.is_on() {
            self.registry.pop();
        }
        let mut registry = Registry::of(self.registry.iter().cloned());
        self.checks.on_recovery(&registry);
        if Defect::ForgetReservations.is_on() {
            registry.agents.values_mut().for_each(|agent| agent.reserved = TypedResources::empty());
        }
        let mut rules = MasterRules::default();
        rules.allocator.seed = self.chance.identity.next();
        let name = MasterId::new("m").expect("a letter is an id");
        let mut first = MasterOutbox::new();
        let core = MasterCore::recover(&name, rules, registry, clock.now(self.now_us), &mut first);
        self.checks.on_master_starts();
        Host::Master(Box::new(MasterHost::new(core, first)))
    }

    /// A new process of an agent goes on from what the one before has left on the disk.
    fn new_agent(&mut self, number: u32) -> Result<Host, RecoverError> {
        let cpus = Scalar::from_whole(2 + u64::from(number % 3) * 2);
        let info = AgentInfo {
            hostname: format!("host-{number}"),
            endpoint: format!("host-{number}:1"),
            resources: Resources::cpus_mem(cpus, 4096),
            reserved: if number % 2 == 1 { reserved_by_configuration() } else { TypedResources::empty() },
            attributes: BTreeMap::new(),
        };
        let site = Site::Agent(number);
        let boot_id = format!("boot-{}", self.boots.get(&site).copied().unwrap_or(0));
        let start = Start { info, boot_id, policy: ReconfigurationPolicy::Equal, disk_is_measured: false };
        let journal_records_max = self.chance.identity.between(JOURNAL_RECORDS.0, JOURNAL_RECORDS.1) as usize;
        let limits = AgentLimits { journal_records_max, ..AgentLimits::DEFAULT };
        let kept = self.journals.get(&site).cloned().unwrap_or_default();
        let core = AgentCore::recover(kept, start, limits, self.chance.identity.next())?;
        self.checks.on_agent_starts(site, &core);
        self.journals.insert(site, core.checkpoint());
        Ok(Host::Agent(Box::new(AgentHost::new(core))))
    }

    fn new_scheduler(&mut self, number: u32, mut workload: Workload) -> Host {
        workload.take_up();
        let planned = &self.plan.frameworks[number as usize];
        let mut info = FrameworkInfo::new(format!("framework-{number}"));
        info.failover_timeout = Duration::from_millis(planned.failover_timeout_ms);
        info.checkpoint = planned.checkpoint;
        info.roles = BTreeSet::from([role_of(number)]);
        if planned.partition_aware {
            info.capabilities.insert(Capability::PartitionAware);
        }
        let introduction = Introduction {
            info,
            framework_id: workload.framework_id.clone(),
            actor: format!("scheduler/{}", IdSource::new(self.chance.identity.next()).next_uuid()),
            subscribe_timeout: SUBSCRIBE_TIMEOUT_DEFAULT,
        };
        Host::Scheduler(Box::new(SchedulerHost::new(DriverCore::new(introduction, workload))))
    }

    /// An agent starts an executor: its process is there a little later.
    pub(crate) fn start_executor(&mut self, me: &Me, place: ContainerPlace, checkpoint: bool) {
        let wait_us = self.chance.process.between(2_000, 60_000);
        self.after(wait_us, Event::ExecutorStarts { parent: me.pid, place, checkpoint });
    }

    /// A new process of an agent takes an executor over; of one that is gone it learns that it is.
    pub(crate) fn adopt_executor(&mut self, me: &Me, container_id: &ContainerId) {
        if !self.executors.contains_key(container_id) {
            let wait_us = self.chance.process.between(200, 10_000);
            let over = Input::ExecutorOver { container_id: container_id.clone(), exit: None };
            self.input_after(wait_us, me.pid, over);
        }
    }

    pub(crate) fn spawn_executor(&mut self, parent: Pid, place: ContainerPlace, checkpoint: bool) {
        let container_id = place.container_id.clone();
        let stillborn = self.stillborn.remove(&container_id);
        let Some(site) = self.processes.get(&parent).map(|process| process.site) else { return };
        if stillborn {
            return self.input_after(1_000, parent, Input::ExecutorOver { container_id, exit: None });
        }
        let clock = self.new_clock(site);
        let host = ExecutorHost::new(place, &AgentLimits::DEFAULT, checkpoint);
        let pid = self.add_process(site, clock, Host::Executor(Box::new(host)));
        self.executors.insert(container_id, pid);
        self.give(pid, Input::Start);
    }

    /// An agent kills an executor, and all that it has started.
    pub(crate) fn kill_executor(&mut self, container_id: &ContainerId) {
        match self.executors.get(container_id) {
            Some(pid) => {
                let pid = *pid;
                let wait_us = self.chance.process.between(100, 5_000);
                self.after(wait_us, Event::Killed { pid });
            }
            None => {
                self.stillborn.insert(container_id.clone());
            }
        }
    }

    /// A process dies at once; with its host, nobody is told.
    pub(crate) fn kill(&mut self, pid: Pid, with_host: bool) {
        if let Some(process) = self.processes.remove(&pid) {
            self.bury(pid, process, with_host, None);
        }
    }

    /// What is left of a process that has ended: its links break, its journal stays, its executors go on.
    pub(crate) fn bury(&mut self, pid: Pid, process: Process, with_host: bool, restart_after_ms: Option<u64>) {
        let site = process.site;
        self.cut_all_links(pid, with_host);
        self.asks.retain(|_, ask| ask.pid != pid);
        self.net.forget_process(pid);
        let serves = self.serving.get(&site) == Some(&pid);
        if serves {
            self.serving.remove(&site);
        }
        match process.host {
            Host::Master(host) => {
                if serves {
                    let mut records = host.commits.into_unfinished();
                    let kept = self.chance.disk.below(records.len() as u64 + 1) as usize;
                    records.truncate(kept);
                    self.keep_records(&records);
                }
            }
            Host::Agent(host) => {
                let mut records = host.commits.into_unfinished();
                let kept = self.chance.disk.below(records.len() as u64 + 1) as usize;
                records.truncate(kept);
                self.keep_agent_records(site, records);
            }
            Host::Scheduler(host) => {
                let Site::Framework(number) = site else { return };
                if !serves {
                    return;
                }
                self.workloads.insert(number, host.core.into_scheduler());
            }
            Host::Executor(host) => return self.bury_executor(pid, site, &host),
        }
        if serves {
            let wait_us = restart_after_ms.map(|ms| ms * 1000);
            let wait_us = wait_us.unwrap_or_else(|| self.chance.process.between(100_000, RESTART_US));
            self.restart_after(site, wait_us);
        }
    }

    /// Starts the process of a machine again; if that is planned already, the earlier plan counts.
    fn restart_after(&mut self, site: Site, wait_us: u64) {
        if self.starting.insert(site) {
            self.after(wait_us, Event::Starts { site });
        }
    }

    /// Records of an agent's journal are durable.
    pub(crate) fn keep_agent_records(&mut self, site: Site, records: Vec<AgentRecord>) {
        let journal = self.journals.entry(site).or_default();
        for record in records {
            self.checks.on_agent_durable(site, &record);
            journal.apply(record, AgentLimits::DEFAULT.status_updates_max);
        }
    }

    /// Whoever serves as the agent sees the end; one that starts later finds that the executor is gone.
    fn bury_executor(&mut self, pid: Pid, site: Site, host: &ExecutorHost) {
        for task_id in host.running() {
            self.checks.on_task_stops(pid, host.framework_id(), task_id);
        }
        let container_id = host.place.container_id.clone();
        self.executors.remove(&container_id);
        let wait_us = self.chance.process.between(200, 10_000);
        let exit = Some(TaskExit::Code(0));
        if let Some(agent) = self.serving.get(&site).copied() {
            self.input_after(wait_us, agent, Input::ExecutorOver { container_id, exit });
        }
    }

    fn cut_all_links(&mut self, pid: Pid, with_host: bool) {
        for id in self.net.links_of(pid) {
            let Some(end) = self.net.links.get(&id).map(|link| link.end_of(pid)) else { continue };
            if !self.net.close(id, end) {
                continue;
            }
            if with_host {
                self.watch_silence(id);
            } else {
                self.send(id, pid, crate::network::Frame::Close);
            }
            self.net.forget_if_closed(id);
        }
    }

    /// A process that stood still goes on: all that has happened meanwhile comes at once, in order.
    pub(crate) fn resume(&mut self, pid: Pid) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        process.paused = false;
        let inbox = std::mem::take(&mut process.inbox);
        for input in inbox {
            self.give(pid, input);
        }
    }
}
