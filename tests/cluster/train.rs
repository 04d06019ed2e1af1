//! Training on the real data sets: the model, what is printed of it, and what stays behind.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Map, Value};

use crate::support::{Cluster, Stage, Trained, eventually, example_job, repository, slow_job, text};

/// Largest relative error against the reference.
const ALLOWED: f64 = 1e-9;

/// Room for eight workers, whatever the machine has.
const ROOMY: [(&str, &str); 2] = [("ODEON_LOCAL__CPUS", "4"), ("ODEON_LOCAL__MEM", "1GiB")];

/// `odeon train -o json` of an example on a cluster of its own.
#[track_caller]
fn train(stage: &Stage, example: &str, arguments: &[&str]) -> Trained {
    let job = example_job(example);
    let invocation = stage.odeon(["train", &job, "-o", "json"].iter().chain(arguments));
    Trained::of(ROOMY.iter().fold(invocation, |invocation, (name, value)| invocation.env(name, value)).end())
}

fn reference(place: &str) -> Value {
    let text = include_str!("../fixtures/reference.json");
    let all: Value = serde_json::from_str(text).expect("the reference is JSON");
    all.pointer(place).unwrap_or_else(|| panic!("no {place} in the reference")).clone()
}

/// The columns of an example's data besides the target, in the order of the file.
fn features(example: &str) -> Vec<String> {
    let path = repository().join("examples/data").join(example).with_extension("csv");
    let data = fs::read_to_string(path).expect("the example data are there");
    let header = data.lines().next().expect("a header");
    header.split(',').filter(|name| *name != "target").map(str::to_owned).collect()
}

#[track_caller]
fn assert_close(what: &str, actual: f64, expected: &Value) {
    let expected = expected.as_f64().expect("the reference has a number here");
    let error = (actual - expected).abs() / expected.abs();
    assert!(error <= ALLOWED, "{what}: {actual} is not {expected}, relative error {error:e}");
}

/// Compares each coefficient by the name of its feature, and that there are no others.
#[track_caller]
fn assert_coefficients(trained: &Trained, features: &[String], weights: &Value, intercept: &Value) {
    let coefficients: &Map<String, Value> = trained.0["coefficients"].as_object().expect("coefficients by name");
    let weights = weights.as_array().expect("the reference has a list of weights");
    assert_eq!((coefficients.len(), features.len()), (weights.len(), weights.len()));
    for (feature, weight) in features.iter().zip(weights) {
        let value = coefficients.get(feature).unwrap_or_else(|| panic!("no coefficient of {feature}"));
        assert_close(feature, value.as_f64().expect("a number"), weight);
    }
    assert_close("intercept", trained.number("/intercept"), intercept);
}

/// Compares metrics by pairs of our name and that of the reference.
#[track_caller]
fn assert_metrics(trained: &Trained, expected: &Value, names: &[(&str, &str)]) {
    for (ours, theirs) in names {
        assert_close(ours, trained.number(&format!("/metrics/{ours}")), &expected[*theirs]);
    }
}

const REGRESSION: [(&str, &str); 4] =
    [("mean_squared_error", "mse"), ("root_mean_squared_error", "rmse"), ("mean_absolute_error", "mae"), ("r2", "r2")];

const CLASSIFICATION: [(&str, &str); 5] = [
    ("accuracy", "accuracy"),
    ("precision", "precision"),
    ("recall", "recall"),
    ("f1", "f1"),
    ("log_loss", "log_loss"),
];

#[test]
fn a_cross_validation_shows_each_score_over_all_folds_and_keeps_their_models() {
    let stage = Stage::new();
    let job = example_job("diabetes");
    let arguments = ["train", &job, "--set", "model.l2=0.0", "--folds", "5", "--out", "runs", "-o", "json"];
    let one_by_one = stage.odeon(arguments).end().expect(0).json();
    let scores = one_by_one["scores"].as_array().expect("a list");
    let r2 = scores.iter().find(|score| score["metric"] == "r2").expect("the score of a regression");
    // scikit-learn's cross_val_score of LinearRegression over KFold(5, shuffle=True, random_state=42).
    assert!((r2["mean"].as_f64().expect("a number") - 0.478_470_302_257_784_75).abs() < 1e-9, "{r2}");
    let at_once = ["--parallel", "2", "--out", "runs-2"];
    let side_by_side = stage.odeon(arguments[..6].iter().chain(&at_once).chain(&["-o", "json"])).end().expect(0).json();
    assert_eq!(side_by_side["scores"], one_by_one["scores"], "the same bits");
    stage.odeon(["models", "compare", "runs/fold-0", "runs-2/fold-4"]).end().expect(0);
}

