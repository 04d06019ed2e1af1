//! Nodes of different builds: what agrees is heard, what does not is refused with both named, and the link stays.

use actix::{Actor, Context, Handler};
use odeon_protocol::{interface, remote_message};
use odeon_runtime::{Endpoint, Exports, InMemoryNetwork, Node, Peer, PeerError};
use serde::{Deserialize, Serialize};

/// The messages as the build of the actor has them.
mod here {
    use super::{Deserialize, Serialize, interface, remote_message};

    #[derive(Debug, Serialize, Deserialize)]
    pub(crate) struct Add {
        pub(crate) amount: u64,
        #[serde(default)]
        pub(crate) label: String,
    }
    remote_message!(Add => u64, "schemas.v1.Add");

    #[derive(Debug, Serialize, Deserialize)]
    pub(crate) struct Take {
        pub(crate) amount: u64,
    }
    remote_message!(Take => u64, "schemas.v1.Take");

    #[derive(Debug, Serialize, Deserialize)]
    pub(crate) struct Fill {
        pub(crate) blocks: u64,
    }
    remote_message!(Fill => u64, "schemas.v1.Fill", Bulk);

    #[derive(Debug, Serialize, Deserialize)]
    pub(crate) struct Count {}
    remote_message!(Count => u64, "schemas.v1.Count");

    interface! { pub(crate) Api: Add, Take, Fill, Count }
}

/// As another build has them.
mod there {
    use super::{Deserialize, Serialize, interface, remote_message};

    #[derive(Debug, Serialize, Deserialize)]
    pub(crate) struct Add {
        pub(crate) amount: u64,
        pub(crate) note: Option<u8>,
    }
    remote_message!(Add => u64, "schemas.v1.Add");

    #[derive(Debug, Serialize, Deserialize)]
    pub(crate) struct Take {
        pub(crate) amount: i64,
    }
    remote_message!(Take => u64, "schemas.v1.Take");

    #[derive(Debug, Serialize, Deserialize)]
    pub(crate) struct Fill {
        pub(crate) bytes: u64,
    }
    remote_message!(Fill => u64, "schemas.v1.Fill", Bulk);

    #[derive(Debug, Serialize, Deserialize)]
    pub(crate) struct Count {}
    remote_message!(Count => String, "schemas.v1.Count");

    interface! { pub(crate) Api: Add, Take, Fill, Count }
}

struct Sum(u64);

impl Actor for Sum {
    type Context = Context<Self>;
}

macro_rules! adds {
    ($($message:ident $field:ident),+) => {
        $(impl Handler<here::$message> for Sum {
            type Result = u64;
            fn handle(&mut self, message: here::$message, _: &mut Self::Context) -> u64 {
                self.0 += message.$field;
                self.0
            }
        })+
    };
}
adds! { Add amount, Take amount, Fill blocks }

impl Handler<here::Count> for Sum {
    type Result = u64;
    fn handle(&mut self, _: here::Count, _: &mut Self::Context) -> u64 {
        self.0
    }
}

/// A node with the actor, and two that dial it: one of the same build, one of another.
async fn nodes() -> (Node, Peer<here::Api>, Peer<there::Api>) {
    tokio::time::pause();
    let network = InMemoryNetwork::new(1);
    let node = async |name: &str, incarnation, build: &str| {
        let builder = Node::builder(name).incarnation(incarnation).transport(network.host(name));
        builder.build(build).start().await.expect("the builder is complete")
    };
    let home = node("home", 1, "counter 2").await;
    home.listen("home:1").await.expect("the address is free");
    let sum = Sum(0).start();
    let exports = Exports::new().accept::<here::Add, _>(&sum).accept::<here::Take, _>(&sum);
    home.export("sum", exports.accept::<here::Fill, _>(&sum).accept::<here::Count, _>(&sum));
    let (same, other) = (node("same", 2, "counter 2").await, node("other", 3, "counter 1").await);
    let at = Endpoint::new("home:1");
    (home, same.peer_at(&at, "sum"), other.peer_at(&at, "sum"))
}

#[actix_rt::test]
async fn what_agrees_is_heard_from_another_build_and_what_does_not_is_refused_with_both_versions() {
    let (_home, same, other) = nodes().await;
    assert_eq!(other.send(there::Add { amount: 1, note: Some(7) }).await, Ok(1));
    let refused = other.send(there::Take { amount: 2 }).await.unwrap_err();
    let PeerError::OtherSchema { message, difference, sent, heard } = &refused else { panic!("{refused}") };
    assert_eq!(message, "schemas.v1.Take");
    assert_eq!(difference, "in.amount is i64, not u64, as the receiver reads it");
    assert!(sent.ends_with(" of counter 1") && heard.ends_with(" of counter 2"), "{sent} {heard}");
    assert_ne!(sent[..16], heard[..16], "both fingerprints");
    assert!(!refused.retry_can_help() && !refused.may_have_run());
    assert_eq!(other.send(there::Add { amount: 3, note: None }).await, Ok(4), "the link stays");
    assert_eq!(same.send(here::Take { amount: 5 }).await, Ok(9));
    assert_eq!(same.send(here::Add { amount: 0, label: "none".into() }).await, Ok(9));
}

#[actix_rt::test]
async fn a_missing_field_on_the_bulk_lane_and_another_reply_are_refused_as_well() {
    let (_home, same, other) = nodes().await;
    let refused = other.send(there::Fill { bytes: 2 }).await.unwrap_err().to_string();
    assert!(refused.contains("in.blocks is missing"), "{refused}");
    let refused = other.send(there::Count {}).await.unwrap_err().to_string();
    assert!(refused.contains("out is u64, not text, as the sender reads the reply"), "{refused}");
    assert_eq!(same.send(here::Fill { blocks: 1 }).await, Ok(1));
    assert_eq!(same.send(here::Count {}).await, Ok(1));
}

#[actix_rt::test]
async fn a_tell_of_another_schema_is_dropped_and_counted() {
    let (home, same, other) = nodes().await;
    other.try_tell(there::Take { amount: 2 }).unwrap();
    other.try_tell(there::Add { amount: 3, note: None }).unwrap();
    assert_eq!(other.send(there::Add { amount: 0, note: None }).await, Ok(3));
    assert_eq!(home.counters().tells_dropped, 1);
    assert_eq!(same.send(here::Count {}).await, Ok(3));
}
