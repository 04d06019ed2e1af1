//! Kernel support vector machines: their settings, and what they say of a row.
//!
//! Plain functions over rows that are at hand; which worker has them, and when, is the training program's.

mod fit;
mod gather;
mod kernel;
mod smo;

pub use fit::{SvmOutcome, SvmProblem, solve, svm_sums};
pub use gather::{SupportRows, TooManyRows};
pub use kernel::{KernelFunction, SvmKernel};

use serde::{Deserialize, Serialize};

use crate::kernel::largest;

/// Most training rows of a kernel machine: one worker solves for it, in one pass.
pub const SVM_ROWS_MAX: usize = 10_000;
/// Most training values, so that what is sent of them fits a frame of the fabric.
pub const SVM_VALUES_MAX: usize = 1 << 20;
/// The largest degree of a polynomial.
pub const SVM_DEGREE_MAX: u32 = 20;

/// How steep a kernel is, in scikit-learn's words.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Gamma {
    /// By a rule.
    Rule(GammaRule),
    /// A number above 0.
    Value(f64),
}

/// What a kernel's steepness is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GammaRule {
    /// 1 over the features times the variance of all values.
    Scale,
    /// 1 over the features.
    Auto,
}

/// `[model.svm]`: the kernel, and how closely it is solved for; in scikit-learn's names.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SvmSettings {
    /// Which kernel.
    pub kernel: SvmKernel,
    /// The `gamma` of all kernels but the linear one.
    pub gamma: Gamma,
    /// Degree of the polynomial kernel.
    pub degree: u32,
    /// Constant of the polynomial and the sigmoid kernel.
    pub coef0: f64,
    /// How far a prediction of a number may be off without cost.
    pub epsilon: f64,
    /// Solved once no pair of multipliers breaks the conditions of the optimum by more: scikit-learn's `tol`.
    pub tolerance: f64,
    /// Most steps of each machine.
    pub iterations_max: u32,
    /// Bits to which kernel values are rounded while it is solved for: 32, as libsvm does, or 64.
    pub kernel_bits: u32,
}

impl Default for SvmSettings {
    fn default() -> Self {
        Self {
            kernel: SvmKernel::Rbf,
            gamma: Gamma::Rule(GammaRule::Scale),
            degree: 3,
            coef0: 0.0,
            epsilon: 0.1,
            tolerance: 1e-8,
            iterations_max: 10_000_000,
            kernel_bits: 32,
        }
    }
}

/// A solved machine. The fields stand in alphabetical order, as in all of a model's bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SupportVectors {
    /// Support vectors of each class, which stand one class after the other; empty for a number.
    pub class_counts: Vec<usize>,
    /// For each support vector its signed multiplier in the machine against each other class, in their order; one for a
    /// number.
    pub coefficients: Vec<Vec<f64>>,
    /// Features of a row.
    pub feature_count: usize,
    /// Of each pair of classes, `(0, 1), (0, 2), … (1, 2), …`; one for a number.
    pub intercepts: Vec<f64>,
    /// With its constants.
    pub kernel: KernelFunction,
    /// Rows as the model scales them.
    pub vectors: Vec<Vec<f64>>,
}

impl SupportVectors {
    /// What a scaled row is given: the number; or for each of two classes the signed distance from the other; or for each
    /// of more its votes and, as a part of a vote below 1/3, how sure they are, which is `decision_function_shape="ovr"`
    /// in scikit-learn.
    #[must_use]
    pub fn scores(&self, row: &[f64]) -> Vec<f64> {
        let decisions = self.decisions(row);
        match self.class_counts.len() {
            0 => decisions,
            2 => vec![decisions[0], -decisions[0]],
            classes => {
                let (mut votes, mut sums) = (vec![0.0; classes], vec![0.0; classes]);
                for ((first, second), decision) in pairs(classes).zip(decisions) {
                    votes[if decision > 0.0 { first } else { second }] += 1.0;
                    sums[first] += decision;
                    sums[second] -= decision;
                }
                votes.iter().zip(sums).map(|(votes, sum)| votes + sum / (3.0 * (sum.abs() + 1.0))).collect()
            }
        }
    }

    /// For each pair of classes a number above 0 if the scaled row is rather of the first; or the one number.
    #[must_use]
    pub fn decisions(&self, row: &[f64]) -> Vec<f64> {
        let values: Vec<f64> = self.vectors.iter().map(|vector| self.kernel.value(vector, row)).collect();
        if self.class_counts.is_empty() {
            let terms = values.iter().zip(&self.coefficients).map(|(value, coefficients)| value * coefficients[0]);
            return vec![self.intercepts[0] + terms.sum::<f64>()];
        }
        let starts = self.starts();
        let sum = |class: usize, other: usize| -> f64 {
            let place = place_of(class, other);
            let vectors = starts[class]..starts[class] + self.class_counts[class];
            vectors.map(|vector| values[vector] * self.coefficients[vector][place]).sum()
        };
        let decision = |((first, second), intercept): ((usize, usize), &f64)| {
            intercept + (sum(first, second) + sum(second, first))
        };
        pairs(self.class_counts.len()).zip(&self.intercepts).map(decision).collect()
    }

