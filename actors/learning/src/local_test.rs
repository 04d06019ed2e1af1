//! Whole trainings on the example data, against values computed with scikit-learn.

use std::path::PathBuf;

use super::*;
use crate::{
    data::Precision,
    job::{ModelKind, Scale},
    optimiser::{lbfgs::StopReason, solver::SolverSetting},
};

const ALLOWED: f64 = 1e-9;

pub(crate) fn reference() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../tests/fixtures/reference.json")).unwrap()
}

pub(crate) fn example(name: &str) -> (TrainingJob, PathBuf) {
    let jobs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/jobs");
    let text = std::fs::read_to_string(jobs.join(name).with_extension("toml")).unwrap();
    let job: TrainingJob = toml::from_str(&text).unwrap();
    let path = jobs.join(job.data.path.first());
    (job, path)
}

fn error_of(actual: f64, expected: &serde_json::Value) -> f64 {
    let expected = expected.as_f64().unwrap();
    (actual - expected).abs() / expected.abs()
}

/// The largest relative error over all coefficients and the intercept.
fn coefficient_error(model: &TrainedModel, weights: &serde_json::Value, intercept: &serde_json::Value) -> f64 {
    let expected = weights.as_array().unwrap();
    assert_eq!(model.coefficients.len(), expected.len());
    let errors = model.coefficients.iter().zip(expected).map(|(actual, expected)| error_of(actual.value, expected));
    errors.fold(error_of(model.intercept, intercept), f64::max)
}

fn report(case: &str, model: &TrainedModel, coefficients: f64, metrics: f64) {
    println!(
        "{case}: rounds {}, gradient {:e}, coefficients {coefficients:e}, metrics {metrics:e}",
        model.rounds, model.gradient_norm
    );
    assert!(model.converged, "{case}: {:?}", model.stopped);
    assert!(coefficients < ALLOWED && metrics < ALLOWED, "{case}: {coefficients:e} {metrics:e}");
}

fn check_regression(case: &str, model: &TrainedModel, expected: &serde_json::Value) {
    let names = [
        ("mean_squared_error", "mse"),
        ("root_mean_squared_error", "rmse"),
        ("mean_absolute_error", "mae"),
        ("r2", "r2"),
    ];
    let metrics = names.map(|(ours, theirs)| error_of(model.metrics[ours], &expected[theirs]));
    let coefficients = coefficient_error(model, &expected["coef"], &expected["intercept"]);
    report(case, model, coefficients, metrics.into_iter().fold(0.0, f64::max));
}

fn check_classification(case: &str, model: &TrainedModel, expected: &serde_json::Value) {
    let names = ["accuracy", "precision", "recall", "f1", "log_loss"];
    let metrics = names.map(|name| error_of(model.metrics[name], &expected["test"][name]));
    let objective = error_of(model.objective, &expected["objective"]);
    let coefficients = coefficient_error(model, &expected["w"], &expected["b"]);
    report(case, model, coefficients, metrics.into_iter().fold(objective, f64::max));
}

#[test]
fn iris_meets_the_reference_with_and_without_a_choice_of_columns() {
    let (mut job, path) = example("iris");
    let model = fit_file(&job, &path, 2).unwrap();
    check_regression("iris", &model, &reference()["iris"]["linear_regression_article"]);

    let table = source::scan(&path, &job.data_spec()).unwrap();
    let rows = table.summary().row_count;
    let test = crate::data::split::train_test_split(rows, 0.2, 42).unwrap().test;
    let predictions = model.predict(table.read_rows(&test).unwrap().x.view()).unwrap();
    let expected = reference()["iris"]["linear_regression_article"]["predictions"].clone();
    for (actual, expected) in predictions.iter().zip(expected.as_array().unwrap()) {
        assert!(error_of(*actual, expected) < ALLOWED);
    }

    job.data.target = "petal_width_cm".into();
    job.data.features = Some(["sepal_length_cm", "sepal_width_cm", "petal_length_cm"].map(String::from).to_vec());
    let model = fit_file(&job, &path, 2).unwrap();
    check_regression("iris petal width", &model, &reference()["iris"]["linear_regression_petal_width"]);
}

#[test]
fn breast_cancer_meets_the_reference_for_each_penalty() {
    let (mut job, path) = example("breast_cancer");
    for (case, l2) in
        [("logistic_lam0.0021978", job.model.l2), ("logistic_lam0.01", 0.01), ("logistic_lam0.0001", 0.0001)]
    {
        job.model.l2 = l2;
        check_classification(case, &fit_file(&job, &path, 2).unwrap(), &reference()["breast_cancer"][case]);
    }
}

