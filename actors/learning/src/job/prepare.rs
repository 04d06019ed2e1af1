//! `[prepare]` of a job file: what is done to rows and columns before anything is learned.
//!
//! Nothing is computed here, and no column is looked for: that needs the data.

use serde::{Deserialize, Serialize};

use super::{JobError, require};

/// Most steps of a job.
pub const STEPS_MAX: usize = 50;
/// Highest degree of [`StepSettings::Polynomial`].
pub const DEGREE_MAX: u32 = 5;

/// `[prepare]`: preprocessing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepareSettings {
    /// Whether coefficients and penalty refer to standardised columns; comes after all steps.
    #[serde(default)]
    pub scale: Scale,
    /// Leaves out rows with a missing cell, before the split.
    #[serde(default)]
    pub drop_missing_rows: bool,
    /// Leaves out rows that repeat an earlier one, before the split.
    #[serde(default)]
    pub drop_duplicate_rows: bool,
    /// What is done to columns, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepSettings>,
}

/// The columns that coefficients and penalty refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Centred to mean 0 and divided by the standard deviation of the training rows.
    #[default]
    Standard,
    /// As they are in the file, or as the steps made them.
    None,
}

/// One thing done to columns. What it needs to know of them is taken from the training rows.
///
/// Without `columns` it concerns every column that it fits: see the variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum StepSettings {
    /// Fills missing cells, also of rows to come; without `columns` of every column that can be filled so.
    Impute {
        /// Columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
        /// What stands in.
        with: Filling,
        /// Whether a column `NAME_missing` of 0 and 1 is added for each of them.
        #[serde(default)]
        indicator: bool,
    },
    /// A column of 0 and 1 for each word among the training rows; without `columns` of all columns of words.
    OneHot {
        /// Columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
        /// Whether the first word gets none, so that the columns do not add up to one.
        #[serde(default)]
        drop_first: bool,
    },
    /// The position of the word among the words of the column; without `columns` of all columns of words.
    Ordinal {
        /// Columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
    },
    /// To mean 0 and population standard deviation 1; without `columns` all columns of numbers.
    Standard {
        /// Columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
    },
    /// To least value 0 and greatest 1; without `columns` all columns of numbers.
    MinMax {
        /// Columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
    },
    /// To median 0 and distance of the quartiles 1; without `columns` all columns of numbers.
    Robust {
        /// Columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
    },
    /// To `log(1 + x)`; without `columns` all columns of numbers.
    Log {
        /// Columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
    },
    /// What lies beyond a quantile is moved to it; without `columns` all columns of numbers.
    Clip {
        /// Columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
        /// Quantile of the least value left, from 0 to 1.
        #[serde(default = "default_lower")]
        lower: f64,
        /// Quantile of the greatest value left, from 0 to 1.
        #[serde(default = "default_upper")]
        upper: f64,
    },
    /// Adds the products of up to `degree` columns; without `columns` of all columns of numbers.
    Polynomial {
        /// Columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
        /// Most factors of a product.
        degree: u32,
        /// Whether a column is at most once in a product.
        #[serde(default)]
        interaction_only: bool,
    },
    /// Keeps the columns that say most, each by itself; without `columns` among all columns of numbers.
    Select {
        /// Columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
        /// What they are judged by.
        by: SelectBy,
        /// How many are kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep: Option<usize>,
        /// The least score of those that are kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        least: Option<f64>,
    },
    /// Leaves out columns: those named, or those of which too much is missing.
    DropColumns {
        /// Columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
        /// Part of the training rows, from 0 to 1, above which a column with that many missing cells goes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        missing_above: Option<f64>,
    },
}

/// What a column is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelectBy {
    /// Its population variance.
    Variance,
    /// The magnitude of its correlation with the target.
    Correlation,
    /// The F statistic of a line from it to the target; with two classes that of an analysis of variance.
    F,
}

