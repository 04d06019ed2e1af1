//! The passes of trees over the blocks of a worker.
//!
//! A block is turned into bins once; from then on its rows are held as bytes alone.

use ndarray::Array2;
use odeon_protocol::block::F64Block;

use super::BlockStore;
use crate::{
    blocks::{BlockLayout, NodeId, Split, sum_subtree},
    kernel::Cell,
    messages::{ComputeError, Partial},
    stored_rows::{Cells, StoredRows},
    tree::histogram::{BinTarget, TreePass, TreeRows, TreeState, bin_counts, histogram_sums},
};

impl BlockStore {
    /// The sums of a pass of trees over each node, whose blocks are held.
    pub(super) fn tree_sums(
        &mut self,
        pass: &TreePass,
        nodes: &[NodeId],
        layout: BlockLayout,
    ) -> Result<Vec<Partial>, ComputeError> {
        let blocks: Vec<usize> = nodes.iter().flat_map(|node| layout.blocks(*node).unwrap_or_default()).collect();
        if let Some(first) = blocks.first() {
            let features = self.features_of(*first);
            if !pass.is_sound(features) {
                return Err(ComputeError::ShapeMismatch {
                    what: "features of trees".into(),
                    expected: features,
                    actual: 0,
                });
            }
        }
        for block in blocks {
            self.follow(pass, layout, block)?;
        }
        nodes.iter().map(|node| self.tree_partial(pass, *node, layout)).collect()
    }

    fn tree_partial(&self, pass: &TreePass, node: NodeId, layout: BlockLayout) -> Result<Partial, ComputeError> {
        let values = match pass {
            TreePass::Histograms { .. } => {
                let blocks = layout.blocks(node).unwrap_or_default();
                histogram_sums(&blocks.map(|block| self.trees_of(block)).collect::<Vec<_>>(), pass)
            }
            _ => {
                sum_subtree(node, layout.block_count(), &mut |block| Ok::<_, ComputeError>(self.of_block(pass, block)))?
            }
        };
        Ok(Partial { node, values: F64Block(values) })
    }

    fn of_block(&self, pass: &TreePass, block: usize) -> Vec<f64> {
        match pass {
            TreePass::Bins { every, .. } if !block.is_multiple_of(*every) => vec![0.0; pass.partial_len()],
            TreePass::Bins { targets, depth, .. } => counts(&self.blocks[&(Split::Train, block)].rows, targets, *depth),
            TreePass::Losses { state } => self.trees_of(block).losses(state),
            TreePass::Leaves { state, open } => self.trees_of(block).leaves(state, open),
            TreePass::Histograms { .. } => unreachable!("histograms are summed over all blocks of a node together"),
        }
    }

    fn features_of(&self, block: usize) -> usize {
        let held = &self.blocks[&(Split::Train, block)];
        match &held.trees {
            Some(trees) => trees.feature_count(),
            None => held.rows.x.with_wide(|x| x.ncols()),
        }
    }

    fn trees_of(&self, block: usize) -> &TreeRows {
        self.blocks[&(Split::Train, block)].trees.as_ref().expect("every block has followed the pass")
    }

    /// Brings a block to the state of the pass.
    fn follow(&mut self, pass: &TreePass, layout: BlockLayout, block: usize) -> Result<(), ComputeError> {
        let Some(state) = pass.state() else { return Ok(()) };
        let (first, order) = (layout.rows(block).start, &self.rows.train);
        let held = self.blocks.get_mut(&(Split::Train, block)).expect("what is wanted was loaded");
        if held.trees.is_none() {
            let made = binned(&held.rows, first, state);
            held.trees = Some(made.map_err(|error| super::told(error, |row| order[first + row] + 1))?);
            held.rows.x = Cells::of(Array2::zeros((0, 0)));
        }
        let trees = held.trees.as_mut().expect("made above");
        if !trees.has_bins(&state.bins.0) {
            // Another training has begun; the rows are read again with its next request.
            self.blocks.remove(&(Split::Train, block));
            return Err(ComputeError::TreesMissing);
        }
        trees.follow(pass);
        Ok(())
    }
}

fn binned(rows: &StoredRows, first: usize, state: &TreeState) -> Result<TreeRows, crate::kernel::KernelError> {
    let targets = rows.y.as_slice().expect("the targets of a block follow each other");
    match &rows.x {
        Cells::Narrow(x) => TreeRows::new(x.outer_iter().map(whole_row), targets, first, state),
        wide => wide.with_wide(|x| TreeRows::new(x.outer_iter().map(whole_row), targets, first, state)),
    }
}

fn counts(rows: &StoredRows, targets: &[BinTarget], depth: u32) -> Vec<f64> {
    match &rows.x {
        Cells::Narrow(x) => bin_counts(x.outer_iter().map(whole_row), targets, depth),
        wide => wide.with_wide(|x| bin_counts(x.outer_iter().map(whole_row), targets, depth)),
    }
}

fn whole_row<T: Cell>(row: ndarray::ArrayView1<'_, T>) -> &[T] {
    row.to_slice().expect("rows of a block are contiguous")
}
