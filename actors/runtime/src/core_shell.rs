//! `CoreActor`: how an actor runs a core whose decisions are durable before they are visible.
//!
//! Each message reads the clock once, lets the core decide, commits what it emitted and keeps the core's next deadline.
//! What messages there are, and how an effect is performed, is the actor's own.

use crate::clock::Clock;
use crate::committer::Committer;
use crate::deadline_timer::DeadlineTimer;
use crate::held::Hold;
use crate::held_answers::HeldAnswers;
use crate::outbox::Outbox;
use crate::reply::Reply;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context};
use odeon_protocol::moment::Moment;
use serde::Serialize;
use std::time::Duration;

/// A state machine whose effects wait for its records.
pub trait DurableCore {
    /// What is to be done.
    type Effect: 'static;
    /// What is to be remembered.
    type Record: Serialize + Send + 'static;

    /// When [`on_timer`](Self::on_timer) is due, in the time of the clock.
    fn next_deadline(&self) -> Option<Duration>;

    /// Does what is due at `now`.
    fn on_timer(&mut self, now: Moment, out: &mut Outbox<Self::Effect, Self::Record>);
}

/// A core, and what it needs around it. Lives on the actor's arbiter.
pub struct CoreShell<C: DurableCore> {
    core: C,
    clock: Clock,
    committer: Option<Committer<C::Effect, C::Record>>,
    timer: DeadlineTimer,
}

impl<C: DurableCore> CoreShell<C> {
    /// The shell of `core`, in the time of `clock`. It commits nothing before [`begin`](Self::begin).
    #[must_use]
    pub fn new(core: C, clock: Clock) -> Self {
        Self { core, clock, committer: None, timer: DeadlineTimer::new(clock) }
    }

    /// Gives the committer, when the actor starts: to perform effects takes its address.
    pub fn begin(&mut self, committer: Committer<C::Effect, C::Record>) {
        self.committer = Some(committer);
    }

    /// The core, for questions that change nothing.
    #[must_use]
    pub fn core(&self) -> &C {
        &self.core
    }

    fn committer(&self) -> &Committer<C::Effect, C::Record> {
        self.committer.as_ref().expect("a shell has begun before its actor handles anything")
    }
}

/// An actor that runs a core. It implements [`shell`](Self::shell); the rest is given.
pub trait CoreActor: Actor<Context = Context<Self>> {
    /// What decides.
    type Core: DurableCore;

    /// The core of this actor and what is around it.
    fn shell(&mut self) -> &mut CoreShell<Self::Core>;

    /// Lets the core decide; the reply leaves when all is durable that it depends on.
    fn decide<T: 'static>(
        &mut self,
        context: &mut Context<Self>,
        decision: impl FnOnce(&mut Self::Core, Moment, &mut CoreOutbox<Self::Core>) -> T,
    ) -> Reply<T> {
        let shell = self.shell();
        let mut out = Outbox::new();
        let reply = decision(&mut shell.core, shell.clock.now(), &mut out);
        let reply = shell.committer().reply_after(out, reply);
        self.keep_deadline(context);
        reply
    }

    /// As [`decide`](Self::decide), where nobody waits for a reply: effects leave by themselves, and a failed write fails
    /// the node.
    fn note(
        &mut self,
        context: &mut Context<Self>,
        decision: impl FnOnce(&mut Self::Core, Moment, &mut CoreOutbox<Self::Core>),
    ) {
        drop(self.decide(context, decision));
    }

    /// As [`decide`](Self::decide), for a question that the core may hold: its asker is then one of `followers`.
    fn answer_or_hold<T: 'static>(
        &mut self,
        context: &mut Context<Self>,
        followers: &HeldAnswers<T>,
        question: impl FnOnce(&mut Self::Core, Moment) -> Hold<T>,
    ) -> Reply<T> {
        let shell = self.shell();
        let reply = match question(&mut shell.core, shell.clock.now()) {
            Hold::Answered(answer) => shell.committer().reply_after(Outbox::new(), answer),
            Hold::Held(id) => followers.later(id),
        };
        self.keep_deadline(context);
        reply
    }

    /// Wakes the core at its next deadline.
    fn keep_deadline(&mut self, context: &mut Context<Self>) {
        let shell = self.shell();
        shell.timer.keep(context, shell.core.next_deadline(), |actor: &mut Self, context| {
            actor.shell().timer.fired();
            actor.note(context, DurableCore::on_timer);
        });
    }

    /// Ends the actor once all that was decided is durable.
    fn stop_when_durable(&mut self, context: &mut Context<Self>) {
        let durable = self.shell().committer().commit(Outbox::new());
        let wait = actix::fut::wrap_future::<_, Self>(durable);
        context.spawn(wait.map(|_, _, context: &mut Context<Self>| context.stop()));
    }
}

