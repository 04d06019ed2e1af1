//! The shell of an agent, as `actors/agent/src/actor.rs` and `performer.rs`.

use super::mailer::{Delivery, Mailer, RETRY_WAIT_US};
use super::{Fate, Me, spoil};
use crate::commit::{Commits, Released};
use crate::coverage::Step;
use crate::defect::Defect;
use crate::message::{Asked, Body, Reply, ReplyTo};
use crate::network::SEND_TIMEOUT_US;
use crate::plan::Site;
use crate::process::Input;
use crate::world::World;
use odeon_agent::core::{AgentCore, Out};
use odeon_agent::effect::{ContainerPlace, Effect, Record};
use odeon_master::effect::AgentCommand;
use odeon_protocol::id::ContainerId;
use odeon_protocol::messages::agent_executor::{EndTask, RunTask, ShutdownExecutor};
use odeon_protocol::messages::master_agent::CommandRefused;
use odeon_runtime::{Emission, NodeId};
use std::collections::{BTreeMap, VecDeque};

/// Runs the core of an agent.
#[derive(Debug)]
pub(crate) struct AgentHost {
    pub(crate) core: AgentCore,
    pub(crate) commits: Commits<Effect, Record>,
    /// Commands that wait for the answer to a registration.
    deferred: VecDeque<(Option<ReplyTo>, AgentCommand)>,
    master: Option<NodeId>,
    crew: BTreeMap<ContainerId, Member>,
    next_mailer: u64,
}

/// An executor whose process may be alive.
#[derive(Debug)]
struct Member {
    place: ContainerPlace,
    reached: Option<Mailer>,
}

type Answered = Option<(Option<ReplyTo>, Reply)>;

impl AgentHost {
    pub(crate) fn new(core: AgentCore) -> Self {
        let (deferred, crew) = (VecDeque::new(), BTreeMap::new());
        Self { core, commits: Commits::new(), deferred, master: None, crew, next_mailer: 0 }
    }

    pub(crate) fn handle(&mut self, input: Input, me: &Me, world: &mut World) -> Fate {
        let mut out = Out::new();
        let mut reply = None;
        match input {
            Input::Start => {
                self.core.on_recovered(me.now, &mut out);
                self.core.on_start(&mut out);
            }
            Input::Request { from, reply_to, body } => {
                reply = self.on_request(from, reply_to, body, me, world, &mut out);
            }
            Input::Answer { asked, answer, node } => return self.on_answer(asked, answer, node, me, world),
            Input::LinkDown { node } => self.on_link_down(&node, me, world),
            Input::Timer { .. } => self.core.on_timer(me.now, &mut out),
            Input::WriteEnded => return self.on_write_ended(me, world),
            Input::ExecutorOver { .. } if Defect::IgnoreExecutorExit.is_on() => {}
            Input::ExecutorOver { container_id, exit } => {
                self.crew.remove(&container_id);
                self.core.on_executor_exited(&container_id, exit, me.now, &mut out);
            }
            Input::Unresponsive { container_id } => {
                self.core.on_executor_unresponsive(&container_id, "it does not answer", &mut out);
            }
            Input::MailRetry { container_id, mailer } => {
                if let Some(one) = self.mailer(&container_id, mailer) {
                    one.on_retry();
                }
                self.deliver(&container_id, me, world);
            }
            _ => return Fate::Lives,
        }
        self.commit(out, reply, me, world)
    }

    fn on_request(
        &mut self,
        from: NodeId,
        reply_to: Option<ReplyTo>,
        body: Body,
        me: &Me,
        world: &mut World,
        out: &mut Out,
    ) -> Answered {
        match body {
            Body::Command(command) if self.core.is_registering() || !self.deferred.is_empty() => {
                self.deferred.push_back((reply_to, *command));
                None
            }
            Body::Command(command) => Some((reply_to, Reply::Command(self.obey(*command, me, world, out)))),
            Body::RegisterExecutor(message) => {
                let answer = self.core.on_register_executor(&message, out);
                if answer.is_ok() {
                    self.bind(&message.container_id, from);
                }
                Some((reply_to, Reply::RegisterExecutor(answer)))
            }
            Body::UpdateStatus(message) => {
                world.reach(Step::UpdatePersisted);
                if message.status.state.is_terminal() && Defect::SkipTerminalUpdate.is_on() {
                    return Some((reply_to, Reply::UpdateStatus(Ok(()))));
                }
                let answer = self.core.on_update_status(*message, me.now, out);
                Some((reply_to, Reply::UpdateStatus(answer)))
            }
            _ => None,
        }
    }

