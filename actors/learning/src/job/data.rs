//! `[data]` of a job file: which file, which columns, which split.
//!
//! No file is opened here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{JobError, require};
use crate::data::fold::Fold;
use crate::data::schema::LEVELS_MAX;
use crate::data::split::{SplitError, SplitKind, TrainTestSplit, sizes_at_end};
use crate::data::strata::{Strata, fold_sizes};
use crate::data::{BadRows, ColumnSetting, DataPaths, DataSource, DataSummary, Precision};

/// The most folds of a cross-validation.
pub const FOLDS_MAX: u32 = 100;

/// The most repeats of a cross-validation.
pub const REPEATS_MAX: u32 = 100;

/// `[data]`: the file, its columns, and the split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSettings {
    /// CSV file with a header or libsvm file, present on every host that runs a worker, a pattern or a list of such; or
    /// `synthetic:dense?rows=N&cols=N&seed=N`, or the same with `sparse`.
    pub path: DataPaths,
    /// Files with the rows for testing, in place of a split; all rows of `path` are for training then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_path: Option<DataPaths>,
    /// Column to predict; of a libsvm file a name of your own for what begins each line.
    #[serde(default = "default_target")]
    pub target: String,
    /// Columns to predict from; all but the target if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
    /// What columns are, where the cells do not say it or say it wrongly.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, ColumnSetting>,
    /// What becomes of rows with a cell that cannot be used.
    #[serde(default)]
    pub bad_rows: BadRows,
    /// Words that stand for a missing cell, as an empty cell does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_words: Vec<String>,
    /// Whether rows of a libsvm file are kept with all their zeros, and so are like those of any other file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dense: bool,
    /// Fraction of rows kept for testing, strictly between 0 and 1.
    #[serde(default = "default_test_size")]
    pub test_size: f64,
    /// How the test rows are chosen.
    #[serde(default)]
    pub split: SplitKind,
    /// Seed of the shuffle; an ordered split has none.
    #[serde(default = "default_seed")]
    pub seed: u32,
    /// How workers store numbers.
    #[serde(default, skip_serializing_if = "is_auto")]
    pub precision: Precision,
    /// The test rows are this fold, in place of `test_size`; `split` says whether rows are shuffled first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<Fold>,
}

impl DataSettings {
    /// Checks every value.
    ///
    /// # Errors
    /// [`JobError`] with the first key whose value is out of bounds.
    pub(super) fn validate(&self) -> Result<(), JobError> {
        require("data.path", self.path.is_complete(), || "the path is empty".to_owned())?;
        self.validate_test_path()?;
        require("data.target", !self.target.is_empty(), || "the name is empty".to_owned())?;
        require("data.test_size", self.test_size > 0.0 && self.test_size < 1.0, || {
            format!("{} is not strictly between 0 and 1", self.test_size)
        })?;
        self.validate_fold()?;
        self.validate_columns()?;
        let Some(features) = &self.features else { return Ok(()) };
        require("data.features", !features.is_empty(), || "the list is empty".to_owned())?;
        for (position, feature) in features.iter().enumerate() {
            require("data.features", *feature != self.target, || format!("\"{feature}\" is the target"))?;
            require("data.features", !features[..position].contains(feature), || {
                format!("\"{feature}\" is listed twice")
            })?;
        }
        Ok(())
    }
}

impl DataSettings {
    /// All rows of some file for training, none held out.
    #[must_use]
    pub fn of_all_rows() -> Self {
        Self {
            path: "".into(),
            test_path: None,
            target: String::new(),
            features: None,
            columns: BTreeMap::new(),
            bad_rows: BadRows::Fail,
            missing_words: Vec::new(),
            test_size: default_test_size(),
            split: SplitKind::Whole,
            seed: default_seed(),
            precision: Precision::F64,
            fold: None,
            dense: false,
        }
    }

    /// Where the rows are.
    #[must_use]
    pub fn source(&self) -> DataSource {
        DataSource { paths: self.path.clone(), test_paths: self.test_path.clone() }
    }