/// What a core emits.
pub type CoreOutbox<C> = Outbox<<C as DurableCore>::Effect, <C as DurableCore>::Record>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Node;
    use actix::{Handler, Message};
    use std::cell::RefCell;
    use std::rc::Rc;

    /// Counts, emits each count, and counts once more when its deadline comes.
    #[derive(Default)]
    struct Counting {
        count: u32,
        due: Option<Duration>,
    }

    impl DurableCore for Counting {
        type Effect = u32;
        type Record = u32;

        fn next_deadline(&self) -> Option<Duration> {
            self.due
        }

        fn on_timer(&mut self, _: Moment, out: &mut Outbox<u32, u32>) {
            self.due = None;
            self.count(out);
        }
    }

    impl Counting {
        fn count(&mut self, out: &mut Outbox<u32, u32>) {
            self.count += 1;
            out.write(self.count);
            out.send(self.count);
        }
    }

    struct Counter {
        shell: CoreShell<Counting>,
        node: Node,
        performed: Rc<RefCell<Vec<u32>>>,
    }

    impl Actor for Counter {
        type Context = Context<Self>;

        fn started(&mut self, _: &mut Self::Context) {
            let performed = Rc::clone(&self.performed);
            self.shell
                .begin(Committer::new(&self.node, "counter", None, move |effect| performed.borrow_mut().push(effect)));
        }

        fn stopped(&mut self, _: &mut Self::Context) {
            self.performed.borrow_mut().push(0);
        }
    }

    impl CoreActor for Counter {
        type Core = Counting;

        fn shell(&mut self) -> &mut CoreShell<Counting> {
            &mut self.shell
        }
    }

    /// Counts now and once more, then ends; answered with the count.
    struct CountTwice;

    impl Message for CountTwice {
        type Result = u32;
    }

    impl Handler<CountTwice> for Counter {
        type Result = Reply<u32>;

        fn handle(&mut self, _: CountTwice, context: &mut Self::Context) -> Self::Result {
            self.decide(context, |core, now, out| {
                core.count(out);
                core.due = Some(now.since_start);
                core.count
            })
        }
    }

    struct End;

    impl Message for End {
        type Result = ();
    }

    impl Handler<End> for Counter {
        type Result = ();

        fn handle(&mut self, _: End, context: &mut Self::Context) {
            self.stop_when_durable(context);
        }
    }

    #[actix_rt::test]
    async fn a_decision_is_performed_its_deadline_kept_and_the_end_comes_after_both() {
        let performed = Rc::default();
        let node = Node::builder("a").incarnation(1).start().await.unwrap();
        let shell = CoreShell::new(Counting::default(), Clock::start());
        let counter = Counter { shell, node, performed: Rc::clone(&performed) }.start();
        assert_eq!(counter.send(CountTwice).await, Ok(1));
        while performed.borrow().len() < 2 {
            tokio::task::yield_now().await;
        }
        counter.send(End).await.unwrap();
        while counter.connected() {
            tokio::task::yield_now().await;
        }
        assert_eq!(*performed.borrow(), [1, 2, 0]);
    }
}
