//! Knows who subscribes to which topic, and tells publishers. Pure.
//!
//! Nothing of it is durable: subscribers are heard of again and again, so that a registry that begins anew knows all of
//! them after one lease, and says until then that it may not.

use odeon_protocol::deployment::ActorLocation;
use odeon_protocol::messages::directory::{HELD_FOR, Revision};
use odeon_protocol::messages::topics::{
    SUBSCRIBER_LEASE, SUBSCRIBER_RENEWAL, SubscribeToTopic, TOPIC_BYTES_MAX, TopicError, TopicSeen, WatchTopic,
};
use odeon_protocol::moment::Moment;
use odeon_runtime::{HeldQuestions, Hold, QuestionId};
use std::collections::BTreeMap;
use std::time::Duration;

/// The most topics that somebody asks for.
pub(crate) const TOPICS_MAX: usize = 10_000;
/// The most subscribers of all topics.
pub(crate) const SUBSCRIBERS_MAX: usize = 100_000;
/// The most questions for changes that are held.
pub(crate) const QUESTIONS_MAX: usize = 4096;

/// One run of an actor: its node, which run of it, and its name there.
pub(crate) type SubscriberKey = (String, u64, String);

/// What the registry wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TopicsEffect {
    /// Answer a publisher.
    Tell(QuestionId, TopicSeen),
    /// Say when this subscriber has ended.
    AwaitEnd(ActorLocation),
}

#[derive(Debug)]
struct Topic {
    message: String,
    subscribers: BTreeMap<SubscriberKey, (ActorLocation, Duration)>,
    /// The number of its last change.
    changed: u64,
    /// It is forgotten then if nobody subscribes.
    kept_until: Duration,
}

/// The state of the registry.
#[derive(Debug)]
pub(crate) struct TopicsCore {
    run: u64,
    /// Counts changes of all topics, so that one that is made anew goes on.
    number: u64,
    topics: BTreeMap<String, Topic>,
    subscriber_count: usize,
    questions: HeldQuestions<String>,
    /// When all are known that have been there before.
    settled_at: Duration,
    is_settled: bool,
    /// When leases were looked at.
    swept_at: Duration,
}

impl TopicsCore {
    /// `run` tells this run from others.
    pub(crate) fn new(run: u64, now: Moment) -> Self {
        Self {
            run,
            number: 0,
            topics: BTreeMap::new(),
            subscriber_count: 0,
            questions: HeldQuestions::new(QUESTIONS_MAX),
            settled_at: now.after(SUBSCRIBER_LEASE),
            is_settled: false,
            swept_at: now.since_start,
        }
    }

    /// Knows a subscriber for one more lease.
    pub(crate) fn on_subscribe(
        &mut self,
        message: SubscribeToTopic,
        now: Moment,
        out: &mut Vec<TopicsEffect>,
    ) -> Result<(), TopicError> {
        let SubscribeToTopic { topic: name, message, subscriber } = message;
        let key = key_of(&subscriber);
        let is_full = self.subscriber_count >= SUBSCRIBERS_MAX;
        let topic = self.topic(&name, &message, now)?;
        let lease = now.after(SUBSCRIBER_LEASE);
        if let Some((_, until)) = topic.subscribers.get_mut(&key) {
            *until = lease;
            return Ok(());
        }
        if is_full {
            return Err(TopicError::TooMany { what: "subscribers".to_owned(), limit: SUBSCRIBERS_MAX });
        }
        topic.subscribers.insert(key, (subscriber.clone(), lease));
        self.subscriber_count += 1;
        out.push(TopicsEffect::AwaitEnd(subscriber));
        self.on_change(&name, out);
        Ok(())
    }

    /// A subscriber has ended, or is out of reach; in that case it is heard of again.
    pub(crate) fn on_end(&mut self, subscriber: &ActorLocation, out: &mut Vec<TopicsEffect>) {
        let key = key_of(subscriber);
        self.drop_subscribers(|known, _| *known == key, out);
    }

    /// Answers at once if the subscribers that were seen are not those there are; otherwise when they change.
    pub(crate) fn on_watch(&mut self, question: WatchTopic, now: Moment) -> Hold<Result<TopicSeen, TopicError>> {
        let WatchTopic { topic: name, message, seen } = question;
        if let Err(error) = self.topic(&name, &message, now) {
            return Hold::Answered(Err(error));
        }
        if seen != Some(self.revision(&name)) {
            return Hold::Answered(Ok(self.seen(&name)));
        }
        match self.questions.hold(name, now.after(HELD_FOR)) {
            Some(id) => Hold::Held(id),
            None => Hold::Answered(Err(TopicError::TooMany { what: "questions".to_owned(), limit: QUESTIONS_MAX })),
        }
    }

