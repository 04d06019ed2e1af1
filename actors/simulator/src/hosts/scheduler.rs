//! The shell of a scheduler's driver, as `actors/framework/src/actor.rs`.

use super::{Fate, Me};
use crate::coverage::Step;
use crate::message::{Asked, Body, NoAnswer, Reply};
use crate::network::SEND_TIMEOUT_US;
use crate::plan::Site;
use crate::process::Input;
use crate::workload::Workload;
use crate::world::World;
use odeon_framework::MasterEvent;
use odeon_framework::core::DriverCore;
use odeon_framework::effect::{CallAnswer, Effect};
use odeon_master::effect::SchedulerEvent;
use odeon_runtime::NodeId;

/// Runs the core of a driver, with the workload in it.
#[derive(Debug)]
pub(crate) struct SchedulerHost {
    pub(crate) core: DriverCore<Workload>,
    master_node: Option<NodeId>,
}

impl SchedulerHost {
    pub(crate) fn new(core: DriverCore<Workload>) -> Self {
        Self { core, master_node: None }
    }

    pub(crate) fn handle(&mut self, input: Input, me: &Me, world: &mut World) -> Fate {
        let (core, now, mut out) = (&mut self.core, me.now, Vec::new());
        match input {
            Input::Start => core.on_start(now, &mut out),
            Input::Request { body: Body::Event(event), .. } => {
                if matches!(*event, SchedulerEvent::Offers(_)) {
                    world.reach(Step::Offer);
                }
                core.on_event(heard(*event), now, &mut out);
            }
            Input::Answer { asked: Asked::Subscribe, answer, node } => {
                self.master_node = node;
                let answer = match answer {
                    Ok(Reply::Subscribe(answer)) => Ok(answer),
                    _ => Err("no answer".to_owned()),
                };
                core.on_subscribe_answered(answer, now, &mut out);
                if !self.master_node.as_ref().is_some_and(|node| world.is_linked(me.pid, node)) {
                    core.on_link_down(now, &mut out);
                }
            }
            Input::Answer { asked: Asked::Call(ticket), answer, .. } => {
                core.on_call_answered(ticket, call_answer(answer), now, &mut out);
            }
            Input::LinkDown { node } if self.master_node.as_ref() == Some(&node) => core.on_link_down(now, &mut out),
            Input::Timer { .. } => core.on_timer(now, &mut out),
            Input::JobArrives { job } => core.on_input(|workload, calls| workload.arrive(job, calls), now, &mut out),
            _ => {}
        }
        let news = self.core.on_input(|workload, _| workload.take_news(), now, &mut out);
        let serves = world.serving.get(&me.site) == Some(&me.pid);
        world.checks.on_news(me.pid, serves, news);
        self.perform(out, me, world)
    }

    /// The leader is elsewhere now.
    pub(crate) fn on_leader_moved(&mut self, me: &Me, world: &mut World) -> Fate {
        let mut out = Vec::new();
        self.core.on_link_down(me.now, &mut out);
        self.perform(out, me, world)
    }

    fn perform(&mut self, effects: Vec<Effect>, me: &Me, world: &mut World) -> Fate {
        for effect in effects {
            if let Some(killed) = world.fuse_burns(me) {
                return killed;
            }
            match effect {
                Effect::Subscribe(message) => {
                    let body = Body::Subscribe(Box::new(message));
                    world.ask_site(me.pid, Site::Master, body, Asked::Subscribe, SEND_TIMEOUT_US);
                }
                Effect::Call { ticket, call } => {
                    let body = Body::Call(Box::new(call));
                    world.ask_site(me.pid, Site::Master, body, Asked::Call(ticket), SEND_TIMEOUT_US);
                }
                Effect::End(_) => return Fate::Ends,
            }
        }
        Fate::Lives
    }
}

fn heard(event: SchedulerEvent) -> MasterEvent {
    match event {
        SchedulerEvent::Offers(event) => MasterEvent::OffersMade(event),
        SchedulerEvent::Rescinded(event) => MasterEvent::OfferRescinded(event),
        SchedulerEvent::ReturnWanted(event) => MasterEvent::ReturnWanted(event),
        SchedulerEvent::Updated(event) => MasterEvent::TaskUpdated(event),
        SchedulerEvent::AgentLost(event) => MasterEvent::AgentLost(event),
        SchedulerEvent::Failed(event) => MasterEvent::FrameworkFailed(event),
    }
}

fn call_answer(answer: Result<Reply, NoAnswer>) -> CallAnswer {
    match answer {
        Ok(Reply::Call(answer)) => CallAnswer::Answered(answer),
        Err(NoAnswer::Unreachable | NoAnswer::LinkLost) => CallAnswer::Broken,
        Ok(_) | Err(NoAnswer::Timeout) => CallAnswer::NoAnswer,
    }
}
