//! Sequential minimal optimisation: the dual problem of a kernel machine, two multipliers at a time.
//!
//! It knows neither classes nor numbers to predict, only signs, bounds and rows.

use super::KernelFunction;

/// Bytes of kernel values that are kept at most; what was used longest ago is made anew.
const CACHE_BYTES_MAX: usize = 64 << 20;
/// Curvature that is taken for a pair of equal rows.
const CURVATURE_MIN: f64 = 1e-12;
/// Steps, for each multiplier, without a smaller violation after which rounding is held to be the reason.
const STALLED_STEPS: u64 = 200;
/// Least number of such steps.
const STALLED_STEPS_MIN: u64 = 20_000;

/// `αᵀQα/2 + linear·α` with `Q_ij = sign_i sign_j K(i, j)`, to be minimal where `Σ sign_i α_i = 0` and `0 ≤ α_i ≤ bound`.
#[derive(Debug)]
pub(super) struct Dual<'a> {
    /// Rows of multipliers; the row of multiplier `i` is number `i` modulo their number.
    pub(super) rows: &'a [&'a [f64]],
    /// One for each multiplier: 1 or -1.
    pub(super) signs: Vec<f64>,
    /// One for each multiplier.
    pub(super) linear: Vec<f64>,
    /// The largest value of each.
    pub(super) bound: f64,
    pub(super) kernel: KernelFunction,
    /// Whether kernel values of two multipliers are rounded to 32 bits.
    pub(super) rounds: bool,
}

/// Where it ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Minimum {
    pub(super) alpha: Vec<f64>,
    /// What the gradient of a free multiplier is, times its sign: minus the intercept.
    pub(super) offset: f64,
    pub(super) steps: u64,
    /// The most by which a pair breaks the conditions of the optimum.
    pub(super) violation: f64,
}

/// Rows of kernel values, those used last.
struct Cache<'a> {
    problem: &'a Dual<'a>,
    held: Vec<Option<(u64, Vec<f64>)>>,
    count: usize,
    count_max: usize,
    clock: u64,
}

impl<'a> Cache<'a> {
    fn new(problem: &'a Dual<'a>) -> Self {
        let rows = problem.rows.len();
        let count_max = (CACHE_BYTES_MAX / (8 * rows.max(1))).max(2);
        Self { problem, held: vec![None; rows], count: 0, count_max, clock: 0 }
    }

    /// Takes care that the kernel values of a row with all rows are there.
    fn hold(&mut self, row: usize) {
        self.clock += 1;
        if let Some((used, _)) = &mut self.held[row] {
            *used = self.clock;
            return;
        }
        if self.count == self.count_max {
            let used = |held: &Option<(u64, Vec<f64>)>| held.as_ref().map_or(u64::MAX, |(used, _)| *used);
            let oldest = (0..self.held.len()).min_by_key(|row| used(&self.held[*row])).expect("the cache is full");
            self.held[oldest] = None;
            self.count -= 1;
        }
        let Dual { rows, kernel, rounds, .. } = self.problem;
        let value = |other: &&[f64]| match kernel.value(rows[row], other) {
            value if *rounds => f64::from(value as f32),
            value => value,
        };
        self.held[row] = Some((self.clock, rows.iter().map(value).collect()));
        self.count += 1;
    }

    fn values(&self, row: usize) -> &[f64] {
        &self.held[row].as_ref().expect("the row was held").1
    }
}

