//! What becomes of a trained model: the directory of a run, predictions, judgements, lists and exports.

use crate::support::{Stage, example_job, repository};

/// What is wrong with what the user gave.
const USAGE: i32 = 2;

/// Trains an example into a directory of the stage.
#[track_caller]
fn train(stage: &Stage, example: &str, arguments: &[&str]) {
    let job = example_job(example);
    stage.odeon(["train", &job].iter().chain(arguments)).end().expect(0);
}

fn data(example: &str) -> String {
    repository().join("examples/data").join(example).with_extension("csv").display().to_string()
}

#[test]
fn a_run_leaves_a_model_that_predicts_judges_and_is_listed() {
    let stage = Stage::new();
    train(&stage, "breast_cancer", &["--out", "first"]);
    train(&stage, "breast_cancer", &["--out", "second", "--set", "model.l2=0.1", "--set", "name=heavier"]);

    let predicted = stage.odeon(["predict", "first", &data("breast_cancer"), "-o", "out.csv"]).end().expect(0);
    assert!(predicted.text().starts_with("569 predictions in out.csv"), "{}", predicted.text());
    let lines = stage.odeon(["predict", "first/model.json", &data("breast_cancer")]).end().expect(0);
    assert_eq!((lines.text().lines().next(), lines.text().lines().count()), (Some("prediction,probability"), 570));

    let judged = stage.odeon(["evaluate", "first/model", &data("breast_cancer"), "-o", "json"]).end().expect(0).json();
    assert_eq!(judged.pointer("/evaluation/rows"), Some(&569.into()));
    for metric in ["roc_auc", "average_precision", "balanced_accuracy", "f1_macro", "log_loss"] {
        let value = judged.pointer(&format!("/evaluation/metrics/{metric}")).and_then(serde_json::Value::as_f64);
        assert!(value.is_some_and(|value| value > 0.0), "{metric}: {judged}");
    }

    let listed = stage.odeon(["models", "list", "-o", "json"]).end().expect(0).json();
    assert_eq!(listed.pointer("/models/1/name"), Some(&"heavier".into()));
    let compared = stage.odeon(["models", "compare", "first", "second"]).end().expect(0);
    assert!(compared.text().contains("log_loss"), "{}", compared.text());
    let shown = stage.odeon(["models", "show", "second"]).end().expect(0);
    assert!(shown.text().contains("heavier") && shown.text().contains("(intercept)"), "{}", shown.text());
    stage.odeon(["models", "export", "first", "-o", "copy.json"]).end().expect(0);
    stage.odeon(["models", "export", "copy.json", "--form", "model", "-o", "copy"]).end().expect(0);
    let again = stage.odeon(["predict", "copy", &data("breast_cancer")]).end().expect(0);
    assert_eq!(again.text(), lines.text());
}

#[test]
fn a_damaged_model_and_a_taken_directory_are_refused() {
    let stage = Stage::new();
    train(&stage, "iris", &["--out", "run"]);
    let taken = stage.odeon(["train", &example_job("iris"), "--out", "run"]).end().expect(USAGE);
    assert!(taken.stderr.contains("run: holds a model"), "{}", taken.stderr);
    stage.write("cut", "odeon-model 1 00\n{}");
    let damaged = stage.odeon(["predict", "cut", &data("iris")]).end().expect(USAGE);
    assert!(damaged.stderr.contains("cut: the model is damaged"), "{}", damaged.stderr);
    let other = stage.odeon(["predict", "run", &data("diabetes"), "-o", "out.csv"]).end().expect(USAGE);
    assert!(other.stderr.contains("no column \"petal_length_cm\""), "{}", other.stderr);
    assert!(!stage.files_here().iter().any(|name| name.starts_with("out.csv")), "{:?}", stage.files_here());
}
