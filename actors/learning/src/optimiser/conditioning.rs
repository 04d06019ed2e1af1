//! The change of variables under which the solver works, and the way back.
//!
//! The objective is that of the user's columns: mean loss + `l2/2 · |w|²` + `l1 · Σ|w|`, intercept free
//! unless it is asked to be penalised like a weight. The
//! solver sees it through centred columns and through variables whose curvature is near 1 at the
//! start, which changes the number of rounds and not the optimum.

use serde::{Deserialize, Serialize};

use crate::{kernel::Loss, scaling::ColumnScaling};

/// Variables `t` with raw weights `w_j = unit_j · t_j` over centred columns; `t_0` is the intercept's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conditioning {
    /// Means and deviations of the training columns.
    pub scaling: ColumnScaling,
    /// Penalty on each raw weight: the `p` of `Σ p_j w_j² / 2`.
    penalty: Vec<f64>,
    /// What the user calls a weight of 1, as a raw weight's part.
    user_unit: Vec<f64>,
    unit: Vec<f64>,
    intercept_unit: f64,
    /// The penalty on the intercept the user sees, if there is one.
    intercept_penalty: Option<InterceptPenalty>,
    start_intercept: f64,
    /// What a component of the gradient can be at most at the start.
    gradient_unit: f64,
    /// What rounding of the target alone leaves in a gradient.
    gradient_resolution: f64,
    row_count: f64,
}

/// `amount/2 · (along · t)²`, where `along · t` is the intercept the user sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct InterceptPenalty {
    amount: f64,
    along: Vec<f64>,
}

/// What is known of the target before the first round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TargetMoments {
    /// Mean of the training targets.
    pub mean: f64,
    /// Population variance of the training targets.
    pub variance: f64,
}

impl Conditioning {
    /// The variables for this loss and penalty over `row_count` rows.
    ///
    /// With `standardised`, the penalty is on the weights of standardised columns: raw weight `w_j`
    /// costs `l2 · scale_j² · w_j² / 2`; without, `l2 · w_j² / 2`.
    #[must_use]
    pub fn new(
        scaling: ColumnScaling,
        target: TargetMoments,
        loss: Loss,
        l2: f64,
        standardised: bool,
        row_count: usize,
    ) -> Self {
        let (curvature, start_intercept) = match loss {
            Loss::HalfSquared => (1.0, target.mean),
            Loss::Logistic => {
                let margin = 0.5 / row_count as f64;
                let positive = target.mean.clamp(margin, 1.0 - margin);
                (positive * (1.0 - positive), libm::log(positive / (1.0 - positive)))
            }
            Loss::SquaredHinge => (2.0, 2.0 * target.mean - 1.0),
        };
        let user_unit: Vec<f64> = scaling.scale.iter().map(|scale| if standardised { *scale } else { 1.0 }).collect();
        let penalty: Vec<f64> = user_unit.iter().map(|unit| l2 * unit * unit).collect();
        let unit = scaling.scale.iter().zip(&penalty).map(|(s, p)| 1.0 / (curvature * s * s + p).sqrt()).collect();
        Self {
            scaling,
            penalty,
            user_unit,
            unit,
            intercept_unit: 1.0 / curvature.sqrt(),
            intercept_penalty: None,
            start_intercept,
            gradient_unit: target.variance.sqrt() / curvature.sqrt(),
            gradient_resolution: f64::EPSILON * target.mean.abs() / curvature.sqrt(),
            row_count: row_count as f64,
        }
    }

    /// The same, with `l2/2 · b²` in the objective: `b` is the prediction where all columns that the
    /// user sees are 0, that is, at the mean row of `standardised` columns.
    #[must_use]
    pub fn with_penalised_intercept(mut self, l2: f64, standardised: bool) -> Self {
        let shift = |(mean, unit): (&f64, &f64)| if standardised { 0.0 } else { -mean * unit };
        let weights = self.scaling.mean.iter().zip(&self.unit).map(shift);
        let along = std::iter::once(self.intercept_unit).chain(weights).collect();
        self.intercept_penalty = Some(InterceptPenalty { amount: l2, along });
        self
    }

    /// Where the solver starts: zero weights, and the best intercept for them.
    #[must_use]
    pub fn start(&self) -> Vec<f64> {
        let mut point = vec![0.0; self.unit.len() + 1];
        point[0] = self.start_intercept / self.intercept_unit;
        point
    }

