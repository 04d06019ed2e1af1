//! The numbers that one direction of a link gives to names, so that a name crosses once and not with each message.
//!
//! Both ends are here: who sends looks names up, who hears finds doors. Only frames of the control lane, which keep
//! their order, use numbers; a bulk frame that waits could find its number given to other names meanwhile.

use crate::error::PeerError;
use crate::exports::AnyDoor;
use crate::fabric::Fabric;
use crate::frame::{FrameError, Names, ROUTE_CREDIT_BYTES, ROUTE_WINDOW_BYTES, ROUTES_MAX, Way};
use crate::name::{ActorName, NameError};
use crate::schemas::Schemas;
use crate::trust::PeerRoles;
use std::sync::{Arc, Weak};

/// The numbers of who sends. Once all are taken, the oldest under which little is on the way is given to new names.
#[derive(Default)]
pub(crate) struct Numbers {
    known: Vec<(String, String)>,
    /// Bytes of tells, by number, of which the other end has not said that they have found room.
    on_the_way: Vec<usize>,
    last: usize,
    oldest: usize,
}

impl Numbers {
    /// The number of the names, if they have one.
    #[inline]
    pub(crate) fn known(&mut self, names: Names<'_>) -> Option<u16> {
        let is = |(actor, message): &(String, String)| message == names.message && actor == names.actor;
        if !self.known.get(self.last).is_some_and(is) {
            self.last = self.known.iter().position(is)?;
        }
        Some(u16::try_from(self.last).expect("there are fewer numbers"))
    }

    /// The number of the names, and whether the other end has yet to hear of it.
    pub(crate) fn of(&mut self, names: Names<'_>) -> (u16, bool) {
        if let Some(route) = self.known(names) {
            return (route, false);
        }
        self.last = self.place((names.actor.into(), names.message.into()));
        (u16::try_from(self.last).expect("there are fewer numbers"), true)
    }

    /// Whether another tell may leave under the number.
    pub(crate) fn has_room(&self, route: u16) -> bool {
        self.on_the_way[usize::from(route)] < ROUTE_WINDOW_BYTES
    }

    /// A tell of so many bytes leaves.
    pub(crate) fn on_tell(&mut self, route: u16, bytes: usize) {
        self.on_the_way[usize::from(route)] += bytes;
    }

    /// The other end has found room for so many bytes. Only a hostile one speaks of more than is on the way.
    pub(crate) fn on_room(&mut self, route: u16, bytes: usize) {
        if let Some(on_the_way) = self.on_the_way.get_mut(usize::from(route)) {
            *on_the_way = on_the_way.saturating_sub(bytes);
        }
    }

    fn place(&mut self, names: (String, String)) -> usize {
        if self.known.len() < usize::from(ROUTES_MAX) {
            self.known.push(names);
            self.on_the_way.push(0);
            return self.known.len() - 1;
        }
        let at = self.next_to_give();
        self.known[at] = names;
        self.oldest = (at + 1) % self.known.len();
        at
    }

    /// What is on the way belongs to the number, whatever names it has: both ends count by numbers alone, so neither
    /// count is begun anew. Names that come to a number under which much waits would wait with it.
    fn next_to_give(&self) -> usize {
        let count = self.known.len();
        let in_turn = || (0..count).map(|step| (self.oldest + step) % count);
        let idle = in_turn().find(|at| self.on_the_way[*at] < ROUTE_CREDIT_BYTES);
        idle.or_else(|| in_turn().min_by_key(|at| self.on_the_way[*at]))
            .expect("all numbers are taken, so there are some")
    }
}

/// What has become of the tells of a link, by number, for who hears them.
#[derive(Default)]
pub(crate) struct Rooms {
    /// Bytes of tells that wait behind a full mailbox.
    parked: Vec<usize>,
    /// Bytes of tells that have found room and that the other end is not told of yet.
    found: Vec<usize>,
}

impl Rooms {
    /// Whether another tell may wait behind a full mailbox. A sender that keeps to what it was told always may.
    pub(crate) fn may_park(&self, route: u16) -> bool {
        self.parked.get(usize::from(route)).is_none_or(|bytes| *bytes < ROUTE_WINDOW_BYTES)
    }

