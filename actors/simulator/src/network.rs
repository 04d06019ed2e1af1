//! Links between processes, as the fabric makes them: first in first out, at most once, dialled by need.
//!
//! Holds what is known of links; the world schedules what follows.

use crate::plan::Site;
use crate::process::Pid;
use odeon_runtime::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Silence after which an end closes its link.
pub(crate) const HEARTBEAT_TIMEOUT_US: u64 = 5_000_000;
/// One dial with its handshake.
pub(crate) const DIAL_TIMEOUT_US: u64 = 3_000_000;
/// The wait of an ask.
pub(crate) const SEND_TIMEOUT_US: u64 = 5_000_000;
pub(crate) const BACKOFF_MIN_US: u64 = 100_000;
pub(crate) const BACKOFF_MAX_US: u64 = 5_000_000;

/// One end of a link.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) pid: Pid,
    pub(crate) node: NodeId,
    pub(crate) site: Site,
    /// Whether this end still reads and writes.
    pub(crate) open: bool,
    /// When the last frame to this end arrives: the next one comes later.
    pub(crate) last_arrival_us: u64,
    /// Frames to this end that a cut holds up.
    pub(crate) held: Vec<Frame>,
}

/// What crosses a link.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a box for each answer costs more than the few frames under way take")]
pub(crate) enum Frame {
    Request {
        reply_to: Option<u64>,
        body: crate::message::Body,
    },
    Reply {
        ask: u64,
        reply: crate::message::Reply,
    },
    /// The other end has closed.
    Close,
}

/// A link; end 0 has dialled.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) ends: [End; 2],
}

impl Link {
    /// The number of the end at a process.
    pub(crate) fn end_of(&self, pid: Pid) -> usize {
        usize::from(self.ends[0].pid != pid)
    }
}

/// A dial under way, with what waits for it.
#[derive(Debug, Default)]
pub(crate) struct Dial {
    pub(crate) waiting: Vec<(Option<u64>, crate::message::Body)>,
}

/// What is known of an endpoint that failed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Backoff {
    pub(crate) failures: u32,
    pub(crate) until_us: u64,
}

/// All links of a run.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) links: BTreeMap<u64, Link>,
    /// The links of which the end at a process is open.
    open: BTreeSet<(Pid, u64)>,
    /// The same by the node at the other end; the newest link wins.
    nodes: BTreeMap<(Pid, NodeId), u64>,
    pub(crate) dials: BTreeMap<(Pid, Site), Dial>,
    pub(crate) backoffs: BTreeMap<(Pid, Site), Backoff>,
    /// The link that each process has dialled to a machine.
    pub(crate) routes: BTreeMap<(Pid, Site), u64>,
    /// How many cuts hold up what goes from one machine to the other.
    cuts: BTreeMap<(Site, Site), u32>,
    pub(crate) delay_max_us: u64,
    next_link: u64,
}

impl Network {
    pub(crate) fn add(&mut self, ends: [(Pid, NodeId, Site); 2], now_us: u64) -> u64 {
        let id = self.next_link;
        self.next_link += 1;
        let end = |(pid, node, site): (Pid, NodeId, Site)| End {
            pid,
            node,
            site,
            open: true,
            last_arrival_us: now_us,
            held: Vec::new(),
        };
        let [a, b] = ends;
        for (own, other) in [(&a, &b), (&b, &a)] {
            self.open.insert((own.0, id));
            self.nodes.insert((own.0, other.1.clone()), id);
        }
        self.links.insert(id, Link { ends: [end(a), end(b)] });
        id
    }

    /// Closes one end; true if it was open. The link goes when both are closed.
    pub(crate) fn close(&mut self, id: u64, end: usize) -> bool {
        let Some(link) = self.links.get_mut(&id) else { return false };
        if !std::mem::replace(&mut link.ends[end].open, false) {
            return false;
        }
        let at = (link.ends[end].pid, link.ends[1 - end].node.clone());
        self.open.remove(&(at.0, id));
        if self.nodes.get(&at) == Some(&id) {
            self.nodes.remove(&at);
        }
        true
    }

    /// Forgets a link of which both ends are closed.
    pub(crate) fn forget_if_closed(&mut self, id: u64) {
        if self.links.get(&id).is_some_and(|link| !link.ends[0].open && !link.ends[1].open) {
            self.links.remove(&id);
        }
    }

    /// The open link that a process has dialled to a machine.
    pub(crate) fn route(&self, own: Pid, site: Site) -> Option<u64> {
        let id = self.routes.get(&(own, site))?;
        self.links.get(id).filter(|link| link.ends[link.end_of(own)].open).map(|_| *id)
    }

    /// The open link of a process to a node.
    pub(crate) fn link_to(&self, own: Pid, node: &NodeId) -> Option<u64> {
        self.nodes.get(&(own, node.clone())).copied()
    }

    /// The open ends of a process.
    pub(crate) fn links_of(&self, own: Pid) -> Vec<u64> {
        self.open.range((own, 0)..=(own, u64::MAX)).map(|(_, id)| *id).collect()
    }

    /// The links with an open end at a machine, in order.
    pub(crate) fn links_at(&self, site: Site) -> Vec<u64> {
        let at = |link: &Link| link.ends[0].site != link.ends[1].site && link.ends.iter().any(|end| end.site == site);
        self.links.iter().filter(|(_, link)| at(link)).map(|(id, _)| *id).collect()
    }

    pub(crate) fn is_cut(&self, from: Site, to: Site) -> bool {
        self.cuts.contains_key(&(from, to))
    }

    pub(crate) fn begin_cut(&mut self, from: Site, to: Site) {
        *self.cuts.entry((from, to)).or_default() += 1;
    }

    pub(crate) fn end_cut(&mut self, from: Site, to: Site) {
        if let Some(count) = self.cuts.get_mut(&(from, to)) {
            *count -= 1;
            if *count == 0 {
                self.cuts.remove(&(from, to));
            }
        }
    }

    pub(crate) fn all_cuts(&self) -> Vec<(Site, Site)> {
        self.cuts.keys().copied().collect()
    }

    /// However many faults hold it, the cut ends.
    pub(crate) fn forget_cut(&mut self, from: Site, to: Site) {
        self.cuts.remove(&(from, to));
    }

    /// A process is gone, with all that it has dialled.
    pub(crate) fn forget_process(&mut self, own: Pid) {
        fn forget<T>(table: &mut BTreeMap<(Pid, Site), T>, own: Pid) {
            while let Some(key) = table.range((own, Site::Master)..).next().map(|(key, _)| *key)
                && key.0 == own
            {
                table.remove(&key);
            }
        }
        forget(&mut self.dials, own);
        forget(&mut self.routes, own);
        forget(&mut self.backoffs, own);
    }

    /// The next message to a machine dials anew.
    pub(crate) fn forget_routes(&mut self, site: Site) {
        self.routes.retain(|(_, to), _| *to != site);
        self.backoffs.retain(|(_, to), _| *to != site);
    }
}
