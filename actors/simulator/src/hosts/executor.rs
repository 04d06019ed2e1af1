//! The shell of an executor, as `actors/executor/src/actor.rs`, with tasks that only take time.

use super::{Fate, Me};
use crate::coverage::Step;
use crate::defect::Defect;
use crate::message::{Asked, Body, Reply};
use crate::network::SEND_TIMEOUT_US;
use crate::process::Input;
use crate::workload::TaskScript;
use crate::world::World;
use odeon_agent::AgentLimits;
use odeon_agent::effect::ContainerPlace;
use odeon_executor::TaskEnd;
use odeon_executor::core::{ExecutorCore, Identity};
use odeon_executor::effect::Effect;
use odeon_protocol::id::{FrameworkId, TaskId};
use odeon_protocol::task::TaskInfo;
use odeon_runtime::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// How long one attempt to register may take.
const REGISTER_ATTEMPT_US: u64 = 1_000_000;
/// The task type that every simulated executor knows.
pub(crate) const TASK_TYPE: &str = "wait";

/// Runs the core of an executor.
#[derive(Debug)]
pub(crate) struct ExecutorHost {
    pub(crate) core: ExecutorCore,
    pub(crate) place: ContainerPlace,
    agent_node: Option<NodeId>,
    running: BTreeMap<TaskId, TaskScript>,
}

impl ExecutorHost {
    pub(crate) fn new(place: ContainerPlace, limits: &AgentLimits, checkpoint: bool) -> Self {
        let identity = Identity {
            framework_id: place.framework_id.clone(),
            executor_id: place.executor_id.clone(),
            container_id: place.container_id.clone(),
            shutdown_grace: limits.executor_shutdown_grace,
            recovery_timeout: checkpoint.then_some(limits.recovery_timeout),
        };
        let core = ExecutorCore::new(identity, BTreeSet::from([TASK_TYPE.to_owned()]));
        Self { core, place, agent_node: None, running: BTreeMap::new() }
    }

    pub(crate) fn framework_id(&self) -> &FrameworkId {
        &self.place.framework_id
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &TaskId> {
        self.running.keys()
    }

    pub(crate) fn handle(&mut self, input: Input, me: &Me, world: &mut World) -> Fate {
        let is_linked = self.is_linked(me, world);
        let (core, now, mut out) = (&mut self.core, me.now, Vec::new());
        match input {
            Input::Start => core.on_start(now, &mut out),
            Input::Request { reply_to, body, .. } => {
                match body {
                    Body::RunTask(message) => core.on_run_task(*message, now, &mut out),
                    Body::EndTask(message) => core.on_end_task(&message, now, &mut out),
                    Body::ShutdownExecutor(message) => core.on_shutdown(&message, now, &mut out),
                    _ => {}
                }
                world.reply(me.pid, reply_to, Reply::Taken);
            }
            Input::Answer { asked: Asked::RegisterExecutor, answer, node } => {
                let answer = match answer {
                    Ok(Reply::RegisterExecutor(answer)) => Some(answer),
                    _ => None,
                };
                core.on_register_answered(answer, now, &mut out);
                self.agent_node = node;
                if !self.is_linked(me, world) {
                    self.core.on_link_down(now, &mut out);
                }
            }
            Input::Answer { asked: Asked::Update(sequence), answer, .. } => {
                let answer = match answer {
                    Ok(Reply::UpdateStatus(answer)) => Some(answer),
                    _ => None,
                };
                core.on_update_answered(sequence, answer, now, &mut out);
            }
            Input::LinkDown { node } if self.agent_node.as_ref() == Some(&node) && !is_linked => {
                core.on_link_down(now, &mut out);
            }
            Input::Timer { .. } => core.on_timer(now, &mut out),
            Input::TaskRuns { task_id } if self.running.contains_key(&task_id) => {
                world.reach(Step::Running);
                core.on_task_report(&task_id, "", now, &mut out);
            }
            Input::TaskOver { task_id, end } if self.running.remove(&task_id).is_some() => {
                world.reach(Step::Terminal);
                world.checks.on_task_stops(me.pid, &self.place.framework_id, &task_id);
                core.on_task_ended(&task_id, end, now, &mut out);
            }
            _ => {}
        }
        self.perform(out, me, world)
    }

    fn is_linked(&self, me: &Me, world: &World) -> bool {
        self.agent_node.as_ref().is_some_and(|node| world.is_linked(me.pid, node))
    }

    fn perform(&mut self, effects: Vec<Effect>, me: &Me, world: &mut World) -> Fate {
        for effect in effects {
            match effect {
                Effect::Register(message) => {
                    let body = Body::RegisterExecutor(Box::new(message));
                    world.ask_site(me.pid, me.site, body, Asked::RegisterExecutor, REGISTER_ATTEMPT_US);
                }
                Effect::SendUpdate(message) => {
                    let asked = Asked::Update(message.sequence);
                    let body = Body::UpdateStatus(Box::new(message));
                    world.ask_site(me.pid, me.site, body, asked, SEND_TIMEOUT_US);
                }
                Effect::StartTask { task, .. } => {
                    if Defect::RunTwice.is_on() {
                        self.start((*task).clone(), me, world);
                    }
                    self.start(*task, me, world);
                }
                // The workload asks for none.
                Effect::Check { .. } => {}
                Effect::AskToEnd(task_id) => self.end_task(&task_id, false, me, world),
                Effect::ForceToEnd(task_id) => self.end_task(&task_id, true, me, world),
                Effect::End(_) => return Fate::Ends,
            }
        }
        Fate::Lives
    }

    fn start(&mut self, task: TaskInfo, me: &Me, world: &mut World) {
        let script = TaskScript::of(&task);
        let task_id = task.task_id;
        world.checks.on_task_starts(me.pid, &self.place.framework_id, &task_id);
        let (runs_us, over_us) = world.task_times(&script);
        world.input_after(runs_us, me.pid, Input::TaskRuns { task_id: task_id.clone() });
        let end = if script.fails { TaskEnd::Panicked("as planned".to_owned()) } else { TaskEnd::Done };
        world.input_after(over_us, me.pid, Input::TaskOver { task_id: task_id.clone(), end });
        self.running.insert(task_id, script);
    }

    fn end_task(&mut self, task_id: &TaskId, by_force: bool, me: &Me, world: &mut World) {
        let obeys = self.running.get(task_id).is_some_and(|script| by_force || !script.stubborn);
        if obeys {
            let after_us = world.end_delay_us();
            world.input_after(after_us, me.pid, Input::TaskOver { task_id: task_id.clone(), end: TaskEnd::Aborted });
        }
    }
}
