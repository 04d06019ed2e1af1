//! What the tests of the core share: an agent, its master's words, and what it has emitted.

use super::*;
use crate::effect::{Effect, Record};
use odeon_protocol::executor::{CommandInfo, ExecutorInfo};
use odeon_protocol::id::{ExecutorId, MasterId, StatusUuid};
use odeon_protocol::messages::Epoch;
use odeon_protocol::messages::agent_executor::{RegisterExecutor, UpdateStatus};
use odeon_protocol::messages::master_agent::*;
use odeon_protocol::resources::Resources;
use odeon_protocol::role::Role;
use odeon_protocol::task::{StatusSource, TaskInfo, TaskState, TaskStatus, Work};
use odeon_runtime::Emission;

pub(super) const EPOCH: Epoch = Epoch(3);
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(75);

pub(super) fn resources(text: &str) -> Resources {
    text.parse().unwrap()
}

pub(super) fn framework(name: &str) -> FrameworkId {
    FrameworkId::new(name).unwrap()
}

pub(super) fn task_id(name: &str) -> TaskId {
    TaskId::new(name).unwrap()
}

pub(super) fn at(ms: u64) -> Moment {
    Moment::at_ms(ms)
}

pub(super) fn command(name: &str) -> TaskInfo {
    let command = CommandInfo { argv: vec!["true".into()], environment: BTreeMap::new(), working_directory: None };
    let resources = resources("cpus:1;mem:64");
    TaskInfo::new(task_id(name), name, resources, Work::Command(command))
}

pub(super) fn registered(name: &str, executor: &str) -> TaskInfo {
    let executor = ExecutorInfo {
        executor_id: ExecutorId::new(executor).unwrap(),
        name: executor.into(),
        resources: resources("cpus:0.5"),
        program: None,
        binary: None,
    };
    let work = Work::Registered { executor, task_type: "echo".into(), data: vec![] };
    TaskInfo { work, ..command(name) }
}

pub(super) fn shared_command(name: &str, executor: &str) -> TaskInfo {
    let executor = registered(name, executor).executor().into_owned();
    let command = command(name).work.command().cloned().unwrap();
    TaskInfo { work: Work::SharedCommand { executor, command }, ..self::command(name) }
}

pub(super) fn admitted(epoch: Epoch, kill: Vec<TaskKey>) -> AgentRegistered {
    AgentRegistered {
        agent_id: AgentId::new("m-S0").unwrap(),
        master_id: MasterId::new("m").unwrap(),
        epoch,
        ping_timeout: PING_TIMEOUT,
        kill,
    }
}

/// A core and all that it has emitted; `take` returns what is new.
pub(super) struct Agent {
    pub(super) core: AgentCore,
    pub(super) out: Out,
    sequence: u64,
}

impl Agent {
    pub(super) fn with_limits(limits: AgentLimits) -> Self {
        let info = AgentInfo {
            hostname: "host".into(),
            endpoint: "host:5051".into(),
            resources: resources("cpus:4;mem:1024;ports:[31000-31009]"),
            attributes: BTreeMap::new(),
            reserved: Default::default(),
        };
        Self { core: AgentCore::new(info, limits, 7), out: Out::new(), sequence: 0 }
    }

    /// An agent that is registered at time 0.
    pub(super) fn admitted() -> Self {
        let mut agent = Self::with_limits(AgentLimits::DEFAULT);
        agent.core.on_start(&mut agent.out);
        agent.core.on_registration(Some(Ok(admitted(EPOCH, vec![]))), at(0), &mut agent.out);
        agent.take();
        agent
    }

    pub(super) fn take(&mut self) -> Vec<Emission<Effect, Record>> {
        std::mem::take(&mut self.out).into_emissions()
    }

    pub(super) fn effects(&mut self) -> Vec<Effect> {
        let sent = |emission| if let Emission::Send(effect) = emission { Some(effect) } else { None };
        self.take().into_iter().filter_map(sent).collect()
    }

    /// The effects, each as a short text.
    pub(super) fn told(&mut self) -> Vec<String> {
        self.effects().iter().map(describe).collect()
    }

