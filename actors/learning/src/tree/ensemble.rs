//! Many trees that are one model: boosted ones are added up, those of a forest are averaged.
//!
//! How they were grown is not known here.

use ndarray::ArrayView1;
use odeon_protocol::block::F64Block;
use serde::{Deserialize, Serialize};

use super::histogram::FlatTree;
use super::{Tree, rounded};
use crate::kernel::softmax;

/// Most nodes of all trees: they then fit a message.
pub const ENSEMBLE_NODES_MAX: usize = 200_000;

/// What becomes of what the trees say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// Their sum is a number.
    Identity,
    /// Their sum is the log-odds of the second of two classes.
    Logistic,
    /// Their sums are the logarithms of what classes have, up to what all have in common.
    Softmax,
}

/// Trees whose values are added up. The fields stand in alphabetical order, as in all of a model's bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    /// What each output says before the first tree.
    pub base: Vec<f64>,
    /// What becomes of the sums.
    pub link: Link,
    /// A tree of each output, and again.
    pub trees: Vec<Tree>,
}

/// The same in numbers alone, for many rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlatEnsemble {
    base: F64Block,
    link: Link,
    trees: Vec<FlatTree>,
}

impl Link {
    /// From sums to a prediction, or the probabilities of classes.
    fn scores(self, sums: &mut Vec<f64>) {
        match self {
            Self::Identity => {}
            Self::Logistic => {
                sums.insert(0, 0.0);
                softmax(sums);
            }
            Self::Softmax => softmax(sums),
        }
    }

    /// Scores of a row with so many sums.
    fn score_count(self, outputs: usize) -> usize {
        if self == Self::Logistic { 2 } else { outputs }
    }
}

impl Ensemble {
    /// The prediction of a row, or the probability of each class.
    #[must_use]
    pub fn scores(&self, row: ArrayView1<'_, f64>) -> Vec<f64> {
        let mut sums = self.base.clone();
        let outputs = sums.len();
        self.trees.iter().enumerate().for_each(|(number, tree)| sums[number % outputs] += tree.leaf(row).value[0]);
        self.link.scores(&mut sums);
        sums
    }

    /// Scores of a row.
    #[must_use]
    pub fn score_count(&self) -> usize {
        self.link.score_count(self.base.len())
    }

    /// Leaves of all trees.
    #[must_use]
    pub fn leaf_count(&self) -> usize {
        self.trees.iter().map(Tree::leaf_count).sum()
    }

    /// Splits on the way to the deepest leaf.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.trees.iter().map(Tree::depth).max().unwrap_or(0)
    }

    /// The part that each of so many features has in what all splits take away; all 0 without splits.
    #[must_use]
    pub fn importances(&self, feature_count: usize) -> Vec<f64> {
        let mut importances = vec![0.0; feature_count];
        self.trees.iter().for_each(|tree| tree.add_importances(&mut importances));
        super::as_parts(&mut importances);
        importances
    }

    /// Whether rows of `feature_count` features can go through it, and come out with a score for each of `class_count`
    /// classes, or with a number if that is 0.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, feature_count: usize, class_count: usize) -> Result<(), String> {
        let (outputs, is_of_numbers) = (self.base.len(), self.link == Link::Identity);
        let fits = match self.link {
            Link::Identity | Link::Logistic => outputs == 1,
            Link::Softmax => outputs > 2,
        };
        if !fits || is_of_numbers != (class_count == 0) || (!is_of_numbers && self.score_count() != class_count) {
            return Err(format!("trees of {outputs} outputs for {class_count} classes"));
        }
        if !self.trees.len().is_multiple_of(outputs) {
            return Err(format!("{} trees of {outputs} outputs", self.trees.len()));
        }
        self.trees.iter().enumerate().try_for_each(|(number, tree)| {
            let class_free = if tree.class_count == 0 { Ok(()) } else { Err("it is one of classes".to_owned()) };
            class_free.and_then(|()| tree.check(feature_count)).map_err(|fault| format!("tree {number}: {fault}"))
        })
    }
}

impl FlatEnsemble {
    /// The same trees.
    #[must_use]
    pub fn of(ensemble: &Ensemble) -> Self {
        let Ensemble { base, link, trees } = ensemble;
        Self { base: F64Block(base.clone()), link: *link, trees: trees.iter().map(FlatTree::of).collect() }
    }

