//! Loss, gradient and the matrix of second derivatives in one reading of the rows.

use super::{BlockView, KernelError, Loss, Predictor, vector::widest};

/// Rows whose products are added together before they reach the sum: fixed, so that the bits are.
const ROWS_TOGETHER: usize = 4;

/// Number of sums of [`objective_curvature`] over `feature_count` features.
#[must_use]
pub fn curvature_sums(feature_count: usize) -> usize {
    let variables = feature_count + 1;
    1 + variables + variables * (variables + 1) / 2
}

/// The sums of [`super::objective_gradient`], then the upper triangle of `Σ c z zᵀ`, row by row.
///
/// `z` is 1 followed by `x - mean`, and `c` the second derivative of a row's loss by its margin: 1 for
/// [`Loss::HalfSquared`], `P(1 - P)` for [`Loss::Logistic`], 2 within the margin of [`Loss::SquaredHinge`]. Length [`curvature_sums`].
///
/// # Errors
/// As [`super::objective_gradient`].
///
/// # Source
/// Hastie, Tibshirani, Friedman, *The Elements of Statistical Learning*, 2nd ed., eq. 3.6 and 4.23.
pub fn objective_curvature(
    block: BlockView<'_>,
    loss: Loss,
    predictor: Predictor<'_>,
) -> Result<Vec<f64>, KernelError> {
    predictor.check(&block)?;
    widest(
        #[inline(always)]
        || all_sums(block, loss, predictor),
    )
}

#[inline(always)]
fn all_sums(block: BlockView<'_>, loss: Loss, predictor: Predictor<'_>) -> Result<Vec<f64>, KernelError> {
    let variables = block.feature_count() + 1;
    let mut sums = vec![0.0; curvature_sums(block.feature_count())];
    let (gradient, upper) = sums.split_at_mut(1 + variables);
    let mut group = Group::new(variables);
    for (index, (row, target)) in block.rows().enumerate() {
        let cost = loss.at(predictor.margin(row), target, index)?;
        gradient[0] += cost.cost;
        let z = group.push(row, predictor.mean, cost.curvature);
        gradient[1..].iter_mut().zip(z).for_each(|(sum, z)| *sum += cost.slope * z);
        if group.count == ROWS_TOGETHER {
            group.drain_into(upper);
        }
    }
    group.drain_into(upper);
    Ok(sums)
}

/// Rows that wait to be added to the triangle; those beyond `count` are 0.
struct Group {
    count: usize,
    z: [Vec<f64>; ROWS_TOGETHER],
    curvature: [f64; ROWS_TOGETHER],
}

impl Group {
    fn new(variables: usize) -> Self {
        Self { count: 0, z: std::array::from_fn(|_| vec![0.0; variables]), curvature: [0.0; ROWS_TOGETHER] }
    }

    #[inline(always)]
    fn push(&mut self, row: &[f64], mean: &[f64], curvature: f64) -> &[f64] {
        let z = &mut self.z[self.count];
        z[0] = 1.0;
        z[1..].iter_mut().zip(row).zip(mean).for_each(|((z, x), m)| *z = x - m);
        self.curvature[self.count] = curvature;
        self.count += 1;
        z
    }

    #[inline(always)]
    fn drain_into(&mut self, upper: &mut [f64]) {
        self.curvature[self.count..].fill(0.0);
        let [a, b, c, d] = &self.z;
        let mut start = 0;
        for i in 0..a.len() {
            let end = start + a.len() - i;
            let factors = [a[i], b[i], c[i], d[i]];
            let [fa, fb, fc, fd] = std::array::from_fn(|row| factors[row] * self.curvature[row]);
            let columns = a[i..].iter().zip(&b[i..]).zip(&c[i..]).zip(&d[i..]);
            for (sum, (((a, b), c), d)) in upper[start..end].iter_mut().zip(columns) {
                *sum += (fa * a + fb * b) + (fc * c + fd * d);
            }
            start = end;
        }
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};

    use super::*;
    use crate::kernel::objective_gradient;

