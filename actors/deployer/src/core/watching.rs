//! Those who follow the actors: their questions are held until an actor that they asked for has changed.
//!
//! Changes that come close together are told together.

use super::{DeployerCore, DeployerOutbox, Effect};
use crate::state::{Deployment, Record};
use odeon_protocol::deployment::DeploymentName;
use odeon_protocol::messages::deployments::GetActors;
use odeon_protocol::messages::directory::{ActorsSeen, HELD_FOR, Revision, WatchActors, WatchError};
use odeon_protocol::moment::Moment;
use odeon_runtime::{HeldQuestions, Hold};
use std::collections::BTreeSet;
use std::time::Duration;

/// The most questions for changes that are held.
pub const WATCHES_MAX: usize = 4096;
/// From one telling of changes to the next, at least.
pub const TELL_INTERVAL: Duration = Duration::from_millis(50);

/// Who follows what, and what has changed since it was last told.
#[derive(Debug)]
pub(super) struct Watching {
    /// Tells this run of the deployer from others.
    run: u64,
    /// Counts changes.
    number: u64,
    questions: HeldQuestions<GetActors>,
    /// Deployments that have changed, with the types that their actors have or had.
    changed: BTreeSet<(DeploymentName, String)>,
    told_at: Option<Duration>,
}

impl Watching {
    pub(super) fn new(run: u64) -> Self {
        let questions = HeldQuestions::new(WATCHES_MAX);
        Self { run, number: 0, questions, changed: BTreeSet::new(), told_at: None }
    }

    fn revision(&self) -> Revision {
        Revision { run: self.run, number: self.number }
    }

    fn on_change(&mut self, deployment: &Deployment) {
        self.number += 1;
        if !self.questions.is_empty() {
            self.changed.insert((deployment.spec.name.clone(), deployment.spec.actor_type.clone()));
        }
    }

    /// When something is to be told.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let due = || self.told_at.map_or(Duration::ZERO, |at| at.saturating_add(TELL_INTERVAL));
        let changed = (!self.changed.is_empty()).then(due);
        changed.into_iter().chain(self.questions.next_deadline()).min()
    }
}

impl DeployerCore {
    /// Answers at once if the state that was seen is not the one there is; otherwise when it changes.
    ///
    /// # Errors
    /// [`WatchError`] if too many wait already.
    pub fn on_watch_actors(&mut self, question: WatchActors, now: Moment) -> Hold<Result<ActorsSeen, WatchError>> {
        if question.seen != Some(self.watching.revision()) {
            return Hold::Answered(Ok(self.actors_seen(&question.wanted)));
        }
        match self.watching.questions.hold(question.wanted, now.after(HELD_FOR)) {
            Some(id) => Hold::Held(id),
            None => Hold::Answered(Err(WatchError::TooMany(WATCHES_MAX))),
        }
    }

    /// Tells those who wait what has changed, and those who have waited for long that nothing has.
    pub(super) fn tell_watchers(&mut self, now: Moment, out: &mut DeployerOutbox) {
        let is_due = self.watching.told_at.is_none_or(|at| at.saturating_add(TELL_INTERVAL) <= now.since_start);
        if !self.watching.changed.is_empty() && is_due {
            self.watching.told_at = Some(now.since_start);
            let changed = std::mem::take(&mut self.watching.changed);
            let concerns = |wanted: &GetActors| changed.iter().any(|(name, kind)| is_wanted(wanted, name, kind));
            for (id, wanted) in self.watching.questions.take_if(concerns) {
                out.send(Effect::TellActors(id, self.actors_seen(&wanted)));
            }
        }
        for (id, _) in self.watching.questions.take_due(now.since_start) {
            out.send(Effect::TellActors(id, ActorsSeen { revision: self.watching.revision(), actors: None }));
        }
    }

    /// To be called before and after a record changes the state: a deployment may come, go, or be another then.
    pub(super) fn note_change(&mut self, record: &Record) {
        if let Some(name) = record.deployment() {
            self.note_change_of(name);
        }
    }

    pub(super) fn note_change_of(&mut self, name: &DeploymentName) {
        if let Some(deployment) = self.state.deployments.get(name) {
            self.watching.on_change(deployment);
        }
    }

    fn actors_seen(&self, wanted: &GetActors) -> ActorsSeen {
        ActorsSeen { revision: self.watching.revision(), actors: Some(self.on_get_actors(wanted)) }
    }
}

/// Whether actors of a deployment are among those that are asked for.
pub(super) fn is_wanted(wanted: &GetActors, name: &DeploymentName, actor_type: &str) -> bool {
    wanted.deployment.as_ref().is_none_or(|wanted| wanted == name)
        && wanted.actor_type.as_ref().is_none_or(|wanted| wanted == actor_type)
}
