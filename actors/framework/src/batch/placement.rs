//! Why tasks found no place, in words that say what to change.
//!
//! It knows offers only: what agents have in use by others is not in it.

use super::slot::Slot;
use odeon_protocol::offer::Offer;
use odeon_protocol::resources::{Ranges, Resources};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Tasks that found no place in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotPlaced {
    /// How long they waited.
    pub waited: Duration,
    /// How many found none.
    pub missing: usize,
    /// Of how many.
    pub total: usize,
    /// What the first of them needs.
    pub asked: Resources,
    /// How many offers came.
    pub offers_seen: usize,
    /// The resources of which no single offer had enough. Empty if each was offered, but never all at once.
    pub shortages: Vec<Shortage>,
    /// The offer that came nearest, with its host.
    pub nearest: Option<(String, Resources)>,
}

/// A resource of which no offer had enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// The resource.
    pub resource: String,
    /// What the task needs.
    pub asked: String,
    /// The most that one offer had, and its host; nothing if none had any.
    pub largest: Option<(String, String)>,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, asked, largest } = self;
        match largest {
            Some((amount, host)) => write!(f, "{resource}: {asked} asked, at most {amount} offered (by {host})"),
            None => write!(f, "{resource}: {asked} asked, no agent offers any"),
        }
    }
}

impl fmt::Display for NotPlaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { waited, missing, total, asked, .. } = self;
        write!(f, "{missing} of {total} tasks found no place within {waited:?}, each asks for {asked}")?;
        match &self.nearest {
            None => f.write_str("; no agent offered anything"),
            Some((host, resources)) if self.shortages.is_empty() => {
                write!(f, "; no agent offered all of it at once, the nearest was {host} with {resources}")
            }
            Some(_) => self.shortages.iter().try_for_each(|shortage| write!(f, "; {shortage}")),
        }
    }
}

/// The most that was offered, by resource.
#[derive(Debug, Default)]
pub(super) struct Largest {
    offers_seen: usize,
    by_resource: BTreeMap<String, Best>,
    /// For each host the last offer, to find the nearest one.
    by_host: BTreeMap<String, Resources>,
}

#[derive(Debug)]
struct Best {
    size: u128,
    amount: Resources,
    host: String,
}

/// Hosts that are remembered for the explanation.
const HOSTS_MAX: usize = 1000;

impl Largest {
    pub(super) fn see(&mut self, offer: &Offer) {
        self.offers_seen += 1;
        for part in parts(&offer.resources) {
            let best = self.by_resource.get(&part.name).map_or(0, |best| best.size);
            if part.size > best {
                let best = Best { size: part.size, amount: part.amount, host: offer.hostname.clone() };
                self.by_resource.insert(part.name, best);
            }
        }
        if self.by_host.len() < HOSTS_MAX || self.by_host.contains_key(&offer.hostname) {
            self.by_host.insert(offer.hostname.clone(), offer.resources.clone());
        }
    }

    /// Says what the missing tasks lack. The first stands for all: mostly they are copies.
    pub(super) fn explain(&self, waited: Duration, missing: &[&Slot], total: usize) -> NotPlaced {
        let asked = missing.first().map(|slot| slot.needs.clone()).unwrap_or_default();
        let shortages = parts(&asked).into_iter().filter_map(|part| self.shortage(&part)).collect();
        let nearest = self.by_host.iter().max_by_key(|(_, resources)| {
            let fitting = parts(&asked).iter().filter(|part| resources.contains(&part.amount)).count();
            (fitting, resources.scalars().map(|(_, amount)| u128::from(amount.thousandths())).sum::<u128>())
        });
        NotPlaced {
            waited,
            missing: missing.len(),
            total,
            asked,
            offers_seen: self.offers_seen,
            shortages,
            nearest: nearest.map(|(host, resources)| (host.clone(), resources.clone())),
        }
    }

    fn shortage(&self, part: &Part) -> Option<Shortage> {
        let best = self.by_resource.get(&part.name);
        let at_best = best.is_some_and(|best| best.amount.contains(&part.amount));
        // The largest range or set need not be the one that has the very items.
        if at_best || self.by_host.values().any(|resources| resources.contains(&part.amount)) {
            return None;
        }
        let largest = best.map(|best| (value(&best.amount), best.host.clone()));
        Some(Shortage { resource: part.name.clone(), asked: value(&part.amount), largest })
    }
}

/// One named resource of several.
struct Part {
    name: String,
    amount: Resources,
    /// Compares amounts of one resource.
    size: u128,
}

fn parts(resources: &Resources) -> Vec<Part> {
    let part = |name: &str, amount, size| Part { name: name.to_owned(), amount, size };
    let none = Resources::empty;
    let scalars = resources
        .scalars()
        .map(|(name, amount)| part(name, none().with_scalar(name, amount), u128::from(amount.thousandths())));
    let ranges = resources
        .ranges()
        .map(|(name, ranges)| part(name, none().with_ranges(name, ranges.clone()), range_size(ranges)));
    let sets =
        resources.sets().map(|(name, items)| part(name, none().with_set(name, items.clone()), items.len() as u128));
    scalars.chain(ranges).chain(sets).collect()
}

fn range_size(ranges: &Ranges) -> u128 {
    ranges.iter().map(|range| u128::from(range.end - range.begin) + 1).sum()
}

/// The text of a single resource without its name.
fn value(amount: &Resources) -> String {
    let text = amount.to_string();
    text.split_once(':').map_or(text.clone(), |(_, value)| value.to_owned())
}
