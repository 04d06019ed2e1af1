//! Fitted steps as operators: each takes the rows that the step before left, and gives those that the next one takes.

use super::format::Element;
use super::graph::{Graph, Value};
use crate::prepare::{FittedStep, Levels};

/// Adds a step; `width` is how many columns the rows have before it.
pub(super) fn add(step: &FittedStep, graph: &mut Graph, rows: &str, width: usize) -> Value {
    match step {
        FittedStep::Fill { columns, values, indicators } => {
            fill(graph, rows, &spread(width, columns, values, f64::NAN), indicators)
        }
        FittedStep::Keep { columns } => graph.columns(rows, columns),
        FittedStep::OneHot { encodings } => one_hot(graph, rows, width, encodings),
        FittedStep::Scale { columns, shift, scale } => {
            let shift = graph.row(spread(width, columns, shift, 0.0));
            let scale = graph.row(spread(width, columns, scale, 1.0));
            let shifted = graph.op("Sub", &[rows, &shift]);
            graph.op("Div", &[&shifted, &scale])
        }
        FittedStep::Log { columns } => log1p(graph, rows, &spread(width, columns, &vec![1.0; columns.len()], 0.0)),
        FittedStep::Clip { columns, lower, upper } => {
            let lower = graph.row(spread(width, columns, lower, f64::NEG_INFINITY));
            let upper = graph.row(spread(width, columns, upper, f64::INFINITY));
            let clipped = graph.op("Min", &[rows, &upper]);
            let clipped = graph.op("Max", &[&clipped, &lower]);
            let is_missing = graph.op("IsNaN", &[rows]);
            graph.op("Where", &[&is_missing, rows, &clipped])
        }
        FittedStep::Products { terms } if terms.is_empty() => rows.to_owned(),
        FittedStep::Products { terms } => products(graph, rows, terms),
    }
}

/// A value for each column: those given, and another for all else.
fn spread(width: usize, columns: &[usize], values: &[f64], otherwise: f64) -> Vec<f64> {
    let mut all = vec![otherwise; width];
    columns.iter().zip(values).for_each(|(column, value)| all[*column] = *value);
    all
}

fn fill(graph: &mut Graph, rows: &str, values: &[f64], indicators: &[usize]) -> Value {
    let values = graph.row(values.to_vec());
    let is_missing = graph.op("IsNaN", &[rows]);
    let filled = graph.op("Where", &[&is_missing, &values, rows]);
    if indicators.is_empty() {
        return filled;
    }
    let told = graph.cast(&is_missing, Element::Double);
    let told = graph.columns(&told, indicators);
    graph.beside(&[&filled, &told])
}

/// Columns that stay, and in the places of the others one of 0 and 1 for each level.
fn one_hot(graph: &mut Graph, rows: &str, width: usize, encodings: &[Levels]) -> Value {
    let mut encodings = encodings.iter().peekable();
    let (mut parts, mut staying) = (Vec::new(), Vec::new());
    for column in 0..width {
        match encodings.next_if(|encoding| encoding.column == column) {
            None => staying.push(column),
            Some(Levels { codes, .. }) => {
                parts.extend((!staying.is_empty()).then(|| graph.columns(rows, &std::mem::take(&mut staying))));
                if !codes.is_empty() {
                    let (cell, codes) = (graph.columns(rows, &[column]), codes.iter().map(|code| *code as f64));
                    let codes = graph.row(codes.collect());
                    let is_level = graph.op("Equal", &[&cell, &codes]);
                    parts.push(graph.cast(&is_level, Element::Double));
                }
            }
        }
    }
    parts.extend((!staying.is_empty()).then(|| graph.columns(rows, &staying)));
    graph.beside(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// `log(1 + x)` where `wanted` is 1, without the digits that `1 + x` loses: they come back as `x / ((1 + x) - 1)`.
fn log1p(graph: &mut Graph, rows: &str, wanted: &[f64]) -> Value {
    let (one, wanted) = (graph.scalar(1.0), graph.row(wanted.to_vec()));
    let sum = graph.op("Add", &[rows, &one]);
    let log = graph.op("Log", &[&sum]);
    let kept = graph.op("Sub", &[&sum, &one]);
    let scaled = graph.op("Mul", &[&log, rows]);
    let exact = graph.op("Div", &[&scaled, &kept]);
    let is_lost = graph.op("Equal", &[&sum, &one]);
    let log = graph.op("Where", &[&is_lost, rows, &exact]);
    let is_wanted = graph.op("Equal", &[&wanted, &one]);
    graph.op("Where", &[&is_wanted, &log, rows])
}

/// The rows with a column for each product, in the order of the terms.
fn products(graph: &mut Graph, rows: &str, terms: &[Vec<usize>]) -> Value {
    let degree_max = terms.iter().map(Vec::len).max().unwrap_or_default();
    let (mut parts, mut order) = (Vec::new(), Vec::new());
    for degree in 1..=degree_max {
        let of_degree: Vec<usize> = (0..terms.len()).filter(|term| terms[*term].len() == degree).collect();
        if of_degree.is_empty() {
            continue;
        }
        let factors = |place: usize| of_degree.iter().map(|term| terms[*term][place]).collect::<Vec<_>>();
        let first = graph.columns(rows, &factors(0));
        let product = (1..degree).fold(first, |product, place| {
            let factor = graph.columns(rows, &factors(place));
            graph.op("Mul", &[&product, &factor])
        });
        parts.push(product);
        order.extend(of_degree);
    }
    // They stand by their degree; what comes behind wants them by their terms.
    let products = graph.beside(&parts.iter().map(String::as_str).collect::<Vec<_>>());
    let mut places = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, term)| places[*term] = place);
    let products = graph.columns(&products, &places);
    graph.beside(&[rows, &products])
}
