//! Streams of chance, one for each concern, so that a draw more in one does not change the others.
//!
//! Nothing here is good for secrets.

/// What a stream is drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Concern {
    /// The order of events that fall on one instant.
    Order,
    /// Delays of frames and dials.
    Network,
    /// How long writes take, and what is left of one that was interrupted.
    Disk,
    /// How long processes take to start and to be seen to end.
    Process,
    /// Identities of processes, and how their clocks go.
    Identity,
    /// What frameworks want.
    Workload,
    /// What goes wrong.
    Faults,
    /// What operators ask for.
    Operators,
}

/// A sequence of numbers that a seed decides.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    state: u64,
}

impl Stream {
    pub(crate) fn new(seed: u64, concern: Concern) -> Self {
        Self { state: mix(seed ^ mix(concern as u64 + 1)) }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below `bound`; zero if the bound is zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// A number from `least` to `most`, both possible.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood, *Fast Splittable Pseudorandom Number Generators*, 2014).
pub(crate) fn mix(value: u64) -> u64 {
    let z = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_differ_by_their_concern_and_repeat() {
        let draw = |concern| (0..4).map(|_| 0).scan(Stream::new(7, concern), |s, _: u64| Some(s.next())).collect();
        let (network, again, disk): (Vec<u64>, Vec<u64>, Vec<u64>) =
            (draw(Concern::Network), draw(Concern::Network), draw(Concern::Disk));
        assert_eq!(network, again);
        assert_ne!(network, disk);
    }
}
