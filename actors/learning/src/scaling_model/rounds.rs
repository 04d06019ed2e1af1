//! The messages of rounds: a tree of which a star is the flattest, a ring, and workers that do not wait for all.
//!
//! Member 0 is the coordinator, the others are workers. The result is the time of the end, in nanoseconds.

use super::network::Network;
use super::{ADD_NS, Scenario};

/// What a member hears: the point of a round, the end of its own computing, or sums.
const POINT: u64 = 0;
const COMPUTED: u64 = 1;
const SUMS: u64 = 2;

/// Points go down a tree and sums up; everybody has at most `fan_in` below.
pub(super) fn tree(scenario: &Scenario, network: &mut Network, fan_in: usize) -> u64 {
    let members = scenario.workers + 1;
    let children =
        |member: usize| (member * fan_in + 1..=(member + 1) * fan_in).take_while(move |child| *child < members);
    let (point_bytes, sum_bytes) = scenario.message_bytes();
    let adds = ADD_NS * scenario.values;
    let mut now = 0;
    for round in 0..scenario.rounds {
        // Own sums, and those of the children.
        let mut missing: Vec<usize> = (0..members).map(|member| children(member).count() + 1).collect();
        let mut added_until = vec![now; members];
        missing[0] -= 1;
        children(0).for_each(|child| network.send(now, 0, child, point_bytes, POINT));
        while let Some(heard) = network.next() {
            let member = heard.to;
            if heard.tag == POINT {
                children(member).for_each(|child| network.send(heard.at, member, child, point_bytes, POINT));
                network.wake(heard.at + scenario.share(member - 1, round), member, COMPUTED);
                continue;
            }
            let added = if heard.tag == SUMS { adds } else { 0 };
            added_until[member] = added_until[member].max(heard.at) + added;
            missing[member] -= 1;
            if missing[member] > 0 {
                continue;
            }
            match member {
                0 => now = added_until[0],
                _ => network.send(added_until[member], member, (member - 1) / fan_in, sum_bytes, SUMS),
            }
        }
    }
    now
}

/// Each worker adds a part of the vector while it goes around, then all parts go around; everybody has the sum and
/// makes the same step.
pub(super) fn ring(scenario: &Scenario, network: &mut Network) -> u64 {
    let workers = scenario.workers;
    let part = scenario.values.div_ceil(workers as u64);
    let sum_bytes = super::HEAD_BYTES + scenario.compression.bytes(part);
    let steps = 2 * (workers as u64 - 1);
    let mut begins = vec![0; workers];
    for round in 0..scenario.rounds {
        let mut ready: Vec<u64> =
            begins.iter().enumerate().map(|(worker, at)| at + scenario.share(worker, round)).collect();
        for step in 0..steps {
            let adds = if step < steps / 2 { ADD_NS * part } else { 0 };
            let before = ready.clone();
            for (worker, sent) in before.iter().enumerate() {
                // Lines are of one neighbour, and free again when it is heard. What comes cannot be used before this
                // worker has come so far itself.
                let next = (worker + 1) % workers;
                let heard = sent + network.alone(1 + worker, 1 + next, sum_bytes);
                ready[next] = before[next].max(heard) + adds;
            }
        }
        begins = ready;
    }
    begins.into_iter().max().unwrap_or(0)
}

/// Each worker goes on when its sums have come, if it is not too far ahead; over when as many have come as all of them
/// would send in all rounds.
pub(super) fn stale(scenario: &Scenario, network: &mut Network, staleness: Option<u32>) -> u64 {
    let (point_bytes, sum_bytes) = scenario.message_bytes();
    let adds = ADD_NS * scenario.values;
    let mut rounds = vec![0_u32; scenario.workers];
    let mut waits = vec![false; scenario.workers];
    let (mut added_until, mut added) = (0, 0);
    (1..=scenario.workers).for_each(|worker| network.send(0, 0, worker, point_bytes, POINT));
    while let Some(heard) = network.next() {
        if heard.to > 0 {
            let worker = heard.to - 1;
            match heard.tag {
                POINT => network.wake(heard.at + scenario.share(worker, rounds[worker]), heard.to, COMPUTED),
                _ => network.send(heard.at, heard.to, 0, sum_bytes, SUMS),
            }
            continue;
        }
        added_until = added_until.max(heard.at) + adds;
        rounds[heard.from - 1] += 1;
        waits[heard.from - 1] = true;
        let slowest = rounds.iter().copied().min().unwrap_or(0);
        added += 1;
        if added >= u64::from(scenario.rounds) * scenario.workers as u64 {
            return added_until;
        }
        for worker in 0..scenario.workers {
            let may = staleness.is_none_or(|staleness| rounds[worker] <= slowest + staleness);
            if waits[worker] && may {
                waits[worker] = false;
                network.send(added_until, 0, 1 + worker, point_bytes, POINT);
            }
        }
    }
    added_until
}
