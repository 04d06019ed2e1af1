//! An interior-point method for the hinge loss as a state machine: it names a path, is told sums over the rows at its end,
//! names the next step.
//!
//! It reads no rows: multipliers and slacks of rows are made where the rows are, from the path alone.

use serde::{Deserialize, Serialize};

use super::{
    conditioning::Conditioning,
    lbfgs::{Evaluated, StopReason, Verdict},
    outputs::Outputs,
    symmetric::triangle_len,
};

/// Most steps of a path, which every row goes along in every round.
pub const STEPS_MAX: usize = 300;
/// Rounds without a smaller gap after which rounding is held to be the reason.
const STALLED_ROUNDS_MAX: u32 = 40;
/// What products of multipliers and slacks aim at after a whole step, as a part of what they are; after a shortened one; and
/// after a much shortened one.
const AIMS: [f64; 3] = [0.1, 0.3, 0.5];
/// A step below this part of its direction is a much shortened one.
const SHORT: f64 = 0.3;
/// What is left of a step that led nowhere.
const SHORTENING: f64 = 0.4;
/// A step this short is taken wherever it leads.
const LENGTH_MIN: f64 = 1e-3;
/// Part of the gap that a step takes away at least, unless it shrinks the products by [`SHRINKING`] times its length.
const GAP_PROGRESS: f64 = 0.05;
/// See [`GAP_PROGRESS`].
const SHRINKING: f64 = 0.05;

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct InteriorPointOptions {
    /// Converged once objective and lower bound differ by no more than this part of the objective.
    pub gap_max: f64,
    /// Most evaluations.
    pub rounds_max: u32,
}

/// A step, in the solver's variables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathStep {
    /// Shape of the point.
    pub direction: Vec<f64>,
    /// The part of the direction that is gone.
    pub length: f64,
    /// What products of multipliers and slacks aim at.
    pub target: f64,
}

/// The solver of one machine.
///
/// Every row keeps a part of its multiplier and of its slacks in a step, so the step of the weights is whole unless it leads
/// nowhere. The gap is between the objective, whose slacks are the best ones, and its dual at the multipliers, so it
/// bounds what the objective is above its minimum.
///
/// # Source
/// As [`crate::kernel::hinge_path`]; Nocedal, Wright, *Numerical Optimization*, 2nd ed., algorithm 16.4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InteriorPoint {
    options: InteriorPointOptions,
    output: Outputs,
    steps: Vec<PathStep>,
    /// The end of the path.
    point: Vec<f64>,
    /// Where the last step begins.
    from: Vec<f64>,
    /// Mean product and gap there.
    before: Option<(f64, f64)>,
    best: Option<(Evaluated, f64)>,
    rounds: u32,
    stalled_rounds: u32,
    verdict: Verdict,
}

/// Reduced sums over the rows by what they are.
struct Sums<'a> {
    hinge: f64,
    alpha: f64,
    product: f64,
    pull: &'a [f64],
    aimed: &'a [f64],
    fixed: &'a [f64],
    bends: &'a [f64],
}

impl<'a> Sums<'a> {
    fn new(sums: &'a [f64], variables: usize) -> Self {
        let (totals, rest) = sums.split_at(3);
        let (pull, rest) = rest.split_at(variables);
        let (aimed, rest) = rest.split_at(variables);
        let (fixed, bends) = rest.split_at(variables);
        assert_eq!(bends.len(), triangle_len(variables), "the sums are those of the variables");
        Self { hinge: totals[0], alpha: totals[1], product: totals[2], pull, aimed, fixed, bends }
    }
}

impl InteriorPoint {
    /// A solver in these variables that first asks for the sums at weights of 0.
    #[must_use]
    pub fn new(conditioning: Conditioning, options: InteriorPointOptions) -> Self {
        let output = Outputs::new(vec![conditioning]);
        let zeros = vec![0.0; output.variable_count()];
        Self {
            options,
            output,
            steps: Vec::new(),
            point: zeros.clone(),
            from: zeros,
            before: None,
            best: None,
            rounds: 0,
            stalled_rounds: 0,
            verdict: Verdict::Evaluate,
        }
    }

    /// The path at whose end sums are wanted.
    #[must_use]
    pub fn steps(&self) -> &[PathStep] {
        &self.steps
    }

    /// Change of the intercept at the mean row and of the raw weights by a step.
    #[must_use]
    pub fn raw(&self, step: &PathStep) -> (f64, Vec<f64>) {
        self.output.first().parameters(&step.direction)
    }

    /// Evaluations so far.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// What [`Self::tell`] said last.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The point of the smallest gap, and the gap; `None` before the first evaluation.
    #[must_use]
    pub fn solution(&self) -> Option<(&Evaluated, f64)> {
        self.best.as_ref().map(|(evaluated, gap)| (evaluated, *gap))
    }

