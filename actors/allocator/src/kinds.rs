//! What each kind of resource means: its name, and its class. A kind is a name of a class.
//!
//! Kinds and names have dense numbers, so that the hot path compares integers. Names and classes that were
//! ever met keep their numbers.

use crate::bundle::Bundle;
use crate::totals::{Amounts, Sums};
use odeon_protocol::resources::{Class, Resources, Scalar, TypedResources};
use odeon_protocol::role::Role;
use std::collections::BTreeMap;

/// All kinds that were ever met.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    names: Vec<String>,
    numbers: BTreeMap<String, u32>,
    classes: Vec<Class>,
    class_numbers: BTreeMap<Class, u32>,
    kinds: Vec<Kind>,
    by_class_and_name: BTreeMap<(u32, u32), u32>,
}

/// What the allocator asks of a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// The number of the name; amounts of one name add up in shares and quota.
    pub(crate) name: u32,
    class: u32,
    pub(crate) is_plain: bool,
    pub(crate) is_reserved: bool,
    pub(crate) is_refined: bool,
    pub(crate) is_shared: bool,
    pub(crate) is_revocable: bool,
    /// Given out whole or not at all.
    pub(crate) is_whole: bool,
}

impl Kind {
    /// Whether its scalars count against quota when they are offered.
    pub(crate) fn is_quotable(self) -> bool {
        !self.is_reserved && !self.is_revocable
    }
}

impl Kinds {
    /// Translates; new names and classes get the next numbers.
    pub(crate) fn bundle(&mut self, resources: &TypedResources) -> Bundle {
        let mut bundle = Bundle::default();
        for (class, amounts) in resources.parts() {
            let class = self.class(class);
            for (name, amount) in amounts.scalars() {
                bundle.scalars.push((self.kind_number(class, name), amount.thousandths()));
            }
            for (name, ranges) in amounts.ranges() {
                bundle.ranges.push((self.kind_number(class, name), ranges.clone()));
            }
            for (name, items) in amounts.sets() {
                bundle.sets.push((self.kind_number(class, name), items.clone()));
            }
        }
        bundle.scalars.sort_unstable();
        bundle.ranges.sort_unstable_by_key(|(kind, _)| *kind);
        bundle.sets.sort_unstable_by_key(|(kind, _)| *kind);
        bundle
    }

    /// Translates back.
    pub(crate) fn resources(&self, bundle: &Bundle) -> TypedResources {
        let mut by_class: BTreeMap<u32, Resources> = BTreeMap::new();
        let mut set = |kind: u32, put: &dyn Fn(Resources, &str) -> Resources| {
            let Kind { class, name, .. } = self.kind(kind);
            let amounts = by_class.entry(class).or_default();
            *amounts = put(std::mem::take(amounts), self.name(name));
        };
        for (kind, amount) in &bundle.scalars {
            set(*kind, &|amounts, name| amounts.with_scalar(name, Scalar::from_thousandths(*amount)));
        }
        for (kind, ranges) in &bundle.ranges {
            set(*kind, &|amounts, name| amounts.with_ranges(name, ranges.clone()));
        }
        for (kind, items) in &bundle.sets {
            set(*kind, &|amounts, name| amounts.with_set(name, items.clone()));
        }
        let parts = by_class.into_iter().map(|(class, amounts)| (self.classes[class as usize].clone(), amounts));
        parts.fold(TypedResources::empty(), |all, (class, amounts)| all.with(class, amounts))
    }

    /// Sums as resources, for listings; what 64 bits do not hold is shown as the largest amount.
    pub(crate) fn sums(&self, sums: &Sums) -> Resources {
        self.names.iter().zip(sums.iter()).fold(Resources::empty(), |resources, (name, amount)| {
            let amount = u64::try_from(amount).unwrap_or(u64::MAX);
            resources.with_scalar(name, Scalar::from_thousandths(amount))
        })
    }

    /// The scalars by name, of the kinds that are wanted.
    pub(crate) fn amounts(&self, bundle: &Bundle, is_wanted: impl Fn(Kind) -> bool) -> Amounts {
        let scalars = bundle.scalars.iter().map(|(kind, amount)| (self.kind(*kind), *amount));
        scalars.filter(|(kind, _)| is_wanted(*kind)).map(|(kind, amount)| (kind.name, amount)).collect()
    }

    /// Whether a bundle is not nothing and holds at least one quantity, over all its kinds; without quantities,
    /// anything does.
    pub(crate) fn is_worth_offering(&self, bundle: &Bundle, minimum: &[Amounts]) -> bool {
        !bundle.is_empty() && (minimum.is_empty() || self.holds_any(bundle, minimum))
    }

