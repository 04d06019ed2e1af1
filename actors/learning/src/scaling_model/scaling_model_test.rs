//! Times and bytes by hand, what no topology can beat, and the table of the documentation.

use super::*;

/// Everything in round numbers: 1000 numbers, no heads to speak of, a byte a microsecond.
fn plain(workers: usize, topology: Topology) -> Scenario {
    Scenario {
        workers,
        topology,
        rounds: 1,
        values: 1000,
        compute: Duration::from_millis(100),
        delay: Duration::from_millis(2),
        bandwidth: 8_100_000,
        jitter_percent: 0,
        ..Scenario::dense()
    }
}

#[test]
fn a_star_of_two_takes_what_one_computes_by_hand() {
    // A message has 8100 bytes, and takes 1 ms of a line: the second point leaves when the first has, 2 ms of delay, then a
    // ms at the receiver: 4 ms; 50 ms for the sums, and back: 3 ms, and 1 µs for the addition.
    let outcome = plain(2, Topology::Star).run();
    assert_eq!(outcome.time, Duration::from_micros(1000 + 3000 + 50_000 + 3000 + 1));
    assert_eq!((outcome.bytes, outcome.busiest_bytes), (4 * 8100, 4 * 8100));
    assert_eq!(outcome.speed_up, 0.1 / outcome.time.as_secs_f64());
}

#[test]
fn a_ring_of_two_sends_each_half_twice() {
    // Two steps of 500 numbers: 4100 bytes.
    let outcome = plain(2, Topology::Ring).run();
    let step = 4100.0 / 8_100_000.0 + 0.002;
    let expected = 0.05 + 2.0 * step + 500e-9;
    assert!((outcome.time.as_secs_f64() - expected).abs() < 1e-8, "{outcome:?} and not {expected}");
    assert_eq!((outcome.bytes, outcome.busiest_bytes), (4 * 4100, 4 * 4100));
}

#[test]
fn bytes_are_those_of_the_topology() {
    for workers in [1, 2, 5, 16, 100] {
        let star = plain(workers, Topology::Star).run();
        assert_eq!(star.bytes, 2 * workers as u64 * 8100);
        for fan_in in [1, 2, 4] {
            let tree = plain(workers, Topology::Tree { fan_in }).run();
            assert_eq!(tree.bytes, star.bytes, "as many links");
            let most = 2 * (fan_in.min(workers) as u64 + 1) * 8100;
            assert!(tree.busiest_bytes <= most, "{workers} {fan_in}: {} of {most}", tree.busiest_bytes);
        }
        let ring = plain(workers, Topology::Ring).run();
        // What an all-reduce needs at least: sent and received by each.
        let least = 2 * 2 * 8 * 1000 * (workers as u64 - 1) / workers as u64;
        assert!(ring.busiest_bytes >= least && ring.busiest_bytes <= least + 2 * 2 * workers as u64 * (HEAD_BYTES + 8));
    }
}

#[test]
fn no_training_is_faster_than_its_computing_and_its_delays() {
    for workers in [1, 2, 8, 32] {
        for topology in [Topology::Star, Topology::Tree { fan_in: 4 }, Topology::Ring] {
            let scenario = Scenario { rounds: 3, ..plain(workers, topology) };
            let outcome = scenario.run();
            // Shares are cut to whole nanoseconds.
            let least = Duration::from_millis(300) / workers as u32 - Duration::from_nanos(3);
            assert!(outcome.time >= least && outcome.speed_up <= workers as f64 + 1e-6, "{outcome:?}");
            assert_eq!(outcome, scenario.run(), "the same again");
        }
    }
}

#[test]
fn compression_shortens_sums_and_not_points() {
    let bytes = |compression| Scenario { compression, ..plain(4, Topology::Star) }.run().bytes;
    let points = 4 * 8100;
    assert_eq!(bytes(Compression::Half), points + 4 * 2100);
    assert_eq!(bytes(Compression::OneBit), points + 4 * (100 + 125 + 16));
    assert_eq!(bytes(Compression::Top { per_mille: 10 }), points + 4 * (100 + 120));
}

#[test]
fn who_does_not_wait_is_not_held_up_by_a_slow_worker() {
    let time = |waiting| {
        let scenario = Scenario { waiting, slowest_times: 10, rounds: 20, ..plain(4, Topology::Star) };
        scenario.run().time.as_secs_f64()
    };
    let all = time(Waiting::ForAll);
    let bounds = [0, 1, 3, 10].map(|staleness| time(Waiting::Bounded(staleness)));
    assert!(bounds.windows(2).all(|pair| pair[1] <= pair[0]), "{bounds:?}");
    assert!(bounds[0] > 0.9 * all && time(Waiting::ForNobody) < 0.4 * all, "{all} {bounds:?}");
}

/// `docs/training.md` says what this program says.
#[test]
fn the_tables_of_the_documentation_are_these() {
    let page = include_str!("../../../../docs/training.md");
    let tables = [Scenario::dense(), Scenario::wide()].map(scaling_table);
    let missing: Vec<&String> = tables.iter().filter(|table| !page.contains(table.as_str())).collect();
    assert!(missing.is_empty(), "these tables are not in docs/training.md: {missing:#?}");
}
