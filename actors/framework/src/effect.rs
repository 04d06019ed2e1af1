//! What the core of a driver wants done. The actor does it and tells the core what came of it.

use crate::calls::Outcome;
use odeon_protocol::messages::master_scheduler::{
    AcceptOffers, AcknowledgeUpdate, CallError, DeclareDemand, DeclineOffers, KillFrameworkTask, ReconcileTasks,
    ReviveOffers, Subscribe, SuppressOffers, TeardownFramework,
};

/// One thing to do; effects are done in the order in which they were emitted.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask the master; answered by [`DriverCore::on_subscribe_answered`](crate::core::DriverCore::on_subscribe_answered).
    Subscribe(Subscribe),
    /// Ask the master; answered by [`DriverCore::on_call_answered`](crate::core::DriverCore::on_call_answered).
    Call {
        /// Handed back with the answer.
        ticket: Ticket,
        /// What is asked.
        call: MasterCall,
    },
    /// The run is over. Nothing follows.
    End(Outcome),
}

/// A call as it goes to the master.
#[derive(Debug, Clone, PartialEq)]
pub enum MasterCall {
    /// Use offers.
    Accept(AcceptOffers),
    /// Give offers back.
    Decline(DeclineOffers),
    /// Want offers again.
    Revive(ReviveOffers),
    /// Want no offers.
    Suppress(SuppressOffers),
    /// Say what is waited for.
    Demand(DeclareDemand),
    /// End a task.
    Kill(KillFrameworkTask),
    /// Tell that an update was seen.
    Acknowledge(AcknowledgeUpdate),
    /// Ask for states.
    Reconcile(ReconcileTasks),
    /// End the framework.
    Teardown(TeardownFramework),
}

/// Which call an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Counts the subscriptions: what was asked under an earlier one does not matter any more.
    pub subscription: u64,
    /// What to do if it was in vain.
    pub kind: CallKind,
}

/// What a call means to the driver when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// The tasks may or may not have been launched.
    Accept,
    /// The master may not know whether offers are wanted.
    Interest,
    /// The master may not know what is waited for.
    Demand,
    /// The framework may still be there.
    Teardown,
    /// It is repeated anyway, or it does not matter.
    Other,
}

impl MasterCall {
    /// What the call means to the driver when it fails.
    #[must_use]
    pub fn kind(&self) -> CallKind {
        match self {
            Self::Accept(_) => CallKind::Accept,
            Self::Revive(_) | Self::Suppress(_) => CallKind::Interest,
            Self::Demand(_) => CallKind::Demand,
            Self::Teardown(_) => CallKind::Teardown,
            Self::Decline(_) | Self::Kill(_) | Self::Acknowledge(_) | Self::Reconcile(_) => CallKind::Other,
        }
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallAnswer {
    /// The master answered.
    Answered(Result<(), CallError>),
    /// It did not, and it is not known whether it heard.
    NoAnswer,
    /// There is no connection to it any more.
    Broken,
}
