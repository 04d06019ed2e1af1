//! Tests of schemas: what is seen of a type, and which two agree.

use super::*;
use crate::codec::{Asked, probe};
use crate::id::TaskId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::num::NonZeroU32;
use std::time::Duration;

/// The schema of a message of this type without a reply.
fn schema<T: DeserializeOwned>() -> Schema {
    Schema::traced(&probe::<T>, &probe::<()>)
}

/// The lines of a message of this type.
fn lines<T: DeserializeOwned>() -> Vec<String> {
    let schema = schema::<T>();
    schema.text().lines().filter(|line| line.starts_with("in")).map(str::to_owned).collect()
}

#[derive(Debug, Serialize, Deserialize)]
struct Add {
    amount: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct AddWithNote {
    amount: u64,
    #[serde(default)]
    label: String,
    note: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AddSigned {
    amount: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct AddMaybe {
    amount: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AddTwo {
    amount: u64,
    other: u64,
}

#[derive(Debug, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Pair(u8, Option<bool>),
    Square { side: f64 },
}

#[derive(Debug, Serialize, Deserialize)]
struct Tree {
    value: u8,
    below: Vec<Tree>,
}

/// Types with rules of their own, and what stands behind them.
#[derive(Debug, Serialize, Deserialize)]
struct Ruled {
    task_id: TaskId,
    wait: Duration,
    tasks: BTreeMap<TaskId, (TaskId, NonZeroU32)>,
    shape: Shape,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    #[serde(default)]
    last: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(f64),
    Text(String),
}

#[test]
fn fields_are_told_with_their_kind_and_whether_they_must_be_there() {
    assert_eq!(lines::<Add>(), ["in struct", "in.amount! u64"]);
    assert_eq!(lines::<AddWithNote>(), ["in struct", "in.amount! u64", "in.label text", "in.note ?text"]);
    assert_eq!(lines::<Option<Vec<u8>>>(), ["in ?list", "in[] u8"]);
    assert_eq!(lines::<Loose>(), ["in any"]);
}

#[test]
fn variants_lists_maps_and_types_with_rules_are_seen_through() {
    let told = [
        "in struct",
        "in.bytes! bytes",
        "in.last u32",
        "in.shape! enum",
        "in.shape|Circle f64",
        "in.shape|Pair list:2",
        "in.shape|Pair#0 u8",
        "in.shape|Pair#1 ?bool",
        "in.shape|Point unit",
        "in.shape|Square struct",
        "in.shape|Square.side! f64",
        "in.task_id! text",
        "in.tasks! map",
        "in.tasks<> text",
        "in.tasks{} list:2",
        "in.tasks{}#0 text",
        "in.tasks{}#1 u32",
        "in.wait! struct",
        "in.wait.nanos! u32",
        "in.wait.secs! u64",
    ];
    assert_eq!(lines::<Ruled>(), told);
}

#[test]
fn a_type_within_itself_ends() {
    assert_eq!(lines::<Tree>(), ["in struct", "in.below! list", "in.below[] again:0", "in.value! u8"]);
}

#[test]
fn an_optional_field_more_or_less_agrees_in_both_directions() {
    assert_eq!(schema::<Add>().hears(&schema::<AddWithNote>()), Ok(()));
    assert_eq!(schema::<AddWithNote>().hears(&schema::<Add>()), Ok(()));
    assert_ne!(schema::<Add>().fingerprint(), schema::<AddWithNote>().fingerprint());
    assert_eq!(schema::<AddMaybe>().hears(&schema::<Add>()), Ok(()), "what is always there may be read as optional");
}

#[test]
fn what_is_missing_or_of_another_kind_is_named() {
    let error = schema::<AddTwo>().hears(&schema::<Add>()).unwrap_err();
    assert_eq!(error, "in.other is missing, as the receiver reads it");
    assert_eq!(schema::<Add>().hears(&schema::<AddTwo>()), Ok(()), "the field is passed over");
    let error = schema::<Add>().hears(&schema::<AddSigned>()).unwrap_err();
    assert_eq!(error, "in.amount is i64, not u64, as the receiver reads it");
    let error = schema::<Add>().hears(&schema::<AddMaybe>()).unwrap_err();
    assert_eq!(error, "in.amount is ?u64, not u64, as the receiver reads it");
}

#[test]
fn the_order_of_fields_does_not_matter_nor_does_a_variant_more() {
    #[derive(Debug, Deserialize)]
    struct Turned {
        #[serde(rename = "note")]
        _note: Option<String>,
        #[serde(rename = "label", default)]
        _label: String,
        #[serde(rename = "amount")]
        _amount: u64,
    }
    #[derive(Debug, Deserialize)]
    enum Few {
        Point,
        Circle(#[expect(dead_code, reason = "only its type is looked at")] f64),
    }
    assert_eq!(schema::<Turned>().fingerprint(), schema::<AddWithNote>().fingerprint());
    assert_eq!(schema::<Few>().hears(&schema::<Shape>()), Ok(()));
    assert_eq!(schema::<Shape>().hears(&schema::<Few>()), Ok(()));
    assert_eq!(schema::<Loose>().hears(&schema::<f64>()), Ok(()), "what is not seen agrees");
    assert_eq!(
        schema::<(u8, u8)>().hears(&schema::<(u8, u8, u8)>()).unwrap_err().split(',').next(),
        Some("in is list:3")
    );
}

#[test]
fn a_reply_is_read_by_the_sender() {
    let replies = |reply: &dyn Fn(&[u8], usize) -> Probed| Schema::traced(&probe::<Add>, reply);
    let (one, two) = (replies(&probe::<Add>), replies(&probe::<AddTwo>));
    assert_eq!(two.hears(&one), Ok(()), "the sender passes the second field over");
    assert_eq!(one.hears(&two).unwrap_err(), "out.other is missing, as the sender reads the reply");
}

#[test]
fn what_is_no_schema_agrees_with_nothing_that_is_needed_and_does_not_panic() {
    for text in ["", "\n\n", "in", "in struct\nin.amount", "in.amount! u64\nin.amount u8\nin enum"] {
        let told = Schema::told(text);
        let _ = (schema::<Ruled>().hears(&told), told.hears(&schema::<Ruled>()));
    }
    assert!(schema::<Add>().hears(&Schema::told("in struct")).is_err());
}

#[test]
fn a_look_does_not_change_how_values_are_read() {
    assert_eq!(probe::<Add>(&[], 0).asked, Some(Asked::Struct("Add", &["amount"])));
    assert_eq!(probe::<Add>(&[0x81, 0xa6, b'a', b'm', b'o', b'u', b'n', b't', 7], 0).error, None);
    assert_eq!(probe::<Option<u8>>(&[], 1).asked, Some(Asked::Value("u8")));
    assert_eq!(probe::<Option<u8>>(&[0xc0], 1).error, None);
}
