//! What frameworks refused and do not want to be offered again for a while.
//!
//! A refusal of resources of an agent, by a client, blocks an offer to that client of that agent's resources
//! while the offer lies within what was refused: with more resources than that, it is a new question. Time is
//! handed in; which run it is, too.

use crate::bits::Bits;
use crate::bundle::Bundle;
use crate::slots::Slot;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// The most refusals that are kept of one client on one agent; the one that ends first gives way. What is freed is offered
/// at once, and so in small parts, each of which may be refused; parts of an agent that is reserved for several roles are of many
/// kinds as well.
const REFUSALS_PER_CLIENT_AND_AGENT_MAX: usize = 128;
/// Among how many of the things refused last a new refusal looks for its like, so that most share one.
const SHARED_AMONG: usize = 16;

/// All live refusals of clients `C` on agents `A`.
#[derive(Debug)]
pub(crate) struct Refusals<A, C> {
    /// By the number of the agent.
    by_agent: Vec<OfAgent<C>>,
    /// How many there are, by the number of the client.
    counts: Vec<u32>,
    deadlines: BTreeSet<Deadline<A, C>>,
    count: usize,
}

/// When refusals of a client on an agent end; several that end at once have one deadline.
type Deadline<A, C> = (Duration, Slot<A>, Slot<C>);

#[derive(Debug)]
struct OfAgent<C> {
    /// Sorted by client. There may be a thousand, so that everything in them is small.
    refusals: Vec<Refusal<C>>,
    things: Vec<Thing>,
}

#[derive(Debug)]
struct Refusal<C> {
    client: Slot<C>,
    /// What is refused, as the index of the thing.
    thing: u32,
    until: Duration,
    /// The run before this refusal; it has to have blocked a later one before it ends.
    after_run: u64,
}

/// Something refused, compared once for all who refuse it; free to be used again when nobody does.
#[derive(Debug)]
struct Thing {
    refused: Arc<Bundle>,
    count: u32,
}

/// What is refused of one agent.
#[derive(Debug)]
pub(crate) struct AgentRefusals<'a, C>(Option<&'a OfAgent<C>>);

impl<A, C> Refusals<A, C> {
    pub(crate) fn new() -> Self {
        Self { by_agent: Vec::new(), counts: Vec::new(), deadlines: BTreeSet::new(), count: 0 }
    }

    /// Adds a refusal, in place of those that it covers in resources and time.
    pub(crate) fn add(
        &mut self,
        agent: Slot<A>,
        client: Slot<C>,
        refused: Arc<Bundle>,
        until: Duration,
        after_run: u64,
    ) {
        self.by_agent.resize_with(self.by_agent.len().max(agent.index() + 1), OfAgent::default);
        self.counts.resize(self.counts.len().max(client.index() + 1), 0);
        let of_agent = &self.by_agent[agent.index()];
        let is_covered = |refusal: &Refusal<C>| {
            refusal.until <= until && of_agent.things[refusal.thing as usize].refused.is_within(&refused)
        };
        let range = of_agent.range(client);
        let old = &of_agent.refusals[range.clone()];
        let mut ending: Vec<usize> =
            range.clone().zip(old).filter(|(_, refusal)| is_covered(refusal)).map(|(index, _)| index).collect();
        if old.len() - ending.len() == REFUSALS_PER_CLIENT_AND_AGENT_MAX {
            ending.extend(range.min_by_key(|index| of_agent.refusals[*index].until));
        }
        ending.into_iter().rev().for_each(|index| self.remove(agent, index));
        let of_agent = &mut self.by_agent[agent.index()];
        let thing = of_agent.thing(refused);
        let place = of_agent.range(client).end;
        of_agent.refusals.insert(place, Refusal { client, thing, until, after_run });
        self.deadlines.insert((until, agent, client));
        self.counts[client.index()] += 1;
        self.count += 1;
    }

