//! Where the frames of one link lead: the last doors that they went through, so that a run of messages looks none up.
//!
//! A door is forgotten as soon as any actor of the node starts or ends behind a name, and never kept alive from here.

use crate::error::PeerError;
use crate::exports::AnyDoor;
use crate::fabric::Fabric;
use crate::name::{ActorName, NameError};
use std::sync::{Arc, Weak};

/// How many doors are remembered.
const DOORS_MAX: usize = 4;

struct Entry {
    actor: String,
    message: String,
    door: Weak<dyn AnyDoor>,
}

/// The doors that a link used last.
#[derive(Default)]
pub(crate) struct DoorCache {
    entries: Vec<Entry>,
    /// The next to be replaced once all places are taken.
    oldest: usize,
    generation: u64,
}

impl DoorCache {
    /// The door of an actor for a message.
    ///
    /// # Errors
    /// [`PeerError`] if there is none, or the name of the actor is none.
    pub(crate) fn door(&mut self, fabric: &Fabric, actor: &str, message: &str) -> Result<Arc<dyn AnyDoor>, PeerError> {
        let generation = fabric.exports_generation();
        if generation != self.generation {
            *self = Self { generation, ..Self::default() };
        }
        let known = self.entries.iter().find(|entry| entry.message == message && entry.actor == actor);
        if let Some(door) = known.and_then(|entry| entry.door.upgrade()) {
            return Ok(door);
        }
        let door = look_up(fabric, actor, message)?;
        self.remember(Entry { actor: actor.into(), message: message.into(), door: Arc::downgrade(&door) });
        Ok(door)
    }

    fn remember(&mut self, entry: Entry) {
        if self.entries.len() < DOORS_MAX {
            self.entries.push(entry);
        } else {
            self.entries[self.oldest] = entry;
            self.oldest = (self.oldest + 1) % DOORS_MAX;
        }
    }
}

fn look_up(fabric: &Fabric, actor: &str, message: &str) -> Result<Arc<dyn AnyDoor>, PeerError> {
    let undecodable =
        |error: NameError| PeerError::Undecodable { message: message.to_owned(), cause: format!("its actor: {error}") };
    let actor = ActorName::new(actor).map_err(undecodable)?;
    let exports = fabric.exports_of(&actor)?;
    let door = exports.door(message).cloned();
    door.ok_or_else(|| PeerError::NotExported { actor, message: message.to_owned() })
}
