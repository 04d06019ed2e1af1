//! Kernel machines from all training rows: of each pair of classes, or of a number. What comes of them is a vector of sums
//! like that of any pass, so that it finds its way through blocks and reduction.

use ndarray::ArrayView2;
use odeon_protocol::block::F64Block;
use serde::{Deserialize, Serialize};

use super::{
    Gamma, GammaRule, KernelFunction, SupportRows, SupportVectors, SvmSettings, pairs, place_of,
    smo::{Dual, Minimum},
};

/// Values of a machine before the multipliers.
const VALUES_OF_MACHINE: usize = 4;

/// What is to be solved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SvmProblem {
    /// The largest multiplier, scikit-learn's `C`.
    pub c: f64,
    /// Classes of the target; 0 for a number.
    pub class_count: usize,
    /// Subtracted from every row.
    pub mean: F64Block,
    /// What every row is then divided by.
    pub scale: F64Block,
    /// Kernel and tolerance.
    pub settings: SvmSettings,
}

impl SvmProblem {
    fn machines(&self) -> usize {
        if self.class_count == 0 { 1 } else { self.class_count * (self.class_count - 1) / 2 }
    }

    /// Multipliers of a row.
    fn places(&self) -> usize {
        if self.class_count == 0 { 1 } else { self.class_count - 1 }
    }

    fn scaled(&self, row: impl Iterator<Item = f64>) -> Vec<f64> {
        row.zip(&self.mean.0).zip(&self.scale.0).map(|((x, mean), scale)| (x - mean) / scale).collect()
    }

    fn kernel(&self, gamma: f64) -> KernelFunction {
        let SvmSettings { kernel, degree, coef0, .. } = self.settings;
        KernelFunction { coef0, degree, gamma, kind: kernel }
    }
}

/// Number of sums of [`solve`] over so many rows.
#[must_use]
pub fn svm_sums(problem: &SvmProblem, rows: usize) -> usize {
    1 + VALUES_OF_MACHINE * problem.machines() + rows * problem.places()
}

/// `gamma`; then of each machine its intercept, dual objective, steps and violation; then for each row its signed multipliers.
///
/// A class's machines are solved on its rows and then those of the other class, each in the order of `x`. Targets are the
/// numbers of classes, or numbers.
///
/// # Source
/// Cortes, Vapnik, *Support-vector networks*, Machine Learning 20, 1995, eq. 24; Smola, Schölkopf, *A tutorial on support
/// vector regression*, Statistics and Computing 14, 2004, eq. 10; one against one as in Chang, Lin 2011, section 7.
///
/// # Panics
/// If shapes differ or a target is no class: the caller has checked both.
#[must_use]
pub fn solve(x: ArrayView2<'_, f64>, y: &[f64], problem: &SvmProblem) -> Vec<f64> {
    let scaled: Vec<Vec<f64>> = x.outer_iter().map(|row| problem.scaled(row.iter().copied())).collect();
    let rows: Vec<&[f64]> = scaled.iter().map(Vec::as_slice).collect();
    let gamma = gamma(&rows, problem.settings.gamma);
    let machines = match problem.class_count {
        0 => vec![of_number(&rows, y, problem, gamma)],
        classes => pairs(classes).map(|pair| of_pair(&rows, y, pair, problem, gamma)).collect(),
    };
    let mut sums = vec![gamma];
    let mut multipliers = vec![0.0; rows.len() * problem.places()];
    for machine in machines {
        let Machine { intercept, objective, steps, violation, of_rows } = machine;
        sums.extend([intercept, objective, steps as f64, violation]);
        for (row, place, value) in of_rows {
            multipliers[row * problem.places() + place] = value;
        }
    }
    sums.extend(multipliers);
    sums
}

struct Machine {
    intercept: f64,
    objective: f64,
    steps: u64,
    violation: f64,
    /// Row, place and signed multiplier.
    of_rows: Vec<(usize, usize, f64)>,
}