#[test]
fn a_search_ranks_every_combination_by_its_score_over_stratified_folds() {
    let stage = Stage::new();
    let job = example_job("breast_cancer");
    let search = ["train", &job, "--set", "data.split=stratified_ordered", "--folds", "5", "--parallel", "2"];
    let grid = ["--grid", "model.l2=[10.0, 0.002197802197802198]", "-o", "json"];
    let ranked = stage.odeon(search.iter().chain(&grid)).end().expect(0).json();
    let rows = ranked["combinations"].as_array().expect("a list");
    let ranks: Vec<_> = rows.iter().map(|row| (text(&row["values"]["model.l2"]), row["rank"].clone())).collect();
    assert_eq!(ranks, [("0.002197802197802198".to_owned(), 1.into()), ("10.0".to_owned(), 2.into())]);
    // scikit-learn's cross_val_score of the same model over StratifiedKFold(5).
    let expected = reference("/breast_cancer/cv/logistic_C1_standard/stratified5");
    assert_close("mean", rows[0]["mean"].as_f64().expect("a number"), &expected["mean"]);

    let refused = |arguments: &[&str]| stage.odeon(search.iter().chain(arguments)).end().expect(2).stderr;
    assert!(refused(&["--grid", "data.test_size=[0.5]", "--rank-by", "r2"]).contains("log_loss"));
    assert!(refused(&["--grid", "prepare.drop_duplicate_rows=[false, true]"]).contains("train it apart"));
    assert!(refused(&["--grid", "model.l2=0.1"]).contains("not a list"));
}

#[test]
fn the_main_job_meets_the_reference_and_leaves_nothing() {
    let stage = Stage::new();
    // Without the roomy settings: as a newcomer types it.
    let finished = stage.odeon(["train", &example_job("iris"), "-o", "json"]).end();
    stage.assert_nothing_left();
    assert_eq!(stage.files_here(), Vec::<String>::new());

    let trained = Trained::of(finished);
    let expected = reference("/iris/linear_regression_article");
    assert_coefficients(&trained, &features("iris"), &expected["coef"], &expected["intercept"]);
    assert_metrics(&trained, &expected, &REGRESSION);
    assert_eq!((&trained.0["converged"], &trained.0["workers"]), (&Value::Bool(true), &Value::from(2)));
    assert!(trained.number("/rounds") >= 2.0 && trained.number("/objective") > 0.0);
    let digest = trained.digest();
    assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
}

#[test]
fn the_tasks_of_the_main_job_are_its_workers_spread_over_both_agents() {
    let stage = Stage::new();
    let trained = train(&stage, "iris", &[]);
    assert_eq!(trained.states(), ["TASK_FINISHED", "TASK_FINISHED"]);
    let column = |key: &str| -> Vec<String> {
        let tasks = trained.0["tasks"].as_array().expect("a list of tasks");
        tasks.iter().map(|task| text(&task[key])).collect()
    };
    for key in ["id", "name", "agent"] {
        let values = column(key);
        assert!(values[0] != values[1] && values.iter().all(|value| !value.is_empty()), "{key}: {values:?}");
    }
}

#[test]
fn breast_cancer_meets_the_reference() {
    let stage = Stage::new();
    let trained = train(&stage, "breast_cancer", &[]);
    let expected = reference("/breast_cancer/logistic_lam0.0021978");
    assert_coefficients(&trained, &features("breast_cancer"), &expected["w"], &expected["b"]);
    assert_close("objective", trained.number("/objective"), &expected["objective"]);
    assert_metrics(&trained, &expected["test"], &CLASSIFICATION);
    assert_eq!(trained.0["converged"], true);
    stage.assert_nothing_left();
}

#[test]
fn diabetes_meets_the_reference() {
    let stage = Stage::new();
    let trained = train(&stage, "diabetes", &[]);
    let expected = reference("/diabetes/ridge_0.1");
    assert_coefficients(&trained, &features("diabetes"), &expected["coef"], &expected["intercept"]);
    assert_metrics(&trained, &expected, &REGRESSION);
    assert_eq!(trained.0["converged"], true);
}

