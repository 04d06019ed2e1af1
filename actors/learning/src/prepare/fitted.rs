//! Steps with all that they need to know: what workers and predictions apply to rows.
//!
//! A step takes the columns as the step before left them. Missing cells are NaN and stay so until a
//! step fills them; no other value is ever NaN.

use ndarray::{Array2, ArrayView1, Axis};
use serde::{Deserialize, Serialize};

/// One step, fitted. Columns are positions, from 0, in what the step before left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FittedStep {
    /// Missing cells of each column become its value; then a column of 0 and 1 is added for each of `indicators`.
    Fill {
        /// Columns.
        columns: Vec<usize>,
        /// One for each.
        values: Vec<f64>,
        /// Columns of which it is told where cells were missing.
        indicators: Vec<usize>,
    },
    /// All columns but these go.
    Keep {
        /// Columns, ascending.
        columns: Vec<usize>,
    },
    /// Each column becomes one of 0 and 1 for each of its levels, in its place.
    OneHot {
        /// Columns, ascending.
        encodings: Vec<Levels>,
    },
    /// `(x - shift) / scale`.
    Scale {
        /// Columns.
        columns: Vec<usize>,
        /// One for each.
        shift: Vec<f64>,
        /// One for each, not 0.
        scale: Vec<f64>,
    },
    /// `log(1 + x)`.
    Log {
        /// Columns.
        columns: Vec<usize>,
    },
    /// At least `lower`, at most `upper`.
    Clip {
        /// Columns.
        columns: Vec<usize>,
        /// One for each.
        lower: Vec<f64>,
        /// One for each.
        upper: Vec<f64>,
    },
    /// A column is added for each product.
    Products {
        /// The columns of each product.
        terms: Vec<Vec<usize>>,
    },
}

/// The levels of a column that get a column of their own; any other becomes zeros.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// The column.
    pub column: usize,
    /// Codes, ascending.
    pub codes: Vec<usize>,
}

/// A row that a step cannot take.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("column {column} of row {row} is {value}, and log(1 + x) takes numbers above -1")]
pub struct ApplyError {
    /// Position among the rows given.
    pub row: usize,
    /// Position of the column before the step.
    pub column: usize,
    /// What was there.
    pub value: f64,
}

/// Applies steps in their order to rows of shape `[rows, columns]`.
///
/// # Errors
/// [`ApplyError`] at the first cell that a step cannot take.
///
/// # Panics
/// If the rows do not have the columns that the first step was fitted on.
pub fn apply(steps: &[FittedStep], mut rows: Array2<f64>) -> Result<Array2<f64>, ApplyError> {
    for step in steps {
        rows = step.apply(rows)?;
    }
    Ok(rows)
}

/// The columns that a step leaves of `width`, or nothing if it does not fit them.
#[must_use]
pub fn width_after(step: &FittedStep, width: usize) -> Option<usize> {
    let here = |columns: &[usize]| columns.iter().all(|column| *column < width);
    let is_ascending = |columns: &[usize]| columns.is_sorted_by(|a, b| a < b);
    match step {
        FittedStep::Fill { columns, values, indicators } => {
            (here(columns) && here(indicators) && columns.len() == values.len()).then_some(width + indicators.len())
        }
        FittedStep::Keep { columns } => (here(columns) && is_ascending(columns)).then_some(columns.len()),
        FittedStep::OneHot { encodings } => {
            let columns: Vec<usize> = encodings.iter().map(|encoding| encoding.column).collect();
            let added: usize = encodings.iter().map(|encoding| encoding.codes.len()).sum();
            (here(&columns) && is_ascending(&columns)).then(|| width - columns.len() + added)
        }
        FittedStep::Scale { columns, shift: first, scale: second }
        | FittedStep::Clip { columns, lower: first, upper: second } => {
            let is_clip = matches!(step, FittedStep::Clip { .. });
            let is_ordered = !is_clip || first.iter().zip(second).all(|(lower, upper)| lower <= upper);
            let fits = here(columns) && (first.len(), second.len()) == (columns.len(), columns.len());
            (fits && is_ordered).then_some(width)
        }
        FittedStep::Log { columns } => here(columns).then_some(width),
        FittedStep::Products { terms } => terms.iter().all(|term| here(term)).then_some(width + terms.len()),
    }
}