    /// A tell of so many bytes waits.
    pub(crate) fn park(&mut self, route: u16, bytes: usize) {
        *at(&mut self.parked, route) += bytes;
    }

    /// A tell that waited has been handled.
    pub(crate) fn unpark(&mut self, route: u16, bytes: usize) {
        *at(&mut self.parked, route) -= bytes;
        self.find(route, bytes);
    }

    /// A tell of so many bytes has found room, or never will.
    pub(crate) fn find(&mut self, route: u16, bytes: usize) {
        *at(&mut self.found, route) += bytes;
    }

    /// What the other end is to know by now: number and bytes; it is told in steps.
    pub(crate) fn due(&mut self) -> impl Iterator<Item = (u16, usize)> {
        let due = (0_u16..).zip(&mut self.found).filter(|(_, bytes)| **bytes >= ROUTE_CREDIT_BYTES);
        due.map(|(route, bytes)| (route, std::mem::take(bytes)))
    }
}

fn at(bytes: &mut Vec<usize>, route: u16) -> &mut usize {
    let at = usize::from(route);
    if bytes.len() <= at {
        bytes.resize(at + 1, 0);
    }
    &mut bytes[at]
}

/// How many doors are remembered for frames that carry their names.
const NAMED_MAX: usize = 4;

struct Entry {
    actor: Arc<str>,
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

    fn open(&mut self, fabric: &Fabric, roles: PeerRoles, schemas: &Schemas) -> Opened {
        let generation = fabric.exports_generation();
        if self.generation == generation
            && let Some(door) = self.door.as_ref().and_then(Weak::upgrade)
        {
            return Ok(door);
        }
        let door = look_up(fabric, roles, self.names())?;
        schemas.check(&self.message, || door.schema())?;
        (self.door, self.generation) = (Some(Arc::downgrade(&door)), generation);
        Ok(door)
    }
}

/// Where the frames of a link lead, for who hears them.
pub(crate) struct Doors {
    /// What the other end may act as.
    roles: PeerRoles,
    numbered: Vec<Option<Entry>>,
    /// The last that were named, so that a run of messages looks none up.
    named: Vec<Entry>,
    oldest: usize,
}

impl Doors {
    /// No frames have come yet from a peer of these roles.
    pub(crate) fn of(roles: PeerRoles) -> Self {
        Self { roles, numbered: Vec::new(), named: Vec::new(), oldest: 0 }
    }

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
    /// [`FrameError::Route`] if the number means nothing; within, [`PeerError`] if there is no such door, or the message is another one.
    pub(crate) fn find(&mut self, fabric: &Fabric, schemas: &Schemas, way: Way<'_>) -> Result<Found<'_>, FrameError> {
        let roles = self.roles;
        let entry = match way {
            Way::Route(route) => {
                let entry = self.numbered.get_mut(usize::from(route)).and_then(Option::as_mut);
                entry.ok_or(FrameError::Route(route))?
            }
            Way::Named(names) => self.remembered(names),
        };
        let door = entry.open(fabric, roles, schemas);
        Ok(Found { names: entry.names(), door })
    }

    /// As [`find`](Self::find) for a number, with the name of the actor to keep.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub(crate) fn find_numbered(
        &mut self,
        fabric: &Fabric,
        schemas: &Schemas,
        route: u16,
    ) -> Result<(Arc<str>, Opened), FrameError> {
        let entry = self.numbered.get_mut(usize::from(route)).and_then(Option::as_mut);
        let entry = entry.ok_or(FrameError::Route(route))?;
        let door = entry.open(fabric, self.roles, schemas);
        Ok((Arc::clone(&entry.actor), door))
    }

