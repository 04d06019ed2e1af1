//! `EmulatedAgent`: what one agent without a host knows of its tasks, and what it says about them.
//!
//! It runs nothing: a task runs until its time is over. Of each task it tells the newest state only when the one before
//! was acknowledged, and tells again what is not acknowledged, as a real agent does.

use odeon_protocol::id::{AgentId, FrameworkId, StatusUuid, TaskId};
use odeon_protocol::messages::Epoch;
use odeon_protocol::messages::master_agent::{
    AcknowledgeStatus, AgentTask, CommandRefused, ForwardStatus, KillTask, LaunchTask,
};
use odeon_protocol::role::Role;
use odeon_protocol::task::{StatusSource, TaskInfo, TaskState, TaskStatus};
use std::collections::BTreeMap;
use std::time::Duration;

/// Before an update is told again.
pub(super) const REPEAT_AFTER: Duration = Duration::from_secs(10);

/// The place of a task in the life of its agent.
pub(super) type Serial = u64;

/// An agent that has only its tasks.
#[derive(Debug, Default)]
pub(super) struct EmulatedAgent {
    pub(super) agent_id: Option<AgentId>,
    epoch: Option<Epoch>,
    tasks: BTreeMap<Serial, EmulatedTask>,
    next: Serial,
}

#[derive(Debug)]
struct EmulatedTask {
    framework_id: FrameworkId,
    role: Role,
    info: TaskInfo,
    /// What it is.
    state: TaskState,
    /// What was told and is not acknowledged.
    told: Option<TaskState>,
    /// What was acknowledged last.
    noted: Option<TaskState>,
    repeat_at: Duration,
}

/// What has become of an acknowledgement.
#[derive(Debug, PartialEq)]
pub(super) enum Acknowledged {
    /// Nothing waits for it.
    Nothing,
    /// There is more to tell.
    Next(Serial, Box<ForwardStatus>),
    /// The task is forgotten.
    Ended,
}

/// What is to be done when it is time to look at a task.
#[derive(Debug, PartialEq)]
pub(super) enum Due {
    Nothing,
    /// It has ended; what is to be told of it, unless something else waits to be acknowledged.
    Over(Serial, Option<ForwardStatus>),
    /// What was told is told again.
    Again(ForwardStatus),
}

impl EmulatedAgent {
    /// The master has admitted it. Returns what is to be told of its tasks.
    pub(super) fn on_registered(
        &mut self,
        agent_id: AgentId,
        epoch: Epoch,
        kill: &[(FrameworkId, TaskId)],
        now: Duration,
    ) -> Vec<(Serial, ForwardStatus)> {
        (self.agent_id, self.epoch) = (Some(agent_id), Some(epoch));
        self.tasks.retain(|_, task| !kill.iter().any(|(framework, id)| task.is(framework, id)));
        let untold = self.tasks.iter().filter(|(_, task)| task.noted != Some(task.state));
        let untold: Vec<Serial> = untold.map(|(serial, _)| *serial).collect();
        untold.into_iter().filter_map(|serial| Some((serial, self.tell(serial, now)?))).collect()
    }

    /// The master does not know its id any more: it begins anew, without tasks.
    pub(super) fn on_removed(&mut self) {
        *self = Self { next: self.next, ..Self::default() };
    }

    /// What it brings back to a master.
    pub(super) fn report(&self) -> Vec<AgentTask> {
        let report = |task: &EmulatedTask| AgentTask {
            framework_id: task.framework_id.clone(),
            role: task.role.clone(),
            task: task.info.clone(),
            state: task.state,
        };
        self.tasks.values().map(report).collect()
    }

    /// Refuses the command of an older master.
    pub(super) fn obeys(&self, epoch: Epoch) -> Result<(), CommandRefused> {
        match self.epoch {
            Some(current) if epoch < current => Err(CommandRefused::OldEpoch { command: epoch, current }),
            _ => Ok(()),
        }
    }

    /// A task runs from now on. It is told once the agent is registered.
    pub(super) fn on_launch(&mut self, launch: LaunchTask, now: Duration) -> (Serial, Option<ForwardStatus>) {
        let LaunchTask { framework_id, role, task: info, .. } = launch;
        let serial = self.next;
        self.next += 1;
        let (state, told, noted) = (TaskState::Running, None, None);
        self.tasks
            .insert(serial, EmulatedTask { framework_id, role, info, state, told, noted, repeat_at: Duration::MAX });
        (serial, self.tell(serial, now))
    }

