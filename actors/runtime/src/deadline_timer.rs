//! `DeadlineTimer`: the one timer of an actor that runs a core, kept at the core's next deadline.

use crate::clock::Clock;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, SpawnHandle};
use std::time::Duration;

/// Wakes an actor at its core's next deadline; there is at most one timer at a time.
#[derive(Debug)]
pub struct DeadlineTimer {
    clock: Clock,
    /// When the timer is due, in the clock's time, and the timer.
    set: Option<(Duration, SpawnHandle)>,
    /// The deadline that it has woken its actor for last.
    last: Option<Duration>,
}

impl DeadlineTimer {
    /// A timer that is not set, for deadlines in the time of `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, set: None, last: None }
    }

    /// Sets the timer to `deadline`, or to nothing. `on_due` begins with [`fired`](Self::fired).
    ///
    /// What is due already is done as soon as the messages that wait have been handled, without the millisecond that a
    /// timer takes at least; what is still due after that takes a timer, so that a core cannot keep its actor busy with it.
    pub fn keep<A: Actor<Context = Context<A>>>(
        &mut self,
        context: &mut Context<A>,
        deadline: Option<Duration>,
        on_due: fn(&mut A, &mut Context<A>),
    ) {
        if self.set.map(|(at, _)| at) == deadline {
            return;
        }
        if let Some((_, handle)) = self.set.take() {
            context.cancel_future(handle);
        }
        self.set = deadline.map(|at| (at, self.wake(context, at, on_due)));
    }

    fn wake<A: Actor<Context = Context<A>>>(
        &self,
        context: &mut Context<A>,
        at: Duration,
        on_due: fn(&mut A, &mut Context<A>),
    ) -> SpawnHandle {
        let wait = self.clock.until(at);
        if wait.is_zero() && self.last != Some(at) {
            return context.spawn(actix::fut::ready(()).map(move |(), actor, context| on_due(actor, context)));
        }
        context.run_later(wait, on_due)
    }

    /// The timer has woken its actor: the same deadline is due anew if the core still names it.
    pub fn fired(&mut self) {
        self.last = self.set.take().map(|(at, _)| at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::Handler;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// Keeps a timer at the first of its deadlines, and notes when it is woken.
    struct Waker {
        clock: Clock,
        timer: DeadlineTimer,
        deadlines: Vec<u64>,
        woken: Rc<RefCell<Vec<u64>>>,
    }

    impl Waker {
        fn keep(&mut self, context: &mut Context<Self>) {
            let deadline = self.deadlines.first().copied().map(Duration::from_secs);
            self.timer.keep(context, deadline, Self::on_due);
        }

        fn on_due(&mut self, context: &mut Context<Self>) {
            self.timer.fired();
            self.woken.borrow_mut().push(self.clock.now().since_start.as_secs());
            self.deadlines.remove(0);
            self.keep(context);
        }
    }

    impl Actor for Waker {
        type Context = Context<Self>;

        fn started(&mut self, context: &mut Self::Context) {
            self.keep(context);
        }
    }

    #[derive(actix::Message)]
    #[rtype(result = "()")]
    struct Replace(Vec<u64>);

    impl Handler<Replace> for Waker {
        type Result = ();

        fn handle(&mut self, Replace(deadlines): Replace, context: &mut Self::Context) {
            self.deadlines = deadlines;
            self.keep(context);
        }
    }

    fn waker(deadlines: Vec<u64>) -> (actix::Addr<Waker>, Rc<RefCell<Vec<u64>>>) {
        let (clock, woken) = (Clock::start(), Rc::default());
        let waker = Waker { clock, timer: DeadlineTimer::new(clock), deadlines, woken: Rc::clone(&woken) };
        (waker.start(), woken)
    }

    #[actix_rt::test]
    async fn it_wakes_its_actor_at_each_deadline_once_and_for_the_same_one_again() {
        tokio::time::pause();
        let (_actor, woken) = waker(vec![1, 3, 3]);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(*woken.borrow(), [1, 3, 3]);
    }

    #[actix_rt::test]
    async fn what_is_due_already_does_not_wait_for_a_timer() {
        let (_actor, woken) = waker(vec![0, u64::MAX]);
        tokio::time::pause();
        // Time does not pass while something can run.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(*woken.borrow(), [0]);
    }

    #[actix_rt::test]
    async fn a_deadline_that_is_replaced_wakes_nobody() {
        tokio::time::pause();
        let (actor, woken) = waker(vec![5]);
        actor.send(Replace(vec![2])).await.unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
        actor.send(Replace(vec![4])).await.unwrap();
        actor.send(Replace(vec![])).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(*woken.borrow(), [2]);
    }
}