    /// The penalty `l1 · |w|` on the weights the user sees, by `t`: shape of the point, 0 for the intercept.
    #[must_use]
    pub fn absolute_penalty(&self, l1: f64) -> Vec<f64> {
        let weights = self.user_unit.iter().zip(&self.unit).map(|(user, unit)| l1 * user * unit);
        std::iter::once(0.0).chain(weights).collect()
    }

    /// The bound on gradient components that a relative `tolerance` stands for.
    ///
    /// Its unit is the largest component possible at the start, the deviation of the target over
    /// the root of the curvature; it is never below what rounding of the target leaves.
    #[must_use]
    pub fn gradient_norm_max(&self, tolerance: f64) -> f64 {
        (tolerance * self.gradient_unit).max(self.gradient_resolution)
    }

    /// The intercept at the mean row, and the raw weights.
    #[must_use]
    pub fn parameters(&self, point: &[f64]) -> (f64, Vec<f64>) {
        let weights = point[1..].iter().zip(&self.unit).map(|(t, unit)| t * unit).collect();
        (point[0] * self.intercept_unit, weights)
    }

    /// Value and gradient by `t` at `point`, from the reduced sums of [`crate::kernel::objective_gradient`].
    #[must_use]
    pub fn objective(&self, point: &[f64], sums: &[f64]) -> (f64, Vec<f64>) {
        let (_, weights) = self.parameters(point);
        let penalties = weights.iter().zip(&self.penalty).map(|(w, p)| p * w * w / 2.0);
        let mut value = sums[0] / self.row_count + penalties.sum::<f64>();
        let mut gradient = vec![self.intercept_unit * (sums[1] / self.row_count)];
        for (((sum, w), p), unit) in sums[2..].iter().zip(&weights).zip(&self.penalty).zip(&self.unit) {
            gradient.push(unit * (sum / self.row_count + p * w));
        }
        if let Some(InterceptPenalty { amount, along }) = &self.intercept_penalty {
            let intercept: f64 = along.iter().zip(point).map(|(a, t)| a * t).sum();
            value += amount * intercept * intercept / 2.0;
            gradient.iter_mut().zip(along).for_each(|(component, a)| *component += amount * intercept * a);
        }
        (value, gradient)
    }

    /// Intercept and weights.
    pub(super) fn variable_count(&self) -> usize {
        self.unit.len() + 1
    }

    /// The second derivative by two variables, from its reduced sum; see [`crate::kernel::objective_curvature`].
    pub(super) fn curvature_at(&self, row: usize, column: usize, sum: f64) -> f64 {
        let penalty = if row == column && row > 0 { self.penalty[row - 1] } else { 0.0 };
        let of_intercept =
            self.intercept_penalty.as_ref().map_or(0.0, |it| it.amount * it.along[row] * it.along[column]);
        self.unit_of(row) * self.unit_of(column) * (sum / self.row_count + penalty) + of_intercept
    }

    /// The same by a variable of this output and one of another, which no penalty joins.
    pub(super) fn mixed_curvature_at(&self, row: usize, other: &Self, column: usize, sum: f64) -> f64 {
        self.unit_of(row) * other.unit_of(column) * (sum / self.row_count)
    }

    fn unit_of(&self, variable: usize) -> f64 {
        if variable == 0 { self.intercept_unit } else { self.unit[variable - 1] }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, array};

    use super::*;
    use crate::kernel::{BlockView, Predictor, objective_curvature, objective_gradient};
    use crate::optimiser::outputs::Outputs;

    fn data() -> (Array2<f64>, Array1<f64>) {
        (array![[1.0, 200.0], [2.0, -100.0], [4.0, 50.0], [1.0, 10.0]], array![1.0, 0.0, 1.0, 1.0])
    }

    fn conditioning(loss: Loss, standardised: bool) -> Conditioning {
        let scaling = ColumnScaling { mean: vec![2.0, 40.0], scale: vec![1.5_f64.sqrt(), 107.0] };
        let target = TargetMoments { mean: 0.75, variance: 0.1875 };
        Conditioning::new(scaling, target, loss, 0.3, standardised, 4)
    }

    fn objective(conditioning: &Conditioning, loss: Loss, point: &[f64]) -> (f64, Vec<f64>) {
        let (x, y) = data();
        let (intercept, weights) = conditioning.parameters(point);
        let predictor = Predictor { mean: &conditioning.scaling.mean, weights: &weights, intercept };
        let block = BlockView::new(x.view(), y.view()).unwrap();
        conditioning.objective(point, &objective_gradient(block, loss, predictor).unwrap())
    }