    /// What is refused of an agent.
    pub(crate) fn of(&self, agent: Slot<A>) -> AgentRefusals<'_, C> {
        AgentRefusals(self.by_agent.get(agent.index()).filter(|of_agent| !of_agent.refusals.is_empty()))
    }

    /// Ends what is due and has blocked a run up to `last_run`; returns the agents, in order of the deadlines.
    pub(crate) fn end_due(&mut self, now: Duration, last_run: u64) -> Vec<Slot<A>> {
        let due: Vec<_> = self.deadlines.iter().take_while(|(until, ..)| *until <= now).copied().collect();
        due.into_iter().filter(|deadline| self.end(*deadline, last_run)).map(|(_, agent, _)| agent).collect()
    }

    /// Ends what has this deadline, unless it has not blocked a run yet; says whether anything has ended.
    fn end(&mut self, (until, agent, client): Deadline<A, C>, last_run: u64) -> bool {
        let of_agent = &self.by_agent[agent.index()];
        let is_ended = |refusal: &Refusal<C>| refusal.until == until && refusal.after_run < last_run;
        let ended: Vec<usize> = of_agent.range(client).filter(|index| is_ended(&of_agent.refusals[*index])).collect();
        ended.iter().rev().for_each(|index| self.remove(agent, *index));
        !ended.is_empty()
    }

    /// Forgets what was refused of an agent.
    pub(crate) fn clear_agent(&mut self, agent: Slot<A>) {
        let count = self.by_agent.get(agent.index()).map_or(0, |of_agent| of_agent.refusals.len());
        (0..count).rev().for_each(|index| self.remove(agent, index));
    }

    /// Forgets what a client refused.
    pub(crate) fn clear_client(&mut self, client: Slot<C>) {
        if self.counts.get(client.index()).is_none_or(|count| *count == 0) {
            return;
        }
        for index in 0..self.by_agent.len() {
            self.by_agent[index].range(client).rev().for_each(|place| self.remove(Slot::of_index(index), place));
        }
    }

    /// When the first refusal ends.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(until, ..)| *until)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    fn remove(&mut self, agent: Slot<A>, index: usize) {
        let of_agent = &mut self.by_agent[agent.index()];
        let Refusal { client, thing, until, .. } = of_agent.refusals.remove(index);
        of_agent.things[thing as usize].count -= 1;
        if !of_agent.range(client).any(|index| of_agent.refusals[index].until == until) {
            self.deadlines.remove(&(until, agent, client));
        }
        if of_agent.refusals.is_empty() {
            *of_agent = OfAgent::default();
        }
        self.counts[client.index()] -= 1;
        self.count -= 1;
    }
}

impl<C> Default for OfAgent<C> {
    fn default() -> Self {
        Self { refusals: Vec::new(), things: Vec::new() }
    }
}

impl<C> OfAgent<C> {
    /// Where the refusals of a client are, or would be.
    fn range(&self, client: Slot<C>) -> Range<usize> {
        let begin = self.refusals.partition_point(|refusal| refusal.client < client);
        let count = self.refusals[begin..].iter().take_while(|refusal| refusal.client == client).count();
        begin..begin + count
    }

    /// The index of something refused, counted once more.
    fn thing(&mut self, refused: Arc<Bundle>) -> u32 {
        let from = self.things.len().saturating_sub(SHARED_AMONG);
        let is_it =
            |thing: &Thing| thing.count > 0 && (Arc::ptr_eq(&thing.refused, &refused) || *thing.refused == *refused);
        let same = self.things[from..].iter().position(is_it).map(|index| from + index);
        let index = match same.or_else(|| self.things.iter().position(|thing| thing.count == 0)) {
            Some(index) if same.is_some() => index,
            Some(index) => {
                self.things[index].refused = refused;
                index
            }
            None => {
                self.things.push(Thing { refused, count: 0 });
                self.things.len() - 1
            }
        };
        self.things[index].count += 1;
        u32::try_from(index).expect("there are no more things than refusals")
    }
}

