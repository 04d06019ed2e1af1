//! Sparse sums against loops as they would be written first, and against the same rows with all their zeros.

use ndarray::{Array1, Array2};

use super::super::{
    BlockView, ClassPredictor, Predictor, centred_squares, class_gradient, class_outcomes, classification_sums,
    column_sums, objective_gradient, regression_sums,
};
use super::*;

const ROWS: usize = 37;
const WIDTH: usize = 19;
const CLASSES: usize = 3;

/// A block in both forms; the last row is empty, and so is a column.
struct Both {
    x: Array2<f64>,
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f64>,
}

fn both() -> Both {
    let cell = |(row, column): (usize, usize)| {
        let bits = (row * 7919 + column * 104_729) % 1009;
        let is_zero = bits % 4 != 0 || row == ROWS - 1 || column == 5;
        if is_zero { 0.0 } else { bits as f64 / 250.0 - 1.9 }
    };
    let x = Array2::from_shape_fn((ROWS, WIDTH), cell);
    let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    for row in x.rows() {
        for (column, value) in (0..).zip(row).filter(|(_, value)| **value != 0.0) {
            columns.push(column);
            values.push(*value);
        }
        starts.push(values.len());
    }
    Both { x, starts, columns, values }
}

impl Both {
    fn sparse<'a>(&'a self, y: &'a [f64]) -> SparseView<'a> {
        SparseView::new(WIDTH, &self.starts, &self.columns, &self.values, y).unwrap()
    }
}

fn mean() -> Vec<f64> {
    (0..WIDTH).map(|column| column as f64 / 50.0 - 0.1).collect()
}

fn weights(outputs: usize) -> Vec<f64> {
    (0..WIDTH * outputs).map(|at| ((at * 37) % 23) as f64 / 20.0 - 0.6).collect()
}

fn targets(of: usize) -> Array1<f64> {
    Array1::from_shape_fn(ROWS, |row| ((row * 5) % of) as f64)
}

/// Sums of gradients with the means taken off, output by output.
fn centred(mut sums: Vec<f64>) -> Vec<f64> {
    for of_output in sums[1..].chunks_exact_mut(WIDTH + 1) {
        let slope = of_output[0];
        of_output[1..].iter_mut().zip(mean()).for_each(|(sum, mean)| *sum -= slope * mean);
    }
    sums
}

#[track_caller]
fn assert_near(sparse: &[f64], dense: &[f64]) {
    assert_eq!(sparse.len(), dense.len());
    let size = dense.iter().fold(1.0_f64, |size, value| size.max(value.abs()));
    for (at, (sparse, dense)) in sparse.iter().zip(dense).enumerate() {
        assert!((sparse - dense).abs() <= 1e-14 * size, "{at}: {sparse} {dense}");
    }
}

#[test]
fn sums_are_those_of_the_same_rows_with_their_zeros() {
    let (both, mean) = (both(), mean());
    for loss in [Loss::HalfSquared, Loss::Logistic, Loss::SquaredHinge] {
        let (y, weights) = (targets(2), weights(1));
        let dense = BlockView::new(both.x.view(), y.view()).unwrap();
        let sparse = both.sparse(y.as_slice().unwrap());
        let predictor = Predictor { mean: &mean, weights: &weights, intercept: 0.3 };
        let of_sparse = SparsePredictor::new(&mean, &weights, &[0.3]).unwrap();
        assert_near(&sparse_column_sums(sparse), &column_sums(dense));
        let squares = sparse_centred_squares(sparse, &mean, 0.4).unwrap();
        assert_near(&squares, &centred_squares(dense, &mean, 0.4).unwrap());
        let gradient = sparse_gradient(sparse, loss, &of_sparse).unwrap();
        assert_near(&centred(gradient), &objective_gradient(dense, loss, predictor).unwrap());
        let regression = sparse_regression_sums(sparse, &of_sparse, 0.4).unwrap();
        assert_near(&regression, &regression_sums(dense, predictor, 0.4).unwrap());
        let outcomes = sparse_classification_sums(sparse, &of_sparse).unwrap();
        assert_near(&outcomes, &classification_sums(dense, predictor).unwrap());
    }
}

