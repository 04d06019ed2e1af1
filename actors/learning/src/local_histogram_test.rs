//! Trees grown from histograms through the program, blocks and reduction of a cluster, beside those grown exactly.

use super::tests::example;
use super::*;
use crate::job::ModelKind;
use crate::tree::{Tree, TreeMethod};

fn of_histograms(name: &str, kind: ModelKind) -> (TrainingJob, std::path::PathBuf) {
    let (mut job, path) = example(name);
    job.model = toml::from_str("type = \"decision_tree_regressor\"").unwrap();
    job.model.kind = kind;
    job.model.tree.method = TreeMethod::Histogram;
    (job, path)
}

fn jobs() -> [(TrainingJob, std::path::PathBuf); 2] {
    let mut jobs = [
        of_histograms("diabetes", ModelKind::DecisionTreeRegressor),
        of_histograms("iris_tree", ModelKind::DecisionTreeClassifier),
    ];
    jobs.iter_mut().for_each(|(job, _)| job.model.tree.max_depth = Some(4));
    jobs
}

fn tree(model: TrainedModel) -> Tree {
    model.tree.expect("the model is a tree")
}

/// With a bin for each value only thresholds differ, and no training row lies between the two.
#[test]
fn where_each_value_has_a_bin_rows_are_divided_as_they_are_exactly() {
    for (mut job, path) in jobs() {
        let here = tree(fit_file(&job, &path, 2).unwrap());
        job.model.tree.method = TreeMethod::Exact;
        let exact = tree(fit_file(&job, &path, 2).unwrap());
        assert_eq!(here.nodes.len(), exact.nodes.len());
        assert!(here.nodes.len() > 8);
        for (node, expected) in here.nodes.iter().zip(&exact.nodes) {
            assert_eq!(node.rows, expected.rows);
            let split = |node: &crate::tree::TreeNode| node.split.map(|split| (split.feature, split.left, split.right));
            assert_eq!(split(node), split(expected));
            assert!((node.impurity - expected.impurity).abs() <= 1e-12 * exact.nodes[0].impurity);
            for (value, expected) in node.value.iter().zip(&expected.value) {
                assert!((value - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{value} {expected}");
            }
        }
    }
}

#[test]
fn the_tree_is_the_same_bits_for_any_number_of_workers() {
    for (job, path) in jobs() {
        let alone = fit_file(&job, &path, 1).unwrap().canonical_bytes();
        for workers in [2, 3, 5, 8, 16] {
            assert_eq!(fit_file(&job, &path, workers).unwrap().canonical_bytes(), alone, "{workers} workers");
        }
    }
}

/// Every pass is answered by a worker that has never seen the job: what it knows is the request, and its rows.
pub(super) fn fit_with_strangers(job: &TrainingJob, path: &Path) -> TrainedModel {
    let table = source::scan(path, &job.data_spec()).unwrap();
    let mut trainer = Trainer::new(job.clone(), table.summary()).unwrap();
    let joined = Joined { job: job.clone(), data: table.summary().clone() };
    let mut pass_number = 0;
    loop {
        let pass = match trainer.step() {
            Step::Compute(pass) => pass,
            Step::Finished(model) => return *model,
        };
        pass_number += 1;
        let mut stores: Vec<BlockStore> = (0..3).map(|_| BlockStore::new(&joined, table.strata()).unwrap()).collect();
        let load = |numbers: &[usize], each: &mut RowSink<'_>| table.each_row(numbers, each);
        let sums = run_pass(&trainer, &mut stores, load, pass_number, &pass).unwrap();
        trainer.absorb(&sums).unwrap();
    }
}

#[test]
fn workers_that_die_after_each_pass_cost_no_bit() {
    for (job, path) in jobs() {
        let expected = fit_file(&job, &path, 2).unwrap();
        assert_eq!(fit_with_strangers(&job, &path).canonical_bytes(), expected.canonical_bytes());
    }
}

#[test]
fn fewer_bins_give_a_coarser_tree_that_still_tells() {
    let (mut job, path) = jobs()[0].clone();
    job.model.tree.max_bins = 8;
    job.model.tree.max_leaf_nodes = Some(6);
    let model = fit_file(&job, &path, 2).unwrap();
    assert!(model.metrics["r2"] > 0.25, "{:?}", model.metrics);
    let tree = tree(model);
    assert_eq!(tree.leaf_count(), 6);
    let mut thresholds: Vec<(usize, u64)> = tree
        .nodes
        .iter()
        .filter_map(|node| node.split)
        .map(|split| (split.feature, split.threshold.to_bits()))
        .collect();
    thresholds.sort_unstable();
    thresholds.dedup();
    assert!(thresholds.chunk_by(|a, b| a.0 == b.0).all(|of_feature| of_feature.len() < 8));
}

#[test]
fn what_is_chosen_depends_on_the_size_of_the_training_part_and_is_told() {
    use crate::tree::{TREE_VALUES_MAX, TreeChoice};
    let chosen = |asked, rows| TreeChoice::new(asked, rows, 3).method;
    let most = TREE_VALUES_MAX / 4;
    assert_eq!(
        [chosen(TreeMethod::Auto, most), chosen(TreeMethod::Auto, most + 1)],
        [TreeMethod::Exact, TreeMethod::Histogram]
    );
    assert_eq!(
        [chosen(TreeMethod::Histogram, 1), chosen(TreeMethod::Exact, most + 1)],
        [TreeMethod::Histogram, TreeMethod::Exact]
    );
    assert!(TreeChoice::new(TreeMethod::Auto, most + 1, 3).reason.contains("more than 2097152"));
}

/// More than four thousand rows a block, more values than the coordinator takes, and edges from a part of the blocks.
#[test]
fn large_data_is_grown_where_it_is() {
    let text = "name = \"large\"\n\
        data = { path = \"synthetic:dense?rows=450000&cols=4&seed=3\", target = \"label\" }\n\
        model = { type = \"decision_tree_classifier\", tree = { max_depth = 5 } }";
    let job: TrainingJob = toml::from_str(text).unwrap();
    let path = Path::new("synthetic:dense?rows=450000&cols=4&seed=3");
    let alone = fit_file(&job, path, 1).unwrap();
    assert!(alone.metrics["accuracy"] > 0.6, "{:?}", alone.metrics);
    assert_eq!(alone.tree.as_ref().unwrap().nodes[0].rows, 360_000);
    assert_eq!(fit_file(&job, path, 4).unwrap().canonical_bytes(), alone.canonical_bytes());
}
