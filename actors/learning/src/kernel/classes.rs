//! Sums over rows of many classes, where each class has weights of its own.
//!
//! A target is the number of a class, from 0. Variables stand class by class, the intercept of a class before its weights.

use serde::{Deserialize, Serialize};

use super::exponential::exp_of_negative;
use super::{BlockView, Cell, KernelError, Loss, centred_dot, check_shape, vector::widest};

/// What a row costs, given its class and one margin for each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassLoss {
    /// `log Σ_k exp(m_k) - m_y`.
    Softmax,
    /// `Σ_k` of [`Loss::SquaredHinge`], where the row is of label 1 for its own class and 0 for all others.
    OneVsRestSquaredHinge,
}

/// One linear function of centred features for each class, in raw units.
#[derive(Debug, Clone, Copy)]
pub struct ClassPredictor<'a> {
    /// Subtracted from every row, shape `[features]`.
    pub mean: &'a [f64],
    /// Class by class, shape `[classes · features]`.
    pub weights: &'a [f64],
    /// Values at the mean row, shape `[classes]`.
    pub intercepts: &'a [f64],
}

/// The derivatives of one row's cost by its margins.
pub(super) struct ClassRow {
    pub(super) margins: Vec<f64>,
    pub(super) slopes: Vec<f64>,
    /// Probabilities that the softmax gives, and what each leaves to the others.
    shares: Vec<(f64, f64)>,
    /// Second derivatives, shape `[classes · classes]`.
    curvature: Vec<f64>,
}

/// Number of sums of [`class_curvature`].
#[must_use]
pub fn class_curvature_sums(feature_count: usize, class_count: usize) -> usize {
    let variables = class_count * (feature_count + 1);
    1 + variables + variables * (variables + 1) / 2
}

/// Number of sums of [`class_outcomes`].
#[must_use]
pub fn class_outcome_sums(class_count: usize) -> usize {
    1 + class_count * class_count
}

/// `[Σ loss]`, then for each class `[Σ r, Σ r·(x_1 - mean_1) … Σ r·(x_d - mean_d)]`; no penalty, no division by rows.
///
/// `r` is the derivative of a row's loss by the margin of the class: `P(class) - 1` or `P(class)` for
/// [`ClassLoss::Softmax`].
///
/// # Errors
/// [`KernelError::ShapeMismatch`] if the predictor does not fit; [`KernelError::Class`] if a target is no class.
///
/// # Source
/// Bishop, *Pattern Recognition and Machine Learning*, eq. 4.108 and 4.109.
pub fn class_gradient<T: Cell>(
    block: BlockView<'_, T>,
    loss: ClassLoss,
    predictor: ClassPredictor<'_>,
) -> Result<Vec<f64>, KernelError> {
    predictor.check(&block)?;
    widest(
        #[inline(always)]
        || gradient_sums(block, loss, predictor),
    )
}

/// The sums of [`class_gradient`], then the upper triangle of the second derivatives by all variables, row by row.
///
/// # Errors
/// As [`class_gradient`].
///
/// # Source
/// Bishop, *Pattern Recognition and Machine Learning*, eq. 4.110.
pub fn class_curvature<T: Cell>(
    block: BlockView<'_, T>,
    loss: ClassLoss,
    predictor: ClassPredictor<'_>,
) -> Result<Vec<f64>, KernelError> {
    predictor.check(&block)?;
    widest(
        #[inline(always)]
        || curvature_sums(block, loss, predictor),
    )
}

/// Rows of each class.
///
/// # Errors
/// [`KernelError::Class`] if a target is no class.
pub fn class_counts(block: BlockView<'_>, class_count: usize) -> Result<Vec<f64>, KernelError> {
    class_counts_of(block.y, class_count)
}

/// As [`class_counts`], of targets alone.
///
/// # Errors
/// [`KernelError::Class`] if a target is no class.
pub fn class_counts_of<'y>(
    targets: impl IntoIterator<Item = &'y f64>,
    class_count: usize,
) -> Result<Vec<f64>, KernelError> {
    let mut counts = vec![0.0; class_count];
    for (index, target) in targets.into_iter().enumerate() {
        counts[class_number(*target, class_count, index)?] += 1.0;
    }
    Ok(counts)
}