    /// A task is asked to end; it does at once, if it runs.
    pub(super) fn on_kill(&mut self, kill: &KillTask, now: Duration) -> Due {
        let mut tasks = self.tasks.iter();
        let is_meant = |task: &EmulatedTask| task.is(&kill.framework_id, &kill.task_id) && !task.state.is_terminal();
        let serial = tasks.find(|(_, task)| is_meant(task)).map(|(serial, _)| *serial);
        serial.map_or(Due::Nothing, |serial| self.end(serial, TaskState::Killed, now))
    }

    /// All tasks of a framework are forgotten; returns how many ran.
    pub(super) fn on_shutdown_framework(&mut self, framework_id: &FrameworkId) -> usize {
        let is_theirs = |task: &EmulatedTask| task.framework_id == *framework_id;
        let ran = self.tasks.values().filter(|task| is_theirs(task) && !task.state.is_terminal()).count();
        self.tasks.retain(|_, task| !is_theirs(task));
        ran
    }

    /// The scheduler has taken note of an update.
    pub(super) fn on_acknowledge(&mut self, acknowledge: &AcknowledgeStatus, now: Duration) -> Acknowledged {
        let Some(serial) = serial_of(&acknowledge.uuid) else { return Acknowledged::Nothing };
        let Some(task) = self.tasks.get_mut(&serial) else { return Acknowledged::Nothing };
        let Some(told) = task.told.filter(|told| uuid_of(serial, *told) == acknowledge.uuid) else {
            return Acknowledged::Nothing;
        };
        (task.told, task.noted) = (None, Some(told));
        if told.is_terminal() {
            self.tasks.remove(&serial);
            return Acknowledged::Ended;
        }
        if task.state == told {
            return Acknowledged::Nothing;
        }
        self.tell(serial, now).map_or(Acknowledged::Nothing, |next| Acknowledged::Next(serial, Box::new(next)))
    }

    /// The time of a task is over.
    pub(super) fn on_over(&mut self, serial: Serial, now: Duration) -> Due {
        self.end(serial, TaskState::Finished, now)
    }

    fn end(&mut self, serial: Serial, state: TaskState, now: Duration) -> Due {
        let Some(task) = self.tasks.get_mut(&serial).filter(|task| !task.state.is_terminal()) else {
            return Due::Nothing;
        };
        task.state = state;
        let waits = task.told.is_some();
        Due::Over(serial, if waits { None } else { self.tell(serial, now) })
    }

    /// What was told may have been lost.
    pub(super) fn on_repeat(&mut self, serial: Serial, now: Duration) -> Due {
        match self.tasks.get(&serial) {
            Some(task) if task.told.is_some() && task.repeat_at <= now => {
                self.tell(serial, now).map_or(Due::Nothing, Due::Again)
            }
            _ => Due::Nothing,
        }
    }

    /// Tells what waits to be acknowledged, or else the newest state.
    fn tell(&mut self, serial: Serial, now: Duration) -> Option<ForwardStatus> {
        let agent_id = self.agent_id.clone()?;
        let task = self.tasks.get_mut(&serial)?;
        let state = *task.told.get_or_insert(task.state);
        task.repeat_at = now + REPEAT_AFTER;
        let mut status = TaskStatus::new(task.info.task_id.clone(), state, StatusSource::Executor);
        status.uuid = Some(uuid_of(serial, state));
        Some(ForwardStatus { agent_id, framework_id: task.framework_id.clone(), status, latest: task.state })
    }
}

impl EmulatedTask {
    fn is(&self, framework_id: &FrameworkId, task_id: &TaskId) -> bool {
        self.framework_id == *framework_id && self.info.task_id == *task_id
    }
}

/// Each state of a task is told under an id of its own.
fn uuid_of(serial: Serial, state: TaskState) -> StatusUuid {
    let end = if state.is_terminal() { "end" } else { "run" };
    StatusUuid::new(format!("{serial}-{end}")).expect("a number and a word are an id")
}

