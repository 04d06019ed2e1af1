//! What must hold of every file that is written; what it computes is compared in `tests/cluster/models.rs`.

use super::trees::rounded_down;
use super::*;
use crate::prepare::{FittedStep, Levels};
use crate::svm::{KernelFunction, SupportVectors, SvmKernel};
use crate::tree::Tree;
use crate::tree::{TreeNode, TreeSplit};
use format::{GraphProto, TensorProto};
use std::collections::BTreeSet;

fn column(name: &str, levels: &[&str]) -> DataColumn {
    let levels = levels.iter().map(|&level| level.to_owned()).collect();
    DataColumn { name: name.into(), levels, ..DataColumn::default() }
}

fn weight(class: Option<&str>, name: &str, value: f64) -> Coefficient {
    Coefficient { class: class.map(str::to_owned), name: name.into(), value }
}

/// Two classes from two features of which nothing is prepared.
fn logistic() -> TrainedModel {
    let text = r#"{"coefficients":[{"name":"a","value":2.0},{"name":"b","value":3.0}],"converged":true,
        "gradient_norm":0.0,"intercept":-1.0,"l2":0.0,"metrics":{},"model":"logistic","name":"tiny","objective":0.5,
        "rounds":3,"scaling":{"mean":[1.0,0.0],"scale":[2.0,1.0]},"stopped":null,"target":"y","test_row_count":1,
        "train_row_count":4,"version":1}"#;
    serde_json::from_str(text).unwrap()
}

/// All steps: `word` becomes two columns, `a` has an indicator, and products have one factor, three and two.
fn prepared() -> TrainedModel {
    let steps = vec![
        FittedStep::Fill { columns: vec![1, 2], values: vec![0.5, 2.0], indicators: vec![1] },
        FittedStep::OneHot { encodings: vec![Levels { column: 0, codes: vec![1, 2] }] },
        FittedStep::Clip { columns: vec![2], lower: vec![0.0], upper: vec![9.0] },
        FittedStep::Log { columns: vec![3] },
        FittedStep::Products { terms: vec![vec![2, 3], vec![2], vec![2, 2, 3]] },
        FittedStep::Keep { columns: vec![0, 2, 5, 7] },
        FittedStep::Scale { columns: vec![1], shift: vec![1.0], scale: vec![4.0] },
    ];
    let names = ["word=x", "a", "a*b", "a*a*b"];
    let coefficients = ["p", "q"].iter().flat_map(|class| names.map(|name| weight(Some(class), name, 1.0))).collect();
    TrainedModel {
        classes: vec!["p".into(), "q".into()],
        coefficients,
        input: vec![column("word", &["w", "x", "?"]), column("a", &[]), column("b", &[])],
        intercepts: vec![0.0, 1.0],
        missing_words: vec!["?".into()],
        model: ModelKind::Multinomial,
        scaling: None,
        steps,
        ..logistic()
    }
}

fn tree() -> TrainedModel {
    let node = |split, value: [f64; 2]| TreeNode { impurity: 0.1, rows: 2, split, value: value.to_vec() };
    let split = TreeSplit { feature: 1, left: 1, right: 2, threshold: 0.1 };
    let nodes = vec![node(Some(split), [0.5, 0.5]), node(None, [0.25, 0.75]), node(None, [1.0, 0.0])];
    TrainedModel {
        classes: vec!["p".into(), "q".into()],
        coefficients: Vec::new(),
        importances: vec![weight(None, "a", 0.0), weight(None, "b", 1.0)],
        model: ModelKind::DecisionTreeClassifier,
        scaling: None,
        tree: Some(Tree { class_count: 2, nodes }),
        ..logistic()
    }
}

fn support(classes: usize, kind: SvmKernel) -> TrainedModel {
    let machine = SupportVectors {
        class_counts: vec![1; classes],
        coefficients: vec![vec![0.5; classes.max(2) - 1]; classes.max(1)],
        feature_count: 2,
        intercepts: vec![0.1; (classes * classes.saturating_sub(1) / 2).max(1)],
        kernel: KernelFunction { coef0: 1.0, degree: 2, gamma: 0.5, kind },
        vectors: vec![vec![1.0, 2.0]; classes.max(1)],
    };
    machine.check(2).unwrap();
    TrainedModel {
        classes: (0..classes).map(|class| class.to_string()).collect(),
        coefficients: Vec::new(),
        features: vec!["a".into(), "b".into()],
        model: if classes == 0 { ModelKind::Svr } else { ModelKind::Svc },
        support: Some(machine),
        ..logistic()
    }
}

#[test]
fn kernel_machines_of_two_classes_and_more_and_of_a_number_are_graphs() {
    for (classes, kind) in [(0, SvmKernel::Poly), (2, SvmKernel::Sigmoid), (3, SvmKernel::Rbf), (4, SvmKernel::Linear)]
    {
        let graph = graph_of(&support(classes, kind));
        let outputs: &[&str] = if classes == 0 { &["prediction"] } else { &["label", "margins"] };
        assert_eq!(names(&graph.output), outputs);
        assert_eq!(operators(&graph).contains(&"Round"), classes > 2);
        assert_eq!(operators(&graph).contains(&"Exp"), kind == SvmKernel::Rbf);
    }
}

