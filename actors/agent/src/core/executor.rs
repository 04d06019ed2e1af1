//! Executors: from the start of the process to its exit.

use super::checkpoint::KeptExecutor;
use super::task::Kill;
use super::{AgentCore, Out, TaskKey};
use crate::effect::{ContainerPlace, Effect, Record};
use crate::settings::AgentLimits;
use odeon_protocol::executor::ExecutorInfo;
use odeon_protocol::id::{ContainerId, FrameworkId, TaskId};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{StatusReason, StatusSource, TaskExit, TaskState, TaskStatus};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Sequence numbers that may be ahead of a gap before the gap is given up.
const SEQUENCES_AHEAD_MAX: usize = 1024;

#[derive(Debug)]
pub(super) struct Executor {
    pub(super) place: ContainerPlace,
    pub(super) info: ExecutorInfo,
    /// Runs one command, and ends with it.
    pub(super) is_command: bool,
    /// Whether it outlives the process of the agent.
    pub(super) checkpoint: bool,
    /// Whether its framework understands `TASK_KILLING`.
    pub(super) killing_state: bool,
    pub(super) state: ExecutorState,
    /// Live tasks in the order of their launch.
    pub(super) tasks: VecDeque<TaskId>,
    /// Whether its own resources are charged: as long as one of its tasks is.
    pub(super) charged: bool,
    pub(super) idle_since: Option<Duration>,
    pub(super) link_lost_at: Option<Duration>,
    pub(super) sequences: Sequences,
    /// Why the agent has killed it, for people.
    killed_because: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExecutorState {
    /// Its process was started.
    Starting { until: Duration },
    /// It was taken over, and has to register again.
    Returning { until: Duration },
    /// It takes tasks.
    Registered,
    /// It was asked to end.
    Ending { until: Duration },
    /// It is being killed; only its exit is missing.
    Killed,
}

/// The numbers of the updates that were taken.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Sequences {
    all_up_to: u64,
    ahead: BTreeSet<u64>,
}

impl Sequences {
    /// Takes note of a number; false if it was there.
    pub(super) fn insert(&mut self, sequence: u64) -> bool {
        if sequence <= self.all_up_to || !self.ahead.insert(sequence) {
            return false;
        }
        if self.ahead.len() > SEQUENCES_AHEAD_MAX {
            self.all_up_to = self.ahead.pop_first().expect("it is longer than its bound");
        }
        while self.ahead.first() == Some(&(self.all_up_to + 1)) {
            self.all_up_to += 1;
            self.ahead.pop_first();
        }
        true
    }
}

impl Executor {
    pub(super) fn new(
        framework_id: &FrameworkId,
        container_id: ContainerId,
        info: ExecutorInfo,
        is_command: bool,
        checkpoint: bool,
        register_until: Duration,
    ) -> Self {
        let place =
            ContainerPlace { framework_id: framework_id.clone(), executor_id: info.executor_id.clone(), container_id };
        Self {
            place,
            info,
            is_command,
            checkpoint,
            killing_state: false,
            state: ExecutorState::Starting { until: register_until },
            tasks: VecDeque::new(),
            charged: true,
            idle_since: None,
            link_lost_at: None,
            sequences: Sequences::default(),
            killed_because: None,
        }
    }

    pub(super) fn takes_tasks(&self) -> bool {
        use ExecutorState::{Registered, Returning, Starting};
        matches!(self.state, Starting { .. } | Returning { .. } | Registered)
    }

    /// What the next process of the agent has to know of it.
    pub(super) fn kept(&self) -> KeptExecutor {
        KeptExecutor {
            framework_id: self.place.framework_id.clone(),
            info: self.info.clone(),
            is_command: self.is_command,
            killing_state: self.killing_state,
            sequences: self.sequences.clone(),
        }
    }

