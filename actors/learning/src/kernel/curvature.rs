//! Loss, gradient and the matrix of second derivatives in one reading of the rows.

#![allow(
    clippy::needless_range_loop,
    reason = "loops over lanes and rows of fixed number become vector instructions as they stand"
)]

use super::tile::{Cell, LANES, Plane, Tile, Vector};
use super::{BlockView, KernelError, Loss, Predictor, filled_up, vector::widest};

/// Rows whose products are added together before they reach the sum: fixed, so that the bits are.
pub(super) const ROWS_TOGETHER: usize = 4;
/// Rows of a tile of products: sums are loaded and stored once for all of them.
pub(super) const CURVATURE_ROWS: usize = 32;
/// Features whose products with the same vectors are held together.
const FEATURES_TOGETHER: usize = 2;

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
pub fn objective_curvature<T: Cell>(
    block: BlockView<'_, T>,
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
fn all_sums<T: Cell>(block: BlockView<'_, T>, loss: Loss, predictor: Predictor<'_>) -> Result<Vec<f64>, KernelError> {
    let (feature_count, plane) = (block.feature_count(), Plane::new(&predictor));
    let (mut sums, mut slopes) = (vec![0.0; 2], vec![Vector::ZERO; plane.width()]);
    let mut centred = vec![Vector::ZERO; CURVATURE_ROWS * plane.width()];
    let mut products = Products::new(plane.width());
    for (first, cells, targets) in block.tiles::<CURVATURE_ROWS>() {
        let tile = Tile::<_, CURVATURE_ROWS>::read(cells, feature_count, &plane);
        loss.check_targets(targets, first)?;
        let mut costs = loss.of_rows(&tile.margins, &filled_up(targets));
        for row in 0..targets.len() {
            sums[0] += costs.cost[row];
            sums[1] += costs.slope[row];
        }
        tile.add_scaled(&costs.slope[..targets.len()], &mut slopes);
        costs.curvature[targets.len()..].fill(0.0);
        tile.centre_into(&mut centred);
        products.add(&centred, &costs.curvature, targets.len().div_ceil(ROWS_TOGETHER));
    }
    sums.extend(slopes.iter().flat_map(|vector| vector.0).take(feature_count));
    products.extend_upper(&mut sums, feature_count);
    Ok(sums)
}

/// Sums of products of the centred cells of rows, weighed by the curvature of each row.
pub(super) struct Products {
    /// Vectors in a row.
    width: usize,
    /// With the 1 that stands for the intercept.
    of_one: Vec<Vector>,
    /// The sum of the curvatures, which is the product of that 1 with itself.
    of_ones: f64,
    /// For each feature those with the features of its own and the following vectors; before them nothing of use.
    of_features: Vec<Vector>,
    /// The cells of a tile times the curvatures.
    weighed: Vec<Vector>,
}

impl Products {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            of_one: vec![Vector::ZERO; width],
            of_ones: 0.0,
            of_features: vec![Vector::ZERO; LANES * width * width],
            weighed: vec![Vector::ZERO; CURVATURE_ROWS * width],
        }
    }

    /// Adds the rows of so many groups; those that are there only to fill the last group have a curvature of 0.
    #[inline(always)]
    pub(super) fn add(&mut self, centred: &[Vector], curvature: &[f64; CURVATURE_ROWS], groups: usize) {
        let width = self.width;
        let row = width.max(1);
        let rows = self.weighed.chunks_exact_mut(row).zip(centred.chunks_exact(row)).zip(curvature);
        for ((weighed, centred), curvature) in rows {
            for (weighed, cells) in weighed.iter_mut().zip(centred) {
                for lane in 0..LANES {
                    weighed.0[lane] = cells.0[lane] * curvature;
                }
            }
        }
        for [a, b, c, d] in curvature.as_chunks::<ROWS_TOGETHER>().0.iter().take(groups) {
            self.of_ones += (a + b) + (c + d);
        }
        for column in 0..width {
            let held = std::slice::from_mut(&mut self.of_one[column]);
            add_groups::<1>(
                held,
                1,
                centred,
                width,
                column,
                groups,
                #[inline(always)]
                |row| [curvature[row]],
            );
            for first in (0..LANES * (column + 1)).step_by(FEATURES_TOGETHER) {
                let held = &mut self.of_features[first * width + column..];
                let (vector, lane) = (first / LANES, first % LANES);
                add_groups::<FEATURES_TOGETHER>(
                    held,
                    width,
                    centred,
                    width,
                    column,
                    groups,
                    #[inline(always)]
                    |row| {
                        let weighed = &self.weighed[row * width + vector].0;
                        [weighed[lane], weighed[lane + 1]]
                    },
                );
            }
        }
    }

    /// Appends the upper triangle over the intercept and the features, row by row.
    pub(super) fn extend_upper(&self, sums: &mut Vec<f64>, feature_count: usize) {
        let flat =
            |vectors: &[Vector]| vectors.iter().flat_map(|vector| vector.0).take(feature_count).collect::<Vec<_>>();
        sums.push(self.of_ones);
        sums.extend(flat(&self.of_one));
        for (feature, products) in self.of_features.chunks_exact(self.width.max(1)).take(feature_count).enumerate() {
            sums.extend(&flat(products)[feature..]);
        }
    }
}

