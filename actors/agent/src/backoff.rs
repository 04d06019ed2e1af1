//! Waits that double, with a jitter that a seed decides. Pure.

use std::time::Duration;

/// The wait after so many failures in a row: doubles from `min` up to `max`.
pub(crate) fn doubled(failures: u32, min: Duration, max: Duration) -> Duration {
    min.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(max)
}

/// Takes up to half off a wait, so that many agents do not move in step.
pub(crate) fn jittered(full: Duration, seed: u64, draw: u64) -> Duration {
    let parts = u32::try_from(mix(seed ^ mix(draw)) % 1024).expect("below 1024");
    full - full / 2048 * parts
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood, *Fast Splittable Pseudorandom Number Generators*, 2014).
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_up_to_its_limit_and_loses_at_most_half() {
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(60));
        for (failures, seconds) in [(1, 1), (2, 2), (6, 32), (7, 60), (1000, 60)] {
            let full = Duration::from_secs(seconds);
            assert_eq!(doubled(failures, min, max), full);
            let waits: Vec<Duration> = (0..100).map(|draw| jittered(full, 7, draw)).collect();
            assert!(waits.iter().all(|wait| *wait <= full && *wait >= full / 2), "{waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]));
        }
    }
}
