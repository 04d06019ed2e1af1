//! The passes of trees: the rows of one come to the coordinator, or trees are grown where the rows are.

use super::{Fit, Pass, Phase, Progress, Trainer, error::TrainError, growth::Growth};
use crate::{
    job::TrainingJob,
    tree::{GatheredRows, TreeChoice, TreeMethod, Window},
};

impl Trainer {
    /// Classes of the target, as a tree counts them.
    fn tree_classes(&self) -> usize {
        if self.job.model.kind.is_classifier() { self.classes.len() } else { 0 }
    }

    /// The next window of rows.
    pub(super) fn rows_pass(&self, rows: &GatheredRows) -> Pass {
        let Window { from, rows } = rows.window().expect("this phase ends with the last window");
        Pass::Rows { from, rows, class_count: self.tree_classes() }
    }

    /// Takes a window of rows; with the last one the tree is grown.
    pub(super) fn absorb_rows(&mut self, sums: &[f64]) -> Option<Progress> {
        let class_count = self.tree_classes();
        let Phase::Gather { rows } = &mut self.phase else { unreachable!("called in this phase only") };
        rows.absorb(sums);
        if rows.window().is_some() {
            return None;
        }
        let tree = rows.grow(class_count, &self.job.model.tree);
        let objective = tree.remaining_impurity();
        self.phase = self.after(Fit::Grown(tree));
        Some(Progress { round: 1, objective, gradient_norm: 0.0 })
    }

    /// Takes the sums of a tree that is grown from histograms.
    pub(super) fn absorb_growth(&mut self, sums: &[f64]) -> Result<Option<Progress>, TrainError> {
        let Phase::Grow(growth) = &mut self.phase else { unreachable!("called in this phase only") };
        let progress = growth.absorb(sums)?;
        if let Some(fit) = growth.take() {
            self.phase = self.after(fit);
        }
        Ok(progress)
    }
}

/// Where a tree is grown; nothing for a model that is not one.
pub(super) fn choose_method(job: &TrainingJob, rows: usize, feature_count: usize) -> Option<TreeChoice> {
    let is_one = job.model.kind.is_tree();
    is_one.then(|| TreeChoice::new(job.model.tree.method, rows, feature_count))
}

/// The first phase of trees.
pub(super) fn first_phase(
    job: &TrainingJob,
    rows: usize,
    feature_count: usize,
    classes: &[String],
) -> Result<Phase, TrainError> {
    let classes = if job.model.kind.is_classifier() { classes } else { &[] };
    if job.model.kind.is_boosted() {
        let growth = Growth::boosted(job.model.boosting, rows, feature_count, classes)?;
        return Ok(Phase::Grow(Box::new(growth)));
    }
    let settings = &job.model.tree;
    Ok(match TreeChoice::new(settings.method, rows, feature_count).method {
        TreeMethod::Histogram => Phase::Grow(Box::new(Growth::of_tree(settings, rows, feature_count, classes.len()))),
        _ => Phase::Gather { rows: GatheredRows::new(rows, feature_count)? },
    })
}
