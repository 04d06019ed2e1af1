//! The numbers that one direction of a link gives to names, so that a name crosses once and not with each message.
//!
//! Both ends are here: who sends looks names up, who hears finds doors. Only frames of the control lane, which keep
//! their order, use numbers; a bulk frame that waits could find its number given to other names meanwhile.

use crate::error::PeerError;
use crate::exports::AnyDoor;
use crate::fabric::Fabric;
use crate::frame::{FrameError, Names, ROUTES_MAX, Way};
use crate::name::{ActorName, NameError};
use std::sync::{Arc, Weak};

/// The numbers of who sends. Once all are taken, the oldest is given to new names.
#[derive(Default)]
pub(crate) struct Numbers {
    known: Vec<(String, String)>,
    last: usize,
    oldest: usize,
}

impl Numbers {
    /// The number of the names, and whether the other end has yet to hear of it.
    pub(crate) fn of(&mut self, names: Names<'_>) -> (u16, bool) {
        let is = |(actor, message): &(String, String)| message == names.message && actor == names.actor;
        let is_new = if self.known.get(self.last).is_some_and(is) {
            false
        } else if let Some(at) = self.known.iter().position(is) {
            self.last = at;
            false
        } else {
            self.last = self.place((names.actor.into(), names.message.into()));
            true
        };
        (u16::try_from(self.last).expect("there are fewer numbers"), is_new)
    }

    fn place(&mut self, names: (String, String)) -> usize {
        if self.known.len() < usize::from(ROUTES_MAX) {
            self.known.push(names);
            return self.known.len() - 1;
        }
        let at = self.oldest;
        self.known[at] = names;
        self.oldest = (at + 1) % self.known.len();
        at
    }
}

/// How many doors are remembered for frames that carry their names.
const NAMED_MAX: usize = 4;

struct Entry {
    actor: String,
    message: String,
    /// Looked up when first needed, and again once anything behind a name of this node has changed. Never kept alive
    /// from here.
    door: Option<Weak<dyn AnyDoor>>,
    generation: u64,
}

impl Entry {
    fn new(names: Names<'_>) -> Self {
        Self { actor: names.actor.into(), message: names.message.into(), door: None, generation: 0 }
    }

    fn names(&self) -> Names<'_> {
        Names { actor: &self.actor, message: &self.message }
    }

    fn open(&mut self, fabric: &Fabric) -> Result<Arc<dyn AnyDoor>, PeerError> {
        let generation = fabric.exports_generation();
        if self.generation == generation
            && let Some(door) = self.door.as_ref().and_then(Weak::upgrade)
        {
            return Ok(door);
        }
        let door = look_up(fabric, self.names())?;
        (self.door, self.generation) = (Some(Arc::downgrade(&door)), generation);
        Ok(door)
    }
}

/// Where the frames of a link lead, for who hears them.
#[derive(Default)]
pub(crate) struct Doors {
    numbered: Vec<Option<Entry>>,
    /// The last that were named, so that a run of messages looks none up.
    named: Vec<Entry>,
    oldest: usize,
}

impl Doors {
    /// Gives a number to names from now on.
    ///
    /// # Errors
    /// [`FrameError::Route`] if there is no such number.
    pub(crate) fn define(&mut self, route: u16, names: Names<'_>) -> Result<(), FrameError> {
        if route >= ROUTES_MAX {
            return Err(FrameError::Route(route));
        }
        let at = usize::from(route);
        if self.numbered.len() <= at {
            self.numbered.resize_with(at + 1, || None);
        }
        self.numbered[at] = Some(Entry::new(names));
        Ok(())
    }

    /// The door at the end of a way, with the names of both.
    ///
    /// # Errors
    /// [`FrameError::Route`] if the number means nothing; within, [`PeerError`] if there is no such door.
    pub(crate) fn find(&mut self, fabric: &Fabric, way: Way<'_>) -> Result<Found<'_>, FrameError> {
        let entry = match way {
            Way::Route(route) => {
                let entry = self.numbered.get_mut(usize::from(route)).and_then(Option::as_mut);
                entry.ok_or(FrameError::Route(route))?
            }
            Way::Named(names) => self.remembered(names),
        };
        let door = entry.open(fabric);
        Ok(Found { names: entry.names(), door })
    }

    fn remembered(&mut self, names: Names<'_>) -> &mut Entry {
        let known = self.named.iter().position(|entry| entry.names() == names);
        let at = known.unwrap_or_else(|| {
            let entry = Entry::new(names);
            if self.named.len() < NAMED_MAX {
                self.named.push(entry);
                return self.named.len() - 1;
            }
            let at = self.oldest;
            self.named[at] = entry;
            self.oldest = (at + 1) % NAMED_MAX;
            at
        });
        &mut self.named[at]
    }
}

/// What a way leads to.
pub(crate) struct Found<'a> {
    pub(crate) names: Names<'a>,
    pub(crate) door: Result<Arc<dyn AnyDoor>, PeerError>,
}

fn look_up(fabric: &Fabric, names: Names<'_>) -> Result<Arc<dyn AnyDoor>, PeerError> {
    let Names { actor, message } = names;
    let undecodable =
        |error: NameError| PeerError::Undecodable { message: message.to_owned(), cause: format!("its actor: {error}") };
    let actor = ActorName::new(actor).map_err(undecodable)?;
    let exports = fabric.exports_of(&actor)?;
    let door = exports.door(message).cloned();
    door.ok_or_else(|| PeerError::NotExported { actor, message: message.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(actor: &str) -> Names<'_> {
        Names { actor, message: "m.v1.M" }
    }

    #[test]
    fn names_keep_their_number_until_all_are_taken_and_then_the_oldest_goes() {
        let mut numbers = Numbers::default();
        let actors: Vec<String> = (0..=ROUTES_MAX).map(|number| format!("a{number}")).collect();
        for (number, actor) in (0..ROUTES_MAX).zip(&actors) {
            assert_eq!(numbers.of(names(actor)), (number, true));
        }
        assert_eq!(numbers.of(names("a5")), (5, false));
        assert_eq!(numbers.of(Names { actor: "a5", message: "m.v1.N" }), (0, true));
        assert_eq!(numbers.of(names("a0")), (1, true));
        assert_eq!(numbers.of(names("a2")), (2, false));
    }

    #[test]
    fn a_number_beyond_the_last_is_refused() {
        let mut doors = Doors::default();
        assert_eq!(doors.define(ROUTES_MAX - 1, names("a")), Ok(()));
        assert_eq!(doors.define(ROUTES_MAX, names("a")), Err(FrameError::Route(ROUTES_MAX)));
    }
}
