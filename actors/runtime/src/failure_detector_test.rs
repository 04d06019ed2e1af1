//! What the detector says of silences that were recorded, and of links that are cut.
//!
//! `tests/fabric/delays.rs` has recorded them, between two processes of one machine.

use super::*;

const RECORDS: [(&str, &str); 4] = [
    ("idle", include_str!("../tests/fixtures/delays/idle.txt")),
    ("bulk", include_str!("../tests/fixtures/delays/bulk.txt")),
    ("busy", include_str!("../tests/fixtures/delays/busy.txt")),
    ("stopped", include_str!("../tests/fixtures/delays/stopped.txt")),
];

const SECOND: Duration = Duration::from_secs(1);

fn silences(text: &str) -> Vec<Duration> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| Duration::from_micros(line.parse().unwrap())).collect()
}

/// How long the link may be silent after each of these silences; none of them may have been too long.
fn patience(name: &str, silences: &[Duration]) -> Vec<Duration> {
    let mut detector = FailureDetector::new(&FabricLimits::DEFAULT, Duration::ZERO);
    let mut now = Duration::ZERO;
    let mut heard = |silence: &Duration| {
        now += *silence;
        assert!(now < detector.due(), "{name}: false alarm at {now:?}, due at {:?}", detector.due());
        detector.on_bytes(now);
        detector.due() - now
    };
    silences.iter().map(&mut heard).collect()
}

fn record(wanted: &str) -> Vec<Duration> {
    silences(RECORDS.iter().find(|(name, _)| *name == wanted).unwrap().1)
}

#[test]
fn no_recorded_silence_is_taken_for_a_death() {
    for (name, text) in RECORDS {
        let silences = silences(text);
        assert!(silences.iter().sum::<Duration>() > 5 * SECOND, "{name} is a record");
        patience(name, &silences);
    }
}

#[test]
fn a_cut_is_noticed_in_time_wherever_in_a_record_it_happens() {
    for (name, text) in RECORDS {
        for found in patience(name, &silences(text)) {
            assert!(found > 3 * SECOND && found <= FabricLimits::DEFAULT.heartbeat_timeout, "{name}: {found:?}");
        }
    }
}

/// What a fixed timeout cannot do: five seconds are too many for the one and too few for the other.
#[test]
fn a_steady_link_is_given_less_time_than_one_that_is_stopped_now_and_then() {
    let after = |name| *patience(name, &record(name)).last().unwrap();
    let (idle, busy, stopped) = (after("idle"), after("busy"), after("stopped"));
    assert!(idle < 5 * SECOND && busy < 5 * SECOND, "{idle:?} {busy:?}");
    assert!(stopped > 8 * SECOND, "{stopped:?}");
}

#[test]
fn a_bad_spell_is_forgotten_after_as_many_heartbeats_as_are_remembered() {
    let steady = vec![SECOND; SILENCES_MAX];
    let spell = [record("stopped"), steady.clone()].concat();
    assert_eq!(patience("spell", &spell).last(), patience("steady", &steady).last());
}

#[test]
fn a_link_that_carries_much_teaches_no_faster_than_an_idle_one() {
    let mut detector = FailureDetector::new(&FabricLimits::DEFAULT, Duration::ZERO);
    let first = detector.due();
    for millisecond in 1..1000 {
        detector.on_bytes(Duration::from_millis(millisecond));
    }
    assert_eq!(detector.due() - detector.last, first, "nothing is learned within a heartbeat");
    detector.on_bytes(SECOND);
    assert_eq!(detector.silences.back(), Some(&Duration::from_millis(1)));
}
