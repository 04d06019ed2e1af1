//! Boosted trees through the program, blocks and reduction of a cluster, beside scikit-learn's and beside a naive twin.

use super::histogram_tests::fit_with_strangers;
use super::tests::example;
use super::*;
use crate::boosting::BoostingSettings;
use crate::data::RowCells;
use crate::job::ModelKind;
use crate::tree::Tree;
use crate::tree::ensemble::{Ensemble, Link};
use crate::{model_file, predictions};

/// What `tests/boosting/record.py` wrote.
fn recorded(name: &str) -> serde_json::Value {
    let all: serde_json::Value = serde_json::from_str(include_str!("../../../tests/fixtures/boosting.json")).unwrap();
    all[name].clone()
}

fn job(name: &str, settings: &serde_json::Value) -> (TrainingJob, std::path::PathBuf) {
    let (mut job, path) = example(name);
    let is_regression = name == "diabetes";
    job.model = toml::from_str("type = \"boosted_trees_classifier\"").unwrap();
    job.model.kind = if is_regression { ModelKind::BoostedTreesRegressor } else { ModelKind::BoostedTreesClassifier };
    job.model.boosting = serde_json::from_value(settings.clone()).unwrap();
    (job, path)
}

fn jobs() -> [(TrainingJob, std::path::PathBuf); 3] {
    let settings = serde_json::json!({ "max_iter": 5, "max_leaf_nodes": 8, "min_samples_leaf": 5 });
    ["diabetes", "breast_cancer", "iris_tree"].map(|name| job(name, &settings))
}

fn ensemble(model: &TrainedModel) -> &Ensemble {
    model.ensemble.as_ref().expect("the model is many trees")
}

fn close(actual: f64, expected: f64, within: f64) {
    assert!((actual - expected).abs() <= within * expected.abs().max(1e-3), "{actual} is not {expected}");
}

/// Gradients have 24 bits there and 30 here: what leaves say agrees to that. Where rounding alone makes scikit-learn cut
/// rows of equal gradients, its leaves say what ours, which is not cut, does.
fn check_node(tree: &Tree, node: usize, lines: &mut std::slice::Iter<'_, serde_json::Value>) {
    let (line, node) = (lines.next().unwrap(), &tree.nodes[node]);
    assert_eq!(line[0], node.rows);
    match &node.split {
        Some(split) => {
            assert_eq!(line[1], split.feature);
            close(split.threshold, line[2].as_f64().unwrap(), 1e-14);
            check_node(tree, split.left, lines);
            check_node(tree, split.right, lines);
        }
        None => check_leaf(node.value[0], line, lines, 1e-5),
    }
}

fn check_leaf(value: f64, line: &serde_json::Value, lines: &mut std::slice::Iter<'_, serde_json::Value>, within: f64) {
    match line[3].as_f64() {
        Some(expected) => close(value, expected, within),
        None => (0..2).for_each(|_| check_leaf(value, lines.next().unwrap(), lines, within)),
    }
}

#[test]
fn trees_are_those_of_scikit_learn_node_by_node() {
    for (name, link, metric) in [
        ("diabetes", Link::Identity, "mean_squared_error"),
        ("breast_cancer", Link::Logistic, "log_loss"),
        ("iris_tree", Link::Softmax, "log_loss"),
    ] {
        let expected = recorded(name.trim_end_matches("_tree"));
        let (job, path) = job(name, &expected["settings"]);
        let model = fit_file(&job, &path, 2).unwrap();
        let ensemble = ensemble(&model);
        assert_eq!(ensemble.link, link);
        for (base, expected) in ensemble.base.iter().zip(expected["base"].as_array().unwrap()) {
            close(*base, expected.as_f64().unwrap(), 1e-12);
        }
        let trees = expected["trees"].as_array().unwrap();
        assert_eq!(ensemble.trees.len(), trees.len());
        for (tree, expected) in ensemble.trees.iter().zip(trees) {
            let mut lines = expected.as_array().unwrap().iter();
            check_node(tree, 0, &mut lines);
            assert_eq!(lines.next(), None);
        }
        close(model.metrics[metric], expected["test"].as_f64().unwrap(), 1e-5);
    }
}

/// Every cut of every node between two bins is looked at, in doubles, one round after the other; trees end at a depth.
struct Twin {
    /// Numbers of bins.
    x: ndarray::Array2<f64>,
    y: Vec<f64>,
    is_logistic: bool,
    settings: BoostingSettings,
    scores: Vec<f64>,
}

impl Twin {
    fn derivatives(&self, row: usize) -> [f64; 2] {
        if self.is_logistic {
            let p = 1.0 / (1.0 + (-self.scores[row]).exp());
            [p - self.y[row], p * (1.0 - p)]
        } else {
            [self.scores[row] - self.y[row], 1.0]
        }
    }

