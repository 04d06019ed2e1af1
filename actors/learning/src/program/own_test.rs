//! Models of users' own, trained on example data: against scikit-learn, and against the built-in models that they repeat.

use std::path::Path;

use crate::{
    data::DataError,
    job::{ModelKind, Scale, TrainingJob},
    local::{
        LocalError, fit_file,
        tests::{example, reference},
    },
    messages::ComputeError,
    model::{PredictError, TrainedModel},
    model_file,
    model_registry::{ModelRegistry, OwnModelError},
    optimiser::solver::SolverSetting,
    program::TrainError,
    trainable::{LabelledRows, SecondDerivatives, Target, Trainable, add_linear, exp, linear, log},
};

/// Poisson regression with a logarithmic link; without second derivatives if `CURVED` is false.
struct Poisson<const CURVED: bool>;

impl<const CURVED: bool> Trainable for Poisson<CURVED> {
    const HAS_CURVATURE: bool = CURVED;

    fn start(parameter_count: usize, target_mean: f64) -> Vec<f64> {
        let mut start = vec![0.0; parameter_count];
        start[0] = log(target_mean);
        start
    }

    fn check_target(target: f64) -> Result<(), String> {
        if target >= 0.0 { Ok(()) } else { Err("a count is not below 0".to_owned()) }
    }

    fn objective(rows: LabelledRows<'_>, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let mut cost = 0.0;
        for (row, count) in rows.iter() {
            let margin = linear(row, parameters);
            cost += exp(margin) - count * margin;
            add_linear(exp(margin) - count, row, gradient);
        }
        cost
    }

    fn curvature(rows: LabelledRows<'_>, parameters: &[f64], curvature: &mut SecondDerivatives<'_>) {
        rows.iter().for_each(|(row, _)| curvature.add_linear(exp(linear(row, parameters)), row));
    }

    fn predict(row: &[f64], parameters: &[f64]) -> f64 {
        exp(linear(row, parameters))
    }
}

/// Logistic regression, with the cost as it stands in books.
struct Logit;

impl Trainable for Logit {
    const TARGET: Target = Target::Label;

    fn objective(rows: LabelledRows<'_>, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let mut cost = 0.0;
        for (row, label) in rows.iter() {
            let margin = linear(row, parameters);
            cost += libm::log1p(exp(-margin.abs())) + margin.max(0.0) - label * margin;
            add_linear(1.0 / (1.0 + exp(-margin)) - label, row, gradient);
        }
        cost
    }

    fn predict(row: &[f64], parameters: &[f64]) -> f64 {
        1.0 / (1.0 + exp(-linear(row, parameters)))
    }
}

/// Two parameters that are not the weights of columns, and a cost that is soon not finite.
struct Curve;

impl Trainable for Curve {
    fn parameters(_: &[String]) -> Vec<String> {
        ["height", "rate"].map(str::to_owned).to_vec()
    }

    fn start(_: usize, _: f64) -> Vec<f64> {
        vec![1.0, 0.0]
    }

    fn objective(rows: LabelledRows<'_>, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let mut cost = 0.0;
        for (row, target) in rows.iter() {
            let growth = exp(parameters[1] * row[0]);
            let error = parameters[0] * growth - target;
            cost += error * error / 2.0;
            gradient[0] += error * growth;
            gradient[1] += error * parameters[0] * row[0] * growth;
        }
        cost
    }

    fn predict(row: &[f64], parameters: &[f64]) -> f64 {
        parameters[0] * exp(parameters[1] * row[0])
    }
}

fn models() -> ModelRegistry {
    let models = ModelRegistry::new().register::<Poisson<true>>("poisson").unwrap();
    let models = models.register::<Poisson<false>>("slow_poisson").unwrap().register::<Logit>("logit").unwrap();
    models.register::<Curve>("curve").unwrap()
}

fn own(name: &str) -> ModelKind {
    models().resolve(serde_json::from_value(name.into()).unwrap()).unwrap()
}

/// An example with another model.
fn job(data: &str, name: &str, scale: Scale) -> (TrainingJob, std::path::PathBuf) {
    let (mut job, path) = example(data);
    job.model.kind = own(name);
    (job.model.l2, job.model.l1, job.prepare.scale) = (0.0, 0.0, scale);
    (job, path)
}

