//! `[model.boosting]`: trees that are grown one after the other, each on what those before it leave; and when to stop.
//!
//! How one of them is grown is in `tree::histogram`, which passes that takes in the training program.

use serde::{Deserialize, Serialize};

use crate::tree::histogram::BINS_MAX;

/// How trees are boosted, in the names of scikit-learn's `HistGradientBoosting`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BoostingSettings {
    /// The part of what a leaf would say that it does say.
    pub learning_rate: f64,
    /// Most rounds; a round grows a tree, or one for each of more than two classes.
    pub max_iter: usize,
    /// Most leaves of a tree.
    pub max_leaf_nodes: usize,
    /// Most splits on the way to a leaf.
    pub max_depth: Option<usize>,
    /// Least rows of a leaf.
    pub min_samples_leaf: usize,
    /// Penalty on the squares of what leaves say.
    pub l2_regularization: f64,
    /// Most bins of a feature.
    pub max_bins: usize,
    /// Whether rounds end when they help no more.
    pub early_stopping: bool,
    /// The part of the training rows that no tree is grown from, and that tells whether a round has helped; 0 if it is
    /// told by all of them.
    pub validation_fraction: f64,
    /// Rounds without help after which it ends.
    pub n_iter_no_change: usize,
    /// By how much the loss falls, at least, if a round has helped.
    pub tol: f64,
    /// Draws the rows that are held out.
    pub seed: u64,
}

impl Default for BoostingSettings {
    fn default() -> Self {
        Self {
            learning_rate: 0.1,
            max_iter: 100,
            max_leaf_nodes: 31,
            max_depth: None,
            min_samples_leaf: 20,
            l2_regularization: 0.0,
            max_bins: BINS_MAX,
            early_stopping: false,
            validation_fraction: 0.1,
            n_iter_no_change: 10,
            tol: 1e-7,
            seed: 42,
        }
    }
}

impl BoostingSettings {
    /// The part of the rows that is held out.
    #[must_use]
    pub fn held_out(&self) -> f64 {
        if self.early_stopping { self.validation_fraction } else { 0.0 }
    }

    /// Whether the last rounds have helped too little to go on; `losses` begins before the first round.
    ///
    /// # Source
    /// The rule of scikit-learn's `HistGradientBoosting`.
    #[must_use]
    pub fn is_enough(&self, losses: &[f64]) -> bool {
        let Some(before) = losses.len().checked_sub(self.n_iter_no_change + 1) else { return false };
        self.early_stopping && losses[before + 1..].iter().all(|loss| *loss >= losses[before] - self.tol)
    }

    /// Most nodes of all trees of so many outputs.
    #[must_use]
    pub fn nodes_max(&self, outputs: usize) -> usize {
        let by_depth =
            self.max_depth.map_or(usize::MAX, |depth| 1_usize.checked_shl(depth as u32).unwrap_or(usize::MAX));
        let leaves = self.max_leaf_nodes.min(by_depth);
        self.max_iter.saturating_mul(outputs).saturating_mul(2 * leaves - 1)
    }

    /// The first key whose value is out of bounds, and what is wrong with it.
    pub(crate) fn fault(&self) -> Option<(&'static str, String)> {
        let positive = |value: f64| value > 0.0 && value <= f64::MAX;
        let faults = [
            ("learning_rate", !positive(self.learning_rate), format!("{:?} is not above 0", self.learning_rate)),
            ("max_iter", self.max_iter == 0, "at least one round is needed".to_owned()),
            ("max_leaf_nodes", self.max_leaf_nodes < 2, "a tree that is split has at least 2 leaves".to_owned()),
            ("max_depth", self.max_depth == Some(0), "a tree of depth 0 says the same of all rows".to_owned()),
            ("min_samples_leaf", self.min_samples_leaf == 0, "a leaf has at least 1 row".to_owned()),
            (
                "l2_regularization",
                !(0.0..=f64::MAX).contains(&self.l2_regularization),
                format!("{:?} is not a number from 0", self.l2_regularization),
            ),
            (
                "max_bins",
                !(2..=BINS_MAX).contains(&self.max_bins),
                format!("{} is not between 2 and {BINS_MAX}", self.max_bins),
            ),
            (
                "validation_fraction",
                !(0.0..1.0).contains(&self.validation_fraction),
                format!("{:?} is not from 0 to below 1", self.validation_fraction),
            ),
            ("n_iter_no_change", self.n_iter_no_change == 0, "at least one round is looked at".to_owned()),
            ("tol", !(0.0..=f64::MAX).contains(&self.tol), format!("{:?} is not a number from 0", self.tol)),
        ];
        faults.into_iter().find(|(_, is_wrong, _)| *is_wrong).map(|(key, _, problem)| (key, problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_end_when_none_of_the_last_has_helped() {
        let settings = BoostingSettings { early_stopping: true, n_iter_no_change: 2, tol: 0.1, ..Default::default() };
        assert!(!settings.is_enough(&[1.0, 1.0]), "too few to tell");
        assert!(settings.is_enough(&[1.0, 0.95, 0.92]));
        assert!(!settings.is_enough(&[1.0, 0.95, 0.85]));
        assert!(!settings.is_enough(&[1.0, 0.85, 0.95]), "one of them has helped");
        assert!(settings.is_enough(&[2.0, 1.0, 1.5, 0.95]));
        assert!(!BoostingSettings { early_stopping: false, ..settings }.is_enough(&[1.0, 1.0, 1.0]));
    }

    #[test]
    fn each_value_out_of_bounds_is_named() {
        type Spoil = fn(&mut BoostingSettings);
        let spoiled: [(&str, Spoil); 10] = [
            ("learning_rate", |settings| settings.learning_rate = f64::NAN),
            ("max_iter", |settings| settings.max_iter = 0),
            ("max_leaf_nodes", |settings| settings.max_leaf_nodes = 1),
            ("max_depth", |settings| settings.max_depth = Some(0)),
            ("min_samples_leaf", |settings| settings.min_samples_leaf = 0),
            ("l2_regularization", |settings| settings.l2_regularization = -1.0),
            ("max_bins", |settings| settings.max_bins = 256),
            ("validation_fraction", |settings| settings.validation_fraction = 1.0),
            ("n_iter_no_change", |settings| settings.n_iter_no_change = 0),
            ("tol", |settings| settings.tol = f64::INFINITY),
        ];
        for (key, spoil) in spoiled {
            let mut settings = BoostingSettings::default();
            assert_eq!(settings.fault(), None);
            spoil(&mut settings);
            assert_eq!(settings.fault().unwrap().0, key);
        }
    }

    #[test]
    fn the_most_nodes_follow_from_leaves_or_depth() {
        let settings = BoostingSettings { max_iter: 10, max_leaf_nodes: 31, ..Default::default() };
        assert_eq!(settings.nodes_max(3), 10 * 3 * 61);
        assert_eq!(BoostingSettings { max_depth: Some(2), ..settings }.nodes_max(1), 70);
        assert_eq!(BoostingSettings { max_depth: Some(64), ..settings }.nodes_max(1), 610);
    }
}
