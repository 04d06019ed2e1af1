//! The table of a job: rows of files, or generated ones, read as numbers.
//!
//! Files are opened by `open.rs`, cells understood by `encode.rs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ::csv::StringRecord;
use ndarray::{Array1, Array2};

use super::csv::chosen;
use super::encode::Encoded;
use super::file_rows::FileRows;
use super::infer::Inference;
use super::paths::{DataPaths, DataSource};
use super::reader::{Reader, RowBuffer};
use super::sparse_table::{self, SparseForm};
use super::strata::Strata;
use super::svm::is_svm;
use super::synthetic::{Dense, LABEL, VALUE};
use super::synthetic_sparse::Sparse;
use super::{ColumnSetting, DataError, DataSpec, DataSummary, LeftOut, RowCells, RowSink, Rows, SYNTHETIC};

/// Reasons of left-out rows that are kept for people.
const EXAMPLES_MAX: usize = 5;
/// Most cells that are handed on at a time, zeros included.
const CELLS_AT_ONCE: usize = 1 << 22;

/// Files whose rows have all been read once and are known to be good, apart from those that are left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    origin: Origin,
    spec: DataSpec,
    summary: DataSummary,
    /// Rows left out, ascending, from 0 below the header of the first file.
    left_out: Vec<usize>,
    examples: Vec<String>,
    strata: Strata,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq)]
enum Origin {
    /// CSV, or libsvm files of a form.
    Files(Files, Option<SparseForm>),
    /// The numbers of the columns wanted, which are ascending or as the job lists them.
    Generated(Dense, Vec<usize>),
    /// All of its columns.
    GeneratedSparse(Sparse),
}

/// Files in the order of their rows.
#[derive(Debug, Clone, PartialEq)]
struct Files {
    paths: Vec<PathBuf>,
    /// From this one on they have the rows for testing.
    test_from: Option<usize>,
}

/// Reads and validates all files of a path or pattern, and keeps nothing of their rows.
///
/// # Errors
/// [`DataError`] at the first thing that is wrong.
pub fn scan(path: &Path, spec: &DataSpec) -> Result<Table, DataError> {
    scan_source(&DataSource { paths: DataPaths::from(path), test_paths: None }, spec)
}

/// As [`scan`], of all that a job reads.
///
/// # Errors
/// [`DataError`] at the first thing that is wrong.
pub fn scan_source(source: &DataSource, spec: &DataSpec) -> Result<Table, DataError> {
    if let Some(name) = source.paths.synthetic() {
        return generated(name, spec);
    }
    let files = Files::of(source)?;
    if files.are_svm()? {
        let (form, summary) = sparse_table::infer(&files.paths, spec, &files.name())?;
        return Table::new(Origin::Files(files, Some(form)), spec, summary).validated();
    }
    let mut rows = FileRows::open(&files.paths, spec)?;
    let names = rows.names().to_vec();
    let mut inference = Inference::new(spec, &names);
    while rows.advance()? {
        if let Ok(cells) = rows.cells() {
            inference.see(cells);
        }
    }
    let (columns, classes) = inference.conclude(&files.name())?;
    let feature_names = columns.iter().map(|column| column.name.clone()).collect();
    let target = spec.target.clone().unwrap_or_default();
    let summary = DataSummary { feature_names, target, columns, classes, ..DataSummary::default() };
    Table::new(Origin::Files(files, None), spec, summary).validated()
}

/// As [`scan_source`] where another host has found out what the columns are: rows are read once less.
///
/// # Errors
/// [`DataError`] at the first thing that is wrong.
pub fn rescan(source: &DataSource, spec: &DataSpec, known: &DataSummary) -> Result<Table, DataError> {
    if source.paths.synthetic().is_some() {
        return scan_source(source, spec);
    }
    let files = Files::of(source)?;
    if files.are_svm()? {
        return scan_source(source, spec);
    }
    let rows = FileRows::open(&files.paths, spec)?;
    if !rows.names().iter().eq(known.feature_names.iter().chain(&spec.target)) {
        // The reading without what is known tells what is different.
        return scan_source(source, spec);
    }
    let DataSummary { feature_names, target, columns, classes, .. } = known.clone();
    let summary = DataSummary { feature_names, target, columns, classes, ..DataSummary::default() };
    Table::new(Origin::Files(files, None), spec, summary).validated()
}

