//! Nesterov's accelerated gradient as a state machine, with absolute-value penalties: it names a point, is
//! told value and gradient, names the next.
//!
//! It evaluates nothing itself and keeps a few vectors of the shape of the point: for convex functions of so
//! many variables that a matrix of them has no place.

use serde::{Deserialize, Serialize};

use super::{
    lbfgs::{Evaluated, StopReason, Verdict},
    penalty,
};

/// Evaluations without progress after which rounding is held to be the reason.
const STALLED_ROUNDS_MAX: u32 = 200;
/// Factor by which the gradient must shrink to count as progress once values no longer move.
const GRADIENT_PROGRESS: f64 = 0.9;
/// Relative growth of the value that is taken for rounding.
const VALUE_NOISE: f64 = 1e-9;
/// The largest curvature that is assumed at first: that of well-scaled variables.
const CURVATURE_START: f64 = 1.0;
/// Curvature measured between points this near, relative to their size, is rounding.
const MOVE_MIN: f64 = 1e-12;

/// When to stop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AcceleratedOptions {
    /// Converged once the largest component of the (sub)gradient is at most this.
    pub gradient_norm_max: f64,
    /// Most evaluations.
    pub rounds_max: u32,
    /// Penalty on the absolute value of each variable, shape of the point; 0 for none.
    pub l1: Vec<f64>,
}

/// The solver.
///
/// The step is 1 over the largest curvature met so far. Momentum starts anew when it points uphill, and
/// when a larger curvature was met.
///
/// # Source
/// Beck, Teboulle, *A fast iterative shrinkage-thresholding algorithm for linear inverse problems*, SIAM J.
/// Imaging Sciences 2(1), 2009, equations 4.1 to 4.3; O'Donoghue, Candès, *Adaptive restart for
/// accelerated gradient schemes*, Found. Comput. Math. 15, 2015, section 3.2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accelerated {
    options: AcceleratedOptions,
    /// Where the next evaluation is: beyond the last step, by the momentum.
    trial: Vec<f64>,
    /// Where the last step ended.
    stepped: Vec<f64>,
    /// The `t` of the method.
    momentum: f64,
    curvature: f64,
    /// Point and smooth gradient of the evaluation before.
    before: Option<(Vec<f64>, Vec<f64>)>,
    /// Point of the smallest gradient.
    best: Option<Evaluated>,
    value_min: f64,
    rounds: u32,
    stalled_rounds: u32,
    verdict: Verdict,
}

impl Accelerated {
    /// A solver that first asks for `start`.
    #[must_use]
    pub fn new(start: Vec<f64>, options: AcceleratedOptions) -> Self {
        assert_eq!(options.l1.len(), start.len(), "a penalty for each variable");
        Self {
            options,
            stepped: start.clone(),
            trial: start,
            momentum: 1.0,
            curvature: CURVATURE_START,
            before: None,
            best: None,
            value_min: f64::INFINITY,
            rounds: 0,
            stalled_rounds: 0,
            verdict: Verdict::Evaluate,
        }
    }

    /// The point to evaluate next.
    #[must_use]
    pub fn point(&self) -> &[f64] {
        &self.trial
    }

    /// Evaluations so far.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// The point of the smallest (sub)gradient, penalties included; `None` before the first evaluation.
    #[must_use]
    pub fn solution(&self) -> Option<&Evaluated> {
        self.best.as_ref()
    }

    /// The trial with its penalties, and the subgradient of least size.
    #[must_use]
    pub fn penalised(&self, value: f64, gradient: &[f64]) -> Evaluated {
        penalty::penalised(&self.trial, value, gradient, &self.options.l1)
    }

    /// Takes value and gradient, both finite and without penalties, at [`Self::point`]. After a final verdict
    /// it repeats that verdict.
    ///
    /// # Panics
    /// If the gradient is not of the shape of the point.
    pub fn tell(&mut self, value: f64, gradient: Vec<f64>) -> Verdict {
        assert_eq!(gradient.len(), self.trial.len(), "a gradient has the shape of its point");
        if self.verdict != Verdict::Evaluate {
            return self.verdict;
        }
        self.rounds += 1;
        let here = self.penalised(value, &gradient);
        let converged = here.gradient_norm() <= self.options.gradient_norm_max;
        self.note_progress(here);
        self.verdict = match () {
            () if converged => Verdict::Converged,
            () if self.stalled_rounds >= STALLED_ROUNDS_MAX => Verdict::Stopped(StopReason::FloatingPointFloor),
            () if self.rounds >= self.options.rounds_max => Verdict::Stopped(StopReason::RoundsMax),
            () => self.advance(gradient),
        };
        self.verdict
    }

    fn note_progress(&mut self, here: Evaluated) {
        let norm_min = self.best.as_ref().map_or(f64::INFINITY, Evaluated::gradient_norm);
        let norm = here.gradient_norm();
        let lower = here.value < self.value_min - 4.0 * f64::EPSILON * here.value.abs();
        if lower || norm < GRADIENT_PROGRESS * norm_min {
            self.stalled_rounds = 0;
        } else if here.value <= self.value_min + VALUE_NOISE * self.value_min.abs() {
            self.stalled_rounds += 1;
        }
        self.value_min = self.value_min.min(here.value);
        if norm < norm_min {
            self.best = Some(here);
        }
    }