/// `[Σ log loss]`, then rows by class and predicted class, the class of the largest margin; the first of equal ones.
///
/// # Errors
/// As [`class_gradient`].
pub fn class_outcomes(block: BlockView<'_>, predictor: ClassPredictor<'_>) -> Result<Vec<f64>, KernelError> {
    predictor.check(&block)?;
    let class_count = predictor.intercepts.len();
    let (mut sums, mut terms) = (vec![0.0; class_outcome_sums(class_count)], ClassRow::new(class_count));
    for (index, (row, target)) in block.rows().enumerate() {
        let class = class_number(target, class_count, index)?;
        terms.read(row, predictor);
        sums[0] += terms.softmax(class);
        sums[1 + class * class_count + largest(&terms.margins)] += 1.0;
    }
    Ok(sums)
}

/// The position of the largest value, the first of equal ones.
#[must_use]
pub fn largest(values: &[f64]) -> usize {
    (0..values.len()).fold(0, |best, next| if values[next] > values[best] { next } else { best })
}

/// The probabilities that the softmax of `margins` gives, in their place.
pub fn softmax(margins: &mut [f64]) {
    let mut row = ClassRow::new(margins.len());
    row.margins.copy_from_slice(margins);
    row.share();
    margins.iter_mut().zip(&row.shares).for_each(|(margin, (share, _))| *margin = *share);
}

impl ClassLoss {
    /// The loss of one class against all others that this one resembles at the start.
    #[must_use]
    pub fn of_one_class(self) -> Loss {
        match self {
            Self::Softmax => Loss::Logistic,
            Self::OneVsRestSquaredHinge => Loss::SquaredHinge,
        }
    }
}

impl ClassPredictor<'_> {
    fn check<T: Cell>(&self, block: &BlockView<'_, T>) -> Result<(), KernelError> {
        check_shape("features", block.feature_count(), self.mean.len())?;
        check_shape("weights of all classes", block.feature_count() * self.intercepts.len(), self.weights.len())
    }
}

impl ClassRow {
    pub(super) fn new(class_count: usize) -> Self {
        let zeros = || vec![0.0; class_count];
        Self {
            margins: zeros(),
            slopes: zeros(),
            shares: vec![(0.0, 0.0); class_count],
            curvature: vec![0.0; class_count * class_count],
        }
    }

    #[inline(always)]
    fn read<T: Cell>(&mut self, row: &[T], predictor: ClassPredictor<'_>) {
        for (class, (margin, intercept)) in self.margins.iter_mut().zip(predictor.intercepts).enumerate() {
            let weights = &predictor.weights[class * row.len()..(class + 1) * row.len()];
            *margin = intercept + centred_dot(row, predictor.mean, weights);
        }
    }

    /// Fills the slopes for a row of `class`, and returns its cost.
    #[inline(always)]
    pub(super) fn differentiate(&mut self, loss: ClassLoss, class: usize, row: usize) -> Result<f64, KernelError> {
        match loss {
            ClassLoss::Softmax => Ok(self.softmax(class)),
            ClassLoss::OneVsRestSquaredHinge => self.squared_hinge(class, row),
        }
    }

    pub(super) fn softmax(&mut self, class: usize) -> f64 {
        let (top, others) = self.share();
        for (k, (slope, (share, rest))) in self.slopes.iter_mut().zip(&self.shares).enumerate() {
            *slope = if k == class { -rest } else { *share };
        }
        (self.margins[top] - self.margins[class]) + libm::log1p(others)
    }

    /// Fills the shares; the class of the largest margin, and what all others weigh beside it.
    ///
    /// What a class leaves to the others is added up from them, so it keeps its digits when the class is nearly certain.
    fn share(&mut self) -> (usize, f64) {
        let top = largest(&self.margins);
        let most = self.margins[top];
        self.shares.iter_mut().zip(&self.margins).for_each(|(share, margin)| share.0 = exp_of_negative(margin - most));
        let others: f64 = (0..self.shares.len()).filter(|k| *k != top).map(|k| self.shares[k].0).sum();
        let whole = 1.0 + others;
        for (k, share) in self.shares.iter_mut().enumerate() {
            let rest = if k == top { others } else { whole - share.0 };
            *share = (share.0 / whole, rest / whole);
        }
        (top, others)
    }

    fn squared_hinge(&mut self, class: usize, row: usize) -> Result<f64, KernelError> {
        let (mut cost, class_count) = (0.0, self.margins.len());
        for k in 0..class_count {
            let label = if k == class { 1.0 } else { 0.0 };
            let of_class = Loss::SquaredHinge.at(self.margins[k], label, row)?;
            cost += of_class.cost;
            self.slopes[k] = of_class.slope;
            self.curvature[k * class_count + k] = of_class.curvature;
        }
        Ok(cost)
    }

