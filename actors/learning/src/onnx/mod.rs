//! A model as an ONNX file: the columns of the file go in, each by its name; predictions come out.
//!
//! All numbers are doubles. A tree finds its leaf with the 32 bits that trees see (`TreeEnsembleRegressor`), and what
//! the leaf says is looked up in doubles; `trees` does that, for one or many. Operators are of ONNX opset 17 and `ai.onnx.ml` 3. Deliberately absent: reading
//! ONNX, and what a model says of its training.

mod format;
mod graph;
mod steps;
mod support;
mod trees;

use format::{Element, Entry, ModelProto, OperatorSet};
use graph::{Graph, ML, Value, int, ints, strings};
use prost::Message;

use crate::data::DataColumn;
use crate::job::ModelKind;
use crate::model::{Coefficient, TrainedModel};

/// The version of the format of the file.
const IR_VERSION: i64 = 8;
/// The versions of the operators, by domain.
const OPERATORS: [(&str, i64); 2] = [("", 17), (ML, 3)];

/// What a word stands for that is missing; no level has this code.
const MISSING: i64 = -1;

/// The bytes of an ONNX file.
///
/// Inputs are the columns of the file, shape `[rows, 1]`: doubles, NaN where a cell is missing, or words. A word that the
/// training did not see counts as a missing cell. The outputs are `prediction`, shape `[rows]`, of a regression; of a
/// classifier `label`, shape `[rows]`, and `probabilities` or `margins`, shape `[rows, 1]` for class 1 alone, or
/// `[rows, classes]`.
///
/// # Panics
/// If the model is a user's own, whose code no other program has.
#[must_use]
pub fn encode(model: &TrainedModel) -> Vec<u8> {
    assert!(model.model.own().is_none(), "the code of \"{}\" cannot be written as a graph", model.model.name());
    let mut graph = Graph::new(&model.name, &model.input_names());
    let rows = rows_of(model, &mut graph);
    let rows = model.steps.iter().fold((rows, model.input_names().len()), |(rows, width), step| {
        let next = steps::add(step, &mut graph, &rows, width);
        (next, crate::prepare::width_after(step, width).expect("the steps of a model fit each other"))
    });
    let scores = match (&model.tree, &model.ensemble, &model.support) {
        (Some(tree), ..) => trees::leaf_values(tree, &mut graph, &rows.0),
        (_, Some(ensemble), _) => trees::ensemble_scores(ensemble, &mut graph, &rows.0),
        (.., Some(support)) => {
            let rows = scaled(model, &mut graph, rows.0);
            support::scores(support, &mut graph, &rows)
        }
        (None, None, None) => linear_scores(model, &mut graph, rows.0),
    };
    give_out(model, &mut graph, &scores);
    let facts = [("odeon.model", model.model.name().to_owned()), ("odeon.sha256", model.model_sha256())];
    let entry = |(key, value): (&str, String)| Entry { key: key.to_owned(), value };
    let operators = OPERATORS.map(|(domain, version)| OperatorSet { domain: domain.to_owned(), version });
    let proto = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "odeon".to_owned(),
        graph: Some(graph.into_proto()),
        opset_import: operators.to_vec(),
        metadata_props: facts.into_iter().chain([("odeon.target", model.target.clone())]).map(entry).collect(),
    };
    proto.encode_to_vec()
}

/// The columns of the file side by side, words as the numbers of their levels.
fn rows_of(model: &TrainedModel, graph: &mut Graph) -> Value {
    let names: Vec<String> = model.input_names().into_iter().map(str::to_owned).collect();
    let column = |name: &String| {
        let with_levels = model.input.iter().find(|column| column.name == *name && column.has_levels());
        match with_levels {
            None => {
                graph.input(name, Element::Double);
                name.clone()
            }
            Some(column) => codes(column, &model.missing_words, graph),
        }
    };
    let columns: Vec<Value> = names.iter().map(column).collect();
    graph.beside(&columns.iter().map(String::as_str).collect::<Vec<_>>())
}

