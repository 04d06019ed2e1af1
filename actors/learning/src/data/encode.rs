//! Cells of text to numbers, and what is wrong with those that cannot be.
//!
//! It knows no file: whoever reads one names the place.

use super::{
    DataError, VALUE_MAX,
    error::nearest,
    schema::{BadRows, DataColumn, DataSpec, DataSummary},
};

/// Longest piece of a bad cell that an error repeats, in characters.
const CELL_TEXT_MAX: usize = 40;

/// Turns the cells of rows into numbers.
#[derive(Debug)]
pub(super) struct Encoder<'a> {
    spec: &'a DataSpec,
    columns: Vec<Column<'a>>,
}

/// What one cell may hold.
#[derive(Debug)]
enum Column<'a> {
    Number,
    /// Words in the order of their codes, and the codes in the order of the words.
    Word {
        levels: &'a [String],
        sorted: Vec<usize>,
    },
    /// A class: the number 0 or 1.
    Label,
}

/// What is wrong with a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Missing,
    NotANumber,
    NotFinite,
    TooLarge,
    UnknownLevel,
    NotALabel,
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Encoded {
    /// Its numbers are in the buffer.
    Kept,
    /// It is left out for this reason.
    Bad(DataError),
    /// It is left out because a cell is missing.
    Missing,
}

/// Where a row stands, for errors.
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) row: u64,
    pub(super) names: &'a [String],
}

impl<'a> Encoder<'a> {
    /// An encoder of the columns of `summary`, the target last, if there is one.
    pub(super) fn new(spec: &'a DataSpec, summary: &'a DataSummary) -> Self {
        let words = |levels: &'a [String]| {
            let mut sorted: Vec<usize> = (0..levels.len()).collect();
            sorted.sort_by_key(|code| &levels[*code]);
            Column::Word { levels, sorted }
        };
        let feature = |column: &'a DataColumn| match column.has_levels() {
            true => words(&column.levels),
            false => Column::Number,
        };
        let target = match (spec.binary_target, summary.classes.is_empty()) {
            (true, true) => Column::Label,
            (true, false) => words(&summary.classes),
            (false, _) => Column::Number,
        };
        let target = spec.target.is_some().then_some(target);
        Self { spec, columns: summary.columns.iter().map(feature).chain(target).collect() }
    }

    /// Replaces `values` by the numbers of a row.
    ///
    /// # Errors
    /// The first fault of the row, where the job ends at one.
    pub(super) fn encode<'c>(
        &self,
        cells: Result<impl Iterator<Item = &'c str>, DataError>,
        place: &Place<'_>,
        values: &mut Vec<f64>,
    ) -> Result<Encoded, DataError> {
        values.clear();
        let bad = |error| if self.spec.bad_rows == BadRows::Fail { Err(error) } else { Ok(Encoded::Bad(error)) };
        let cells = match cells {
            Ok(cells) => cells,
            Err(error) => return bad(error),
        };
        let (feature_count, mut has_missing) = (self.columns.len() - usize::from(self.spec.target.is_some()), false);
        for (index, (cell, column)) in cells.zip(&self.columns).enumerate() {
            let is_feature = index < feature_count;
            match self.number(cell, column) {
                Ok(number) => values.push(number),
                Err(Fault::Missing) if is_feature && self.takes_missing() => {
                    has_missing = true;
                    values.push(f64::NAN);
                }
                Err(fault) if is_feature && fault != Fault::Missing && self.spec.bad_rows == BadRows::Missing => {
                    has_missing = true;
                    values.push(f64::NAN);
                }
                Err(fault) => return bad(fault.at(place, index, cell, column)),
            }
        }
        Ok(if has_missing && self.spec.drop_missing_rows { Encoded::Missing } else { Encoded::Kept })
    }

    fn takes_missing(&self) -> bool {
        self.spec.missing_is_filled || self.spec.drop_missing_rows
    }

    fn number(&self, cell: &str, column: &Column<'_>) -> Result<f64, Fault> {
        if is_missing(cell, self.spec) {
            return Err(Fault::Missing);
        }
        if let Column::Word { levels, sorted } = column {
            let found = sorted.binary_search_by(|code| levels[*code].as_str().cmp(cell));
            return found.map(|place| sorted[place] as f64).map_err(|_| Fault::UnknownLevel);
        }
        match cell.parse::<f64>() {
            Ok(number) if matches!(column, Column::Label) && number.is_finite() && number != 0.0 && number != 1.0 => {
                Err(Fault::NotALabel)
            }
            Ok(number) if number.abs() <= VALUE_MAX => Ok(number),
            Ok(number) if number.is_finite() => Err(Fault::TooLarge),
            Ok(_) => Err(Fault::NotFinite),
            Err(_) => Err(Fault::NotANumber),
        }
    }
}

/// Whether a cell holds nothing.
pub(super) fn is_missing(cell: &str, spec: &DataSpec) -> bool {
    cell.is_empty() || spec.missing_words.iter().any(|word| word == cell)
}

impl Fault {
    fn at(self, place: &Place<'_>, index: usize, cell: &str, column: &Column<'_>) -> DataError {
        let (file, row, column_name) = (place.file.to_owned(), place.row, place.names[index].clone());
        let text = cell.chars().take(CELL_TEXT_MAX).collect();
        match self {
            Self::Missing => DataError::MissingCell { file, row, column: column_name },
            Self::NotANumber => DataError::NotANumber { file, row, column: column_name, text },
            Self::NotFinite => DataError::NotFinite { file, row, column: column_name, text },
            Self::TooLarge => DataError::TooLarge { file, row, column: column_name, text },
            Self::NotALabel => DataError::NotALabel { file, row, column: column_name, text },
            Self::UnknownLevel => {
                let levels = if let Column::Word { levels, .. } = column { *levels } else { &[] };
                let nearest = nearest(cell, levels.iter().map(String::as_str)).map(String::into_boxed_str);
                DataError::UnknownLevel { file, row, column: column_name, text, nearest }
            }
        }
    }
}