    /// Scores of a row.
    #[must_use]
    pub fn score_count(&self) -> usize {
        self.link.score_count(self.base.0.len())
    }

    /// Classes; 0 of a number.
    #[must_use]
    pub fn class_count(&self) -> usize {
        if self.link == Link::Identity { 0 } else { self.score_count() }
    }

    /// Whether rows of so many features can go through it.
    #[must_use]
    pub fn is_sound(&self, feature_count: usize) -> bool {
        !self.base.0.is_empty() && self.trees.iter().all(|tree| tree.is_sound(feature_count))
    }

    /// The scores of a row, in the place of what was in `scores`.
    pub fn scores(&self, row: &[f64], scores: &mut Vec<f64>) {
        scores.clear();
        scores.extend_from_slice(&self.base.0);
        let outputs = self.base.0.len();
        for (number, tree) in self.trees.iter().enumerate() {
            let leaf = tree.leaf(|feature| rounded(row[feature as usize]));
            scores[number % outputs] += tree.nodes[leaf].value;
        }
        self.link.scores(scores);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{TreeSettings, grow};
    use ndarray::array;

    fn tree(targets: [f64; 4]) -> Tree {
        let x = array![[1.0, 0.0], [2.0, 0.0], [1.0, 3.0], [2.0, 3.0]];
        grow(x.view(), &targets, 0, &TreeSettings::default())
    }

    fn ensemble(link: Link, outputs: usize) -> Ensemble {
        let trees = [[0.0, 1.0, 0.0, 1.0], [0.5, 0.5, -0.5, -0.5], [2.0, 1.0, 2.0, 1.0]];
        Ensemble { base: vec![0.25; outputs], link, trees: trees.map(tree).to_vec() }
    }

    #[test]
    fn values_are_added_up_and_linked() {
        let row = array![3.0, 0.0];
        assert_eq!(ensemble(Link::Identity, 1).scores(row.view()), [0.25 + 1.0 + 0.5 + 1.0]);
        let odds = ensemble(Link::Logistic, 1).scores(row.view());
        assert!((odds[1] - 1.0 / (1.0 + (-2.75_f64).exp())).abs() < 1e-15 && (odds[0] + odds[1] - 1.0).abs() < 1e-15);
        let shares = ensemble(Link::Softmax, 3).scores(row.view());
        let expected = [1.0_f64, 0.5, 1.0].map(f64::exp);
        let whole: f64 = expected.iter().sum();
        assert!(shares.iter().zip(expected).all(|(share, value)| (share - value / whole).abs() < 1e-15));
    }

    #[test]
    fn in_numbers_alone_it_says_the_same() {
        for (link, outputs) in [(Link::Identity, 1), (Link::Logistic, 1), (Link::Softmax, 3)] {
            let ensemble = ensemble(link, outputs);
            let (flat, mut scores) = (FlatEnsemble::of(&ensemble), Vec::new());
            for row in [[0.0, 0.0], [2.0, 1.0], [2.5, 3.0], [9.0, 9.0]] {
                flat.scores(&row, &mut scores);
                assert_eq!(scores, ensemble.scores(ArrayView1::from(&row)));
            }
            assert_eq!((flat.score_count(), flat.is_sound(2), flat.is_sound(1)), (ensemble.score_count(), true, false));
        }
    }

    #[test]
    fn importances_count_all_trees() {
        let importances = ensemble(Link::Identity, 1).importances(3);
        let expected = [2.0 / 3.0, 1.0 / 3.0, 0.0];
        let far = importances.iter().zip(expected).any(|(value, expected)| (value - expected).abs() > 1e-12);
        assert!(!far, "{importances:?}");
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert_eq!(ensemble(Link::Identity, 1).check(2, 0), Ok(()));
        assert_eq!(ensemble(Link::Logistic, 1).check(2, 2), Ok(()));
        assert_eq!(ensemble(Link::Softmax, 3).check(2, 3), Ok(()));
        assert!(ensemble(Link::Identity, 1).check(2, 2).is_err() && ensemble(Link::Identity, 1).check(1, 0).is_err());
        assert!(ensemble(Link::Logistic, 1).check(2, 3).is_err() && ensemble(Link::Softmax, 3).check(2, 4).is_err());
        let mut short = ensemble(Link::Softmax, 3);
        short.trees.pop();
        assert!(short.check(2, 3).is_err());
    }
}