    /// Whether a bundle holds at least one quantity, over all its kinds.
    pub(crate) fn holds_any(&self, bundle: &Bundle, quantities: &[Amounts]) -> bool {
        let holds =
            |quantity: &Amounts| quantity.iter().all(|(name, least)| self.amount(bundle, *name) >= u128::from(*least));
        quantities.iter().any(holds)
    }

    /// How much of a name a bundle holds, over all its kinds.
    pub(crate) fn amount(&self, bundle: &Bundle, name: u32) -> u128 {
        let scalars = bundle.scalars.iter().filter(|(kind, _)| self.kind(*kind).name == name);
        scalars.map(|(_, amount)| u128::from(*amount)).sum()
    }

    /// Scalars of a plain quantity, for minimum sizes.
    pub(crate) fn quantity(&mut self, resources: &Resources) -> Amounts {
        resources.scalars().map(|(name, amount)| (self.number(name), amount.thousandths())).collect()
    }

    pub(crate) fn kind(&self, kind: u32) -> Kind {
        self.kinds[kind as usize]
    }

    /// For whom a kind is reserved.
    pub(crate) fn reserved_for(&self, kind: u32) -> Option<&Role> {
        self.classes[self.kind(kind).class as usize].reserved_for()
    }

    /// Whether frameworks of a role may have this kind.
    pub(crate) fn is_for(&self, kind: u32, role: &Role) -> bool {
        let kind = self.kind(kind);
        !kind.is_reserved || self.classes[kind.class as usize].is_for(role)
    }

    pub(crate) fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    /// The number of a name; a new one gets the next.
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = next_number(self.names.len());
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }

    fn class(&mut self, class: &Class) -> u32 {
        if let Some(&number) = self.class_numbers.get(class) {
            return number;
        }
        let number = next_number(self.classes.len());
        self.class_numbers.insert(class.clone(), number);
        self.classes.push(class.clone());
        number
    }

    fn kind_number(&mut self, class: u32, name: &str) -> u32 {
        let name = self.number(name);
        if let Some(&kind) = self.by_class_and_name.get(&(class, name)) {
            return kind;
        }
        let meaning = &self.classes[class as usize];
        let kind = Kind {
            name,
            class,
            is_plain: meaning.is_plain(),
            is_reserved: !meaning.reservations.is_empty(),
            is_refined: meaning.is_refined(),
            is_shared: meaning.is_shared,
            is_revocable: meaning.is_revocable,
            is_whole: meaning.is_whole(),
        };
        let number = next_number(self.kinds.len());
        self.kinds.push(kind);
        self.by_class_and_name.insert((class, name), number);
        number
    }
}

fn next_number(count: usize) -> u32 {
    u32::try_from(count).expect("4 billion names do not fit into memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_one_name_are_kinds_of_their_own_and_translate_back() {
        let mut kinds = Kinds::default();
        let text = "cpus:2;mem:64;cpus(a):3;disk(a)[id=v,shared]:5;ports(a):[1-3]";
        let bundle = kinds.bundle(&text.parse().unwrap());
        assert_eq!(bundle.kinds().count(), 5);
        assert_eq!(
            kinds.resources(&bundle).to_string(),
            text.replace("ports(a):[1-3]", "")
                .trim_end_matches(';')
                .to_owned()
                .replace("cpus(a):3;", "cpus(a):3;ports(a):[1-3];")
        );
        let cpus = kinds.number("cpus");
        let all = kinds.amounts(&bundle, |_| true);
        assert_eq!(all.iter().filter(|(name, _)| *name == cpus).map(|(_, amount)| amount).sum::<u64>(), 5000);
        assert_eq!(kinds.amounts(&bundle, Kind::is_quotable).len(), 2);
    }

    #[test]
    fn resources_are_worth_offering_from_any_of_the_quantities_on_over_all_kinds() {
        let mut kinds = Kinds::default();
        let minimum = ["cpus:0.01", "mem:32;disk:5"].map(|text| kinds.quantity(&text.parse().unwrap()));
        let mut is_worth = |text: &str, minimum: &[Amounts]| {
            let bundle = kinds.bundle(&text.parse().unwrap());
            kinds.is_worth_offering(&bundle, minimum)
        };
        for worth in ["cpus:0.01", "mem:32;disk:5", "cpus:0.005;cpus(a):0.005"] {
            assert!(is_worth(worth, &minimum), "{worth}");
        }
        for poor in ["", "cpus:0.009;mem:32", "ports:[1-9]"] {
            assert!(!is_worth(poor, &minimum), "{poor}");
        }
        assert!(is_worth("ports:[1-9]", &[]) && !is_worth("", &[]));
    }
}
