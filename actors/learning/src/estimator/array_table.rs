//! Arrays as the table that a job reads: columns `x0`, `x1`, …, and the target.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use super::EstimatorError;
use crate::data::schema::CLASSES_MAX;
use crate::data::{DataSummary, Rows, VALUE_MAX};
use crate::job::ModelKind;

/// The name of the target's column.
pub const TARGET_COLUMN: &str = "target";

/// Rows with their targets, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayTable {
    x: Array2<f64>,
    y: Array1<f64>,
    /// The different targets, ascending, if they are classes.
    classes: Vec<f64>,
}

impl ArrayTable {
    pub(super) fn new(
        x: ArrayView2<'_, f64>,
        y: ArrayView1<'_, f64>,
        has_classes: bool,
    ) -> Result<Self, EstimatorError> {
        if x.nrows() != y.len() {
            return Err(EstimatorError::Lengths { rows: x.nrows(), targets: y.len() });
        }
        if x.is_empty() {
            return Err(EstimatorError::Empty);
        }
        let is_bad = |value: f64| !(value.is_nan() || value.abs() <= VALUE_MAX);
        if let Some(((row, column), value)) = x.indexed_iter().find(|(_, value)| is_bad(**value)) {
            return Err(EstimatorError::NotUsable { row, column: column_name(column), value: *value });
        }
        if let Some((row, value)) = y.iter().enumerate().find(|(_, value)| value.is_nan() || is_bad(**value)) {
            return Err(EstimatorError::NotUsable { row, column: TARGET_COLUMN.to_owned(), value: *value });
        }
        // Adding 0 makes -0 and 0 one class.
        let mut classes: Vec<f64> = if has_classes { y.iter().map(|value| value + 0.0).collect() } else { Vec::new() };
        classes.sort_by(f64::total_cmp);
        classes.dedup();
        if has_classes && !(2..=CLASSES_MAX).contains(&classes.len()) {
            return Err(EstimatorError::Classes(classes.len()));
        }
        Ok(Self { x: x.as_standard_layout().into_owned(), y: y.to_owned(), classes })
    }

    /// The different targets, if they are classes.
    #[must_use]
    pub fn classes(&self) -> &[f64] {
        &self.classes
    }

    pub(super) fn into_classes(self) -> Vec<f64> {
        self.classes
    }

    /// What a reading of the table finds.
    #[must_use]
    pub fn summary(&self, kind: ModelKind) -> DataSummary {
        let names: Vec<String> = (0..self.x.ncols()).map(column_name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut summary = DataSummary::numeric(self.x.nrows(), &names, TARGET_COLUMN);
        for (column, cells) in summary.columns.iter_mut().zip(self.x.axis_iter(Axis(1))) {
            column.missing_count = cells.iter().filter(|cell| cell.is_nan()).count();
        }
        if kind.has_class_scores() {
            summary.classes = self.classes.iter().map(f64::to_string).collect();
        }
        summary
    }

    /// The rows of these numbers; targets of classes are their positions.
    #[must_use]
    pub fn rows(&self, numbers: &[usize], kind: ModelKind) -> Rows {
        let code = |target: &f64| match kind.is_classifier() && !self.classes.is_empty() {
            true => self.class_of(*target) as f64,
            false => *target,
        };
        Rows { x: self.x.select(Axis(0), numbers), y: numbers.iter().map(|number| code(&self.y[*number])).collect() }
    }

    fn class_of(&self, target: f64) -> usize {
        self.classes.partition_point(|class| class.total_cmp(&(target + 0.0)).is_lt())
    }

    /// The table as a CSV file, with all digits; the label of one of two classes is 0 or 1.
    #[must_use]
    pub fn to_csv(&self, kind: ModelKind) -> Vec<u8> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        let header = (0..self.x.ncols()).map(column_name).chain([TARGET_COLUMN.to_owned()]);
        let mut write = |line: Vec<String>| csv.write_record(line).expect("writing to memory cannot fail");
        write(header.collect());
        for (row, target) in self.x.outer_iter().zip(&self.y) {
            let cell = |value: &f64| if value.is_nan() { String::new() } else { value.to_string() };
            let is_label = !self.classes.is_empty() && !kind.has_class_scores();
            let target = if is_label { self.class_of(*target).to_string() } else { (target + 0.0).to_string() };
            write(row.iter().map(cell).chain([target]).collect());
        }
        csv.into_inner().expect("writing to memory cannot fail")
    }
}

pub(super) fn column_name(column: usize) -> String {
    format!("x{column}")
}
