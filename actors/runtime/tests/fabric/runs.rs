//! What a supervised actor hears through its inbox, in runs, is what it would hear through a mailbox.

use crate::order::{Busy, fill};
use crate::probe::{Boom, Echo, Note, Notes, Probe, ProbeApi, Quit, SleepMs, restart, supervised};
use actix::{ActorContext, AsyncContext};
use futures_util::future::join_all;
use odeon_protocol::remote_message;
use odeon_runtime::testkit::TwoNodes;
use odeon_runtime::{Exports, OnPanic, Peer, PeerError, Supervised, SupervisedState, SupervisorSpec};
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

async fn nodes() -> TwoNodes {
    tokio::time::pause();
    TwoNodes::start(1).await
}

/// A supervised actor with room for four messages that handles none in its first second.
fn busy(nodes: &TwoNodes) -> Supervised {
    let spec = SupervisorSpec { name: "actor".into(), on_panic: OnPanic::Escalate, mailbox_capacity: 4 };
    nodes.home.supervise(spec, Busy::default, |own| Exports::new().accept::<Note, _>(own).accept::<Notes, _>(own))
}

#[actix_rt::test]
async fn runs_asks_and_other_messages_keep_one_order_near_and_far() {
    let nodes = nodes().await;
    nodes.home.export("other", Probe::exported());
    let notes: Arc<Mutex<Vec<u32>>> = Arc::default();
    let spec = SupervisorSpec { name: "actor".into(), on_panic: OnPanic::Escalate, mailbox_capacity: 10_000 };
    let heard = Arc::clone(&notes);
    drop(nodes.home.supervise(spec, move || Probe { notes: Arc::clone(&heard) }, Probe::exports));
    for peer in nodes.peers::<ProbeApi>("actor") {
        notes.lock().unwrap().clear();
        for number in 0..3000 {
            match number % 1000 {
                7 => assert_eq!(peer.send(Note(number)).await, Ok(())),
                8 => peer.tell(Echo("between".into())).await.unwrap(),
                _ => peer.tell(Note(number)).await.unwrap(),
            }
        }
        let heard = peer.send(Notes()).await.unwrap();
        assert_eq!(heard, (0..3000).filter(|number| number % 1000 != 8).collect::<Vec<_>>(), "{peer:?}");
    }
    assert_eq!(nodes.home.counters().tells_dropped, 0);
}

#[actix_rt::test]
async fn an_actor_that_waits_hears_nothing_meanwhile_and_its_inbox_has_a_bound() {
    let nodes = nodes().await;
    let _actor = busy(&nodes);
    let [near, far] = nodes.peers::<ProbeApi>("actor");
    let told = (0..6).map(|number| near.try_tell(Note(number))).collect::<Vec<_>>();
    let full = Err(PeerError::MailboxFull);
    assert_eq!(told, [Ok(()), Ok(()), Ok(()), Ok(()), full.clone(), full]);
    for number in 10..20 {
        far.try_tell(Note(number)).unwrap();
    }
    let heard = far.send(Notes()).await.unwrap();
    assert_eq!(heard, (0..4).chain(10..20).collect::<Vec<_>>());
    assert_eq!(nodes.home.counters().tells_dropped, 0);
}

#[actix_rt::test]
async fn a_sender_of_runs_is_as_slow_as_its_receiver_and_hears_of_room_again() {
    let nodes = nodes().await;
    nodes.home.export("neighbour", Probe::exported());
    let _actor = busy(&nodes);
    let [_, slow] = nodes.peers::<ProbeApi>("actor");
    let [_, neighbour] = nodes.peers::<ProbeApi>("neighbour");
    let taken = fill(&slow).await;
    assert!(taken > 1000, "{taken}");
    assert_eq!(neighbour.send(Echo("free".into())).await, Ok("free".into()));
    for number in taken..taken * 3 {
        slow.tell(Note(number)).await.unwrap();
    }
    assert_eq!(slow.send(Notes()).await, Ok((0..taken * 3).collect()));
    assert_eq!(nodes.home.counters().tells_dropped, 0);
}

#[actix_rt::test]
async fn an_ask_that_nobody_waits_for_any_more_is_taken_out_of_the_inbox_near_and_far() {
    let nodes = nodes().await;
    for (number, peer) in nodes.peers::<ProbeApi>("actor").into_iter().enumerate() {
        let actor = busy(&nodes);
        tokio::task::yield_now().await;
        let late = Err(PeerError::Timeout { after_ms: 100 });
        assert_eq!(peer.send_within(Note(7), Duration::from_millis(100)).await, late, "{number}");
        peer.try_tell(Note(8)).unwrap();
        assert_eq!(peer.send(Notes()).await, Ok(vec![8]), "{number}");
        actor.stop();
    }
}

#[actix_rt::test]
async fn a_panic_within_a_run_loses_what_waits_and_a_restart_begins_with_an_empty_inbox() {
    let nodes = nodes().await;
    let _actor = supervised(&nodes.home, restart());
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    far.send(Note(1)).await.unwrap();
    far.try_tell(Note(2)).unwrap();
    far.try_tell(Boom("now".into())).unwrap();
    far.try_tell(Note(3)).unwrap();
    assert_eq!(far.send(Echo("waits".into())).await, Err(PeerError::Stopped));
    tokio::time::sleep(Duration::from_secs(1)).await;
    far.try_tell(Note(4)).unwrap();
    assert_eq!(far.send(Notes()).await, Ok(vec![4]));
}

