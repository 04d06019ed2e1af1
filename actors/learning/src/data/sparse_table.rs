//! The rows of libsvm files as a job reads them: what a reading finds, and columns and targets as the job counts them.
//!
//! Columns have numbers for names, and are numbered from 0 or from 1, as the files do it.

use std::path::PathBuf;

use super::error::nearest;
use super::schema::{CLASSES_MAX, SparseColumns};
use super::svm::{SparseRow, SvmRows};
use super::{BadRows, ColumnSetting, DataError, DataSpec, DataSummary};

/// Most columns, so that a number of one fits its place.
pub(super) const SPARSE_COLUMNS_MAX: usize = 1 << 24;
/// The most different targets that are counted: one more than there may be classes.
const TARGETS_MAX: usize = CLASSES_MAX + 1;

/// What the columns and the targets of the rows are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SparseForm {
    pub(super) columns: SparseColumns,
    classes: Classes,
}

/// How a target is told.
#[derive(Debug, Clone, PartialEq)]
enum Classes {
    /// As it is written.
    Number,
    /// As it is written, and 0 or 1.
    Label,
    /// By its position among these.
    Levels(Vec<f64>),
    /// Not at all.
    Unread,
}

/// What a reading has seen so far.
#[derive(Debug, Default)]
pub(super) struct SparseInference {
    first: Option<u32>,
    last: u32,
    value_count: usize,
    targets: Vec<f64>,
}

impl SparseInference {
    /// Takes in a row.
    pub(super) fn see(&mut self, row: &SparseRow) {
        if let (Some(first), Some(last)) = (row.columns.first(), row.columns.last()) {
            self.first = Some(self.first.map_or(*first, |least| least.min(*first)));
            self.last = self.last.max(*last);
        }
        self.value_count += row.values.len();
        if self.targets.len() < TARGETS_MAX && !self.targets.contains(&row.target) {
            self.targets.push(row.target);
        }
    }

    /// The form of the rows, and the names of the classes.
    ///
    /// # Errors
    /// [`DataError`] if the columns or the targets are not what the spec takes.
    pub(super) fn conclude(mut self, spec: &DataSpec, file: &str) -> Result<(SparseForm, Vec<String>), DataError> {
        let columns = self.columns(spec, file)?;
        let (classes, names) = match (&spec.target, spec.binary_target) {
            (None, _) => (Classes::Unread, Vec::new()),
            (Some(_), false) => (Classes::Number, Vec::new()),
            (Some(target), true) => match spec.columns.get(target) {
                Some(ColumnSetting::Ordinal(names)) => (levels(names), names.clone()),
                _ => self.found_classes(spec, file, target)?,
            },
        };
        self.targets.clear();
        Ok((SparseForm { columns, classes }, names))
    }

    fn columns(&self, spec: &DataSpec, file: &str) -> Result<SparseColumns, DataError> {
        let refused = |reason: &str| DataError::Unreadable { file: file.to_owned(), reason: reason.to_owned() };
        let is_feature = |name: &String| Some(name) != spec.target.as_ref();
        let is_other =
            |(name, setting): (&String, &ColumnSetting)| is_feature(name) && *setting != ColumnSetting::Numeric;
        if spec.columns.iter().any(is_other) {
            return Err(refused("columns of a libsvm file are numeric, and data.columns says otherwise"));
        }
        let value_count = self.value_count;
        let (first, count) = match &spec.features {
            Some(names) => {
                // Of a model that is to predict; what it does not know, it gives no weight.
                let first = names.first().and_then(|name| name.parse::<u32>().ok());
                let is_numbered = |first: u32| (first..).zip(names).all(|(number, name)| number.to_string() == *name);
                let text = "its columns have numbers for names, and others are asked for";
                (first.filter(|first| is_numbered(*first)).ok_or_else(|| refused(text))?, names.len())
            }
            None => {
                let first = self.first.ok_or_else(|| DataError::NoFeatures { file: file.to_owned() })?.min(1);
                (first, (self.last - first) as usize + 1)
            }
        };
        if count > SPARSE_COLUMNS_MAX {
            return Err(refused(&format!("{count} columns are more than {SPARSE_COLUMNS_MAX}")));
        }
        Ok(SparseColumns { first, count, value_count })
    }