fn serial_of(uuid: &StatusUuid) -> Option<Serial> {
    uuid.as_str().split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use odeon_protocol::executor::CommandInfo;
    use odeon_protocol::resources::Resources;
    use odeon_protocol::task::Work;

    const START: Duration = Duration::ZERO;

    fn agent() -> EmulatedAgent {
        let mut agent = EmulatedAgent::default();
        agent.on_registered(AgentId::new("a").expect("an id"), Epoch(2), &[], START);
        agent
    }

    fn launched(agent: &mut EmulatedAgent, id: &str) -> (Serial, ForwardStatus) {
        let (serial, told) = agent.on_launch(launch(id), START);
        (serial, told.expect("it is registered"))
    }

    fn framework() -> FrameworkId {
        FrameworkId::new("f").expect("an id")
    }

    fn launch(id: &str) -> LaunchTask {
        let work = Work::Command(CommandInfo { argv: Vec::new(), environment: [].into(), working_directory: None });
        let task = TaskInfo::new(TaskId::new(id).expect("an id"), id, Resources::empty(), work);
        let (checkpoint, killing_state) = (false, false);
        LaunchTask {
            epoch: Epoch(2),
            framework_id: framework(),
            role: Role::default(),
            task,
            checkpoint,
            killing_state,
        }
    }

    fn acknowledge(of: &ForwardStatus) -> AcknowledgeStatus {
        let (task_id, uuid) = (of.status.task_id.clone(), of.status.uuid.clone().expect("it has one"));
        AcknowledgeStatus { epoch: Epoch(2), framework_id: framework(), task_id, uuid }
    }

    #[test]
    fn the_end_of_a_task_is_told_when_its_beginning_was_acknowledged() {
        let mut agent = agent();
        let (serial, running) = launched(&mut agent, "t");
        assert_eq!(running.status.state, TaskState::Running);
        assert_eq!(agent.on_over(serial, START), Due::Over(serial, None), "the beginning is not acknowledged");
        assert_eq!(agent.report()[0].state, TaskState::Finished);
        let Acknowledged::Next(_, end) = agent.on_acknowledge(&acknowledge(&running), START) else {
            panic!("it ended")
        };
        assert_eq!((end.status.state, end.latest), (TaskState::Finished, TaskState::Finished));
        assert_eq!(agent.on_acknowledge(&acknowledge(&running), START), Acknowledged::Nothing, "it was taken once");
        assert_eq!(agent.on_acknowledge(&acknowledge(&end), START), Acknowledged::Ended);
        assert!(agent.report().is_empty());
    }

    #[test]
    fn what_is_not_acknowledged_is_told_again_under_the_same_id() {
        let mut agent = agent();
        let (serial, running) = launched(&mut agent, "t");
        assert_eq!(agent.on_repeat(serial, REPEAT_AFTER / 2), Due::Nothing);
        assert_eq!(agent.on_repeat(serial, REPEAT_AFTER), Due::Again(running.clone()));
        assert_eq!(agent.on_repeat(serial, REPEAT_AFTER), Due::Nothing, "only after the same time again");
        agent.on_acknowledge(&acknowledge(&running), REPEAT_AFTER);
        assert_eq!(agent.on_repeat(serial, REPEAT_AFTER * 9), Due::Nothing);
    }

    #[test]
    fn a_killed_task_ends_and_one_that_the_master_has_given_up_is_forgotten() {
        let mut agent = agent();
        let (_, running) = launched(&mut agent, "t");
        agent.on_acknowledge(&acknowledge(&running), START);
        let kill =
            KillTask { epoch: Epoch(2), framework_id: framework(), task_id: running.status.task_id, grace_max: None };
        let Due::Over(_, Some(told)) = agent.on_kill(&kill, START) else { panic!("it ran and was acknowledged") };
        assert_eq!(told.status.state, TaskState::Killed);
        assert_eq!(agent.on_kill(&kill, START), Due::Nothing, "it ends once");
        agent.on_launch(launch("u"), START);
        let id = |text: &str| (framework(), TaskId::new(text).expect("an id"));
        agent.on_registered(AgentId::new("a").expect("an id"), Epoch(3), &[id("t"), id("u")], START);
        assert!(agent.report().is_empty());
        assert_eq!(agent.obeys(Epoch(2)), Err(CommandRefused::OldEpoch { command: Epoch(2), current: Epoch(3) }));
    }

    #[test]
    fn what_was_launched_before_the_answer_to_the_registration_is_told_after_it() {
        let mut agent = EmulatedAgent::default();
        let (serial, told) = agent.on_launch(launch("t"), START);
        assert_eq!(told, None);
        let told = agent.on_registered(AgentId::new("a").expect("an id"), Epoch(2), &[], START);
        assert_eq!(
            told.iter().map(|(of, told)| (*of, told.status.state)).collect::<Vec<_>>(),
            [(serial, TaskState::Running)]
        );
        agent.on_acknowledge(&acknowledge(&told[0].1), START);
        assert_eq!(agent.on_registered(AgentId::new("a").expect("an id"), Epoch(3), &[], START), []);
    }

    #[test]
    fn a_framework_that_is_shut_down_leaves_nothing() {
        let mut agent = agent();
        let (serial, _) = launched(&mut agent, "t");
        agent.on_launch(launch("u"), START);
        agent.on_over(serial, START);
        assert_eq!(agent.on_shutdown_framework(&framework()), 1, "one of the two had ended");
        assert!(agent.report().is_empty());
    }
}
