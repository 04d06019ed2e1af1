//! Data files of this host: the only module of the crate's pure half that opens files.

use std::{fs::File, io::ErrorKind, path::Path};

use ndarray::{Array1, Array2};

use super::csv::{DataError, DataSpec, DataSummary, NumericCsv, Rows};

/// Reads and validates the whole file and keeps nothing of it but the summary.
///
/// # Errors
/// [`DataError`] at the first thing that is wrong.
pub fn scan(path: &Path, spec: &DataSpec) -> Result<DataSummary, DataError> {
    let mut csv = open(path, spec)?;
    let mut values = Vec::new();
    let mut row_count = 0;
    while csv.next_row(&mut values)? {
        row_count += 1;
    }
    if row_count == 0 {
        return Err(DataError::NoRows { file: path.display().to_string() });
    }
    Ok(DataSummary { row_count, feature_names: csv.feature_names(), target: spec.target.clone() })
}

/// Reads the rows of the given numbers (from 0, below the header), in the order given, and keeps no others.
///
/// Stops reading behind the last of them; rows that are stepped over are not validated: see [`scan`].
///
/// # Errors
/// [`DataError`] if a wanted row is bad or absent.
pub fn read_rows(path: &Path, spec: &DataSpec, wanted: &[usize]) -> Result<Rows, DataError> {
    let mut csv = open(path, spec)?;
    let feature_count = csv.feature_names().len();
    let mut rows = Rows { x: Array2::zeros((wanted.len(), feature_count)), y: Array1::zeros(wanted.len()) };
    let mut places: Vec<(usize, usize)> = wanted.iter().copied().enumerate().map(|(place, row)| (row, place)).collect();
    places.sort_unstable();

    let mut values = Vec::with_capacity(feature_count + 1);
    let mut read_count = 0;
    for (row, place) in places {
        while read_count <= row {
            let found = if read_count < row { csv.skip_row()? } else { csv.next_row(&mut values)? };
            if !found {
                let file = path.display().to_string();
                return Err(DataError::RowMissing { file, wanted: row, row_count: read_count });
            }
            read_count += 1;
        }
        rows.x.row_mut(place).iter_mut().zip(&values).for_each(|(cell, value)| *cell = *value);
        rows.y[place] = values[feature_count];
    }
    Ok(rows)
}

fn open(path: &Path, spec: &DataSpec) -> Result<NumericCsv<File>, DataError> {
    let name = path.display().to_string();
    let refused = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => DataError::FileMissing { file: name.clone() },
        _ => DataError::Unreadable { file: name.clone(), reason: error.to_string() },
    };
    // A pipe can be read once, and here every worker reads: opening one would wait for ever.
    if !path.metadata().map_err(refused)?.is_file() {
        return Err(DataError::Unreadable { file: name, reason: "it is not a regular file".to_owned() });
    }
    let file = File::open(path).map_err(refused)?;
    NumericCsv::open(file, &name, spec)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use ndarray::array;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn spec() -> DataSpec {
        DataSpec { target: "y".into(), features: None, binary_target: false }
    }

    #[test]
    fn a_scan_counts_rows_and_names_features() {
        let data = file("a,b,y\n1,2,3\n4,5,6\n");
        let expected = DataSummary { row_count: 2, feature_names: vec!["a".into(), "b".into()], target: "y".into() };
        assert_eq!(scan(data.path(), &spec()), Ok(expected));
    }

    #[test]
    fn rows_come_in_the_wanted_order_even_twice() {
        let data = file("a,y\n0,0\n1,10\n2,20\n3,30\n");
        let rows = read_rows(data.path(), &spec(), &[2, 0, 2]).unwrap();
        assert_eq!(rows, Rows { x: array![[2.0], [0.0], [2.0]], y: array![20.0, 0.0, 20.0] });
        let error = read_rows(data.path(), &spec(), &[1, 4]).unwrap_err();
        assert!(matches!(error, DataError::RowMissing { wanted: 4, row_count: 4, .. }));
    }

    #[test]
    fn a_missing_file_and_a_file_without_rows_are_told_apart() {
        assert!(matches!(scan(Path::new("no/such.csv"), &spec()), Err(DataError::FileMissing { .. })));
        assert!(matches!(scan(file("a,y\n").path(), &spec()), Err(DataError::NoRows { .. })));
        assert!(matches!(scan(file("").path(), &spec()), Err(DataError::Empty { .. })));
        assert!(matches!(scan(file("a,y\n1,x\n").path(), &spec()), Err(DataError::NotANumber { row: 2, .. })));
    }
}