    fn found_classes(
        &mut self,
        spec: &DataSpec,
        file: &str,
        target: &str,
    ) -> Result<(Classes, Vec<String>), DataError> {
        let (file, column, count) = (file.to_owned(), target.to_owned(), self.targets.len());
        if !spec.many_classes && self.targets.iter().all(|target| [0.0, 1.0].contains(target)) {
            return Ok((Classes::Label, Vec::new()));
        }
        if spec.many_classes && !(2..=CLASSES_MAX).contains(&count) {
            return Err(DataError::WrongClassCount { file, column, count });
        }
        if !spec.many_classes && count != 2 {
            return Err(DataError::NotTwoClasses { file, column, count });
        }
        self.targets.sort_by(f64::total_cmp);
        let names: Vec<String> = self.targets.iter().map(f64::to_string).collect();
        Ok((levels(&names), names))
    }
}

fn levels(names: &[String]) -> Classes {
    // What is no number is no target of such a file either.
    Classes::Levels(names.iter().map(|name| name.parse().unwrap_or(f64::NAN)).collect())
}

impl SparseForm {
    /// The form of generated rows.
    pub(super) fn generated(count: usize) -> Self {
        Self { columns: SparseColumns { first: 0, count, value_count: 0 }, classes: Classes::Label }
    }

    /// Counts columns from 0, and tells the target as the job has it.
    ///
    /// # Errors
    /// [`DataError`] if the target is none that the job knows.
    pub(super) fn encode(&self, row: &mut SparseRow, names: &[String], rows: &SvmRows<'_>) -> Result<(), DataError> {
        let SparseColumns { first, count, .. } = self.columns;
        if let Some(unknown) = row.columns.iter().position(|column| (*column as usize) >= first as usize + count) {
            row.columns.truncate(unknown);
            row.values.truncate(unknown);
        }
        if let Some(early) = row.columns.first().filter(|column| **column < first) {
            let (text, reason) = (early.to_string(), format!("is a column before {first}, the first of the model"));
            return Err(DataError::BadEntry { file: rows.file().to_owned(), row: rows.row(), text, reason });
        }
        row.columns.iter_mut().for_each(|column| *column -= first);
        let (file, line, text) = (rows.file().to_owned(), rows.row(), row.target.to_string());
        let column = "target".to_owned();
        row.target = match &self.classes {
            Classes::Unread => 0.0,
            Classes::Number => row.target,
            Classes::Label if [0.0, 1.0].contains(&row.target) => row.target,
            Classes::Label => return Err(DataError::NotALabel { file, row: line, column, text }),
            Classes::Levels(levels) => match levels.iter().position(|level| *level == row.target) {
                Some(code) => code as f64,
                None => {
                    let nearest = nearest(&text, names.iter().map(String::as_str)).map(String::into_boxed_str);
                    return Err(DataError::UnknownLevel { file, row: line, column, text, nearest });
                }
            },
        };
        Ok(())
    }
}

/// Reads all files once: what the columns and targets are, and the lines that are to be left out.
///
/// # Errors
/// [`DataError`] at the first thing that is wrong, unless such rows are to be left out.
pub(super) fn infer(paths: &[PathBuf], spec: &DataSpec, file: &str) -> Result<(SparseForm, DataSummary), DataError> {
    let (mut rows, mut row, mut inference) = (SvmRows::open(paths)?, SparseRow::default(), SparseInference::default());
    while rows.advance()? {
        match rows.read(&mut row) {
            Ok(()) => inference.see(&row),
            Err(error) if spec.bad_rows == BadRows::Fail => return Err(error),
            // The second reading counts it.
            Err(_) => {}
        }
    }
    let (form, classes) = inference.conclude(spec, file)?;
    let target = spec.target.clone().unwrap_or_default();
    let summary = match spec.dense {
        false => DataSummary { target, classes, sparse: Some(form.columns), ..DataSummary::default() },
        true => {
            let names: Vec<String> = form.columns.names().collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            DataSummary { classes, ..DataSummary::numeric(0, &names, &target) }
        }
    };
    Ok((form, summary))
}