/// Adds to the vectors at the beginning and `stride` further on: of a few features the products with one column of vectors.
#[inline(always)]
fn add_groups<const FEATURES: usize>(
    sums: &mut [Vector],
    stride: usize,
    centred: &[Vector],
    width: usize,
    column: usize,
    groups: usize,
    factors: impl Fn(usize) -> [f64; FEATURES],
) {
    let mut held: [Vector; FEATURES] = [Vector::ZERO; FEATURES];
    for feature in 0..FEATURES {
        held[feature] = sums[feature * stride];
    }
    for group in 0..groups {
        let row = group * ROWS_TOGETHER;
        let cells = |next: usize| &centred[(row + next) * width + column].0;
        let [a, b, c, d] = [cells(0), cells(1), cells(2), cells(3)];
        let [fa, fb, fc, fd] = [factors(row), factors(row + 1), factors(row + 2), factors(row + 3)];
        for feature in 0..FEATURES {
            for lane in 0..LANES {
                let first = fa[feature] * a[lane] + fb[feature] * b[lane];
                let second = fc[feature] * c[lane] + fd[feature] * d[lane];
                held[feature].0[lane] += first + second;
            }
        }
    }
    for feature in 0..FEATURES {
        sums[feature * stride] = held[feature];
    }
}

/// The loops of [`objective_curvature`] as they would be written first, for tests to compare with.
#[cfg(test)]
fn naive_curvature(block: BlockView<'_>, loss: Loss, predictor: Predictor<'_>) -> Result<Vec<f64>, KernelError> {
    let mut sums = super::objective::naive_gradient(block, loss, predictor)?;
    let mut rows = Vec::new();
    for (index, (row, target)) in block.rows().enumerate() {
        let curvature = loss.at(predictor.margin(row), target, index)?.curvature;
        let z = std::iter::once(1.0).chain(row.iter().zip(predictor.mean).map(|(x, m)| x - m)).collect::<Vec<_>>();
        rows.push((curvature, z));
    }
    let variables = block.feature_count() + 1;
    rows.resize(rows.len().next_multiple_of(ROWS_TOGETHER), (0.0, vec![0.0; variables]));
    for i in 0..variables {
        for j in i..variables {
            let term = |(c, z): &(f64, Vec<f64>)| (z[i] * c) * z[j];
            let groups = rows.as_chunks::<ROWS_TOGETHER>().0.iter();
            sums.push(groups.fold(0.0, |sum, [a, b, c, d]| sum + ((term(a) + term(b)) + (term(c) + term(d)))));
        }
    }
    Ok(sums)
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
    fn tiles_give_the_bits_of_the_naive_loops_with_wide_and_narrow_instructions() {
        for (rows, features) in [(9, 3), (64, 8), (37, 17), (1, 1), (33, 30)] {
            let x = Array2::from_shape_fn((rows, features), |(i, j)| ((i * 31 + j * 17) % 101) as f64 / 8.0 - 6.0);
            let (stored, y) = (x.mapv(|value| value as f32), Array1::from_shape_fn(rows, |row| (row % 2) as f64));
            let weights: Vec<f64> = (0..features).map(|column| column as f64 / 13.0 - 0.7).collect();
            let predictor = Predictor { mean: &vec![0.3; features], weights: &weights, intercept: 0.1 };
            let block = BlockView::new(x.view(), y.view()).unwrap();
            let narrow = BlockView::new(stored.view(), y.view()).unwrap();
            for loss in [Loss::HalfSquared, Loss::Logistic, Loss::SquaredHinge] {
                let bits = |sums: Vec<f64>| sums.into_iter().map(f64::to_bits).collect::<Vec<_>>();
                let naive = bits(naive_curvature(block, loss, predictor).unwrap());
                let sums = [
                    objective_curvature(block, loss, predictor),
                    all_sums(block, loss, predictor),
                    objective_curvature(narrow, loss, predictor),
                ];
                sums.into_iter().for_each(|sums| assert_eq!(bits(sums.unwrap()), naive, "{loss:?} {rows} {features}"));
            }
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
