//! A value of every kind, for tests of both directions.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Empty;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Wrapped(pub(super) u32);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pair(i64, String);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Loose {
    Number(f64),
    Text(String),
    Many(Vec<bool>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Tree {
    Nothing,
    Unit(()),
    Empty(Empty),
    Truth(bool),
    Unsigned(u64),
    Signed(i64),
    Small(i8, u8, u16, i16),
    Single(f32),
    Double(f64),
    Letter(char),
    Text(String),
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    Wrapped(Wrapped),
    Pair(Pair),
    Loose(Loose),
    Named { id: [u8; 4], maybe: Option<Box<Tree>> },
    Outcome(Result<(), String>),
    List(Vec<Tree>),
    Map(BTreeMap<u32, Tree>),
}

pub(super) fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Nothing),
        Just(Tree::Unit(())),
        Just(Tree::Empty(Empty)),
        any::<bool>().prop_map(Tree::Truth),
        (any::<u64>(), 0..64_u32).prop_map(|(value, shift)| Tree::Unsigned(value >> shift)),
        (any::<i64>(), 0..64_u32).prop_map(|(value, shift)| Tree::Signed(value >> shift)),
        any::<(i8, u8, u16, i16)>().prop_map(|(a, b, c, d)| Tree::Small(a, b, c, d)),
        any::<f32>().prop_map(Tree::Single),
        any::<f64>().prop_map(Tree::Double),
        any::<char>().prop_map(Tree::Letter),
        ".{0,40}".prop_map(Tree::Text),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Tree::Bytes),
        any::<u32>().prop_map(|value| Tree::Wrapped(Wrapped(value))),
        (any::<i64>(), ".{0,4}").prop_map(|(number, text)| Tree::Pair(Pair(number, text))),
        any::<f64>().prop_map(|value| Tree::Loose(Loose::Number(value))),
        ".{0,4}".prop_map(|text| Tree::Loose(Loose::Text(text))),
        proptest::collection::vec(any::<bool>(), 0..20).prop_map(|many| Tree::Loose(Loose::Many(many))),
        proptest::option::of(".{0,4}").prop_map(|error| Tree::Outcome(error.map_or(Ok(()), Err))),
    ];
    leaf.prop_recursive(4, 64, 20, |inner| {
        prop_oneof![
            (any::<[u8; 4]>(), proptest::option::of(inner.clone()))
                .prop_map(|(id, maybe)| Tree::Named { id, maybe: maybe.map(Box::new) }),
            proptest::collection::vec(inner.clone(), 0..20).prop_map(Tree::List),
            proptest::collection::btree_map(any::<u32>(), inner, 0..20).prop_map(Tree::Map),
        ]
    })
}