impl Dual<'_> {
    /// Solves it until no pair breaks the conditions by more than `tolerance`.
    ///
    /// # Source
    /// Fan, Chen, Lin, *Working set selection using second order information for training support vector machines*,
    /// JMLR 6, 2005, algorithm 2; Chang, Lin, *LIBSVM: a library for support vector machines*, ACM TIST 2(3), 2011,
    /// sections 4.1.1 to 4.1.5.
    pub(super) fn minimum(&self, tolerance: f64, steps_max: u64) -> Minimum {
        let (count, rows) = (self.signs.len(), self.rows.len());
        let diagonal: Vec<f64> = self.rows.iter().map(|row| self.kernel.value(row, row)).collect();
        let mut cache = Cache::new(self);
        let (mut alpha, mut gradient) = (vec![0.0; count], self.linear.clone());
        let patience = (STALLED_STEPS * count as u64).max(STALLED_STEPS_MIN);
        let (mut steps, mut violation, mut least, mut least_at) = (0, f64::INFINITY, f64::INFINITY, 0);
        while steps < steps_max && steps - least_at < patience {
            let Some(first) = self.first(&alpha, &gradient) else { break };
            cache.hold(first % rows);
            let selected = self.second(first, &alpha, &gradient, cache.values(first % rows), &diagonal);
            violation = selected.violation;
            if violation < least {
                (least, least_at) = (violation, steps);
            }
            let Some(second) = selected.partner.filter(|_| violation > tolerance) else { break };
            cache.hold(second % rows);
            // Holding the second may have let the first go: there is room for two at least, and the first was used last.
            let (of_first, of_second) = (cache.values(first % rows), cache.values(second % rows));
            let product = self.signs[first] * self.signs[second] * of_first[second % rows];
            let before = (alpha[first], alpha[second]);
            let curvature = diagonal[first % rows] + diagonal[second % rows];
            self.step(&mut alpha, &gradient, (first, second), curvature, product);
            let changes =
                (self.signs[first] * (alpha[first] - before.0), self.signs[second] * (alpha[second] - before.1));
            for (index, gradient) in gradient.iter_mut().enumerate() {
                let row = index % rows;
                *gradient += self.signs[index] * (changes.0 * of_first[row] + changes.1 * of_second[row]);
            }
            steps += 1;
        }
        if violation.is_infinite() {
            violation = 0.0;
        }
        Minimum { offset: self.offset(&alpha, &gradient), alpha, steps, violation }
    }

    fn may_rise(&self, index: usize, alpha: f64) -> bool {
        if self.signs[index] > 0.0 { alpha < self.bound } else { alpha > 0.0 }
    }

    fn may_fall(&self, index: usize, alpha: f64) -> bool {
        if self.signs[index] > 0.0 { alpha > 0.0 } else { alpha < self.bound }
    }

    /// The multiplier along whose sign the objective falls fastest, the last of equal ones, as in libsvm.
    fn first(&self, alpha: &[f64], gradient: &[f64]) -> Option<usize> {
        let mut best = None;
        let mut steepest = f64::NEG_INFINITY;
        for index in 0..alpha.len() {
            let fall = -self.signs[index] * gradient[index];
            if self.may_rise(index, alpha[index]) && fall >= steepest {
                (best, steepest) = (Some(index), fall);
            }
        }
        best
    }

    /// Its partner, with which the objective falls most, the last of equal ones.
    fn second(&self, first: usize, alpha: &[f64], gradient: &[f64], values: &[f64], diagonal: &[f64]) -> Selected {
        let rows = self.rows.len();
        let steepest = -self.signs[first] * gradient[first];
        let mut selected = Selected { partner: None, violation: f64::NEG_INFINITY };
        let mut most = f64::INFINITY;
        for index in 0..alpha.len() {
            if !self.may_fall(index, alpha[index]) {
                continue;
            }
            let difference = steepest + self.signs[index] * gradient[index];
            selected.violation = selected.violation.max(difference);
            if difference > 0.0 {
                let row = index % rows;
                let curvature = diagonal[first % rows] + diagonal[row] - 2.0 * values[row];
                let change = -(difference * difference) / if curvature > 0.0 { curvature } else { CURVATURE_MIN };
                if change <= most {
                    (selected.partner, most) = (Some(index), change);
                }
            }
        }
        selected
    }

    /// Moves both along the line on which their signed sum stays, to its lowest point within the bounds.
    fn step(&self, alpha: &mut [f64], gradient: &[f64], pair: (usize, usize), diagonals: f64, product: f64) {
        let ((i, j), bound) = (pair, self.bound);
        let positive = |curvature: f64| if curvature > 0.0 { curvature } else { CURVATURE_MIN };
        if self.signs[i] == self.signs[j] {
            let (change, sum) =
                ((gradient[i] - gradient[j]) / positive(diagonals - 2.0 * product), alpha[i] + alpha[j]);
            (alpha[i], alpha[j]) = (alpha[i] - change, alpha[j] + change);
            if sum > bound {
                if alpha[i] > bound {
                    (alpha[i], alpha[j]) = (bound, sum - bound);
                }
                if alpha[j] > bound {
                    (alpha[i], alpha[j]) = (sum - bound, bound);
                }
            } else {
                if alpha[j] < 0.0 {
                    (alpha[i], alpha[j]) = (sum, 0.0);
                }
                if alpha[i] < 0.0 {
                    (alpha[i], alpha[j]) = (0.0, sum);
                }
            }
            return;
        }
        let change = (-gradient[i] - gradient[j]) / positive(diagonals + 2.0 * product);
        let difference = alpha[i] - alpha[j];
        (alpha[i], alpha[j]) = (alpha[i] + change, alpha[j] + change);
        if difference > 0.0 {
            if alpha[j] < 0.0 {
                (alpha[i], alpha[j]) = (difference, 0.0);
            }
            if alpha[i] > bound {
                (alpha[i], alpha[j]) = (bound, bound - difference);
            }
        } else {
            if alpha[i] < 0.0 {
                (alpha[i], alpha[j]) = (0.0, -difference);
            }
            if alpha[j] > bound {
                (alpha[i], alpha[j]) = (bound + difference, bound);
            }
        }
    }

    /// The mean over free multipliers, or the middle of what those at a bound allow.
    fn offset(&self, alpha: &[f64], gradient: &[f64]) -> f64 {
        let (mut sum, mut free, mut low, mut high) = (0.0, 0.0, f64::NEG_INFINITY, f64::INFINITY);
        for index in 0..alpha.len() {
            let value = self.signs[index] * gradient[index];
            match (self.may_rise(index, alpha[index]), self.may_fall(index, alpha[index])) {
                (true, true) => (sum, free) = (sum + value, free + 1.0),
                (true, false) => high = high.min(value),
                (false, true) => low = low.max(value),
                (false, false) => {}
            }
        }
        match () {
            () if free > 0.0 => sum / free,
            () if low.is_infinite() && high.is_infinite() => 0.0,
            () if low.is_infinite() => high,
            () if high.is_infinite() => low,
            () => f64::midpoint(low, high),
        }
    }

    /// The objective at these multipliers, with kernel values of 64 bits.
    pub(super) fn objective(&self, alpha: &[f64]) -> f64 {
        let rows = self.rows.len();
        let mut signed = vec![0.0; rows];
        alpha.iter().zip(&self.signs).enumerate().for_each(|(index, (a, sign))| signed[index % rows] += sign * a);
        let used: Vec<usize> = (0..rows).filter(|row| signed[*row] != 0.0).collect();
        let value = |row: &usize| {
            let of = |other: &usize| signed[*other] * self.kernel.value(self.rows[*row], self.rows[*other]);
            signed[*row] * used.iter().map(of).sum::<f64>()
        };
        let linear: f64 = alpha.iter().zip(&self.linear).map(|(a, p)| a * p).sum();
        used.iter().map(value).sum::<f64>() / 2.0 + linear
    }
}