#[test]
fn diabetes_meets_the_reference_for_each_penalty() {
    let (mut job, path) = example("diabetes");
    for (case, alpha) in [("ols", 0.0), ("ridge_0.1", 0.1), ("ridge_1", 1.0)] {
        job.model.l2 = alpha / 353.0;
        check_regression(case, &fit_file(&job, &path, 2).unwrap(), &reference()["diabetes"][case]);
    }
}

/// Coefficients of a lasso are 0 where the reference's are, so errors are taken of the largest of them.
#[test]
fn lasso_meets_the_reference_and_sets_the_same_weights_to_zero() {
    let (mut job, path) = example("diabetes");
    for (case, alpha) in [("lasso_0.1", 0.1), ("lasso_1", 1.0)] {
        (job.model.l1, job.model.l2) = (alpha, 0.0);
        let model = fit_file(&job, &path, 2).unwrap();
        let expected = &reference()["diabetes"][case];
        let weights: Vec<f64> = expected["coef"].as_array().unwrap().iter().map(|w| w.as_f64().unwrap()).collect();
        let largest = weights.iter().fold(0.0, |largest: f64, w| largest.max(w.abs()));
        for (actual, expected) in model.coefficients.iter().zip(&weights) {
            assert_eq!(actual.value == 0.0, *expected == 0.0, "{case} {}", actual.name);
            assert!((actual.value - expected).abs() < ALLOWED * largest, "{case} {} {expected}", actual.name);
        }
        let errors =
            [error_of(model.objective, &expected["objective"]), error_of(model.metrics["r2"], &expected["r2"])];
        report(case, &model, error_of(model.intercept, &expected["intercept"]), errors[0].max(errors[1]));
    }
}

/// The reference is fitted on all 569 rows and has five digits, so the training rows are made to be all of them.
#[test]
fn an_l1_logistic_model_takes_the_features_of_the_reference() {
    let (mut job, path) = example("breast_cancer");
    let spec = job.data_spec();
    let table = source::scan(&path, &spec).unwrap();
    let mut data = table.summary().clone();
    data.row_count = 712;
    let train = crate::data::split::train_test_split(712, 0.2, 42).unwrap().train;
    let row_of = |number: &usize| train.iter().position(|row| row == number).unwrap_or(0);
    let load = |numbers: &[usize]| table.read_rows(&numbers.iter().map(row_of).collect::<Vec<_>>());
    for (case, c) in [("0.01", 0.01), ("0.05", 0.05), ("0.1", 0.1), ("1.0", 1.0)] {
        (job.model.l1, job.model.l2) = (1.0 / (c * 569.0), 0.0);
        let model = fit_local(&job, &data, load, 2).unwrap();
        assert!(model.converged, "{case} {:?} {:e}", model.stopped, model.gradient_norm);
        let expected = &reference()["breast_cancer"]["selection"]["l1_logistic"][case];
        let taken: Vec<usize> = (0..30).filter(|column| model.coefficients[*column].value != 0.0).collect();
        assert_eq!(serde_json::json!(taken), expected["nonzero"], "{case}");
        for (actual, expected) in model.coefficients.iter().zip(expected["coef"].as_array().unwrap()) {
            assert!((actual.value - expected.as_f64().unwrap()).abs() < 1e-3, "{case} {} {expected}", actual.name);
        }
    }
}

/// The reference's solver stopped where its coefficients have five digits: the objective is the sharper test.
#[test]
fn a_linear_support_vector_machine_meets_the_reference() {
    let (job, path) = example("breast_cancer_svm");
    let model = fit_file(&job, &path, 2).unwrap();
    let expected = &reference()["breast_cancer"]["svm_y_is_pm1"]["linear_squared_hinge"];
    let objective = error_of(model.objective * 455.0, &expected["objective"]);
    let accuracy = error_of(model.metrics["accuracy"], &expected["test_acc"]);
    assert!(!model.metrics.contains_key("log_loss") && model.gradient_norm < 1e-14);
    assert!(coefficient_error(&model, &expected["w"], &expected["b"]) < 1e-5);
    report("svm", &model, 0.0, objective.max(accuracy));
}

