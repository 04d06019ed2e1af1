//! Estimators over the arrays of example data, against the jobs that they stand for and against scikit-learn.

use ndarray::{Array1, Array2, array};

use super::*;
use crate::data::source;
use crate::job::{Filling, StepSettings};
use crate::local::tests::{example, reference};
use crate::trainable::{LabelledRows, add_linear, linear};

/// All rows of an example, which are numbers.
fn arrays(name: &str) -> (Array2<f64>, Array1<f64>) {
    let (job, path) = example(name);
    let table = source::scan(&path, &job.data_spec()).unwrap();
    let rows = table.read_rows(&(0..table.summary().row_count).collect::<Vec<_>>()).unwrap();
    (rows.x, rows.y)
}

/// The training rows of scikit-learn's split, then the test rows.
fn parts(name: &str) -> [(Array2<f64>, Array1<f64>); 2] {
    let ((x, y), (job, _)) = (arrays(name), example(name));
    let split = job.data.split.split(y.len(), &Default::default(), 0.2, 42).unwrap();
    [split.train, split.test].map(|rows| {
        let take = ndarray::Axis(0);
        (x.select(take, &rows), y.select(take, &rows))
    })
}

fn close(actual: f64, expected: &serde_json::Value, allowed: f64) {
    let expected = expected.as_f64().unwrap();
    assert!((actual - expected).abs() <= allowed * expected.abs(), "{actual} {expected}");
}

#[test]
fn regressions_are_those_of_scikit_learn() {
    let [(x, y), (x_test, y_test)] = parts("diabetes");
    let rows = y.len() as f64;
    let cases = [
        ("ols", LinearRegression::new()),
        ("ridge_0.1", Ridge::new(0.1 / rows)),
        ("lasso_0.1", Lasso::new(0.1)),
        ("lasso_0.1", ElasticNet::new(0.1, 0.0)),
    ];
    for (name, estimator) in cases {
        let fitted = estimator.fit(x.view(), y.view()).unwrap();
        let expected = &reference()["diabetes"][name];
        close(fitted.score(x_test.view(), y_test.view()).unwrap(), &expected["r2"], 1e-9);
        close(fitted.intercepts()[0], &expected["intercept"], 1e-9);
        assert_eq!(fitted.coefficients().shape(), [1, 10]);
    }
}

#[test]
fn classes_may_be_any_numbers_and_two_of_them_are_a_label() {
    let [(x, y), (x_test, y_test)] = parts("breast_cancer");
    let (y, y_test) = (y.mapv(|class| 7.5 - 3.0 * class), y_test.mapv(|class| 7.5 - 3.0 * class));
    let fitted = LogisticRegression::new().l2(0.01).scale(Scale::Standard).fit(x.view(), y.view()).unwrap();
    let expected = &reference()["breast_cancer"]["logistic_lam0.01"];
    assert_eq!(fitted.classes(), [4.5, 7.5]);
    close(fitted.score(x_test.view(), y_test.view()).unwrap(), &expected["test"]["accuracy"], 1e-12);
    close(fitted.model().objective, &expected["objective"], 1e-12);
    let (classes, scores) = (fitted.predict(x_test.view()).unwrap(), fitted.scores(x_test.view()).unwrap());
    assert!(classes.iter().zip(&scores).all(|(class, p)| (*class == 7.5) == (*p > 0.5)));

    let [(x, y), (x_test, y_test)] = parts("iris_classes");
    for estimator in [LogisticRegression::new().l2(0.001), LinearSvc::new().l2(0.01), DecisionTreeClassifier::new()] {
        let fitted = estimator.fit(x.view(), y.view()).unwrap();
        assert!(fitted.score(x_test.view(), y_test.view()).unwrap() > 0.9);
        assert_eq!(fitted.scores(x_test.view()).unwrap().ncols(), 3);
    }
    let tree = DecisionTreeRegressor::new().fit(x.view(), y.view()).unwrap();
    assert_eq!(tree.score(x.view(), y.view()).unwrap(), 1.0);
}

/// Least squares once more.
struct Squares;

impl Trainable for Squares {
    fn objective(rows: LabelledRows<'_>, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        rows.iter().fold(0.0, |cost, (row, target)| {
            let error = linear(row, parameters) - target;
            add_linear(error, row, gradient);
            cost + error * error / 2.0
        })
    }
}