fn of_pair(rows: &[&[f64]], y: &[f64], pair: (usize, usize), problem: &SvmProblem, gamma: f64) -> Machine {
    let of_class = |class: usize| (0..rows.len()).filter(move |row| y[*row] == class as f64);
    let numbers: Vec<usize> = of_class(pair.0).chain(of_class(pair.1)).collect();
    let chosen: Vec<&[f64]> = numbers.iter().map(|row| rows[*row]).collect();
    let is_first = |row: usize| y[row] == pair.0 as f64;
    let dual = Dual {
        rows: &chosen,
        signs: numbers.iter().map(|row| if is_first(*row) { 1.0 } else { -1.0 }).collect(),
        linear: vec![-1.0; chosen.len()],
        bound: problem.c,
        kernel: problem.kernel(gamma),
        rounds: problem.settings.kernel_bits == 32,
    };
    let minimum = dual.minimum(problem.settings.tolerance, u64::from(problem.settings.iterations_max));
    let signed = |(index, alpha): (usize, &f64)| {
        let row = numbers[index];
        let (class, other) = if is_first(row) { pair } else { (pair.1, pair.0) };
        (row, place_of(class, other), dual.signs[index] * alpha)
    };
    let of_rows = minimum.alpha.iter().enumerate().map(signed).collect();
    machine(&dual, &minimum, of_rows)
}

/// Rows come twice: with a multiplier for being predicted too low, and one for too high.
fn of_number(rows: &[&[f64]], y: &[f64], problem: &SvmProblem, gamma: f64) -> Machine {
    let (count, epsilon) = (rows.len(), problem.settings.epsilon);
    let dual = Dual {
        rows,
        signs: (0..2 * count).map(|index| if index < count { 1.0 } else { -1.0 }).collect(),
        linear: y.iter().map(|y| epsilon - y).chain(y.iter().map(|y| epsilon + y)).collect(),
        bound: problem.c,
        kernel: problem.kernel(gamma),
        rounds: problem.settings.kernel_bits == 32,
    };
    let minimum = dual.minimum(problem.settings.tolerance, u64::from(problem.settings.iterations_max));
    let of_rows = (0..count).map(|row| (row, 0, minimum.alpha[row] - minimum.alpha[count + row])).collect();
    machine(&dual, &minimum, of_rows)
}

fn machine(dual: &Dual<'_>, minimum: &Minimum, of_rows: Vec<(usize, usize, f64)>) -> Machine {
    let objective = -dual.objective(&minimum.alpha);
    let Minimum { offset, steps, violation, .. } = *minimum;
    Machine { intercept: -offset, objective, steps, violation, of_rows }
}

fn gamma(rows: &[&[f64]], setting: Gamma) -> f64 {
    let features = rows.first().map_or(1, |row| row.len()) as f64;
    let values = || rows.iter().flat_map(|row| row.iter().copied());
    let count = rows.len() as f64 * features;
    match setting {
        Gamma::Value(gamma) => gamma,
        Gamma::Rule(GammaRule::Auto) => 1.0 / features,
        Gamma::Rule(GammaRule::Scale) => {
            let mean = values().sum::<f64>() / count;
            let variance = values().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
            if variance > 0.0 { 1.0 / (features * variance) } else { 1.0 }
        }
    }
}

/// What a worker has solved, as the coordinator reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SvmOutcome {
    gamma: f64,
    intercepts: Vec<f64>,
    /// Sum of the dual objectives of all machines.
    pub objective: f64,
    /// Of all machines.
    pub steps: u64,
    /// The largest of all machines.
    pub violation: f64,
    /// Signed multipliers, row by row.
    multipliers: Vec<f64>,
    places: usize,
}

impl SvmOutcome {
    /// From the sums of [`solve`].
    #[must_use]
    pub fn new(sums: &[f64], problem: &SvmProblem) -> Self {
        let (gamma, rest) = sums.split_first().expect("the sums begin with gamma");
        let (machines, multipliers) = rest.split_at(VALUES_OF_MACHINE * problem.machines());
        let column = |place: usize| machines.chunks_exact(VALUES_OF_MACHINE).map(move |values| values[place]);
        Self {
            gamma: *gamma,
            intercepts: column(0).collect(),
            objective: column(1).sum(),
            steps: column(2).map(|steps| steps as u64).sum(),
            violation: column(3).fold(0.0, f64::max),
            multipliers: multipliers.to_vec(),
            places: problem.places(),
        }
    }

    /// For each row whether it has a multiplier that is not 0.
    #[must_use]
    pub fn is_support(&self) -> Vec<bool> {
        self.multipliers.chunks_exact(self.places).map(|of_row| of_row.iter().any(|value| *value != 0.0)).collect()
    }

