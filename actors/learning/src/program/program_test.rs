//! The order of the passes, and what is refused.

use super::*;
use crate::{data::split::SplitError, job::ModelKind, optimiser::solver::SolverKind};

fn trainer(kind: ModelKind) -> Trainer {
    let text = "name = \"t\"\ndata = { path = \"d\", target = \"y\", test_size = 0.2 }\nmodel = { type = \"linear\" }";
    let mut job: TrainingJob = toml::from_str(text).unwrap();
    job.model.kind = kind;
    let data = DataSummary::numeric(5, &["a"], "y");
    Trainer::new(job, &data).unwrap()
}

#[test]
fn sums_that_cannot_be_those_of_the_pass_are_refused_and_change_nothing() {
    let mut trainer = trainer(ModelKind::Linear);
    let before = trainer.step();
    assert_eq!(before, Step::Compute(Pass::ColumnSums { split: Split::Train }));
    let faults = [
        (vec![4.0, 1.0], TrainError::WrongShape { expected: 3, actual: 2 }),
        (vec![4.0, f64::NAN, 1.0], TrainError::NotFinite { index: 1, value: "NaN".into() }),
        (vec![4.0, 1.0, f64::INFINITY], TrainError::NotFinite { index: 2, value: "inf".into() }),
        (vec![5.0, 1.0, 1.0], TrainError::RowCount { expected: 4, actual: 5.0 }),
    ];
    for (sums, expected) in faults {
        assert_eq!(trainer.absorb(&sums), Err(expected));
        assert_eq!(trainer.step(), before);
    }
}

#[test]
fn the_passes_follow_each_other_to_the_closed_form() {
    // x = -1, -1, 1, 1 and y = 0, 2, 4, 6: slope 2, intercept 3, half mean squared error 1/2.
    let mut trainer = trainer(ModelKind::Linear);
    assert_eq!(trainer.absorb(&[4.0, 0.0, 12.0]), Ok(None));
    assert_eq!(trainer.absorb(&[4.0, 20.0]), Ok(None));
    assert_eq!(trainer.solver().map(|choice| choice.kind), Some(SolverKind::Newton));
    loop {
        let (at, triangle) = match trainer.step() {
            Step::Compute(Pass::ObjectiveCurvature { at, .. }) => (at, [4.0, 0.0, 4.0].as_slice()),
            Step::Compute(Pass::ObjectiveGradient { at, .. }) => (at, [].as_slice()),
            _ => break,
        };
        let (slope, intercept) = (at.weights.0[0] - 2.0, at.intercept - 3.0);
        let loss = 2.0 + 2.0 * (slope * slope + intercept * intercept);
        let sums = [[loss, 4.0 * intercept, 4.0 * slope].as_slice(), triangle].concat();
        assert!(trainer.absorb(&sums).unwrap().is_some());
    }
    assert_eq!(trainer.step(), Step::Compute(Pass::ColumnSums { split: Split::Test }));
    assert_eq!(trainer.absorb(&[1.0, 3.0, 10.0]), Ok(None));
    assert!(matches!(trainer.step(), Step::Compute(Pass::EvaluateRegression { target_mean: 10.0, .. })));
    assert_eq!(trainer.absorb(&[1.0, 1.0, 1.0, 0.0]), Ok(None));
    let Step::Finished(model) = trainer.step() else { panic!("not finished") };
    assert!((model.coefficients[0].value - 2.0).abs() < 1e-12 && (model.intercept - 3.0).abs() < 1e-12);
    assert!(model.converged && (model.objective - 0.5).abs() < 1e-12);
    assert_eq!(trainer.absorb(&[]), Ok(None));
}

#[test]
fn more_rows_than_a_shuffle_takes_are_refused_before_a_worker_is_asked() {
    let job = trainer(ModelKind::Linear).job().clone();
    let row_count = u32::MAX as usize + 1;
    let data = DataSummary::numeric(row_count, &["a"], "y");
    let refused = Trainer::new(job, &data).unwrap_err();
    assert_eq!(refused, TrainError::Split(SplitError::TooManyRows(row_count)));
}

#[test]
fn one_class_is_not_enough() {
    let mut trainer = trainer(ModelKind::Logistic);
    trainer.absorb(&[4.0, 0.0, 4.0]).unwrap();
    trainer.absorb(&[4.0, 0.0]).unwrap();
    assert_eq!(trainer.absorb(&[1.0, 0.0, 0.0, 1.0, 0.0, 1.0]), Err(TrainError::OneClass(1)));
}