#[test]
fn a_model_of_the_users_own_is_an_estimator_too() {
    let (x, y) = arrays("iris");
    let own = OwnEstimator::of::<Squares>("squares").unwrap().scale(Scale::Standard).tolerance(1e-12);
    let own = own.fit(x.view(), y.view()).unwrap();
    let built_in = LinearRegression::new().fit(x.view(), y.view()).unwrap();
    let (own, built_in) = (own.predict(x.view()).unwrap(), built_in.predict(x.view()).unwrap());
    assert!(own.iter().zip(&built_in).all(|(a, b)| (a - b).abs() < 1e-9));
    assert!(OwnEstimator::of::<Squares>("linear").is_err());
}

#[test]
fn a_preparation_learns_from_some_rows_and_transforms_others() {
    let (x, _) = arrays("iris");
    let expected = &reference()["iris"]["scalers_full"];
    for (name, preparation) in [
        ("standard", Preparation::new().standard()),
        ("minmax", Preparation::new().min_max()),
        ("robust", Preparation::new().robust()),
    ] {
        let rows = preparation.fit(x.view()).unwrap().transform(x.view()).unwrap();
        rows.row(0).iter().zip(expected["row0"][name].as_array().unwrap()).for_each(|(a, e)| close(*a, e, 1e-12));
    }
    let holes = array![[1.0, f64::NAN], [3.0, 4.0], [f64::NAN, 8.0]];
    let fitted = Preparation::new().impute(Filling::Mean).polynomial(2).fit(holes.view()).unwrap();
    assert_eq!(fitted.transform(array![[f64::NAN, 1.0]].view()).unwrap(), array![[2.0, 1.0, 4.0, 2.0, 1.0]]);
    assert_eq!(fitted.names(), ["x0", "x1", "x0^2", "x0*x1", "x1^2"]);
    assert!(matches!(fitted.transform(array![[1.0]].view()), Err(crate::model::PredictError::Shape { .. })));
    let prepared = LinearRegression::new().prepare(&Preparation::new().impute(Filling::Mean));
    assert!(prepared.fit(holes.view(), array![1.0, 2.0, 3.0].view()).unwrap().model().converged);
}

#[test]
fn arrays_that_cannot_be_learned_from_are_refused() {
    let told =
        |x: Array2<f64>, y: Array1<f64>| LogisticRegression::new().fit(x.view(), y.view()).unwrap_err().to_string();
    assert_eq!(told(array![[1.0], [2.0]], array![0.0]), "there are 2 rows and 1 targets");
    assert_eq!(told(Array2::zeros((0, 3)), array![]), "there are no rows, or no columns");
    let infinite = told(array![[1.0], [f64::INFINITY]], array![0.0, 1.0]);
    assert_eq!(infinite, "row 1 has inf in x0, which is not a usable number");
    assert!(told(array![[1.0], [2.0]], array![0.0, f64::NAN]).contains("NaN in target"));
    assert!(told(array![[1.0], [2.0]], array![3.0, 3.0]).contains("1 different values"));
    assert!(told(array![[f64::NAN], [2.0]], array![0.0, 1.0]).contains("missing cells and no step fills them"));
    let select =
        Preparation::new().step(StepSettings::DropColumns { columns: Some(vec!["y".into()]), missing_above: None });
    assert!(select.fit(array![[1.0]].view()).unwrap_err().to_string().contains("no column \"y\""));
}

#[test]
fn a_table_as_csv_reads_back_to_the_same_bits() {
    let x = array![[0.1, 1e-300], [f64::NAN, -0.0], [1e99, 1.0 / 3.0]];
    let (y, directory) = (array![2.0, -1.0, 2.0], tempfile::tempdir().unwrap());
    let estimator = LogisticRegression::new().prepare(&Preparation::new().impute(Filling::Mean));
    let table = estimator.table(x.view(), y.view()).unwrap();
    let path = directory.path().join("t.csv");
    let job = estimator.job(&table, path.as_path().into());
    std::fs::write(&path, table.to_csv(job.model.kind)).unwrap();
    let scanned = source::scan(&path, &job.data_spec()).unwrap();
    let (read, told) = (scanned.read_rows(&[0, 1, 2]).unwrap(), table.rows(&[0, 1, 2], job.model.kind));
    let bits = |x: &Array2<f64>| x.iter().map(|cell| cell.to_bits()).collect::<Vec<_>>();
    assert_eq!((bits(&read.x), read.y), (bits(&told.x), told.y));
    assert_eq!(*scanned.summary(), table.summary(job.model.kind));
}