#[actix_rt::test]
async fn an_actor_that_stops_within_a_run_hears_no_more_of_it() {
    let nodes = nodes().await;
    let heard: Arc<Mutex<Vec<u32>>> = Arc::default();
    let notes = Arc::clone(&heard);
    let spec = SupervisorSpec { name: "actor".into(), on_panic: OnPanic::Escalate, mailbox_capacity: 64 };
    let actor = nodes.home.supervise(spec, move || Probe { notes: Arc::clone(&notes) }, Probe::exports);
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    far.try_tell(Note(1)).unwrap();
    far.try_tell(Quit()).unwrap();
    far.try_tell(Note(2)).unwrap();
    assert_eq!(actor.ended().await, SupervisedState::Stopped);
    assert_eq!(*heard.lock().unwrap(), [1]);
}

#[actix_rt::test]
async fn an_actor_that_nobody_can_reach_stops() {
    let nodes = nodes().await;
    let spec = SupervisorSpec { name: "actor".into(), on_panic: OnPanic::Escalate, mailbox_capacity: 64 };
    let actor = nodes.home.supervise(spec, Probe::default, |_| Exports::new());
    assert_eq!(actor.ended().await, SupervisedState::Stopped);
}

#[actix_rt::test]
async fn a_handler_that_answers_later_answers_through_the_inbox_too() {
    let nodes = nodes().await;
    let _actor = supervised(&nodes.home, restart());
    for peer in nodes.peers::<ProbeApi>("actor") {
        let peer: &Peer<ProbeApi> = &peer;
        let replies = join_all((0..5).map(|_| peer.send(SleepMs(10)))).await;
        assert!(replies.iter().all(Result::is_ok), "{replies:?}");
    }
}

/// A number; 13 cannot be read, and reading 14 panics.
#[derive(Debug, Serialize)]
struct Fickle(u32);
remote_message!(Fickle => (), "probe.v1.Fickle");

impl<'de> Deserialize<'de> for Fickle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            13 => Err(serde::de::Error::custom("13 is not wanted")),
            14 => panic!("14 is not expected"),
            number => Ok(Self(number)),
        }
    }
}

/// Notes what it hears.
struct Listening(Arc<Mutex<Vec<u32>>>);

impl actix::Actor for Listening {
    type Context = actix::Context<Self>;
}

impl actix::Handler<Fickle> for Listening {
    type Result = ();
    fn handle(&mut self, Fickle(number): Fickle, _: &mut Self::Context) {
        self.0.lock().unwrap().push(number);
    }
}

#[actix_rt::test]
async fn a_tell_that_cannot_be_read_costs_its_run_nothing_else_even_if_reading_it_panics() {
    let nodes = nodes().await;
    let heard: Arc<Mutex<Vec<u32>>> = Arc::default();
    let numbers = Arc::clone(&heard);
    let spec = SupervisorSpec { name: "actor".into(), on_panic: OnPanic::Escalate, mailbox_capacity: 64 };
    let listening = move || Listening(Arc::clone(&numbers));
    drop(nodes.home.supervise(spec, listening, |own| Exports::new().accept::<Fickle, _>(own)));
    let [_, far] = nodes.peers::<Fickle>("actor");
    for number in 11..=15 {
        far.try_tell(Fickle(number)).unwrap();
    }
    assert_eq!(far.send(Fickle(16)).await, Ok(()));
    assert_eq!(*heard.lock().unwrap(), [11, 12, 15, 16]);
    assert_eq!(nodes.home.counters().tells_dropped, 2);
    let actors = nodes.home.figures().actors;
    assert_eq!(actors.iter().map(|actor| (actor.handled, actor.waiting)).collect::<Vec<_>>(), [(4, 0)]);
}

/// Waits for a second after the first note, and stops with the second one.
struct Pausing(Arc<Mutex<Vec<u32>>>);

impl actix::Actor for Pausing {
    type Context = actix::Context<Self>;
}

impl actix::Handler<Note> for Pausing {
    type Result = ();
    fn handle(&mut self, Note(number): Note, context: &mut Self::Context) {
        self.0.lock().unwrap().push(number);
        match number {
            1 => context.wait(actix::fut::wrap_future(tokio::time::sleep(Duration::from_secs(1)))),
            _ => context.stop(),
        }
    }
}

#[actix_rt::test]
async fn what_follows_in_a_run_waits_while_its_actor_does_and_is_lost_when_it_stops() {
    let nodes = nodes().await;
    let heard: Arc<Mutex<Vec<u32>>> = Arc::default();
    let notes = Arc::clone(&heard);
    let spec = SupervisorSpec { name: "actor".into(), on_panic: OnPanic::Escalate, mailbox_capacity: 64 };
    let pausing = move || Pausing(Arc::clone(&notes));
    let actor = nodes.home.supervise(spec, pausing, |own| Exports::new().accept::<Note, _>(own));
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    for number in 1..=3 {
        far.try_tell(Note(number)).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(*heard.lock().unwrap(), [1]);
    assert_eq!(actor.ended().await, SupervisedState::Stopped);
    assert_eq!(*heard.lock().unwrap(), [1, 2]);
}