    /// The rows of both parts; `strata` are the classes of all rows, for a stratified split.
    ///
    /// # Errors
    /// [`SplitError`] if a part would have no row.
    pub fn split_rows(&self, data: &DataSummary, strata: &Strata) -> Result<TrainTestSplit, SplitError> {
        let (row_count, shuffle) = (data.row_count, self.split.is_shuffled().then_some(self.seed));
        if let Some(test_count) = data.test_row_count {
            return TrainTestSplit::at_end(row_count, test_count);
        }
        match self.fold {
            Some(fold) if self.split.is_stratified() => strata.fold(fold, shuffle),
            Some(fold) => fold.split(row_count, shuffle),
            None => self.split.split(row_count, strata, self.test_size, self.seed),
        }
    }

    /// Numbers of `(train, test)` rows of [`Self::split_rows`].
    ///
    /// # Errors
    /// As [`Self::split_rows`].
    pub fn part_sizes(&self, data: &DataSummary) -> Result<(usize, usize), SplitError> {
        if let Some(test_count) = data.test_row_count {
            return sizes_at_end(data.row_count, test_count);
        }
        match self.fold {
            Some(fold) if self.split.is_stratified() => fold_sizes(&data.strata, fold),
            Some(fold) => fold.sizes(data.row_count, self.split.is_shuffled()),
            None => self.split.sizes(data.row_count, &data.strata, self.test_size),
        }
    }

    fn validate_test_path(&self) -> Result<(), JobError> {
        let Some(test_path) = &self.test_path else { return Ok(()) };
        let key = "data.test_path";
        require(key, test_path.is_complete(), || "the path is empty".to_owned())?;
        require(key, self.fold.is_none(), || {
            "folds are cut from the rows of data.path alone; leave it out for a cross-validation".to_owned()
        })?;
        require(key, !self.split.is_stratified(), || {
            "the rows are split already, and data.split would split them again".to_owned()
        })?;
        require(key, self.path.synthetic().is_none() && test_path.synthetic().is_none(), || {
            "generated rows are split by data.split".to_owned()
        })
    }

    fn validate_fold(&self) -> Result<(), JobError> {
        let Some(Fold { number, of, repeat }) = self.fold else {
            return require("data.split", self.split != SplitKind::StratifiedOrdered, || {
                "\"stratified_ordered\" is for folds; \"stratified\" is for one split".to_owned()
            });
        };
        require("data.split", self.split != SplitKind::Whole, || {
            "\"whole\" holds no rows out, and a fold does".to_owned()
        })?;
        require("data.fold", (2..=FOLDS_MAX).contains(&of) && number < of, || {
            format!("number {number} of {of}: there are 2 to {FOLDS_MAX} folds, and they count from 0")
        })?;
        require("data.fold", repeat == 0 || self.split.is_shuffled(), || {
            format!(
                "repeat {repeat}: without a shuffle all repeats are equal; split = \"shuffled\" or \"stratified\" shuffles"
            )
        })?;
        require("data.fold", repeat < REPEATS_MAX, || format!("repeat {repeat}: there are {REPEATS_MAX}, from 0"))
    }

    fn validate_columns(&self) -> Result<(), JobError> {
        for (name, setting) in &self.columns {
            let key = format!("data.columns.{name}");
            let is_feature = self.features.as_ref().is_none_or(|features| features.contains(name));
            require(&key, *name != self.target || *setting == ColumnSetting::Categorical, || {
                "the target is a number, or with \"categorical\" a class".to_owned()
            })?;
            require(&key, *name == self.target || is_feature, || "the column is not among data.features".to_owned())?;
            require(&key, *setting != ColumnSetting::Ignored || self.features.is_none(), || {
                "the column is among data.features; leave it out there".to_owned()
            })?;
            if let ColumnSetting::Ordinal(levels) = setting {
                let twice = (1..levels.len()).any(|place| levels[..place].contains(&levels[place]));
                require(&key, !levels.is_empty() && levels.len() <= LEVELS_MAX && !twice, || {
                    format!("the words are not 1 to {LEVELS_MAX} different ones")
                })?;
            }
        }
        Ok(())
    }
}

fn default_target() -> String {
    "label".to_owned()
}

fn default_test_size() -> f64 {
    0.2
}

fn is_auto(precision: &Precision) -> bool {
    *precision == Precision::Auto
}

fn default_seed() -> u32 {
    42
}
