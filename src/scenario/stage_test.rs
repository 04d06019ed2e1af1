//! Every example is played, and a scenario that expects what does not come fails by name.

use std::path::{Path, PathBuf};

use super::*;

fn read(text: &str) -> Scenario {
    crate::config::document::parse(Path::new("scenario.toml"), text).unwrap()
}

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_example_holds_what_it_expects() {
    let mut failures = Vec::new();
    let files = examples();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let scenario = crate::config::document::parse(file, &text).unwrap_or_else(|error| panic!("{error}"));
        let report = play(scenario).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let failed = report.steps.iter().flat_map(|step| step.failures.iter().map(move |text| (step.step, text)));
        let name = file.file_name().unwrap().to_string_lossy();
        failures.extend(failed.map(|(step, text)| format!("{name} step {step}: {text}")));
    }
    assert!(files.len() >= 25, "the examples are there");
    assert_eq!(failures, Vec::<String>::new());
}

#[test]
fn what_does_not_come_as_expected_is_told() {
    let report = play(read(
        r#"
        version = 1
        name = "wrong"
        [[step]]
        add-framework = { id = "f1", roles = ["r"] }
        [[step]]
        add-agent = { id = "a1", resources = "cpus:2;mem:64" }
        expect = { offers = [], held = { f1 = "cpus:1" }, shares = { r = 0.5 }, filters = 3 }
        [[step]]
        remove-agent = "a2"
        "#,
    ));
    let report = report.unwrap();
    assert_eq!(report.steps[1].failures.len(), 4);
    assert!(report.steps[2].failures[0].contains("agent a2 is not known"));
    assert_eq!(report.failure_count, 5);
}

#[test]
fn a_step_with_two_events_and_another_version_are_refused() {
    let two = "version = 1\nname = ''\n[[step]]\nremove-agent = 'a'\nremove-framework = 'f'";
    assert!(play(read(two)).unwrap_err().to_string().contains("step 1 has 2 events"));
    assert!(play(read("version = 2\nname = ''")).unwrap_err().to_string().contains("version 2"));
}