fn error(actual: f64, expected: f64) -> f64 {
    (actual - expected).abs() / expected.abs()
}

fn values(model: &TrainedModel) -> Vec<f64> {
    model.coefficients.iter().map(|parameter| parameter.value).collect()
}

#[test]
fn poisson_regression_is_that_of_scikit_learn_with_every_solver() {
    let fixture: serde_json::Value =
        serde_json::from_str(include_str!("../../../../tests/fixtures/poisson.json")).unwrap();
    // Columns depend on each other, and without second derivatives a gradient method ends where its steps are rounding.
    let cases = [
        ("standardised", Scale::Standard, "poisson", SolverSetting::Auto, 1e-11),
        ("standardised", Scale::Standard, "slow_poisson", SolverSetting::Auto, 1e-9),
        ("standardised", Scale::Standard, "poisson", SolverSetting::QuasiNewton, 1e-9),
        ("standardised", Scale::Standard, "slow_poisson", SolverSetting::Nesterov, 1e-4),
        ("as_they_are", Scale::None, "poisson", SolverSetting::Newton, 1e-9),
        ("as_they_are", Scale::None, "slow_poisson", SolverSetting::Lbfgs, 1e-9),
    ];
    for (case, scale, name, solver, allowed) in cases {
        let expected = &fixture[case];
        let number = |pointer: &str| expected.pointer(pointer).unwrap().as_f64().unwrap();
        let (mut job, path) = job("diabetes", name, scale);
        (job.model.l2, job.train.solver, job.train.rounds_max) = (number("/alpha"), solver, 20_000);
        let model = fit_file(&job, &path, 3).unwrap();
        assert!(error(model.objective, number("/objective")) < 1e-12, "{case} {name} {solver:?}: {}", model.objective);
        let weights = expected["coef"].as_array().unwrap().iter().map(|weight| weight.as_f64().unwrap());
        let expected: Vec<f64> = std::iter::once(number("/intercept")).chain(weights).collect();
        let worst = values(&model).iter().zip(&expected).map(|(a, e)| error(*a, *e)).fold(0.0, f64::max);
        let in_all = (model.rounds, model.converged, model.gradient_norm);
        println!("{case} {name} {solver:?}: {in_all:?}, coefficients {worst:e}");
        assert!(worst < allowed, "{case} {name} {solver:?}: {worst:e}");
        for metric in ["mean_squared_error", "mean_absolute_error", "r2"] {
            assert!(error(model.metrics[metric], number(&format!("/test/{metric}"))) < allowed, "{case} {metric}");
        }
        assert_eq!(model.coefficients[1].name, "age");
    }
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_workers_and_survive_the_file() {
    let (job, path) = job("diabetes", "poisson", Scale::Standard);
    let model = fit_file(&job, &path, 1).unwrap();
    for workers in [2, 3, 5, 8, 16] {
        assert_eq!(fit_file(&job, &path, workers).unwrap().canonical_bytes(), model.canonical_bytes(), "{workers}");
    }
    let mut read = model_file::decode(&model_file::encode(&model)).unwrap();
    let rows = ndarray::Array2::zeros((1, 10));
    assert_eq!(read.predict(rows.view()), Err(PredictError::NoCode("poisson".to_owned())));
    models().resolve_model(&mut read).unwrap();
    let predicted = read.predict(rows.view()).unwrap();
    assert_eq!(predicted, model.predict(rows.view()).unwrap());
    assert!((50.0..500.0).contains(&predicted[0]), "{predicted:?}");
    let missing = ModelRegistry::new().resolve_model(&mut read).unwrap_err();
    assert!(matches!(missing, OwnModelError::Unknown(_)), "{missing}");
    read.model = own("curve");
    let other = models().resolve_model(&mut read).unwrap_err().to_string();
    assert!(other.contains("has 2 parameters over these columns, the file has 11"), "{other}");
}

#[test]
fn a_model_of_labels_is_the_built_in_one_and_is_judged_as_it_is() {
    let (mut job, path) = job("breast_cancer", "logit", Scale::Standard);
    (job.model.l2, job.train.tolerance) = (0.01, 1e-12);
    let model = fit_file(&job, &path, 2).unwrap();
    let expected = &reference()["breast_cancer"]["logistic_lam0.01"];
    assert!(error(model.objective, expected["objective"].as_f64().unwrap()) < 1e-12, "{}", model.objective);
    for metric in ["accuracy", "precision", "recall", "f1", "log_loss"] {
        assert!(error(model.metrics[metric], expected["test"][metric].as_f64().unwrap()) < 1e-8, "{metric}");
    }
    let judged = crate::predictions::evaluate_file(&model, &path).unwrap();
    assert!(judged.metrics["roc_auc"] > 0.99 && judged.metrics["log_loss"] < 0.1, "{judged:?}");
}

#[test]
fn parameters_may_be_few_and_a_step_that_is_too_long_is_shortened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("growth.csv");
    // Up to 1180: the first step, which is 1, makes the exponential infinite.
    let rows: String =
        (0..60).map(|row| 20.0 * f64::from(row)).map(|t| format!("{t},{}\n", 3.0 * (0.002 * t).exp())).collect();
    std::fs::write(&path, format!("t,y\n{rows}")).unwrap();
    let job: TrainingJob = toml::from_str(
        "name = \"growth\"\ndata = { path = \"growth.csv\", target = \"y\" }\nmodel = { type = \"curve\" }\nprepare = { scale = \"none\" }\ntrain = { tolerance = 1e-12 }",
    )
    .unwrap();
    let unknown = fit_file(&job, &path, 1).unwrap_err().to_string();
    assert_eq!(unknown, "model.type: this binary has no model \"curve\"");
    let mut known = job;
    models().resolve_job(&mut known).unwrap();
    let model = fit_file(&known, &path, 2).unwrap();
    assert!(error(values(&model)[0], 3.0) < 1e-6 && error(values(&model)[1], 0.002) < 1e-6, "{model:?}");
    assert_eq!(model.coefficients.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["height", "rate"]);
}

