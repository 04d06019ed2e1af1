//! What a core emits, spoilt by the mistake that is turned on: how a core with that mistake looks from outside.
//!
//! Without a mistake everything passes as it is.

use crate::defect::Defect;
use odeon_agent::core::Out;
use odeon_agent::effect::{Effect as AgentEffect, Record as AgentRecord};
use odeon_master::effect::{AgentAddress, AgentCommand, Effect, SchedulerEvent};
use odeon_master::{MasterOutbox, Record};
use odeon_protocol::id::{IdSource, StatusUuid};
use odeon_protocol::messages::Epoch;
use odeon_protocol::messages::master_agent::{AGENT, AcknowledgeStatus, ForwardStatus};
use odeon_runtime::{Emission, NodeId};

/// What an agent emits.
pub(super) fn of_agent(out: Out) -> Out {
    if !Defect::any_is_on() {
        return out;
    }
    let mut bad = Out::new();
    for emission in out.into_emissions() {
        match emission {
            Emission::Write(AgentRecord::Updated { .. }) if Defect::ForwardWithoutRecord.is_on() => {}
            Emission::Write(AgentRecord::Updated { framework_id, mut status, report }) => {
                status.uuid = spoilt_uuid(status.uuid);
                bad.write(AgentRecord::Updated { framework_id, status, report });
            }
            Emission::Write(record) => bad.write(record),
            Emission::Send(AgentEffect::Forward(mut message)) => {
                message.status.uuid = spoilt_uuid(message.status.uuid);
                if !(message.status.state.is_terminal() && Defect::NeverForwardTheEnd.is_on()) {
                    bad.send(AgentEffect::Forward(message));
                }
            }
            Emission::Send(AgentEffect::RunTask { .. }) if Defect::NeverRunTask.is_on() => {}
            Emission::Send(effect) => bad.send(effect),
        }
    }
    bad
}

fn spoilt_uuid(uuid: Option<StatusUuid>) -> Option<StatusUuid> {
    let reused = || IdSource::new(0).next_status_uuid();
    let uuid = uuid.filter(|_| !Defect::UpdateWithoutUuid.is_on());
    if Defect::ReuseUuid.is_on() { Some(reused()) } else { uuid }
}

/// What a master emits.
pub(super) fn of_master(out: MasterOutbox) -> MasterOutbox {
    if !Defect::any_is_on() {
        return out;
    }
    let mut bad = MasterOutbox::new();
    for emission in out.into_emissions() {
        match emission {
            Emission::Write(record) if is_forgotten(&record) => {}
            Emission::Write(record) => bad.write(record),
            Emission::Send(effect) => {
                for _ in 0..times_sent(&effect) {
                    bad.send(effect.clone());
                }
            }
        }
    }
    bad
}

fn is_forgotten(record: &Record) -> bool {
    match record {
        Record::AgentAdmitted { .. } => Defect::AdmitWithoutRecord.is_on(),
        Record::AgentReserved { .. } => Defect::ReserveWithoutRecord.is_on(),
        Record::AgentUnreachable { .. } => Defect::ForgetUnreachableRecord.is_on(),
        Record::EpochStarted { .. } => Defect::ForgetEpochRecord.is_on(),
        _ => false,
    }
}

fn times_sent(effect: &Effect) -> usize {
    match effect {
        Effect::TellScheduler { event: SchedulerEvent::Offers(_), .. } if Defect::OfferTwice.is_on() => 2,
        Effect::TellScheduler { event: SchedulerEvent::Updated(_), .. } if Defect::NeverTellUpdates.is_on() => 0,
        Effect::CommandAgent { command: AgentCommand::Launch(_), .. } if Defect::NeverLaunch.is_on() => 0,
        Effect::CommandAgent { command: AgentCommand::Ping(_), .. } if Defect::NeverPing.is_on() => 0,
        _ => 1,
    }
}

/// The acknowledgement of an update that no scheduler has seen.
pub(super) fn acknowledgement(node: &NodeId, message: &ForwardStatus, epoch: Epoch) -> Option<Effect> {
    let command = AgentCommand::Acknowledge(AcknowledgeStatus {
        epoch,
        framework_id: message.framework_id.clone(),
        task_id: message.status.task_id.clone(),
        uuid: message.status.uuid.clone()?,
    });
    let to = AgentAddress { node: node.clone(), actor: AGENT.into() };
    Some(Effect::CommandAgent { agent_id: message.agent_id.clone(), to, command })
}
