//! What the columns of a file are, from one reading of their cells.
//!
//! A column is one of words if none of its cells is a number: where both occur, it is one of numbers, and
//! the words are bad cells, which the user hears of, and may call categories.

use std::collections::BTreeSet;

use super::{
    DataError,
    encode::is_missing,
    schema::{CLASSES_MAX, ColumnSetting, DataColumn, DataSpec, LEVELS_MAX},
};

/// What was seen of each column so far: the features, then the target.
#[derive(Debug)]
pub(super) struct Inference<'a> {
    spec: &'a DataSpec,
    seen: Vec<Seen<'a>>,
}

#[derive(Debug)]
struct Seen<'a> {
    name: &'a str,
    setting: Option<&'a ColumnSetting>,
    is_target: bool,
    has_numbers: bool,
    /// Words, until a number shows that they are none; at most one more than there may be.
    words: BTreeSet<String>,
}

impl<'a> Inference<'a> {
    /// Nothing seen of these columns.
    pub(super) fn new(spec: &'a DataSpec, names: &'a [String]) -> Self {
        let seen = names.iter().map(|name| {
            let is_target = spec.target.as_ref() == Some(name);
            let is_number = is_target && !spec.binary_target;
            let setting = match spec.columns.get(name) {
                _ if is_number => Some(&ColumnSetting::Numeric),
                Some(ordinal @ ColumnSetting::Ordinal(_)) => Some(ordinal),
                _ if is_target && spec.many_classes => Some(&ColumnSetting::Categorical),
                setting => setting,
            };
            Seen { name, setting, is_target, has_numbers: false, words: BTreeSet::new() }
        });
        Self { spec, seen: seen.collect() }
    }

    /// Takes in the cells of a row.
    pub(super) fn see<'c>(&mut self, cells: impl Iterator<Item = &'c str>) {
        for (seen, cell) in self.seen.iter_mut().zip(cells) {
            if seen.collects() && !is_missing(cell, self.spec) {
                seen.see(cell);
            }
        }
    }

    /// The features, and the classes of a target of words.
    ///
    /// # Errors
    /// [`DataError::TooManyLevels`] or [`DataError::NotTwoClasses`].
    pub(super) fn conclude(self, file: &str) -> Result<(Vec<DataColumn>, Vec<String>), DataError> {
        let (mut columns, mut classes) = (Vec::new(), Vec::new());
        for seen in self.seen {
            let (file, column, count) = (file.to_owned(), seen.name.to_owned(), seen.words.len());
            if seen.is_target {
                classes = match seen.setting {
                    Some(ColumnSetting::Ordinal(levels)) => levels.clone(),
                    _ => in_order(seen.words),
                };
                let count = classes.len();
                if self.spec.many_classes && !(2..=CLASSES_MAX).contains(&count) {
                    return Err(DataError::WrongClassCount { file, column, count });
                }
                if !self.spec.many_classes && count > 0 && count != 2 {
                    return Err(DataError::NotTwoClasses { file, column, count });
                }
            } else if count > LEVELS_MAX {
                return Err(DataError::TooManyLevels { file, column });
            } else {
                columns.push(seen.column());
            }
        }
        Ok((columns, classes))
    }
}

/// Numbers by their size, words by the alphabet.
fn in_order(words: BTreeSet<String>) -> Vec<String> {
    let mut words: Vec<String> = words.into_iter().collect();
    let numbers: Option<Vec<f64>> = words.iter().map(|word| word.parse().ok()).collect();
    if numbers.is_some() {
        let number = |word: &String| word.parse::<f64>().unwrap_or_default();
        words.sort_by(|a, b| number(a).total_cmp(&number(b)));
    }
    words
}

impl Seen<'_> {
    fn collects(&self) -> bool {
        match self.setting {
            Some(ColumnSetting::Numeric | ColumnSetting::Ordinal(_) | ColumnSetting::Ignored) => false,
            Some(ColumnSetting::Categorical) => self.words.len() <= LEVELS_MAX,
            None => !self.has_numbers && self.words.len() <= LEVELS_MAX,
        }
    }

    fn see(&mut self, cell: &str) {
        if self.setting.is_none() && cell.parse::<f64>().is_ok() {
            self.has_numbers = true;
            self.words.clear();
        } else if !self.words.contains(cell) {
            self.words.insert(cell.to_owned());
        }
    }

    fn column(self) -> DataColumn {
        let (levels, is_ordered) = match self.setting {
            Some(ColumnSetting::Ordinal(levels)) => (levels.clone(), true),
            _ => (self.words.into_iter().collect(), false),
        };
        DataColumn { name: self.name.to_owned(), levels, is_ordered, missing_count: 0 }
    }
}
