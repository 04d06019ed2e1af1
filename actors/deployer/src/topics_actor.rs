//! The registry of topics as an actor: hears subscribers and publishers, and watches subscribers for their end.
//!
//! Decides nothing. It keeps nothing: a panic begins it anew, and subscribers are heard of again.

use crate::topics::{TopicsCore, TopicsEffect};
use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};
use odeon_protocol::deployment::ActorLocation;
use odeon_protocol::messages::topics::{SubscribeToTopic, TOPICS, TopicError, TopicSeen, WatchTopic};
use odeon_protocol::restart::RestartPolicy;
use odeon_runtime::trust::PeerRole;
use odeon_runtime::{
    ActorAddress, ActorName, Clock, DeadlineTimer, Endpoint, Exports, HeldAnswers, Hold, Node, NodeId, OnPanic, Reply,
    Supervised, SupervisorSpec,
};

/// Messages that may wait; each waiting asker has a place besides.
const MAILBOX_CAPACITY: usize = 4096;

/// The registry of topics of a cluster, on the node of its master.
pub struct TopicRegistry {
    node: Node,
    clock: Clock,
    core: TopicsCore,
    timer: DeadlineTimer,
    publishers: HeldAnswers<Result<TopicSeen, TopicError>>,
}

impl std::fmt::Debug for TopicRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TopicRegistry")
    }
}

impl TopicRegistry {
    /// Starts it on the current arbiter, behind [`TOPICS`]. `run` tells this start from others.
    pub fn start(node: &Node, run: u64) -> Supervised {
        let on_panic = OnPanic::Restart(RestartPolicy::default());
        let spec = SupervisorSpec { name: TOPICS.into(), on_panic, mailbox_capacity: MAILBOX_CAPACITY };
        let (own, mut next) = (node.clone(), run);
        let factory = move || {
            let clock = Clock::start();
            next = next.wrapping_add(1);
            let (core, timer) = (TopicsCore::new(next, clock.now()), DeadlineTimer::new(clock));
            Self { node: own.clone(), clock, core, timer, publishers: HeldAnswers::new(|| Err(TopicError::Ended)) }
        };
        node.supervise(spec, factory, |own: &Addr<Self>| {
            Exports::new()
                .only_from(&[PeerRole::Client, PeerRole::ActorHost])
                .accept::<SubscribeToTopic, _>(own)
                .accept::<WatchTopic, _>(own)
        })
    }

    fn perform(&mut self, effects: Vec<TopicsEffect>, context: &mut Context<Self>) {
        for effect in effects {
            match effect {
                TopicsEffect::Tell(id, seen) => self.publishers.give(id, Ok(seen)),
                TopicsEffect::AwaitEnd(subscriber) => self.await_end(subscriber, context),
            }
        }
        self.timer.keep(context, self.core.next_deadline(), Self::on_timer);
    }

    /// Where nobody can be watched, the lease says the same later.
    fn await_end(&self, subscriber: ActorLocation, context: &mut Context<Self>) {
        let Ok(actor) = ActorName::new(subscriber.actor.as_str()) else { return };
        let node = NodeId { name: subscriber.node.clone(), incarnation: subscriber.incarnation };
        let endpoint = Some(Endpoint::new(subscriber.endpoint.as_str()));
        let peer = self.node.resolve::<()>(&ActorAddress { actor, node: Some(node), endpoint });
        let own = context.address();
        context.spawn(actix::fut::wrap_future(async move {
            if peer.watch().await.is_ok() {
                own.do_send(SubscriberEnded(subscriber)); // One for each subscriber that was taken in.
            }
        }));
    }

    fn on_timer(&mut self, context: &mut Context<Self>) {
        self.timer.fired();
        let mut out = Vec::new();
        self.core.on_timer(self.clock.now(), &mut out);
        self.perform(out, context);
    }
}

impl Actor for TopicRegistry {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.perform(Vec::new(), context);
    }
}

/// A subscriber has ended, or its node is lost.
struct SubscriberEnded(ActorLocation);

impl Message for SubscriberEnded {
    type Result = ();
}

impl Handler<SubscriberEnded> for TopicRegistry {
    type Result = ();

    fn handle(&mut self, SubscriberEnded(subscriber): SubscriberEnded, context: &mut Self::Context) {
        let mut out = Vec::new();
        self.core.on_end(&subscriber, &mut out);
        self.perform(out, context);
    }
}

impl Handler<SubscribeToTopic> for TopicRegistry {
    type Result = Reply<Result<(), TopicError>>;

    fn handle(&mut self, message: SubscribeToTopic, context: &mut Self::Context) -> Self::Result {
        let mut out = Vec::new();
        let result = self.core.on_subscribe(message, self.clock.now(), &mut out);
        self.perform(out, context);
        Reply::now(result)
    }
}

impl Handler<WatchTopic> for TopicRegistry {
    type Result = Reply<Result<TopicSeen, TopicError>>;

    fn handle(&mut self, question: WatchTopic, context: &mut Self::Context) -> Self::Result {
        let held = self.core.on_watch(question, self.clock.now());
        self.perform(Vec::new(), context);
        match held {
            Hold::Answered(answer) => Reply::now(answer),
            Hold::Held(id) => self.publishers.later(id),
        }
    }
}
