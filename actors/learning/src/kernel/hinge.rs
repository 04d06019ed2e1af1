//! What an interior-point method needs of rows with the hinge loss, in one reading.
//!
//! Each row has a multiplier and two slacks that follow the path of the method. Nobody stores them: they are made anew
//! from the steps so far, so that any worker can sum any block in any round, and gets the same bits.

use super::classes::class_number;
use super::curvature::{CURVATURE_ROWS, Products, ROWS_TOGETHER};
use super::tile::{Cell, LANES, Plane, Tile, Vector, vectors};
use super::{BlockView, KernelError, Predictor, check_label, check_shape, curvature_sums, vector::widest};

/// Part of its value that a multiplier or slack keeps at least in a step: it never reaches 0.
const KEPT: f64 = 0.1;

/// One machine: the rows of a class against all others.
#[derive(Debug, Clone, PartialEq)]
pub struct HingeProblem<'a> {
    /// The class, or label, whose rows are to have a margin of at least 1; the others at most -1.
    pub class: usize,
    /// Steps so far, from weights and intercept of 0.
    pub steps: Vec<HingeStep<'a>>,
}

/// A step of the method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HingeStep<'a> {
    /// Of the raw weights, shape `[features]`.
    pub direction: &'a [f64],
    /// Of the intercept at the mean row.
    pub intercept: f64,
    /// The part of the direction that is gone.
    pub length: f64,
    /// What products of multipliers and slacks aim at.
    pub target: f64,
}

/// A row on its way. With `m` the margin, times -1 for a row that is not of the class: `slack = m - 1 + excess > 0`.
#[derive(Debug, Clone, Copy)]
struct Row {
    margin: f64,
    /// Multiplier of the margin, between 0 and 1.
    alpha: f64,
    /// 1 minus it, with all its digits: the multiplier of `excess > 0`.
    beta: f64,
    excess: f64,
    slack: f64,
}

/// The Newton step of a row: its multiplier changes by `fixed + target · aimed - bend · Δm`.
struct Response {
    bend: f64,
    aimed: f64,
    fixed: f64,
}

impl Row {
    const START: Self = Self { margin: 0.0, alpha: 0.5, beta: 0.5, excess: 2.0, slack: 1.0 };

    #[inline(always)]
    fn response(&self) -> Response {
        let weight = self.slack + self.alpha * self.excess / self.beta;
        Response {
            bend: self.alpha / weight,
            aimed: (1.0 - self.alpha / self.beta) / weight,
            fixed: self.alpha * (self.excess - self.slack) / weight,
        }
    }

    /// Goes along a direction in which the margin changes by `change`.
    #[inline(always)]
    fn advance(&mut self, change: f64, length: f64, target: f64) {
        let Response { bend, aimed, fixed } = self.response();
        let rise = fixed + target * aimed - bend * change;
        let growth = (target - self.excess * self.beta + self.excess * rise) / self.beta;
        self.margin += length * change;
        let (alpha, beta) = (self.alpha + length * rise, self.beta - length * rise);
        (self.alpha, self.beta) = match () {
            () if alpha < KEPT * self.alpha => (KEPT * self.alpha, 1.0 - KEPT * self.alpha),
            () if beta < KEPT * self.beta => (1.0 - KEPT * self.beta, KEPT * self.beta),
            () => (alpha, beta),
        };
        let least = KEPT * self.excess;
        let mut excess = (self.excess + length * growth).max(least);
        let mut slack = self.margin - 1.0 + excess;
        if slack < KEPT * self.slack {
            slack = KEPT * self.slack;
            excess = slack + 1.0 - self.margin;
        }
        if excess < least {
            (excess, slack) = (least, self.margin - 1.0 + least);
        }
        (self.excess, self.slack) = (excess, slack);
    }
}

/// Number of sums of [`hinge_path`] for each problem.
#[must_use]
pub fn hinge_sums(feature_count: usize) -> usize {
    2 + 2 * (feature_count + 1) + curvature_sums(feature_count)
}

