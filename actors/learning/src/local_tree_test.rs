//! Trees trained through the program, blocks and reduction of a cluster, beside scikit-learn's.

use super::tests::{example, reference};
use super::*;
use crate::job::ModelKind;
use crate::tree::{Criterion, TreeNode};
use crate::{model_file, predictions};

fn job_of_diabetes() -> (TrainingJob, std::path::PathBuf) {
    let (mut job, path) = example("diabetes");
    job.model = toml::from_str("type = \"decision_tree_regressor\"").unwrap();
    (job, path)
}

fn close(actual: f64, expected: &serde_json::Value, within: f64) {
    let expected = expected.as_f64().unwrap();
    assert!((actual - expected).abs() <= within * expected.abs().max(1e-300), "{actual} is not {expected}");
}

/// Nodes of both trees stand in the order of a walk that goes left first.
fn check_nodes(nodes: &[TreeNode], expected: &serde_json::Value) {
    assert_eq!(nodes.len(), expected["feature"].as_array().unwrap().len());
    for (number, node) in nodes.iter().enumerate() {
        close(node.impurity, &expected["impurity"][number], 1e-12);
        assert_eq!(expected["n"][number], node.rows);
        let Some(split) = &node.split else {
            assert_eq!(expected["left"][number], -1);
            continue;
        };
        assert_eq!([&expected["feature"][number], &expected["left"][number]], [split.feature, split.left]);
        assert_eq!(expected["right"][number], split.right);
        assert_eq!(expected["threshold"][number], split.threshold);
    }
}

#[test]
fn a_tree_of_numbers_is_that_of_the_reference_node_by_node() {
    let (mut job, path) = job_of_diabetes();
    let expected = &reference()["diabetes"]["tree"];
    for depth in [1, 2, 3] {
        job.model.tree.max_depth = Some(depth);
        let model = fit_file(&job, &path, 2).unwrap();
        let expected = &expected[depth.to_string()];
        close(model.metrics["r2"], &expected["test"][0], 1e-9);
        assert_eq!(expected["leaves"][0], model.tree.as_ref().unwrap().leaf_count());
        if depth == 2 {
            check_nodes(&model.tree.unwrap().nodes, &reference()["diabetes"]["tree"]["depth2_tree_seed0"]);
        }
    }
    job.model.tree.max_depth = None;
    let tree = fit_file(&job, &path, 2).unwrap().tree.unwrap();
    assert_eq!(expected["None"]["leaves"][0], tree.leaf_count());
    assert!(tree.remaining_impurity() < 1e-9, "every leaf is pure");
}

/// Where cuts are equally good, scikit-learn draws one: its leaves and scores are the same for all of its seeds here.
#[test]
fn a_tree_of_classes_does_as_well_as_the_reference_at_each_depth() {
    let (mut job, path) = example("iris_tree");
    for depth in [Some(1), Some(2), Some(3), Some(5), None] {
        job.model.tree.max_depth = depth;
        let model = fit_file(&job, &path, 2).unwrap();
        let expected = &reference()["iris"]["tree"][depth.map_or("None".to_owned(), |depth| depth.to_string())];
        let tree = model.tree.as_ref().unwrap();
        let leaves: Vec<u64> = expected["leaves"].as_array().unwrap().iter().filter_map(|n| n.as_u64()).collect();
        assert!(leaves.contains(&(tree.leaf_count() as u64)), "{} leaves, theirs {leaves:?}", tree.leaf_count());
        let tests: Vec<f64> = expected["test"].as_array().unwrap().iter().filter_map(|n| n.as_f64()).collect();
        assert!(tests.iter().any(|test| (model.metrics["accuracy"] - test).abs() < 1e-12), "{:?}", model.metrics);
    }
}

#[test]
fn the_tree_is_the_same_bits_for_any_number_of_workers() {
    let (iris, iris_path) = example("iris_tree");
    let (diabetes, diabetes_path) = job_of_diabetes();
    for (job, path) in [(&iris, &iris_path), (&diabetes, &diabetes_path)] {
        let alone = fit_file(job, path, 1).unwrap().canonical_bytes();
        for workers in [2, 3, 5, 8] {
            assert_eq!(fit_file(job, path, workers).unwrap().canonical_bytes(), alone, "{workers} workers");
        }
    }
}

