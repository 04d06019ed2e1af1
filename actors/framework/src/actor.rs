//! The actor that drives a scheduler: hands what it hears to the core, and does what the core wants.
//!
//! It decides nothing.

use crate::calls::{Calls, Outcome};
use crate::core::DriverCore;
use crate::effect::{CallAnswer, Effect, MasterCall, Ticket};
use crate::event::MasterEvent;
use crate::scheduler::Scheduler;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, StreamHandler, WrapFuture};
use odeon_protocol::batch::take_batch;
use odeon_protocol::messages::master_scheduler::{
    AcknowledgeUpdate, AcknowledgeUpdates, AgentLost, CallError, FrameworkFailed, MasterForSchedulers, OfferRescinded,
    OffersMade, ReturnWanted, Subscribe, TasksUpdated,
};
use odeon_protocol::moment::Moment;
use odeon_protocol::wire::{Accepts, RemoteMessage};
use odeon_runtime::{ActorName, Clock, DeadlineTimer, LinkEvent, Node, NodeId, Peer, PeerError, begun};
use std::collections::VecDeque;
use tokio::sync::oneshot;
use tracing::{debug, info};

/// Messages that may wait for the actor. The master sends few large ones; updates come again if lost.
pub(crate) const MAILBOX_CAPACITY: usize = 4096;

/// Owns a scheduler and its connection to the master.
pub struct SchedulerDriver<S: Scheduler> {
    /// Gone once the run is over. Boxed, because actix wants its actors to be movable.
    core: Option<Box<DriverCore<S>>>,
    node: Node,
    master: Peer<MasterForSchedulers>,
    /// Behind which the actor is exported; taken back at the end.
    name: ActorName,
    /// The run of the master that has admitted the framework.
    master_node: Option<NodeId>,
    clock: Clock,
    timer: DeadlineTimer,
    ended: Option<oneshot::Sender<(S, Outcome)>>,
}

impl<S: Scheduler> SchedulerDriver<S> {
    pub(crate) fn new(
        core: DriverCore<S>,
        node: Node,
        master: Peer<MasterForSchedulers>,
        name: ActorName,
        ended: oneshot::Sender<(S, Outcome)>,
    ) -> Self {
        let clock = Clock::start();
        let core = Some(Box::new(core));
        Self {
            core,
            node,
            master,
            name,
            master_node: None,
            clock,
            timer: DeadlineTimer::new(clock),
            ended: Some(ended),
        }
    }

    /// Calls the core, unless the run is over, and does what it wants.
    fn with_core<R>(
        &mut self,
        ctx: &mut Context<Self>,
        act: impl FnOnce(&mut DriverCore<S>, Moment, &mut Vec<Effect>) -> R,
    ) -> Option<R> {
        let now = self.clock.now();
        let mut out = Vec::new();
        let result = act(self.core.as_mut()?, now, &mut out);
        self.perform_all(out, ctx);
        self.set_timer(ctx);
        Some(result)
    }

    /// Acknowledgements that follow each other go together.
    fn perform_all(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        let mut seen: Option<(Ticket, VecDeque<AcknowledgeUpdate>)> = None;
        for effect in effects {
            match (effect, &mut seen) {
                (Effect::Call { ticket, call: MasterCall::Acknowledge(update) }, Some((of, updates)))
                    if ticket == *of =>
                {
                    updates.push_back(update);
                }
                (Effect::Call { ticket, call: MasterCall::Acknowledge(update) }, _) => {
                    self.acknowledge(seen.take(), ctx);
                    seen = Some((ticket, [update].into()));
                }
                (effect, _) => {
                    self.acknowledge(seen.take(), ctx);
                    self.perform(effect, ctx);
                }
            }
        }
        self.acknowledge(seen, ctx);
    }