    pub(super) fn launch(&mut self, ms: u64, task: TaskInfo) {
        self.launch_as(ms, task, false);
    }

    pub(super) fn launch_as(&mut self, ms: u64, task: TaskInfo, checkpoint: bool) {
        let (framework_id, role) = (framework("f"), Role::default());
        let message = LaunchTask { epoch: EPOCH, framework_id, role, task, checkpoint, killing_state: false };
        self.core.on_launch_task(message, at(ms), &mut self.out).unwrap();
    }

    pub(super) fn kill(&mut self, ms: u64, task: &str) {
        let message = KillTask { epoch: EPOCH, framework_id: framework("f"), task_id: task_id(task), grace_max: None };
        self.core.on_kill_task(&message, at(ms), &mut self.out).unwrap();
    }

    pub(super) fn container_of(&self, task: &str) -> ContainerId {
        let key = (framework("f"), task_id(task));
        self.core.history.locate(&key).unwrap().place.container_id.clone()
    }

    /// The executor of a task registers.
    pub(super) fn register(&mut self, task: &str) {
        let place = self.core.history.locate(&(framework("f"), task_id(task))).unwrap().place.clone();
        let message = RegisterExecutor {
            framework_id: place.framework_id,
            executor_id: place.executor_id,
            container_id: place.container_id,
        };
        self.core.on_register_executor(&message, &mut self.out).unwrap();
    }

    pub(super) fn update(&mut self, ms: u64, task: &str, state: TaskState) {
        self.sequence += 1;
        let message = UpdateStatus {
            framework_id: framework("f"),
            container_id: self.container_of(task),
            status: TaskStatus::new(task_id(task), state, StatusSource::Executor),
            sequence: self.sequence,
        };
        self.core.on_update_status(message, at(ms), &mut self.out).unwrap();
    }

    pub(super) fn acknowledge(&mut self, ms: u64, task: &str, uuid: StatusUuid) {
        let message = AcknowledgeStatus { epoch: EPOCH, framework_id: framework("f"), task_id: task_id(task), uuid };
        self.core.on_acknowledge_status(message, at(ms), &mut self.out).unwrap();
    }

    pub(super) fn timer(&mut self, ms: u64) {
        self.core.on_timer(at(ms), &mut self.out);
    }

    /// An agent with one task of the given name, which its executor runs.
    pub(super) fn running(task: TaskInfo) -> Self {
        let name = task.task_id.to_string();
        let mut agent = Self::admitted();
        agent.launch(0, task);
        agent.register(&name);
        agent.update(0, &name, TaskState::Running);
        let uuid = forwarded(&agent.effects()).uuid.clone().unwrap();
        agent.acknowledge(0, &name, uuid);
        agent.take();
        agent
    }
}

/// The status of the only update among the effects.
pub(super) fn forwarded(effects: &[Effect]) -> &TaskStatus {
    let mut found = effects.iter().filter_map(|effect| match effect {
        Effect::Forward(forward) => Some(&forward.status),
        _ => None,
    });
    let status = found.next().expect("an update is sent");
    assert!(found.next().is_none(), "more than one update is sent: {effects:?}");
    status
}

pub(super) fn describe(effect: &Effect) -> String {
    match effect {
        Effect::Register(message) => format!("register {}", message.tasks.len()),
        Effect::Forward(ForwardStatus { status, .. }) => format!("forward {} {}", status.task_id, status.state),
        Effect::StartExecutor { place, .. } => format!("start {}", place.executor_id),
        Effect::AdoptExecutor { place } => format!("adopt {}", place.executor_id),
        Effect::RunTask { task, .. } => format!("run {}", task.task_id),
        Effect::EndTask { task_id, grace, .. } => format!("end {task_id} in {grace:?}"),
        Effect::ShutdownExecutor { .. } => "shut down executor".into(),
        Effect::KillExecutor { .. } => "kill executor".into(),
        Effect::RemoveSandbox { place, task_id } => format!("remove {} {task_id:?}", place.executor_id),
        Effect::Finish(end) => format!("finish {end:?}"),
    }
}
