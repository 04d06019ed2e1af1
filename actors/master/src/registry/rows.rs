//! From records to rows: what each record puts and what it makes void.
//!
//! A row holds the record that put it. The keys sort so that a row comes after those that it speaks of;
//! hence the records of all rows, in the order of their keys, add up to the registry.

use crate::record::Record;

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
        Record::AgentRemoved { agent_id } => {
            vec![delete(format!("agent/{agent_id}")), delete(format!("unreachable/{agent_id}"))]
        }
        Record::FrameworkAdmitted { framework_id, .. } => vec![put(format!("framework/{framework_id}"))],
        Record::FrameworkRemoved { framework_id, .. } => {
            vec![delete(format!("framework/{framework_id}")), put(format!("removed/{framework_id}"))]
        }
        Record::FrameworkForgotten { framework_id } => vec![delete(format!("removed/{framework_id}"))],
    }
}
