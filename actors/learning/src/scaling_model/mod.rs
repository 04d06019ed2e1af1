//! A model of how a training scales: the messages of its rounds on an event clock, over links with a delay and a
//! bandwidth, between workers of given speeds.
//!
//! Nothing is learned here: how many rounds a training takes is an input. Ways to add that the runtime does not have
//! (tree, ring, compression) are in the model, to see what they would be worth.

mod network;
mod rounds;
mod table;

use std::time::Duration;

use network::Network;
pub use table::{ScalingRow, scaling_rows, scaling_table};

/// Bytes of a message beside its numbers.
pub const HEAD_BYTES: u64 = 100;
/// What adding one number to another takes, in nanoseconds.
const ADD_NS: u64 = 1;

/// Who adds what workers have summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// The coordinator.
    Star,
    /// Workers on the way to the coordinator, each for so many others.
    Tree {
        /// Workers below each one, and below the coordinator.
        fan_in: usize,
    },
    /// Each worker a part, which then goes around (Patarasuk, Yuan 2009).
    Ring,
}

/// How numbers on the way to a sum are written; points are written in 64 bits, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// 64 bits each.
    None,
    /// 16 bits each.
    Half,
    /// One bit each, and two numbers for the two values that it stands for.
    OneBit,
    /// The largest of a thousand: so many of them, each with its place in 32 bits.
    Top {
        /// Of a thousand.
        per_mille: u64,
    },
}

/// When a worker goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// When the sums of all workers are added.
    ForAll,
    /// When its own have come to the coordinator, and it is at most so many rounds ahead of the slowest.
    Bounded(u32),
    /// When its own have come.
    ForNobody,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scenario {
    /// Workers.
    pub workers: usize,
    /// Who adds; a star where workers do not wait for all.
    pub topology: Topology,
    /// How sums are written.
    pub compression: Compression,
    /// When a worker goes on.
    pub waiting: Waiting,
    /// Rounds, in each of which every row is read once.
    pub rounds: u32,
    /// Numbers of a point, and of a sum.
    pub values: u64,
    /// What one worker alone would compute in a round.
    pub compute: Duration,
    /// One way between any two.
    pub delay: Duration,
    /// Of each of them, in each direction, in bytes a second.
    pub bandwidth: u64,
    /// So much longer than usual a worker may take in a round, in per cent; how much is drawn for each round and worker.
    pub jitter_percent: u64,
    /// How many times as long as the others the last worker takes.
    pub slowest_times: u64,
    /// Of what is drawn.
    pub seed: u64,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Until the last round is over.
    pub time: Duration,
    /// Sent by all.
    pub bytes: u64,
    /// Through the one who has most of it, both ways.
    pub busiest_bytes: u64,
    /// What one worker alone, without messages, would take, by the time.
    pub speed_up: f64,
}

impl Compression {
    /// Bytes of so many numbers.
    #[must_use]
    pub fn bytes(self, values: u64) -> u64 {
        match self {
            Self::None => 8 * values,
            Self::Half => 2 * values,
            Self::OneBit => values.div_ceil(8) + 16,
            Self::Top { per_mille } => 12 * (values * per_mille).div_ceil(1000),
        }
    }
}

impl Scenario {
    /// Two million rows of a hundred columns, in 16 rounds, over a gigabit a second with a tenth of a millisecond of delay: what
    /// a worker takes is what `odeon bench train` measured, twice, for one worker in place of two.
    #[must_use]
    pub fn dense() -> Self {
        Self {
            workers: 2,
            topology: Topology::Star,
            compression: Compression::None,
            waiting: Waiting::ForAll,
            rounds: 16,
            values: 102,
            compute: Duration::from_millis(266),
            delay: Duration::from_micros(100),
            bandwidth: 125_000_000,
            jitter_percent: 20,
            slowest_times: 1,
            seed: 1,
        }
    }

    /// Twenty classes over 32,207 columns, in 100 rounds of 4 s for one worker, over the same links.
    #[must_use]
    pub fn wide() -> Self {
        Self { rounds: 100, values: 644_160, compute: Duration::from_secs(4), ..Self::dense() }
    }

    /// Runs it.
    ///
    /// # Panics
    /// If there are no workers, or links of no bandwidth.
    #[must_use]
    pub fn run(&self) -> Outcome {
        assert!(self.workers > 0 && self.bandwidth > 0, "somebody computes, and links carry something");
        let mut network = Network::new(self.workers + 1, self.delay, self.bandwidth);
        let nanoseconds = match (self.waiting, self.topology) {
            (Waiting::ForAll, Topology::Star) => rounds::tree(self, &mut network, self.workers),
            (Waiting::ForAll, Topology::Tree { fan_in }) => rounds::tree(self, &mut network, fan_in.max(1)),
            (Waiting::ForAll, Topology::Ring) => rounds::ring(self, &mut network),
            (Waiting::Bounded(staleness), _) => rounds::stale(self, &mut network, Some(staleness)),
            (Waiting::ForNobody, _) => rounds::stale(self, &mut network, None),
        };
        let time = Duration::from_nanos(nanoseconds);
        let alone = self.compute.as_secs_f64() * f64::from(self.rounds);
        let (bytes, busiest_bytes) = network.bytes();
        Outcome { time, bytes, busiest_bytes, speed_up: alone / time.as_secs_f64() }
    }

    /// What a worker takes for its share of a round, in nanoseconds.
    fn share(&self, worker: usize, round: u32) -> u64 {
        let even = nanoseconds(self.compute) / self.workers as u64;
        let drawn = mix(self.seed ^ mix(((worker as u64) << 32) | u64::from(round))) % 1_000_001;
        let jitter = (u128::from(even) * u128::from(self.jitter_percent) * u128::from(drawn) / 100_000_000) as u64;
        let times = if worker + 1 == self.workers { self.slowest_times.max(1) } else { 1 };
        (even + jitter) * times
    }

    /// Bytes of a point, and of a sum.
    fn message_bytes(&self) -> (u64, u64) {
        (HEAD_BYTES + 8 * self.values, HEAD_BYTES + self.compression.bytes(self.values))
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Numbers without a pattern, the same on every host.
///
/// # Source
/// Steele, Lea, Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014: the finaliser of SplitMix.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
#[path = "scaling_model_test.rs"]
mod tests;