struct Selected {
    partner: Option<usize>,
    violation: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svm::SvmKernel;

    const LINEAR: KernelFunction = KernelFunction { coef0: 0.0, degree: 1, gamma: 1.0, kind: SvmKernel::Linear };

    #[test]
    fn two_rows_are_held_apart_by_hand() {
        // Rows at 3 and 1: the widest margin is that of x - 2, with multipliers of 1/2 each.
        let rows: [&[f64]; 2] = [&[3.0], &[1.0]];
        let (signs, linear) = (vec![1.0, -1.0], vec![-1.0; 2]);
        let dual = Dual { rows: &rows, signs, linear, bound: 10.0, kernel: LINEAR, rounds: false };
        let minimum = dual.minimum(1e-12, 100);
        assert_eq!((minimum.alpha.as_slice(), minimum.offset, minimum.steps), ([0.5, 0.5].as_slice(), 2.0, 1));
        assert_eq!(dual.objective(&minimum.alpha), -0.5);
    }

    #[test]
    fn a_bound_is_kept_and_then_decides_the_offset() {
        let rows: [&[f64]; 2] = [&[3.0], &[1.0]];
        let (signs, linear) = (vec![1.0, -1.0], vec![-1.0; 2]);
        let dual = Dual { rows: &rows, signs, linear, bound: 0.25, kernel: LINEAR, rounds: false };
        let minimum = dual.minimum(1e-12, 100);
        // The weight is 0.5, and both rows are within the margin: 1.5 - 1 and 0.5 + 1 bound the offset.
        assert_eq!((minimum.alpha.as_slice(), minimum.offset), ([0.25, 0.25].as_slice(), 1.0));
    }

