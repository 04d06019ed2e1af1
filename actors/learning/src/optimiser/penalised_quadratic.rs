//! The minimum of a parabola plus absolute values: the inner problem of a proximal Newton step.
//!
//! It works on sums alone, in the coordinator; rows are never read here.

use super::{penalty::soft_threshold, symmetric::Symmetric};

/// Sweeps between two attempts to solve for the variables that are not 0.
const SWEEPS_PER_ATTEMPT: u32 = 8;
/// Sweeps in all.
const SWEEPS_MAX: u32 = 20_000;
/// Relative excess of a slope over its penalty that is taken for rounding.
const SLOPE_NOISE: f64 = 1e-10;

/// `slope · s + s·curvature·s / 2 + Σ l1_j |from_j + s_j|` as a function of the step `s`.
#[derive(Debug, Clone, Copy)]
pub(super) struct PenalisedQuadratic<'a> {
    /// Positive semidefinite, of order `[variables]`.
    pub(super) curvature: &'a Symmetric,
    /// Slope at step 0, shape `[variables]`.
    pub(super) slope: &'a [f64],
    /// Where the step starts, shape `[variables]`.
    pub(super) from: &'a [f64],
    /// Penalty of each variable, 0 for none, shape `[variables]`.
    pub(super) l1: &'a [f64],
}

impl PenalisedQuadratic<'_> {
    /// The step to the minimum.
    ///
    /// Without penalties one linear system; with them coordinate descent finds which variables are 0
    /// and the signs of the others, and a linear system their values.
    ///
    /// # Source
    /// Friedman, Hastie, Tibshirani, *Regularization paths for generalized linear models via
    /// coordinate descent*, J. Stat. Software 33(1), 2010, eq. 9.
    #[must_use]
    pub(super) fn minimiser(&self) -> Vec<f64> {
        if self.l1.iter().all(|l1| *l1 == 0.0) {
            let downhill: Vec<f64> = self.slope.iter().map(|slope| -slope).collect();
            return self.curvature.cholesky().solve(&downhill);
        }
        let mut step = vec![0.0; self.from.len()];
        if let Some(solved) = self.with_signs_of(&step) {
            return solved;
        }
        let mut slope = self.slope.to_vec();
        for sweep in 1..=SWEEPS_MAX {
            let moved = self.sweep(&mut step, &mut slope);
            if sweep.is_multiple_of(SWEEPS_PER_ATTEMPT)
                && let Some(solved) = self.with_signs_of(&step)
            {
                return solved;
            }
            if !moved {
                break;
            }
        }
        step
    }

    /// Minimises along each variable in turn; `slope` is that of the parabola at `step`.
    fn sweep(&self, step: &mut [f64], slope: &mut [f64]) -> bool {
        let mut moved = false;
        for variable in 0..step.len() {
            let bend = self.curvature.at(variable, variable);
            if bend <= 0.0 {
                continue;
            }
            let here = self.from[variable] + step[variable];
            let there = soft_threshold(bend * here - slope[variable], self.l1[variable]) / bend;
            let change = there - here;
            if change.abs() <= f64::EPSILON * here.abs() {
                continue;
            }
            moved = true;
            step[variable] = there - self.from[variable];
            for (other, slope) in slope.iter_mut().enumerate() {
                *slope += change * self.curvature.at(variable, other);
            }
        }
        moved
    }

    /// The minimum if the variables that are 0 at `step`, and the signs of the others, are those of the minimum.
    fn with_signs_of(&self, step: &[f64]) -> Option<Vec<f64>> {
        let value = |variable: usize| self.from[variable] + step[variable];
        let (free, zero): (Vec<usize>, Vec<usize>) =
            (0..step.len()).partition(|variable| self.l1[*variable] == 0.0 || value(*variable) != 0.0);
        let mut solved: Vec<f64> = self.from.iter().map(|from| -from).collect();
        let right = |variable: &usize| {
            let push: f64 = zero.iter().map(|other| self.curvature.at(*variable, *other) * solved[*other]).sum();
            -(self.slope[*variable] + self.pull(*variable, value(*variable)) + push)
        };
        let right: Vec<f64> = free.iter().map(right).collect();
        let values = self.curvature.restricted(&free).cholesky().solve(&right);
        for (variable, step) in free.iter().zip(values) {
            solved[*variable] = step;
        }
        let keeps_sign = |j: &usize| self.l1[*j] == 0.0 || (self.from[*j] + solved[*j]) * value(*j) > 0.0;
        let stays_zero = |j: &usize| {
            let push: f64 = solved.iter().enumerate().map(|(other, s)| self.curvature.at(*j, other) * s).sum();
            (self.slope[*j] + push).abs() <= self.l1[*j] * (1.0 + SLOPE_NOISE)
        };
        (free.iter().all(keeps_sign) && zero.iter().all(stays_zero)).then_some(solved)
    }

    /// Slope of the penalty of a variable at a value other than 0.
    fn pull(&self, variable: usize, value: f64) -> f64 {
        if self.l1[variable] == 0.0 { 0.0 } else { self.l1[variable].copysign(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minimiser(curvature: Vec<f64>, slope: &[f64], from: &[f64], l1: &[f64]) -> Vec<f64> {
        let curvature = Symmetric::from_upper(from.len(), curvature);
        PenalisedQuadratic { curvature: &curvature, slope, from, l1 }.minimiser()
    }

    #[test]
    fn one_variable_is_shrunk_by_hand() {
        // 2 s² - 6 s + |s| has its minimum at 5/4; with a penalty of 7 it stays at 0.
        assert_eq!(minimiser(vec![4.0], &[-6.0], &[0.0], &[1.0]), [1.25]);
        assert_eq!(minimiser(vec![4.0], &[-6.0], &[0.0], &[7.0]), [0.0]);
    }

    #[test]
    fn a_variable_may_step_back_to_zero_and_another_is_free() {
        // Parabola around (0, 0): the first goes from 3 to 0 exactly, the second is not penalised.
        let step = minimiser(vec![1.0, 0.5, 1.0], &[2.0, 0.5], &[3.0, 1.0], &[2.0, 0.0]);
        assert_eq!(step[0], -3.0);
        assert!((step[1] - 1.0).abs() < 1e-15, "{step:?}");
    }

    #[test]
    fn no_small_move_from_the_minimum_gains_anything() {
        let curvature = vec![2.0, 0.9, -0.4, 0.3, 1.5, 0.6, 0.2, 1.1, -0.5, 0.8];
        let (slope, from, l1) = ([1.0, -2.0, 0.3, 0.9], [0.5, -0.25, 0.0, 2.0], [0.4, 0.0, 0.7, 1.3]);
        let matrix = Symmetric::from_upper(4, curvature);
        let problem = PenalisedQuadratic { curvature: &matrix, slope: &slope, from: &from, l1: &l1 };
        let value = |s: &[f64]| {
            let bend: f64 = (0..4)
                .flat_map(|i| (0..4).map(move |j| (i, j)))
                .map(|(i, j)| matrix.at(i, j) * s[i] * s[j] / 2.0)
                .sum();
            let rest: f64 = (0..4).map(|i| slope[i] * s[i] + l1[i] * (from[i] + s[i]).abs()).sum();
            bend + rest
        };
        let step = problem.minimiser();
        for variable in 0..4 {
            for by in [-1e-4, 1e-4] {
                let mut moved = step.clone();
                moved[variable] += by;
                assert!(value(&moved) > value(&step), "{variable} {by} {step:?}");
            }
        }
    }
}
