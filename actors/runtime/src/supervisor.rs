//! The supervisor: starts an actor behind a name, sees its panics, and restarts it or stops the node.
//!
//! It differs from actix's own, which does not bring a panicked actor back. It keeps no state of the
//! actor: a restart begins with what the factory builds.

use crate::entrance::Attached;
use crate::exports::Exports;
use crate::figures::Gauge;
use crate::inbox::Inbox;
use crate::name::ActorName;
use crate::node::Node;
use crate::watch::EndReason;
use actix::{Actor, Addr, AsyncContext, Context};
use odeon_protocol::restart::RestartPolicy;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// A rule of one's own for what to do about a panic; clones are the same rule.
#[derive(Clone)]
pub struct PanicPolicy(Rc<PanicRule>);

type PanicRule = dyn Fn(&ActorPanic) -> Option<Duration>;

/// A panic of a supervised actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorPanic {
    /// The text of the panic.
    pub text: String,
    /// How often the actor was restarted before.
    pub restarts: u64,
    /// How long ago its supervisor began.
    pub age: Duration,
}

impl PanicPolicy {
    /// A rule that says how long to wait before the restart, or nothing to give up. It must not block.
    pub fn new(rule: impl Fn(&ActorPanic) -> Option<Duration> + 'static) -> Self {
        Self(Rc::new(rule))
    }
}

impl fmt::Debug for PanicPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PanicPolicy")
    }
}

impl PartialEq for PanicPolicy {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for PanicPolicy {}

/// What to do when the actor panics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnPanic {
    /// Build and start it again, within the policy.
    Restart(RestartPolicy),
    /// Do what a policy of one's own says.
    Decide(PanicPolicy),
    /// The first panic fails the node: for actors whose state must not be half applied.
    Escalate,
}

/// How an actor is supervised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupervisorSpec {
    /// The name behind which it is exported.
    pub name: ActorName,
    /// What to do when it panics.
    pub on_panic: OnPanic,
    /// Messages that may wait for it, at least 1; each waiting asker has a place besides.
    pub mailbox_capacity: usize,
}

/// What a supervised actor is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisedState {
    /// It runs.
    Running {
        /// How often it was restarted.
        restarts: u64,
    },
    /// It has panicked and will be started again.
    Restarting {
        /// How often it was restarted before.
        restarts: u64,
        /// The text of the panic.
        panic: String,
        /// How long until then.
        after: Duration,
    },
    /// It has stopped without a panic; its name is retracted.
    Stopped,
    /// It panicked too often; its name is retracted.
    GaveUp {
        /// The text of the last panic.
        panic: String,
    },
    /// It panicked, which has failed the node; its name is retracted.
    Escalated {
        /// The text of the panic.
        panic: String,
    },
}

impl SupervisedState {
    /// Whether the actor will never run again.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Running { .. } | Self::Restarting { .. })
    }
}

/// A handle to a supervised actor. Dropping it does not stop the actor.
#[derive(Debug, Clone)]
pub struct Supervised {
    state: watch::Receiver<SupervisedState>,
    stop: CancellationToken,
}

impl Supervised {
    /// What the actor is doing now.
    #[must_use]
    pub fn state(&self) -> SupervisedState {
        self.state.borrow().clone()
    }

    /// Waits until the state is another than this handle last saw, and returns it.
    ///
    /// States that follow each other quickly may be seen as one. After a final state it waits forever.
    pub async fn changed(&mut self) -> SupervisedState {
        if self.state.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.state.borrow_and_update().clone()
    }

    /// Waits for a final state.
    pub async fn ended(&self) -> SupervisedState {
        let mut state = self.state.clone();
        let ended = state.wait_for(SupervisedState::is_final).await.map(|state| state.clone());
        ended.unwrap_or(SupervisedState::Stopped)
    }

    /// Retracts the name and stops the actor without waiting for its mailbox.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Node {
    /// Starts an actor on the current arbiter, exports it behind its name, and keeps watch.
    ///
    /// `factory` builds it, at first and after each panic; `exports` lists what it accepts. While a
    /// restart is awaited its name answers [`PeerError::Stopped`](crate::PeerError::Stopped).
    ///
    /// # Panics
    /// Outside an actix arbiter or `LocalSet`; if the mailbox capacity is 0, which actix takes as
    /// unbounded; or if the factory panics the first time.
    pub fn supervise<A, F, X>(&self, spec: SupervisorSpec, factory: F, exports: X) -> Supervised
    where
        A: Actor<Context = Context<A>>,
        F: FnMut() -> A + 'static,
        X: Fn(&Addr<A>) -> Exports + 'static,
    {
        assert!(spec.mailbox_capacity > 0, "the mailbox of {} may not be unbounded", spec.name);
        let (state, observed) = watch::channel(SupervisedState::Running { restarts: 0 });
        let stop = CancellationToken::new();
        let (node, begun) = (self.clone(), Instant::now());
        let gauge = Arc::new(Gauge::new(spec.mailbox_capacity));
        self.fabric.gauges.insert(&spec.name, &gauge);
        let mut keeper =
            Keeper { gauge, node, spec, factory, exports, state, stop: stop.clone(), begun, restarts: Vec::new() };
        let run = keeper.start();
        actix_rt::spawn(keeper.keep(run));
        Supervised { state: observed, stop }
    }
}

