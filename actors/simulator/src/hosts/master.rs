//! The shell of a master, as `actors/master/src/actor.rs`.

use super::{Fate, Me, operator, spoil};
use crate::commit::{Commits, Released};
use crate::coverage::Step;
use crate::defect::Defect;
use crate::message::{Asked, Body, NoAnswer, Reply, ReplyTo};
use crate::process::Input;
use crate::world::World;
use odeon_framework::effect::MasterCall;
use odeon_master::effect::{AgentCommand, CommandOutcome, Effect};
use odeon_master::{CommandReceipt, MasterCore, MasterOutbox, Record};
use odeon_protocol::messages::master_scheduler::{CallError, DeclineOffers};
use odeon_protocol::offer::Filters;
use odeon_runtime::NodeId;
use std::time::Duration;

/// Runs the core of a master.
#[derive(Debug)]
pub(crate) struct MasterHost {
    pub(crate) core: MasterCore,
    pub(crate) commits: Commits<Effect, Record>,
    first: Option<MasterOutbox>,
}

impl MasterHost {
    pub(crate) fn new(core: MasterCore, first: MasterOutbox) -> Self {
        Self { core, commits: Commits::new(), first: Some(first) }
    }

    pub(crate) fn handle(&mut self, input: Input, me: &Me, world: &mut World) -> Fate {
        let mut out = MasterOutbox::new();
        let mut reply = None;
        match input {
            Input::Start => out = self.first.take().unwrap_or_default(),
            Input::Request { from, reply_to, body } => {
                reply = self.on_request(&from, body, me, world, &mut out).map(|reply| (reply_to, reply));
            }
            Input::Answer { asked: Asked::Command { agent_id, node, receipt }, answer, .. } => {
                let outcome = outcome_of(answer);
                self.core.on_command_outcome(&agent_id, &node, &receipt, &outcome, me.now, &mut out);
            }
            Input::LinkDown { node } if !world.is_linked(me.pid, &node) => {
                self.core.on_node_lost(&node, me.now, &mut out);
            }
            Input::OperatorAsks { wish } => {
                operator::ask(&mut self.core, wish, world.plan.frameworks.len(), me.now, &mut out);
            }
            Input::Timer { .. } => self.core.on_timer(me.now, &mut out),
            Input::WriteEnded => return self.on_write_ended(me, world),
            _ => return Fate::Lives,
        }
        self.commit(out, reply, me, world)
    }

    fn on_request(
        &mut self,
        from: &NodeId,
        body: Body,
        me: &Me,
        world: &mut World,
        out: &mut MasterOutbox,
    ) -> Option<Reply> {
        match body {
            Body::RegisterAgent(message) => {
                let answer = self.core.on_register_agent(from, *message, me.now, out);
                world.checks.on_agent_registers(answer.as_ref().ok().map(|registered| &registered.agent_id));
                Some(Reply::RegisterAgent(answer))
            }
            Body::ForwardStatus(message) => {
                world.reach(Step::UpdateSent);
                let unasked = Defect::AcknowledgeUnasked
                    .is_on()
                    .then(|| spoil::acknowledgement(from, &message, self.core.epoch()));
                self.core.on_forward_status(from, *message, me.now, out);
                unasked.into_iter().flatten().for_each(|effect| out.send(effect));
                None
            }
            Body::Subscribe(message) => {
                world.reach(Step::Subscribe);
                let answer = self.core.on_subscribe(from, *message, me.now, out);
                if let Ok(subscribed) = &answer {
                    world.checks.on_subscribed(me.pid, &subscribed.framework_id, from);
                }
                Some(Reply::Subscribe(answer))
            }
            Body::Call(call) => Some(Reply::Call(self.on_call(from, *call, me, world, out))),
            _ => None,
        }
    }