    fn acknowledge(&mut self, seen: Option<(Ticket, VecDeque<AcknowledgeUpdate>)>, ctx: &mut Context<Self>) {
        let Some((ticket, mut updates)) = seen else { return };
        while !updates.is_empty() {
            self.ask(ticket, AcknowledgeUpdates { updates: take_batch(&mut updates) }, ctx);
        }
    }

    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Subscribe(message) => self.subscribe(message, ctx),
            Effect::Call { ticket, call } => self.call(ticket, call, ctx),
            Effect::End(outcome) => self.end(outcome, ctx),
        }
    }

    fn subscribe(&mut self, message: Subscribe, ctx: &mut Context<Self>) {
        let master = self.master.clone();
        let asked = async move { master.send(message).await };
        ctx.spawn(asked.into_actor(self).map(|answer, actor, ctx| {
            actor.master_node = actor.master.address().node;
            let answer = answer.map_err(|error| error.to_string());
            let is_lost = !actor.is_linked();
            actor.with_core(ctx, |core, now, out| {
                core.on_subscribe_answered(answer, now, out);
                // The link may have broken behind the answer, before it was known whose link to watch.
                if is_lost {
                    core.on_link_down(now, out);
                }
            });
        }));
    }

    fn is_linked(&self) -> bool {
        let is_linked = |node: &NodeId| node == self.node.id() || self.node.linked_nodes().contains(node);
        self.master_node.as_ref().is_some_and(is_linked)
    }

    fn call(&mut self, ticket: Ticket, call: MasterCall, ctx: &mut Context<Self>) {
        match call {
            MasterCall::Accept(message) => self.ask(ticket, message, ctx),
            MasterCall::Decline(message) => self.ask(ticket, message, ctx),
            MasterCall::Revive(message) => self.ask(ticket, message, ctx),
            MasterCall::Suppress(message) => self.ask(ticket, message, ctx),
            MasterCall::Demand(message) => self.ask(ticket, message, ctx),
            MasterCall::Kill(message) => self.ask(ticket, message, ctx),
            MasterCall::Acknowledge(message) => self.ask(ticket, AcknowledgeUpdates { updates: vec![message] }, ctx),
            MasterCall::Reconcile(message) => self.ask(ticket, message, ctx),
            MasterCall::Teardown(message) => self.ask(ticket, message, ctx),
        }
    }

    /// Asks the master. Calls reach it in order: each is sent before this returns, if there is room.
    fn ask<M>(&mut self, ticket: Ticket, message: M, ctx: &mut Context<Self>)
    where
        M: RemoteMessage<Result = Result<(), CallError>>,
        MasterForSchedulers: Accepts<M>,
    {
        let master = self.master.clone();
        let asked = begun(async move { master.send(message).await });
        ctx.spawn(asked.into_actor(self).map(move |answer, actor, ctx| {
            let answer = call_answer(answer, M::WIRE_NAME);
            actor.with_core(ctx, |core, now, out| core.on_call_answered(ticket, answer, now, out));
        }));
    }

    fn end(&mut self, outcome: Outcome, ctx: &mut Context<Self>) {
        info!(?outcome, "the scheduler's run is over");
        if let (Some(core), Some(ended)) = (self.core.take(), self.ended.take()) {
            // Nobody waits: then the scheduler is of no use to anybody.
            let _ = ended.send((core.into_scheduler(), outcome));
        }
        self.node.retract(&self.name);
        ctx.stop();
    }

    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        let deadline = self.core.as_ref().and_then(|core| core.next_deadline());
        self.timer.keep(ctx, deadline, Self::on_timer);
    }

    fn on_timer(&mut self, ctx: &mut Context<Self>) {
        self.timer.fired();
        self.with_core(ctx, |core, now, out| core.on_timer(now, out));
    }

    fn on_event(&mut self, event: MasterEvent, ctx: &mut Context<Self>) {
        self.with_core(ctx, |core, now, out| core.on_event(event, now, out));
    }
}

fn call_answer(answer: Result<Result<(), CallError>, PeerError>, message: &str) -> CallAnswer {
    match answer {
        Ok(answer) => CallAnswer::Answered(answer),
        Err(error) => {
            debug!(%error, message, "a call is not answered");
            match error {
                PeerError::Unreachable { .. } | PeerError::LinkLost { .. } => CallAnswer::Broken,
                _ => CallAnswer::NoAnswer,
            }
        }
    }
}

impl<S: Scheduler> Actor for SchedulerDriver<S> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        let events = self.node.subscribe_links();
        ctx.add_stream(futures_util::stream::unfold(events, |mut events| async move {
            events.recv().await.map(|event| (event, events))
        }));
        self.with_core(ctx, |core, now, out| core.on_start(now, out));
    }
}

impl<S: Scheduler> StreamHandler<LinkEvent> for SchedulerDriver<S> {
    fn handle(&mut self, event: LinkEvent, ctx: &mut Context<Self>) {
        let is_lost = match event {
            // Even if somebody else on this node has linked it again by now: the master has seen the framework go.
            LinkEvent::Down { node, .. } => Some(&node) == self.master_node.as_ref(),
            LinkEvent::Missed { .. } => !self.is_linked(),
            _ => false,
        };
        if is_lost {
            self.with_core(ctx, |core, now, out| core.on_link_down(now, out));
        }
    }

    /// Without this the actor would stop together with its node, and its run have no outcome.
    fn finished(&mut self, _ctx: &mut Context<Self>) {}
}

macro_rules! hears {
    ($($event:ident),+) => {$(
        impl<S: Scheduler> Handler<$event> for SchedulerDriver<S> {
            type Result = ();
            fn handle(&mut self, message: $event, ctx: &mut Context<Self>) {
                self.on_event(MasterEvent::$event(message), ctx);
            }
        }
    )+};
}
hears!(OffersMade, OfferRescinded, ReturnWanted, AgentLost, FrameworkFailed);

impl<S: Scheduler> Handler<TasksUpdated> for SchedulerDriver<S> {
    type Result = ();
    fn handle(&mut self, message: TasksUpdated, ctx: &mut Context<Self>) {
        self.with_core(ctx, |core, now, out| {
            message.updates.into_iter().for_each(|update| core.on_event(MasterEvent::TaskUpdated(update), now, out));
        });
    }
}

/// Somebody wants something of the scheduler.
pub(crate) struct Input<S, R> {
    pub(crate) act: InputFn<S, R>,
}

pub(crate) type InputFn<S, R> = Box<dyn FnOnce(&mut S, &mut Calls) -> R + Send>;

impl<S: 'static, R: 'static> Message for Input<S, R> {
    type Result = Option<R>;
}

impl<S: Scheduler, R: 'static> Handler<Input<S, R>> for SchedulerDriver<S> {
    type Result = Option<R>;
    fn handle(&mut self, message: Input<S, R>, ctx: &mut Context<Self>) -> Option<R> {
        self.with_core(ctx, |core, now, out| core.on_input(message.act, now, out))
    }
}

/// Somebody wants the run to end.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Interrupt;

impl<S: Scheduler> Handler<Interrupt> for SchedulerDriver<S> {
    type Result = ();
    fn handle(&mut self, _message: Interrupt, ctx: &mut Context<Self>) {
        self.with_core(ctx, |core, now, out| core.on_interrupt(now, out));
    }
}