impl Files {
    fn of(source: &DataSource) -> Result<Self, DataError> {
        let mut paths = source.paths.files()?;
        let mut test_from = None;
        if let Some(test_paths) = &source.test_paths {
            test_from = Some(paths.len());
            for path in test_paths.files()? {
                if paths.contains(&path) {
                    return Err(DataError::FileTwice { file: path.display().to_string() });
                }
                paths.push(path);
            }
        }
        Ok(Self { paths, test_from })
    }

    /// Whether they are libsvm files, by their names.
    fn are_svm(&self) -> Result<bool, DataError> {
        let (svm, other): (Vec<&PathBuf>, Vec<&PathBuf>) = self.paths.iter().partition(|path| is_svm(path));
        match (svm.first(), other.first()) {
            (Some(_), Some(other)) => Err(DataError::Unreadable {
                file: other.display().to_string(),
                reason: "its name does not end like that of a libsvm file, as others of the job do".to_owned(),
            }),
            (first, _) => Ok(first.is_some()),
        }
    }

    /// For errors that concern all of them.
    fn name(&self) -> String {
        let first = self.paths.first().map(|path| path.display().to_string()).unwrap_or_default();
        match self.paths.len() {
            0 | 1 => first,
            count => format!("{first} and {} more", count - 1),
        }
    }
}

/// The table of generated data, which needs no reading.
fn generated(name: &str, spec: &DataSpec) -> Result<Table, DataError> {
    let refused = |reason: &str| Err(DataError::Generator { name: name.to_owned(), reason: reason.to_owned() });
    if name[SYNTHETIC.len()..].starts_with("sparse") {
        return generated_sparse(name, spec);
    }
    let dense = Dense::parse(name)?;
    // The other target would give the one away.
    let targets = [LABEL, VALUE].into_iter().filter(|target| spec.target.as_deref() == Some(target));
    let header: StringRecord = dense.feature_names().chain(targets.map(str::to_owned)).collect();
    let mut names = chosen(name, &header, spec)?;
    names.truncate(names.len() - usize::from(spec.target.is_some()));
    let has_words = |name: &str| name.starts_with('c');
    let fits = |(name, setting): (&String, &ColumnSetting)| match setting {
        ColumnSetting::Numeric => !has_words(name),
        ColumnSetting::Categorical => has_words(name),
        ColumnSetting::Ignored => true,
        ColumnSetting::Ordinal(_) => false,
    };
    if !spec.columns.iter().all(fits) {
        return refused("its columns x0, x1, … are numeric, c0, c1, … categorical");
    }
    if dense.has_holes() && !spec.missing_is_filled {
        return refused("it has holes; add a [[prepare.steps]] with step = \"impute\"");
    }
    if spec.target.is_some() && spec.binary_target != (spec.target.as_deref() == Some(LABEL)) {
        return refused("a classifier learns the target \"label\", a regression \"value\"");
    }
    let position = |name: &String| header.iter().position(|other| other == name).unwrap_or_default();
    let places: Vec<usize> = names.iter().map(position).collect();
    let levels = places.iter().map(|column| dense.levels(*column)).collect::<Vec<_>>();
    let origin = Origin::Generated(dense, places);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let target = spec.target.clone().unwrap_or_default();
    let classes = if spec.many_classes { ["0", "1"].map(String::from).to_vec() } else { Vec::new() };
    let mut summary = DataSummary { classes, ..DataSummary::numeric(dense.row_count, &names, &target) };
    summary.columns.iter_mut().zip(levels).for_each(|(column, levels)| column.levels = levels);
    let mut table = Table::new(origin, spec, summary);
    if dense.has_holes() {
        table.count_holes()?;
    }
    if spec.stratified {
        let weights = dense.weights();
        let mut cells = Vec::new();
        let mut class = |row| Dense::target(LABEL, dense.row(row, &weights, &mut cells)) as u16;
        table.stratify((0..dense.row_count).map(&mut class).collect());
    }
    Ok(table)
}

