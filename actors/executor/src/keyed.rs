//! The actors of a deployment by key: each key has one actor, and few keys move when there are more or fewer.

use crate::directory::{Directory, NamedActor};
use std::fmt;

/// The actors of a deployment, of which each owns a part of all keys.
///
/// Which one depends on the key and on their number alone, so that all who ask agree. When their number changes from
/// n to m > n, a share of (m − n)/m of the keys moves, all to the new ones; moving what they stand for is the actors' own
/// matter.
pub struct KeyedActors<I> {
    actors: Vec<NamedActor<I>>,
}

impl<I> fmt::Debug for KeyedActors<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.actors).finish()
    }
}

impl Directory {
    /// The actors of a deployment by key. `instances` is how many it has, at least 1.
    #[must_use]
    pub fn keyed<I>(&self, deployment: &str, instances: u32) -> KeyedActors<I> {
        KeyedActors { actors: (0..instances.max(1)).map(|index| self.actor(format!("{deployment}/{index}"))).collect() }
    }
}

impl<I> KeyedActors<I> {
    /// The actor that owns a key.
    #[must_use]
    pub fn of(&self, key: impl AsRef<[u8]>) -> &NamedActor<I> {
        let count = u32::try_from(self.actors.len()).expect("made from a number of 32 bits");
        &self.actors[owner(hash(key.as_ref()), count) as usize]
    }

    /// All of them, in the order of their indices.
    pub fn iter(&self) -> impl Iterator<Item = &NamedActor<I>> {
        self.actors.iter()
    }
}

/// FNV-1a with 64 bits, and the finalizer of SplitMix64 behind it: short keys differ in few bits.
fn hash(key: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let mut hash = key.iter().fold(0xcbf2_9ce4_8422_2325, step);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Which of `count` buckets a hash falls into: jump consistent hash (Lamping and Veach, 2014).
fn owner(mut hash: u64, count: u32) -> u32 {
    let (mut bucket, mut next) = (0, 0);
    while next < u64::from(count) {
        bucket = next;
        hash = hash.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        // The next number of buckets at which the key moves; the divisor is a number of 31 bits.
        let divisor = (hash >> 33) + 1;
        next = u64::try_from((u128::from(bucket + 1) << 31) / u128::from(divisor)).unwrap_or(u64::MAX);
    }
    u32::try_from(bucket).expect("below a number of 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(count: u32) -> Vec<u32> {
        (0..10_000_u32).map(|key| owner(hash(format!("key-{key}").as_bytes()), count)).collect()
    }

    #[test]
    fn each_actor_owns_about_as_many_keys_as_any_other() {
        let owners = owners(8);
        for actor in 0..8 {
            let owned = owners.iter().filter(|owner| **owner == actor).count();
            assert!((1_100..1_400).contains(&owned), "{actor} owns {owned} of 10,000");
        }
    }

    #[test]
    fn with_one_actor_more_only_its_own_keys_move() {
        let (before, after) = (owners(8), owners(9));
        let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
        assert!(moved.iter().all(|(_, after)| **after == 8), "a key moves to the new one only");
        assert!((950..1_300).contains(&moved.len()), "{} of 10,000 moved, a ninth is 1,111", moved.len());
    }

    #[test]
    fn the_owner_of_a_key_never_changes_between_releases() {
        let of = |key: &str, count| owner(hash(key.as_bytes()), count);
        assert_eq!([of("a", 1), of("a", 10), of("b", 10), of("", 10), of("word", 1000)], [0, 9, 3, 5, 265]);
    }
}
