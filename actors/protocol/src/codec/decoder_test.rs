//! What is written is read back the same, and what is not such bytes is refused.

use super::super::tree::{Empty, Tree, tree};
use super::super::{CodecError, decode, encode};
use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

const DEPTH_MAX: usize = 32;

fn refusal<T: DeserializeOwned + std::fmt::Debug>(bytes: &[u8]) -> String {
    let CodecError(text) = decode::<T>(bytes, DEPTH_MAX).unwrap_err();
    text
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_the_same_and_skipped_whole(value in tree()) {
        let bytes = encode(&value).unwrap();
        prop_assert_eq!(&decode::<Tree>(&bytes, DEPTH_MAX).unwrap(), &value);
        prop_assert_eq!(&rmp_serde::from_slice::<Tree>(&bytes).unwrap(), &value);
        prop_assert!(decode::<serde::de::IgnoredAny>(&bytes, DEPTH_MAX).is_ok());
    }

    #[test]
    fn a_value_that_is_cut_short_is_refused(value in tree(), part in 0.0..1.0_f64) {
        let bytes = encode(&value).unwrap();
        let cut = (bytes.len() as f64 * part) as usize;
        prop_assert!(decode::<Tree>(&bytes[..cut], DEPTH_MAX).is_err());
        prop_assert!(decode::<serde::de::IgnoredAny>(&bytes[..cut], DEPTH_MAX).is_err());
    }

    #[test]
    fn changed_bytes_are_read_or_refused_without_a_panic(value in tree(), at in any::<usize>(), byte in any::<u8>()) {
        let mut bytes = encode(&value).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = decode::<Tree>(&bytes, DEPTH_MAX);
    }
}

#[test]
fn texts_bytes_and_lists_of_any_length_are_read() {
    for length in [0_usize, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
        let value = (
            "x".repeat(length),
            serde_bytes::ByteBuf::from(vec![7; length]),
            vec![true; length],
            (0..length).collect::<std::collections::BTreeSet<_>>(),
            (0..length).map(|key| (key, ())).collect::<BTreeMap<_, _>>(),
        );
        let bytes = encode(&value).unwrap();
        assert_eq!(decode(&bytes, DEPTH_MAX), Ok(value), "{length}");
    }
}

#[test]
fn fields_are_found_in_any_order_also_behind_a_struct_with_the_same_ones() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        first: u8,
        #[serde(default)]
        second: u8,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        first: Inner,
        second: u8,
        third: Inner,
    }
    #[derive(Serialize)]
    struct One {
        first: u8,
    }
    #[derive(Serialize)]
    struct Ordered {
        first: Swapped,
        second: u8,
        third: One,
    }
    #[derive(Serialize)]
    struct Swapped {
        second: u8,
        first: u8,
    }
    #[derive(Serialize)]
    struct Mixed {
        third: One,
        second: u8,
        first: Swapped,
    }
    let ordered = Ordered { first: Swapped { second: 2, first: 1 }, second: 3, third: One { first: 4 } };
    let mixed = Mixed { third: One { first: 4 }, second: 3, first: Swapped { second: 2, first: 1 } };
    let read = Outer { first: Inner { first: 1, second: 2 }, second: 3, third: Inner { first: 4, second: 0 } };
    for bytes in [encode(&ordered).unwrap(), encode(&mixed).unwrap()] {
        assert_eq!(decode::<Outer>(&bytes, DEPTH_MAX).as_ref(), Ok(&read));
    }
}

#[test]
fn the_name_of_a_field_behind_the_marker_of_something_else_is_refused() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Long {
        one_long_name_of_just_32_letters: u8,
    }
    let name = b"one_long_name_of_just_32_letters";
    let read = |marker: &[u8]| decode::<Long>(&[&[0x81], marker, name, &[7]].concat(), DEPTH_MAX);
    assert_eq!(read(&[0xd9, 32]), Ok(Long { one_long_name_of_just_32_letters: 7 }));
    let empty_map = [0x80];
    assert!(read(&empty_map).is_err());
}

#[test]
fn fields_that_are_not_known_are_read_over() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Known {
        text: String,
        #[serde(default)]
        missing: Option<u8>,
    }
    let newer: BTreeMap<&str, Tree> = BTreeMap::from([(
        "later",
        Tree::List(vec![Tree::Nothing, Tree::Map(BTreeMap::from([(1, Tree::Truth(true))]))]),
    )]);
    let bytes = encode(&(newer, BTreeMap::from([("other", "a"), ("text", "b")]))).unwrap();
    let read = decode::<(serde::de::IgnoredAny, Known)>(&bytes, DEPTH_MAX).unwrap().1;
    assert_eq!(read, Known { text: "b".to_owned(), missing: None });
}

#[test]
fn what_is_of_another_kind_is_refused_and_named() {
    assert_eq!(refusal::<u8>(&encode(&"a").unwrap()), "invalid type: string \"a\", expected u8");
    assert_eq!(refusal::<u8>(&encode(&300).unwrap()), "invalid value: integer `300`, expected u8");
    assert_eq!(refusal::<String>(&encode(&7).unwrap()), "invalid type: integer `7`, expected a string");
    assert_eq!(refusal::<Vec<u8>>(&encode(&true).unwrap()), "invalid type: boolean `true`, expected a sequence");
    assert_eq!(refusal::<Empty>(&encode(&vec![1]).unwrap()), "invalid type: sequence, expected unit struct Empty");
    assert_eq!(refusal::<()>(&encode(&1.5).unwrap()), "invalid type: floating point `1.5`, expected unit");
    assert!(refusal::<Tree>(&encode(&"Twig").unwrap()).starts_with("unknown variant `Twig`"));
    assert!(refusal::<Tree>(&encode(&vec![1]).unwrap()).starts_with("invalid type: sequence, expected enum Tree"));
    assert!(refusal::<Tree>(&encode(&"List").unwrap()).contains("unit variant"));
}

#[test]
fn bytes_that_are_no_value_are_refused_with_their_reason() {
    assert_eq!(refusal::<u8>(&[]), "the bytes end where 1 more are announced and 0 are left");
    assert_eq!(refusal::<String>(&[0xa5, b'a']), "the bytes end where 5 more are announced and 1 are left");
    assert!(refusal::<String>(&[0xa1, 0xff]).starts_with("a text is not UTF-8"));
    assert_eq!(refusal::<u8>(&[0xc1]), "no value begins with the byte 0xc1");
    assert_eq!(refusal::<(u8, u8)>(&[0x93, 1, 2, 3]), "a list or map has 1 parts too many");
}

#[test]
fn a_value_may_be_nested_as_deep_as_told_and_no_deeper() {
    let nested = |depth: usize| (0..depth).fold(Tree::Nothing, |inner, _| Tree::List(vec![inner]));
    // Each level is a map of the variant's name to a list.
    let at_most = encode(&nested(DEPTH_MAX / 2)).unwrap();
    assert!(decode::<Tree>(&at_most, DEPTH_MAX).is_ok());
    assert_eq!(refusal::<Tree>(&encode(&nested(DEPTH_MAX / 2 + 1)).unwrap()), "nested too deep");
    let side_by_side = encode(&vec![nested(DEPTH_MAX / 2 - 1); 3]).unwrap();
    assert!(decode::<Vec<Tree>>(&side_by_side, DEPTH_MAX).is_ok(), "what is left counts no more");
}
