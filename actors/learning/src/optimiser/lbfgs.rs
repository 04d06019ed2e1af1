//! Limited-memory BFGS as a state machine: it names a point, is told value and gradient, names the next.
//!
//! It evaluates nothing itself, so the evaluation may be spread over many hosts. For smooth convex
//! functions of well-scaled variables; scaling is not done here.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::line_search::{Along, Judgement, LineSearch};
use super::symmetric::{Cholesky, Symmetric};

/// Evaluations without progress after which rounding is held to be the reason.
const STALLED_ROUNDS_MAX: u32 = 40;
/// Evaluations after which the curvature is asked for anew, where it is asked for at all.
const CURVATURE_ROUNDS: u32 = 16;
/// Factor by which the gradient must shrink to count as progress once values no longer move.
const GRADIENT_PROGRESS: f64 = 0.9;

/// When to stop, and how much to remember.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LbfgsOptions {
    /// Converged once the largest component of the gradient is at most this.
    pub gradient_norm_max: f64,
    /// Most evaluations.
    pub rounds_max: u32,
    /// Correction pairs kept.
    pub history: usize,
    /// Whether corrections are to a matrix of second derivatives, and not to a multiple of the identity.
    pub curvature: bool,
}

/// Why the solver stopped short of the tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The bound on evaluations was reached.
    RoundsMax,
    /// Neither value nor gradient moves any more: rounding hides the rest.
    FloatingPointFloor,
}

/// What follows from an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Evaluate [`Lbfgs::point`] next.
    Evaluate,
    /// The tolerance is met at [`Lbfgs::solution`].
    Converged,
    /// The tolerance is not met; [`Lbfgs::solution`] is the best point known.
    Stopped(StopReason),
}

/// A point whose value and gradient are known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// Where.
    pub point: Vec<f64>,
    /// The function there.
    pub value: f64,
    /// Its gradient, of the shape of the point.
    pub gradient: Vec<f64>,
}

/// The solver.
///
/// # Source
/// Liu, Nocedal, *On the limited memory BFGS method for large scale optimization*, Math.
/// Programming 45, 1989; two-loop recursion as in Nocedal, Wright, *Numerical Optimization*, alg. 7.4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lbfgs {
    options: LbfgsOptions,
    trial: Vec<f64>,
    /// Last accepted point; absent before the first evaluation.
    current: Option<Evaluated>,
    /// Point of the smallest gradient.
    best: Option<Evaluated>,
    value_min: f64,
    pairs: VecDeque<Pair>,
    /// What the pairs correct, and the evaluation that it is of.
    curvature: Option<(Cholesky, u32)>,
    direction: Vec<f64>,
    step: f64,
    search: Option<LineSearch>,
    rounds: u32,
    stalled_rounds: u32,
    verdict: Verdict,
}

/// One step `s`, the change of the gradient over it `y`, and `1 / (s·y)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pair {
    s: Vec<f64>,
    y: Vec<f64>,
    rho: f64,
}

impl Evaluated {
    /// Largest component of the gradient.
    #[must_use]
    pub fn gradient_norm(&self) -> f64 {
        self.gradient.iter().fold(0.0, |norm, component| norm.max(component.abs()))
    }
}

