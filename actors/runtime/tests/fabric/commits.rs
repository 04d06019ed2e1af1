//! Durable before visible, with a real journal.

use odeon_runtime::testkit::TwoNodes;
use odeon_runtime::{CommitError, Committer, CompactingJournal, Journal, Outbox};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

type Seen = Rc<RefCell<Vec<(u32, usize)>>>;

fn outbox(emit: impl FnOnce(&mut Outbox<u32, String>)) -> Outbox<u32, String> {
    let mut outbox = Outbox::new();
    emit(&mut outbox);
    outbox
}

/// A committer that notes each effect with the size of the journal when it left.
async fn committer(path: &Path) -> (TwoNodes, Committer<u32, String>, Seen) {
    let nodes = TwoNodes::start(1).await;
    let (journal, ..) = Journal::open(path).unwrap();
    let seen = Seen::default();
    let (noted, path) = (Rc::clone(&seen), path.to_owned());
    let perform = move |effect| noted.borrow_mut().push((effect, std::fs::read(&path).unwrap().len()));
    let committer = Committer::new(&nodes.home, "registry", Some(journal), perform);
    (nodes, committer, seen)
}

#[actix_rt::test]
async fn effects_and_replies_leave_after_the_records_before_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let (_nodes, committer, seen) = committer(&path).await;
    let empty = std::fs::read(&path).unwrap().len();
    let first = committer.commit(outbox(|out| {
        out.send(1);
        out.write("record".into());
        out.send(2);
    }));
    let second = committer.reply_after(outbox(|out| out.send(3)), "reply");
    assert_eq!(*seen.borrow(), [(1, empty)]);
    assert_eq!(format!("{second:?}"), "Reply::later", "it depends on the record before it");
    assert_eq!(first.await, Ok(()));
    assert_eq!(second.wait().await, "reply");
    let order: Vec<u32> = seen.borrow().iter().map(|(effect, _)| *effect).collect();
    assert_eq!(order, [1, 2, 3]);
    assert!(seen.borrow()[1..].iter().all(|(_, bytes)| *bytes > empty), "{seen:?}");
    let third = committer.reply_after(outbox(|out| out.send(4)), "reply");
    assert_eq!(format!("{third:?}"), "Reply::now", "nothing is being written");
    drop((committer, third));
    let (_, records, _) = Journal::<String>::open(&path).unwrap();
    assert_eq!(records, ["record"]);
}

#[actix_rt::test]
async fn many_handlers_share_one_journal_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let (_nodes, committer, seen) = committer(&path).await;
    let commits = (0..50).map(|number: u32| {
        committer.commit(outbox(|out| {
            out.write(number.to_string());
            out.send(number);
        }))
    });
    let commits: Vec<_> = commits.collect();
    assert!(seen.borrow().is_empty());
    assert!(futures_util::future::join_all(commits).await.iter().all(Result::is_ok));
    let order: Vec<u32> = seen.borrow().iter().map(|(effect, _)| *effect).collect();
    assert_eq!(order, (0..50).collect::<Vec<_>>());
    drop(committer);
    let (_, records, _) = Journal::<String>::open(&path).unwrap();
    assert_eq!(records, (0..50).map(|number: u32| number.to_string()).collect::<Vec<_>>());
}

#[actix_rt::test]
async fn without_a_journal_everything_leaves_at_once_in_order() {
    let nodes = TwoNodes::start(1).await;
    let seen = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&seen);
    let committer = Committer::<u32, String>::new(&nodes.home, "agent", None, move |e| noted.borrow_mut().push(e));
    let committed = committer.commit(outbox(|out| {
        out.send(1);
        out.write("dropped".into());
        out.send(2);
    }));
    assert_eq!(*seen.borrow(), [1, 2]);
    assert_eq!(committed.await, Ok(()));
}

#[actix_rt::test]
async fn an_effect_that_commits_more_keeps_the_order() {
    let nodes = TwoNodes::start(1).await;
    let seen = Rc::new(RefCell::new(Vec::new()));
    let itself: Rc<RefCell<Option<Committer<u32, String>>>> = Rc::default();
    let (noted, inner) = (Rc::clone(&seen), Rc::clone(&itself));
    let perform = move |effect: u32| {
        noted.borrow_mut().push(effect);
        let committer = inner.borrow().clone();
        if effect == 1 {
            drop(committer.unwrap().commit(outbox(|out| out.send(10))));
        }
    };
    let committer = Committer::new(&nodes.home, "agent", None, perform);
    *itself.borrow_mut() = Some(committer.clone());
    committer.commit(outbox(|out| [1, 2].map(|effect| out.send(effect)).into_iter().collect())).await.unwrap();
    assert_eq!(*seen.borrow(), [1, 2, 10]);
}

#[actix_rt::test]
async fn an_effect_that_panics_after_a_write_fails_the_node() {
    let directory = tempfile::tempdir().unwrap();
    let nodes = TwoNodes::start(1).await;
    let (journal, ..) = Journal::open(directory.path().join("j")).unwrap();
    let perform = |effect: u32| panic!("effect {effect} is broken");
    let committer = Committer::<u32, String>::new(&nodes.home, "registry", Some(journal), perform);
    drop(committer.commit(outbox(|out| {
        out.write("record".into());
        out.send(7);
    })));
    let failure = nodes.home.failed().await;
    assert!(failure.reason.contains("effect 7 is broken"), "{failure}");
}

#[actix_rt::test]
async fn a_record_that_says_all_takes_the_place_of_those_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let nodes = TwoNodes::start(1).await;
    let (journal, ..) = Journal::open(&path).unwrap();
    let journal = CompactingJournal::new(journal, |record: &String| record.starts_with("all"));
    let committer = Committer::<u32, String>::with_log(&nodes.home, "agent", Box::new(journal), |_| {});
    committer.commit(outbox(|out| out.write("one".into()))).await.unwrap();
    let rest = ["two", "all of one", "three", "all of it", "four"];
    committer.commit(outbox(|out| rest.into_iter().for_each(|record| out.write(record.into())))).await.unwrap();
    committer.commit(outbox(|out| out.write("five".into()))).await.unwrap();
    drop(committer);
    let (_, records, _) = Journal::<String>::open(&path).unwrap();
    assert_eq!(records, ["all of it", "four", "five"]);
}

/// A record that cannot be encoded stands in for a full disk.
#[derive(serde::Deserialize)]
struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no space left"))
    }
}

#[actix_rt::test]
async fn a_failed_write_fails_the_node_and_nothing_leaves_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let nodes = TwoNodes::start(1).await;
    let (journal, ..) = Journal::open(directory.path().join("j")).unwrap();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&seen);
    let committer = Committer::new(&nodes.home, "registry", Some(journal), move |e: u32| noted.borrow_mut().push(e));
    let mut outbox = Outbox::new();
    outbox.write(Unwritable);
    outbox.send(1);
    assert_eq!(committer.commit(outbox).await, Err(CommitError));
    let mut later = Outbox::new();
    later.send(2);
    assert_eq!(committer.commit(later).await, Err(CommitError));
    assert!(seen.borrow().is_empty());
    let failure = nodes.home.failed().await;
    assert_eq!(failure.part, "registry");
    assert!(failure.reason.contains("no space left"), "{failure}");
}
