//! Models that a binary of a user's adds: trained on a cluster by name, used from the file, and missed where they are not.

use serde_json::Value;

use crate::support::{Cluster, Stage, Trained, example, example_job, repository};

/// What is wrong with what the user gave.
const USAGE: i32 = 2;

/// `examples/poisson.rs`, which is the whole command line and knows one model more.
fn poisson_stage() -> Stage {
    Stage::of_example("poisson")
}

fn job() -> String {
    example_job("diabetes_poisson")
}

fn data() -> String {
    repository().join("examples/data/diabetes.csv").display().to_string()
}

/// Values of scikit-learn's `PoissonRegressor`; the file says how they were made.
fn reference() -> Value {
    let all: Value = serde_json::from_str(include_str!("../fixtures/poisson.json")).expect("the fixture is JSON");
    all["standardised"].clone()
}

#[track_caller]
fn assert_close(what: &str, actual: f64, expected: &Value) {
    let expected = expected.as_f64().expect("the reference has a number here");
    let error = (actual - expected).abs() / expected.abs();
    assert!(error <= 1e-9, "{what}: {actual} is not {expected}, relative error {error:e}");
}

#[test]
fn a_model_of_the_users_own_meets_scikit_learn_with_any_number_of_workers_and_predicts_from_its_file() {
    let (stage, expected) = (poisson_stage(), reference());
    let train = |workers: &str| {
        let out = format!("run-{workers}");
        let arguments = ["train", &job(), "--workers", workers, "--out", &out, "-o", "json"];
        Trained::of(stage.odeon(arguments).env("ODEON_LOCAL__CPUS", "4").end())
    };
    let trained = train("1");
    assert_eq!(train("3").digest(), trained.digest(), "the same bits");
    for (name, weight) in ["age", "bmi", "s5"].into_iter().zip([0, 2, 8]) {
        assert_close(name, trained.number(&format!("/coefficients/{name}")), &expected["coef"][weight]);
    }
    assert_close("intercept", trained.number("/coefficients/(intercept)"), &expected["intercept"]);
    assert_close("objective", trained.number("/objective"), &expected["objective"]);
    for metric in ["mean_squared_error", "mean_absolute_error", "r2"] {
        assert_close(metric, trained.number(&format!("/metrics/{metric}")), &expected["test"][metric]);
    }

    let folds = stage.odeon(["train", &job(), "--folds", "3", "-o", "json"]).end().expect(0).json();
    assert!(folds["scores"].as_array().is_some_and(|scores| scores.iter().any(|score| score["metric"] == "r2")));
    let predicted = stage.odeon(["predict", "run-3", &data()]).end().expect(0);
    assert_eq!(predicted.text().lines().count(), 443);
    let shown = stage.odeon(["models", "show", "run-3"]).end().expect(0);
    assert!(shown.text().contains("poisson") && shown.text().contains("s5"), "{}", shown.text());
    let onnx = stage.odeon(["models", "export", "run-3", "--form", "onnx", "--out", "m.onnx"]).end().expect(USAGE);
    assert!(onnx.stderr.contains("the model \"poisson\" is code of its user's"), "{}", onnx.stderr);
}

#[test]
fn a_binary_without_the_model_says_so_by_name_wherever_it_is_asked() {
    let stage = Stage::new();
    let refused = stage.odeon(["train", &job()]).end().expect(USAGE);
    let known = "diabetes_poisson.toml: model.type: this binary has no model \"poisson\": it has linear, logistic,";
    assert!(refused.stderr.contains(known), "{}", refused.stderr);

    // The client has the model, the workers of the cluster have not.
    let cluster = Cluster::of_two_agents(&stage);
    let poisson = example("poisson");
    let failed = cluster.client.of(&poisson, ["train", &job(), "--workers", "1"]).end().expect(1);
    assert!(failed.stderr.contains("worker"), "{}", failed.stderr);
    assert!(failed.stderr.contains("this binary has no model \"poisson\""), "{}", failed.stderr);

    stage.invoke(&poisson, ["train", &job(), "--out", "run"]).end().expect(0);
    let blind = stage.odeon(["predict", "run", &data()]).end().expect(USAGE);
    assert!(blind.stderr.contains("run: this binary has no model \"poisson\""), "{}", blind.stderr);
}
