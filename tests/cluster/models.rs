//! What becomes of a trained model: the directory of a run, predictions, judgements, lists and exports.

use std::path::PathBuf;
use std::process::Command;

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

/// A Python that has onnxruntime: `python3 -m venv target/python && target/python/bin/pip install onnxruntime`.
fn onnx_python() -> Result<PathBuf, String> {
    let python = repository().join("target/python/bin/python");
    let loads = Command::new(&python).args(["-c", "import onnxruntime"]).output();
    match loads {
        Ok(output) if output.status.success() => Ok(python),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(format!("{}: {error}", python.display())),
    }
}

/// Penguins with every kind of step.
fn every_step(stage: &Stage) -> String {
    let job = std::fs::read_to_string(example_job("penguins")).expect("the example job is there");
    let job = job.replace("../data/penguins.csv", &data("penguins"));
    let further = "[[prepare.steps]]\nstep = \"log\"\ncolumns = [\"flipper_length_mm\"]\n\n\
        [[prepare.steps]]\nstep = \"polynomial\"\ndegree = 3\ncolumns = [\"bill_length_mm\", \"bill_depth_mm\"]\n\n[model]";
    let path = stage.write("every_step.toml", job.replace("[model]", further));
    path.to_str().expect("the path of a stage is text").to_owned()
}

#[test]
fn an_exported_onnx_file_predicts_the_same_in_onnxruntime() {
    let python = match onnx_python() {
        Ok(python) => python,
        Err(reason) => return println!("ONNX: SKIP, no onnxruntime here: {reason}"),
    };
    let stage = Stage::new();
    let jobs = [
        "iris",
        "breast_cancer",
        "breast_cancer_svm",
        "iris_classes",
        "iris_svm",
        "iris_svc",
        "iris_tree",
        "penguins",
        "breast_cancer_boosted",
    ];
    let jobs = jobs.map(|name| (name.to_owned(), example_job(name)));
    for (name, job) in jobs.into_iter().chain([("penguins_every_step".to_owned(), every_step(&stage))]) {
        stage.odeon(["train", &job, "--out", &name]).end().expect(0);
        let (onnx, predictions) = (format!("{name}.onnx"), format!("{name}.csv"));
        stage.odeon(["models", "export", &name, "--form", "onnx", "-o", &onnx]).end().expect(0);
        stage.odeon(["predict", &name, &data(name_of_data(&name)), "-o", &predictions]).end().expect(0);
        let script = repository().join("tests/onnx/compare.py");
        let mut compare = Command::new(&python);
        compare.current_dir(stage.here()).arg(script).args([&onnx, &data(name_of_data(&name)), &predictions, "", "NA"]);
        let compared = compare.output().expect("python starts");
        let told = String::from_utf8_lossy(&compared.stdout).into_owned();
        assert!(compared.status.success(), "{name}: {told}{}", String::from_utf8_lossy(&compared.stderr));
        println!("ONNX {name}: {told}");
    }
}

/// The data that an example is trained on.
fn name_of_data(job: &str) -> &str {
    ["breast_cancer", "penguins"].into_iter().find(|data| job.starts_with(data)).unwrap_or("iris")
}

#[test]
fn an_onnx_file_goes_into_a_file() {
    let stage = Stage::new();
    train(&stage, "iris", &["--out", "run"]);
    let refused = stage.odeon(["models", "export", "run", "--form", "onnx"]).end().expect(USAGE);
    assert!(refused.stderr.contains("say with --out where it goes"), "{}", refused.stderr);
}
