//! What frameworks refused and do not want to be offered again for a while.
//!
//! A refusal of resources of an agent, by a client, blocks an offer to that client of that agent's resources
//! while the offer lies within what was refused: with more resources than that, it is a new question. Time is
//! handed in; which run it is, too.

use crate::bundle::Bundle;
use crate::slots::Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The most refusals that are kept of one client on one agent; the one that ends first gives way.
const REFUSALS_PER_CLIENT_AND_AGENT_MAX: usize = 8;

/// All live refusals of clients `C` on agents `A`.
#[derive(Debug)]
pub(crate) struct Refusals<A, C> {
    by_agent: BTreeMap<Slot<A>, OfAgent<C>>,
    by_client: BTreeSet<(Slot<C>, Slot<A>)>,
    deadlines: BTreeSet<Deadline<A, C>>,
    made: u64,
}

/// When a refusal ends, whose it is, and its number.
type Deadline<A, C> = (Duration, Slot<A>, Slot<C>, u64);

#[derive(Debug)]
struct OfAgent<C> {
    by_client: BTreeMap<Slot<C>, Vec<Refusal>>,
    /// What was refused last. Most frameworks refuse the same, so it is stored and compared once for all of them.
    last_refused: Arc<Bundle>,
}

#[derive(Debug)]
struct Refusal {
    number: u64,
    refused: Arc<Bundle>,
    until: Duration,
    /// The run before this refusal; it has to have blocked a later one before it ends.
    after_run: u64,
}

/// What is refused of one agent.
#[derive(Debug)]
pub(crate) struct AgentRefusals<'a, C>(Option<&'a OfAgent<C>>);

impl<A, C> Refusals<A, C> {
    pub(crate) fn new() -> Self {
        Self { by_agent: BTreeMap::new(), by_client: BTreeSet::new(), deadlines: BTreeSet::new(), made: 0 }
    }

    /// Adds a refusal, in place of those that it covers in resources and time.
    pub(crate) fn add(&mut self, agent: Slot<A>, client: Slot<C>, refused: Bundle, until: Duration, after_run: u64) {
        self.made += 1;
        let number = self.made;
        let of_agent = self.by_agent.entry(agent).or_insert_with(OfAgent::new);
        let refused = of_agent.shared(refused);
        let refusals = of_agent.by_client.entry(client).or_default();
        let deadlines = &mut self.deadlines;
        refusals.retain(|old| {
            let stays = old.until > until || !old.refused.is_within(&refused);
            if !stays {
                deadlines.remove(&(old.until, agent, client, old.number));
            }
            stays
        });
        if refusals.len() == REFUSALS_PER_CLIENT_AND_AGENT_MAX {
            let first = (0..refusals.len()).min_by_key(|index| refusals[*index].until).unwrap_or(0);
            let old = refusals.swap_remove(first);
            deadlines.remove(&(old.until, agent, client, old.number));
        }
        refusals.push(Refusal { number, refused, until, after_run });
        deadlines.insert((until, agent, client, number));
        self.by_client.insert((client, agent));
    }

    /// What is refused of an agent.
    pub(crate) fn of(&self, agent: Slot<A>) -> AgentRefusals<'_, C> {
        AgentRefusals(self.by_agent.get(&agent))
    }

    /// Ends what is due and has blocked a run up to `last_run`; returns the agents, in order of the deadlines.
    pub(crate) fn end_due(&mut self, now: Duration, last_run: u64) -> Vec<Slot<A>> {
        let due: Vec<_> = self.deadlines.iter().take_while(|(until, ..)| *until <= now).copied().collect();
        due.into_iter().filter(|deadline| self.end(deadline, last_run)).map(|(_, agent, ..)| agent).collect()
    }

    /// Ends one refusal, unless it has not blocked a run yet.
    fn end(&mut self, deadline: &Deadline<A, C>, last_run: u64) -> bool {
        let (_, agent, client, number) = *deadline;
        let of_agent = self.by_agent.get_mut(&agent);
        let Some(refusals) = of_agent.and_then(|of_agent| of_agent.by_client.get_mut(&client)) else { return false };
        let before = refusals.len();
        refusals.retain(|refusal| refusal.number != number || refusal.after_run >= last_run);
        if refusals.len() == before {
            return false;
        }
        let is_last = refusals.is_empty();
        self.deadlines.remove(deadline);
        if is_last {
            self.forget(agent, client);
        }
        true
    }

    /// Forgets what was refused of an agent.
    pub(crate) fn clear_agent(&mut self, agent: Slot<A>) {
        let of_agent = self.by_agent.get(&agent).into_iter();
        let clients: Vec<_> = of_agent.flat_map(|of_agent| of_agent.by_client.keys().copied()).collect();
        clients.into_iter().for_each(|client| self.forget(agent, client));
    }

    /// Forgets what a client refused.
    pub(crate) fn clear_client(&mut self, client: Slot<C>) {
        let range = (client, Slot::MIN)..=(client, Slot::MAX);
        let agents: Vec<_> = self.by_client.range(range).map(|(_, agent)| *agent).collect();
        agents.into_iter().for_each(|agent| self.forget(agent, client));
    }

    /// When the first refusal ends.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(until, ..)| *until)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.deadlines.len()
    }

    fn forget(&mut self, agent: Slot<A>, client: Slot<C>) {
        let Some(of_agent) = self.by_agent.get_mut(&agent) else { return };
        for refusal in of_agent.by_client.remove(&client).unwrap_or_default() {
            self.deadlines.remove(&(refusal.until, agent, client, refusal.number));
        }
        if of_agent.by_client.is_empty() {
            self.by_agent.remove(&agent);
        }
        self.by_client.remove(&(client, agent));
    }
}

