//! Kills: a task that waits is killed at once, one that runs is asked to end, and its executor answers for it.

use super::executor::ExecutorState;
use super::task::Kill;
use super::{AgentCore, Out, TaskKey};
use crate::effect::Effect;
use odeon_protocol::messages::master_agent::{CommandRefused, KillTask};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{StatusReason, StatusSource, TaskState, TaskStatus};
use std::time::Duration;

impl AgentCore {
    /// The master ends a task. What comes of it is told in an update; `TASK_GONE` if there is no such task.
    ///
    /// # Errors
    /// [`CommandRefused`] if the master is not the one that the agent follows.
    pub fn on_kill_task(&mut self, message: &KillTask, now: Moment, out: &mut Out) -> Result<(), CommandRefused> {
        self.fence(message.epoch)?;
        let key = (message.framework_id.clone(), message.task_id.clone());
        if !self.tasks.contains_key(&key) && !self.streams.contains(&key) {
            let gone = TaskStatus::new(key.1.clone(), TaskState::Gone, StatusSource::Agent);
            let gone = gone.because(StatusReason::TaskUnknown, "the agent does not have the task").at(now.wall_ms);
            self.tell(&key, gone, now, out);
        }
        self.limit_grace(&key, message.grace_max, now);
        self.kill_task(&key, now, out);
        Ok(())
    }

    /// Shortens the time that a task has to end, also of one that was asked before.
    fn limit_grace(&mut self, key: &TaskKey, grace_max: Option<Duration>, now: Moment) {
        let Some((task, max)) = self.tasks.get_mut(key).zip(grace_max) else { return };
        let own = task.info.kill_grace.unwrap_or(self.limits.task_kill_grace);
        task.info.kill_grace = Some(own.min(max));
        if let Kill::Asked { until } = &mut task.kill {
            *until = (*until).min(now.after(max.saturating_add(self.limits.kill_margin)));
            self.kills.insert((*until, key.clone()));
        }
    }

    /// Ends a task if it lives. Asking again does not give it more time.
    pub(super) fn kill_task(&mut self, key: &TaskKey, now: Moment, out: &mut Out) {
        let Some(task) = self.tasks.get_mut(key).filter(|task| task.is_live()) else { return };
        if !task.sent {
            let killed = TaskStatus::new(key.1.clone(), TaskState::Killed, StatusSource::Agent);
            let text = "killed before its executor was ready";
            let killed = killed.because(StatusReason::TaskKilledDuringLaunch, text).at(now.wall_ms);
            self.report(key, killed, now, out);
            return;
        }
        if task.kill == Kill::No {
            let grace = task.info.kill_grace.unwrap_or(self.limits.task_kill_grace);
            let until = now.after(grace.saturating_add(self.limits.kill_margin));
            task.kill = Kill::Asked { until };
            self.kills.insert((until, key.clone()));
        }
        self.repeat_kill(key, out);
    }

    /// Asks the executor to end a task, if that is wanted.
    pub(super) fn repeat_kill(&mut self, key: &TaskKey, out: &mut Out) {
        let Some(task) = self.tasks.get(key).filter(|task| task.kill_at().is_some()) else { return };
        let container_id = task.container_id.clone().expect("a live task has an executor");
        let executor = &self.executors[&container_id];
        if matches!(executor.state, ExecutorState::Returning { .. }) {
            // It hears of it when it is back.
            return;
        }
        let grace = task.info.kill_grace.unwrap_or(self.limits.task_kill_grace);
        out.send(Effect::EndTask { container_id, task_id: key.1.clone(), grace });
    }

    /// Kills executors that have not killed a task in time.
    pub(super) fn kill_what_disobeys(&mut self, now: Moment, out: &mut Out) {
        while self.kills.first().is_some_and(|(at, _)| *at <= now.since_start) {
            let Some((at, key)) = self.kills.pop_first() else { break };
            let Some(task) = self.tasks.get_mut(&key).filter(|task| task.kill_at() == Some(at)) else { continue };
            task.kill = Kill::WithExecutor;
            let container_id = task.container_id.clone().expect("a live task has an executor");
            self.kill_executor(&container_id, &format!("task {} did not end in time", key.1), out);
        }
    }
}
