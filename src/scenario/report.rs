//! What came of a scenario, for tables and for scripts.

use serde::Serialize;

/// All steps of a scenario.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// What the scenario is about.
    pub(crate) name: String,
    pub(crate) steps: Vec<StepReport>,
    /// Expectations that did not hold, and events that were refused without being expected to be.
    pub(crate) failure_count: usize,
}

/// One step.
#[derive(Debug, Default, Serialize)]
pub(crate) struct StepReport {
    /// Counts from 1.
    pub(crate) step: usize,
    pub(crate) event: String,
    /// Since the start.
    pub(crate) time_ms: u128,
    /// Whether the allocator ran.
    pub(crate) ran: bool,
    /// Why the event was refused, if it was.
    pub(crate) refused: Option<String>,
    pub(crate) offers: Vec<OfferLine>,
    pub(crate) inverse_offers: Vec<InverseLine>,
    pub(crate) taken_back: Vec<TakenBackLine>,
    pub(crate) not_offered: Vec<NotOfferedLine>,
    /// How many more there are that are not listed.
    pub(crate) not_offered_more: usize,
    pub(crate) failures: Vec<String>,
}

/// An offer.
#[derive(Debug, Serialize)]
pub(crate) struct OfferLine {
    pub(crate) agent: String,
    pub(crate) framework: String,
    pub(crate) role: String,
    pub(crate) resources: String,
}

/// An inverse offer.
#[derive(Debug, Serialize)]
pub(crate) struct InverseLine {
    pub(crate) agent: String,
    pub(crate) framework: String,
}

/// A part of an agent that a framework is to give back.
#[derive(Debug, Serialize)]
pub(crate) struct TakenBackLine {
    pub(crate) agent: String,
    pub(crate) framework: String,
    pub(crate) role: String,
    pub(crate) resources: String,
    /// For whom.
    pub(crate) claimant: String,
    pub(crate) claimant_role: String,
    /// `ask` or `kill`.
    pub(crate) stage: &'static str,
}

/// A framework that is not offered an agent under a role.
#[derive(Debug, Serialize)]
pub(crate) struct NotOfferedLine {
    pub(crate) agent: String,
    pub(crate) framework: String,
    pub(crate) role: String,
    /// One word, as in expectations.
    pub(crate) reason: String,
    /// The same for people.
    pub(crate) detail: String,
}
