//! What was sent, heard, answered and refused in a run, with the checks that need no more than the moment.

use super::Outcome;
use super::ear::answer;
use crate::error::PeerError;
use crate::name::ActorName;
use crate::node::FabricCounters;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Events that are shown with a violation.
const TAIL_MAX: usize = 80;
/// How much later than its timeout an ask may end: timers count in milliseconds.
const LATE_MS_MAX: u64 = 5;

/// A timeout below this is often too short.
const HASTY_MS_MAX: u64 = 100;

/// An actor of one run of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) node: usize,
    pub(crate) incarnation: u64,
    pub(crate) actor: String,
}

/// One run of the sender's node and one of its links; the same name for a near actor.
pub(crate) type Life = (u64, u64);
/// In place of a link.
pub(crate) const NEAR: u64 = u64::MAX;

/// How a message ended for its talker.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    /// Not yet.
    Open,
    /// A tell that was taken.
    Told,
    Answered,
    /// With an error that says the handler has not seen it.
    Refused,
    /// With an error that leaves it open.
    Unknown,
    /// The talker stopped waiting.
    Dropped,
}

pub(crate) struct Sent {
    at: u64,
    within_ms: u64,
    pub(crate) actor: String,
    pub(crate) is_ask: bool,
    pub(crate) is_bulk: bool,
    /// Whether its timeout is often too short.
    pub(crate) is_hasty: bool,
    /// None if there was no way.
    pub(crate) life: Option<Life>,
    pub(crate) end: End,
    pub(crate) heard: Vec<Place>,
}

/// What a run adds up to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) heard: u64,
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    pub(crate) unknown: u64,
    /// Taken tells that were not heard.
    pub(crate) lost_tells: u64,
    /// Messages that were heard more than once.
    pub(crate) doubled: u64,
    /// Answered asks that were not heard.
    pub(crate) lost_answered: u64,
    pub(crate) links_lost: u64,
    pub(crate) watch_ends: u64,
    pub(crate) nodes_lost: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.heard += other.heard;
        self.answered += other.answered;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.lost_tells += other.lost_tells;
        self.doubled += other.doubled;
        self.lost_answered += other.lost_answered;
        self.links_lost += other.links_lost;
        self.watch_ends += other.watch_ends;
        self.nodes_lost += other.nodes_lost;
    }
}

pub(crate) struct Book {
    begun: Instant,
    trace: u64,
    /// Whether each event is printed as it happens.
    is_told: bool,
    tail: VecDeque<String>,
    /// By talker and number.
    pub(crate) sent: BTreeMap<(u32, u32), Sent>,
    /// The last number that was heard, by talker, lane and life.
    last: BTreeMap<(u32, bool, Life), u32>,
    /// Actors that have panicked: what waited for them is lost.
    pub(crate) panicked: BTreeSet<Place>,
    /// When an actor that may end has ended.
    pub(crate) ended: BTreeMap<Place, u64>,
    /// Of each run of a node.
    pub(crate) counters: BTreeMap<u64, FabricCounters>,
    pub(crate) counts: Counts,
    pub(crate) violations: Vec<String>,
}

pub(crate) struct Ledger {
    pub(crate) book: RefCell<Book>,
    patient: bool,
}

impl Ledger {
    pub(crate) fn new(patient: bool) -> Self {
        let book = Book {
            begun: Instant::now(),
            is_told: std::env::var_os("FABRIC_TRACE").is_some(),
            trace: 0xcbf2_9ce4_8422_2325,
            tail: VecDeque::new(),
            sent: BTreeMap::new(),
            last: BTreeMap::new(),
            panicked: BTreeSet::new(),
            ended: BTreeMap::new(),
            counters: BTreeMap::new(),
            counts: Counts::default(),
            violations: Vec::new(),
        };
        Self { book: RefCell::new(book), patient }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        let book = self.book.borrow();
        Outcome {
            violations: book.violations.clone(),
            trace_hash: book.trace,
            counts: book.counts,
            tail: book.tail.iter().cloned().collect(),
        }
    }

    pub(crate) fn note(&self, text: &str) {
        self.book.borrow_mut().note(text);
    }

    pub(crate) fn violated(&self, text: String) {
        self.book.borrow_mut().violated(text);
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.book.borrow().now_ms()
    }

    /// A message is about to be sent; said before any of it happens.
    pub(crate) fn on_sending(
        &self,
        (talker, number): (u32, u32),
        actor: &ActorName,
        is_ask: bool,
        is_bulk: bool,
        life: Option<Life>,
        within: Duration,
    ) {
        let mut book = self.book.borrow_mut();
        let (at, actor) = (book.now_ms(), actor.as_str().to_owned());
        let within_ms = u64::try_from(within.as_millis()).expect("short");
        book.counts.sent += 1;
        book.note(&format!("send {talker}/{number} to {actor} ask {is_ask} bulk {is_bulk} {life:?}"));
        let is_hasty = within_ms < HASTY_MS_MAX;
        let sent = Sent { at, within_ms, actor, is_ask, is_bulk, is_hasty, life, end: End::Open, heard: Vec::new() };
        book.sent.insert((talker, number), sent);
    }

