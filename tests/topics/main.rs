//! Topics with the real registry, over nodes on a network in memory: the same body for a subscriber on the publisher's node
//! and on another one.

use actix::{AsyncContext, Message};
use odeon::prelude::*;
use odeon_deployer::TopicRegistry;
use odeon_executor::{Publisher, SubscribeError, Subscription, TopicEvent};
use odeon_runtime::testkit::node_on;
use odeon_runtime::{FabricLimits, InMemoryNetwork, Supervised};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Price(u64);
remote_message!(Price => (), "tests.v1.Price");

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Trade;
remote_message!(Trade => (), "tests.v1.Trade");

/// A master's node with the registry, and two others that listen.
struct Stage {
    network: InMemoryNetwork,
    master: Node,
    registry: Supervised,
    here: Node,
    there: Node,
}

impl Stage {
    async fn start() -> Self {
        tokio::time::pause();
        let network = InMemoryNetwork::new(1);
        let node = async |name: &str, incarnation| {
            let node = node_on(&network, name, incarnation, FabricLimits::DEFAULT).await;
            node.listen(format!("{name}:1")).await.expect("a new network has room");
            node
        };
        let (master, here, there) = (node("master", 1).await, node("here", 2).await, node("there", 3).await);
        let registry = TopicRegistry::start(&master, 7);
        Self { network, master, registry, here, there }
    }

    fn directory(&self, node: &Node) -> Directory {
        Directory::at(node, &Endpoint::new("master:1"))
    }

    /// The nodes of a subscriber: that of the publisher, which is `here`, and another one.
    fn near_and_far(&self) -> [Node; 2] {
        [self.here.clone(), self.there.clone()]
    }

    async fn subscribe(&self, node: &Node, capacity: usize) -> Subscription<Price> {
        self.directory(node).subscribe("prices", capacity).await.expect("the registry answers")
    }

    /// A publisher that knows so many subscribers.
    async fn publisher(&self, count: usize) -> Publisher<Price> {
        let mut publisher = self.directory(&self.here).publisher("prices").await.expect("the registry answers");
        publisher.reaches(count).await;
        publisher
    }
}

fn publish(publisher: &mut Publisher<Price>, prices: impl IntoIterator<Item = u64>) {
    for price in prices {
        publisher.publish(&Price(price)).expect("a price can be written");
    }
}

async fn price(subscription: &mut Subscription<Price>) -> Result<u64, u64> {
    match subscription.recv().await {
        TopicEvent::Message { message: Price(price), .. } => Ok(price),
        TopicEvent::Missed { count, .. } => Err(count),
    }
}

/// Lets all that is on its way arrive.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[actix_rt::test]
async fn a_subscriber_hears_what_is_published_in_order_near_and_far() {
    let stage = Stage::start().await;
    for node in stage.near_and_far() {
        let mut subscription = stage.subscribe(&node, 100).await;
        let mut publisher = stage.publisher(1).await;
        publish(&mut publisher, 0..50);
        for expected in 0..50 {
            assert_eq!(price(&mut subscription).await, Ok(expected));
        }
        drop(subscription);
        publisher.reaches(0).await;
    }
}

#[actix_rt::test]
async fn a_slow_subscriber_keeps_what_it_has_room_for_and_is_told_what_it_missed_near_and_far() {
    let stage = Stage::start().await;
    for node in stage.near_and_far() {
        let (mut slow, mut quick) = (stage.subscribe(&node, 10).await, stage.subscribe(&node, 1000).await);
        let mut publisher = stage.publisher(2).await;
        publish(&mut publisher, 0..30);
        settle().await;
        for expected in 0..10 {
            assert_eq!(price(&mut slow).await, Ok(expected));
        }
        publish(&mut publisher, [30]);
        settle().await;
        assert_eq!((price(&mut slow).await, price(&mut slow).await), (Err(20), Ok(30)));
        for expected in 0..=30 {
            assert_eq!(price(&mut quick).await, Ok(expected), "the other one misses nothing");
        }
        drop((slow, quick));
        publisher.reaches(0).await;
    }
}

