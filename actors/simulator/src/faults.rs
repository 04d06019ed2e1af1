//! What goes wrong, when the plan says so, and how all of it is healed at the end of the fault phase.

use crate::hosts::{Fate, Host};
use crate::plan::{Fault, Site};
use crate::process::Pid;
use crate::world::{Event, World};

impl World {
    pub(crate) fn begin_fault(&mut self, index: usize) {
        if self.healed {
            return;
        }
        let fault = self.plan.faults[index].fault.clone();
        self.coverage.hit(fault.kind(), self.last_step);
        match fault {
            Fault::Kill { site, restart_after_ms, host } => self.kill_site(site, restart_after_ms, host),
            Fault::KillAtEffect { site, effect, restart_after_ms } => {
                self.fuses.insert(site, (effect, restart_after_ms));
            }
            Fault::Herd { restart_after_ms } => {
                for agent in 0..self.plan.agents {
                    self.kill_site(Site::Agent(agent), restart_after_ms, false);
                }
            }
            Fault::Pause { site, for_ms } => {
                if let Some(pid) = self.serving.get(&site).copied() {
                    self.pause(pid, Some(for_ms));
                }
            }
            Fault::Cut { from, to, for_ms } => self.begin_cut(from, to, for_ms),
            Fault::Isolate { site, for_ms } => self.isolate(site, for_ms),
            Fault::Reset { site } => self.reset_links(site),
            Fault::Delay { by_ms, for_ms } => {
                self.net.delay_max_us = by_ms * 1000;
                self.after(for_ms * 1000, Event::DelayEnds);
            }
            Fault::SlowDisk { site, write_ms, for_ms } => {
                self.slow_disks.insert(site, write_ms);
                self.after(for_ms * 1000, Event::DiskRecovers { site });
            }
            Fault::FailedWrite { site, restart_after_ms } => {
                self.bad_writes.insert(site, restart_after_ms);
            }
            Fault::ClockJump { site, by_ms } => self.set_wall_clock(site, by_ms),
            Fault::KillExecutor { agent, index } => {
                if let Some(pid) = self.executor_of(agent, index) {
                    self.kill(pid, false);
                }
            }
            Fault::HangExecutor { agent, index } => {
                if let Some(pid) = self.executor_of(agent, index) {
                    self.pause(pid, None);
                }
            }
            Fault::Usurp { resume_after_ms } => self.usurp(resume_after_ms),
            Fault::Rival { framework, resume_after_ms } => self.rival(framework, resume_after_ms),
        }
    }

    /// All faults end: what is down starts, what stands still goes on.
    pub(crate) fn heal(&mut self) {
        self.healed = true;
        self.net.delay_max_us = 0;
        self.slow_disks.clear();
        self.bad_writes.clear();
        self.fuses.clear();
        let paused = self.processes.iter().filter(|(_, process)| process.paused);
        let paused: Vec<Pid> = paused.map(|(pid, _)| *pid).collect();
        paused.into_iter().for_each(|pid| self.resume(pid));
        for (from, to) in self.net.all_cuts() {
            self.net.forget_cut(from, to);
            self.end_cut(from, to);
        }
        let down: Vec<Site> = self.starting.iter().copied().collect();
        down.into_iter().for_each(|site| self.start(site));
    }

    fn kill_site(&mut self, site: Site, restart_after_ms: u64, with_host: bool) {
        let Some(pid) = self.serving.get(&site).copied() else { return };
        if self.starting.insert(site) {
            self.after(restart_after_ms * 1000, Event::Starts { site });
        }
        if with_host {
            *self.boots.entry(site).or_default() += 1;
            let executors: Vec<Pid> = self.executors_at(site);
            executors.into_iter().for_each(|pid| self.kill(pid, true));
        }
        self.kill(pid, with_host);
    }

    fn pause(&mut self, pid: Pid, for_ms: Option<u64>) {
        let Some(process) = self.processes.get_mut(&pid).filter(|process| !process.paused) else { return };
        process.paused = true;
        if let Some(for_ms) = for_ms {
            self.after(for_ms * 1000, Event::Resumes { pid });
        }
        for link in self.net.links_of(pid) {
            self.watch_silence(link);
        }
    }