/// The table of generated sparse rows.
fn generated_sparse(name: &str, spec: &DataSpec) -> Result<Table, DataError> {
    let refused = |reason: &str| Err(DataError::Generator { name: name.to_owned(), reason: reason.to_owned() });
    let sparse = Sparse::parse(name)?;
    if spec.target.as_deref().is_some_and(|target| target != LABEL) || (spec.target.is_some() && !spec.binary_target) {
        return refused("its target is \"label\", for a classifier");
    }
    if spec.features.is_some() || !spec.columns.is_empty() || spec.many_classes || spec.stratified || spec.dense {
        return refused(
            "all of its columns are read as they are, without data.features, data.columns or data.dense, and split by row",
        );
    }
    let form = SparseForm::generated(sparse.column_count);
    let target = spec.target.clone().unwrap_or_default();
    let row_count = sparse.row_count;
    let summary = DataSummary { row_count, target, sparse: Some(form.columns), ..DataSummary::default() };
    Ok(Table::new(Origin::GeneratedSparse(sparse), spec, summary))
}

impl Table {
    fn validated(mut self) -> Result<Self, DataError> {
        self.validate()?;
        Ok(self)
    }

    fn new(origin: Origin, spec: &DataSpec, summary: DataSummary) -> Self {
        let (left_out, examples, strata) = (Vec::new(), Vec::new(), Strata::default());
        Self { origin, spec: spec.clone(), summary, left_out, examples, strata }
    }

    /// Reads all generated rows to count the cells that are missing.
    fn count_holes(&mut self) -> Result<(), DataError> {
        let mut missing = vec![0; self.summary.columns.len()];
        for row in 0..self.summary.row_count {
            self.each_row(&[row], &mut |_, cells, _| {
                if let RowCells::All(cells) = cells {
                    missing.iter_mut().zip(cells).for_each(|(count, cell)| *count += usize::from(cell.is_nan()));
                }
            })?;
        }
        let columns = self.summary.columns.iter_mut().zip(missing);
        columns.for_each(|(column, count)| column.missing_count = count);
        Ok(())
    }

    fn stratify(&mut self, codes: Vec<u16>) {
        self.strata = Strata::new(codes);
        self.summary.strata = self.strata.summary();
    }

    /// The class of each row that was kept, if the spec wants it.
    #[must_use]
    pub fn strata(&self) -> &Strata {
        &self.strata
    }

    /// What was found.
    #[must_use]
    pub fn summary(&self) -> &DataSummary {
        &self.summary
    }

    /// The first reasons for which bad rows were left out.
    #[must_use]
    pub fn examples(&self) -> &[String] {
        &self.examples
    }

    /// Reads the rows of the given numbers (from 0, among the rows that were kept), in the order given,
    /// and keeps no others.
    ///
    /// Stops reading behind the last of them; rows that are stepped over are not validated again.
    ///
    /// # Errors
    /// [`DataError`] if a wanted row is bad or absent.
    pub fn read_rows(&self, wanted: &[usize]) -> Result<Rows, DataError> {
        let shape = (wanted.len(), self.summary.feature_count());
        let mut rows = Rows { x: Array2::zeros(shape), y: Array1::zeros(wanted.len()) };
        self.each_row(wanted, &mut |place, cells, target| {
            cells.fill(rows.x.row_mut(place).iter_mut());
            rows.y[place] = target;
        })?;
        Ok(rows)
    }

