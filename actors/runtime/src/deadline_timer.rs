//! `DeadlineTimer`: the one timer of an actor that runs a core, kept at the core's next deadline.

use crate::clock::Clock;
use actix::{Actor, AsyncContext, Context, SpawnHandle};
use std::time::Duration;

/// Wakes an actor at its core's next deadline; there is at most one timer at a time.
#[derive(Debug)]
pub struct DeadlineTimer {
    clock: Clock,
    /// When the timer is due, in the clock's time, and the timer.
    set: Option<(Duration, SpawnHandle)>,
}

impl DeadlineTimer {
    /// A timer that is not set, for deadlines in the time of `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, set: None }
    }

    /// Sets the timer to `deadline`, or to nothing. `on_due` begins with [`fired`](Self::fired).
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
        self.set = deadline.map(|at| (at, context.run_later(self.clock.until(at), on_due)));
    }

    /// The timer has woken its actor: the same deadline is due anew if the core still names it.
    pub fn fired(&mut self) {
        self.set = None;
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