fn refused(job: &TrainingJob, path: &Path) -> String {
    match fit_file(job, path, 1).unwrap_err() {
        LocalError::Data(DataError::NotALabel { .. }) => "not a label".to_owned(),
        error => error.to_string(),
    }
}

#[test]
fn what_a_model_cannot_take_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.csv");
    let rows: String = (0..40).map(|row| format!("{row},{}\n", if row == 17 { -1 } else { row % 5 })).collect();
    std::fs::write(&path, format!("x,y\n{rows}")).unwrap();
    let text = "name = \"d\"\ndata = { path = \"d.csv\", target = \"y\", split = \"ordered\" }\nmodel = { type = \"poisson\" }";
    let mut job: TrainingJob = toml::from_str(text).unwrap();
    models().resolve_job(&mut job).unwrap();
    let told = refused(&job, &path);
    assert_eq!(told, "target is -1 in data row 18 (the first below the header is 1): a count is not below 0");
    (job.model.kind, job.train.solver) = (own("slow_poisson"), SolverSetting::Newton);
    assert!(
        refused(&job, &path).starts_with("train.solver: the model has no second derivatives"),
        "{}",
        refused(&job, &path)
    );
    job.model.kind = own("logit");
    assert_eq!(refused(&job, &path), "not a label");
}

/// A cost that is never finite.
struct Hole;

impl Trainable for Hole {
    fn objective(_: LabelledRows<'_>, _: &[f64], _: &mut [f64]) -> f64 {
        f64::NAN
    }
}

#[test]
fn a_cost_that_is_not_finite_at_the_start_and_code_that_is_not_here_end_the_training() {
    let (mut job, path) = example("iris");
    let models = ModelRegistry::new().register::<Hole>("hole").unwrap();
    job.model.kind = models.resolve(serde_json::from_value("hole".into()).unwrap()).unwrap();
    let error = fit_file(&job, &path, 1).unwrap_err();
    assert!(matches!(error, LocalError::Train(TrainError::NotFinite { index: 0, .. })), "{error}");
    // A worker whose binary lacks the code refuses by name.
    let data = crate::data::source::scan(&path, &job.data_spec()).unwrap();
    let mut joined = crate::messages::Joined { job, data: data.summary().clone() };
    let refused = ComputeError::from(ModelRegistry::new().resolve_job(&mut joined.job).unwrap_err());
    assert!(refused.to_string().starts_with("this binary has no model \"hole\": it has linear, logistic"), "{refused}");
}