/// Weights of all classes, in the order of the reference's matrix. Its solver left a gradient of 5e-13, which moves
/// weights by up to 5e-10 under the smaller penalty, so errors are taken of the largest weight.
fn check_classes(case: &str, model: &TrainedModel, expected: &serde_json::Value) {
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let rows = expected["W"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    let theirs: Vec<f64> = rows.chain(expected["b"].as_array().unwrap()).map(number).collect();
    let ours = model.coefficients.iter().map(|weight| weight.value).chain(model.intercepts.iter().copied());
    let largest = theirs.iter().fold(0.0, |largest: f64, weight| largest.max(weight.abs()));
    let error = ours.zip(&theirs).map(|(ours, theirs)| (ours - theirs).abs() / largest).fold(0.0, f64::max);
    let metrics = error_of(model.metrics["log_loss"], &expected["test"]["log_loss"]);
    report(case, model, error, metrics.max(error_of(model.objective, &expected["objective"])));
}

#[track_caller]
fn check_confusion(model: &TrainedModel, expected: &serde_json::Value) {
    assert_eq!(serde_json::json!(model.confusion), expected["confusion"]);
    assert_eq!(serde_json::json!(model.metrics["accuracy"]), expected["accuracy"]);
    for average in ["macro", "micro", "weighted"] {
        for metric in ["precision", "recall", "f1"] {
            let actual = model.metrics[&format!("{metric}_{average}")];
            assert!(error_of(actual, &expected[average][metric]) < ALLOWED, "{metric} {average}");
        }
    }
}

#[test]
fn multinomial_regression_meets_the_reference_with_both_solvers() {
    let (mut job, path) = example("iris_classes");
    for solver in [SolverSetting::Newton, SolverSetting::Lbfgs] {
        job.train.solver = solver;
        for (case, l2) in [("lam0.00833333", 1.0 / 120.0), ("lam0.001", 0.001)] {
            job.model.l2 = l2;
            let model = fit_file(&job, &path, 2).unwrap();
            let expected = &reference()["iris"][format!("multinomial_logistic_{case}")];
            assert_eq!((model.coefficients.len(), model.intercepts.len(), model.classes.len()), (12, 3, 3));
            check_classes(case, &model, expected);
            check_confusion(&model, &expected["test"]);
        }
    }
}

/// Each class's machine is that of its own label: the file is written anew for it.
#[test]
fn machines_of_one_class_against_all_others_are_those_of_each_class_alone() {
    let (job, path) = example("iris_svm");
    let model = fit_file(&job, &path, 2).unwrap();
    check_confusion(&model, &reference()["iris"]["ovr_linear_svc"]["test"]);
    let mut binary = job.clone();
    binary.model.kind = ModelKind::LinearSvc;
    let table = source::scan(&path, &job.data_spec()).unwrap();
    let mut objective = 0.0;
    for class in 0..3 {
        let load = |numbers: &[usize]| {
            let rows = table.read_rows(numbers)?;
            Ok(Rows { y: rows.y.mapv(|y| f64::from(u8::from(y == class as f64))), ..rows })
        };
        let data = DataSummary { classes: Vec::new(), ..table.summary().clone() };
        let alone = fit_local(&binary, &data, load, 1).unwrap();
        assert!(alone.converged && model.converged);
        objective += alone.objective;
        assert!((model.intercepts[class] - alone.intercept).abs() < ALLOWED);
        for (ours, theirs) in model.coefficients[4 * class..].iter().zip(&alone.coefficients) {
            assert!((ours.value - theirs.value).abs() < ALLOWED, "{class} {}", ours.name);
        }
    }
    assert!((model.objective / objective - 1.0).abs() < 1e-12);
}

#[test]
fn without_a_penalty_the_weights_of_the_classes_have_mean_zero() {
    let (mut job, path) = example("iris_classes");
    (job.model.l2, job.train.rounds_max) = (0.0, 4);
    let model = fit_file(&job, &path, 2).unwrap();
    for column in 0..4 {
        let sum: f64 = (0..3).map(|class| model.coefficients[4 * class + column].value).sum();
        assert!(sum.abs() < 1e-12, "{column} {sum:e}");
    }
}

#[test]
fn a_class_without_training_rows_is_named() {
    let (job, path) = example("iris_classes");
    let table = source::scan(&path, &job.data_spec()).unwrap();
    let mut data = table.summary().clone();
    data.classes.push("4".into());
    let error = fit_local(&job, &data, |numbers| table.read_rows(numbers), 2).unwrap_err().to_string();
    assert!(error.starts_with("none of the 120 training rows is of class \"4\""), "{error}");
}

#[test]
fn both_solvers_end_at_the_same_optimum() {
    for name in ["iris", "breast_cancer", "diabetes", "breast_cancer_svm", "iris_svm"] {
        let (mut job, path) = example(name);
        let [newton, lbfgs] = [SolverSetting::Newton, SolverSetting::Lbfgs].map(|solver| {
            job.train.solver = solver;
            fit_file(&job, &path, 2).unwrap()
        });
        assert!(newton.converged && lbfgs.converged, "{name}");
        assert!((newton.objective / lbfgs.objective - 1.0).abs() < 1e-13, "{name}");
        assert!(newton.rounds < lbfgs.rounds, "{name}: {} {}", newton.rounds, lbfgs.rounds);
    }
}

/// Generated rows enough for a sample of second derivatives to leave blocks out.
fn generated(rows: usize) -> (TrainingJob, PathBuf) {
    let path = format!("synthetic:dense?rows={rows}&cols=10&seed=1");
    let text = format!(
        "name = \"g\"\ndata = {{ path = \"{path}\", target = \"label\" }}\nmodel = {{ type = \"logistic\", l2 = 1e-4 }}"
    );
    (toml::from_str(&text).unwrap(), PathBuf::from(path))
}

#[test]
fn second_derivatives_of_a_sample_lead_to_the_same_optimum_in_few_rounds() {
    let (mut job, path) = generated(40_000);
    let fit = |job: &TrainingJob| fit_file(job, &path, 2).unwrap();
    let newton = fit(&job);
    job.train.solver = SolverSetting::QuasiNewton;
    let sampled = fit(&job);
    job.train.solver = SolverSetting::Lbfgs;
    let plain = fit(&job);
    assert!(newton.converged && sampled.converged, "{:?} {:e}", sampled.stopped, sampled.gradient_norm);
    assert!((sampled.objective / newton.objective - 1.0).abs() < 1e-13);
    assert!(sampled.rounds <= 16 && sampled.rounds < plain.rounds, "{} {}", sampled.rounds, plain.rounds);
    for (ours, theirs) in sampled.coefficients.iter().zip(&newton.coefficients) {
        assert!((ours.value / theirs.value - 1.0).abs() < ALLOWED, "{}", ours.name);
    }
    job.train.solver = SolverSetting::QuasiNewton;
    for workers in [1, 3, 5, 8] {
        let other = fit_file(&job, &path, workers).unwrap();
        assert_eq!(other.model_sha256(), sampled.model_sha256(), "{workers}");
    }
}

#[test]
fn generated_holes_are_filled_and_generated_words_become_columns() {
    let text = "name = \"g\"\n[data]\npath = \"g\"\n[model]\ntype = \"logistic\"\nl2 = 1e-3\n\
                [[prepare.steps]]\nstep = \"impute\"\nwith = \"median\"\n[[prepare.steps]]\nstep = \"one_hot\"\n";
    let mut job: TrainingJob = toml::from_str(text).unwrap();
    let name = "synthetic:dense?rows=500&cols=3&seed=1&holes=50&words=1&levels=4";
    let data = source::scan(Path::new(name), &job.data_spec()).unwrap().summary().clone();
    let missing: Vec<usize> = data.columns.iter().map(|column| column.missing_count).collect();
    assert!(missing[..3].iter().all(|count| (10..50).contains(count)) && missing[3] == 0, "{missing:?}");
    assert_eq!(data.columns[3].kind(), "categorical");
    let model = fit_file(&job, Path::new(name), 3).unwrap();
    let names: Vec<&str> = model.coefficients.iter().map(|coefficient| coefficient.name.as_str()).collect();
    assert_eq!(names, ["x0", "x1", "x2", "c0=w0", "c0=w1", "c0=w2", "c0=w3"]);
    job.prepare.steps.remove(0);
    let refused = fit_file(&job, Path::new(name), 1).unwrap_err().to_string();
    assert!(refused.ends_with("it has holes; add a [[prepare.steps]] with step = \"impute\""), "{refused}");
}

/// Generated cells are numbers of 32 bits, decimals of a file are not.
#[test]
fn how_rows_are_stored_changes_a_model_only_where_numbers_are_rounded() {
    let (mut job, path) = generated(2000);
    let (mut iris, iris_path) = example("iris");
    let exact = [fit_file(&job, &path, 2).unwrap(), fit_file(&iris, &iris_path, 2).unwrap()];
    let with = |job: &mut TrainingJob, path: &Path, precision| {
        job.data.precision = precision;
        fit_file(job, path, 2).unwrap()
    };
    assert_eq!(with(&mut job, &path, Precision::F64), exact[0]);
    assert_eq!(with(&mut job, &path, Precision::F32), exact[0]);
    assert_eq!(with(&mut iris, &iris_path, Precision::F64), exact[1]);
    let rounded = with(&mut iris, &iris_path, Precision::F32);
    let change = (rounded.coefficients[0].value / exact[1].coefficients[0].value - 1.0).abs();
    assert!(change > 1e-12 && change < 1e-5, "{change:e}");
}

#[test]
fn accelerated_gradients_end_at_the_optimum_with_and_without_absolute_values() {
    for name in ["iris", "diabetes", "diabetes_lasso"] {
        let (mut job, path) = example(name);
        let newton = fit_file(&job, &path, 2).unwrap();
        (job.train.solver, job.train.tolerance, job.train.rounds_max) = (SolverSetting::Nesterov, 1e-10, 20_000);
        let nesterov = fit_file(&job, &path, 2).unwrap();
        assert!(nesterov.converged, "{name} {:?} {:e} {}", nesterov.stopped, nesterov.gradient_norm, nesterov.rounds);
        assert!((nesterov.objective / newton.objective - 1.0).abs() < 1e-12, "{name}");
        for (ours, theirs) in nesterov.coefficients.iter().zip(&newton.coefficients) {
            assert_eq!(ours.value == 0.0, theirs.value == 0.0, "{name} {}", ours.name);
        }
    }
}

#[test]
fn repeated_columns_share_their_weight() {
    let (mut job, _) = example("iris");
    job.train.tolerance = 1e-12;
    let data = DataSummary::numeric(50, &["a", "b"], "target");
    let load = |numbers: &[usize]| {
        let x = ndarray::Array2::from_shape_fn((numbers.len(), 2), |(row, _)| numbers[row] as f64);
        let y = numbers.iter().map(|number| 3.0 * *number as f64 + 1.0).collect();
        Ok(Rows { x, y })
    };
    let model = fit_local(&job, &data, load, 3).unwrap();
    assert!(model.coefficients.iter().all(|weight| (weight.value - 1.5).abs() < 1e-6), "{model:?}");
    assert!((model.intercept - 1.0).abs() < 1e-6);
}

#[test]
fn the_model_has_the_same_bits_for_any_number_of_workers() {
    for name in [
        "iris",
        "breast_cancer",
        "diabetes",
        "diabetes_lasso",
        "breast_cancer_svm",
        "penguins",
        "iris_classes",
        "iris_svm",
    ] {
        let (job, path) = example(name);
        let hashes = [1, 2, 3, 5, 8, 16, 100].map(|workers| fit_file(&job, &path, workers).unwrap().model_sha256());
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{name}: {hashes:?}");
    }
}

#[test]
fn columns_with_words_and_holes_become_a_model_that_predicts_rows_of_the_file() {
    let (job, path) = example("penguins");
    let table = source::scan(&path, &job.data_spec()).unwrap();
    assert_eq!((table.summary().row_count, table.summary().left_out.bad), (342, 2));
    let model = fit_file(&job, &path, 3).unwrap();
    let names: Vec<&str> = model.coefficients.iter().map(|coefficient| coefficient.name.as_str()).collect();
    let (words, numbers) = (["species=Chinstrap", "species=Gentoo", "island=Dream", "island=Torgersen"], &names[4..]);
    assert_eq!(names[..4], words);
    let rest = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "sex=male", "year=2008", "year=2009"];
    assert_eq!(numbers, rest);
    let test = crate::data::split::train_test_split(342, 0.2, 42).unwrap().test;
    let rows = table.read_rows(&test).unwrap();
    let scores = crate::scores::regression(&rows.y.to_vec(), &model.predict(rows.x.view()).unwrap()).unwrap();
    assert!((scores.r2 / model.metrics["r2"] - 1.0).abs() < ALLOWED && scores.r2 > 0.8, "{scores:?}");
}

