//! What was sent to a worker once and is left out of later requests: edges of bins, and trees that have grown.
//!
//! The coordinator keeps one for each worker, and each worker has its own; both follow the same requests.

use std::sync::Arc;

use super::{Bins, FlatTree, Shared, TreeState};

/// What a worker has had.
#[derive(Debug, Clone, Default)]
pub struct TreeMemory {
    bins: Option<Arc<Bins>>,
    trees: Arc<Vec<FlatTree>>,
}

/// A request counts on what was never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreesMissing;

impl TreeMemory {
    /// Leaves out of a request what the worker has had, and notes what it gets.
    pub fn leave_out(&mut self, state: &mut TreeState) {
        let has_bins = self.bins.as_ref().is_some_and(|bins| Arc::ptr_eq(bins, &state.bins.0));
        if !has_bins {
            // Other bins, other trees.
            *self = Self { bins: Some(Arc::clone(&state.bins.0)), trees: Arc::default() };
        }
        let known = self.trees.len().min(state.trees.0.len());
        self.trees = Arc::clone(&state.trees.0);
        if has_bins {
            state.bins = Shared::default();
        }
        state.trees = Shared::new(self.trees[known..].to_vec());
        state.trees_known = known;
    }

    /// Puts into a request what it leaves out, and remembers what it brings.
    ///
    /// # Errors
    /// [`TreesMissing`].
    pub fn complete(&mut self, state: &mut TreeState) -> Result<(), TreesMissing> {
        if state.bins.0.feature_count() > 0 {
            *self = Self { bins: Some(Arc::clone(&state.bins.0)), trees: Arc::default() };
        }
        let bins = self.bins.as_ref().ok_or(TreesMissing)?;
        if state.trees_known > self.trees.len() {
            return Err(TreesMissing);
        }
        let trees = Arc::make_mut(&mut self.trees);
        trees.truncate(state.trees_known);
        trees.extend_from_slice(&state.trees.0);
        (state.bins, state.trees) = (Shared(Arc::clone(bins)), Shared(Arc::clone(&self.trees)));
        state.trees_known = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::histogram::{FlatNode, Loss, Scales};

    fn state(bins: &Shared<Bins>, trees: usize) -> TreeState {
        let tree = |number: usize| FlatTree { nodes: vec![FlatNode { value: number as f64, ..FlatNode::default() }] };
        TreeState {
            bins: bins.clone(),
            trees: Shared::new((0..trees).map(tree).collect()),
            trees_known: 0,
            loss: Loss::Logistic,
            base: vec![0.5].into(),
            held_out: 0.0,
            seed: 1,
            is_bagged: false,
            scales: Scales::default(),
        }
    }

    #[test]
    fn what_was_sent_once_is_put_in_again() {
        let bins = Shared::new(Bins::new(vec![vec![0.5]]));
        let (mut coordinator, mut worker) = (TreeMemory::default(), TreeMemory::default());
        for (trees, sent) in [(0, 0), (0, 0), (2, 2), (3, 1), (3, 0)] {
            let mut request = state(&bins, trees);
            coordinator.leave_out(&mut request);
            assert_eq!(request.trees.0.len(), sent);
            worker.complete(&mut request).unwrap();
            assert_eq!(request, state(&bins, trees));
        }
    }

    #[test]
    fn what_was_never_sent_is_missed() {
        let bins = Shared::new(Bins::new(vec![vec![0.5]]));
        let (mut coordinator, mut request) = (TreeMemory::default(), state(&bins, 2));
        coordinator.leave_out(&mut state(&bins, 1));
        coordinator.leave_out(&mut request);
        let mut worker = TreeMemory::default();
        assert_eq!(worker.complete(&mut request), Err(TreesMissing));
        worker.complete(&mut state(&bins, 0)).unwrap();
        assert_eq!(worker.complete(&mut request), Err(TreesMissing));
    }
}