impl<C> OfAgent<C> {
    fn new() -> Self {
        Self { by_client: BTreeMap::new(), last_refused: Arc::default() }
    }

    fn shared(&mut self, refused: Bundle) -> Arc<Bundle> {
        if *self.last_refused != refused {
            self.last_refused = Arc::new(refused);
        }
        Arc::clone(&self.last_refused)
    }
}

impl<C> AgentRefusals<'_, C> {
    /// Whether an offer lies within what was refused last; asked once for many clients.
    pub(crate) fn covers(&self, offered: &Bundle) -> bool {
        self.0.is_some_and(|of_agent| offered.is_within(&of_agent.last_refused))
    }

    /// Until when a client refuses an offer, if it does; `is_covered` is what [`Self::covers`] said of it.
    pub(crate) fn until(&self, client: Slot<C>, offered: &Bundle, is_covered: bool) -> Option<Duration> {
        let of_agent = self.0?;
        let covers = |refusal: &&Refusal| {
            if Arc::ptr_eq(&refusal.refused, &of_agent.last_refused) {
                return is_covered;
            }
            offered.is_within(&refusal.refused)
        };
        of_agent.by_client.get(&client)?.iter().filter(covers).map(|refusal| refusal.until).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Kinds;

    fn cpus(amount: u32) -> Bundle {
        Kinds::default().bundle(&format!("cpus:{amount}").parse().unwrap())
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn is_refused(refusals: &Refusals<char, u8>, agent: Slot<char>, client: Slot<u8>, offered: &Bundle) -> bool {
        let of_agent = refusals.of(agent);
        of_agent.until(client, offered, of_agent.covers(offered)).is_some()
    }

    const AGENT: Slot<char> = Slot::MIN;
    const CLIENT: Slot<u8> = Slot::MIN;

    fn is_empty(refusals: &Refusals<char, u8>) -> bool {
        refusals.len() == 0 && refusals.by_agent.is_empty() && refusals.by_client.is_empty()
    }

    #[test]
    fn a_refusal_blocks_what_lies_within_it_and_no_more() {
        let mut refusals = Refusals::new();
        refusals.add(AGENT, CLIENT, cpus(2), seconds(5), 0);
        refusals.add(AGENT, Slot::MAX, cpus(1), seconds(5), 0);
        assert!(is_refused(&refusals, AGENT, CLIENT, &cpus(2)));
        assert!(!is_refused(&refusals, AGENT, CLIENT, &cpus(3)));
        assert!(!is_refused(&refusals, AGENT, Slot::MAX, &cpus(2)));
        assert!(is_refused(&refusals, AGENT, Slot::MAX, &cpus(1)));
        assert!(!is_refused(&refusals, Slot::MAX, CLIENT, &cpus(1)));
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
        for step in 0..20 {
            refusals.add(AGENT, CLIENT, cpus(step + 1), seconds(50 - u64::from(step)), 0);
        }
        assert_eq!(refusals.len(), REFUSALS_PER_CLIENT_AND_AGENT_MAX);
        assert!(is_refused(&refusals, AGENT, CLIENT, &cpus(20)));
    }

    #[test]
    fn clearing_leaves_nothing_behind() {
        let mut refusals = Refusals::new();
        refusals.add(AGENT, CLIENT, cpus(2), seconds(5), 0);
        refusals.add(AGENT, Slot::MAX, cpus(2), seconds(5), 0);
        refusals.clear_client(CLIENT);
        let refused_by = |client| is_refused(&refusals, AGENT, client, &cpus(2));
        assert!(!refused_by(CLIENT) && refused_by(Slot::MAX));
        refusals.clear_agent(AGENT);
        assert!(is_empty(&refusals));
    }
}