impl FittedStep {
    /// What it does, in a word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fill { .. } => "fill",
            Self::Keep { .. } => "keep",
            Self::OneHot { .. } => "one_hot",
            Self::Scale { .. } => "scale",
            Self::Log { .. } => "log",
            Self::Clip { .. } => "clip",
            Self::Products { .. } => "products",
        }
    }

    fn apply(&self, mut rows: Array2<f64>) -> Result<Array2<f64>, ApplyError> {
        match self {
            Self::Fill { columns, values, indicators } => {
                let missing = |row: ArrayView1<'_, f64>, out: &mut Vec<f64>| {
                    out.extend(indicators.iter().map(|column| f64::from(u8::from(row[*column].is_nan()))));
                };
                rows = with_added(rows, indicators.len(), missing);
                each(&mut rows, columns, |place, cell| if cell.is_nan() { values[place] } else { cell });
            }
            // A selection of columns lies in memory by columns; kernels want each row in one piece.
            Self::Keep { columns } => rows = rows.select(Axis(1), columns).as_standard_layout().into_owned(),
            Self::OneHot { encodings } => rows = one_hot(&rows, encodings),
            Self::Scale { columns, shift, scale } => {
                each(&mut rows, columns, |place, cell| (cell - shift[place]) / scale[place]);
            }
            Self::Log { columns } => {
                check_log(&rows, columns)?;
                each(&mut rows, columns, |_, cell| libm::log1p(cell));
            }
            Self::Clip { columns, lower, upper } => {
                each(&mut rows, columns, |place, cell| cell.clamp(lower[place], upper[place]));
            }
            Self::Products { terms } => {
                let products = |row: ArrayView1<'_, f64>, out: &mut Vec<f64>| {
                    out.extend(terms.iter().map(|term| term.iter().map(|column| row[*column]).product::<f64>()));
                };
                rows = with_added(rows, terms.len(), products);
            }
        }
        Ok(rows)
    }
}

/// Replaces the cells of some columns; `of` gets the position among `columns` and the cell.
fn each(rows: &mut Array2<f64>, columns: &[usize], of: impl Fn(usize, f64) -> f64) {
    for mut row in rows.rows_mut() {
        for (place, column) in columns.iter().enumerate() {
            row[*column] = of(place, row[*column]);
        }
    }
}

/// The rows with `count` columns more, which `add` makes from each row.
fn with_added(rows: Array2<f64>, count: usize, add: impl Fn(ArrayView1<'_, f64>, &mut Vec<f64>)) -> Array2<f64> {
    if count == 0 {
        return rows;
    }
    let (row_count, width) = (rows.nrows(), rows.ncols() + count);
    let mut cells = Vec::with_capacity(row_count * width);
    for row in rows.rows() {
        cells.extend(row);
        add(row, &mut cells);
    }
    shaped(row_count, width, cells)
}

fn one_hot(rows: &Array2<f64>, encodings: &[Levels]) -> Array2<f64> {
    let added: usize = encodings.iter().map(|encoding| encoding.codes.len()).sum();
    let width = rows.ncols() - encodings.len() + added;
    let mut cells = Vec::with_capacity(rows.nrows() * width);
    for row in rows.rows() {
        let mut encodings = encodings.iter().peekable();
        for (column, cell) in row.iter().enumerate() {
            match encodings.next_if(|encoding| encoding.column == column) {
                Some(encoding) => {
                    cells.extend(encoding.codes.iter().map(|code| f64::from(u8::from(*code as f64 == *cell))));
                }
                None => cells.push(*cell),
            }
        }
    }
    shaped(rows.nrows(), width, cells)
}

fn shaped(row_count: usize, width: usize, cells: Vec<f64>) -> Array2<f64> {
    Array2::from_shape_vec((row_count, width), cells).expect("every row has as many cells")
}

fn check_log(rows: &Array2<f64>, columns: &[usize]) -> Result<(), ApplyError> {
    for (row, cells) in rows.outer_iter().enumerate() {
        if let Some(column) = columns.iter().copied().find(|column| cells[*column] <= -1.0) {
            return Err(ApplyError { row, column, value: cells[column] });
        }
    }
    Ok(())
}
