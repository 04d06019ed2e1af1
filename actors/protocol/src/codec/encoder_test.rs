//! What is written are the bytes of `rmp-serde`, for every kind of value.

use super::super::{decode, encode, tree::tree};
use proptest::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Flat {
    a: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, i64>,
}

#[derive(Serialize)]
struct Sparse {
    #[serde(skip_serializing_if = "Option::is_none")]
    maybe: Option<f32>,
    number: i16,
}

fn reference<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap()
}

proptest! {
    #[test]
    fn the_bytes_are_those_of_rmp_serde(value in tree()) {
        prop_assert_eq!(encode(&value).unwrap(), reference(&value));
    }

    #[test]
    fn fields_that_are_counted_late_are_written_the_same(
        a in any::<u8>(),
        rest in proptest::collection::btree_map("[b-z]{1,3}", any::<i64>(), 0..40),
    ) {
        let value = vec![Flat { a, rest }];
        prop_assert_eq!(encode(&value).unwrap(), reference(&value));
    }
}

#[test]
fn numbers_at_each_border_take_the_fewest_bytes() {
    let unsigned: Vec<u64> = (0..64).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1]).collect();
    let signed: Vec<i64> =
        (0..63).flat_map(|bits| [-(1 << bits) - 1, -(1 << bits), 1 - (1 << bits), 1 << bits]).collect();
    assert_eq!(encode(&unsigned).unwrap(), reference(&unsigned));
    assert_eq!(encode(&signed).unwrap(), reference(&signed));
}

#[test]
fn texts_bytes_lists_and_maps_of_any_length_are_written_the_same() {
    for length in [0_usize, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
        let value = (
            "x".repeat(length),
            serde_bytes::ByteBuf::from(vec![7; length]),
            vec![true; length],
            (0..length).map(|key| (key, ())).collect::<BTreeMap<_, _>>(),
        );
        assert_eq!(encode(&value).unwrap(), reference(&value), "{length}");
    }
}

#[test]
fn a_field_that_is_left_out_is_not_counted() {
    let values = [Sparse { maybe: None, number: -1 }, Sparse { maybe: Some(1.5), number: 300 }];
    assert_eq!(encode(&values).unwrap(), reference(&values));
    let read: Vec<BTreeMap<String, f64>> = decode(&encode(&values).unwrap(), 8).unwrap();
    assert_eq!(read.iter().map(BTreeMap::len).collect::<Vec<_>>(), [1, 2]);
}
