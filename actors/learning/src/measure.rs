//! How fast this machine reads memory: what a pass over rows is compared with.
//!
//! It measures the machine and nothing of the project.

use std::sync::Barrier;
use std::time::Instant;

/// Words that are added side by side, so that no addition waits for the one before.
const LANES: usize = 32;
/// Words of 8 bytes in a mebibyte.
const WORDS_IN_MIB: usize = 1024 * 1024 / 8;

/// Bytes a second that so many threads read together, each `mib_each` MiB of its own; the best of `runs`.
///
/// # Panics
/// If memory is short.
#[must_use]
pub fn read_bandwidth(mib_each: usize, threads: usize, runs: usize) -> f64 {
    let fill = |thread: usize| (0..mib_each * WORDS_IN_MIB).map(|word| (word ^ thread) as u64).collect::<Vec<u64>>();
    let parts: Vec<Vec<u64>> = (0..threads).map(fill).collect();
    let bytes = (threads * mib_each * WORDS_IN_MIB * 8) as f64;
    (0..runs).map(|_| bytes / read_all(&parts)).fold(0.0, f64::max)
}

/// Seconds from the first thread's start to the last one's end.
fn read_all(parts: &[Vec<u64>]) -> f64 {
    let gate = Barrier::new(parts.len());
    let times: Vec<(Instant, Instant)> = std::thread::scope(|scope| {
        let readers: Vec<_> = parts.iter().map(|part| scope.spawn(|| read(part, &gate))).collect();
        readers.into_iter().map(|reader| reader.join().expect("adding numbers does not panic")).collect()
    });
    let began = times.iter().map(|(began, _)| *began).min();
    let ended = times.iter().map(|(_, ended)| *ended).max();
    began.zip(ended).map_or(f64::INFINITY, |(began, ended)| (ended - began).as_secs_f64())
}

fn read(part: &[u64], gate: &Barrier) -> (Instant, Instant) {
    gate.wait();
    let began = Instant::now();
    std::hint::black_box(sum(part));
    (began, Instant::now())
}

fn sum(words: &[u64]) -> u64 {
    let (chunks, rest) = words.as_chunks::<LANES>();
    let mut lanes = [0_u64; LANES];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, word)| *lane = lane.wrapping_add(*word));
    }
    lanes.iter().chain(rest).fold(0, |sum, word| sum.wrapping_add(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_once() {
        let words: Vec<u64> = (0..1000).collect();
        assert_eq!(sum(&words), 499_500);
    }

    #[test]
    fn a_machine_reads_something_in_a_second() {
        assert!(read_bandwidth(1, 2, 2).is_normal());
    }
}