#[actix_rt::test]
async fn a_subscriber_whose_node_ends_is_forgotten_and_the_others_hear_on() {
    let stage = Stage::start().await;
    let (mut near, far) = (stage.subscribe(&stage.here, 10).await, stage.subscribe(&stage.there, 10).await);
    let mut publisher = stage.publisher(2).await;
    stage.there.shut_down();
    publisher.reaches(1).await;
    publish(&mut publisher, [1]);
    assert_eq!(price(&mut near).await, Ok(1));
    drop(far);
}

#[actix_rt::test]
async fn a_registry_that_begins_anew_loses_no_message_of_those_who_subscribe() {
    let stage = Stage::start().await;
    let (mut near, mut far) = (stage.subscribe(&stage.here, 100).await, stage.subscribe(&stage.there, 100).await);
    let mut publisher = stage.publisher(2).await;
    stage.registry.stop();
    stage.registry.ended().await;
    let _again = TopicRegistry::start(&stage.master, 8);
    for number in 0..60 {
        publish(&mut publisher, [number]);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    for expected in 0..60 {
        assert_eq!((price(&mut near).await, price(&mut far).await), (Ok(expected), Ok(expected)));
    }
    let late = stage.subscribe(&stage.there, 10).await;
    publisher.reaches(3).await;
    drop(late);
}

#[actix_rt::test]
async fn messages_that_a_cut_link_loses_are_counted_when_it_is_back() {
    let stage = Stage::start().await;
    let mut far = stage.subscribe(&stage.there, 100).await;
    let mut publisher = stage.publisher(1).await;
    publish(&mut publisher, [0]);
    assert_eq!(price(&mut far).await, Ok(0));
    stage.network.cut("here", "there");
    publish(&mut publisher, 1..=5);
    tokio::time::sleep(Duration::from_secs(30)).await;
    stage.network.heal("here", "there");
    let mut arrived = None;
    for number in 6..200 {
        publish(&mut publisher, [number]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        arrived = far.try_recv();
        if arrived.is_some() {
            break;
        }
    }
    let Some(TopicEvent::Missed { count, .. }) = arrived else { panic!("{arrived:?}") };
    assert_eq!(price(&mut far).await, Ok(1 + count), "all before it are counted");
}

#[actix_rt::test]
async fn a_topic_carries_one_type_of_message_and_a_node_that_does_not_listen_cannot_subscribe() {
    let stage = Stage::start().await;
    let _prices = stage.subscribe(&stage.here, 10).await;
    let directory = stage.directory(&stage.there);
    let refused = directory.subscribe::<Trade>("prices", 10).await.unwrap_err();
    assert_eq!(refused.to_string(), "the topic prices carries tests.v1.Price, not tests.v1.Trade");
    assert_eq!(directory.publisher::<Trade>("prices").await.unwrap_err(), refused);
    let mute = node_on(&stage.network, "mute", 4, FabricLimits::DEFAULT).await;
    let refused = stage.directory(&mute).subscribe::<Price>("prices", 10).await.unwrap_err();
    assert_eq!(refused, SubscribeError::NotListening("mute".into()));
}

/// Takes a topic as a stream.
struct Summing {
    sum: u64,
}

impl Actor for Summing {
    type Context = Context<Self>;
}

impl actix::StreamHandler<TopicEvent<Price>> for Summing {
    fn handle(&mut self, event: TopicEvent<Price>, _: &mut Self::Context) {
        if let TopicEvent::Message { message: Price(price), .. } = event {
            self.sum += price;
        }
    }
}

struct Sum;
impl Message for Sum {
    type Result = u64;
}

impl Handler<Sum> for Summing {
    type Result = u64;
    fn handle(&mut self, _: Sum, _: &mut Self::Context) -> u64 {
        self.sum
    }
}

#[actix_rt::test]
async fn an_actor_takes_a_topic_as_a_stream_near_and_far() {
    let stage = Stage::start().await;
    for (index, node) in stage.near_and_far().into_iter().enumerate() {
        let stream = stage.subscribe(&node, 100).await.into_stream();
        let summing = Summing::create(|context| {
            context.add_stream(stream);
            Summing { sum: 0 }
        });
        let mut publisher = stage.publisher(index + 1).await;
        publish(&mut publisher, 1..=10);
        settle().await;
        assert_eq!(summing.send(Sum).await, Ok(55));
    }
}
