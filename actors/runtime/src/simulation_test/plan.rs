//! What a run will do: who talks to whom, what goes wrong and when. A seed is drawn out into it; it can be saved and read.

use super::chance::Chance;
use crate::limits::FabricLimits;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Actors of each node that may end.
pub(crate) const MORTALS: usize = 2;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Decides the network, the jitter and what the talkers draw.
    pub(crate) seed: u64,
    pub(crate) nodes: usize,
    /// Small limits, so that all that is bounded is full now and then.
    pub(crate) tight: bool,
    /// Whether a talker waits for the end of each message: then even those that wait for room keep their order.
    pub(crate) patient: bool,
    /// When faults end and all must work again.
    pub(crate) heal_ms: u64,
    pub(crate) talkers: Vec<TalkerPlan>,
    pub(crate) watchers: Vec<WatcherPlan>,
    pub(crate) faults: Vec<Step>,
}

/// Whom a talker talks to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Hearer {
    /// The supervised actor of the node.
    Ear,
    /// The actor of the node that nobody supervises.
    Plain,
    /// The ears of all nodes as a group.
    Group,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct TalkerPlan {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) hearer: Hearer,
    pub(crate) count: u32,
    pub(crate) gap_ms_max: u64,
    /// Of a hundred messages, so many are asks.
    pub(crate) asks_percent: u64,
    /// Of a hundred messages, so many are bulk.
    pub(crate) bulk_percent: u64,
    pub(crate) control_bytes_max: u64,
    pub(crate) bulk_bytes_max: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct WatcherPlan {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) mortal: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) at_ms: u64,
    pub(crate) fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Fault {
    Cut {
        a: usize,
        b: usize,
    },
    CutOneWay {
        from: usize,
        to: usize,
    },
    Heal {
        a: usize,
        b: usize,
    },
    /// Both ends are told; what is on the way is lost, and nobody knows what.
    Reset {
        a: usize,
        b: usize,
    },
    /// Only one end is told: when it dials again there are two links for a while.
    Forget {
        told: usize,
        other: usize,
    },
    Slow {
        from: usize,
        to: usize,
        delay_ms: u64,
        bytes_per_ms: u32,
    },
    Quicken {
        from: usize,
        to: usize,
    },
    /// The node comes back as another incarnation.
    Restart {
        node: usize,
        after_ms: u64,
    },
    /// The supervised actor panics.
    Panic {
        node: usize,
    },
    /// An actor handles nothing for a while.
    Pause {
        node: usize,
        supervised: bool,
        ms: u64,
    },
    /// An actor that may end ends.
    End {
        node: usize,
        mortal: usize,
    },
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed, 1);
        let nodes = usize::try_from(chance.between(2, 4)).expect("small");
        let (calm, tight) = (chance.percent(20), chance.percent(40));
        let patient = tight || chance.percent(20);
        let heal_ms = chance.between(500, 4000);
        let talkers = (0..chance.between(3, 7)).map(|_| TalkerPlan::draw(&mut chance, nodes)).collect();
        let watchers = (0..chance.between(1, 6)).map(|_| WatcherPlan::draw(&mut chance, nodes)).collect();
        let mut faults = Vec::new();
        if !calm {
            let mut chance = Chance::new(seed, 2);
            (0..chance.between(1, 12)).for_each(|_| draw_fault(&mut chance, nodes, heal_ms, &mut faults));
            faults.sort_by_key(|step| step.at_ms);
        }
        Self { seed, nodes, tight, patient, heal_ms, talkers, watchers, faults }
    }

    /// Two nodes that talk over the control lane alone while the link between them is cut again and again.
    pub(crate) fn cuts(seed: u64, cuts: u64) -> Self {
        let mut chance = Chance::new(seed, 3);
        let talker = |from: usize, hearer| TalkerPlan {
            from,
            to: 1 - from,
            hearer,
            count: 200,
            gap_ms_max: 150,
            asks_percent: 50,
            bulk_percent: 0,
            control_bytes_max: 200,
            bulk_bytes_max: 0,
        };
        let talkers = [0, 1].map(|from| [talker(from, Hearer::Ear), talker(from, Hearer::Plain)]).concat();
        let watchers = [0, 1].map(|from| WatcherPlan { from, to: 1 - from, mortal: 0 }).to_vec();
        let (mut faults, mut at_ms) = (Vec::new(), 100);
        for _ in 0..cuts {
            let told = chance.index(2);
            let (fault, heals) = match chance.below(8) {
                0 => (Fault::Cut { a: 0, b: 1 }, true),
                1 => (Fault::CutOneWay { from: told, to: 1 - told }, true),
                2 | 3 => (Fault::Forget { told, other: 1 - told }, false),
                _ => (Fault::Reset { a: 0, b: 1 }, false),
            };
            faults.push(Step { at_ms, fault });
            if heals {
                // Both ends have given up by then; a dial that was begun before hangs for a while.
                at_ms += chance.between(450, 550);
                faults.push(Step { at_ms, fault: Fault::Heal { a: 0, b: 1 } });
                at_ms += 350;
            }
            at_ms += chance.between(100, 250);
        }
        let slow = |from: usize| Fault::Slow { from, to: 1 - from, delay_ms: 5, bytes_per_ms: 10_000 };
        faults.extend([0, 1].map(|from| Step { at_ms: 0, fault: slow(from) }));
        faults.sort_by_key(|step| step.at_ms);
        Self { seed, nodes: 2, tight: false, patient: false, heal_ms: at_ms, talkers, watchers, faults }
    }

    /// Whether nothing goes wrong.
    pub(crate) fn is_calm(&self) -> bool {
        self.faults.is_empty()
    }

    pub(crate) fn limits(&self) -> FabricLimits {
        let wide = FabricLimits {
            send_timeout: Duration::from_secs(1),
            dial_timeout: Duration::from_millis(300),
            frame_bytes_max: 1024 * 1024,
            control_bytes_max: 64 * 1024 * 1024,
            bulk_frames_max: 1024,
            bulk_bytes_max: 256 * 1024 * 1024,
            heartbeat_interval: Duration::from_millis(100),
            heartbeat_pause: Duration::from_millis(200),
            heartbeat_timeout: Duration::from_millis(500),
            backoff_min: Duration::from_millis(20),
            backoff_max: Duration::from_millis(200),
            ..FabricLimits::DEFAULT
        };
        match self.tight {
            false => wide,
            true => FabricLimits {
                control_frames_max: 8,
                control_bytes_max: 16 * 1024,
                bulk_frames_max: 2,
                bulk_bytes_max: 128 * 1024,
                pending_asks_max: 4,
                inbound_asks_max: 1,
                watches_max: 1,
                ..wide
            },
        }
    }
}

