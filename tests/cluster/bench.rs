//! `odeon bench tasks` on real processes: every measure is there, and nothing is left behind. The figures are not judged.

use crate::support::Stage;

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
            "master, idle",
            "agent, idle",
            "master, at most",
            "agent, at most",
        ];
        assert_eq!(names, expected);
        assert!(rows.iter().all(|row| row["value"].as_f64().is_some_and(|value| value > 0.0)), "{rows:?}");
        assert!(rows[..3].iter().all(|row| row["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0)), "{rows:?}");
        stage.assert_nothing_left();
    }
}
