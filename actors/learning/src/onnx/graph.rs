//! `Graph`: an ONNX graph that grows operator by operator. Rows are matrices of doubles, `[rows, columns]`.

use super::format::{
    Attribute, AttributeKind, Dimension, Element, GraphProto, NodeProto, Shape, TensorProto, TensorType, ValueInfo,
    ValueType,
};

/// The domain of operators for classical models.
pub(super) const ML: &str = "ai.onnx.ml";

/// The name of something that an operator makes or takes.
pub(super) type Value = String;

#[derive(Debug, Default)]
pub(super) struct Graph {
    proto: GraphProto,
    /// Values that have a name already.
    named: usize,
    /// What their names begin with, and no column's.
    prefix: String,
}

impl Graph {
    /// A graph without operators, for rows of these columns.
    pub(super) fn new(name: &str, columns: &[&str]) -> Self {
        let is_taken = |prefix: &String| columns.iter().any(|column| column.starts_with(prefix));
        let mut prefix = "/".to_owned();
        while is_taken(&prefix) {
            prefix.push('/');
        }
        Self { proto: GraphProto { name: name.to_owned(), ..GraphProto::default() }, named: 0, prefix }
    }

    /// An operator of the default domain without attributes.
    pub(super) fn op(&mut self, operator: &str, inputs: &[&str]) -> Value {
        self.op_with("", operator, inputs, Vec::new())
    }

    pub(super) fn op_with(
        &mut self,
        domain: &str,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> Value {
        let output = self.fresh(&operator.to_lowercase());
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.clone()],
            op_type: operator.to_owned(),
            attribute: attributes,
            domain: domain.to_owned(),
        });
        output
    }

    /// A matrix of one row, which is added to, multiplied with or compared to each row.
    pub(super) fn row(&mut self, values: Vec<f64>) -> Value {
        self.doubles(&[1, values.len()], values)
    }

    pub(super) fn scalar(&mut self, value: f64) -> Value {
        self.doubles(&[], vec![value])
    }

    pub(super) fn doubles(&mut self, dims: &[usize], values: Vec<f64>) -> Value {
        self.constant(dims, Element::Double, TensorProto { double_data: values, ..TensorProto::default() })
    }

    pub(super) fn ints(&mut self, values: Vec<i64>) -> Value {
        let dims = [values.len()];
        self.constant(&dims, Element::Int64, TensorProto { int64_data: values, ..TensorProto::default() })
    }

    pub(super) fn strings(&mut self, values: &[String]) -> Value {
        let string_data = values.iter().map(|value| value.clone().into_bytes()).collect();
        self.constant(&[values.len()], Element::String, TensorProto { string_data, ..TensorProto::default() })
    }

    /// Columns of rows, in this order.
    pub(super) fn columns(&mut self, rows: &str, columns: &[usize]) -> Value {
        let columns = self.ints(columns.iter().map(|column| *column as i64).collect());
        self.op_with("", "Gather", &[rows, &columns], vec![int("axis", 1)])
    }

    /// Rows side by side.
    pub(super) fn beside(&mut self, parts: &[&str]) -> Value {
        match parts {
            [only] => (*only).to_owned(),
            _ => self.op_with("", "Concat", parts, vec![int("axis", 1)]),
        }
    }

    pub(super) fn cast(&mut self, value: &str, to: Element) -> Value {
        self.op_with("", "Cast", &[value], vec![int("to", to as i64)])
    }

    /// All in one dimension.
    pub(super) fn flat(&mut self, value: &str) -> Value {
        let shape = self.ints(vec![-1]);
        self.op("Reshape", &[value, &shape])
    }

    /// A column of the file.
    pub(super) fn input(&mut self, name: &str, element: Element) {
        self.proto.input.push(value_info(name, element, &[None, Some(1)]));
    }

    /// Gives a value away under a name.
    pub(super) fn output(&mut self, value: &str, name: &str, element: Element, columns: Option<usize>) {
        self.proto.node.push(NodeProto {
            input: vec![value.to_owned()],
            output: vec![name.to_owned()],
            op_type: "Identity".to_owned(),
            ..NodeProto::default()
        });
        let dimensions: Vec<Option<usize>> = std::iter::once(None).chain(columns.map(Some)).collect();
        self.proto.output.push(value_info(name, element, &dimensions));
    }

    pub(super) fn into_proto(self) -> GraphProto {
        self.proto
    }

    fn constant(&mut self, dims: &[usize], element: Element, tensor: TensorProto) -> Value {
        let name = self.fresh("constant");
        let dims = dims.iter().map(|dim| *dim as i64).collect();
        self.proto.initializer.push(TensorProto { dims, data_type: element as i32, name: name.clone(), ..tensor });
        name
    }

    fn fresh(&mut self, what: &str) -> Value {
        self.named += 1;
        format!("{}{what}_{}", self.prefix, self.named)
    }
}

/// A dimension without a number is that of the rows.
fn value_info(name: &str, element: Element, dimensions: &[Option<usize>]) -> ValueInfo {
    let dimension = |number: &Option<usize>| match number {
        Some(number) => Dimension { number: Some(*number as i64), name: None },
        None => Dimension { number: None, name: Some("rows".to_owned()) },
    };
    let shape = Some(Shape { dim: dimensions.iter().map(dimension).collect() });
    let tensor = Some(TensorType { element: element as i32, shape });
    ValueInfo { name: name.to_owned(), value_type: Some(ValueType { tensor }) }
}

pub(super) fn int(name: &str, value: i64) -> Attribute {
    attribute(name, AttributeKind::Int, Attribute { i: Some(value), ..Attribute::default() })
}

pub(super) fn ints(name: &str, values: Vec<i64>) -> Attribute {
    attribute(name, AttributeKind::Ints, Attribute { ints: values, ..Attribute::default() })
}

pub(super) fn floats(name: &str, values: Vec<f32>) -> Attribute {
    attribute(name, AttributeKind::Floats, Attribute { floats: values, ..Attribute::default() })
}

pub(super) fn strings(name: &str, values: Vec<String>) -> Attribute {
    let strings = values.into_iter().map(String::into_bytes).collect();
    attribute(name, AttributeKind::Strings, Attribute { strings, ..Attribute::default() })
}

fn attribute(name: &str, kind: AttributeKind, attribute: Attribute) -> Attribute {
    Attribute { name: name.to_owned(), kind: kind as i32, ..attribute }
}