fn graph_of(model: &TrainedModel) -> GraphProto {
    ModelProto::decode(encode(model).as_slice()).unwrap().graph.unwrap()
}

fn names(values: &[format::ValueInfo]) -> Vec<&str> {
    values.iter().map(|value| value.name.as_str()).collect()
}

fn operators(graph: &GraphProto) -> Vec<&str> {
    graph.node.iter().map(|node| node.op_type.as_str()).collect()
}

fn constant<'a>(graph: &'a GraphProto, name: &str) -> &'a TensorProto {
    graph.initializer.iter().find(|tensor| tensor.name == name).unwrap()
}

#[test]
fn every_value_is_made_once_and_before_it_is_taken_and_every_constant_fills_its_shape() {
    let machines = [support(0, SvmKernel::Poly), support(2, SvmKernel::Rbf), support(3, SvmKernel::Sigmoid)];
    for model in machines.into_iter().chain([
        logistic(),
        prepared(),
        tree(),
        TrainedModel { model: ModelKind::Linear, ..logistic() },
    ]) {
        let graph = graph_of(&model);
        let mut known: BTreeSet<&str> = names(&graph.input).into_iter().collect();
        for tensor in &graph.initializer {
            assert!(known.insert(&tensor.name), "{} is made twice", tensor.name);
            let size = usize::try_from(tensor.dims.iter().product::<i64>()).unwrap();
            assert_eq!(tensor.double_data.len() + tensor.int64_data.len() + tensor.string_data.len(), size);
        }
        for node in &graph.node {
            assert!(node.input.iter().all(|input| known.contains(input.as_str())), "{node:?}");
            assert!(node.output.iter().all(|output| known.insert(output)), "{node:?}");
        }
        assert!(names(&graph.output).iter().all(|output| known.contains(output)));
        assert!(names(&graph.output).iter().all(|output| !names(&graph.input).contains(output)));
    }
}

#[test]
fn columns_go_in_by_their_names_and_labels_and_scores_come_out() {
    let graph = graph_of(&prepared());
    assert_eq!(names(&graph.input), ["word", "a", "b"]);
    assert_eq!(names(&graph.output), ["label", "probabilities"]);
    assert_eq!(names(&graph_of(&TrainedModel { model: ModelKind::Linear, ..logistic() }).output), ["prediction"]);
    let svc = graph_of(&TrainedModel { model: ModelKind::LinearSvc, ..logistic() });
    assert_eq!(names(&svc.output), ["label", "margins"]);
    assert!(!operators(&svc).contains(&"Sigmoid"));
}

#[test]
fn a_column_that_is_named_like_a_value_of_the_graph_collides_with_none() {
    let input = vec![column("/constant_1", &[]), column("//gather_2", &[])];
    let graph = graph_of(&TrainedModel { input, ..logistic() });
    assert!(
        graph.node.iter().flat_map(|node| &node.output).all(|output| !names(&graph.input).contains(&output.as_str()))
    );
}

#[test]
fn weights_stand_by_feature_and_then_by_class() {
    let mut model = prepared();
    model.coefficients.iter_mut().zip(1..).for_each(|(weight, number)| weight.value = f64::from(number));
    let graph = graph_of(&model);
    let product = graph.node.iter().find(|node| node.op_type == "MatMul").unwrap();
    let weights = constant(&graph, &product.input[1]);
    assert_eq!(
        (weights.dims.as_slice(), weights.double_data.as_slice()),
        (&[4, 2][..], &[1., 5., 2., 6., 3., 7., 4., 8.][..])
    );
}

#[test]
fn a_level_that_means_missing_is_no_level() {
    let graph = graph_of(&prepared());
    let encoder = graph.node.iter().find(|node| node.op_type == "LabelEncoder").unwrap();
    assert_eq!(encoder.attribute[0].strings, [b"w".to_vec(), b"x".to_vec()]);
    assert_eq!((encoder.attribute[1].ints.as_slice(), encoder.attribute[2].i), (&[0, 1][..], Some(MISSING)));
}

#[test]
fn a_threshold_of_64_bits_divides_numbers_of_32_bits_as_before() {
    for threshold in [0.1, -0.1, 2.5, 1e-300, 16_777_217.0] {
        let rounded = rounded_down(threshold);
        assert!(f64::from(rounded) <= threshold && f64::from(rounded.next_up()) > threshold, "{threshold}");
    }
    let graph = graph_of(&tree());
    let ensemble = graph.node.iter().find(|node| node.op_type == "TreeEnsembleRegressor").unwrap();
    let values = ensemble.attribute.iter().find(|attribute| attribute.name == "nodes_values").unwrap();
    assert_eq!(values.floats[0], rounded_down(0.1));
    let lookup = graph.node.iter().rfind(|node| node.op_type == "Gather" && node.input[0] != "label").unwrap();
    assert!(constant(&graph, &lookup.input[0]).dims == [2] || constant(&graph, &lookup.input[0]).dims == [2, 2]);
}