/// Trains with each number of workers and returns the digests of the models.
fn digests_by_workers(example: &str) -> Vec<String> {
    let stage = Stage::new();
    let digest = |workers: u32| {
        let trained = train(&stage, example, &["--workers", &workers.to_string()]);
        assert_eq!(trained.0["workers"], workers);
        assert_eq!(trained.states(), vec!["TASK_FINISHED"; workers as usize]);
        trained.digest()
    };
    [1, 2, 3, 8].map(digest).to_vec()
}

#[test]
fn a_linear_model_has_the_same_bits_for_1_2_3_and_8_workers() {
    let digests = digests_by_workers("iris");
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn a_logistic_model_has_the_same_bits_for_1_2_3_and_8_workers() {
    let digests = digests_by_workers("breast_cancer");
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn models_of_many_classes_have_the_same_bits_for_1_2_3_and_8_workers() {
    for example in ["iris_classes", "iris_svm", "iris_svc", "iris_tree"] {
        let digests = digests_by_workers(example);
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{example}: {digests:?}");
    }
}

#[test]
fn a_model_of_many_classes_meets_the_reference() {
    let stage = Stage::new();
    let trained = train(&stage, "iris_classes", &[]);
    let expected = reference("/iris/multinomial_logistic_lam0.00833333");
    assert_close("objective", trained.number("/objective"), &expected["objective"]);
    assert_metrics(&trained, &expected["test"], &[("accuracy", "accuracy"), ("log_loss", "log_loss")]);
    assert_eq!(trained.0["confusion"], expected["test"]["confusion"]);
    for class in 0..3 {
        assert_close("intercept", trained.number(&format!("/intercepts/{class}")), &expected["b"][class]);
        for (feature, weight) in features("iris").iter().zip(expected["W"][class].as_array().expect("weights")) {
            assert_close(feature, trained.number(&format!("/coefficients/{class}: {feature}")), weight);
        }
    }
}

#[test]
fn a_tree_is_grown_on_a_cluster_and_told_with_its_importances() {
    let stage = Stage::new();
    let trained = train(&stage, "iris_tree", &[]);
    assert_eq!(trained.0["tree"], serde_json::json!({"leaves": 5, "depth": 3}));
    let expected = reference("/iris/tree/3");
    assert_close("accuracy", trained.number("/metrics/accuracy"), &expected["test"][0]);
    let importances: f64 = features("iris").iter().map(|name| trained.number(&format!("/importances/{name}"))).sum();
    assert!((importances - 1.0).abs() < 1e-12, "{importances}");
    stage.odeon(["train", &example_job("iris_tree"), "--out", "tree"]).end().expect(0);
    let shown = stage.odeon(["models", "show", "tree"]).end().expect(0);
    assert!(shown.text().contains("5 leaves, depth 3"), "{}", shown.text());
    let nodes = stage.odeon(["models", "export", "tree", "--form", "csv"]).end().expect(0);
    assert_eq!(nodes.text().lines().count(), 1 + 9, "{}", nodes.text());
}

#[test]
fn for_people_there_is_progress_on_stderr_and_tables_on_stdout() {
    let stage = Stage::new();
    let finished = stage.odeon(["train", &example_job("iris"), "--workers", "3"]).end().expect(0);
    let rows: Vec<Vec<&str>> = finished.text().lines().map(|line| line.split_whitespace().collect()).collect();
    let workers = rows.iter().filter(|row| row.len() == 4 && row[2] == "TASK_FINISHED");
    assert_eq!(workers.count(), 3, "{}", finished.text());
    let value = |name: &str| {
        let row = rows.iter().find(|row| row.len() == 2 && row[0] == name);
        row.unwrap_or_else(|| panic!("no {name} in {}", finished.text()))[1].parse::<f64>().expect("a number")
    };
    let expected = reference("/iris/linear_regression_article");
    assert_close("petal width", value("petal_width_cm"), &expected["coef"][3]);
    assert_close("mean squared error", value("mean_squared_error"), &expected["mse"]);
    for word in ["round", "loss", "rows/s"] {
        assert!(finished.stderr.contains(word), "no {word} in {}", finished.stderr);
    }
    assert!(!finished.text().contains("rows/s"), "progress is no result: {}", finished.text());
}

#[test]
fn a_job_is_found_by_a_relative_path_and_its_data_beside_it() {
    let stage = Stage::new();
    let data = fs::read(repository().join("examples/data/iris.csv")).expect("the example data are there");
    stage.write("iris.csv", data);
    let job = fs::read_to_string(example_job("iris")).expect("the example job is there");
    stage.write("job.toml", job.replace("../data/iris.csv", "iris.csv"));
    let here = Trained::of(stage.odeon(["train", "job.toml", "-o", "json"]).end());
    assert_eq!(here.digest(), train(&stage, "iris", &[]).digest());
    assert_eq!(stage.files_here(), ["iris.csv", "job.toml"]);
    stage.assert_nothing_left();
}

#[test]
fn keep_keeps_the_temporary_directory_and_no_process() {
    let stage = Stage::new();
    train(&stage, "iris", &["--keep"]);
    let kept: Vec<_> = fs::read_dir(stage.temporary()).expect("it is there").collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(stage.processes(), Vec::new());
}

#[test]
fn a_data_directory_stays_and_can_be_used_again() {
    let stage = Stage::new();
    let [first, second] = [1, 2].map(|_| train(&stage, "iris", &["--data-dir", "state"]).digest());
    assert_eq!(first, second);
    assert_eq!(stage.files_here(), ["state"]);
    stage.assert_nothing_left();
}

#[test]
fn training_on_a_given_cluster_gives_the_model_of_an_own_one() {
    let stage = Stage::new();
    let own = train(&stage, "breast_cancer", &[]).digest();
    let cluster = Cluster::of_two_agents(&stage);
    let by_variable = cluster.client.odeon(["train", &example_job("breast_cancer"), "-o", "json"]).end();
    assert_eq!(Trained::of(by_variable).digest(), own);
    let by_flag = train(&stage, "breast_cancer", &["--master", &cluster.client.master]);
    assert_eq!(by_flag.digest(), own);
    assert_eq!(cluster.client.task_states(), ["TASK_FINISHED"; 4]);
    cluster.interrupt().expect(0);
    stage.assert_nothing_left();
}

#[test]
fn the_processes_of_a_training_end_with_it_and_not_with_the_cluster() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    Trained::of(cluster.client.odeon(["train", &example_job("iris"), "-o", "json"]).end());
    eventually("the end of the workers' processes", || stage.executors().is_empty().then_some(()));
}

#[test]
fn an_interrupted_training_ends_with_130_and_leaves_nothing() {
    let stage = Stage::new();
    let mut training = stage.odeon(["train", &slow_job(&stage)]).start();
    training.wait_for_stderr("round");
    training.signal(Signal::SIGINT);
    let finished = training.end().expect(130);
    assert_eq!(finished.text(), "");
    stage.assert_nothing_left();
}

#[test]
fn trainings_without_rounds_come_to_the_optimum_of_those_with_rounds() {
    let stage = Stage::new();
    let settings = ["model.l2=0.1", "train.solver=auto", "train.tolerance=1e-6", "train.rounds_max=20000"];
    let objective = |combine: &str| {
        let combine = format!("train.combine={combine}");
        let set: Vec<&str> = settings.iter().chain([&combine.as_str()]).flat_map(|set| ["--set", set]).collect();
        let trained = train(&stage, "iris", &set);
        assert_eq!(trained.0["converged"], true);
        trained.number("/objective")
    };
    let optimum = objective("synchronous");
    for combine in ["stale_synchronous", "asynchronous"] {
        let found = objective(combine);
        assert!((found - optimum).abs() <= ALLOWED * optimum, "{combine}: {found} and not {optimum}");
    }
    stage.assert_nothing_left();
}

#[test]
fn a_training_that_does_not_converge_says_so_and_ends_with_6() {
    let stage = Stage::new();
    let job = fs::read_to_string(example_job("breast_cancer")).expect("the example job is there");
    let data = repository().join("examples/data/breast_cancer.csv").display().to_string();
    let job = job.replace("../data/breast_cancer.csv", &data).replace("rounds_max = 1000", "rounds_max = 3");
    let job = stage.write("job.toml", job);
    let job = job.to_str().expect("the path of a stage is text");
    let finished = stage.odeon(["train", job, "-o", "json"]).end().expect(6);
    assert_eq!((&finished.json()["converged"], &finished.json()["rounds"]), (&Value::Bool(false), &Value::from(3)));
    stage.assert_nothing_left();
}