    fn data(loss: Loss, rows: usize) -> (Array2<f64>, Array1<f64>) {
        let value = |seed: usize| f64::from((seed * 7919 % 1009) as u32) / 250.0 - 2.0;
        let x = Array2::from_shape_fn((rows, 3), |(row, column)| value(3 * row + column + 1));
        let y = Array1::from_shape_fn(rows, |row| match loss {
            Loss::HalfSquared => value(row + 77),
            Loss::Logistic | Loss::SquaredHinge => (row % 2) as f64,
        });
        (x, y)
    }

    #[test]
    fn the_curvature_is_the_finite_difference_of_the_gradient() {
        for loss in [Loss::HalfSquared, Loss::Logistic, Loss::SquaredHinge] {
            let (x, y) = data(loss, 11);
            let block = BlockView::new(x.view(), y.view()).unwrap();
            let mean = [0.1, -0.2, 0.3];
            let here = [0.2, 0.4, -0.3, 0.1];
            let predictor = Predictor { mean: &mean, weights: &here[1..], intercept: here[0] };
            let sums = objective_curvature(block, loss, predictor).unwrap();
            let mut triangle = sums[5..].iter();
            for i in 0..4 {
                let moved = |by: f64| {
                    let mut p = here;
                    p[i] += by;
                    objective_gradient(block, loss, Predictor { weights: &p[1..], intercept: p[0], ..predictor })
                        .unwrap()
                };
                let (up, down) = (moved(1e-5), moved(-1e-5));
                for j in i..4 {
                    let expected = (up[1 + j] - down[1 + j]) / 2e-5;
                    assert!((triangle.next().unwrap() - expected).abs() < 1e-7, "{loss:?} {i} {j}");
                }
            }
            assert!(triangle.next().is_none());
        }
    }

    #[test]
    fn value_and_gradient_have_the_bits_of_the_pass_without_curvature() {
        for (loss, rows) in [(Loss::HalfSquared, 9), (Loss::Logistic, 8), (Loss::Logistic, 1)] {
            let (x, y) = data(loss, rows);
            let block = BlockView::new(x.view(), y.view()).unwrap();
            let predictor = Predictor { mean: &[0.1, 0.2, 0.3], weights: &[1.0, -1.0, 0.5], intercept: 0.25 };
            let sums = objective_curvature(block, loss, predictor).unwrap();
            assert_eq!(sums[..5], objective_gradient(block, loss, predictor).unwrap());
            assert_eq!(sums.len(), curvature_sums(3));
        }
    }

    #[test]
    fn wide_and_narrow_instructions_give_the_same_bits() {
        for (loss, rows) in [(Loss::HalfSquared, 9), (Loss::Logistic, 16), (Loss::SquaredHinge, 7)] {
            let (x, y) = data(loss, rows);
            let block = BlockView::new(x.view(), y.view()).unwrap();
            let predictor = Predictor { mean: &[0.1, 0.2, 0.3], weights: &[1.0, -1.0, 0.5], intercept: 0.25 };
            let bits = |sums: Vec<f64>| sums.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            let wide = bits(objective_curvature(block, loss, predictor).unwrap());
            assert_eq!(wide, bits(all_sums(block, loss, predictor).unwrap()), "{loss:?}");
        }
    }

    #[test]
    fn two_rows_are_summed_by_hand() {
        let (x, y) = (ndarray::array![[3.0], [6.0]], ndarray::array![1.0, 2.0]);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let predictor = Predictor { mean: &[1.0], weights: &[0.0], intercept: 0.0 };
        let sums = objective_curvature(block, Loss::HalfSquared, predictor).unwrap();
        assert_eq!(sums, [2.5, -3.0, -12.0, 2.0, 7.0, 29.0]);
    }

    #[test]
    fn a_wrong_shape_and_a_wrong_label_are_refused() {
        let (x, y) = (ndarray::array![[3.0]], ndarray::array![2.0]);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let predictor = Predictor { mean: &[1.0], weights: &[0.0], intercept: 0.0 };
        let error = objective_curvature(block, Loss::Logistic, predictor).unwrap_err();
        assert_eq!(error, KernelError::Label { value: 2.0, row: 0 });
        let predictor = Predictor { weights: &[], ..predictor };
        assert!(matches!(
            objective_curvature(block, Loss::Logistic, predictor),
            Err(KernelError::ShapeMismatch { expected: 1, actual: 0, .. })
        ));
    }
}
