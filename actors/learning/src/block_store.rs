//! A worker's rows, by block, and the sums of a pass over tree nodes.
//!
//! Rows come through a closure, so that this module opens no file. Blocks that a worker has not been
//! asked for in the last pass are let go, so a worker holds its share and not the whole data.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, ArrayView2};
use odeon_protocol::block::F64Block;

use crate::{
    blocks::{BlockLayout, NodeId, Split, sum_subtree},
    data::{
        DataError, DataSummary, RowSink,
        split::{SplitError, TrainTestSplit},
        strata::Strata,
    },
    kernel::{
        BlockView, Cell, ClassPredictor, HingeProblem, HingeStep, KernelError, OwnSums, Predictor, SparsePredictor,
        centred_squares, class_counts, class_curvature, class_gradient, class_outcomes, classification_sums,
        column_sums, curvature_sums, ensemble_outcomes, hinge_path, level_counts, moments, objective_curvature,
        objective_gradient, own_curvature, own_gradient, own_outcomes, present_squares, present_sums, rank_counts,
        regression_sums, support_outcomes, tree_outcomes, window_rows,
    },
    messages::{ComputeError, ComputePartials, Joined, Partial, Partials, WorkerTimes},
    model_registry::{ModelRegistry, OwnModel},
    prepare::{ApplyError, FittedStep, PreparePass, apply},
    program::{ClassParameters, HingeMachine, HingeMove, Parameters, Pass},
    sparse_pass,
    stored_rows::{Cells, RowsBuilder, StoredRows, rounded, rounds},
    svm::{self, SvmProblem, svm_sums},
    tree::{Window, histogram::TreeRows},
};

#[path = "block_trees.rs"]
mod trees;

/// The blocks a worker holds.
#[derive(Debug)]
pub struct BlockStore {
    feature_count: usize,
    /// Whether only cells that are not 0 are held.
    is_sparse: bool,
    /// Whether numbers are rounded to 32 bits, as they are read and behind each step.
    rounds: bool,
    /// Of a user's model, what sums over rows.
    own: Option<OwnModel>,
    rows: TrainTestSplit,
    blocks: BTreeMap<(Split, usize), HeldBlock>,
}

#[derive(Debug)]
struct HeldBlock {
    rows: StoredRows,
    /// The rows as trees see them; the others are let go then.
    trees: Option<TreeRows>,
    /// Steps of `[prepare]` that the rows have gone through.
    step_count: usize,
    last_pass: u64,
}

impl BlockStore {
    /// An empty store for the job that was joined; `strata` are the classes of all rows, for a stratified split. It reads
    /// nothing.
    ///
    /// # Errors
    /// [`SplitError`] if the rows cannot be split.
    pub fn new(joined: &Joined, strata: &Strata) -> Result<Self, SplitError> {
        let rows = joined.job.data.split_rows(&joined.data, strata)?;
        let (feature_count, is_sparse) = (joined.data.feature_count(), joined.data.sparse.is_some());
        let rounds = rounds(joined.job.data.precision, joined.data.cell_count());
        let own = joined.job.model.kind.own();
        Ok(Self { feature_count, is_sparse, rounds, own, rows, blocks: BTreeMap::new() })
    }