    /// The machine, once the rows with multipliers are here: class by class, each in the order of the rows.
    #[must_use]
    pub fn machine(&self, rows: &SupportRows, problem: &SvmProblem) -> SupportVectors {
        let classes = problem.class_count;
        let class_of = |target: f64| if classes == 0 { 0 } else { target as usize };
        let mut ordered: Vec<&(usize, Vec<f64>, f64)> = rows.rows().iter().collect();
        ordered.sort_by_key(|(number, _, target)| (class_of(*target), *number));
        let coefficients = |number: usize| self.multipliers[number * self.places..(number + 1) * self.places].to_vec();
        SupportVectors {
            class_counts: (0..classes)
                .map(|class| ordered.iter().filter(|(_, _, target)| class_of(*target) == class).count())
                .collect(),
            coefficients: ordered.iter().map(|(number, _, _)| coefficients(*number)).collect(),
            feature_count: problem.mean.0.len(),
            intercepts: self.intercepts.clone(),
            kernel: problem.kernel(self.gamma),
            vectors: ordered.iter().map(|(_, row, _)| problem.scaled(row.iter().copied())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::svm::SvmKernel;

    fn problem(class_count: usize, kernel: SvmKernel) -> SvmProblem {
        let settings = SvmSettings { kernel, epsilon: 0.5, gamma: Gamma::Value(0.5), ..SvmSettings::default() };
        SvmProblem { c: 10.0, class_count, mean: vec![1.0].into(), scale: vec![2.0].into(), settings }
    }

    fn machine(x: &Array2<f64>, y: &[f64], problem: &SvmProblem) -> SupportVectors {
        let sums = solve(x.view(), y, problem);
        assert_eq!(sums.len(), svm_sums(problem, y.len()));
        let outcome = SvmOutcome::new(&sums, problem);
        let mut rows = SupportRows::new(outcome.is_support(), 1);
        while let Some(window) = rows.window() {
            let values = (window.from..window.from + window.rows).flat_map(|row| [x[[row, 0]], y[row]]);
            rows.absorb(&values.collect::<Vec<_>>());
        }
        outcome.machine(&rows, problem)
    }

    #[test]
    fn three_classes_on_a_line_are_told_apart_by_the_rows_between_them() {
        let (x, y) = (array![[9.0], [1.0], [5.0], [0.0], [4.0], [8.0]], [2.0, 0.0, 1.0, 0.0, 1.0, 2.0]);
        let machine = machine(&x, &y, &problem(3, SvmKernel::Linear));
        // Scaled: classes at 0 and -0.5, 2 and 1.5, 4 and 3.5.
        assert_eq!(machine.class_counts, [1, 2, 1]);
        assert_eq!(machine.vectors, [[0.0], [2.0], [1.5], [3.5]]);
        let classes = [-0.5, 0.0, 1.5, 2.0, 3.5, 4.0].map(|at| crate::svm::voted(&machine.scores(&[at])));
        assert_eq!(classes, [0, 0, 1, 1, 2, 2]);
        // The border between 0 and 1 is at 0.75, that between 1 and 2 at 2.75.
        assert!(machine.decisions(&[0.75])[0].abs() < 1e-12 && machine.decisions(&[2.75])[2].abs() < 1e-12);
    }

    #[test]
    fn a_number_is_met_up_to_epsilon_by_the_flattest_line() {
        // Scaled rows 0, 1, 2 with targets 0, 2, 4: within 1/2 the flattest line has slope 1.5.
        let (x, y) = (array![[1.0], [3.0], [5.0]], [0.0, 2.0, 4.0]);
        let machine = machine(&x, &y, &problem(0, SvmKernel::Linear));
        let values = [0.0, 1.0, 2.0].map(|at| machine.scores(&[at])[0]);
        assert!(
            values.iter().zip([0.5, 2.0, 3.5]).all(|(value, expected)| (value - expected).abs() < 1e-9),
            "{values:?}"
        );
        assert_eq!(machine.vectors, [[0.0], [2.0]]);
    }

    #[test]
    fn gamma_follows_its_rules() {
        let rows: [&[f64]; 2] = [&[1.0, 3.0], &[1.0, 3.0]];
        assert_eq!(gamma(&rows, Gamma::Rule(GammaRule::Scale)), 0.5);
        assert_eq!(gamma(&rows, Gamma::Rule(GammaRule::Auto)), 0.5);
        assert_eq!(gamma(&[&[2.0, 2.0][..]], Gamma::Rule(GammaRule::Scale)), 1.0);
        assert_eq!(gamma(&rows, Gamma::Value(0.3)), 0.3);
    }
}
