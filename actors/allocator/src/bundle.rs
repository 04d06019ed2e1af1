//! Resources by dense numbers in place of names: what the allocator computes with, many times for each offer.
//!
//! The rules are those of `Resources`, and a test holds the two together; the gain is that nothing here
//! compares or copies text. [`Names`] translates at the border of the crate.

use crate::totals::Sums;
use odeon_protocol::resources::{Range, Ranges, Resources, Scalar};
use std::collections::{BTreeMap, BTreeSet};

/// Values of one kind by number, sorted; nothing is not kept.
type Values<T> = Vec<(u32, T)>;

/// Amounts of numbered resources.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bundle {
    /// In thousandths.
    scalars: Values<u64>,
    ranges: Values<Ranges>,
    sets: Values<BTreeSet<String>>,
}

impl Bundle {
    pub(crate) fn is_empty(&self) -> bool {
        self.scalars.is_empty() && self.ranges.is_empty() && self.sets.is_empty()
    }

    /// The scalars by number, in thousandths.
    pub(crate) fn scalars(&self) -> &[(u32, u64)] {
        &self.scalars
    }

    /// The sum; nothing if a scalar overflows, or a range or set has an item twice.
    pub(crate) fn checked_add(&self, other: &Self) -> Option<Self> {
        let union = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.is_disjoint(b).then(|| a | b);
        Some(Self {
            scalars: sum(&self.scalars, &other.scalars, |a, b| a.checked_add(*b))?,
            ranges: sum(&self.ranges, &other.ranges, Ranges::checked_add)?,
            sets: sum(&self.sets, &other.sets, union)?,
        })
    }

    /// The difference; nothing if there is too little of anything.
    pub(crate) fn checked_sub(&self, other: &Self) -> Option<Self> {
        other.is_within(self).then(|| self.without(other))
    }

    /// What is left without what of `other` there is.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let scalars = rest(&self.scalars, &other.scalars, |a, b| a.saturating_sub(*b));
        let ranges = rest(&self.ranges, &other.ranges, outside);
        let sets = rest(&self.sets, &other.sets, |a, b| a - b);
        Self {
            scalars: scalars.filter(|(_, amount)| *amount > 0).collect(),
            ranges: ranges.filter(|(_, ranges)| !ranges.is_empty()).collect(),
            sets: sets.filter(|(_, items)| !items.is_empty()).collect(),
        }
    }

    /// Whether all of this is in `whole`.
    pub(crate) fn is_within(&self, whole: &Self) -> bool {
        all_within(&self.scalars, &whole.scalars, |part, whole| part <= whole)
            && all_within(&self.ranges, &whole.ranges, |part, whole| part.iter().all(|range| is_covered(range, whole)))
            && all_within(&self.sets, &whole.sets, BTreeSet::is_subset)
    }

    /// Whether this is not nothing and holds the scalars of at least one entry; without entries, anything does.
    pub(crate) fn is_worth_offering(&self, minimum: &[Self]) -> bool {
        let holds = |quantity: &Self| all_within(&quantity.scalars, &self.scalars, |part, whole| part <= whole);
        !self.is_empty() && (minimum.is_empty() || minimum.iter().any(holds))
    }
}

fn value<T>(values: &[(u32, T)], number: u32) -> Option<&T> {
    values.iter().find(|(other, _)| *other == number).map(|(_, value)| value)
}

fn sum<T: Clone>(left: &[(u32, T)], right: &[(u32, T)], add: impl Fn(&T, &T) -> Option<T>) -> Option<Values<T>> {
    let mut sum = left.to_vec();
    for (number, added) in right {
        match sum.binary_search_by_key(number, |(number, _)| *number) {
            Ok(index) => sum[index].1 = add(&sum[index].1, added)?,
            Err(index) => sum.insert(index, (*number, added.clone())),
        }
    }
    Some(sum)
}

fn rest<T: Clone>(left: &[(u32, T)], right: &[(u32, T)], sub: impl Fn(&T, &T) -> T) -> impl Iterator<Item = (u32, T)> {
    left.iter().map(move |(number, have)| {
        let left = value(right, *number).map_or_else(|| have.clone(), |taken| sub(have, taken));
        (*number, left)
    })
}

fn all_within<T>(part: &[(u32, T)], whole: &[(u32, T)], is_within: impl Fn(&T, &T) -> bool) -> bool {
    part.iter().all(|(number, part)| value(whole, *number).is_some_and(|whole| is_within(part, whole)))
}

/// Ranges that touch are joined, so a range is covered only by one that holds all of it.
fn is_covered(range: Range, whole: &Ranges) -> bool {
    whole.iter().any(|other| other.begin <= range.begin && range.end <= other.end)
}

/// The numbers of `ranges` that are not in `taken`.
fn outside(ranges: &Ranges, taken: &Ranges) -> Ranges {
    if let Some(rest) = ranges.checked_sub(taken) {
        return rest;
    }
    let cut = |a: Range, b: Range| Range { begin: a.begin.max(b.begin), end: a.end.min(b.end) };
    let cuts = ranges.iter().flat_map(|range| taken.iter().map(move |other| cut(range, other)));
    let common = Ranges::new(cuts.filter(|range| range.begin <= range.end).collect());
    let common = common.expect("parts of disjoint ranges are disjoint");
    ranges.checked_sub(&common).expect("a common part is a part")
}