    /// As [`Self::read_rows`], telling each row as it is read, in any order.
    ///
    /// # Errors
    /// [`DataError`] if a wanted row is bad or absent; some may have been told by then.
    pub fn each_row(&self, wanted: &[usize], each: &mut RowSink<'_>) -> Result<(), DataError> {
        let (files, form) = match &self.origin {
            Origin::Files(files, form) => (files, form.as_ref()),
            Origin::Generated(dense, columns) => return self.generate(*dense, columns, wanted, each),
            Origin::GeneratedSparse(sparse) => return generate_sparse(*sparse, wanted, each),
        };
        let (mut rows, width) = (KeptRows::open(files, form, self)?, self.summary.feature_count());
        let mut places: Vec<(usize, usize)> =
            wanted.iter().copied().enumerate().map(|(place, row)| (row, place)).collect();
        places.sort_unstable();

        let (mut buffer, mut kept_count) = (RowBuffer::default(), 0);
        for (row, place) in places {
            while kept_count <= row {
                if !rows.advance()? {
                    return Err(DataError::RowMissing { file: files.name(), wanted: row, row_count: kept_count });
                }
                kept_count += 1;
                if kept_count > row {
                    rows.read(&mut buffer)?;
                }
            }
            each(place, buffer.cells(width), buffer.target(width));
        }
        Ok(())
    }

    /// Calls `each` with all rows that were kept, in their order, at most `rows_max` at a time, fewer if they are wide.
    /// Without a target, targets are 0.
    ///
    /// # Errors
    /// [`DataError`] if the file has changed; what `each` returns.
    pub fn each_chunk<E: From<DataError>>(
        &self,
        rows_max: usize,
        mut each: impl FnMut(Rows) -> Result<(), E>,
    ) -> Result<(), E> {
        let width = self.summary.feature_count();
        let rows_max = rows_max.min(CELLS_AT_ONCE / width.max(1)).max(1);
        let (files, form) = match &self.origin {
            Origin::Files(files, form) => (files, form.as_ref()),
            Origin::Generated(..) | Origin::GeneratedSparse(_) => {
                let all: Vec<usize> = (0..self.summary.row_count).collect();
                return all.chunks(rows_max).try_for_each(|rows| each(self.read_rows(rows)?));
            }
        };
        let mut rows = KeptRows::open(files, form, self)?;
        let (mut cells, mut targets, mut buffer) = (Vec::new(), Vec::new(), RowBuffer::default());
        let mut flush = |cells: &mut Vec<f64>, targets: &mut Vec<f64>| {
            let (cells, targets) = (std::mem::take(cells), std::mem::take(targets));
            let x = Array2::from_shape_vec((targets.len(), width), cells).expect("a row has a cell for each feature");
            each(Rows { x, y: targets.into() })
        };
        while rows.advance()? {
            rows.read(&mut buffer)?;
            let start = cells.len();
            cells.resize(start + width, 0.0);
            buffer.cells(width).fill(cells[start..].iter_mut());
            targets.push(buffer.target(width));
            if targets.len() >= rows_max {
                flush(&mut cells, &mut targets)?;
            }
        }
        if targets.is_empty() { Ok(()) } else { flush(&mut cells, &mut targets) }
    }

    fn generate(
        &self,
        dense: Dense,
        columns: &[usize],
        wanted: &[usize],
        each: &mut RowSink<'_>,
    ) -> Result<(), DataError> {
        let mut chosen = Vec::with_capacity(columns.len());
        let (weights, mut cells, row_count) = (dense.weights(), Vec::new(), dense.row_count);
        for (place, row) in wanted.iter().copied().enumerate() {
            if row >= row_count {
                return Err(DataError::RowMissing { file: SYNTHETIC.to_owned(), wanted: row, row_count });
            }
            let sum = dense.row(row, &weights, &mut cells);
            chosen.clear();
            chosen.extend(columns.iter().map(|column| cells[*column]));
            each(place, RowCells::All(&chosen), Dense::target(&self.summary.target, sum));
        }
        Ok(())
    }

