//! Messages as JSON, against an actor of this process.

use super::*;
use actix::Context;
use odeon_protocol::remote_message;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Add {
    amount: u64,
}
remote_message!(Add => u64, "examples.v1.Add");

/// Has no fields, and is written with braces.
#[derive(Debug, Serialize, Deserialize)]
struct Get {}
remote_message!(Get => u64, "examples.v1.Get");

/// Has no fields, and is written without braces.
#[derive(Debug, Serialize, Deserialize)]
struct Reset;
remote_message!(Reset => (), "examples.v1.Reset");

/// Ends like another one.
#[derive(Debug, Serialize, Deserialize)]
struct OtherGet {}
remote_message!(OtherGet => f64, "others.v1.Get");

struct Counter(u64);

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<Add> for Counter {
    type Result = u64;
    fn handle(&mut self, Add { amount }: Add, _: &mut Context<Self>) -> u64 {
        self.0 += amount;
        self.0
    }
}

impl Handler<Get> for Counter {
    type Result = u64;
    fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
        self.0
    }
}

impl Handler<Reset> for Counter {
    type Result = ();
    fn handle(&mut self, _: Reset, _: &mut Context<Self>) {
        self.0 = 0;
    }
}

impl Handler<OtherGet> for Counter {
    type Result = f64;
    fn handle(&mut self, _: OtherGet, _: &mut Context<Self>) -> f64 {
        0.5
    }
}

fn messages() -> Messages<Counter> {
    Messages::none().accept::<Add>().accept::<Get>().accept::<Reset>()
}

async fn asked(messages: &Messages<Counter>, actor: &Addr<Counter>, call: &str) -> Result<String, CallActorError> {
    messages.ask(actor, call)?.await
}

#[actix_rt::test]
async fn a_call_is_named_by_the_wire_name_or_its_last_part() {
    let (actor, messages) = (Counter(1).start(), messages());
    assert_eq!(asked(&messages, &actor, r#"{"Add": {"amount": 2}}"#).await, Ok("3".into()));
    assert_eq!(
        asked(&messages, &actor, r#"{"examples.v1.Add": {"amount": 18446744073709551612}}"#).await,
        Ok(u64::MAX.to_string())
    );
}

#[actix_rt::test]
async fn a_message_without_fields_is_called_by_its_name_alone() {
    let (actor, messages) = (Counter(7).start(), messages());
    for call in [r#""Get""#, r#"{"Get": {}}"#] {
        assert_eq!(asked(&messages, &actor, call).await, Ok("7".into()), "{call}");
    }
    assert_eq!(asked(&messages, &actor, r#""Reset""#).await, Ok("null".into()));
    assert_eq!(asked(&messages, &actor, r#""Get""#).await, Ok("0".into()));
}

#[actix_rt::test]
async fn a_tell_leaves_its_message_in_the_mailbox() {
    let (actor, messages) = (Counter(0).start(), messages());
    assert_eq!(messages.tell(&actor, r#"{"Add": {"amount": 5}}"#), Ok(()));
    assert_eq!(asked(&messages, &actor, r#""Get""#).await, Ok("5".into()));
}

#[actix_rt::test]
async fn what_is_wrong_with_a_call_is_told_and_nothing_reaches_the_actor() {
    let (actor, messages) = (Counter(7).start(), messages());
    for (call, told) in [
        ("{", "EOF"),
        ("7", "neither an object nor a text"),
        (r#"{"Add": {"amount": 1}, "Get": {}}"#, "2 keys"),
        ("{}", "0 keys"),
        (r#""Sub""#, "examples.v1.Add, examples.v1.Get, examples.v1.Reset"),
        (r#"{"Add": {"amount": 1, "amuont": 2}}"#, "examples.v1.Add: there is no field amuont"),
        (r#"{"Add": {"amount": -1}}"#, "examples.v1.Add: invalid value"),
        (r#""Add""#, "missing field `amount`"),
    ] {
        let error = messages.tell(&actor, call).unwrap_err().to_string();
        assert!(error.contains(told), "{call}: {error}");
    }
    assert_eq!(asked(&messages, &actor, r#""Get""#).await, Ok("7".into()));
}

#[actix_rt::test]
async fn a_name_that_two_messages_end_with_is_refused() {
    let (actor, messages) = (Counter(7).start(), messages().accept::<OtherGet>());
    let error = asked(&messages, &actor, r#""Get""#).await.unwrap_err();
    let candidates = vec!["examples.v1.Get".to_owned(), "others.v1.Get".to_owned()];
    assert_eq!(error, CallActorError::Ambiguous { name: "Get".into(), candidates });
    assert_eq!(asked(&messages, &actor, r#""others.v1.Get""#).await, Ok("0.5".into()));
}

#[test]
#[should_panic(expected = "examples.v1.Add is accepted twice")]
fn a_message_is_listed_once() {
    let _ = messages().accept::<Add>();
}