    fn obey(
        &mut self,
        mut command: AgentCommand,
        me: &Me,
        world: &mut World,
        out: &mut Out,
    ) -> Result<(), CommandRefused> {
        let before = self.core.epoch();
        let (core, now) = (&mut self.core, me.now);
        let epoch = *epoch_of(&mut command);
        if Defect::ForgetEpochFence.is_on() {
            *epoch_of(&mut command) = before;
        } else if Defect::ForgetAcknowledgement.is_on() && matches!(command, AgentCommand::Acknowledge(_)) {
            return Ok(());
        }
        let answer = match command {
            AgentCommand::Launch(message) => core.on_launch_task(*message, now, out),
            AgentCommand::Kill(message) => core.on_kill_task(&message, now, out),
            AgentCommand::Acknowledge(message) => core.on_acknowledge_status(message, now, out),
            AgentCommand::Ping(message) => core.on_ping_agent(&message, now, out),
            AgentCommand::ShutdownFramework(message) => core.on_shutdown_framework(&message, now, out),
            AgentCommand::ShutdownAgent(message) => core.on_shutdown_agent(message, now, out),
        };
        world.checks.on_command(me.site, epoch, before, answer.is_ok());
        answer
    }

    fn on_answer(
        &mut self,
        asked: Asked,
        answer: Result<Reply, crate::message::NoAnswer>,
        node: Option<NodeId>,
        me: &Me,
        world: &mut World,
    ) -> Fate {
        match asked {
            Asked::RegisterAgent if answer.is_err() && Defect::NeverRegisterAgain.is_on() => Fate::Lives,
            Asked::RegisterAgent => self.on_registered(answer.ok(), node, me, world),
            Asked::Letter { container_id, mailer } => {
                self.on_letter(&container_id, mailer, answer.err(), me, world);
                Fate::Lives
            }
            _ => Fate::Lives,
        }
    }

    fn on_registered(&mut self, answer: Option<Reply>, node: Option<NodeId>, me: &Me, world: &mut World) -> Fate {
        let answer = answer.and_then(|reply| match reply {
            Reply::RegisterAgent(answer) => Some(answer),
            _ => None,
        });
        let linked = node.as_ref().is_some_and(|node| world.is_linked(me.pid, node));
        let lost = answer.is_some() && !linked;
        self.master = node;
        let mut out = Out::new();
        self.core.on_registration(answer, me.now, &mut out);
        if lost {
            self.core.on_master_disconnected(me.now);
        }
        let mut fate = self.commit(out, None, me, world);
        while fate == Fate::Lives && !self.core.is_registering() {
            let Some((reply_to, command)) = self.deferred.pop_front() else { break };
            let mut out = Out::new();
            let answer = self.obey(command, me, world, &mut out);
            fate = self.commit(out, Some((reply_to, Reply::Command(answer))), me, world);
        }
        fate
    }

    fn on_link_down(&mut self, node: &NodeId, me: &Me, world: &World) {
        if self.master.as_ref() == Some(node) {
            self.core.on_master_disconnected(me.now);
        }
        if world.is_linked(me.pid, node) {
            return;
        }
        let reached = |member: &Member| member.reached.as_ref().is_some_and(|mailer| mailer.node == *node);
        for (container_id, _) in self.crew.iter().filter(|(_, member)| reached(member)) {
            self.core.on_executor_disconnected(container_id, me.now);
        }
    }

    /// The leader is elsewhere now.
    pub(crate) fn on_leader_moved(&mut self, me: &Me) {
        self.core.on_master_disconnected(me.now);
    }

    fn bind(&mut self, container_id: &ContainerId, node: NodeId) {
        let number = self.next_mailer;
        let Some(member) = self.crew.get_mut(container_id) else { return };
        if member.reached.as_ref().is_none_or(|mailer| mailer.node != node) {
            member.reached = Some(Mailer::new(number, node));
            self.next_mailer += 1;
        }
    }

    fn mailer(&mut self, container_id: &ContainerId, number: u64) -> Option<&mut Mailer> {
        let mailer = self.crew.get_mut(container_id).and_then(|member| member.reached.as_mut());
        mailer.filter(|mailer| mailer.number == number)
    }

    fn post(&mut self, container_id: &ContainerId, letter: Body, me: &Me, world: &mut World) {
        let mailer = self.crew.get_mut(container_id).and_then(|member| member.reached.as_mut());
        if mailer.is_some_and(|mailer| mailer.post(letter)) {
            self.deliver(container_id, me, world);
        } else {
            world.input_soon(me.pid, Input::Unresponsive { container_id: container_id.clone() });
        }
    }

    fn deliver(&mut self, container_id: &ContainerId, me: &Me, world: &mut World) {
        let mailer = self.crew.get_mut(container_id).and_then(|member| member.reached.as_mut());
        let Some(mailer) = mailer else { return };
        if let Some(letter) = mailer.next() {
            let (number, node) = (mailer.number, mailer.node.clone());
            world.ask_node(me.pid, &node, letter, Asked::Letter { container_id: container_id.clone(), mailer: number });
        }
    }

