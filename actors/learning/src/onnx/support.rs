//! The scores of a kernel machine, by operators on doubles.

use super::format::Element;
use super::graph::{Graph, Value, int};
use crate::svm::{SupportVectors, SvmKernel};

/// What [`SupportVectors::scores`] gives scaled rows, shape `[rows, outputs]`.
pub(super) fn scores(machine: &SupportVectors, graph: &mut Graph, rows: &str) -> Value {
    let decisions = decisions(machine, graph, rows);
    let classes = machine.class_counts.len();
    match classes {
        0 => decisions,
        2 => {
            let signs = graph.row(vec![1.0, -1.0]);
            graph.op("Mul", &[&decisions, &signs])
        }
        _ => votes(classes, graph, &decisions),
    }
}

/// Shape `[rows, decisions]`.
fn decisions(machine: &SupportVectors, graph: &mut Graph, rows: &str) -> Value {
    let (vectors, features, count) = (machine.vectors.len(), machine.feature_count, machine.intercepts.len());
    let intercepts = graph.row(machine.intercepts.clone());
    let by_feature = (0..features).flat_map(|feature| machine.vectors.iter().map(move |vector| vector[feature]));
    let transposed = graph.doubles(&[features, vectors], by_feature.collect());
    let products = graph.op("MatMul", &[rows, &transposed]);
    let values = kernel_values(machine, graph, rows, &products);
    let coefficients = graph.doubles(&[vectors, count], machine.by_decision().concat());
    let sums = graph.op("MatMul", &[&values, &coefficients]);
    graph.op("Add", &[&sums, &intercepts])
}

/// From the products of rows and support vectors, of the same shape.
fn kernel_values(machine: &SupportVectors, graph: &mut Graph, rows: &str, products: &str) -> Value {
    let kernel = &machine.kernel;
    let (gamma, coef0) = (graph.scalar(kernel.gamma), graph.scalar(kernel.coef0));
    let inner = |graph: &mut Graph| {
        let steep = graph.op("Mul", &[products, &gamma]);
        graph.op("Add", &[&steep, &coef0])
    };
    match kernel.kind {
        SvmKernel::Linear => products.to_owned(),
        SvmKernel::Poly => {
            let (base, degree) = (inner(graph), graph.scalar(f64::from(kernel.degree)));
            graph.op("Pow", &[&base, &degree])
        }
        SvmKernel::Sigmoid => {
            let base = inner(graph);
            graph.op("Tanh", &[&base])
        }
        SvmKernel::Rbf => {
            let squares = machine.vectors.iter().map(|vector| vector.iter().map(|x| x * x).sum()).collect();
            let (of_vectors, two) = (graph.row(squares), graph.scalar(2.0));
            let squared = graph.op("Mul", &[rows, rows]);
            let axis = graph.ints(vec![1]);
            let of_rows = graph.op_with("", "ReduceSum", &[&squared, &axis], vec![int("keepdims", 1)]);
            let sums = graph.op("Add", &[&of_rows, &of_vectors]);
            let twice = graph.op("Mul", &[products, &two]);
            let distances = graph.op("Sub", &[&twice, &sums]);
            let exponents = graph.op("Mul", &[&distances, &gamma]);
            graph.op("Exp", &[&exponents])
        }
    }
}

/// Votes and how sure they are, shape `[rows, classes]`.
fn votes(classes: usize, graph: &mut Graph, decisions: &str) -> Value {
    let pairs: Vec<(usize, usize)> = crate::svm::pairs(classes).collect();
    let matrix = |graph: &mut Graph, of: fn((usize, usize), usize) -> f64| {
        let cells = pairs.iter().flat_map(|pair| (0..classes).map(move |class| of(*pair, class))).collect();
        graph.doubles(&[pairs.len(), classes], cells)
    };
    let first = matrix(graph, |pair, class| f64::from(u8::from(pair.0 == class)));
    let second = matrix(graph, |pair, class| f64::from(u8::from(pair.1 == class)));
    let signed =
        matrix(graph, |pair, class| f64::from(u8::from(pair.0 == class)) - f64::from(u8::from(pair.1 == class)));
    let (zero, one, three) = (graph.scalar(0.0), graph.scalar(1.0), graph.scalar(3.0));
    let is_first = graph.op("Greater", &[decisions, &zero]);
    let for_first = graph.cast(&is_first, Element::Double);
    let for_second = graph.op("Sub", &[&one, &for_first]);
    let votes = [graph.op("MatMul", &[&for_first, &first]), graph.op("MatMul", &[&for_second, &second])];
    let votes = graph.op("Add", &[&votes[0], &votes[1]]);
    let sums = graph.op("MatMul", &[decisions, &signed]);
    let size = graph.op("Abs", &[&sums]);
    let size = graph.op("Add", &[&size, &one]);
    let size = graph.op("Mul", &[&size, &three]);
    let sure = graph.op("Div", &[&sums, &size]);
    graph.op("Add", &[&votes, &sure])
}