impl TalkerPlan {
    fn draw(chance: &mut Chance, nodes: usize) -> Self {
        Self {
            from: chance.index(nodes),
            to: chance.index(nodes),
            hearer: chance.of(&[Hearer::Ear, Hearer::Ear, Hearer::Plain, Hearer::Group]),
            count: u32::try_from(chance.between(5, 70)).expect("small"),
            gap_ms_max: chance.of(&[0, 2, 30, 100]),
            asks_percent: chance.of(&[0, 30, 50, 100]),
            bulk_percent: chance.of(&[0, 0, 30, 100]),
            control_bytes_max: chance.of(&[10, 100, 20_000]),
            bulk_bytes_max: chance.of(&[100, 100, 70_000, 200_000]),
        }
    }
}

impl WatcherPlan {
    fn draw(chance: &mut Chance, nodes: usize) -> Self {
        Self { from: chance.index(nodes), to: chance.index(nodes), mortal: chance.index(MORTALS) }
    }
}

/// One fault, and what ends it if something has to.
fn draw_fault(chance: &mut Chance, nodes: usize, heal_ms: u64, faults: &mut Vec<Step>) {
    let (a, more) = (chance.index(nodes), chance.index(nodes - 1));
    let b = (a + 1 + more) % nodes;
    let at_ms = chance.below(heal_ms);
    let until_ms = at_ms + chance.of(&[5, 100, 400, 1500]);
    let (fault, end) = match chance.below(12) {
        0 | 1 => (Fault::Cut { a, b }, Some(Fault::Heal { a, b })),
        2 => (Fault::CutOneWay { from: a, to: b }, Some(Fault::Heal { a, b })),
        3 | 4 => (Fault::Reset { a, b }, None),
        5 => (Fault::Forget { told: a, other: b }, None),
        6 | 7 => {
            let (delay_ms, bytes_per_ms) = (chance.of(&[1, 20, 100]), chance.of(&[16, 100, 2000, 100_000]));
            (Fault::Slow { from: a, to: b, delay_ms, bytes_per_ms }, Some(Fault::Quicken { from: a, to: b }))
        }
        8 => (Fault::Restart { node: a, after_ms: chance.of(&[1, 50, 700]) }, None),
        9 => (Fault::Panic { node: a }, None),
        10 => (Fault::Pause { node: a, supervised: chance.percent(50), ms: chance.of(&[1, 50, 700]) }, None),
        _ => (Fault::End { node: a, mortal: chance.index(MORTALS) }, None),
    };
    faults.push(Step { at_ms, fault });
    faults.extend(end.map(|fault| Step { at_ms: until_ms, fault }));
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&toml::to_string(self).map_err(|_| fmt::Error)?)
    }
}

#[test]
fn a_plan_survives_being_saved() {
    for seed in 0..50 {
        let plan = Plan::of(seed);
        assert_eq!(toml::from_str::<Plan>(&plan.to_string()).unwrap(), plan);
    }
}