    fn on_letter(
        &mut self,
        container_id: &ContainerId,
        number: u64,
        failed: Option<crate::message::NoAnswer>,
        me: &Me,
        world: &mut World,
    ) {
        let Some(mailer) = self.mailer(container_id, number) else { return };
        match mailer.on_answered(failed) {
            Delivery::Next => self.deliver(container_id, me, world),
            Delivery::Again => {
                let retry = Input::MailRetry { container_id: container_id.clone(), mailer: number };
                world.input_after(RETRY_WAIT_US, me.pid, retry);
            }
            Delivery::Broken => {
                world.input_soon(me.pid, Input::Unresponsive { container_id: container_id.clone() });
            }
        }
    }

    fn on_write_ended(&mut self, me: &Me, world: &mut World) -> Fate {
        let Some((records, released)) = self.commits.on_durable() else { return Fate::Lives };
        world.keep_agent_records(me.site, records);
        let fate = self.release(released, me, world);
        if fate == Fate::Lives { self.write(me, world) } else { fate }
    }

    fn commit(&mut self, out: Out, reply: Answered, me: &Me, world: &mut World) -> Fate {
        let out = spoil::of_agent(out);
        for emission in out.emissions() {
            if let Emission::Write(record) = emission {
                world.checks.on_agent_record(me.site, record);
            }
        }
        let released = self.commits.push(out, reply);
        let fate = self.release(released, me, world);
        if fate == Fate::Lives { self.write(me, world) } else { fate }
    }

    fn write(&mut self, me: &Me, world: &mut World) -> Fate {
        if self.commits.begin_write() { world.write_to_disk(me) } else { Fate::Lives }
    }

    fn release(&mut self, released: Released<Effect>, me: &Me, world: &mut World) -> Fate {
        world.check_early(me.site, released.too_early.as_ref());
        for effect in released.effects {
            if let Some(killed) = world.fuse_burns(me) {
                return killed;
            }
            if matches!(effect, Effect::Finish(_)) {
                return Fate::Ends;
            }
            self.perform(effect, me, world);
        }
        for (to, reply) in released.replies {
            if let Some(killed) = world.fuse_burns(me) {
                return killed;
            }
            world.reply(me.pid, to, reply);
        }
        Fate::Lives
    }

    fn perform(&mut self, effect: Effect, me: &Me, world: &mut World) {
        match effect {
            Effect::Register(message) => {
                let body = Body::RegisterAgent(Box::new(message));
                world.ask_site(me.pid, Site::Master, body, Asked::RegisterAgent, SEND_TIMEOUT_US);
            }
            Effect::Forward(message) => {
                world.checks.on_forward(me.site, &message);
                world.tell_site(me.pid, Site::Master, Body::ForwardStatus(Box::new(message)));
            }
            Effect::StartExecutor { place, checkpoint, .. } => {
                world.reach(Step::Staged);
                self.crew.insert(place.container_id.clone(), Member { place: place.clone(), reached: None });
                world.start_executor(me, place, checkpoint);
            }
            Effect::AdoptExecutor { place } => {
                world.adopt_executor(me, &place.container_id);
                self.crew.insert(place.container_id.clone(), Member { place, reached: None });
            }
            Effect::RunTask { container_id, task } => {
                let sandbox = format!("/sandbox/{container_id}");
                self.post(&container_id, Body::RunTask(Box::new(RunTask { task, sandbox })), me, world);
            }
            Effect::EndTask { container_id, task_id, grace } => {
                self.post(&container_id, Body::EndTask(Box::new(EndTask { task_id, grace })), me, world);
            }
            Effect::ShutdownExecutor { container_id, grace } => {
                self.post(&container_id, Body::ShutdownExecutor(ShutdownExecutor { grace }), me, world);
            }
            Effect::KillExecutor { container_id } => {
                let known = self.crew.get(&container_id).map(|member| member.place.container_id.clone());
                known.iter().for_each(|container_id| world.kill_executor(container_id));
            }
            Effect::RemoveSandbox { .. } => world.reach(Step::Cleaned),
            // Handled where effects are released.
            Effect::Finish(_) => {}
        }
    }

    /// The runs whose processes the agent has not seen end.
    pub(crate) fn crew(&self) -> impl Iterator<Item = &ContainerId> {
        self.crew.keys()
    }
}

fn epoch_of(command: &mut AgentCommand) -> &mut odeon_protocol::messages::Epoch {
    match command {
        AgentCommand::Launch(command) => &mut command.epoch,
        AgentCommand::Kill(command) => &mut command.epoch,
        AgentCommand::Acknowledge(command) => &mut command.epoch,
        AgentCommand::Ping(command) => &mut command.epoch,
        AgentCommand::ShutdownFramework(command) => &mut command.epoch,
        AgentCommand::ShutdownAgent(command) => &mut command.epoch,
    }
}