    #[test]
    fn the_gradient_is_that_of_a_finite_difference() {
        let cases =
            [(Loss::HalfSquared, true), (Loss::Logistic, true), (Loss::Logistic, false), (Loss::SquaredHinge, true)];
        for (loss, standardised) in cases {
            let conditioning = conditioning(loss, standardised);
            let at = [0.4, -0.8, 1.3];
            let gradient = objective(&conditioning, loss, &at).1;
            for (variable, component) in gradient.iter().enumerate() {
                let moved = |by: f64| {
                    let mut point = at;
                    point[variable] += by;
                    objective(&conditioning, loss, &point).0
                };
                assert!(((moved(1e-6) - moved(-1e-6)) / 2e-6 - component).abs() < 1e-8, "{loss:?} {variable}");
            }
        }
    }

    #[test]
    fn the_curvature_is_the_finite_difference_of_the_gradient() {
        let cases = [
            (Loss::HalfSquared, true),
            (Loss::Logistic, false),
            (Loss::SquaredHinge, true),
            (Loss::SquaredHinge, false),
        ];
        for (loss, standardised) in cases {
            let conditioning = conditioning(loss, standardised).with_penalised_intercept(0.7, standardised);
            let at = [0.4, -0.8, 1.3];
            let (x, y) = data();
            let (intercept, weights) = conditioning.parameters(&at);
            let predictor = Predictor { mean: &conditioning.scaling.mean, weights: &weights, intercept };
            let block = BlockView::new(x.view(), y.view()).unwrap();
            let curvature = Outputs::new(vec![conditioning.clone()])
                .curvature(&objective_curvature(block, loss, predictor).unwrap()[4..]);
            for (i, j) in [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2)] {
                let moved = |by: f64| {
                    let mut point = at;
                    point[i] += by;
                    objective(&conditioning, loss, &point).1[j]
                };
                let expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                assert!((curvature.at(i, j) - expected).abs() < 1e-8, "{loss:?} {i} {j}");
            }
        }
    }

    #[test]
    fn the_intercept_that_is_penalised_is_the_one_the_user_sees() {
        for standardised in [true, false] {
            let free = conditioning(Loss::SquaredHinge, standardised);
            let penalised = free.clone().with_penalised_intercept(0.7, standardised);
            let point = [0.4, -0.8, 1.3];
            let (at_mean, weights) = free.parameters(&point);
            let shift: f64 = weights.iter().zip(&free.scaling.mean).map(|(w, mean)| w * mean).sum();
            let intercept = if standardised { at_mean } else { at_mean - shift };
            let [with, without] = [&penalised, &free].map(|it| objective(it, Loss::SquaredHinge, &point).0);
            assert!((with - without - 0.35 * intercept * intercept).abs() < 1e-12, "{standardised}");
        }
    }

    #[test]
    fn the_absolute_penalty_is_that_of_the_weights_the_user_sees() {
        for standardised in [true, false] {
            let conditioning = conditioning(Loss::Logistic, standardised);
            let point = [0.4, -0.8, 1.3];
            let (_, raw) = conditioning.parameters(&point);
            let user = raw.iter().zip(&conditioning.scaling.scale).map(|(w, s)| if standardised { w * s } else { *w });
            let expected = 0.7 * user.map(f64::abs).sum::<f64>();
            let penalty = conditioning.absolute_penalty(0.7);
            let actual: f64 = penalty.iter().zip(point).map(|(p, t)| p * f64::abs(t)).sum();
            assert!((actual - expected).abs() < 1e-13 && penalty[0] == 0.0, "{standardised}");
        }
    }

    #[test]
    fn the_penalty_is_on_the_weights_the_user_sees() {
        let penalty = |standardised| conditioning(Loss::HalfSquared, standardised).penalty;
        assert_eq!(penalty(false), [0.3, 0.3]);
        assert_eq!(penalty(true), [0.3 * 1.5_f64.sqrt() * 1.5_f64.sqrt(), 0.3 * 107.0 * 107.0]);
    }

    #[test]
    fn the_start_is_the_best_constant_prediction() {
        for loss in [Loss::HalfSquared, Loss::Logistic, Loss::SquaredHinge] {
            let conditioning = conditioning(loss, true);
            let (_, gradient) = objective(&conditioning, loss, &conditioning.start());
            assert!(gradient[0].abs() < 1e-15, "{loss:?} {gradient:?}");
        }
    }
}