    /// The names behind a number that was found to mean something.
    pub(crate) fn names(&self, route: u16) -> Names<'_> {
        let entry = self.numbered.get(usize::from(route)).and_then(Option::as_ref);
        entry.map_or(Names { actor: "", message: "" }, Entry::names)
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

/// The way to an actor, or why there is none.
pub(crate) type Opened = Result<Arc<dyn AnyDoor>, PeerError>;

/// What a way leads to.
pub(crate) struct Found<'a> {
    pub(crate) names: Names<'a>,
    pub(crate) door: Opened,
}

fn look_up(fabric: &Fabric, roles: PeerRoles, names: Names<'_>) -> Opened {
    let Names { actor, message } = names;
    let undecodable =
        |error: NameError| PeerError::Undecodable { message: message.to_owned(), cause: format!("its actor: {error}") };
    let actor = ActorName::new(actor).map_err(undecodable)?;
    let exports = fabric.exports_of(&actor)?;
    match exports.door_for(message, roles) {
        Some(Some(door)) => Ok(Arc::clone(door)),
        Some(None) => Err(PeerError::Forbidden { actor, message: message.to_owned(), roles: roles.to_string() }),
        None => Err(PeerError::NotExported { actor, message: message.to_owned() }),
    }
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
    fn a_route_has_no_room_once_its_window_is_used_and_goes_to_other_names_once_little_is_on_the_way() {
        let mut numbers = Numbers::default();
        let (route, _) = numbers.of(names("a"));
        numbers.on_tell(route, ROUTE_WINDOW_BYTES - 1);
        assert!(numbers.has_room(route));
        numbers.on_tell(route, 100);
        assert!(!numbers.has_room(route));
        numbers.on_room(route, 100);
        assert!(numbers.has_room(route));
        numbers.on_tell(route, 100);
        numbers.on_room(ROUTES_MAX, 100);
        assert!(!numbers.has_room(route));
        let reuse = |numbers: &mut Numbers, kind: &str| {
            let actors: Vec<String> = (0..2 * ROUTES_MAX).map(|number| format!("{kind}{number}")).collect();
            actors.iter().map(|actor| numbers.of(names(actor)).0).filter(|number| *number == route).count()
        };
        assert_eq!(reuse(&mut numbers, "b"), 0, "others are idle");
        numbers.on_room(route, ROUTE_WINDOW_BYTES);
        assert_eq!(reuse(&mut numbers, "c"), 2);
        assert!(numbers.on_the_way[0] > 0, "what is on the way stays so under other names");
        numbers.on_room(route, 1_000_000);
        assert!(numbers.has_room(route));
    }

    #[test]
    fn if_all_numbers_have_much_on_the_way_the_one_with_the_least_goes() {
        let mut numbers = Numbers::default();
        for number in 0..ROUTES_MAX {
            numbers.of(names(&format!("a{number}")));
            numbers.on_tell(number, ROUTE_WINDOW_BYTES - usize::from(number == 9));
        }
        assert_eq!(numbers.of(names("b")), (9, true));
    }

    #[test]
    fn room_is_told_in_steps_each_byte_once_and_a_sender_that_sends_too_much_may_not_park() {
        let mut rooms = Rooms::default();
        rooms.find(3, ROUTE_CREDIT_BYTES - 1);
        assert_eq!(rooms.due().collect::<Vec<_>>(), []);
        rooms.park(3, ROUTE_WINDOW_BYTES);
        assert!(!rooms.may_park(3) && rooms.may_park(2) && rooms.may_park(4));
        rooms.unpark(3, ROUTE_WINDOW_BYTES);
        assert!(rooms.may_park(3));
        let due = ROUTE_CREDIT_BYTES - 1 + ROUTE_WINDOW_BYTES;
        assert_eq!(rooms.due().collect::<Vec<_>>(), [(3, due)]);
        assert_eq!(rooms.due().collect::<Vec<_>>(), []);
    }

    #[test]
    fn a_number_beyond_the_last_is_refused() {
        let mut doors = Doors::of(PeerRoles::ALL);
        assert_eq!(doors.define(ROUTES_MAX - 1, names("a")), Ok(()));
        assert_eq!(doors.define(ROUTES_MAX, names("a")), Err(FrameError::Route(ROUTES_MAX)));
    }
}