    /// Fills the second derivatives; to be called behind [`Self::differentiate`], which does so for all but the softmax.
    #[inline(always)]
    fn bend(&mut self, loss: ClassLoss) {
        if loss == ClassLoss::Softmax {
            let class_count = self.margins.len();
            for k in 0..class_count {
                let (share, rest) = self.shares[k];
                for l in 0..class_count {
                    self.curvature[k * class_count + l] = if k == l { share * rest } else { -share * self.shares[l].0 };
                }
            }
        }
    }
}

#[inline(always)]
fn gradient_sums<T: Cell>(
    block: BlockView<'_, T>,
    loss: ClassLoss,
    predictor: ClassPredictor<'_>,
) -> Result<Vec<f64>, KernelError> {
    let (class_count, variables) = (predictor.intercepts.len(), block.feature_count() + 1);
    let (mut sums, mut terms) = (vec![0.0; 1 + class_count * variables], ClassRow::new(class_count));
    for (index, (row, target)) in block.rows().enumerate() {
        let class = class_number(target, class_count, index)?;
        terms.read(row, predictor);
        sums[0] += terms.differentiate(loss, class, index)?;
        for (of_class, slope) in sums[1..].chunks_exact_mut(variables).zip(&terms.slopes) {
            of_class[0] += slope;
            for ((sum, x), m) in of_class[1..].iter_mut().zip(row).zip(predictor.mean) {
                *sum += slope * (x.wide() - m);
            }
        }
    }
    Ok(sums)
}

#[inline(always)]
fn curvature_sums<T: Cell>(
    block: BlockView<'_, T>,
    loss: ClassLoss,
    predictor: ClassPredictor<'_>,
) -> Result<Vec<f64>, KernelError> {
    let (class_count, variables) = (predictor.intercepts.len(), block.feature_count() + 1);
    let mut sums = vec![0.0; class_curvature_sums(block.feature_count(), class_count)];
    let (gradient, upper) = sums.split_at_mut(1 + class_count * variables);
    let (mut terms, mut z) = (ClassRow::new(class_count), vec![1.0; variables]);
    for (index, (row, target)) in block.rows().enumerate() {
        let class = class_number(target, class_count, index)?;
        terms.read(row, predictor);
        gradient[0] += terms.differentiate(loss, class, index)?;
        terms.bend(loss);
        z[1..].iter_mut().zip(row).zip(predictor.mean).for_each(|((z, x), m)| *z = x.wide() - m);
        for (of_class, slope) in gradient[1..].chunks_exact_mut(variables).zip(&terms.slopes) {
            of_class.iter_mut().zip(&z).for_each(|(sum, z)| *sum += slope * z);
        }
        add_products(upper, &terms.curvature, &z);
    }
    Ok(sums)
}

/// Adds the upper triangle of the products of `z` with itself, each block of two classes times its second derivative.
#[inline(always)]
fn add_products(upper: &mut [f64], curvature: &[f64], z: &[f64]) {
    let class_count = curvature.len().isqrt();
    let mut start = 0;
    for k in 0..class_count {
        for (variable, z_of_row) in z.iter().enumerate() {
            for l in k..class_count {
                let columns = if l == k { &z[variable..] } else { z };
                let factor = curvature[k * class_count + l] * z_of_row;
                let end = start + columns.len();
                upper[start..end].iter_mut().zip(columns).for_each(|(sum, z)| *sum += factor * z);
                start = end;
            }
        }
    }
}

