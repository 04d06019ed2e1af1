//! Newton's method as a state machine, with absolute-value penalties: it names a point, is told value,
//! gradient and curvature, names the next.
//!
//! It evaluates nothing itself. For convex functions of a few hundred well-scaled variables: the
//! curvature is a full matrix, and a step solves a linear system.

use serde::{Deserialize, Serialize};

use super::{
    lbfgs::{Evaluated, StopReason, Verdict},
    penalised_quadratic::PenalisedQuadratic,
    penalty,
    symmetric::Symmetric,
};

/// Evaluations without progress after which rounding is held to be the reason.
const STALLED_ROUNDS_MAX: u32 = 10;
/// Factor by which the gradient must shrink to count as progress once values no longer move.
const GRADIENT_PROGRESS: f64 = 0.9;
/// Part of the promised decrease that counts as decrease.
const DECREASE: f64 = 1e-4;
/// Relative growth of the value that is taken for rounding.
const VALUE_NOISE: f64 = 1e-9;
/// Part of the first slope that may remain beyond the minimum when values have lost their digits.
const SLOPE_LEFT: f64 = 0.5;
/// Most halvings of one step.
const HALVINGS_MAX: u32 = 40;

/// When to stop, and what is known of the function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewtonOptions {
    /// Converged once the largest component of the (sub)gradient is at most this.
    pub gradient_norm_max: f64,
    /// Most evaluations.
    pub rounds_max: u32,
    /// Penalty on the absolute value of each variable, shape of the point; 0 for none.
    pub l1: Vec<f64>,
    /// Whether the curvature is the same everywhere, so that it is wanted once only.
    pub constant_curvature: bool,
}

/// The solver.
///
/// # Source
/// Boyd, Vandenberghe, *Convex Optimization*, algorithm 9.5; with penalties Lee, Sun, Saunders,
/// *Proximal Newton-type methods for minimizing composite functions*, SIAM J. Optim. 24(3), 2014,
/// algorithm 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Newton {
    options: NewtonOptions,
    trial: Vec<f64>,
    /// Last accepted point; absent before the first evaluation.
    current: Option<Evaluated>,
    /// Point of the smallest gradient.
    best: Option<Evaluated>,
    value_min: f64,
    curvature: Option<Symmetric>,
    direction: Vec<f64>,
    /// Of the function with its penalties, at the current point along the direction.
    slope: f64,
    halvings: u32,
    rounds: u32,
    stalled_rounds: u32,
    verdict: Verdict,
}