    pub(crate) fn on_heard(&self, place: &Place, talker: u32, number: u32, is_bulk: bool, is_whole: bool) {
        let book = &mut *self.book.borrow_mut();
        book.note(&format!("hear {talker}/{number} at {place:?}"));
        book.counts.heard += 1;
        let Some(sent) = book.sent.get_mut(&(talker, number)) else {
            return book.violated(format!("{talker}/{number} was heard and never sent"));
        };
        sent.heard.push(place.clone());
        let (twice, refused) = (sent.heard.len() > 1, sent.end == End::Refused);
        let (other, life) = (sent.is_bulk != is_bulk || !is_whole, sent.life);
        if twice {
            book.counts.doubled += 1;
            book.violated(format!("{talker}/{number} was heard twice"));
        }
        if refused {
            book.violated(format!("{talker}/{number} was refused and heard"));
        }
        if other {
            book.violated(format!("{talker}/{number} was heard as something else"));
        }
        let Some(life) = life else {
            return book.violated(format!("{talker}/{number} had no way and was heard"));
        };
        if let Some(last) = book.last.insert((talker, is_bulk, life), number)
            && last >= number
        {
            book.violated(format!("{talker}/{number} was heard after {talker}/{last} on {life:?}"));
        }
    }

    /// A message has ended for its talker: with the answer, if it was an ask.
    pub(crate) fn on_end(&self, talker: u32, number: u32, end: Result<Option<u64>, PeerError>) {
        let book = &mut *self.book.borrow_mut();
        book.note(&format!("end {talker}/{number} {end:?}"));
        match &end {
            Ok(Some(reply)) if *reply != answer(talker, number) => {
                book.violated(format!("{talker}/{number} was answered {reply:x}"));
            }
            Err(error) if is_unexpected(error) => book.violated(format!("{talker}/{number} ended with {error}")),
            _ => {}
        }
        let now = book.now_ms();
        let sent = book.sent.get_mut(&(talker, number)).expect("it was sent");
        let ended = match end {
            Ok(Some(_)) => End::Answered,
            Ok(None) => End::Told,
            Err(error) if error.may_have_run() => End::Unknown,
            Err(_) => End::Refused,
        };
        let was = std::mem::replace(&mut sent.end, ended.clone());
        let heard = !sent.heard.is_empty();
        let late = now - sent.at > sent.within_ms + LATE_MS_MAX;
        if was != End::Open {
            book.violated(format!("{talker}/{number} ended twice"));
        }
        if late {
            book.violated(format!("{talker}/{number} ended later than its timeout"));
        }
        match ended {
            End::Answered if !heard => {
                book.counts.lost_answered += 1;
                book.violated(format!("{talker}/{number} was answered and not heard"));
            }
            End::Refused if heard => book.violated(format!("{talker}/{number} was heard and refused")),
            End::Answered => book.counts.answered += 1,
            End::Refused => book.counts.refused += 1,
            End::Unknown => book.counts.unknown += 1,
            _ => {}
        }
    }

    /// The talker waits no more.
    pub(crate) fn on_dropped(&self, talker: u32, number: u32) {
        let mut book = self.book.borrow_mut();
        book.note(&format!("drop {talker}/{number}"));
        book.sent.get_mut(&(talker, number)).expect("it was sent").end = End::Dropped;
    }

    pub(crate) fn on_panic(&self, place: &Place) {
        let mut book = self.book.borrow_mut();
        book.note(&format!("panic at {place:?}"));
        book.panicked.insert(place.clone());
    }

    /// An actor that may end has ended.
    pub(crate) fn on_mortal_end(&self, place: Place) {
        let mut book = self.book.borrow_mut();
        book.note(&format!("end of {place:?}"));
        let now = book.now_ms();
        book.ended.entry(place).or_insert(now);
    }

    pub(crate) fn is_patient(&self) -> bool {
        self.patient
    }
}

/// Nothing in a run is malformed, too large or not on the list.
fn is_unexpected(error: &PeerError) -> bool {
    use PeerError::{NotExported, TooLarge, Undecodable, Unencodable};
    matches!(error, NotExported { .. } | Undecodable { .. } | Unencodable { .. } | TooLarge { .. })
}

impl Book {
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).expect("a short run")
    }

    fn note(&mut self, text: &str) {
        let line = format!("{} {text}", self.now_ms());
        for byte in line.bytes() {
            // FNV-1a.
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.is_told {
            println!("{line}");
        }
        if self.tail.len() == TAIL_MAX {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    pub(crate) fn violated(&mut self, text: String) {
        self.note(&format!("VIOLATION {text}"));
        self.violations.push(format!("at {} ms: {text}", self.now_ms()));
    }
}