    /// Takes the reduced sums of [`crate::kernel::hinge_path`], all finite, over `row_count` rows. After a final verdict
    /// it repeats that verdict.
    ///
    /// # Panics
    /// If there are not as many as the variables have.
    pub fn tell(&mut self, sums: &[f64], row_count: usize) -> Verdict {
        if self.verdict != Verdict::Evaluate {
            return self.verdict;
        }
        let (sums, rows) = (Sums::new(sums, self.point.len()), row_count as f64);
        self.rounds += 1;
        let (here, gap) = self.judge(&sums, rows);
        let (value, gradient) = (here.value, here.gradient.clone());
        self.note_progress(here, gap);
        self.verdict = match () {
            () if gap.abs() <= self.options.gap_max * value => Verdict::Converged,
            () if self.rounds >= self.options.rounds_max => Verdict::Stopped(StopReason::RoundsMax),
            () if self.steps.len() >= STEPS_MAX => Verdict::Stopped(StopReason::RoundsMax),
            () if self.stalled_rounds >= STALLED_ROUNDS_MAX => Verdict::Stopped(StopReason::FloatingPointFloor),
            () if self.leads_nowhere(sums.product / rows, gap) => self.shorten(),
            () => self.step(&sums, rows, gap, &gradient),
        };
        self.verdict
    }

    /// The objective at the end of the path, the gradient that its multipliers leave, and the gap to their dual objective.
    fn judge(&self, sums: &Sums<'_>, rows: f64) -> (Evaluated, f64) {
        let variables = self.point.len();
        let with_slopes: Vec<f64> = std::iter::once(sums.hinge).chain(sums.pull.iter().map(|pull| -pull)).collect();
        let (value, gradient) = self.output.objective(&self.point, &with_slopes);
        let pull = self.output.objective(&vec![0.0; variables], &[&[0.0], sums.pull].concat()).1;
        let penalty = self.output.curvature(&vec![0.0; triangle_len(variables)]);
        // A free intercept has no penalty, and no part in the dual objective: its multipliers balance.
        let is_free = penalty.at(0, 0) == 0.0;
        let penalised: Vec<usize> = (usize::from(is_free)..variables).collect();
        let pull: Vec<f64> = penalised.iter().map(|variable| pull[*variable]).collect();
        let norm: f64 = penalty.restricted(&penalised).stiff_solve(&pull).iter().zip(&pull).map(|(a, b)| a * b).sum();
        let unbalanced = if is_free { (gradient[0] * self.point[0]).abs() } else { 0.0 };
        let gap = value - (sums.alpha / rows - norm / 2.0) + unbalanced;
        (Evaluated { point: self.point.clone(), value, gradient }, gap)
    }

    fn note_progress(&mut self, here: Evaluated, gap: f64) {
        if self.best.as_ref().is_some_and(|(_, least)| gap.abs() >= least.abs()) {
            self.stalled_rounds += 1;
            return;
        }
        self.stalled_rounds = 0;
        self.best = Some((here, gap));
    }

    fn leads_nowhere(&self, product: f64, gap: f64) -> bool {
        let (Some((product_before, gap_before)), Some(last)) = (self.before, self.steps.last()) else { return false };
        product > product_before * (1.0 - SHRINKING * last.length)
            && gap > gap_before * (1.0 - GAP_PROGRESS)
            && last.length > LENGTH_MIN
    }

    fn shorten(&mut self) -> Verdict {
        let last = self.steps.last_mut().expect("a step has led nowhere");
        last.length *= SHORTENING;
        self.point = end(&self.from, last);
        Verdict::Evaluate
    }

    fn step(&mut self, sums: &Sums<'_>, rows: f64, gap: f64, gradient: &[f64]) -> Verdict {
        let product = sums.product / rows;
        let aim = match self.steps.last().map_or(1.0, |last| last.length) {
            1.0 => AIMS[0],
            length if length < SHORT => AIMS[2],
            _ => AIMS[1],
        };
        let target = aim * product;
        let push: Vec<f64> = sums.aimed.iter().zip(sums.fixed).map(|(aimed, fixed)| target * aimed + fixed).collect();
        let push = self.output.objective(&vec![0.0; self.point.len()], &[&[0.0], push.as_slice()].concat()).1;
        let right: Vec<f64> = push.iter().zip(gradient).map(|(push, gradient)| push - gradient).collect();
        let step = PathStep { direction: self.output.curvature(sums.bends).stiff_solve(&right), length: 1.0, target };
        self.from = std::mem::take(&mut self.point);
        self.point = end(&self.from, &step);
        self.before = Some((product, gap));
        self.steps.push(step);
        Verdict::Evaluate
    }
}