/// For each problem, with `s` 1 for a row of the class and -1 for another, `z` 1 followed by `x - mean`:
/// `[Σ max(0, 1 - m), Σ alpha, Σ (alpha·slack + beta·excess)/2, Σ alpha s z, Σ a s z, Σ f s z]`, then the upper triangle of
/// `Σ bend z zᵀ`, row by row. A step of target `t` changes multipliers by `f + t a - bend s·Δ(w·z)`.
///
/// `class_count` is 0 if targets are the labels 0 and 1.
///
/// # Errors
/// [`KernelError::ShapeMismatch`] if a step does not fit; [`KernelError::Label`] or [`KernelError::Class`] of a target.
///
/// # Source
/// Ferris, Munson, *Interior-point methods for massive support vector machines*, SIAM J. Optim. 13(3), 2003, section 3;
/// Woodsend, Gondzio, *Hybrid MPI/OpenMP parallel linear support vector machine training*, JMLR 10, 2009, section 3.
pub fn hinge_path<T: Cell>(
    block: BlockView<'_, T>,
    mean: &[f64],
    class_count: usize,
    problems: &[HingeProblem<'_>],
) -> Result<Vec<f64>, KernelError> {
    check_shape("features", block.feature_count(), mean.len())?;
    for step in problems.iter().flat_map(|problem| &problem.steps) {
        check_shape("features", mean.len(), step.direction.len())?;
    }
    for (row, (_, target)) in block.rows().enumerate() {
        match class_count {
            0 => check_label(target, row)?,
            _ => class_number(target, class_count, row).map(|_| ())?,
        }
    }
    let of_problem = |problem| widest(|| problem_sums(block, mean, problem));
    Ok(problems.iter().flat_map(of_problem).collect())
}

#[inline(always)]
fn problem_sums<T: Cell>(block: BlockView<'_, T>, mean: &[f64], problem: &HingeProblem<'_>) -> Vec<f64> {
    let (feature_count, zeros) = (mean.len(), vec![0.0; mean.len()]);
    let plane = Plane::new(&Predictor { mean, weights: &zeros, intercept: 0.0 });
    let directions: Vec<Vec<Vector>> = problem.steps.iter().map(|step| vectors(step.direction)).collect();
    let (width, mut products) = (plane.width(), Products::new(plane.width()));
    let mut centred = vec![Vector::ZERO; CURVATURE_ROWS * width];
    let (mut totals, mut ones) = ([0.0; 3], [0.0; 3]);
    let mut sums = [(); 3].map(|()| vec![Vector::ZERO; width]);
    for (_, cells, targets) in block.tiles::<CURVATURE_ROWS>() {
        let tile = Tile::<_, CURVATURE_ROWS>::read(cells, feature_count, &plane);
        tile.centre_into(&mut centred);
        let mut factors = [[0.0; CURVATURE_ROWS]; 3];
        let mut bends = [0.0; CURVATURE_ROWS];
        for (row, target) in targets.iter().enumerate() {
            let sign = if *target == problem.class as f64 { 1.0 } else { -1.0 };
            let cells = &centred[row * width..(row + 1) * width];
            let mut at = Row::START;
            for (step, direction) in problem.steps.iter().zip(&directions) {
                at.advance(sign * (step.intercept + dot(cells, direction)), step.length, step.target);
            }
            let Response { bend, aimed, fixed } = at.response();
            totals[0] += (1.0 - at.margin).max(0.0);
            totals[1] += at.alpha;
            totals[2] += 0.5 * (at.alpha * at.slack + at.beta * at.excess);
            for (which, value) in [at.alpha, aimed, fixed].into_iter().enumerate() {
                factors[which][row] = sign * value;
                ones[which] += sign * value;
            }
            bends[row] = bend;
        }
        for (factors, sums) in factors.iter().zip(&mut sums) {
            tile.add_scaled(&factors[..targets.len()], sums);
        }
        products.add(&centred, &bends, targets.len().div_ceil(ROWS_TOGETHER));
    }
    let mut all = totals.to_vec();
    for (one, sums) in ones.iter().zip(&sums) {
        all.push(*one);
        all.extend(sums.iter().flat_map(|vector| vector.0).take(feature_count));
    }
    products.extend_upper(&mut all, feature_count);
    all
}

#[inline(always)]
fn dot(cells: &[Vector], direction: &[Vector]) -> f64 {
    let mut lanes = Vector::ZERO;
    cells.iter().zip(direction).for_each(|(a, b)| lanes.add_product(a, b));
    let mut sum = 0.0;
    for lane in 0..LANES {
        sum += lanes.0[lane];
    }
    sum
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, array};

    use super::*;

    fn data() -> (Array2<f64>, Array1<f64>) {
        let x = Array2::from_shape_fn((37, 3), |(row, column)| ((row * 7 + column * 5) % 11) as f64 - 4.0);
        (x, Array1::from_shape_fn(37, |row| (row % 3) as f64))
    }

    #[test]
    fn a_row_at_the_start_is_summed_by_hand() {
        let (x, y) = (array![[3.0]], array![0.0]);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let problem = HingeProblem { class: 1, steps: Vec::new() };
        // Half of the multiplier, slacks of 1 and 2: bend 1/2 over 3, no change by the target, and a rise of 1/6.
        let sixth = 0.5 / 3.0;
        let expected = [1.0, 0.5, 0.75, -0.5, -1.0, -0.0, -0.0, -sixth, -2.0 * sixth, sixth, 2.0 * sixth, 4.0 * sixth];
        assert_eq!(hinge_path(block, &[1.0], 0, &[problem]).unwrap(), expected);
    }

    #[test]
    fn multipliers_and_slacks_stay_within_their_bounds_on_any_path() {
        for (change, target) in [(50.0, 1e-3), (-50.0, 1e-3), (0.3, 1e-9), (-1e-3, 0.5)] {
            let mut row = Row::START;
            for length in [1.0, 0.4, 1.0, 0.16, 1.0] {
                row.advance(change, length, target);
                assert!(row.alpha > 0.0 && row.beta > 0.0 && row.excess > 0.0 && row.slack > 0.0, "{row:?}");
                assert!((row.alpha + row.beta - 1.0).abs() < 1e-15, "{row:?}");
                assert!((row.slack - (row.margin - 1.0 + row.excess)).abs() < 1e-12 * row.excess.max(1.0), "{row:?}");
            }
        }
    }

    #[test]
    fn a_full_step_that_meets_no_bound_solves_the_linear_equations_of_a_row() {
        let (mut row, before, change, target) = (Row::START, Row::START, 0.01, 0.7);
        row.advance(change, 1.0, target);
        let (rise, growth, gain) = (row.alpha - before.alpha, row.excess - before.excess, row.slack - before.slack);
        let of_margin = before.slack * rise + before.alpha * gain + before.slack * before.alpha;
        let of_excess = -before.excess * rise + before.beta * growth + before.excess * before.beta;
        assert!((of_margin - target).abs() < 1e-15 && (of_excess - target).abs() < 1e-15, "{of_margin} {of_excess}");
    }

    #[test]
    fn problems_stand_one_behind_the_other_and_know_their_class() {
        let (x, y) = data();
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let step = HingeStep { direction: &[0.1, -0.2, 0.05], intercept: 0.3, length: 0.4, target: 0.01 };
        let problem = |class| HingeProblem { class, steps: vec![step; 2] };
        let both = hinge_path(block, &[0.5; 3], 3, &[problem(0), problem(2)]).unwrap();
        assert_eq!(both.len(), 2 * hinge_sums(3));
        assert_eq!(both[hinge_sums(3)..], hinge_path(block, &[0.5; 3], 3, &[problem(2)]).unwrap());
        let narrow = x.mapv(|cell| cell as f32);
        let stored = BlockView::new(narrow.view(), y.view()).unwrap();
        assert_eq!(hinge_path(stored, &[0.5; 3], 3, &[problem(0), problem(2)]).unwrap(), both);
    }

    #[test]
    fn a_wrong_shape_and_a_wrong_target_are_refused() {
        let (x, y) = data();
        let block = BlockView::new(x.view(), y.view()).unwrap();
        assert_eq!(hinge_path(block, &[0.0; 3], 0, &[]), Err(KernelError::Label { value: 2.0, row: 2 }));
        let class = Err(KernelError::Class { value: 2.0, row: 2, class_count: 2 });
        assert_eq!(hinge_path(block, &[0.0; 3], 2, &[]), class);
        let step = HingeStep { direction: &[0.1], intercept: 0.0, length: 1.0, target: 1.0 };
        let problem = HingeProblem { class: 1, steps: vec![step] };
        assert!(matches!(hinge_path(block, &[0.0; 3], 3, &[problem]), Err(KernelError::ShapeMismatch { .. })));
    }
}