pub(crate) fn class_number(target: f64, class_count: usize, row: usize) -> Result<usize, KernelError> {
    let is_class = target >= 0.0 && target < class_count as f64 && target.fract() == 0.0;
    if is_class { Ok(target as usize) } else { Err(KernelError::Class { value: target, row, class_count }) }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, array};

    use super::*;

    const LOSSES: [ClassLoss; 2] = [ClassLoss::Softmax, ClassLoss::OneVsRestSquaredHinge];
    const MEAN: [f64; 2] = [0.1, -0.3];

    fn data() -> (Array2<f64>, Array1<f64>) {
        let value = |seed: usize| f64::from((seed * 7919 % 1009) as u32) / 250.0 - 2.0;
        (
            Array2::from_shape_fn((11, 2), |(row, column)| value(2 * row + column + 1)),
            Array1::from_shape_fn(11, |row| (row % 3) as f64),
        )
    }

    /// Runs a kernel at a point whose variables stand class by class.
    fn at<R>(point: &[f64], kernel: impl Fn(BlockView<'_>, ClassPredictor<'_>) -> R) -> R {
        let (x, y) = data();
        let weights: Vec<f64> = point.chunks(3).flat_map(|class| class[1..].to_vec()).collect();
        let intercepts: Vec<f64> = point.chunks(3).map(|class| class[0]).collect();
        let predictor = ClassPredictor { mean: &MEAN, weights: &weights, intercepts: &intercepts };
        kernel(BlockView::new(x.view(), y.view()).unwrap(), predictor)
    }

    const POINT: [f64; 9] = [0.3, -0.7, 1.1, 0.2, 0.4, -0.5, -0.6, 0.9, 0.05];

    fn moved(variable: usize, by: f64) -> [f64; 9] {
        let mut point = POINT;
        point[variable] += by;
        point
    }

    #[test]
    fn gradient_and_curvature_are_those_of_finite_differences() {
        for loss in LOSSES {
            let gradient = |point: [f64; 9]| at(&point, |block, it| class_gradient(block, loss, it).unwrap());
            let here = gradient(POINT);
            let full = at(&POINT, |block, it| class_curvature(block, loss, it).unwrap());
            assert_eq!(full[..10], here, "{loss:?}");
            let mut triangle = full[10..].iter();
            for i in 0..9 {
                let (up, down) = (gradient(moved(i, 1e-6)), gradient(moved(i, -1e-6)));
                assert!(((up[0] - down[0]) / 2e-6 - here[1 + i]).abs() < 1e-7, "{loss:?} {i}");
                for j in i..9 {
                    let expected = (up[1 + j] - down[1 + j]) / 2e-6;
                    assert!((triangle.next().unwrap() - expected).abs() < 1e-6, "{loss:?} {i} {j}");
                }
            }
            assert!(triangle.next().is_none());
        }
    }

    #[test]
    fn wide_and_narrow_instructions_give_the_same_bits() {
        let bits = |sums: Vec<f64>| sums.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        for loss in LOSSES {
            let pairs = at(&POINT, |block, it| {
                [
                    (class_gradient(block, loss, it).unwrap(), gradient_sums(block, loss, it).unwrap()),
                    (class_curvature(block, loss, it).unwrap(), curvature_sums(block, loss, it).unwrap()),
                ]
            });
            pairs.into_iter().for_each(|(wide, narrow)| assert_eq!(bits(wide), bits(narrow), "{loss:?}"));
        }
    }

    #[test]
    fn a_nearly_certain_class_keeps_its_digits() {
        let mut row = ClassRow::new(3);
        row.margins = vec![50.0, 0.0, 0.0];
        let (cost, tail) = (row.softmax(0), 2.0 * (-50.0_f64).exp());
        assert!((cost / tail - 1.0).abs() < 1e-14 && (row.slopes[0] / -tail - 1.0).abs() < 1e-14);
        row.margins = vec![-800.0, 0.0, -800.0];
        assert_eq!((row.softmax(0), row.slopes.clone()), (800.0, vec![-1.0, 1.0, 0.0]));
        let mut margins = [3.0, 3.0];
        softmax(&mut margins);
        assert_eq!(margins, [0.5, 0.5]);
    }

    #[test]
    fn rows_are_counted_by_class_and_by_the_first_largest_margin() {
        let (x, y) = (array![[1.0], [-1.0], [0.0]], array![1.0, 1.0, 0.0]);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let predictor = ClassPredictor { mean: &[0.0], weights: &[0.0, 1.0], intercepts: &[0.0, 0.0] };
        let sums = class_outcomes(block, predictor).unwrap();
        assert_eq!(sums[1..], [1.0, 0.0, 1.0, 1.0]);
        let expected = (-1.0_f64).exp().ln_1p() + 1.0_f64.exp().ln_1p() + std::f64::consts::LN_2;
        assert!((sums[0] - expected).abs() < 1e-14);
        assert_eq!(class_counts(block, 3).unwrap(), [1.0, 2.0, 0.0]);
    }

    #[test]
    fn a_wrong_shape_and_what_is_no_class_are_refused() {
        let (x, y) = (array![[1.0], [2.0]], array![1.0, 2.0]);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let predictor = ClassPredictor { mean: &[0.0], weights: &[0.0, 1.0], intercepts: &[0.0, 0.0] };
        let no_class = KernelError::Class { value: 2.0, row: 1, class_count: 2 };
        for loss in LOSSES {
            assert_eq!(class_gradient(block, loss, predictor), Err(no_class.clone()));
            assert_eq!(class_curvature(block, loss, predictor), Err(no_class.clone()));
        }
        assert_eq!(class_counts(block, 2), Err(no_class));
        let half = ClassPredictor { weights: &[0.0], ..predictor };
        let shape = KernelError::ShapeMismatch { what: "weights of all classes", expected: 2, actual: 1 };
        assert_eq!(class_outcomes(block, half), Err(shape));
    }
}