impl Lbfgs {
    /// A solver that first asks for `start`.
    #[must_use]
    pub fn new(start: Vec<f64>, options: LbfgsOptions) -> Self {
        Self {
            options,
            trial: start,
            current: None,
            best: None,
            value_min: f64::INFINITY,
            pairs: VecDeque::new(),
            curvature: None,
            direction: Vec::new(),
            step: 0.0,
            search: None,
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

    /// Whether [`Self::tell`] takes the curvature at this point: at the start, where one of a sample of the rows is good
    /// enough, and again if that did not lead to the optimum soon.
    #[must_use]
    pub fn wants_curvature(&self) -> bool {
        let is_old = |(_, round): &(Cholesky, u32)| self.rounds - round >= CURVATURE_ROUNDS;
        self.options.curvature && self.curvature.as_ref().is_none_or(is_old)
    }

    /// Whether the curvature that is wanted may be that of a sample of the rows.
    #[must_use]
    pub fn takes_sample(&self) -> bool {
        self.curvature.is_none()
    }

    /// Evaluations so far.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// The point of the last verdict; `None` before the first evaluation.
    #[must_use]
    pub fn solution(&self) -> Option<&Evaluated> {
        match self.verdict {
            Verdict::Converged | Verdict::Stopped(StopReason::FloatingPointFloor) => self.best.as_ref(),
            Verdict::Evaluate | Verdict::Stopped(StopReason::RoundsMax) => self.current.as_ref(),
        }
    }

    /// Takes the value and gradient at [`Self::point`], both finite, and the curvature if it is wanted. After a final verdict it repeats that verdict.
    ///
    /// # Panics
    /// If the gradient is not of the shape of the point.
    pub fn tell(&mut self, value: f64, gradient: Vec<f64>, curvature: Option<Symmetric>) -> Verdict {
        assert_eq!(gradient.len(), self.trial.len(), "a gradient has the shape of its point");
        if self.verdict != Verdict::Evaluate {
            return self.verdict;
        }
        if let Some(curvature) = curvature.filter(|_| self.wants_curvature()) {
            // Variables have a curvature of 1 at the start, which a sample only comes near to.
            let sampled = if self.takes_sample() { curvature.with_unit_diagonal() } else { curvature };
            self.curvature = Some((sampled.cholesky(), self.rounds));
        }
        self.rounds += 1;
        let here = Evaluated { point: self.trial.clone(), value, gradient };
        self.note_progress(&here);
        self.verdict = if here.gradient_norm() <= self.options.gradient_norm_max {
            self.best = Some(here);
            Verdict::Converged
        } else {
            match self.advance(here) {
                _ if self.stalled_rounds >= STALLED_ROUNDS_MAX => Verdict::Stopped(StopReason::FloatingPointFloor),
                Verdict::Evaluate if self.rounds >= self.options.rounds_max => Verdict::Stopped(StopReason::RoundsMax),
                verdict => verdict,
            }
        };
        self.verdict
    }

    fn note_progress(&mut self, here: &Evaluated) {
        let norm_min = self.best.as_ref().map_or(f64::INFINITY, Evaluated::gradient_norm);
        let norm = here.gradient_norm();
        let lower = here.value < self.value_min - 4.0 * f64::EPSILON * here.value.abs();
        self.stalled_rounds = if lower || norm < GRADIENT_PROGRESS * norm_min { 0 } else { self.stalled_rounds + 1 };
        self.value_min = self.value_min.min(here.value);
        if norm < norm_min {
            self.best = Some(here.clone());
        }
    }

    /// Judges the trial and chooses the next.
    fn advance(&mut self, here: Evaluated) -> Verdict {
        let along = Along { value: here.value, slope: dot(&here.gradient, &self.direction) };
        let judgement = self.search.as_mut().map_or(Judgement::Accept, |search| search.judge(self.step, along));
        match judgement {
            Judgement::Accept => {
                self.remember(&here);
                self.current = Some(here);
                self.start_search()
            }
            Judgement::Try(step) => {
                self.step = step;
                if self.move_trial() { Verdict::Evaluate } else { self.restart() }
            }
            Judgement::GiveUp => self.restart(),
        }
    }

    /// Tries the plain gradient, unless that is what just failed.
    fn restart(&mut self) -> Verdict {
        if self.pairs.is_empty() {
            return Verdict::Stopped(StopReason::FloatingPointFloor);
        }
        self.pairs.clear();
        self.start_search()
    }

    fn start_search(&mut self) -> Verdict {
        let current = self.current.as_ref().expect("a search starts from an accepted point");
        self.direction = self.descent_direction(&current.gradient);
        let slope = dot(&current.gradient, &self.direction);
        self.search = Some(LineSearch::new(Along { value: current.value, slope }));
        self.step = 1.0;
        if slope < 0.0 && self.move_trial() { Verdict::Evaluate } else { self.restart() }
    }

    /// Sets the trial to the current point plus the step; `false` if rounding swallows the step.
    fn move_trial(&mut self) -> bool {
        let from = &self.current.as_ref().expect("a trial starts from an accepted point").point;
        self.trial = from.iter().zip(&self.direction).map(|(x, d)| x + self.step * d).collect();
        self.trial != *from
    }

    fn remember(&mut self, here: &Evaluated) {
        let Some(before) = &self.current else { return };
        let s = difference(&here.point, &before.point);
        let y = difference(&here.gradient, &before.gradient);
        let curvature = dot(&s, &y);
        if curvature <= f64::EPSILON * dot(&y, &y) {
            return;
        }
        if self.pairs.len() == self.options.history {
            self.pairs.pop_front();
        }
        self.pairs.push_back(Pair { s, y, rho: 1.0 / curvature });
    }

    /// Minus the inverse Hessian estimate times the gradient.
    fn descent_direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut direction: Vec<f64> = gradient.iter().map(|component| -component).collect();
        let mut alphas = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let alpha = pair.rho * dot(&pair.s, &direction);
            add_scaled(&mut direction, -alpha, &pair.y);
            alphas.push(alpha);
        }
        let solve = |vector: &[f64]| match &self.curvature {
            Some((curvature, _)) => curvature.solve(vector),
            None => vector.to_vec(),
        };
        direction = solve(&direction);
        if let Some(last) = self.pairs.back() {
            let inverse_curvature = 1.0 / (last.rho * dot(&last.y, &solve(&last.y)));
            direction.iter_mut().for_each(|component| *component *= inverse_curvature);
        }
        for (pair, alpha) in self.pairs.iter().zip(alphas.into_iter().rev()) {
            let beta = pair.rho * dot(&pair.y, &direction);
            add_scaled(&mut direction, alpha - beta, &pair.s);
        }
        direction
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(x, y)| x - y).collect()
}

