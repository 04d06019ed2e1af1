//! The registry of topics, without anybody who listens.

use super::*;

fn at(seconds: u64) -> Moment {
    Moment::at_ms(seconds * 1000)
}

fn subscriber(node: &str) -> ActorLocation {
    ActorLocation { actor: "subscription/0".into(), endpoint: format!("{node}:1"), node: node.into(), incarnation: 1 }
}

fn subscription(topic: &str, node: &str) -> SubscribeToTopic {
    SubscribeToTopic { topic: topic.into(), message: "m.v1.Price".into(), subscriber: subscriber(node) }
}

fn question(topic: &str, seen: Option<Revision>) -> WatchTopic {
    WatchTopic { topic: topic.into(), message: "m.v1.Price".into(), seen }
}

struct Play {
    core: TopicsCore,
    out: Vec<TopicsEffect>,
}

impl Play {
    /// A registry that has begun a lease ago.
    fn settled() -> Self {
        let mut play = Self { core: TopicsCore::new(7, at(0)), out: Vec::new() };
        play.core.on_timer(at(20), &mut play.out);
        play
    }

    fn subscribe(&mut self, topic: &str, node: &str, seconds: u64) {
        self.core.on_subscribe(subscription(topic, node), at(seconds), &mut self.out).unwrap();
    }

    fn seen(&mut self, topic: &str, seconds: u64) -> TopicSeen {
        match self.core.on_watch(question(topic, None), at(seconds)) {
            Hold::Answered(answer) => answer.unwrap(),
            Hold::Held(id) => panic!("{id} is held"),
        }
    }

    fn hold(&mut self, topic: &str, seconds: u64) -> QuestionId {
        let seen = self.seen(topic, seconds).revision;
        match self.core.on_watch(question(topic, Some(seen)), at(seconds)) {
            Hold::Held(id) => id,
            Hold::Answered(answer) => panic!("it was answered: {answer:?}"),
        }
    }

    /// Which subscribers were told to whom.
    fn told(&mut self) -> Vec<(QuestionId, Option<Vec<String>>)> {
        let told = self.out.drain(..).filter_map(|effect| match effect {
            TopicsEffect::Tell(id, seen) => Some((id, seen.subscribers.map(nodes))),
            TopicsEffect::AwaitEnd(_) => None,
        });
        told.collect()
    }
}

fn nodes(subscribers: Vec<ActorLocation>) -> Vec<String> {
    subscribers.into_iter().map(|subscriber| subscriber.node).collect()
}

#[test]
fn a_publisher_hears_of_each_change_of_its_topic_and_of_no_other() {
    let mut play = Play::settled();
    let (mine, other) = (play.hold("a", 20), play.hold("b", 20));
    play.subscribe("a", "n1", 21);
    assert_eq!(play.out[0], TopicsEffect::AwaitEnd(subscriber("n1")));
    assert_eq!(play.told(), [(mine, Some(vec!["n1".into()]))]);
    play.subscribe("a", "n1", 22);
    assert_eq!(play.out, [], "it was known");
    play.core.on_end(&subscriber("n1"), &mut play.out);
    assert_eq!(play.told(), [], "nobody had asked again");
    assert_eq!(play.seen("a", 23).subscribers, Some(vec![]));
    play.subscribe("b", "n1", 24);
    assert_eq!(play.told(), [(other, Some(vec!["n1".into()]))]);
}

#[test]
fn a_subscriber_that_is_not_heard_of_is_forgotten_after_its_lease() {
    let mut play = Play::settled();
    play.subscribe("a", "n1", 20);
    play.subscribe("a", "n2", 20);
    play.subscribe("a", "n2", 30);
    let publisher = play.hold("a", 31);
    play.told();
    assert_eq!(play.core.next_deadline(), Some(at(20).after(SUBSCRIBER_RENEWAL)));
    play.core.on_timer(at(40), &mut play.out);
    assert_eq!(play.told(), [(publisher, Some(vec!["n2".into()]))]);
}

#[test]
fn a_registry_that_has_just_begun_says_that_it_may_not_know_all_until_a_lease_is_over() {
    let mut play = Play { core: TopicsCore::new(8, at(0)), out: Vec::new() };
    assert!(!play.seen("a", 1).complete);
    let publisher = play.hold("a", 1);
    play.core.on_timer(at(20), &mut play.out);
    let told = play.out.pop();
    assert!(matches!(told, Some(TopicsEffect::Tell(id, seen)) if id == publisher && seen.complete));
}

#[test]
fn a_topic_carries_one_message_until_nobody_asks_for_it() {
    let mut play = Play::settled();
    play.subscribe("a", "n1", 20);
    let wrong = WatchTopic { message: "m.v1.Trade".into(), ..question("a", None) };
    let Hold::Answered(Err(refused)) = play.core.on_watch(wrong.clone(), at(21)) else { panic!("it is answered") };
    assert_eq!(refused.to_string(), "the topic a carries m.v1.Price, not m.v1.Trade");
    play.core.on_timer(at(60), &mut play.out);
    assert!(matches!(play.core.on_watch(wrong, at(61)), Hold::Answered(Ok(_))));
}

#[test]
fn what_was_seen_of_a_topic_that_was_forgotten_and_made_anew_is_not_taken_for_the_new_one() {
    let mut play = Play::settled();
    play.subscribe("a", "n1", 20);
    let seen = play.seen("a", 20).revision;
    play.core.on_end(&subscriber("n1"), &mut play.out);
    play.core.on_timer(at(100), &mut play.out);
    assert!(matches!(play.core.on_watch(question("a", Some(seen)), at(101)), Hold::Answered(Ok(_))));
}

#[test]
fn a_topic_has_a_name_of_its_length() {
    let mut play = Play::settled();
    for name in ["", &"x".repeat(256)] {
        let refused = play.core.on_subscribe(subscription(name, "n1"), at(20), &mut play.out);
        assert_eq!(refused, Err(TopicError::Name(name.len())));
    }
}

#[test]
fn no_more_topics_are_kept_than_may_be() {
    let mut play = Play::settled();
    (0..TOPICS_MAX).for_each(|number| drop(play.seen(&format!("t{number}"), 20)));
    let refused = play.core.on_subscribe(subscription("one more", "n1"), at(20), &mut play.out);
    assert_eq!(refused, Err(TopicError::TooMany { what: "topics".into(), limit: TOPICS_MAX }));
}
