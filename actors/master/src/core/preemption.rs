//! Priorities, demand and preemption: what frameworks wait for, and what others have to give back for it.
//!
//! Who gives back how much, and for whom, is the allocator's decision; which tasks end for it is the framework's, and
//! when its time is over the master's: those that were launched last.

use super::timers::Timer;
use super::{MasterCore, MasterOutbox, TaskKey};
use crate::effect::SchedulerEvent;
use crate::record::Record;
use odeon_allocator::{TakeBack, TakeBackStage};
use odeon_protocol::messages::master_scheduler::{CallError, DEMAND_UNITS_MAX, DeclareDemand, ReturnWanted};
use odeon_protocol::messages::operations::SetRolePriority;
use odeon_protocol::moment::Moment;
use odeon_protocol::resources::{Resources, Scalar};
use odeon_protocol::task::{StatusReason, TaskState, TaskStatus};
use odeon_runtime::NodeId;
use std::cmp::Reverse;

impl MasterCore {
    /// Sets the priority of a role.
    pub fn on_set_role_priority(&mut self, message: SetRolePriority, out: &mut MasterOutbox) {
        let SetRolePriority { role, priority } = message;
        self.allocator.set_priority(&role, priority);
        out.write(Record::PrioritySet { role, priority });
        self.allocator.mark_all();
    }

    /// Takes note of what a framework waits for.
    ///
    /// # Errors
    /// [`CallError`]; nothing has changed then.
    pub fn on_declare_demand(&mut self, node: &NodeId, message: DeclareDemand) -> Result<(), CallError> {
        let DeclareDemand { framework_id, roles, units } = message;
        self.check_roles(node, &framework_id, &roles)?;
        let count = units.as_ref().map_or(0, Vec::len);
        if count > DEMAND_UNITS_MAX {
            return Err(CallError::TooManyUnits(count));
        }
        let roles = if roles.is_empty() { self.frameworks[&framework_id].roles.clone() } else { roles };
        for role in &roles {
            let known = self.allocator.set_demand(&framework_id, role, units.clone());
            known.expect("the roles were checked");
        }
        Ok(())
    }

    /// Asks those who have to give something back, and kills for it where the time is over.
    pub(super) fn take_back_for_others(&mut self, now: Moment, out: &mut MasterOutbox) {
        for wanted in self.allocator.take_back(now.since_start, self.rules.preemption_grace) {
            match wanted.stage {
                TakeBackStage::Ask { until } => {
                    self.timers.set(Timer::Preemption, until);
                    self.ask_back(wanted, out);
                }
                TakeBackStage::Kill => self.kill_for(&wanted, out),
            }
        }
    }

    fn ask_back(&self, wanted: TakeBack, out: &mut MasterOutbox) {
        let TakeBack { framework, role, agent, resources, claimant_role, .. } = wanted;
        let (framework_id, within) = (framework.clone(), self.rules.preemption_grace);
        let event = ReturnWanted { framework_id, role, agent_id: agent, resources, claimant_role, within };
        self.tell(&framework, SchedulerEvent::ReturnWanted(event), out);
    }

    /// Kills tasks that hold as much as is missing, the youngest first; those that end already count.
    fn kill_for(&mut self, wanted: &TakeBack, out: &mut MasterOutbox) {
        let mut missing = wanted.resources.clone();
        for key in self.youngest_first(wanted) {
            let helps = self.task(&key).is_some_and(|task| lessened(&missing, &task.takes_plain()) != missing);
            if !helps {
                continue;
            }
            if let Some(task) = self.task_mut(&key) {
                missing = lessened(&missing, &task.takes_plain());
                if !task.kill_asked {
                    task.preempted_for = Some(wanted.claimant_role.clone());
                    self.kill(&key, out);
                }
            }
        }
    }

    /// The tasks that may have to end, those first that end already.
    fn youngest_first(&self, wanted: &TakeBack) -> Vec<TaskKey> {
        let tasks = self.agents.get(&wanted.agent).into_iter().flat_map(|agent| &agent.tasks);
        let of_holder = tasks.filter(|(framework_id, _)| *framework_id == wanted.framework);
        let known = of_holder.filter_map(|key| Some((self.task(key)?, key)));
        let mut found: Vec<_> = known
            .filter(|(task, _)| task.role == wanted.role && task.charged)
            .map(|(task, key)| (Reverse(task.kill_asked), Reverse(task.launched_ms), key.clone()))
            .collect();
        found.sort();
        found.into_iter().map(|(_, _, key)| key).collect()
    }

    /// Says why a task was killed, where its agent could not know.
    pub(super) fn mark_preempted(&self, key: &TaskKey, status: &mut TaskStatus) {
        let preempted_for = self.task(key).and_then(|task| task.preempted_for.as_ref());
        if let Some(role) = preempted_for.filter(|_| status.state == TaskState::Killed) {
            status.reason = Some(StatusReason::ContainerPreempted);
            status.message = format!("role {role} has a higher priority, and waited for what the task took");
        }
    }
}

fn less(amount: Scalar, freed: Scalar) -> Scalar {
    Scalar::from_thousandths(amount.thousandths().saturating_sub(freed.thousandths()))
}

/// What is still missing when a task has ended.
fn lessened(missing: &Resources, freed: &Resources) -> Resources {
    let left = missing.scalars().map(|(name, amount)| (name, less(amount, freed.scalar(name))));
    left.fold(Resources::empty(), |left, (name, amount)| left.with_scalar(name, amount))
}