impl<C> AgentRefusals<'_, C> {
    /// Nothing is refused.
    pub(crate) const NONE: Self = Self(None);

    /// Finds out who refuses an offer.
    pub(crate) fn refusers(&self, offered: &Bundle, refusers: &mut Bits<C>) {
        refusers.clear();
        let Some(of_agent) = self.0 else { return };
        let is_covered: Vec<bool> = of_agent.things.iter().map(|thing| offered.is_within(&thing.refused)).collect();
        if is_covered.contains(&true) {
            let covering = of_agent.refusals.iter().filter(|refusal| is_covered[refusal.thing as usize]);
            covering.for_each(|refusal| refusers.set(refusal.client, true));
        }
    }

    /// Until when a client refuses an offer, if it does.
    pub(crate) fn until(&self, client: Slot<C>, offered: &Bundle) -> Option<Duration> {
        let of_agent = self.0?;
        let refusals = of_agent.refusals[of_agent.range(client)].iter();
        let covering = refusals.filter(|refusal| offered.is_within(&of_agent.things[refusal.thing as usize].refused));
        covering.map(|refusal| refusal.until).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Kinds;

    fn cpus(amount: u32) -> Arc<Bundle> {
        Arc::new(Kinds::default().bundle(&format!("cpus:{amount}").parse().unwrap()))
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Asks in both ways, which have to agree.
    fn is_refused(refusals: &Refusals<char, u8>, agent: Slot<char>, client: Slot<u8>, offered: &Bundle) -> bool {
        let (of_agent, mut refusers) = (refusals.of(agent), Bits::default());
        of_agent.refusers(offered, &mut refusers);
        assert_eq!(refusers.has(client), of_agent.until(client, offered).is_some());
        refusers.has(client)
    }

    const AGENT: Slot<char> = Slot::MIN;
    const CLIENT: Slot<u8> = Slot::MIN;

    fn other<T>() -> Slot<T> {
        Slot::of_index(1)
    }

    fn is_empty(refusals: &Refusals<char, u8>) -> bool {
        let is_unused = |of_agent: &OfAgent<u8>| of_agent.refusals.is_empty() && of_agent.things.is_empty();
        refusals.len() == 0 && refusals.deadlines.is_empty() && refusals.by_agent.iter().all(is_unused)
    }

    #[test]
    fn a_refusal_blocks_what_lies_within_it_and_no_more() {
        let mut refusals = Refusals::new();
        refusals.add(AGENT, CLIENT, cpus(2), seconds(5), 0);
        refusals.add(AGENT, other(), cpus(1), seconds(5), 0);
        assert!(is_refused(&refusals, AGENT, CLIENT, &cpus(2)));
        assert!(!is_refused(&refusals, AGENT, CLIENT, &cpus(3)));
        assert!(!is_refused(&refusals, AGENT, other(), &cpus(2)));
        assert!(is_refused(&refusals, AGENT, other(), &cpus(1)));
        assert!(!is_refused(&refusals, other(), CLIENT, &cpus(1)));
    }

    #[test]
    fn a_refusal_that_is_due_waits_for_the_run_that_it_blocks() {
        let mut refusals = Refusals::new();
        refusals.add(AGENT, CLIENT, cpus(2), seconds(5), 7);
        assert_eq!(refusals.end_due(seconds(9), 7), []);
        assert_eq!(refusals.end_due(seconds(4), 8), []);
        assert_eq!(refusals.end_due(seconds(5), 8), [AGENT]);
        assert!(is_empty(&refusals));
    }

    #[test]
    fn a_wider_and_longer_refusal_takes_the_place_of_another() {
        let mut refusals = Refusals::new();
        refusals.add(AGENT, CLIENT, cpus(2), seconds(5), 0);
        refusals.add(AGENT, CLIENT, cpus(1), seconds(9), 0);
        assert_eq!(refusals.len(), 2);
        refusals.add(AGENT, CLIENT, cpus(3), seconds(9), 0);
        assert_eq!((refusals.len(), refusals.next_deadline()), (1, Some(seconds(9))));
    }

    #[test]
    fn refusals_of_one_client_on_one_agent_are_bounded() {
        let mut refusals = Refusals::new();
        let most = REFUSALS_PER_CLIENT_AND_AGENT_MAX;
        for step in 0..most as u32 + 18 {
            refusals.add(AGENT, CLIENT, cpus(step + 1), seconds(u64::from(900 - step)), 0);
        }
        assert_eq!(refusals.len(), most);
        assert!(is_refused(&refusals, AGENT, CLIENT, &cpus(20)));
    }

    #[test]
    fn clearing_leaves_nothing_behind() {
        let mut refusals = Refusals::new();
        refusals.add(AGENT, CLIENT, cpus(2), seconds(5), 0);
        refusals.add(AGENT, other(), cpus(2), seconds(5), 0);
        refusals.clear_client(CLIENT);
        let refused_by = |client| is_refused(&refusals, AGENT, client, &cpus(2));
        assert!(!refused_by(CLIENT) && refused_by(other()));
        refusals.clear_agent(AGENT);
        assert!(is_empty(&refusals));
    }

    #[test]
    fn refusals_that_end_at_once_end_each_after_the_run_that_it_blocks() {
        let mut refusals = Refusals::new();
        refusals.add(AGENT, CLIENT, cpus(2), seconds(5), 1);
        refusals.add(AGENT, CLIENT, cpus(3), seconds(4), 1);
        refusals.add(AGENT, CLIENT, cpus(1), seconds(5), 2);
        assert_eq!(refusals.end_due(seconds(5), 2), [AGENT, AGENT]);
        assert_eq!((refusals.len(), refusals.next_deadline()), (1, Some(seconds(5))));
        assert_eq!(refusals.end_due(seconds(5), 3), [AGENT]);
        assert!(is_empty(&refusals));
    }

    #[test]
    fn things_are_shared_and_their_places_used_again() {
        let mut refusals = Refusals::new();
        for round in 0..50 {
            refusals.add(AGENT, CLIENT, cpus(round + 1), seconds(round.into()), 0);
            refusals.add(AGENT, other(), cpus(round + 1), seconds(round.into()), 0);
        }
        assert_eq!(refusals.len(), 2);
        assert!(refusals.by_agent[0].things.len() <= 3);
    }
}