    fn cloud() -> Vec<Vec<f64>> {
        (0..60)
            .map(|row| (0..3).map(|column| f64::from((row * (7 + 2 * column) + column) % 23) / 7.0).collect())
            .collect()
    }

    #[test]
    fn no_move_of_a_pair_gains_anything_at_the_minimum() {
        let cloud = cloud();
        let rows: Vec<&[f64]> = cloud.iter().map(Vec::as_slice).collect();
        let signs: Vec<f64> = (0..60).map(|row| if row % 3 == 0 { 1.0 } else { -1.0 }).collect();
        let kernel = KernelFunction { kind: SvmKernel::Rbf, gamma: 0.7, ..LINEAR };
        let dual = Dual { rows: &rows, signs, linear: vec![-1.0; 60], bound: 2.0, kernel, rounds: false };
        let Minimum { alpha, violation, .. } = dual.minimum(1e-12, 1_000_000);
        assert!(violation <= 1e-12, "{violation:e}");
        let least = dual.objective(&alpha);
        let balance: f64 = alpha.iter().zip(&dual.signs).map(|(a, sign)| a * sign).sum();
        assert!(balance.abs() < 1e-13 && alpha.iter().all(|a| (0.0..=2.0).contains(a)));
        for (i, j) in [(0, 1), (3, 6), (5, 20), (9, 10)] {
            for by in [-1e-4, 1e-4] {
                let mut moved = alpha.clone();
                moved[i] += dual.signs[i] * by;
                moved[j] -= dual.signs[j] * by;
                let is_allowed = moved.iter().all(|a| (0.0..=2.0).contains(a));
                assert!(!is_allowed || dual.objective(&moved) > least - 1e-15, "{i} {j}");
            }
        }
    }

    #[test]
    fn a_cache_of_two_rows_gives_what_a_cache_of_all_gives() {
        let cloud = cloud();
        let rows: Vec<&[f64]> = cloud.iter().map(Vec::as_slice).collect();
        let signs = vec![1.0; 60];
        let dual = Dual { rows: &rows, signs, linear: vec![0.0; 60], bound: 1.0, kernel: LINEAR, rounds: true };
        let mut cache = Cache::new(&dual);
        cache.count_max = 2;
        for row in [0, 1, 0, 2, 0, 59] {
            cache.hold(row);
            let expected: Vec<f64> =
                rows.iter().map(|other| f64::from(LINEAR.value(rows[row], other) as f32)).collect();
            assert_eq!(cache.values(row), expected);
            assert!(cache.count <= 2 && cache.held.iter().flatten().count() == cache.count);
        }
        assert!(cache.held[0].is_some() && cache.held[2].is_none(), "the row used longest ago goes");
    }
}