#[test]
fn sums_of_many_classes_are_those_of_the_same_rows_with_their_zeros() {
    let (both, mean, y, weights) = (both(), mean(), targets(CLASSES), weights(CLASSES));
    let intercepts = [0.3, -0.2, 0.05];
    let dense = BlockView::new(both.x.view(), y.view()).unwrap();
    let sparse = both.sparse(y.as_slice().unwrap());
    let predictor = ClassPredictor { mean: &mean, weights: &weights, intercepts: &intercepts };
    let of_sparse = SparsePredictor::new(&mean, &weights, &intercepts).unwrap();
    for loss in [ClassLoss::Softmax, ClassLoss::OneVsRestSquaredHinge] {
        let sums = by_output(&sparse_class_gradient(sparse, loss, &of_sparse).unwrap(), CLASSES);
        assert_near(&centred(sums), &class_gradient(dense, loss, predictor).unwrap());
    }
    let outcomes = sparse_class_outcomes(sparse, &of_sparse).unwrap();
    assert_near(&outcomes, &class_outcomes(dense, predictor).unwrap());
    let scores = of_sparse.scores(sparse).unwrap();
    let first: f64 = both.x.row(0).iter().zip(&mean).zip(&weights).map(|((x, m), w)| (x - m) * w).sum();
    assert!((scores[0] - 0.3 - first).abs() < 1e-14);
}

/// Cells one by one, class by class.
fn naive(both: &Both, y: &[f64], loss: ClassLoss, predictor: &SparsePredictor) -> Vec<f64> {
    let mut sums = vec![0.0; 1 + CLASSES * (WIDTH + 1)];
    let mut terms = ClassRow::new(CLASSES);
    for (row, target) in y.iter().enumerate() {
        for class in 0..CLASSES {
            terms.margins[class] = predictor.offsets[class];
            for cell in both.starts[row]..both.starts[row + 1] {
                let column = both.columns[cell] as usize;
                terms.margins[class] += both.values[cell] * predictor.weights[column * CLASSES + class];
            }
        }
        sums[0] += terms.differentiate(loss, *target as usize, row).unwrap();
        for class in 0..CLASSES {
            let of_class = &mut sums[1 + class * (WIDTH + 1)..];
            of_class[0] += terms.slopes[class];
            for cell in both.starts[row]..both.starts[row + 1] {
                of_class[1 + both.columns[cell] as usize] += terms.slopes[class] * both.values[cell];
            }
        }
    }
    sums
}

#[test]
fn sums_of_many_classes_have_the_bits_of_the_naive_loops_however_they_are_stored_and_added() {
    let (both, y) = (both(), targets(CLASSES));
    let y = y.as_slice().unwrap();
    let exact: Vec<f64> = both.values.iter().map(|value| f64::from(*value as f32)).collect();
    let stored: Vec<f32> = exact.iter().map(|value| *value as f32).collect();
    let both = Both { values: exact, ..both };
    let narrow = SparseView::new(WIDTH, &both.starts, &both.columns, &stored, y).unwrap();
    let predictor = SparsePredictor::new(&mean(), &weights(CLASSES), &[0.3, -0.2, 0.05]).unwrap();
    let bits = |sums: Vec<f64>| sums.into_iter().map(f64::to_bits).collect::<Vec<_>>();
    for loss in [ClassLoss::Softmax, ClassLoss::OneVsRestSquaredHinge] {
        let expected = bits(naive(&both, y, loss, &predictor));
        for sums in [
            sparse_class_gradient(both.sparse(y), loss, &predictor),
            sparse_class_gradient(narrow, loss, &predictor),
            class_gradient_sums(both.sparse(y), loss, &predictor),
        ] {
            assert_eq!(bits(by_output(&sums.unwrap(), CLASSES)), expected, "{loss:?}");
        }
    }
}

#[test]
fn a_wrong_shape_and_a_wrong_target_are_refused() {
    let (both, y) = (both(), targets(CLASSES));
    let sparse = both.sparse(y.as_slice().unwrap());
    let one = SparsePredictor::new(&mean(), &weights(1), &[0.0]).unwrap();
    let label = KernelError::Label { value: 2.0, row: 1 };
    assert_eq!(sparse_gradient(sparse, Loss::Logistic, &one), Err(label.clone()));
    assert_eq!(sparse_classification_sums(sparse, &one), Err(label));
    let two = SparsePredictor::new(&mean(), &weights(2), &[0.0; 2]).unwrap();
    let class = KernelError::Class { value: 2.0, row: 1, class_count: 2 };
    assert_eq!(sparse_class_gradient(sparse, ClassLoss::Softmax, &two), Err(class));
    assert!(SparsePredictor::new(&mean(), &weights(2), &[0.0]).is_err());
    let narrow = SparsePredictor::new(&[0.0], &[0.0], &[0.0]).unwrap();
    assert!(sparse_gradient(sparse, Loss::HalfSquared, &narrow).is_err());
    assert!(SparseView::new(1, &[0, 1], &[0], &[1.0], &[]).is_err());
    assert!(SparseView::new(1, &[0, 2], &[0], &[1.0], &[0.0]).is_err());
    assert!(sparse_centred_squares(sparse, &[0.0], 0.0).is_err());
}