/// The numbers of all names that were ever met; a name keeps its number.
#[derive(Debug, Default)]
pub(crate) struct Names {
    numbers: BTreeMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    /// Translates; a new name gets the next number.
    pub(crate) fn bundle(&mut self, resources: &Resources) -> Bundle {
        let mut bundle = Bundle {
            scalars: resources.scalars().map(|(name, amount)| (self.number(name), amount.thousandths())).collect(),
            ranges: resources.ranges().map(|(name, ranges)| (self.number(name), ranges.clone())).collect(),
            sets: resources.sets().map(|(name, items)| (self.number(name), items.clone())).collect(),
        };
        bundle.scalars.sort_unstable();
        bundle.ranges.sort_unstable_by_key(|(number, _)| *number);
        bundle.sets.sort_unstable_by_key(|(number, _)| *number);
        bundle
    }

    /// Translates back.
    pub(crate) fn resources(&self, bundle: &Bundle) -> Resources {
        let mut resources = Resources::empty();
        for (number, amount) in &bundle.scalars {
            resources = resources.with_scalar(self.name(*number), Scalar::from_thousandths(*amount));
        }
        for (number, ranges) in &bundle.ranges {
            resources = resources.with_ranges(self.name(*number), ranges.clone());
        }
        for (number, items) in &bundle.sets {
            resources = resources.with_set(self.name(*number), items.clone());
        }
        resources
    }

    /// Sums as resources, for listings; what 64 bits do not hold is shown as the largest amount.
    pub(crate) fn sums(&self, sums: &Sums) -> Resources {
        self.names.iter().zip(sums.iter()).fold(Resources::empty(), |resources, (name, amount)| {
            let amount = u64::try_from(amount).unwrap_or(u64::MAX);
            resources.with_scalar(name, Scalar::from_thousandths(amount))
        })
    }

    fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = u32::try_from(self.names.len()).expect("4 billion names do not fit into memory");
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bundle(names: &mut Names, text: &str) -> Bundle {
        names.bundle(&text.parse().unwrap())
    }

    /// Resources of few names and small values, so that parts and overlaps are frequent.
    fn resources() -> impl Strategy<Value = Resources> {
        let scalars = proptest::collection::btree_map("[abc]", 1..4_u64, 0..4);
        let numbers = || proptest::collection::btree_set(1..12_u64, 0..8);
        let sets = proptest::collection::btree_map("[fg]", proptest::collection::btree_set("[x-z]", 0..3), 0..3);
        (scalars, numbers(), numbers(), sets).prop_map(|(scalars, d, e, sets)| {
            let ranges = |numbers: BTreeSet<u64>| {
                Ranges::new(numbers.into_iter().map(|number| Range { begin: number, end: number }).collect()).unwrap()
            };
            let mut resources = Resources::empty().with_ranges("d", ranges(d)).with_ranges("e", ranges(e));
            for (name, amount) in scalars {
                resources = resources.with_scalar(&name, Scalar::from_thousandths(amount));
            }
            sets.into_iter().fold(resources, |resources, (name, items)| resources.with_set(&name, items))
        })
    }

    proptest! {
        #[test]
        fn bundles_follow_the_rules_of_resources(a in resources(), b in resources()) {
            let mut names = Names::default();
            let (x, y) = (names.bundle(&b), names.bundle(&a));
            prop_assert_eq!(&names.resources(&x), &b);
            prop_assert_eq!(y.checked_add(&x).map(|sum| names.resources(&sum)), a.checked_add(&b).ok());
            prop_assert_eq!(y.checked_sub(&x).map(|rest| names.resources(&rest)), a.checked_sub(&b).ok());
            prop_assert_eq!(x.is_within(&y), a.contains(&b));
            let rest = y.without(&x);
            prop_assert!(rest.is_within(&y));
            let taken = y.checked_sub(&rest).unwrap();
            prop_assert!(taken.is_within(&x) && taken.without(&y).is_empty());
        }
    }

    #[test]
    fn what_a_shrunk_agent_has_left_is_never_negative() {
        let mut names = Names::default();
        let total = bundle(&mut names, "cpus:2;mem:64;ports:[10-20,30-40];disks:{a,b}");
        let used = bundle(&mut names, "cpus:3;mem:60;ports:[5-12,18-32];disks:{b,c};gpus:1");
        assert_eq!(names.resources(&total.without(&used)).to_string(), "mem:4;ports:[13-17,33-40];disks:{a}");
    }

    #[test]
    fn resources_are_worth_offering_from_any_of_the_quantities_on() {
        let mut names = Names::default();
        let minimum = [bundle(&mut names, "cpus:0.01"), bundle(&mut names, "mem:32;disk:5")];
        for worth in ["cpus:0.01", "mem:32;disk:5"] {
            assert!(bundle(&mut names, worth).is_worth_offering(&minimum), "{worth}");
        }
        for poor in ["", "cpus:0.009;mem:32", "ports:[1-9]"] {
            assert!(!bundle(&mut names, poor).is_worth_offering(&minimum), "{poor}");
        }
        assert!(bundle(&mut names, "ports:[1-9]").is_worth_offering(&[]));
        assert!(!Bundle::default().is_worth_offering(&[]));
    }
}