/// One run of the actor, from a start to its end.
struct Run {
    task: JoinHandle<()>,
    exports: Arc<Exports>,
}

enum End {
    Stopped,
    Panicked(String),
}

struct Keeper<F, X> {
    node: Node,
    spec: SupervisorSpec,
    factory: F,
    exports: X,
    state: watch::Sender<SupervisedState>,
    stop: CancellationToken,
    gauge: Arc<Gauge>,
    begun: Instant,
    /// When restarts were decided, since it began.
    restarts: Vec<Duration>,
}

impl<A, F, X> Keeper<F, X>
where
    A: Actor<Context = Context<A>>,
    F: FnMut() -> A + 'static,
    X: Fn(&Addr<A>) -> Exports + 'static,
{
    fn start(&mut self) -> Run {
        let mut context = Context::new();
        context.set_mailbox_capacity(self.spec.mailbox_capacity);
        let actor = (self.factory)();
        let (inbox, drain) = Inbox::new(self.spec.mailbox_capacity, Arc::clone(&self.gauge.counts));
        context.spawn(drain);
        let address = context.address();
        let exports = (self.exports)(&address);
        exports.attach(&Attached { address, inbox });
        let exports = self.node.fabric.export(self.spec.name.clone(), exports);
        Run { task: actix_rt::spawn(context.into_future(actor)), exports }
    }

    async fn keep(mut self, first: Run) {
        let mut run = first;
        let mut restart_count = 0;
        loop {
            let panic = match self.end_of(&mut run).await {
                End::Stopped => return self.finish(&run, SupervisedState::Stopped),
                End::Panicked(panic) => panic,
            };
            self.gauge.on_panic(&panic);
            error!(actor = %self.spec.name, panic, restarts = restart_count, "an actor has panicked");
            let Some(after) = self.decide(&panic, restart_count) else {
                return self.give_up(&run, panic);
            };
            self.state.send_replace(SupervisedState::Restarting { restarts: restart_count, panic, after });
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return self.finish(&run, SupervisedState::Stopped),
                () = tokio::time::sleep(after) => {}
            }
            restart_count += 1;
            self.gauge.on_restart();
            run = self.restart(run);
            warn!(actor = %self.spec.name, restarts = restart_count, "an actor is restarted");
            self.state.send_replace(SupervisedState::Running { restarts: restart_count });
        }
    }

    /// A panic of the factory counts as one of the actor, so that it is seen and limited as well.
    fn restart(&mut self, old: Run) -> Run {
        match catch_unwind(AssertUnwindSafe(|| self.start())) {
            Ok(run) => run,
            Err(payload) => Run { task: actix_rt::spawn(async { std::panic::resume_unwind(payload) }), ..old },
        }
    }

    async fn end_of(&self, run: &mut Run) -> End {
        let ended = tokio::select! {
            biased;
            () = self.stop.cancelled() => {
                run.task.abort();
                return End::Stopped;
            }
            ended = &mut run.task => ended,
        };
        ended.map_or_else(end_of_join, |()| End::Stopped)
    }

    fn decide(&mut self, panic: &str, restarts: u64) -> Option<Duration> {
        let age = self.begun.elapsed();
        match &self.spec.on_panic {
            OnPanic::Restart(policy) => policy.decide(&mut self.restarts, age),
            OnPanic::Decide(policy) => (policy.0)(&ActorPanic { text: panic.to_owned(), restarts, age }),
            OnPanic::Escalate => None,
        }
    }

    fn give_up(&self, run: &Run, panic: String) {
        match self.spec.on_panic {
            OnPanic::Restart(_) | OnPanic::Decide(_) => {
                error!(actor = %self.spec.name, panic, "an actor panics too often and is given up");
                self.finish(run, SupervisedState::GaveUp { panic });
            }
            OnPanic::Escalate => {
                self.finish(run, SupervisedState::Escalated { panic: panic.clone() });
                self.node.fail(self.spec.name.as_str(), format!("panicked: {panic}"));
            }
        }
    }

    fn finish(&self, run: &Run, state: SupervisedState) {
        info!(actor = %self.spec.name, ?state, "an actor has ended");
        let reason = match &state {
            SupervisedState::GaveUp { panic } | SupervisedState::Escalated { panic } => {
                EndReason::Failed { panic: panic.clone() }
            }
            _ => EndReason::Stopped,
        };
        self.node.fabric.gauges.remove(&self.spec.name, &self.gauge);
        self.node.fabric.retract_own(&self.spec.name, &run.exports, reason);
        self.state.send_replace(state);
    }
}

fn end_of_join(error: JoinError) -> End {
    match error.try_into_panic() {
        Ok(payload) => End::Panicked(panic_text(&*payload)),
        // Cancelled with its arbiter.
        Err(_) => End::Stopped,
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without text".into())
}