    fn on_call(
        &mut self,
        from: &NodeId,
        call: MasterCall,
        me: &Me,
        world: &mut World,
        out: &mut MasterOutbox,
    ) -> Result<(), CallError> {
        let (core, now) = (&mut self.core, me.now);
        world.checks.before_call(&call);
        let framework_id = framework_of(&call).clone();
        let owner = core.node_of_scheduler(&framework_id).filter(|_| Defect::ObeyAnyScheduler.is_on()).cloned();
        let caller = owner.as_ref().unwrap_or(from);
        let answer = match &call {
            MasterCall::Accept(message) => {
                world.reach(Step::Accept);
                let answer = core.on_accept_offers(caller, message.clone(), now, out);
                if Defect::AcceptTwice.is_on() {
                    core.on_accept_offers(caller, message.clone(), now, out)
                } else {
                    answer
                }
            }
            MasterCall::Decline(message) if Defect::ForgetFilter.is_on() => {
                let filters = Filters { refuse: Duration::ZERO };
                core.on_decline_offers(caller, &DeclineOffers { filters, ..message.clone() }, now)
            }
            MasterCall::Decline(message) => core.on_decline_offers(caller, message, now),
            MasterCall::Revive(_) if Defect::IgnoreRevive.is_on() => Ok(()),
            MasterCall::Revive(message) => core.on_revive_offers(caller, message),
            MasterCall::Suppress(message) => core.on_suppress_offers(caller, message),
            MasterCall::Demand(message) => core.on_declare_demand(caller, message.clone()),
            MasterCall::Kill(message) => core.on_kill_framework_task(caller, message.clone(), now, out),
            MasterCall::Acknowledge(message) => {
                world.reach(Step::UpdateAcknowledged);
                core.on_acknowledge_update(caller, message.clone(), out)
            }
            MasterCall::Reconcile(message) => core.on_reconcile_tasks(caller, message, now, out),
            MasterCall::Teardown(message) => core.on_teardown_framework(caller, message, now, out),
        };
        if answer.is_ok() {
            world.checks.on_call_obeyed(me.pid, &framework_id, from, &call, out.emissions(), now);
        }
        answer
    }

    fn on_write_ended(&mut self, me: &Me, world: &mut World) -> Fate {
        if world.serving.get(&me.site) != Some(&me.pid) {
            // It was under way when a newer process took the registry over, which had to fence it first.
            return Fate::Ends;
        }
        let Some((records, released)) = self.commits.on_durable() else { return Fate::Lives };
        world.keep_records(&records);
        let fate = self.release(released, me, world);
        if fate == Fate::Lives { self.write(me, world) } else { fate }
    }

    fn commit(
        &mut self,
        out: MasterOutbox,
        reply: Option<(Option<ReplyTo>, Reply)>,
        me: &Me,
        world: &mut World,
    ) -> Fate {
        let out = spoil::of_master(out);
        world.checks.on_master_decision(me.pid, out.emissions(), me.now);
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
            world.checks.on_master_effect(&effect);
            match effect {
                Effect::TellScheduler { to, event } => {
                    world.tell_node(me.pid, &to.node, Body::Event(Box::new(event)));
                }
                Effect::CommandAgent { agent_id, to, command } => {
                    if matches!(command, AgentCommand::Launch(_)) {
                        world.reach(Step::Launch);
                    }
                    let receipt = CommandReceipt::from(&command);
                    let asked = Asked::Command { agent_id, node: to.node.clone(), receipt };
                    world.ask_node(me.pid, &to.node, Body::Command(Box::new(command)), asked);
                }
                // Nobody follows the members here.
                Effect::TellMembers(..) => {}
                Effect::StepDown { .. } => return Fate::Ends,
            }
        }
        for (to, reply) in released.replies {
            if let Some(killed) = world.fuse_burns(me) {
                return killed;
            }
            world.checks.on_master_reply(&reply);
            world.reply(me.pid, to, reply);
        }
        Fate::Lives
    }
}

fn outcome_of(answer: Result<Reply, NoAnswer>) -> CommandOutcome {
    match answer {
        Ok(Reply::Command(Err(refusal))) => CommandOutcome::Refused(refusal),
        Ok(_) => CommandOutcome::Obeyed,
        Err(cause) if cause.may_have_run() => CommandOutcome::Uncertain("no answer".to_owned()),
        Err(_) => CommandOutcome::Undelivered("no link".to_owned()),
    }
}

pub(crate) fn framework_of(call: &MasterCall) -> &odeon_protocol::id::FrameworkId {
    match call {
        MasterCall::Accept(message) => &message.framework_id,
        MasterCall::Decline(message) => &message.framework_id,
        MasterCall::Revive(message) => &message.framework_id,
        MasterCall::Suppress(message) => &message.framework_id,
        MasterCall::Demand(message) => &message.framework_id,
        MasterCall::Kill(message) => &message.framework_id,
        MasterCall::Acknowledge(message) => &message.framework_id,
        MasterCall::Reconcile(message) => &message.framework_id,
        MasterCall::Teardown(message) => &message.framework_id,
    }
}
