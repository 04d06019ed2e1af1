//! What the ledgers have written down: which run of which actor has handled which number.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use super::writers::{Outcome, Sent};

/// The pages of all runs.
pub(crate) struct Book {
    /// By actor and number, the runs that have handled it.
    entries: BTreeMap<(String, u64), Vec<String>>,
}

/// How what was sent compares with what was written down.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// Asks that were answered.
    pub(crate) answered: usize,
    /// Of those, how many the run that has answered did not write down.
    pub(crate) lost: usize,
    /// Messages that were handled more than once.
    pub(crate) doubled: usize,
    /// Messages that failed as certainly not handled, and were.
    pub(crate) denied: usize,
    /// Asks that failed and may have been handled.
    pub(crate) open: usize,
    /// Tells that were taken.
    pub(crate) told: usize,
    /// Of those, how many nobody wrote down.
    pub(crate) told_in_vain: usize,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answered, lost, doubled, denied, open, told, told_in_vain } = self;
        write!(
            f,
            "{answered} asks answered, {lost} of them lost; {doubled} messages handled twice, {denied} in spite of a "
        )?;
        write!(f, "refusal; {open} asks open; {told} tells taken, {told_in_vain} of them lost")
    }
}

impl Book {
    /// Reads the pages; the name of each is that of its run, which begins with the actor's.
    pub(crate) fn read(directory: &Path) -> Self {
        let mut entries: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for page in fs::read_dir(directory).expect("the pages are there") {
            let page = page.expect("a readable directory");
            let run = page.file_name().into_string().expect("the name of a run is text");
            let actor = run.split('@').next().unwrap_or_default().to_owned();
            let text = fs::read_to_string(page.path()).expect("a page is text");
            // A run that was killed has written whole lines: each is one write.
            for number in text.lines().map(|line| line.parse().expect("a line is a number")) {
                entries.entry((actor.clone(), number)).or_default().push(run.clone());
            }
        }
        Self { entries }
    }

    /// Compares what was sent with what was written down.
    pub(crate) fn account(&self, all: &[Sent]) -> Account {
        let count = |matches: &dyn Fn(&Sent, &[String]) -> bool| {
            all.iter().filter(|sent| matches(sent, self.runs_of(sent))).count()
        };
        Account {
            answered: count(&|sent, _| matches!(sent.outcome, Outcome::Answered(_))),
            lost: count(&|sent, runs| matches!(&sent.outcome, Outcome::Answered(run) if !runs.contains(run))),
            doubled: count(&|_, runs| runs.len() > 1),
            denied: count(&|sent, runs| sent.outcome == Outcome::NotHandled && !runs.is_empty()),
            open: count(&|sent, _| sent.outcome == Outcome::MayBeHandled),
            told: count(&|sent, _| sent.outcome == Outcome::Taken),
            told_in_vain: count(&|sent, runs| sent.outcome == Outcome::Taken && runs.is_empty()),
        }
    }

    fn runs_of(&self, sent: &Sent) -> &[String] {
        let key = (sent.actor.replace('/', "-"), sent.number);
        self.entries.get(&key).map(Vec::as_slice).unwrap_or_default()
    }
}

/// What is counted is also found: a count that cannot be other than 0 would show nothing.
#[test]
fn what_is_lost_or_doubled_or_denied_is_counted() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("ledger-0@a.0"), "0\n2\n5\n").expect("an empty directory has room");
    fs::write(directory.path().join("ledger-0@b.0"), "2\n4\n").expect("an empty directory has room");
    let answered = |run: &str| Outcome::Answered(run.into());
    let outcomes = [
        (0, answered("ledger-0@a.0")),
        (2, answered("ledger-0@b.0")),
        (4, answered("ledger-0@a.0")),
        (5, Outcome::NotHandled),
        (6, Outcome::MayBeHandled),
        (1, Outcome::Taken),
    ];
    let sent = outcomes.map(|(number, outcome)| Sent { actor: "ledger/0".into(), number, outcome });
    let account = Book::read(directory.path()).account(&sent);
    let expected = Account { answered: 3, lost: 1, doubled: 1, denied: 1, open: 1, told: 1, told_in_vain: 1 };
    assert_eq!(account, expected);
}
