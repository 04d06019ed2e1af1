//! From records to rows: what each record puts and what it makes void.
//!
//! A row holds the record that put it. The keys sort so that a row comes after those that it speaks of;
//! hence the records of all rows, in the order of their keys, add up to the registry.

use crate::record::Record;
use odeon_protocol::id::AgentId;

/// One change of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Puts a row, in the place of one with the same key.
    Put {
        /// The key.
        key: String,
        /// What the row holds.
        record: Record,
    },
    /// Removes a row, if it is there.
    Delete {
        /// The key.
        key: String,
    },
}

/// What a record changes, in order.
pub(crate) fn changes_of(record: &Record) -> Vec<Change> {
    let put = |key: String| Change::Put { key, record: record.clone() };
    let delete = |key: String| Change::Delete { key };
    match record {
        Record::EpochStarted { .. } => vec![put("epoch".to_owned())],
        Record::AgentAdmitted { agent_id, .. } => {
            vec![put(format!("agent/{agent_id}")), delete(format!("unreachable/{agent_id}"))]
        }
        Record::AgentUnreachable { agent_id } => vec![put(format!("unreachable/{agent_id}"))],
        Record::AgentDeactivated { agent_id } => vec![put(format!("deactivated/{agent_id}"))],
        Record::AgentDraining { agent_id, .. } => vec![put(format!("drain/{agent_id}"))],
        Record::AgentReactivated { agent_id } => {
            vec![delete(format!("deactivated/{agent_id}")), delete(format!("drain/{agent_id}"))]
        }
        Record::AgentReserved { agent_id, reserved } if reserved.is_empty() => {
            vec![delete(format!("reserved/{agent_id}"))]
        }
        Record::AgentReserved { agent_id, .. } => vec![put(format!("reserved/{agent_id}"))],
        Record::AgentRemoved { agent_id } => rows_of_agent(agent_id).map(delete).collect(),
        Record::AgentGone { agent_id, .. } => {
            rows_of_agent(agent_id).map(delete).chain([put(format!("gone/{agent_id}"))]).collect()
        }
        Record::AgentForgotten { agent_id } => vec![delete(format!("gone/{agent_id}"))],
        Record::FrameworkAdmitted { framework_id, .. } => vec![put(format!("framework/{framework_id}"))],
        Record::FrameworkDisconnected { framework_id, .. } => vec![put(format!("framework_away/{framework_id}"))],
        Record::FrameworkConnected { framework_id } => vec![delete(format!("framework_away/{framework_id}"))],
        Record::FrameworkRemoved { framework_id, .. } => vec![
            delete(format!("framework/{framework_id}")),
            delete(format!("framework_away/{framework_id}")),
            put(format!("removed/{framework_id}")),
        ],
        Record::WeightSet { role, .. } => vec![put(format!("weight/{role}"))],
        Record::PrioritySet { role, .. } => vec![put(format!("priority/{role}"))],
        Record::QuotaSet { role, .. } => vec![put(format!("quota/{role}"))],
        Record::QuotaRemoved { role } => vec![delete(format!("quota/{role}"))],
        Record::FrameworkForgotten { framework_id } => vec![delete(format!("removed/{framework_id}"))],
    }
}

/// The keys of all that is kept of an agent while its id is good.
fn rows_of_agent(agent_id: &AgentId) -> impl Iterator<Item = String> {
    ["agent", "deactivated", "drain", "reserved", "unreachable"]
        .into_iter()
        .map(move |kind| format!("{kind}/{agent_id}"))
}