    fn sums(&self, rows: &[usize]) -> [f64; 2] {
        let add = |a: [f64; 2], b: [f64; 2]| [a[0] + b[0], a[1] + b[1]];
        rows.iter().map(|row| self.derivatives(*row)).fold([0.0; 2], add)
    }

    fn merit(&self, rows: &[usize]) -> f64 {
        let [g, h] = self.sums(rows);
        g * g / (h + self.settings.l2_regularization)
    }

    /// The nodes of a tree in the order of a walk that goes left first: rows, feature of the split, value of the leaf.
    fn grow(&self, rows: &[usize], depth: usize, nodes: &mut Vec<(usize, Option<usize>, f64)>, told: &mut Vec<f64>) {
        let mut best: Option<(f64, usize, Vec<usize>, Vec<usize>)> = None;
        for feature in (0..self.x.ncols()).filter(|_| depth < self.settings.max_depth.unwrap()) {
            let mut thresholds: Vec<f64> = rows.iter().map(|row| self.x[[*row, feature]]).collect();
            thresholds.sort_by(f64::total_cmp);
            thresholds.dedup();
            for threshold in &thresholds[..thresholds.len() - 1] {
                let (left, right): (Vec<usize>, Vec<usize>) =
                    rows.iter().partition(|row| self.x[[**row, feature]] <= *threshold);
                let gain = self.merit(&left) + self.merit(&right) - self.merit(rows);
                let is_better = best.as_ref().is_none_or(|(most, ..)| gain > most + 1e-10 * self.merit(rows));
                if left.len().min(right.len()) >= self.settings.min_samples_leaf && is_better && gain > 1e-10 {
                    best = Some((gain, feature, left, right));
                }
            }
        }
        match best {
            Some((_, feature, left, right)) => {
                nodes.push((rows.len(), Some(feature), 0.0));
                self.grow(&left, depth + 1, nodes, told);
                self.grow(&right, depth + 1, nodes, told);
            }
            None => {
                let [g, h] = self.sums(rows);
                let value = -self.settings.learning_rate * g / (h + self.settings.l2_regularization);
                nodes.push((rows.len(), None, value));
                rows.iter().for_each(|row| told[*row] = value);
            }
        }
    }
}

/// A column of values becomes one of numbers of bins.
fn binned(mut column: ndarray::ArrayViewMut1<'_, f64>) {
    let mut sorted = column.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut edges = sorted.clone();
    edges.dedup();
    if edges.len() > 255 {
        let quantile = |edge: usize| {
            let (place, rest) = (sorted.len() * edge / 255, sorted.len() * edge % 255);
            if rest == 0 { (sorted[place - 1] + sorted[place]) / 2.0 } else { sorted[place] }
        };
        edges = (1..255).map(quantile).collect();
        edges.dedup();
    }
    column.mapv_inplace(|value| edges.iter().filter(|edge| **edge < value).count() as f64);
}

#[test]
fn trees_are_those_of_the_twin_node_by_node() {
    for (name, is_logistic) in [("diabetes", false), ("breast_cancer", true)] {
        let settings = BoostingSettings {
            max_iter: 3,
            max_depth: Some(3),
            max_leaf_nodes: 64,
            min_samples_leaf: 15,
            l2_regularization: 2.0,
            learning_rate: 0.3,
            ..BoostingSettings::default()
        };
        let (job, path) = job(name, &serde_json::to_value(settings).unwrap());
        let model = fit_file(&job, &path, 3).unwrap();
        let table = source::scan(&path, &job.data_spec()).unwrap();
        let split = job.data.split_rows(table.summary(), table.strata()).unwrap();
        let mut x = ndarray::Array2::zeros((split.train.len(), table.summary().feature_names.len()));
        let mut y = vec![0.0; split.train.len()];
        let seen = |value: &f64| f64::from(*value as f32);
        let mut take = |place: usize, cells: RowCells<'_>, target: f64| {
            let RowCells::All(cells) = cells else { panic!("the rows are not sparse") };
            x.row_mut(place).iter_mut().zip(cells).for_each(|(cell, value)| *cell = seen(value));
            y[place] = target;
        };
        table.each_row(&split.train, &mut take).unwrap();
        x.columns_mut().into_iter().for_each(binned);
        let base = ensemble(&model).base[0];
        let mut twin = Twin { scores: vec![base; y.len()], x, y, is_logistic, settings };
        for tree in &ensemble(&model).trees {
            let all: Vec<usize> = (0..twin.y.len()).collect();
            let (mut nodes, mut told) = (Vec::new(), vec![0.0; all.len()]);
            twin.grow(&all, 0, &mut nodes, &mut told);
            assert_eq!(tree.nodes.len(), nodes.len());
            for (node, (rows, feature, value)) in tree.nodes.iter().zip(nodes) {
                assert_eq!((node.rows, node.split.map(|split| split.feature)), (rows, feature));
                if feature.is_none() {
                    close(node.value[0], value, 1e-6);
                }
            }
            twin.scores.iter_mut().zip(told).for_each(|(score, value)| *score += value);
        }
    }
}

