//! How processes of the world start and end, and what they leave behind.

use crate::hosts::{AgentHost, ExecutorHost, Host, MasterHost, Me, SchedulerHost};
use crate::plan::Site;
use crate::process::{Input, Pid, Process, ProcessClock};
use crate::workload::Workload;
use crate::world::{Event, World};
use odeon_agent::AgentLimits;
use odeon_agent::core::AgentCore;
use odeon_agent::effect::ContainerPlace;
use odeon_framework::core::{DriverCore, Introduction, SUBSCRIBE_TIMEOUT_DEFAULT};
use odeon_master::{MasterCore, MasterOutbox, MasterRules, Registry};
use odeon_protocol::agent::AgentInfo;
use odeon_protocol::framework::{Capability, FrameworkInfo};
use odeon_protocol::id::{ContainerId, IdSource, MasterId};
use odeon_protocol::resources::{Resources, Scalar};
use odeon_protocol::task::TaskExit;
use odeon_runtime::NodeId;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A process that has ended by itself is started again after so long, at most.
const RESTART_US: u64 = 3_000_000;
/// How far clocks go wrong, in millionths.
const DRIFT_PPM: u64 = 200;

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
            Site::Agent(number) => self.new_agent(number),
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
        let registry = Registry::of(self.registry.iter().cloned());
        self.checks.on_recovery(&registry);
        let mut rules = MasterRules::default();
        rules.allocator.seed = self.chance.identity.next();
        let name = MasterId::new("m").expect("a letter is an id");
        let mut first = MasterOutbox::new();
        let core = MasterCore::recover(&name, rules, registry, clock.now(self.now_us), &mut first);
        self.checks.on_master_starts();
        Host::Master(Box::new(MasterHost::new(core, first)))
    }

    fn new_agent(&mut self, number: u32) -> Host {
        let cpus = Scalar::from_whole(2 + u64::from(number % 3) * 2);
        let info = AgentInfo {
            hostname: format!("host-{number}"),
            endpoint: format!("host-{number}:1"),
            resources: Resources::cpus_mem(cpus, 4096),
            attributes: BTreeMap::new(),
        };
        Host::Agent(Box::new(AgentHost::new(AgentCore::new(info, AgentLimits::DEFAULT, self.chance.identity.next()))))
    }

    fn new_scheduler(&mut self, number: u32, mut workload: Workload) -> Host {
        workload.take_up();
        let planned = &self.plan.frameworks[number as usize];
        let mut info = FrameworkInfo::new(format!("framework-{number}"));
        info.failover_timeout = Duration::from_millis(planned.failover_timeout_ms);
        info.checkpoint = planned.checkpoint;
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
    pub(crate) fn start_executor(&mut self, me: &Me, place: ContainerPlace) {
        let wait_us = self.chance.process.between(2_000, 60_000);
        self.after(wait_us, Event::ExecutorStarts { parent: me.pid, place });
    }

    pub(crate) fn spawn_executor(&mut self, parent: Pid, place: ContainerPlace) {
        let container_id = place.container_id.clone();
        let stillborn = self.stillborn.remove(&container_id);
        let Some(site) = self.processes.get(&parent).map(|process| process.site) else { return };
        if stillborn {
            return self.input_after(1_000, parent, Input::ExecutorOver { container_id, exit: None });
        }
        let clock = self.new_clock(site);
        let host = ExecutorHost::new(place, parent, AgentLimits::DEFAULT.executor_shutdown_grace);
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
        self.net.dials.retain(|(own, _), _| *own != pid);
        self.net.routes.retain(|(own, _), _| *own != pid);
        self.net.backoffs.retain(|(own, _), _| *own != pid);
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
            Host::Agent(_) => self.checks.on_agent_ends(pid),
            Host::Scheduler(host) => {
                let Site::Framework(number) = site else { return };
                self.workloads.insert(number, host.core.into_scheduler());
            }
            Host::Executor(host) => return self.bury_executor(pid, &host),
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

    fn bury_executor(&mut self, pid: Pid, host: &ExecutorHost) {
        for task_id in host.running() {
            self.checks.on_task_stops(pid, host.framework_id(), task_id);
        }
        let container_id = host.place.container_id.clone();
        self.executors.remove(&container_id);
        let wait_us = self.chance.process.between(200, 10_000);
        let exit = Some(TaskExit::Code(0));
        self.input_after(wait_us, host.parent, Input::ExecutorOver { container_id, exit });
    }

    fn cut_all_links(&mut self, pid: Pid, with_host: bool) {
        let ends: Vec<(u64, usize)> = self
            .net
            .links
            .iter()
            .filter_map(|(id, link)| (0..2).find(|end| link.ends[*end].pid == pid).map(|end| (*id, end)))
            .collect();
        for (id, end) in ends {
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