    /// Does what is due.
    pub(crate) fn on_timer(&mut self, now: Moment, out: &mut Vec<TopicsEffect>) {
        if !self.is_settled && self.settled_at <= now.since_start {
            self.is_settled = true;
            for (id, name) in self.questions.take_if(|_| true) {
                out.push(TopicsEffect::Tell(id, self.seen(&name)));
            }
        }
        if self.swept_at.saturating_add(SUBSCRIBER_RENEWAL) <= now.since_start {
            self.swept_at = now.since_start;
            self.drop_subscribers(|_, until| until <= now.since_start, out);
            self.topics.retain(|_, topic| !topic.subscribers.is_empty() || topic.kept_until > now.since_start);
        }
        for (id, name) in self.questions.take_due(now.since_start) {
            out.push(TopicsEffect::Tell(id, TopicSeen { subscribers: None, ..self.seen(&name) }));
        }
    }

    /// When it wants to be woken: for leases once in a while, for the rest to the moment.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let sweep = (!self.topics.is_empty()).then(|| self.swept_at.saturating_add(SUBSCRIBER_RENEWAL));
        let settled = (!self.is_settled).then_some(self.settled_at);
        sweep.into_iter().chain(settled).chain(self.questions.next_deadline()).min()
    }

    /// The topic of that name, made if nobody has asked for it before.
    fn topic(&mut self, name: &str, message: &str, now: Moment) -> Result<&mut Topic, TopicError> {
        if name.is_empty() || name.len() > TOPIC_BYTES_MAX {
            return Err(TopicError::Name(name.len()));
        }
        let known = self.topics.get(name).map(|topic| topic.message.clone());
        if let Some(carries) = known.as_ref().filter(|carries| *carries != message) {
            let (topic, asked) = (name.to_owned(), message.to_owned());
            return Err(TopicError::OtherMessage { topic, carries: carries.clone(), asked });
        }
        if known.is_none() && self.topics.len() >= TOPICS_MAX {
            return Err(TopicError::TooMany { what: "topics".to_owned(), limit: TOPICS_MAX });
        }
        let (message, changed) = (message.to_owned(), self.number);
        let new = || Topic { message, subscribers: BTreeMap::new(), changed, kept_until: Duration::ZERO };
        let topic = self.topics.entry(name.to_owned()).or_insert_with(new);
        topic.kept_until = now.after(HELD_FOR + SUBSCRIBER_LEASE);
        Ok(topic)
    }

    fn drop_subscribers(&mut self, is_gone: impl Fn(&SubscriberKey, Duration) -> bool, out: &mut Vec<TopicsEffect>) {
        let mut changed = Vec::new();
        for (name, topic) in &mut self.topics {
            let before = topic.subscribers.len();
            topic.subscribers.retain(|key, (_, until)| !is_gone(key, *until));
            let gone = before - topic.subscribers.len();
            self.subscriber_count -= gone;
            if gone > 0 {
                changed.push(name.clone());
            }
        }
        changed.iter().for_each(|name| self.on_change(name, out));
    }

    fn on_change(&mut self, name: &str, out: &mut Vec<TopicsEffect>) {
        self.number += 1;
        if let Some(topic) = self.topics.get_mut(name) {
            topic.changed = self.number;
        }
        for (id, name) in self.questions.take_if(|held| held == name) {
            out.push(TopicsEffect::Tell(id, self.seen(&name)));
        }
    }

    fn revision(&self, name: &str) -> Revision {
        Revision { run: self.run, number: self.topics.get(name).map_or(self.number, |topic| topic.changed) }
    }

    fn seen(&self, name: &str) -> TopicSeen {
        let subscribers = self.topics.get(name).map(|topic| &topic.subscribers);
        let subscribers = subscribers.into_iter().flat_map(BTreeMap::values).map(|(location, _)| location.clone());
        let subscribers = Some(subscribers.collect());
        TopicSeen { revision: self.revision(name), complete: self.is_settled, subscribers }
    }
}

fn key_of(subscriber: &ActorLocation) -> SubscriberKey {
    (subscriber.node.clone(), subscriber.incarnation, subscriber.actor.clone())
}

#[cfg(test)]
#[path = "topics_test.rs"]
mod tests;