#[test]
fn the_trees_are_the_same_bits_for_any_number_of_workers_and_deaths() {
    for (job, path) in jobs() {
        let alone = fit_file(&job, &path, 1).unwrap().canonical_bytes();
        for workers in [2, 3, 5, 8, 16] {
            assert_eq!(fit_file(&job, &path, workers).unwrap().canonical_bytes(), alone, "{workers} workers");
        }
        assert_eq!(fit_with_strangers(&job, &path).canonical_bytes(), alone);
    }
}

#[test]
fn more_rounds_lower_the_loss_and_it_is_told() {
    for (mut job, path) in jobs() {
        let few = fit_file(&job, &path, 2).unwrap();
        job.model.boosting.max_iter = 15;
        let many = fit_file(&job, &path, 2).unwrap();
        assert!(many.objective < few.objective && (few.rounds, many.rounds) == (5, 15));
        assert!(many.converged && (many.importances.iter().map(|part| part.value).sum::<f64>() - 1.0).abs() < 1e-12);
    }
}

#[test]
fn rounds_end_early_when_rows_held_out_are_told_no_better() {
    for fraction in [0.0, 0.25] {
        let (mut job, path) = jobs()[1].clone();
        let boosting = &mut job.model.boosting;
        (boosting.early_stopping, boosting.max_iter, boosting.n_iter_no_change) = (true, 200, 3);
        (boosting.tol, boosting.validation_fraction) = (1e-2, fraction);
        let model = fit_file(&job, &path, 2).unwrap();
        assert!((4..60).contains(&model.rounds), "{} rounds", model.rounds);
        assert_eq!(ensemble(&model).trees.len(), model.rounds as usize);
        let rows = ensemble(&model).trees[0].nodes[0].rows;
        assert_eq!(rows == model.train_row_count, fraction == 0.0, "{rows}");
        assert_eq!(fit_file(&job, &path, 5).unwrap().canonical_bytes(), model.canonical_bytes());
    }
}

#[test]
fn trees_come_back_from_their_file_and_judge_as_they_did() {
    for (job, path) in jobs() {
        let model = fit_file(&job, &path, 2).unwrap();
        let read = model_file::decode(&model_file::encode(&model)).unwrap();
        assert_eq!(read, model);
        let mut written = Vec::new();
        let rows = predictions::predict_file(&read, &path, &mut written).unwrap();
        assert_eq!(String::from_utf8(written).unwrap().lines().count(), rows + 1);
        let evaluation = predictions::evaluate_file(&read, &path).unwrap();
        let (metric, least) = if model.classes.is_empty() { ("r2", 0.3) } else { ("accuracy", 0.93) };
        assert!(evaluation.metrics[metric] > least, "{evaluation:?}");
        let csv = String::from_utf8(model_file::weights_csv(&read)).unwrap();
        let nodes: usize = ensemble(&read).trees.iter().map(|tree| tree.nodes.len()).sum();
        assert_eq!(csv.lines().count(), nodes + 1);
        assert!(csv.starts_with("tree,output,node,feature,threshold,left,right,rows,value\n0,0,0,"), "{csv}");
    }
}

#[test]
fn trees_that_were_changed_by_hand_are_refused() {
    let (job, path) = jobs()[2].clone();
    let model = fit_file(&job, &path, 1).unwrap();
    let spoiled: [fn(&mut TrainedModel); 5] = [
        |model| drop(model.ensemble.as_mut().unwrap().trees.pop()),
        |model| model.ensemble.as_mut().unwrap().trees[1].nodes.truncate(1),
        |model| model.ensemble = None,
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
fn settings_that_do_not_fit_are_refused_by_their_key() {
    let (job, path) = jobs()[0].clone();
    type Spoil = fn(&mut TrainingJob);
    let spoiled: [(&str, Spoil); 4] = [
        ("model", |job| job.model.l2 = 1.0),
        ("model.tree", |job| job.model.tree.max_depth = Some(3)),
        ("model.boosting.learning_rate", |job| job.model.boosting.learning_rate = 0.0),
        ("model.boosting", |job| job.model.kind = ModelKind::Linear),
    ];
    for (key, spoil) in spoiled {
        let mut job = job.clone();
        spoil(&mut job);
        assert_eq!(job.validate().unwrap_err().key, key);
        assert!(fit_file(&job, &path, 1).is_err());
    }
    let mut large = job;
    large.model.boosting.max_iter = 1_000_000;
    let refused = fit_file(&large, &path, 1).unwrap_err().to_string();
    assert!(refused.contains("lower max_iter or max_leaf_nodes"), "{refused}");
}