#[test]
fn files_that_hold_the_parts_of_a_split_give_the_model_of_the_split() {
    let (job, path) = example("iris");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let split = crate::data::split::train_test_split(150, 0.2, 42).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let [train, test] = [("train.csv", split.train), ("test.csv", split.test)].map(|(name, rows)| {
        let chosen: Vec<&str> = std::iter::once(lines[0]).chain(rows.iter().map(|row| lines[row + 1])).collect();
        std::fs::write(directory.path().join(name), chosen.join("\n")).unwrap();
        directory.path().join(name)
    });
    let source = DataSource { paths: train.clone().into(), test_paths: Some(test.into()) };
    let model = fit_source(&job, &source, 3).unwrap();
    assert_eq!(model, fit_file(&job, &path, 2).unwrap());
    std::fs::write(directory.path().join("empty.csv"), lines[0]).unwrap();
    let empty = Some(directory.path().join("empty.csv").into());
    let error = fit_source(&job, &DataSource { test_paths: empty, ..source }, 1).unwrap_err().to_string();
    assert_eq!(error, "data.path gives 120 rows and data.test_path 0; both need 1");
}

#[test]
fn columns_that_a_step_leaves_out_are_trained_as_if_they_were_not_in_the_file() {
    let with_steps = |steps: &str| {
        let (mut job, path) = example("diabetes");
        job.prepare.steps = toml::from_str::<crate::job::PrepareSettings>(steps).unwrap().steps;
        fit_file(&job, &path, 3).unwrap()
    };
    let dropped = with_steps("steps = [{ step = \"drop_columns\", columns = [\"age\", \"s6\"] }]");
    let (mut job, path) = example("diabetes");
    job.data.columns.extend(["age", "s6"].map(|name| (name.to_owned(), crate::data::ColumnSetting::Ignored)));
    assert_eq!(dropped.coefficients, fit_file(&job, &path, 3).unwrap().coefficients);
    let selected = with_steps("steps = [{ step = \"select\", by = \"correlation\", keep = 2 }]");
    let names: Vec<&str> = selected.coefficients.iter().map(|coefficient| coefficient.name.as_str()).collect();
    assert_eq!(names, ["bmi", "s5"]);
}