fn add_scaled(to: &mut [f64], factor: f64, values: &[f64]) {
    to.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: LbfgsOptions =
        LbfgsOptions { gradient_norm_max: 1e-12, rounds_max: 500, history: 10, curvature: false };

    fn minimise(
        start: &[f64],
        options: LbfgsOptions,
        function: impl Fn(&[f64]) -> (f64, Vec<f64>),
    ) -> (Verdict, Lbfgs) {
        let mut solver = Lbfgs::new(start.to_vec(), options);
        loop {
            let (value, gradient) = function(solver.point());
            match solver.tell(value, gradient, None) {
                Verdict::Evaluate => {}
                verdict => return (verdict, solver),
            }
        }
    }

    /// `Σ c_i (x_i - i)² / 2 + offset`, whose curvatures span four orders.
    fn bowl(x: &[f64], offset: f64) -> (f64, Vec<f64>) {
        let curvature = |i: usize| 10.0_f64.powi(i as i32 - 2);
        let gradient: Vec<f64> = x.iter().enumerate().map(|(i, x)| curvature(i) * (x - i as f64)).collect();
        let value: f64 = gradient.iter().enumerate().map(|(i, g)| g * g / curvature(i) / 2.0).sum();
        (value + offset, gradient)
    }

    #[test]
    fn an_ill_conditioned_bowl_is_minimised_to_the_tolerance() {
        let (verdict, solver) = minimise(&[9.0; 5], OPTIONS, |x| bowl(x, 0.0));
        assert_eq!(verdict, Verdict::Converged);
        let solution = solver.solution().unwrap();
        for (i, x) in solution.point.iter().enumerate() {
            assert!((x - i as f64).abs() < 1e-9, "{:?}", solution.point);
        }
        assert!(solver.rounds() < 60, "{}", solver.rounds());
    }

    /// `Σ log cosh(x_i + x_{i+1}/2 - i/10)`, whose curvature at 0 is that of a matrix with a unit diagonal but for its scale.
    #[test]
    fn a_curvature_of_the_start_saves_most_rounds_and_is_asked_for_once() {
        let mixed = |x: &[f64]| (0..40).map(|i| x[i] + 0.9 * x[(i + 1) % 40] - i as f64 / 10.0).collect::<Vec<f64>>();
        let function = |x: &[f64]| {
            let mixed = mixed(x);
            let slopes: Vec<f64> = mixed.iter().map(|m| m.tanh()).collect();
            let value = mixed.iter().map(|m| m.abs() + (-2.0 * m.abs()).exp().ln_1p()).sum::<f64>();
            let gradient = (0..40).map(|i| slopes[i] + 0.9 * slopes[(i + 39) % 40] + 1e-2 * x[i]).collect::<Vec<f64>>();
            (value + 5e-3 * x.iter().map(|x| x * x).sum::<f64>(), gradient)
        };
        let upper = (0..40).flat_map(|i| {
            (i..40).map(move |j| match j - i {
                0 => 1.81,
                1 | 39 => 0.9,
                _ => 0.0,
            })
        });
        let curvature = Symmetric::from_upper(40, upper.collect());
        let mut solver = Lbfgs::new(vec![0.0; 40], LbfgsOptions { curvature: true, ..OPTIONS });
        let mut asked = Vec::new();
        while let (value, gradient) = function(solver.point())
            && let Verdict::Evaluate = {
                let wanted = solver.wants_curvature().then(|| curvature.clone());
                asked.extend(wanted.as_ref().map(|_| solver.rounds()));
                solver.tell(value, gradient, wanted)
            }
        {}
        let (verdict, plain) = minimise(&[0.0; 40], OPTIONS, function);
        assert_eq!(verdict, Verdict::Converged);
        assert!(solver.solution().unwrap().gradient_norm() <= 1e-12);
        assert!(asked[0] == 0 && asked.iter().skip(1).all(|round| *round >= CURVATURE_ROUNDS), "{asked:?}");
        assert!(solver.rounds() < plain.rounds(), "{} {}", solver.rounds(), plain.rounds());
    }

    #[test]
    fn the_gradient_still_converges_when_the_value_has_lost_its_digits() {
        let (verdict, _) = minimise(&[9.0; 5], OPTIONS, |x| bowl(x, 1e6));
        assert_eq!(verdict, Verdict::Converged);
    }

    #[test]
    fn a_tolerance_below_rounding_is_not_called_convergence() {
        let options = LbfgsOptions { gradient_norm_max: 1e-30, ..OPTIONS };
        let rounded = |x: &[f64]| {
            let (value, gradient) = bowl(x, 1.0);
            (value, gradient.iter().map(|g| (g * 1e6).round() / 1e6 + 1e-7).collect())
        };
        let (verdict, solver) = minimise(&[9.0; 5], options, rounded);
        assert_eq!(verdict, Verdict::Stopped(StopReason::FloatingPointFloor));
        assert!(solver.solution().unwrap().gradient_norm() < 1e-4);
    }

    #[test]
    fn a_gradient_of_noise_alone_ends_long_before_the_round_bound() {
        let options = LbfgsOptions { gradient_norm_max: 1e-30, ..OPTIONS };
        let noise = |x: f64| 1e-9 * (f64::from((x.to_bits() % 1021) as u32) / 510.0 - 1.0);
        let noisy = |x: &[f64]| (1.0, bowl(x, 0.0).1.iter().zip(x).map(|(g, x)| g + noise(*x)).collect());
        let (verdict, solver) = minimise(&[9.0; 5], options, noisy);
        assert_eq!(verdict, Verdict::Stopped(StopReason::FloatingPointFloor));
        assert!(solver.rounds() < 200 && solver.solution().unwrap().gradient_norm() < 1e-8, "{}", solver.rounds());
    }

    #[test]
    fn the_number_of_evaluations_is_bounded() {
        let options = LbfgsOptions { rounds_max: 4, ..OPTIONS };
        let (verdict, mut solver) = minimise(&[9.0; 5], options, |x| bowl(x, 0.0));
        assert_eq!((verdict, solver.rounds()), (Verdict::Stopped(StopReason::RoundsMax), 4));
        let solution = solver.solution().unwrap().clone();
        assert_eq!(solver.tell(0.0, vec![0.0; 5], None), verdict);
        assert_eq!((solver.rounds(), solver.solution().unwrap()), (4, &solution));
    }

    #[test]
    fn a_start_at_the_optimum_needs_one_evaluation() {
        let (verdict, solver) = minimise(&[0.0, 1.0, 2.0], OPTIONS, |x| bowl(x, 0.0));
        assert_eq!((verdict, solver.rounds()), (Verdict::Converged, 1));
    }

    #[test]
    fn a_smooth_function_that_is_no_parabola_is_minimised() {
        let (verdict, solver) = minimise(&[30.0], OPTIONS, |x| ((x[0] - 1.0).cosh().ln(), vec![(x[0] - 1.0).tanh()]));
        assert_eq!(verdict, Verdict::Converged);
        assert!((solver.solution().unwrap().point[0] - 1.0).abs() < 1e-11);
    }
}