fn end(from: &[f64], step: &PathStep) -> Vec<f64> {
    from.iter().zip(&step.direction).map(|(x, d)| x + step.length * d).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};

    use super::*;
    use crate::kernel::{BlockView, HingeProblem, HingeStep, Loss, hinge_path};
    use crate::optimiser::conditioning::TargetMoments;
    use crate::scaling::ColumnScaling;

    fn solver(features: usize, l2: f64, rows: usize, gap_max: f64) -> InteriorPoint {
        let scaling = ColumnScaling { mean: vec![0.0; features], scale: vec![1.0; features] };
        let target = TargetMoments { mean: 0.5, variance: 0.25 };
        let conditioning = Conditioning::new(scaling, target, Loss::SquaredHinge, l2, false, rows);
        InteriorPoint::new(conditioning, InteriorPointOptions { gap_max, rounds_max: 200 })
    }

    fn run(solver: &mut InteriorPoint, x: &Array2<f64>, y: &Array1<f64>) -> Verdict {
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let mean = vec![0.0; x.ncols()];
        loop {
            let raw: Vec<(f64, Vec<f64>)> = solver.steps().iter().map(|step| solver.raw(step)).collect();
            let step = |(step, raw): (&PathStep, &(f64, Vec<f64>))| (raw.0, step.length, step.target);
            let of = solver.steps().iter().zip(&raw).map(step);
            let steps = of.zip(&raw).map(|((intercept, length, target), raw)| HingeStep {
                direction: &raw.1,
                intercept,
                length,
                target,
            });
            let problem = HingeProblem { class: 1, steps: steps.collect() };
            let sums = hinge_path(block, &mean, 0, &[problem]).unwrap();
            match solver.tell(&sums, x.nrows()) {
                Verdict::Evaluate => {}
                verdict => return verdict,
            }
        }
    }

    #[test]
    fn two_rows_are_held_apart_by_the_widest_margin() {
        // Rows at 3 and 1: the widest margin is that of x - 2, and a penalty this small leaves no row within it.
        let (x, y) = (Array2::from_shape_vec((2, 1), vec![3.0, 1.0]).unwrap(), Array1::from(vec![1.0, 0.0]));
        let mut solver = solver(1, 1e-3, 2, 1e-12);
        assert_eq!(run(&mut solver, &x, &y), Verdict::Converged);
        let (solution, gap) = solver.solution().unwrap();
        assert!((solution.value - 0.5e-3).abs() < 1e-12 && gap < 1e-14, "{solution:?}");
        let (intercept, weights) = solver.output.first().parameters(&solution.point);
        assert!((weights[0] - 1.0).abs() < 1e-6 && (intercept + 2.0).abs() < 1e-6, "{weights:?} {intercept}");
        assert!(solver.rounds() < 40, "{}", solver.rounds());
    }

    /// Labels that no line divides, and rows that are there many times.
    fn mixed() -> (Array2<f64>, Array1<f64>) {
        let x = Array2::from_shape_fn((90, 3), |(row, column)| ((row * (7 + column) + column * 5) % 13) as f64 - 6.0);
        let y = Array1::from_shape_fn(90, |row| f64::from(u8::from((row * 7) % 13 > 5 || row % 17 == 0)));
        (x, y)
    }

    #[test]
    fn the_gap_bounds_what_any_other_point_could_gain() {
        let (x, y) = mixed();
        let mut solver = solver(3, 0.01, 90, 1e-12);
        assert_eq!(run(&mut solver, &x, &y), Verdict::Converged);
        let (solution, gap) = solver.solution().unwrap();
        let (intercept, weights) = solver.output.first().parameters(&solution.point);
        let value = |intercept: f64, weights: &[f64]| {
            let hinge = |(row, y): (ndarray::ArrayView1<'_, f64>, &f64)| {
                let margin = intercept + row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>();
                (1.0 - if *y == 1.0 { margin } else { -margin }).max(0.0)
            };
            let loss: f64 = x.outer_iter().zip(&y).map(hinge).sum();
            loss / 90.0 + 0.005 * weights.iter().map(|w| w * w).sum::<f64>()
        };
        assert!((value(intercept, &weights) - solution.value).abs() < 1e-14);
        for variable in 0..4 {
            for by in [-1e-3, -1e-6, 1e-6, 1e-3] {
                let mut moved = weights.clone();
                let there = if variable == 3 { intercept + by } else { intercept };
                if variable < 3 {
                    moved[variable] += by;
                }
                assert!(value(there, &moved) >= solution.value - gap.abs(), "{variable} {by}");
            }
        }
    }

    #[test]
    fn the_number_of_evaluations_is_bounded_and_the_verdict_stays() {
        let (x, y) = mixed();
        let mut solver = solver(3, 0.01, 90, 1e-12);
        solver.options.rounds_max = 4;
        let verdict = run(&mut solver, &x, &y);
        assert_eq!((verdict, solver.rounds()), (Verdict::Stopped(StopReason::RoundsMax), 4));
        assert!(solver.solution().unwrap().1 > 1e-6);
    }

    #[test]
    fn a_gap_below_rounding_is_not_called_convergence() {
        let (x, y) = mixed();
        let mut solver = solver(3, 0.01, 90, 1e-30);
        let verdict = run(&mut solver, &x, &y);
        let (solution, gap) = solver.solution().unwrap();
        assert!(matches!(verdict, Verdict::Stopped(_)) || gap == 0.0, "{verdict:?} {gap:e}");
        assert!(gap.abs() < 1e-13 * solution.value.max(1.0), "{gap:e}");
    }
}