    /// The second reading: counts what is kept, and why the rest is not.
    fn validate(&mut self) -> Result<(), DataError> {
        let Origin::Files(files, form) = &self.origin else { return Ok(()) };
        let mut text = Reader::open(&files.paths, form.as_ref(), &self.spec, &self.summary)?;
        let (mut buffer, mut seen, mut left_out) = (RowBuffer::default(), BTreeSet::new(), LeftOut::default());
        let (mut missing, mut line) = (vec![0; self.summary.columns.len()], 0);
        let (mut classes, mut test_row_count) = (Vec::new(), files.test_from.map(|_| 0));
        let width = self.summary.feature_count();
        while text.advance()? {
            let is_test = files.test_from.is_some_and(|first| text.place() >= first);
            let counter = match text.read(&mut buffer)? {
                // Rows for testing are compared among themselves: what they are tested on is the user's to say.
                Encoded::Kept if self.spec.drop_duplicate_rows && !seen.insert((is_test, buffer.fingerprint())) => {
                    Some(&mut left_out.duplicate)
                }
                Encoded::Kept => None,
                Encoded::Missing => Some(&mut left_out.missing),
                Encoded::Bad(error) => {
                    if self.examples.len() < EXAMPLES_MAX {
                        self.examples.push(error.to_string());
                    }
                    Some(&mut left_out.bad)
                }
            };
            match counter {
                Some(counter) => {
                    *counter += 1;
                    self.left_out.push(line);
                }
                None => {
                    if let RowCells::All(cells) = buffer.cells(width) {
                        missing.iter_mut().zip(cells).for_each(|(count, cell)| *count += usize::from(cell.is_nan()));
                    }
                    // The code of a class, which was checked.
                    classes.extend(self.spec.stratified.then(|| buffer.target(width) as u16));
                    test_row_count = test_row_count.map(|count| count + usize::from(is_test));
                }
            }
            line += 1;
        }
        let (file, row_count) = (files.name(), line - left_out.total());
        match (line, row_count) {
            (0, _) => return Err(DataError::NoRows { file }),
            (_, 0) => return Err(DataError::NothingLeft { file, row_count: line, left_out: left_out.to_string() }),
            _ => (self.summary.row_count, self.summary.left_out) = (row_count, left_out),
        }
        self.summary.test_row_count = test_row_count;
        let columns = self.summary.columns.iter_mut().zip(missing);
        columns.for_each(|(column, count)| column.missing_count = count);
        self.stratify(classes);
        Ok(())
    }
}

/// Generated rows need no reading of others.
fn generate_sparse(sparse: Sparse, wanted: &[usize], each: &mut RowSink<'_>) -> Result<(), DataError> {
    let (weights, mut buffer, row_count) = (sparse.weights(), RowBuffer::default(), sparse.row_count);
    for (place, row) in wanted.iter().copied().enumerate() {
        if row >= row_count {
            return Err(DataError::RowMissing { file: SYNTHETIC.to_owned(), wanted: row, row_count });
        }
        let into = buffer.sparse_mut();
        into.target = sparse.row(row, &weights, &mut into.columns, &mut into.values);
        each(place, buffer.cells(sparse.column_count), buffer.target(sparse.column_count));
    }
    Ok(())
}

/// The rows of files that were kept, one after the other.
struct KeptRows<'a> {
    rows: Reader<'a>,
    left_out: std::iter::Peekable<std::slice::Iter<'a, usize>>,
    line: usize,
}

impl<'a> KeptRows<'a> {
    fn open(files: &'a Files, form: Option<&'a SparseForm>, table: &'a Table) -> Result<Self, DataError> {
        let rows = Reader::open(&files.paths, form, &table.spec, &table.summary)?;
        Ok(Self { rows, left_out: table.left_out.iter().peekable(), line: 0 })
    }

    /// Steps to the next one; `false` behind the last.
    fn advance(&mut self) -> Result<bool, DataError> {
        while self.rows.advance()? {
            let line = self.line;
            self.line += 1;
            if self.left_out.next_if_eq(&&line).is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Replaces `buffer` by the numbers of the current row.
    fn read(&self, buffer: &mut RowBuffer) -> Result<(), DataError> {
        match self.rows.read(buffer)? {
            Encoded::Bad(error) => Err(error),
            Encoded::Kept | Encoded::Missing => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "files_test.rs"]
mod files_tests;
#[cfg(test)]
#[path = "source_test.rs"]
mod tests;