    pub(super) fn next_deadline(&self, limits: &AgentLimits) -> Option<Duration> {
        let lost = self.link_lost_at.map(|at| at.saturating_add(limits.executor_reconnect_max));
        let idle = self.idle_since.map(|since| since.saturating_add(limits.executor_idle_max));
        match self.state {
            ExecutorState::Starting { until }
            | ExecutorState::Returning { until }
            | ExecutorState::Ending { until } => Some(until),
            ExecutorState::Registered => lost.into_iter().chain(idle).min(),
            ExecutorState::Killed => None,
        }
    }
}

impl AgentCore {
    /// An executor process has ended, and nothing of what it had started lives.
    pub fn on_executor_exited(
        &mut self,
        container_id: &ContainerId,
        exit: Option<TaskExit>,
        now: Moment,
        out: &mut Out,
    ) {
        let Some(executor) = self.executors.get(container_id) else { return };
        let exit = exit.map_or_else(|| "ended in an unknown way".to_owned(), |exit| exit.to_string());
        let because = executor.killed_because.iter().map(|why| format!(", killed by the agent: {why}"));
        let message = format!("executor {} {exit}{}", executor.place.executor_id, because.collect::<String>());
        self.bury(container_id, StatusReason::ExecutorTerminated, &message, now, out);
    }

    /// An executor process could not be started.
    pub fn on_executor_not_started(&mut self, container_id: &ContainerId, cause: &str, now: Moment, out: &mut Out) {
        let message = format!("the executor could not be started: {cause}");
        self.bury(container_id, StatusReason::ContainerLaunchFailed, &message, now, out);
    }

    /// The process of an executor is started only now: before, its binary was fetched.
    pub fn on_binary_fetched(&mut self, container_id: &ContainerId, now: Moment) {
        let until = now.after(self.limits.executor_registration_timeout);
        if let Some(executor) = self.executors.get_mut(container_id)
            && let ExecutorState::Starting { .. } = executor.state
        {
            executor.state = ExecutorState::Starting { until };
        }
    }

    /// The link to a live executor has broken; it has a while to come back.
    pub fn on_executor_disconnected(&mut self, container_id: &ContainerId, now: Moment) {
        if let Some(executor) = self.executors.get_mut(container_id) {
            executor.link_lost_at.get_or_insert(now.since_start);
        }
    }

    /// An executor does not take what it is sent, although its link is up.
    pub fn on_executor_unresponsive(&mut self, container_id: &ContainerId, cause: &str, out: &mut Out) {
        self.kill_executor(container_id, &format!("it does not take its tasks: {cause}"), out);
    }

    pub(super) fn check_executors(&mut self, now: Moment, out: &mut Out) {
        let due = |executor: &&Executor| executor.next_deadline(&self.limits).is_some_and(|at| at <= now.since_start);
        let due: Vec<ContainerId> =
            self.executors.values().filter(due).map(|executor| executor.place.container_id.clone()).collect();
        for container_id in due {
            let executor = &self.executors[&container_id];
            match executor.state {
                ExecutorState::Starting { .. } => self.give_up_start(&container_id, now, out),
                ExecutorState::Returning { .. } => {
                    self.kill_executor(&container_id, "it did not come back to the restarted agent in time", out);
                }
                ExecutorState::Ending { .. } => self.kill_executor(&container_id, "it did not end in time", out),
                ExecutorState::Registered if executor.tasks.is_empty() => self.end_executor(&container_id, now, out),
                ExecutorState::Registered => self.kill_executor(&container_id, "its link was lost", out),
                ExecutorState::Killed => {}
            }
        }
    }

    fn give_up_start(&mut self, container_id: &ContainerId, now: Moment, out: &mut Out) {
        let waited = self.limits.executor_registration_timeout;
        self.kill_executor(container_id, "it did not register in time", out);
        let message = format!("the executor did not register within {waited:?}");
        self.fail_tasks(container_id, StatusReason::ExecutorRegistrationTimeout, &message, now, out);
    }

