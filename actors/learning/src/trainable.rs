//! What a user writes to have a model of its own: [`Trainable`], and what it is given.
//!
//! Deliberately absent: how it is trained. Workers, blocks, solvers, steps of `[prepare]`, folds and model files know a
//! model of this kind by its name only, and call it for the rows of one block at a time.

use ndarray::{ArrayView1, ArrayView2};

pub use libm::{exp, log};

/// What the target of a model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A number: the model is judged by its errors.
    Number,
    /// One of two classes, 0 or 1: predictions are probabilities of class 1.
    Label,
}

/// A kind of model: its objective is the sum of a cost over all training rows, divided by their number, plus penalties.
///
/// Register it with `odeon::app().model::<M>("name")`, and name it in `[model] type`. It holds no state: all that is
/// learned is in the parameters. Columns come as `[prepare]` leaves them, standardised unless `prepare.scale` is `"none"`.
/// `l1` and `l2` are put on top of it.
///
/// A model has the same bits on every host only if these functions have: [`exp`] and [`log`] of this module are the same
/// everywhere, those of [`f64`] are not.
pub trait Trainable: 'static {
    /// What the target is.
    const TARGET: Target = Target::Number;

    /// Whether [`Self::curvature`] is there. With it, few parameters are found by Newton's method.
    const HAS_CURVATURE: bool = false;

    /// The names of the parameters, as many as there are, for columns of these names.
    ///
    /// Without this an intercept, and one for each column.
    #[must_use]
    fn parameters(columns: &[String]) -> Vec<String> {
        std::iter::once("(intercept)".to_owned()).chain(columns.iter().cloned()).collect()
    }

    /// Where the solver starts; zeros without this. `target_mean` is the mean of the training targets.
    #[must_use]
    fn start(parameter_count: usize, target_mean: f64) -> Vec<f64> {
        let _ = target_mean;
        vec![0.0; parameter_count]
    }

    /// Whether penalties are on a parameter; on all but the first without this.
    #[must_use]
    fn is_penalised(parameter: usize) -> bool {
        parameter > 0
    }

    /// Why a target cannot be learned from.
    ///
    /// # Errors
    /// A text for people that says what a target has to be.
    fn check_target(target: f64) -> Result<(), String> {
        let _ = target;
        Ok(())
    }

    /// The sum of the costs of these rows; adds its derivative by each parameter to `gradient`, of the same shape.
    ///
    /// A cost that is not finite makes the solver take a shorter step.
    fn objective(rows: LabelledRows<'_>, parameters: &[f64], gradient: &mut [f64]) -> f64;

    /// Adds the second derivatives of the sum of costs.
    fn curvature(rows: LabelledRows<'_>, parameters: &[f64], curvature: &mut SecondDerivatives<'_>) {
        let _ = (rows, parameters, curvature);
    }

    /// What is predicted of a row: a number, or the probability of class 1. Without this it is [`linear`].
    #[must_use]
    fn predict(row: &[f64], parameters: &[f64]) -> f64 {
        linear(row, parameters)
    }
}

/// `p_0 + p_1 x_1 + … + p_d x_d`: an intercept and a weight for each column.
#[must_use]
pub fn linear(row: &[f64], parameters: &[f64]) -> f64 {
    let [intercept, weights @ ..] = parameters else { return 0.0 };
    intercept + weights.iter().zip(row).map(|(weight, x)| weight * x).sum::<f64>()
}

/// Adds `slope · (1, x_1 … x_d)`: what a row adds to the gradient of a cost of [`linear`].
pub fn add_linear(slope: f64, row: &[f64], gradient: &mut [f64]) {
    let Some((intercept, weights)) = gradient.split_first_mut() else { return };
    *intercept += slope;
    weights.iter_mut().zip(row).for_each(|(weight, x)| *weight += slope * x);
}

/// Rows of one block with their targets.
#[derive(Debug, Clone, Copy)]
pub struct LabelledRows<'a> {
    /// Shape `[rows, columns]`, row-major.
    pub x: ArrayView2<'a, f64>,
    /// Shape `[rows]`.
    pub y: ArrayView1<'a, f64>,
}

impl<'a> LabelledRows<'a> {
    /// Each row and its target, in their order.
    ///
    /// # Panics
    /// If the rows do not lie in memory one after the other; those of a block do.
    pub fn iter(self) -> impl Iterator<Item = (&'a [f64], f64)> {
        let rows = self.x.into_outer_iter().map(|row| row.to_slice().expect("the rows of a block are contiguous"));
        rows.zip(self.y.into_iter().copied())
    }
}

/// A symmetric matrix to add to, by its upper triangle.
#[derive(Debug)]
pub struct SecondDerivatives<'a> {
    order: usize,
    /// Row by row, each from the diagonal on.
    upper: &'a mut [f64],
}

impl<'a> SecondDerivatives<'a> {
    pub(crate) fn new(order: usize, upper: &'a mut [f64]) -> Self {
        Self { order, upper }
    }

    /// Adds to the derivative by two parameters, named once and in any order.
    ///
    /// # Panics
    /// If there are no such parameters.
    pub fn add(&mut self, one: usize, other: usize, value: f64) {
        let (row, column) = (one.min(other), one.max(other));
        assert!(column < self.order, "there are {} parameters, and one is number {column}", self.order);
        self.upper[row * (2 * self.order - row + 1) / 2 + column - row] += value;
    }

    /// Adds `weight · z zᵀ` for `z = (1, x_1 … x_d)`: what a row adds for a cost of [`linear`].
    pub fn add_linear(&mut self, weight: f64, row: &[f64]) {
        let mut place = 0;
        for first in 0..self.order {
            let scaled = weight * if first == 0 { 1.0 } else { row[first - 1] };
            if first == 0 {
                self.upper[0] += scaled;
                place = 1;
            }
            for x in &row[first.saturating_sub(1)..] {
                self.upper[place] += scaled * x;
                place += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_added_to_every_pair_of_parameters() {
        let (row, mut fast, mut slow) = ([2.0, -3.0, 5.0], [0.5; 10], [0.5; 10]);
        SecondDerivatives::new(4, &mut fast).add_linear(7.0, &row);
        let with_one = [1.0, 2.0, -3.0, 5.0];
        let mut each = SecondDerivatives::new(4, &mut slow);
        for i in 0..4 {
            (i..4).for_each(|j| each.add(j, i, 7.0 * with_one[i] * with_one[j]));
        }
        assert_eq!(fast, slow);
    }

    #[test]
    fn a_linear_function_and_its_slopes_are_those_computed_by_hand() {
        assert_eq!(linear(&[2.0, 3.0], &[1.0, 10.0, 100.0]), 321.0);
        let mut gradient = [1.0; 3];
        add_linear(2.0, &[3.0, 4.0], &mut gradient);
        assert_eq!(gradient, [3.0, 7.0, 9.0]);
    }
}