impl Newton {
    /// A solver that first asks for `start`.
    #[must_use]
    pub fn new(start: Vec<f64>, options: NewtonOptions) -> Self {
        assert_eq!(options.l1.len(), start.len(), "a penalty for each variable");
        Self {
            options,
            trial: start,
            current: None,
            best: None,
            value_min: f64::INFINITY,
            curvature: None,
            direction: Vec::new(),
            slope: 0.0,
            halvings: 0,
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

    /// Whether [`Self::tell`] needs the curvature at this point.
    #[must_use]
    pub fn wants_curvature(&self) -> bool {
        self.curvature.is_none() || !self.options.constant_curvature
    }

    /// Evaluations so far.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// The point of the last verdict; `None` before the first evaluation.
    ///
    /// Its value has the penalties in it, and its gradient is the subgradient of least size.
    #[must_use]
    pub fn solution(&self) -> Option<&Evaluated> {
        match self.verdict {
            Verdict::Stopped(StopReason::RoundsMax) => self.current.as_ref().or(self.best.as_ref()),
            _ => self.best.as_ref(),
        }
    }

    /// Takes value, gradient and curvature, all finite and without penalties, at [`Self::point`]. After a
    /// final verdict it repeats that verdict.
    ///
    /// # Panics
    /// If the gradient is not of the shape of the point, or the curvature is wanted and absent.
    pub fn tell(&mut self, value: f64, gradient: &[f64], curvature: Option<Symmetric>) -> Verdict {
        assert_eq!(gradient.len(), self.trial.len(), "a gradient has the shape of its point");
        if self.verdict != Verdict::Evaluate {
            return self.verdict;
        }
        assert!(curvature.is_some() || !self.wants_curvature(), "the curvature is wanted here");
        self.rounds += 1;
        let here = self.penalised(value, gradient);
        self.note_progress(&here);
        self.verdict = if here.gradient_norm() <= self.options.gradient_norm_max {
            self.best = Some(here);
            Verdict::Converged
        } else {
            match self.advance(here, gradient, curvature) {
                _ if self.stalled_rounds >= STALLED_ROUNDS_MAX => Verdict::Stopped(StopReason::FloatingPointFloor),
                Verdict::Evaluate if self.rounds >= self.options.rounds_max => Verdict::Stopped(StopReason::RoundsMax),
                verdict => verdict,
            }
        };
        self.verdict
    }

    /// The trial with its penalties, and the subgradient of least size.
    #[must_use]
    pub fn penalised(&self, value: f64, gradient: &[f64]) -> Evaluated {
        penalty::penalised(&self.trial, value, gradient, &self.options.l1)
    }

    fn note_progress(&mut self, here: &Evaluated) {
        let norm_min = self.best.as_ref().map_or(f64::INFINITY, Evaluated::gradient_norm);
        let norm = here.gradient_norm();
        let lower = here.value < self.value_min - 4.0 * f64::EPSILON * here.value.abs();
        if lower || norm < GRADIENT_PROGRESS * norm_min {
            self.stalled_rounds = 0;
        } else if here.value <= self.value_min + VALUE_NOISE * self.value_min.abs() {
            // A step that was too long is no sign of the floor: it is halved, and that is bounded by itself.
            self.stalled_rounds += 1;
        }
        self.value_min = self.value_min.min(here.value);
        if norm < norm_min {
            self.best = Some(here.clone());
        }
    }

    /// Judges the trial and chooses the next.
    fn advance(&mut self, here: Evaluated, gradient: &[f64], curvature: Option<Symmetric>) -> Verdict {
        if !self.accepts(&here, gradient) {
            self.halvings += 1;
            let moved = self.halvings <= HALVINGS_MAX && self.move_trial();
            return if moved { Verdict::Evaluate } else { Verdict::Stopped(StopReason::FloatingPointFloor) };
        }
        self.curvature = curvature.or_else(|| self.curvature.take());
        let curvature = self.curvature.as_ref().expect("told with the first point");
        let problem = PenalisedQuadratic { curvature, slope: gradient, from: &here.point, l1: &self.options.l1 };
        self.direction = problem.minimiser();
        self.slope = self.promised_slope(&here.point, gradient);
        self.current = Some(here);
        self.halvings = 0;
        let moved = self.slope < 0.0 && self.move_trial();
        if moved { Verdict::Evaluate } else { Verdict::Stopped(StopReason::FloatingPointFloor) }
    }

    /// Whether the value fell as promised, or the slope did where values have lost their digits.
    fn accepts(&self, here: &Evaluated, gradient: &[f64]) -> bool {
        let Some(current) = &self.current else { return true };
        let promised = self.slope * 0.5_f64.powi(self.halvings as i32);
        let level = here.value <= current.value + VALUE_NOISE * current.value.abs();
        here.value <= current.value + DECREASE * promised
            || (level && self.onward_slope(&here.point, gradient).abs() <= SLOPE_LEFT * self.slope.abs())
    }

    /// What a full step changes to first order: the slope of the smooth part, and the penalties' change.
    fn promised_slope(&self, from: &[f64], gradient: &[f64]) -> f64 {
        let terms = gradient.iter().zip(&self.direction).zip(from).zip(&self.options.l1);
        terms.map(|(((g, d), x), l1)| penalised_change(*g, *d, *x, *l1)).sum()
    }

    /// The slope at `point` along the direction.
    fn onward_slope(&self, point: &[f64], gradient: &[f64]) -> f64 {
        let terms = gradient.iter().zip(&self.direction).zip(point).zip(&self.options.l1);
        let slope =
            |g: f64, d: f64, x: f64, l1: f64| if x == 0.0 { g * d + l1 * d.abs() } else { (g + l1.copysign(x)) * d };
        terms.map(|(((g, d), x), l1)| if *l1 == 0.0 { g * d } else { slope(*g, *d, *x, *l1) }).sum()
    }

    /// Sets the trial to the current point plus the step; `false` if rounding swallows the step.
    fn move_trial(&mut self) -> bool {
        let from = &self.current.as_ref().expect("a trial starts from an accepted point").point;
        let part = 0.5_f64.powi(self.halvings as i32);
        self.trial = from.iter().zip(&self.direction).map(|(x, d)| x + part * d).collect();
        self.trial != *from
    }
}

/// `g d + l1 (|x + d| - |x|)`, without the cancellation of two absolute values that hardly differ.
fn penalised_change(g: f64, d: f64, x: f64, l1: f64) -> f64 {
    match () {
        () if l1 == 0.0 => g * d,
        () if x * (x + d) > 0.0 => (g + l1.copysign(x)) * d,
        () => g * d + l1 * ((x + d).abs() - x.abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(l1: &[f64]) -> NewtonOptions {
        NewtonOptions { gradient_norm_max: 1e-13, rounds_max: 100, l1: l1.to_vec(), constant_curvature: false }
    }

    fn minimise(
        start: &[f64],
        options: NewtonOptions,
        function: impl Fn(&[f64]) -> (f64, Vec<f64>, Symmetric),
    ) -> (Verdict, Newton) {
        let mut solver = Newton::new(start.to_vec(), options);
        loop {
            let (value, gradient, curvature) = function(solver.point());
            let curvature = solver.wants_curvature().then_some(curvature);
            match solver.tell(value, &gradient, curvature) {
                Verdict::Evaluate => {}
                verdict => return (verdict, solver),
            }
        }
    }

    /// `1 + log cosh(x - 1) + (x - y)² / 2`, minimal at (1, 1), flat far away.
    fn curved(point: &[f64]) -> (f64, Vec<f64>, Symmetric) {
        let (x, y) = (point[0], point[1]);
        let (tanh, apart) = ((x - 1.0).tanh(), x - y);
        let value = 1.0 + (x - 1.0).cosh().ln() + apart * apart / 2.0;
        let curvature = vec![1.0 - tanh * tanh + 1.0, -1.0, 1.0];
        (value, vec![tanh + apart, -apart], Symmetric::from_upper(2, curvature))
    }

    #[test]
    fn a_function_on_which_full_steps_diverge_is_minimised() {
        let (verdict, solver) = minimise(&[4.0, -3.0], options(&[0.0, 0.0]), curved);
        assert_eq!(verdict, Verdict::Converged);
        let solution = solver.solution().unwrap();
        assert!(solution.point.iter().all(|x| (x - 1.0).abs() < 1e-12), "{solution:?}");
        assert!(solver.rounds() < 90, "{}", solver.rounds());
    }

    #[test]
    fn a_parabola_is_solved_in_two_rounds_and_asks_for_its_curvature_once() {
        let options = NewtonOptions { constant_curvature: true, ..options(&[0.0]) };
        let mut solver = Newton::new(vec![7.0], options);
        assert!(solver.wants_curvature());
        assert_eq!(solver.tell(98.0, &[28.0], Some(Symmetric::from_upper(1, vec![4.0]))), Verdict::Evaluate);
        assert_eq!((solver.point(), solver.wants_curvature()), ([0.0].as_slice(), false));
        assert_eq!(solver.tell(0.0, &[0.0], None), Verdict::Converged);
        assert_eq!((solver.rounds(), solver.tell(1.0, &[9.0], None)), (2, Verdict::Converged));
    }

    #[test]
    fn a_penalty_sets_a_variable_to_zero_exactly() {
        // (x - 1)²/2 + (y - 3)²/2 + |x|·2 + |y|: minimal at (0, 2), with 1/2 + 1/2 + 2.
        let bowl = |p: &[f64]| {
            let (x, y) = (p[0] - 1.0, p[1] - 3.0);
            ((x * x + y * y) / 2.0, vec![x, y], Symmetric::from_upper(2, vec![1.0, 0.0, 1.0]))
        };
        let (verdict, solver) = minimise(&[5.0, 0.0], options(&[2.0, 1.0]), bowl);
        let solution = solver.solution().unwrap();
        assert_eq!((verdict, solution.point.as_slice()), (Verdict::Converged, [0.0, 2.0].as_slice()));
        assert_eq!((solution.value, solution.gradient_norm()), (3.0, 0.0));
    }

    #[test]
    fn a_tolerance_below_rounding_is_not_called_convergence() {
        let rounded = |point: &[f64]| {
            let (value, gradient, curvature) = curved(point);
            (value, gradient.iter().map(|g| (g * 1e6).round() / 1e6 + 1e-7).collect(), curvature)
        };
        let options = NewtonOptions { gradient_norm_max: 1e-30, ..options(&[0.0, 0.0]) };
        let (verdict, solver) = minimise(&[3.0, 0.0], options, rounded);
        assert_eq!(verdict, Verdict::Stopped(StopReason::FloatingPointFloor));
        assert!(solver.solution().unwrap().gradient_norm() < 1e-4);
    }

    #[test]
    fn the_number_of_evaluations_is_bounded() {
        let options = NewtonOptions { rounds_max: 2, ..options(&[0.0, 0.0]) };
        let (verdict, solver) = minimise(&[4.0, -3.0], options, curved);
        assert_eq!((verdict, solver.rounds()), (Verdict::Stopped(StopReason::RoundsMax), 2));
        assert!(solver.solution().is_some());
    }
}