#[test]
fn a_tree_comes_back_from_its_file_and_judges_as_it_did() {
    let (job, path) = example("iris_tree");
    let model = fit_file(&job, &path, 2).unwrap();
    let read = model_file::decode(&model_file::encode(&model)).unwrap();
    assert_eq!(read, model);
    let evaluation = predictions::evaluate_file(&read, &path).unwrap();
    assert_eq!(evaluation.row_count, 150);
    assert!(evaluation.metrics["accuracy"] > 0.95 && evaluation.metrics["log_loss"] < 0.2, "{evaluation:?}");
    let mut written = Vec::new();
    predictions::predict_file(&read, &path, &mut written).unwrap();
    let first: Vec<&str> = std::str::from_utf8(&written).unwrap().lines().take(2).collect();
    assert_eq!(first, ["prediction,probability_0,probability_1,probability_2", "0,1,0,0"]);
    let csv = String::from_utf8(model_file::weights_csv(&read)).unwrap();
    let lines: Vec<&str> = csv.lines().take(2).collect();
    assert_eq!(lines[0], "node,feature,threshold,left,right,rows,impurity,prediction");
    assert!(lines[1].starts_with("0,petal_length_cm,2.449999988079071,1,2,120,"), "{}", lines[1]);
    let importances: f64 = read.importances.iter().map(|importance| importance.value).sum();
    assert!((importances - 1.0).abs() < 1e-12);
}

#[test]
fn a_tree_that_was_changed_by_hand_is_refused() {
    let (job, path) = example("iris_tree");
    let model = fit_file(&job, &path, 1).unwrap();
    let spoiled: [fn(&mut TrainedModel); 4] = [
        |model| model.tree.as_mut().unwrap().nodes.truncate(2),
        |model| model.tree = None,
        |model| drop(model.classes.pop()),
        |model| drop(model.importances.pop()),
    ];
    for spoil in spoiled {
        let mut model = model.clone();
        spoil(&mut model);
        assert!(model_file::decode(&model_file::encode(&model)).is_err());
    }
}

#[test]
fn settings_that_do_not_fit_a_tree_or_no_tree_are_refused_by_their_key() {
    let (job, path) = example("iris_tree");
    type Spoil = fn(&mut TrainingJob);
    let spoiled: [(&str, Spoil); 6] = [
        ("model", |job| job.model.l2 = 1.0),
        ("model.tree.criterion", |job| job.model.tree.criterion = Some(Criterion::SquaredError)),
        ("model.tree.min_samples_split", |job| job.model.tree.min_samples_split = 1),
        ("model.tree.min_samples_leaf", |job| job.model.tree.min_samples_leaf = 0),
        ("model.tree.max_leaf_nodes", |job| job.model.tree.max_leaf_nodes = Some(1)),
        ("model.tree", |job| job.model.kind = ModelKind::Multinomial),
    ];
    for (key, spoil) in spoiled {
        let mut job = job.clone();
        spoil(&mut job);
        assert_eq!(job.validate().unwrap_err().key, key);
        assert!(fit_file(&job, &path, 1).is_err());
    }
}

#[test]
fn entropy_and_a_limit_of_leaves_are_kept() {
    let (mut job, path) = example("iris_tree");
    job.model.tree.criterion = Some(Criterion::Entropy);
    job.model.tree.max_leaf_nodes = Some(4);
    job.model.tree.max_depth = None;
    let model = fit_file(&job, &path, 3).unwrap();
    let tree = model.tree.as_ref().unwrap();
    assert_eq!(tree.leaf_count(), 4);
    assert!((tree.nodes[0].impurity - 3.0_f64.log2()).abs() < 1e-2, "nearly as many of each class");
    assert!(model.metrics["accuracy"] > 0.9);
}