    fn advance(&mut self, gradient: Vec<f64>) -> Verdict {
        if self.meets_larger_curvature(&gradient) {
            self.momentum = 1.0;
        }
        let stepped = self.step_from_trial(&gradient);
        let uphill: f64 =
            self.trial.iter().zip(&stepped).zip(&self.stepped).map(|((y, x), old)| (y - x) * (x - old)).sum();
        if uphill > 0.0 {
            self.momentum = 1.0;
        }
        let momentum = f64::midpoint(1.0, (1.0 + 4.0 * self.momentum * self.momentum).sqrt());
        let part = (self.momentum - 1.0) / momentum;
        let next = stepped.iter().zip(&self.stepped).map(|(x, old)| x + part * (x - old)).collect();
        self.momentum = momentum;
        self.before = Some((std::mem::replace(&mut self.trial, next), gradient));
        self.stepped = stepped;
        Verdict::Evaluate
    }

    /// One step down the gradient, and towards 0 by the penalties.
    fn step_from_trial(&self, gradient: &[f64]) -> Vec<f64> {
        let terms = self.trial.iter().zip(gradient).zip(&self.options.l1);
        terms.map(|((y, g), l1)| penalty::soft_threshold(y - g / self.curvature, l1 / self.curvature)).collect()
    }

    /// Raises the curvature to the one between this evaluation and the one before, if that is larger.
    ///
    /// `|Δg|² / (Δg·Δy)` is never above the largest curvature on the way, so a step is never too short for long.
    fn meets_larger_curvature(&mut self, gradient: &[f64]) -> bool {
        let Some((point, slopes)) = &self.before else { return false };
        let (mut squares, mut product, mut moved, mut size) = (0.0, 0.0, 0.0, 0.0);
        for (((y, before), g), g_before) in self.trial.iter().zip(point).zip(gradient).zip(slopes) {
            squares += (g - g_before) * (g - g_before);
            product += (g - g_before) * (y - before);
            moved += (y - before) * (y - before);
            size += y * y;
        }
        let larger = product > 0.0 && moved > MOVE_MIN * MOVE_MIN * size && squares > self.curvature * product;
        if larger {
            self.curvature = squares / product;
        }
        larger
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(l1: &[f64]) -> AcceleratedOptions {
        AcceleratedOptions { gradient_norm_max: 1e-10, rounds_max: 5000, l1: l1.to_vec() }
    }

    fn minimise(
        start: &[f64],
        options: AcceleratedOptions,
        function: impl Fn(&[f64]) -> (f64, Vec<f64>),
    ) -> (Verdict, Accelerated) {
        let mut solver = Accelerated::new(start.to_vec(), options);
        loop {
            let (value, gradient) = function(solver.point());
            match solver.tell(value, gradient) {
                Verdict::Evaluate => {}
                verdict => return (verdict, solver),
            }
        }
    }

    /// `Σ c_i (x_i - i)² / 2`, whose curvatures span four orders and reach far above the one assumed.
    fn bowl(x: &[f64]) -> (f64, Vec<f64>) {
        let curvature = |i: usize| 10.0_f64.powi(i as i32 - 2);
        let gradient: Vec<f64> = x.iter().enumerate().map(|(i, x)| curvature(i) * (x - i as f64)).collect();
        let value = gradient.iter().enumerate().map(|(i, g)| g * g / curvature(i) / 2.0).sum();
        (value, gradient)
    }

    #[test]
    fn an_ill_conditioned_bowl_is_minimised_far_faster_than_by_plain_gradients() {
        let (verdict, solver) = minimise(&[9.0; 5], options(&[0.0; 5]), bowl);
        assert_eq!(verdict, Verdict::Converged);
        let solution = solver.solution().unwrap();
        assert!(solution.point.iter().enumerate().all(|(i, x)| (x - i as f64).abs() < 1e-7), "{solution:?}");
        // Plain gradients with the best step need about 10⁴/2 · ln(10¹¹) of them.
        assert!(solver.rounds() < 3000, "{}", solver.rounds());
    }

    #[test]
    fn a_penalty_sets_a_variable_to_zero_exactly() {
        let bowl = |p: &[f64]| {
            let (x, y) = (p[0] - 1.0, p[1] - 3.0);
            (x * x + y * y / 2.0, vec![2.0 * x, y])
        };
        let (verdict, solver) = minimise(&[5.0, 0.0], options(&[2.5, 1.0]), bowl);
        let solution = solver.solution().unwrap();
        assert_eq!((verdict, solution.point[0]), (Verdict::Converged, 0.0));
        assert!((solution.point[1] - 2.0).abs() < 1e-9 && (solution.value - 3.5).abs() < 1e-9, "{solution:?}");
    }

    #[test]
    fn the_number_of_evaluations_is_bounded_and_the_verdict_stays() {
        let options = AcceleratedOptions { rounds_max: 3, ..options(&[0.0; 5]) };
        let (verdict, mut solver) = minimise(&[9.0; 5], options, bowl);
        assert_eq!((verdict, solver.rounds()), (Verdict::Stopped(StopReason::RoundsMax), 3));
        assert_eq!((solver.tell(0.0, vec![0.0; 5]), solver.rounds()), (verdict, 3));
    }

    #[test]
    fn a_tolerance_below_rounding_is_not_called_convergence() {
        let options = AcceleratedOptions { gradient_norm_max: 1e-30, ..options(&[0.0; 5]) };
        let noise = |x: f64| 1e-9 * (f64::from((x.to_bits() % 1021) as u32) / 510.0 - 1.0);
        let noisy = |x: &[f64]| (1.0 + bowl(x).0, bowl(x).1.iter().zip(x).map(|(g, x)| g + noise(*x)).collect());
        let (verdict, solver) = minimise(&[9.0; 5], options, noisy);
        assert_eq!(verdict, Verdict::Stopped(StopReason::FloatingPointFloor));
        assert!(solver.solution().unwrap().gradient_norm() < 1e-6, "{}", solver.rounds());
    }
}