    /// Blocks held now.
    #[must_use]
    pub fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// Answers a request over rows that have gone through `steps`, to which later requests may only add.
    ///
    /// Blocks that are not held are loaded by one call of `load`, which gets the numbers of the data rows (from 0) and
    /// tells each row with its place among these numbers, in any order.
    ///
    /// # Errors
    /// [`ComputeError`]: what `load` returned, an unknown node, a wrong shape or a wrong label.
    pub fn compute(
        &mut self,
        request: &ComputePartials,
        steps: &[FittedStep],
        load: impl FnOnce(&[usize], &mut RowSink<'_>) -> Result<(), DataError>,
    ) -> Result<Partials, ComputeError> {
        self.load(request, steps, load)?;
        let partials = self.sums(request)?;
        Ok(Partials { pass_number: request.pass_number, partials, times: WorkerTimes::default() })
    }

    /// The first half of [`Self::compute`]: holds the rows of the request, as the steps leave them.
    ///
    /// # Errors
    /// As [`Self::compute`].
    pub fn load(
        &mut self,
        request: &ComputePartials,
        steps: &[FittedStep],
        load: impl FnOnce(&[usize], &mut RowSink<'_>) -> Result<(), DataError>,
    ) -> Result<(), ComputeError> {
        let split = request.pass.split();
        let layout = BlockLayout::new(self.order(split).len());
        let mut blocks = BTreeSet::new();
        for node in &request.nodes {
            let unknown = ComputeError::UnknownNode { node: *node, block_count: layout.block_count() };
            blocks.extend(layout.blocks(*node).ok_or(unknown)?);
        }
        if !matches!(request.pass, Pass::Trees(_)) {
            // Whose rows are bins alone are of no use for other passes.
            self.blocks.retain(|(of, _), held| *of != split || held.trees.is_none());
        }
        if request.pass.takes_all_rows() && blocks.contains(&0) {
            blocks.extend(0..layout.block_count());
        }
        self.load_missing(request.pass_number, split, layout, &blocks, load)?;
        self.prepare(split, layout, &blocks, steps)
    }

    /// The second half of [`Self::compute`]: the sums of each node.
    ///
    /// # Errors
    /// As [`Self::compute`].
    pub fn sums(&mut self, request: &ComputePartials) -> Result<Vec<Partial>, ComputeError> {
        let split = request.pass.split();
        let layout = BlockLayout::new(self.order(split).len());
        if let Pass::Trees(pass) = &request.pass {
            return self.tree_sums(pass, &request.nodes, layout);
        }
        let sparse = if self.is_sparse {
            sparse_pass::predictor(&request.pass).map_err(|error| told(error, |row| row))?
        } else {
            None
        };
        let partial = |node: &NodeId| {
            let mut sums = |block| self.block_sums(&request.pass, split, layout, block, sparse.as_ref());
            let mut values = sum_subtree(*node, layout.block_count(), &mut sums)?;
            if self.is_sparse {
                values = sparse_pass::ordered(&request.pass, values);
            }
            Ok(Partial { node: *node, values: F64Block(values) })
        };
        request.nodes.iter().map(partial).collect()
    }

    /// Numbers of the data rows of a split, in the order that is cut into blocks.
    fn order(&self, split: Split) -> &[usize] {
        match split {
            Split::Train => &self.rows.train,
            Split::Test => &self.rows.test,
        }
    }

    fn load_missing(
        &mut self,
        pass_number: u64,
        split: Split,
        layout: BlockLayout,
        wanted: &BTreeSet<usize>,
        load: impl FnOnce(&[usize], &mut RowSink<'_>) -> Result<(), DataError>,
    ) -> Result<(), ComputeError> {
        self.blocks.retain(|_, held| held.last_pass + 1 >= pass_number);
        let missing: Vec<usize> =
            wanted.iter().copied().filter(|block| !self.blocks.contains_key(&(split, *block))).collect();
        if !missing.is_empty() {
            let order = self.order(split);
            let numbers: Vec<usize> =
                missing.iter().flat_map(|block| order[layout.rows(*block)].iter().copied()).collect();
            for (block, rows) in missing.iter().zip(self.load_rows(layout, &missing, &numbers, load)?) {
                self.blocks
                    .insert((split, *block), HeldBlock { rows, trees: None, step_count: 0, last_pass: pass_number });
            }
        }
        for block in wanted {
            self.blocks.entry((split, *block)).and_modify(|held| held.last_pass = pass_number);
        }
        Ok(())
    }

    /// The rows of blocks, each put where it stays as soon as it is told.
    fn load_rows(
        &self,
        layout: BlockLayout,
        blocks: &[usize],
        numbers: &[usize],
        load: impl FnOnce(&[usize], &mut RowSink<'_>) -> Result<(), DataError>,
    ) -> Result<Vec<StoredRows>, ComputeError> {
        let (width, rounds) = (self.feature_count, self.rounds);
        let new = if self.is_sparse { RowsBuilder::sparse } else { RowsBuilder::new };
        let builder = |block: &usize| new(layout.rows(*block).len(), width, rounds);
        let mut builders: Vec<RowsBuilder> = blocks.iter().map(builder).collect();
        // Only the last block of all may be shorter than the first.
        let block_rows = layout.rows(blocks[0]).len();
        let mut wrong_width = None;
        load(numbers, &mut |place, cells, target| {
            let is_taken = builders
                .get_mut(place / block_rows)
                .is_some_and(|builder| builder.set(place % block_rows, cells, target));
            if !is_taken {
                wrong_width = Some(cells.width_min());
            }
        })?;
        let shape = |what: &str, expected, actual| match expected == actual {
            true => Ok(()),
            false => Err(ComputeError::ShapeMismatch { what: what.to_owned(), expected, actual }),
        };
        shape("features", width, wrong_width.unwrap_or(width))?;
        let (rows, filled): (Vec<StoredRows>, Vec<usize>) = builders.into_iter().map(RowsBuilder::finish).unzip();
        shape("rows", numbers.len(), filled.into_iter().sum())?;
        Ok(rows)
    }

    /// Takes the rows of blocks through the steps that they have not gone through.
    fn prepare(
        &mut self,
        split: Split,
        layout: BlockLayout,
        wanted: &BTreeSet<usize>,
        steps: &[FittedStep],
    ) -> Result<(), ComputeError> {
        for block in wanted {
            let held = self.blocks.get_mut(&(split, *block)).expect("what is wanted was loaded");
            let Some(new_steps) = steps.get(held.step_count..).filter(|steps| !steps.is_empty()) else { continue };
            match apply_rounded(new_steps, held.rows.x.take_wide(), self.rounds) {
                Ok(x) => (held.rows.x, held.step_count) = (Cells::of(x), steps.len()),
                Err(ApplyError { row, column, value }) => {
                    // The rows are half changed.
                    self.blocks.remove(&(split, *block));
                    let row = self.order(split)[layout.rows(*block).start + row] + 1;
                    return Err(ComputeError::Log { value, row, column: (column + 1).to_string() });
                }
            }
        }
        Ok(())
    }

    fn block_sums(
        &self,
        pass: &Pass,
        split: Split,
        layout: BlockLayout,
        block: usize,
        sparse: Option<&SparsePredictor>,
    ) -> Result<Vec<f64>, ComputeError> {
        if let Pass::SupportVectors { problem, rows } = pass {
            return self.support_vectors(problem, *rows, layout, block);
        }
        let rows = &self.blocks[&(split, block)].rows;
        let sums = match (&rows.x, own_point(pass)) {
            (Cells::Sparse(x), _) => {
                let y = rows.y.as_slice().expect("the targets of a block follow each other");
                let none = || ComputeError::NotForSparse { pass: pass.name().to_owned() };
                sparse_pass::sums(pass, x, y, sparse).ok_or_else(none)?
            }
            (_, None) => pass_sums(pass, block, layout.rows(block).start, rows),
            (_, Some(at)) => {
                let code = self.own.and_then(|own| own.code());
                let unknown = || ModelRegistry::new().unknown(self.own.as_ref().map_or("", |own| own.name()));
                let own = OwnSums { code: code.ok_or_else(unknown)?, parameters: &at.0 };
                rows.x.with_wide(|x| own_sums(pass, own, BlockView::new(x, rows.y.view())?))
            }
        };
        sums.map_err(|error| told(error, |row| self.order(split)[layout.rows(block).start + row] + 1))
    }
}

/// What is wrong with a block, with the numbers of data rows.
fn told(error: KernelError, number_of: impl Fn(usize) -> usize) -> ComputeError {
    match error {
        KernelError::ShapeMismatch { what, expected, actual } => {
            ComputeError::ShapeMismatch { what: what.to_owned(), expected, actual }
        }
        KernelError::Label { value, row } => ComputeError::Label { value, row: number_of(row) },
        KernelError::Target { value, row, reason } => ComputeError::Target { value, row: number_of(row), reason },
        KernelError::Class { value, row, class_count } => {
            ComputeError::Class { value, row: number_of(row), class_count }
        }
    }
}

impl BlockStore {
    /// Solves over the rows of all blocks if this is the first; of all others the sums are 0.
    fn support_vectors(
        &self,
        problem: &SvmProblem,
        rows: usize,
        layout: BlockLayout,
        block: usize,
    ) -> Result<Vec<f64>, ComputeError> {
        let shape = |what: &str, expected: usize, actual: usize| match expected == actual {
            true => Ok(()),
            false => Err(ComputeError::ShapeMismatch { what: what.to_owned(), expected, actual }),
        };
        let order = self.order(Split::Train);
        shape("training rows", order.len(), rows)?;
        if block > 0 {
            return Ok(vec![0.0; svm_sums(problem, rows)]);
        }
        let (mut cells, mut targets) = (Vec::new(), Vec::with_capacity(rows));
        for number in 0..layout.block_count() {
            let held = &self.blocks[&(Split::Train, number)].rows;
            held.x.with_wide(|x| cells.extend(x.iter().copied()));
            targets.extend(held.y.iter().copied());
        }
        let width = cells.len() / rows.max(1);
        shape("features", width, problem.mean.0.len())?;
        shape("features", width, problem.scale.0.len())?;
        let is_class = |target: &f64| *target >= 0.0 && *target < problem.class_count as f64 && target.fract() == 0.0;
        if let Some(row) = targets.iter().position(|target| problem.class_count > 0 && !is_class(target)) {
            let (value, class_count) = (targets[row], problem.class_count);
            return Err(ComputeError::Class { value, row: order[row] + 1, class_count });
        }
        let x = ArrayView2::from_shape((rows, width), &cells).expect("each row has as many cells");
        Ok(svm::solve(x, &targets, problem))
    }
}

/// Checks that a worker's own file is the one the coordinator saw.
///
/// # Errors
/// [`ComputeError::DataDiffers`] if row count or features differ.
pub fn check_same_data(expected: &DataSummary, here: &DataSummary) -> Result<(), ComputeError> {
    if expected == here {
        return Ok(());
    }
    Err(ComputeError::DataDiffers {
        expected_rows: expected.row_count,
        actual_rows: here.row_count,
        expected_features: expected.feature_names.clone(),
        actual_features: here.feature_names.clone(),
    })
}

/// Rows behind the steps. If numbers are rounded, they are behind each step: a block that goes through steps one by one,
/// as they are fitted, has the same numbers as one that goes through all of them at once.
fn apply_rounded(steps: &[FittedStep], x: Array2<f64>, rounds: bool) -> Result<Array2<f64>, ApplyError> {
    if !rounds {
        return apply(steps, x);
    }
    steps.chunks(1).try_fold(x, |x, step| Ok(apply(step, x)?.mapv_into(rounded)))
}

/// The sums over a block by its number and its first row.
fn pass_sums(pass: &Pass, number: usize, start: usize, rows: &StoredRows) -> Result<Vec<f64>, KernelError> {
    let sums = match &rows.x {
        Cells::Narrow(x) => frequent_sums(pass, number, BlockView::new(x.view(), rows.y.view())?),
        Cells::Wide(x) => frequent_sums(pass, number, BlockView::new(x.view(), rows.y.view())?),
        Cells::Sparse(_) => None,
    };
    sums.unwrap_or_else(|| rows.x.with_wide(|x| rare_sums(pass, start, x, rows)))
}

/// Those of passes that come often over large data, which take rows as they are stored.
fn frequent_sums<T: Cell>(
    pass: &Pass,
    number: usize,
    block: BlockView<'_, T>,
) -> Option<Result<Vec<f64>, KernelError>> {
    Some(match pass {
        Pass::ColumnSums { .. } | Pass::Prepare(PreparePass::Sums {}) => Ok(column_sums(block)),
        Pass::CentredSquares { mean, target_mean } => centred_squares(block, &mean.0, *target_mean),
        Pass::ObjectiveGradient { loss, at } => objective_gradient(block, *loss, predictor(at)),
        Pass::ObjectiveCurvature { loss, at, every } if !number.is_multiple_of((*every).max(1)) => {
            // What second derivatives of this block would add is left at 0.
            objective_gradient(block, *loss, predictor(at)).map(|mut sums| {
                sums.resize(curvature_sums(at.weights.0.len()), 0.0);
                sums
            })
        }
        Pass::ObjectiveCurvature { loss, at, .. } => objective_curvature(block, *loss, predictor(at)),
        Pass::HingePath { mean, class_count, machines } => {
            let machines: Vec<HingeProblem<'_>> = machines.iter().map(hinge_problem).collect();
            hinge_path(block, &mean.0, *class_count, &machines)
        }
        Pass::ClassGradient { loss, at } => class_gradient(block, *loss, class_predictor(at)),
        Pass::ClassCurvature { loss, at } => class_curvature(block, *loss, class_predictor(at)),
        _ => return None,
    })
}

/// Those of all other passes, over a copy in 64 bits if need be.
fn rare_sums(pass: &Pass, start: usize, x: ArrayView2<'_, f64>, rows: &StoredRows) -> Result<Vec<f64>, KernelError> {
    let block = BlockView::new(x, rows.y.view())?;
    match pass {
        Pass::Prepare(PreparePass::Present {}) => Ok(present_sums(x)),
        Pass::Prepare(PreparePass::Squares { mean }) => present_squares(x, &mean.0),
        Pass::Prepare(PreparePass::Moments { mean, target_mean }) => moments(block, &mean.0, *target_mean),
        Pass::Prepare(PreparePass::Levels { columns }) => level_counts(x, columns),
        Pass::Prepare(PreparePass::Ranks { targets, depth }) => rank_counts(x, targets, *depth),
        Pass::ClassCounts { class_count } => class_counts(block, *class_count),
        Pass::EvaluateClasses { at } => class_outcomes(block, class_predictor(at)),
        Pass::Rows { from, rows, class_count } => {
            window_rows(block, start, Window { from: *from, rows: *rows }, *class_count)
        }
        Pass::EvaluateSupport { machine, mean, scale, target_mean } => {
            support_outcomes(block, machine, &mean.0, &scale.0, *target_mean)
        }
        Pass::EvaluateTree { tree, target_mean } => tree_outcomes(block, tree, *target_mean),
        Pass::EvaluateEnsemble { ensemble, target_mean } => ensemble_outcomes(block, ensemble, *target_mean),
        Pass::EvaluateRegression { at, target_mean } => regression_sums(block, predictor(at), *target_mean),
        Pass::EvaluateClassification { at } => classification_sums(block, predictor(at)),
        Pass::Prepare(PreparePass::Sums {})
        | Pass::ColumnSums { .. }
        | Pass::CentredSquares { .. }
        | Pass::ObjectiveGradient { .. }
        | Pass::ObjectiveCurvature { .. }
        | Pass::HingePath { .. }
        | Pass::ClassGradient { .. }
        | Pass::ClassCurvature { .. }
        | Pass::OwnGradient { .. }
        | Pass::OwnCurvature { .. }
        | Pass::SupportVectors { .. }
        | Pass::EvaluateOwn { .. }
        | Pass::Trees(_) => unreachable!("these have been summed before"),
    }
}

/// Where a pass of a user's model evaluates.
fn own_point(pass: &Pass) -> Option<&F64Block> {
    match pass {
        Pass::OwnGradient { at } | Pass::OwnCurvature { at } | Pass::EvaluateOwn { at, .. } => Some(at),
        _ => None,
    }
}

fn own_sums(pass: &Pass, own: OwnSums<'_>, block: BlockView<'_>) -> Result<Vec<f64>, KernelError> {
    match pass {
        Pass::OwnCurvature { .. } => own_curvature(block, own),
        Pass::EvaluateOwn { target_mean, .. } => own_outcomes(block, own, target_mean.unwrap_or_default()),
        _ => own_gradient(block, own),
    }
}

fn hinge_problem(machine: &HingeMachine) -> HingeProblem<'_> {
    let steps = machine.steps.iter().map(|HingeMove { direction, intercept, length, target }| HingeStep {
        direction: &direction.0,
        intercept: *intercept,
        length: *length,
        target: *target,
    });
    HingeProblem { class: machine.class, steps: steps.collect() }
}

fn class_predictor(at: &ClassParameters) -> ClassPredictor<'_> {
    ClassPredictor { mean: &at.mean.0, weights: &at.weights.0, intercepts: &at.intercepts.0 }
}

fn predictor(at: &Parameters) -> Predictor<'_> {
    Predictor { mean: &at.mean.0, weights: &at.weights.0, intercept: at.intercept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::{
            Precision, RowCells,
            split::{SplitKind, train_test_split},
        },
        kernel::Loss,
    };

    const FIRST: NodeId = NodeId { level: 0, index: 0 };
    const LAST: NodeId = NodeId { level: 0, index: 9 };

    fn joined() -> Joined {
        let text = "name = \"t\"\ndata = { path = \"d\", target = \"y\" }\nmodel = { type = \"logistic\" }";
        let data = DataSummary::numeric(100, &["a"], "y");
        Joined { job: toml::from_str(text).unwrap(), data }
    }

    /// Feature and target are the number of the data row.
    fn load(numbers: &[usize], each: &mut RowSink<'_>) -> Result<(), DataError> {
        // From the last to the first: any order will do.
        (0..numbers.len())
            .rev()
            .for_each(|place| each(place, RowCells::All(&[numbers[place] as f64]), numbers[place] as f64));
        Ok(())
    }

    fn request(pass_number: u64, nodes: &[NodeId]) -> ComputePartials {
        let pass = Pass::ColumnSums { split: Split::Train };
        ComputePartials { pass_number, pass, nodes: nodes.to_vec(), steps_known: 0, new_steps: Vec::new() }
    }

    #[test]
    fn a_partial_sums_the_permuted_rows_of_its_node() {
        let mut store = BlockStore::new(&joined(), &Strata::default()).unwrap();
        let reply = store.compute(&request(1, &[LAST, FIRST]), &[], load).unwrap();
        let train = train_test_split(100, 0.2, 42).unwrap().train;
        let sum = |rows: &[usize]| rows.iter().sum::<usize>() as f64;
        let (first, last) = (sum(&train[..8]), sum(&train[72..]));
        assert_eq!(reply.partials[0], Partial { node: LAST, values: F64Block(vec![8.0, last, last]) });
        assert_eq!(reply.partials[1], Partial { node: FIRST, values: F64Block(vec![8.0, first, first]) });
    }

    #[test]
    fn the_rows_of_a_node_follow_the_split_of_the_job() {
        let mut joined = joined();
        joined.job.data.split = SplitKind::Ordered;
        let mut store = BlockStore::new(&joined, &Strata::default()).unwrap();
        let reply = store.compute(&request(1, &[FIRST]), &[], load).unwrap();
        assert_eq!(reply.partials[0].values, F64Block(vec![8.0, 28.0, 28.0]));
        let test = ComputePartials { pass: Pass::ColumnSums { split: Split::Test }, ..request(2, &[FIRST]) };
        let of_80_to_87 = 668.0;
        let reply = store.compute(&test, &[], load).unwrap();
        assert_eq!(reply.partials[0].values, F64Block(vec![8.0, of_80_to_87, of_80_to_87]));
    }

    #[test]
    fn held_blocks_are_not_loaded_again_and_unused_ones_are_let_go() {
        let mut store = BlockStore::new(&joined(), &Strata::default()).unwrap();
        let never = |_: &[usize], _: &mut RowSink<'_>| panic!("nothing to load");
        store.compute(&request(1, &[FIRST, LAST]), &[], load).unwrap();
        store.compute(&request(2, &[FIRST]), &[], never).unwrap();
        store.compute(&request(2, &[LAST]), &[], never).unwrap();
        store.compute(&request(3, &[FIRST]), &[], never).unwrap();
        assert_eq!(store.block_count(), 2);
        store.compute(&request(4, &[FIRST]), &[], never).unwrap();
        assert_eq!(store.block_count(), 1);
    }

    #[test]
    fn a_bad_label_is_named_by_its_data_row() {
        let mut store = BlockStore::new(&joined(), &Strata::default()).unwrap();
        let at = Parameters { mean: vec![0.0].into(), weights: vec![0.0].into(), intercept: 0.0 };
        let pass = Pass::ObjectiveGradient { loss: Loss::Logistic, at };
        let error = store.compute(&ComputePartials { pass, ..request(1, &[FIRST]) }, &[], load).unwrap_err();
        let number = train_test_split(100, 0.2, 42).unwrap().train[0];
        assert_eq!(error, ComputeError::Label { value: number as f64, row: number + 1 });
    }

    #[test]
    fn what_does_not_fit_the_data_is_refused() {
        let mut store = BlockStore::new(&joined(), &Strata::default()).unwrap();
        let beyond = NodeId { level: 0, index: 10 };
        let error = store.compute(&request(1, &[beyond]), &[], load).unwrap_err();
        assert_eq!(error, ComputeError::UnknownNode { node: beyond, block_count: 10 });
        let pass = Pass::CentredSquares { mean: vec![0.0, 0.0].into(), target_mean: 0.0 };
        let error = store.compute(&ComputePartials { pass, ..request(1, &[FIRST]) }, &[], load).unwrap_err();
        assert_eq!(error, ComputeError::ShapeMismatch { what: "features".into(), expected: 1, actual: 2 });
        let short = |_: &[usize], each: &mut RowSink<'_>| load(&[1, 2], each);
        let error = store.compute(&request(1, &[LAST]), &[], short).unwrap_err();
        assert_eq!(error, ComputeError::ShapeMismatch { what: "rows".into(), expected: 8, actual: 2 });
        let missing = DataError::FileMissing { file: "d".into() };
        let error = store.compute(&request(1, &[LAST]), &[], |_, _| Err(missing.clone())).unwrap_err();
        assert_eq!(error, ComputeError::Data(missing));
    }

    #[test]
    fn rows_too_wide_or_too_many_are_refused() {
        let mut store = BlockStore::new(&joined(), &Strata::default()).unwrap();
        let mut refused = |load: fn(&[usize], &mut RowSink<'_>) -> Result<(), DataError>| {
            store.compute(&request(1, &[FIRST]), &[], load).unwrap_err()
        };
        let wide = refused(|_, each| {
            each(0, RowCells::All(&[1.0, 2.0]), 0.0);
            Ok(())
        });
        assert_eq!(wide, ComputeError::ShapeMismatch { what: "features".into(), expected: 1, actual: 2 });
        let twice = refused(|numbers, each| load(numbers, each).and_then(|()| load(numbers, each)));
        assert_eq!(twice, ComputeError::ShapeMismatch { what: "rows".into(), expected: 8, actual: 16 });
    }

    /// A worker that joins late takes its rows through all steps at once.
    #[test]
    fn rounded_rows_are_the_same_whether_steps_come_one_by_one_or_together() {
        let mut joined = joined();
        joined.job.data.precision = Precision::F32;
        let scale = |shift: f64| FittedStep::Scale { columns: vec![0], shift: vec![shift], scale: vec![0.3] };
        let (steps, requests) =
            ([scale(0.1), scale(7.7), scale(-0.2)], [1, 2, 3, 4].map(|pass| request(pass, &[FIRST])));
        let mut early = BlockStore::new(&joined, &Strata::default()).unwrap();
        let one_by_one = (0..4).map(|count| early.compute(&requests[count], &steps[..count], load).unwrap()).last();
        let mut late = BlockStore::new(&joined, &Strata::default()).unwrap();
        let together = late.compute(&requests[3], &steps, load).unwrap();
        assert_eq!(one_by_one, Some(together.clone()));
        joined.job.data.precision = Precision::F64;
        let exact = BlockStore::new(&joined, &Strata::default()).unwrap().compute(&requests[3], &steps, load).unwrap();
        assert_ne!(exact, together);
    }

    #[test]
    fn other_data_is_told_from_the_job_s() {
        let expected = joined().data;
        assert_eq!(check_same_data(&expected, &expected.clone()), Ok(()));
        let here = DataSummary { row_count: 99, ..expected.clone() };
        assert!(matches!(check_same_data(&expected, &here), Err(ComputeError::DataDiffers { actual_rows: 99, .. })));
    }
}
