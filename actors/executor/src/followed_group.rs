//! A group whose members come and go with the directory: those of a deployment, or of a type.
//!
//! A member is an actor that takes messages, or is being started again where it is. One that moves leaves and joins again.

use crate::directory::{Directory, DirectoryError};
use crate::followed::FollowedActors;
use odeon_protocol::deployment::ActorLocation;
use odeon_protocol::messages::deployments::{ActorState, ActorSummary, GetActors};
use odeon_runtime::{ActorName, Group, HandOver, Peer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Where each member is, and the task in which it runs.
type Places = BTreeMap<ActorName, (ActorLocation, Option<String>)>;

/// A group, and the state of the actors of which it was made.
type Made<I> = (Arc<Vec<ActorSummary>>, Arc<Group<I>>);

/// The actors of a deployment or of a type as a [`Group`], which is always that of the directory's newest word.
pub struct FollowedGroup<I> {
    directory: Directory,
    actors: FollowedActors,
    /// The group as it was made last, and of which state of the actors.
    made: Mutex<Made<I>>,
    /// The members that [`changed`](Self::changed) has told of.
    told: Places,
}

/// What has become of the members of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupChange {
    /// Who has joined and left, and which keys that moves.
    pub hand_over: HandOver,
    /// Members that are behind the same name, and keep their keys, but were placed anew: what they kept in memory is
    /// gone. A start in place after a panic is not among them.
    pub moved: BTreeSet<ActorName>,
}

impl Directory {
    /// The actors that are asked for, as a group that follows them until it is dropped.
    ///
    /// # Errors
    /// [`DirectoryError`] if the directory does not answer the first question.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn group<I>(&self, wanted: GetActors) -> Result<FollowedGroup<I>, DirectoryError> {
        let actors = self.follow(wanted).await?;
        let state = actors.now();
        let told = places(&state);
        let made = Mutex::new((state, Arc::new(group(self, &told))));
        Ok(FollowedGroup { directory: self.clone(), actors, made, told })
    }
}

impl<I> FollowedGroup<I> {
    /// The group now. It does not change while it is held: take it anew for each message.
    #[must_use]
    pub fn now(&self) -> Arc<Group<I>> {
        let state = self.actors.now();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&made.0, &state) {
            let group = Arc::new(group(&self.directory, &places(&state)));
            *made = (state, group);
        }
        Arc::clone(&made.1)
    }

    /// Waits until there are other members than this told last, or at the start, or one of them was placed anew. Changes
    /// that were not waited for are told as one; none is missed but what was undone meanwhile.
    pub async fn changed(&mut self) -> GroupChange {
        loop {
            let now = places(&self.actors.changed().await);
            let before = std::mem::replace(&mut self.told, now);
            if let Some(change) = change(&before, &self.told) {
                return change;
            }
        }
    }
}

impl<I> fmt::Debug for FollowedGroup<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now().fmt(f)
    }
}

fn places(actors: &[ActorSummary]) -> Places {
    let is_member = |actor: &&ActorSummary| matches!(actor.state, ActorState::Running | ActorState::Restarting);
    let place = |actor: &ActorSummary| {
        let location = actor.location.clone()?;
        Some((ActorName::new(location.actor.as_str()).ok()?, (location, actor.task_id.clone())))
    };
    actors.iter().filter(is_member).filter_map(place).collect()
}

fn group<I>(directory: &Directory, places: &Places) -> Group<I> {
    let peers = places.values().filter_map(|(location, _)| directory.peer(location.clone()).ok());
    Group::new(peers.collect::<Vec<Peer<I>>>())
}

fn change(before: &Places, now: &Places) -> Option<GroupChange> {
    if before == now {
        return None;
    }
    let names = |places: &Places| places.keys().cloned().collect::<BTreeSet<_>>();
    let moved = now.iter().filter(|(name, place)| before.get(*name).is_some_and(|was| was != *place));
    let moved = moved.map(|(name, _)| name.clone()).collect();
    Some(GroupChange { hand_over: HandOver::new(names(before), names(now)), moved })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(index: u32, state: ActorState, task: &str) -> ActorSummary {
        let name = format!("store/{index}");
        let location = ActorLocation { actor: name.clone(), endpoint: "h:1".into(), node: "n".into(), incarnation: 1 };
        ActorSummary {
            name,
            actor_type: "t".into(),
            state,
            hostname: None,
            task_id: Some(task.into()),
            location: Some(location),
            restarts: 0,
            message: String::new(),
        }
    }

    fn members(places: &Places) -> Vec<&str> {
        places.keys().map(ActorName::as_str).collect()
    }

    #[test]
    fn members_are_those_that_take_messages_or_are_started_again_where_they_are() {
        let states = [ActorState::Running, ActorState::Restarting, ActorState::Waiting, ActorState::Stopping];
        let actors: Vec<_> = (0..).zip(states).map(|(index, state)| actor(index, state, "a")).collect();
        assert_eq!(members(&places(&actors)), ["store/0", "store/1"]);
    }

    #[test]
    fn a_change_tells_who_joined_who_left_and_who_was_placed_anew() {
        let before = places(&[0, 1, 2].map(|index| actor(index, ActorState::Running, "a")));
        let now = [(0, "a"), (1, "b"), (3, "a")].map(|(index, task)| actor(index, ActorState::Running, task));
        let change = change(&before, &places(&now)).unwrap();
        assert_eq!(change.hand_over.joined().map(ActorName::as_str).collect::<Vec<_>>(), ["store/3"]);
        assert_eq!(change.hand_over.left().map(ActorName::as_str).collect::<Vec<_>>(), ["store/2"]);
        assert_eq!(change.moved.iter().map(ActorName::as_str).collect::<Vec<_>>(), ["store/1"]);
    }

    #[test]
    fn a_start_in_place_is_no_change() {
        let places = [ActorState::Running, ActorState::Restarting].map(|state| places(&[actor(0, state, "a")]));
        assert_eq!(change(&places[0], &places[1]), None);
    }
}