    fn isolate(&mut self, site: Site, for_ms: u64) {
        let agents = (0..self.plan.agents).map(Site::Agent);
        let frameworks = (0..self.plan.frameworks.len() as u32).map(Site::Framework);
        let others: Vec<Site> =
            std::iter::once(Site::Master).chain(agents).chain(frameworks).filter(|other| *other != site).collect();
        for other in others {
            if site == Site::Master || other == Site::Master {
                self.begin_cut(site, other, for_ms);
                self.begin_cut(other, site, for_ms);
            }
        }
    }

    /// Each end notices at its own time; frames that arrive before that are handled.
    fn reset_links(&mut self, site: Site) {
        for link in self.net.links_at(site) {
            for end in [0, 1] {
                let wait_us = self.chance.network.below(5_000);
                self.after(wait_us, Event::Breaks { link, end });
            }
        }
    }

    fn set_wall_clock(&mut self, site: Site, by_ms: i64) {
        *self.wall_offsets_ms.entry(site).or_default() += by_ms;
        for process in self.processes.values_mut().filter(|process| process.site == site) {
            process.clock.wall_offset_ms += by_ms;
        }
    }

    fn executors_at(&self, site: Site) -> Vec<Pid> {
        let at = |pid: &&Pid| self.processes.get(pid).is_some_and(|process| process.site == site);
        self.executors.values().filter(at).copied().collect()
    }

    fn executor_of(&self, agent: u32, index: u32) -> Option<Pid> {
        let executors = self.executors_at(Site::Agent(agent));
        executors.get(index as usize % executors.len().max(1)).copied()
    }

    /// A new master takes the registry over; all others find it, while their links to the old one stay up.
    fn usurp(&mut self, resume_after_ms: u64) {
        let Some(old) = self.serving.remove(&Site::Master) else { return };
        self.pause(old, Some(resume_after_ms));
        self.net.forget_routes(Site::Master);
        self.start(Site::Master);
        let sites: Vec<(Site, Pid)> = self.serving.iter().map(|(site, pid)| (*site, *pid)).collect();
        for (site, pid) in sites.into_iter().filter(|(site, _)| *site != Site::Master) {
            let is_paused = self.processes.get(&pid).is_some_and(|process| process.paused);
            if is_paused {
                self.kill_site(site, 100, false);
            } else {
                self.run(pid, |host, me, world| match host {
                    Host::Agent(host) => {
                        host.on_leader_moved(me);
                        Fate::Lives
                    }
                    Host::Scheduler(host) => host.on_leader_moved(me, world),
                    Host::Master(_) | Host::Executor(_) => Fate::Lives,
                });
            }
        }
    }

    /// The new process knows what the first one has stored. What the first one does from now on, nobody stores.
    fn rival(&mut self, framework: u32, resume_after_ms: u64) {
        let site = Site::Framework(framework);
        let Some(old) = self.serving.get(&site).copied() else { return };
        let Some(Host::Scheduler(host)) = self.processes.get(&old).map(|process| &process.host) else { return };
        self.workloads.insert(framework, host.core.scheduler().clone());
        self.serving.remove(&site);
        self.pause(old, Some(resume_after_ms));
        self.start(site);
    }

    /// Puts what the plan knows into the queue, and starts all machines.
    pub(crate) fn begin(&mut self) {
        for index in 0..self.plan.faults.len() {
            self.at(self.plan.faults[index].at_ms * 1000, Event::Fault { index });
        }
        self.plan_jobs();
        self.start(Site::Master);
        for agent in 0..self.plan.agents {
            let wait_us = self.chance.process.between(1_000, 500_000);
            self.after(wait_us, Event::Starts { site: Site::Agent(agent) });
        }
        for framework in 0..self.plan.frameworks.len() as u32 {
            let wait_us = self.chance.process.between(1_000, 500_000);
            self.after(wait_us, Event::Starts { site: Site::Framework(framework) });
        }
    }

    fn plan_jobs(&mut self) {
        for framework in 0..self.plan.frameworks.len() {
            for job in 0..self.plan.frameworks[framework].jobs {
                let at_us = self.chance.process.below(self.plan.fault_phase_ms * 1000);
                self.at(at_us, Event::Job { framework: framework as u32, job });
            }
        }
    }
}