#[test]
fn scaling_the_columns_does_not_move_an_unpenalised_fit() {
    let (mut job, path) = example("iris");
    let raw = fit_file(&job, &path, 1).unwrap();
    job.prepare.scale = Scale::Standard;
    let standard = fit_file(&job, &path, 1).unwrap();
    assert!((raw.objective / standard.objective - 1.0).abs() < 1e-14);
    let scaling = standard.scaling.unwrap();
    for ((raw, standard), scale) in raw.coefficients.iter().zip(&standard.coefficients).zip(&scaling.scale) {
        assert!((raw.value * scale / standard.value - 1.0).abs() < ALLOWED);
    }
}

#[test]
fn a_raw_penalty_on_columns_of_very_different_units_still_converges() {
    let (mut job, path) = example("breast_cancer");
    job.prepare.scale = Scale::None;
    let model = fit_file(&job, &path, 1).unwrap();
    assert!(model.converged, "{:?} {:e}", model.stopped, model.gradient_norm);
}

#[test]
fn a_round_bound_that_is_reached_is_told() {
    let (mut job, path) = example("breast_cancer");
    job.train.rounds_max = 5;
    let model = fit_file(&job, &path, 1).unwrap();
    assert_eq!((model.converged, model.stopped, model.rounds), (false, Some(StopReason::RoundsMax), 5));
}