fn codes(column: &DataColumn, missing_words: &[String], graph: &mut Graph) -> Value {
    graph.input(&column.name, Element::String);
    // A level that is a missing word as well was never read as a level.
    let levels = column.levels.iter().zip(0_i64..).filter(|(level, _)| !missing_words.contains(level));
    let (words, numbers): (Vec<String>, Vec<i64>) = levels.map(|(level, code)| (level.clone(), code)).unzip();
    let map = vec![strings("keys_strings", words), ints("values_int64s", numbers), int("default_int64", MISSING)];
    let found = graph.op_with(ML, "LabelEncoder", &[&column.name], map);
    let found = graph.cast(&found, Element::Double);
    let (missing, nan) = (graph.scalar(MISSING as f64), graph.scalar(f64::NAN));
    let is_missing = graph.op("Equal", &[&found, &missing]);
    graph.op("Where", &[&is_missing, &nan, &found])
}

fn scaled(model: &TrainedModel, graph: &mut Graph, rows: Value) -> Value {
    let Some(scaling) = &model.scaling else { return rows };
    let (mean, scale) = (graph.row(scaling.mean.clone()), graph.row(scaling.scale.clone()));
    let centred = graph.op("Sub", &[&rows, &mean]);
    graph.op("Div", &[&centred, &scale])
}

/// Margins or probabilities of a model with weights, shape `[rows, outputs]`.
fn linear_scores(model: &TrainedModel, graph: &mut Graph, rows: Value) -> Value {
    let rows = scaled(model, graph, rows);
    let (outputs, features) = (model.output_count(), model.feature_count());
    let values: Vec<f64> = model.coefficients.iter().map(|Coefficient { value, .. }| *value).collect();
    let by_feature = (0..features).flat_map(|feature| (0..outputs).map(move |output| output * features + feature));
    let weights = graph.doubles(&[features, outputs], by_feature.map(|place| values[place]).collect());
    let intercepts = if model.intercepts.is_empty() { vec![model.intercept] } else { model.intercepts.clone() };
    let intercepts = graph.row(intercepts);
    let margins = graph.op("MatMul", &[&rows, &weights]);
    let margins = graph.op("Add", &[&margins, &intercepts]);
    match model.model {
        ModelKind::Logistic => graph.op("Sigmoid", &[&margins]),
        ModelKind::Multinomial => graph.op_with("", "Softmax", &[&margins], vec![int("axis", 1)]),
        _ => margins,
    }
}

fn give_out(model: &TrainedModel, graph: &mut Graph, scores: &str) {
    if !model.model.is_classifier() {
        let flat = graph.flat(scores);
        return graph.output(&flat, "prediction", Element::Double, None);
    }
    let class = match model.model.has_class_scores() {
        true => {
            // Of more than two classes of a kernel machine the whole votes decide.
            let has_votes = model.support.is_some() && model.classes.len() > 2;
            let ranked = if has_votes { graph.op("Round", &[scores]) } else { scores.to_owned() };
            graph.op_with("", "ArgMax", &[&ranked], vec![int("axis", 1), int("keepdims", 0)])
        }
        false => {
            let border = graph.scalar(if model.model.has_probabilities() { 0.5 } else { 0.0 });
            let is_one = graph.op("Greater", &[scores, &border]);
            let number = graph.cast(&is_one, Element::Int64);
            graph.flat(&number)
        }
    };
    if model.classes.is_empty() {
        graph.output(&class, "label", Element::Int64, None);
    } else {
        let words = graph.strings(&model.classes);
        let word = graph.op_with("", "Gather", &[&words, &class], vec![int("axis", 0)]);
        graph.output(&word, "label", Element::String, None);
    }
    let name = if model.model.has_probabilities() { "probabilities" } else { "margins" };
    graph.output(scores, name, Element::Double, Some(model.output_count()));
}

#[cfg(test)]
#[path = "onnx_test.rs"]
mod tests;