/// What stands in for a missing cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filling {
    /// The mean of the column; numbers only.
    Mean,
    /// The median of the column; numbers only.
    Median,
    /// The most frequent word of the column, the first of several; words only.
    MostFrequent,
    /// A number; numbers only.
    Constant(f64),
    /// A word, which may be a new one; words only.
    Word(String),
}

fn default_lower() -> f64 {
    0.01
}

fn default_upper() -> f64 {
    0.99
}

impl PrepareSettings {
    /// Whether something is done about missing cells.
    #[must_use]
    pub fn fills_missing(&self) -> bool {
        let about = |step: &StepSettings| {
            matches!(step, StepSettings::Impute { .. } | StepSettings::DropColumns { missing_above: Some(_), .. })
        };
        self.steps.iter().any(about)
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`JobError`] with the first key whose value is out of bounds.
    pub(super) fn validate(&self) -> Result<(), JobError> {
        let count = self.steps.len();
        require("prepare.steps", count <= STEPS_MAX, || format!("{count} steps are more than {STEPS_MAX}"))?;
        self.steps.iter().enumerate().try_for_each(|(index, step)| step.validate(index))
    }
}

impl SelectBy {
    /// As in a job file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Variance => "variance",
            Self::Correlation => "correlation",
            Self::F => "f",
        }
    }
}

impl StepSettings {
    /// The columns it is for, if any are named.
    #[must_use]
    pub fn columns(&self) -> Option<&[String]> {
        match self {
            Self::Impute { columns, .. }
            | Self::OneHot { columns, .. }
            | Self::Ordinal { columns }
            | Self::Standard { columns }
            | Self::MinMax { columns }
            | Self::Robust { columns }
            | Self::Log { columns }
            | Self::Clip { columns, .. }
            | Self::Polynomial { columns, .. }
            | Self::Select { columns, .. }
            | Self::DropColumns { columns, .. } => columns.as_deref(),
        }
    }

    fn validate(&self, index: usize) -> Result<(), JobError> {
        let key = |name: &str| format!("prepare.steps[{index}].{name}");
        if let Some(columns) = self.columns() {
            require(&key("columns"), !columns.is_empty(), || "the list is empty".to_owned())?;
            let twice = (1..columns.len()).find(|place| columns[..*place].contains(&columns[*place]));
            require(&key("columns"), twice.is_none(), || {
                format!("\"{}\" is listed twice", columns[twice.unwrap_or_default()])
            })?;
        }
        match self {
            Self::Impute { with: Filling::Constant(value), .. } => {
                require(&key("with"), value.abs() <= crate::data::VALUE_MAX, || {
                    format!("{value} is not a usable number")
                })
            }
            Self::Clip { lower, upper, .. } => {
                require(&key("lower"), (0.0..=1.0).contains(lower), || format!("{lower} is not between 0 and 1"))?;
                require(&key("upper"), (0.0..=1.0).contains(upper) && lower < upper, || {
                    format!("{upper} is not above lower, which is {lower}, and at most 1")
                })
            }
            Self::Polynomial { degree, .. } => require(&key("degree"), (2..=DEGREE_MAX).contains(degree), || {
                format!("{degree} is not between 2 and {DEGREE_MAX}")
            }),
            Self::Select { keep, least, .. } => {
                require(&key("keep"), keep.is_some() != least.is_some(), || {
                    "a step of select has either keep or least".to_owned()
                })?;
                require(&key("keep"), *keep != Some(0), || "0 columns cannot be learned from".to_owned())?;
                let least = least.unwrap_or_default();
                require(&key("least"), least.is_finite(), || format!("{least} is not finite"))
            }
            Self::DropColumns { columns, missing_above } => {
                require(&key("columns"), columns.is_some() != missing_above.is_some(), || {
                    "a step of drop_columns has either columns or missing_above".to_owned()
                })?;
                let part = missing_above.unwrap_or_default();
                require(&key("missing_above"), (0.0..=1.0).contains(&part), || format!("{part} is not between 0 and 1"))
            }
            _ => Ok(()),
        }
    }
}
