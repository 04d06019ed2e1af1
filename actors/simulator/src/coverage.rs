//! Which faults met which steps in the life of a task: the holes show what a set of runs has not tried.

use std::collections::BTreeMap;

/// A step in the life of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // each is what its name says
pub enum Step {
    Subscribe,
    Offer,
    Accept,
    Launch,
    Staged,
    Running,
    UpdateSent,
    UpdatePersisted,
    UpdateAcknowledged,
    Terminal,
    Cleaned,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Self; 11] = [
        Self::Subscribe,
        Self::Offer,
        Self::Accept,
        Self::Launch,
        Self::Staged,
        Self::Running,
        Self::UpdateSent,
        Self::UpdatePersisted,
        Self::UpdateAcknowledged,
        Self::Terminal,
        Self::Cleaned,
    ];

    /// The word for it in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Offer => "offer",
            Self::Accept => "accept",
            Self::Launch => "launch",
            Self::Staged => "staged",
            Self::Running => "running",
            Self::UpdateSent => "update-sent",
            Self::UpdatePersisted => "update-persisted",
            Self::UpdateAcknowledged => "update-acknowledged",
            Self::Terminal => "terminal",
            Self::Cleaned => "cleaned",
        }
    }
}

/// How often each kind of fault came right after each step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    cells: BTreeMap<(&'static str, Step), u64>,
}

impl Coverage {
    pub(crate) fn hit(&mut self, kind: &'static str, step: Step) {
        *self.cells.entry((kind, step)).or_default() += 1;
    }

    /// Adds the hits of another run.
    pub fn add(&mut self, other: &Self) {
        for (cell, count) in &other.cells {
            *self.cells.entry(*cell).or_default() += count;
        }
    }

    /// How often a fault of this kind came right after this step.
    #[must_use]
    pub fn count(&self, kind: &'static str, step: Step) -> u64 {
        self.cells.get(&(kind, step)).copied().unwrap_or(0)
    }

    /// Cells that were hit.
    #[must_use]
    pub fn hit_count(&self) -> usize {
        self.cells.len()
    }
}
