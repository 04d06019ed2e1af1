//! Resources by the dense number of their kind: what the allocator computes with, many times for each offer.
//!
//! The rules are those of `Resources`, and a test holds the two together; the gain is that nothing here
//! compares or copies text. `Kinds` translates at the border of the crate, and knows what a kind means.

use odeon_protocol::resources::{Range, Ranges};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

/// Values of one kind by number, sorted; nothing is not kept.
pub(crate) type Values<T> = Vec<(u32, T)>;

/// Amounts of numbered resources.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bundle {
    /// In thousandths.
    pub(crate) scalars: Values<u64>,
    pub(crate) ranges: Values<Ranges>,
    pub(crate) sets: Values<BTreeSet<String>>,
}

impl Bundle {
    /// Nothing, shared by all who hold nothing.
    pub(crate) fn nothing() -> Arc<Self> {
        static NOTHING: LazyLock<Arc<Bundle>> = LazyLock::new(Arc::default);
        Arc::clone(&NOTHING)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.scalars.is_empty() && self.ranges.is_empty() && self.sets.is_empty()
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

    /// As [`Self::checked_add`], without a copy if one of both is nothing.
    pub(crate) fn joined(one: &Arc<Self>, other: &Arc<Self>) -> Option<Arc<Self>> {
        match (one.is_empty(), other.is_empty()) {
            (true, _) => Some(Arc::clone(other)),
            (_, true) => Some(Arc::clone(one)),
            _ => one.checked_add(other).map(Arc::new),
        }
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

    /// The amount of a scalar.
    pub(crate) fn scalar(&self, kind: u32) -> u64 {
        value(&self.scalars, kind).copied().unwrap_or_default()
    }

    /// The part that is of certain kinds.
    pub(crate) fn only(&self, is_wanted: impl Fn(u32) -> bool) -> Self {
        Self {
            scalars: self.scalars.iter().filter(|(kind, _)| is_wanted(*kind)).copied().collect(),
            ranges: self.ranges.iter().filter(|(kind, _)| is_wanted(*kind)).cloned().collect(),
            sets: self.sets.iter().filter(|(kind, _)| is_wanted(*kind)).cloned().collect(),
        }
    }

    /// Whether all that it holds is of certain kinds.
    pub(crate) fn is_only(&self, is_wanted: impl Fn(u32) -> bool) -> bool {
        self.kinds().all(is_wanted)
    }

    /// The kinds of which it holds something.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = u32> {
        let scalars = self.scalars.iter().map(|(kind, _)| *kind);
        scalars.chain(self.ranges.iter().map(|(kind, _)| *kind)).chain(self.sets.iter().map(|(kind, _)| *kind))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Kinds;
    use odeon_protocol::resources::{Resources, Scalar, TypedResources};
    use proptest::prelude::*;

    fn bundle(kinds: &mut Kinds, text: &str) -> Bundle {
        kinds.bundle(&text.parse().unwrap())
    }

    /// Resources of few names and small values, so that parts and overlaps are frequent.
    fn resources() -> impl Strategy<Value = TypedResources> {
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
            sets.into_iter().fold(resources, |resources, (name, items)| resources.with_set(&name, items)).into()
        })
    }

    proptest! {
        #[test]
        fn bundles_follow_the_rules_of_resources(a in resources(), b in resources()) {
            let mut names = Kinds::default();
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
        let mut names = Kinds::default();
        let total = bundle(&mut names, "cpus:2;mem:64;ports:[10-20,30-40];disks:{a,b}");
        let used = bundle(&mut names, "cpus:3;mem:60;ports:[5-12,18-32];disks:{b,c};gpus:1");
        assert_eq!(names.resources(&total.without(&used)).to_string(), "mem:4;ports:[13-17,33-40];disks:{a}");
    }
}