#[test]
fn a_tolerance_that_rounding_hides_ends_at_the_rounding_and_not_at_the_round_bound() {
    let (mut job, path) = example("breast_cancer");
    job.train.tolerance = 1e-30;
    job.model = toml::from_str("type = \"linear\"\nl2 = 0.01").unwrap();
    let model = fit_file(&job, &path, 1).unwrap();
    assert!(model.gradient_norm < 1e-15 && model.rounds < job.train.rounds_max, "{model:?}");
}

#[test]
fn constant_columns_and_a_constant_target_have_a_model() {
    let (job, _) = example("iris");
    let data = DataSummary::numeric(50, &["a", "b"], "target");
    let load = |numbers: &[usize]| {
        let x = ndarray::Array2::from_shape_fn((numbers.len(), 2), |(row, column)| [0.1, numbers[row] as f64][column]);
        Ok(Rows { x, y: ndarray::Array1::from_elem(numbers.len(), 0.1) })
    };
    let model = fit_local(&job, &data, load, 3).unwrap();
    assert!(model.converged);
    assert!(model.coefficients.iter().all(|coefficient| coefficient.value.abs() < 1e-15));
    assert!((model.intercept - 0.1).abs() < 1e-14);
}

#[test]
fn labels_that_are_no_classes_are_refused_by_row() {
    let (mut job, path) = example("iris");
    job.model.kind = ModelKind::Logistic;
    let error = fit_file(&job, &path, 2).unwrap_err();
    assert!(matches!(error, LocalError::Data(DataError::NotALabel { row: 102, .. })), "{error}");
}