    /// The coefficients as a matrix: for each support vector those of all decisions.
    #[must_use]
    pub fn by_decision(&self) -> Vec<Vec<f64>> {
        let classes = self.class_counts.len();
        if classes == 0 {
            return self.coefficients.clone();
        }
        let class_of =
            self.class_counts.iter().enumerate().flat_map(|(class, count)| std::iter::repeat_n(class, *count));
        let row = |(class, coefficients): (usize, &Vec<f64>)| {
            let of_pair = |(first, second): (usize, usize)| match class {
                class if class == first => coefficients[place_of(class, second)],
                class if class == second => coefficients[place_of(class, first)],
                _ => 0.0,
            };
            pairs(classes).map(of_pair).collect()
        };
        class_of.zip(&self.coefficients).map(row).collect()
    }

    /// Whether rows of `feature_count` features can go through it: a file may have been written by hand.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, feature_count: usize) -> Result<(), String> {
        let (vectors, classes) = (self.vectors.len(), self.class_counts.len());
        let (decisions, places) = if classes == 0 { (1, 1) } else { (classes * (classes - 1) / 2, classes - 1) };
        let fits = self.feature_count == feature_count
            && self.vectors.iter().all(|vector| vector.len() == feature_count)
            && self.coefficients.len() == vectors
            && self.coefficients.iter().all(|coefficients| coefficients.len() == places)
            && self.intercepts.len() == decisions
            && (classes == 0 || self.class_counts.iter().copied().try_fold(0, usize::checked_add) == Some(vectors));
        if fits { Ok(()) } else { Err(format!("{vectors} support vectors do not fit {feature_count} features")) }
    }

    fn starts(&self) -> Vec<usize> {
        let start = |start: &mut usize, count: &usize| Some(std::mem::replace(start, *start + count));
        self.class_counts.iter().scan(0, start).collect()
    }
}

/// The class with most votes, the first of equal ones: how sure votes are does not count, as in scikit-learn's `predict`.
#[must_use]
pub fn voted(scores: &[f64]) -> usize {
    match scores.len() {
        2 => largest(scores),
        _ => largest(&scores.iter().map(|score| score.round()).collect::<Vec<_>>()),
    }
}

/// Pairs of classes in their order.
pub(crate) fn pairs(classes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..classes).flat_map(move |first| (first + 1..classes).map(move |second| (first, second)))
}

/// Where the coefficient of a vector of `class` against another class stands.
fn place_of(class: usize, other: usize) -> usize {
    if other < class { other } else { other - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One vector of each of three classes, at 1, 2 and 4, with a linear kernel.
    fn machine() -> SupportVectors {
        SupportVectors {
            class_counts: vec![1, 1, 1],
            coefficients: vec![vec![1.0, 0.5], vec![-1.0, 2.0], vec![-0.5, -2.0]],
            feature_count: 1,
            intercepts: vec![0.5, 0.0, 1.0],
            kernel: KernelFunction { coef0: 0.0, degree: 3, gamma: 1.0, kind: SvmKernel::Linear },
            vectors: vec![vec![1.0], vec![2.0], vec![4.0]],
        }
    }

    #[test]
    fn decisions_and_votes_are_those_computed_by_hand() {
        // At 1: 0.5 + 1 - 2, 0.5 - 2, 1 + 4 - 8; each second class has the vote.
        assert_eq!(machine().decisions(&[1.0]), [-0.5, -1.5, -3.0]);
        let sure = |sum: f64| sum / (3.0 * (sum.abs() + 1.0));
        assert_eq!(machine().scores(&[1.0]), [0.0 + sure(-2.0), 1.0 + sure(-2.5), 2.0 + sure(4.5)]);
        assert_eq!(machine().by_decision(), [[1.0, 0.5, 0.0], [-1.0, 0.0, 2.0], [0.0, -0.5, -2.0]]);
    }

    #[test]
    fn of_equal_votes_the_first_class_is_taken_however_sure_the_others_are() {
        assert_eq!([voted(&[0.9, 1.2, 0.8]), voted(&[0.7, 2.2, -0.1]), voted(&[-0.4, 0.4])], [0, 1, 1]);
    }

    #[test]
    fn a_number_is_the_sum_alone_and_two_classes_have_opposite_distances() {
        let one = |class_counts| SupportVectors {
            class_counts,
            coefficients: vec![vec![2.0], vec![-1.0], vec![0.5]],
            intercepts: vec![0.25],
            ..machine()
        };
        assert_eq!(one(vec![]).scores(&[1.0]), [2.25]);
        let two = SupportVectors { class_counts: vec![1, 2], ..one(vec![]) };
        assert_eq!(two.scores(&[1.0]), [2.25, -2.25]);
        assert_eq!((two.check(1), two.check(2).is_err()), (Ok(()), true));
    }

    #[test]
    fn a_machine_whose_parts_do_not_fit_is_refused() {
        let spoiled: [fn(&mut SupportVectors); 6] = [
            |machine| machine.class_counts = vec![1, 1],
            |machine| machine.class_counts = vec![usize::MAX, 2, 2],
            |machine| machine.coefficients[1].clear(),
            |machine| drop(machine.coefficients.pop()),
            |machine| machine.intercepts.clear(),
            |machine| machine.vectors[2].push(0.0),
        ];
        for (which, spoil) in spoiled.into_iter().enumerate() {
            let mut machine = machine();
            spoil(&mut machine);
            assert!(machine.check(1).is_err(), "{which}");
        }
    }
}
