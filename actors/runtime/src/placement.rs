//! Which member of a group a key belongs to, and what moves when the members change. Pure.
//!
//! The member with the highest score for a key has it; a score depends on the names of both and on nothing else. So all
//! who know the same members agree without a word, whatever order they heard of them in, and a member that comes or goes
//! moves no key between two others.
//!
//! Source: Thaler and Ravishankar, *Using name-based mappings to increase hit rates*, IEEE/ACM Transactions on Networking
//! 6(1), 1998 (highest random weight).

use crate::name::ActorName;
use std::collections::BTreeSet;

/// The member that has a key; none if there are no members. It looks at each member: meant for hundreds, not millions.
pub(crate) fn owner<'a>(members: impl IntoIterator<Item = &'a ActorName>, key: &[u8]) -> Option<&'a ActorName> {
    let key = digest(key);
    members.into_iter().max_by_key(|member| (mixed(key ^ mixed(digest(member.as_str().as_bytes()))), *member))
}

/// What a change of the members of a group means for those who keep something for its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    before: BTreeSet<ActorName>,
    after: BTreeSet<ActorName>,
}

/// A key that has another member than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved<'a> {
    /// Who had it; none if the group was empty.
    pub from: Option<&'a ActorName>,
    /// Who has it now; none if the group is empty.
    pub to: Option<&'a ActorName>,
}

impl HandOver {
    /// Between these members and those.
    #[must_use]
    pub fn new(before: BTreeSet<ActorName>, after: BTreeSet<ActorName>) -> Self {
        Self { before, after }
    }

    /// Who is a member now and was none before, in order.
    pub fn joined(&self) -> impl Iterator<Item = &ActorName> {
        self.after.difference(&self.before)
    }

    /// Who was a member and is none any more, in order.
    pub fn left(&self) -> impl Iterator<Item = &ActorName> {
        self.before.difference(&self.after)
    }

    /// Where a key went; none if it stays where it was. Whoever keeps keys asks this of each.
    #[must_use]
    pub fn moved(&self, key: &[u8]) -> Option<Moved<'_>> {
        let (from, to) = (owner(&self.before, key), owner(&self.after, key));
        (from != to).then_some(Moved { from, to })
    }
}

/// A number for some bytes, the same on every machine and in every build: FNV-1a with 64 bits.
fn digest(bytes: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes.iter().fold(BASIS, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// Spreads what differs in few bits over all of them: the finisher of SplitMix64.
fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(count: usize) -> BTreeSet<ActorName> {
        (0..count).map(|index| ActorName::of_role("shard", index).unwrap()).collect()
    }

    fn keys() -> impl Iterator<Item = [u8; 4]> {
        (0..20_000_u32).map(u32::to_be_bytes)
    }

    #[test]
    fn every_member_has_its_part_of_the_keys() {
        let members = members(5);
        for member in &members {
            let count = keys().filter(|key| owner(&members, key) == Some(member)).count();
            assert!((3_700..=4_300).contains(&count), "{member} has {count} of 20,000");
        }
        assert_eq!(owner(&BTreeSet::new(), b"key"), None);
    }

    #[test]
    fn the_order_of_the_members_does_not_matter() {
        let members = members(7);
        assert!(keys().all(|key| owner(&members, &key) == owner(members.iter().rev(), &key)));
    }

    #[test]
    fn a_member_that_joins_or_leaves_moves_no_key_between_two_others() {
        let (few, many) = (members(4), members(5));
        let newest = many.last();
        let joining = HandOver::new(few.clone(), many.clone());
        assert_eq!((joining.joined().collect::<Vec<_>>(), joining.left().count()), (vec![newest.unwrap()], 0));
        let leaving = HandOver::new(many.clone(), few.clone());
        assert_eq!((leaving.left().collect::<Vec<_>>(), leaving.joined().count()), (vec![newest.unwrap()], 0));
        let mut moved_count = 0;
        for key in keys() {
            let Some(moved) = joining.moved(&key) else {
                assert_eq!(leaving.moved(&key), None);
                continue;
            };
            assert_eq!((moved.from, moved.to), (owner(&few, &key), newest));
            assert_eq!(leaving.moved(&key), Some(Moved { from: moved.to, to: moved.from }));
            moved_count += 1;
        }
        assert!((3_700..=4_300).contains(&moved_count), "{moved_count} of 20,000");
    }

    #[test]
    fn where_a_key_goes_is_the_same_in_every_build() {
        let members = members(3);
        let owners: Vec<&str> =
            ["a", "b", "c", "d", "e", "f"].map(|key| owner(&members, key.as_bytes()).unwrap().as_str()).to_vec();
        assert_eq!(owners, ["shard/0", "shard/2", "shard/1", "shard/2", "shard/0", "shard/0"]);
    }
}
