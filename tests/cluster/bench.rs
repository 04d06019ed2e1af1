//! `odeon bench` on real processes: every measure is there, and nothing is left behind. The figures are not judged.

use crate::support::Stage;
use std::collections::BTreeSet;

#[test]
fn tasks_of_both_kinds_are_measured_beside_their_floors() {
    for kind in ["process", "inline"] {
        let stage = Stage::new();
        let arguments = ["bench", "tasks", "--kind", kind, "--tasks", "20", "--singles", "3", "--json"];
        let listing = stage.odeon(arguments).end().expect(0).json();
        let rows = listing["tasks"].as_array().expect("a list of measures");
        let names: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
        let expected = [
            "tasks, submitted together",
            "single task, p50",
            "single task, p99",
            "first task, from the start of the cluster",
            "master, idle",
            "agent, idle",
            "master, after all",
            "agent, after all",
        ];
        assert_eq!(names, expected);
        assert!(rows.iter().all(|row| row["value"].as_f64().is_some_and(|value| value > 0.0)), "{rows:?}");
        assert!(rows[..3].iter().all(|row| row["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0)), "{rows:?}");
        stage.assert_nothing_left();
    }
}

#[test]
fn the_fabric_is_measured_between_two_processes_and_loses_nothing() {
    let stage = Stage::new();
    let told = stage.odeon(["bench", "fabric", "--quick", "--json"]).end().expect(0).json();
    let figures = told["fabric"].as_array().expect("a list of figures");
    let names: BTreeSet<&str> = figures.iter().filter_map(|figure| figure["name"].as_str()).collect();
    assert_eq!(names.len(), figures.len(), "each measure is told once");
    for name in [
        "near tell 64 B",
        "tell 64 B",
        "msgpack 64 B",
        "unawaited try_tell",
        "ask 64 B p99",
        "fan-in of 16, 64 B",
        "bulk 1 MiB",
        "ask beside bulk p99",
        "TLS tell 64 B",
        "TLS bulk 1 MiB",
    ] {
        assert!(names.contains(name), "{name} is missing from {names:?}");
    }
    for figure in figures {
        assert_eq!(figure["lost"], 0, "{figure}");
        assert!(figure["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), "{figure}");
    }
    stage.assert_nothing_left();
}

#[test]
fn a_training_is_measured_against_its_optimum() {
    let stage = Stage::new();
    let data = "synthetic:dense?rows=3000&cols=5&seed=1";
    let told =
        stage.odeon(["bench", "train", "--data", data, "--solver", "quasi_newton", "--json"]).end().expect(0).json();
    let rows = told["training"].as_array().expect("a list of measures");
    let value = |name: &str| {
        let row = rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name}: {told}"));
        row["value"].as_f64().unwrap_or_else(|| panic!("{row}"))
    };
    assert!(value("best excess").abs() < 1e-12);
    assert!(value("readings to 1e-3") <= value("readings to 1e-6"));
    for name in
        ["time to 1e-6", "gradient pass, matrix", "overhead of a round, median", "bytes of a round", "read bandwidth"]
    {
        assert!(value(name) > 0.0, "{name}");
    }
    assert!(value("peak memory of all processes") > 1.0);
    stage.assert_nothing_left();
}