    /// Ends those executors that are meant.
    pub(super) fn end_executors(&mut self, meant: impl Fn(&FrameworkId) -> bool, now: Moment, out: &mut Out) {
        let ids: Vec<ContainerId> = self
            .executors
            .iter()
            .filter(|(_, executor)| meant(&executor.place.framework_id))
            .map(|(container_id, _)| container_id.clone())
            .collect();
        ids.iter().for_each(|container_id| self.end_executor(container_id, now, out));
    }

    /// Asks an executor to end; one that has not registered is killed.
    pub(super) fn end_executor(&mut self, container_id: &ContainerId, now: Moment, out: &mut Out) {
        let grace = self.limits.executor_shutdown_grace;
        let until = now.after(grace.saturating_add(self.limits.kill_margin));
        let Some(executor) = self.executors.get_mut(container_id) else { return };
        match executor.state {
            ExecutorState::Starting { .. } | ExecutorState::Returning { .. } => {
                self.kill_executor(container_id, "it is not needed any more", out);
            }
            ExecutorState::Registered => {
                executor.state = ExecutorState::Ending { until };
                out.send(Effect::ShutdownExecutor { container_id: container_id.clone(), grace });
            }
            ExecutorState::Ending { .. } | ExecutorState::Killed => {}
        }
        self.expect_end_of_tasks(container_id);
    }

    pub(super) fn kill_executor(&mut self, container_id: &ContainerId, because: &str, out: &mut Out) {
        let executor = self.executors.get_mut(container_id).filter(|one| one.state != ExecutorState::Killed);
        if let Some(executor) = executor {
            executor.state = ExecutorState::Killed;
            executor.killed_because = Some(because.to_owned());
            out.send(Effect::KillExecutor { container_id: container_id.clone() });
        }
    }

    /// The agent ends the executor, so that its tasks count as killed, not as failed.
    fn expect_end_of_tasks(&mut self, container_id: &ContainerId) {
        for key in self.keys_of(container_id) {
            self.tasks.get_mut(&key).expect("an executor's tasks are known").kill = Kill::WithExecutor;
        }
    }

    fn keys_of(&self, container_id: &ContainerId) -> Vec<TaskKey> {
        let executor = self.executors.get(container_id);
        let key = |executor: &Executor, task_id: &TaskId| (executor.place.framework_id.clone(), task_id.clone());
        executor.map(|one| one.tasks.iter().map(|task_id| key(one, task_id)).collect()).unwrap_or_default()
    }

    /// Ends what an executor leaves behind: its live tasks, and its place among the live.
    fn bury(&mut self, container_id: &ContainerId, reason: StatusReason, text: &str, now: Moment, out: &mut Out) {
        let Some(executor) = self.executors.get_mut(container_id) else { return };
        executor.state = ExecutorState::Killed;
        self.fail_tasks(container_id, reason, text, now, out);
        let executor = self.executors.remove(container_id).expect("it was there");
        if executor.checkpoint {
            self.write(Record::Ended { container_id: container_id.clone() }, out);
        }
        self.history.on_exited(&executor.place, now);
        self.forget_sandboxes(now, out);
        self.finish_if_done(out);
    }

    fn fail_tasks(&mut self, container_id: &ContainerId, reason: StatusReason, text: &str, now: Moment, out: &mut Out) {
        for key in self.keys_of(container_id) {
            let state = if self.tasks[&key].kill == Kill::No { TaskState::Failed } else { TaskState::Killed };
            let status = TaskStatus::new(key.1.clone(), state, StatusSource::Agent).because(reason, text);
            self.report(&key, status.at(now.wall_ms), now, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_once_in_whichever_order_they_come() {
        let mut sequences = Sequences::default();
        let taken: Vec<bool> = [1, 3, 3, 2, 2, 1, 4].into_iter().map(|number| sequences.insert(number)).collect();
        assert_eq!(taken, [true, true, false, true, false, false, true]);
        assert!(sequences.ahead.is_empty());
    }
}
