//! Transformations of arrays: the steps of `[prepare]`, fitted to rows and applied to others.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

use super::array_table::ArrayTable;
use super::{EstimatorError, TARGET_COLUMN};
use crate::job::{DataSettings, Filling, ModelKind, PrepareSettings, Scale, StepSettings};
use crate::job::{JOB_VERSION, ModelSettings, ResourceSettings, TrainSettings, TrainingJob};
use crate::local::fit_steps;
use crate::model::PredictError;
use crate::prepare::{FittedStep, PreparedColumn, apply};

/// Steps over columns of numbers, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Preparation {
    steps: Vec<StepSettings>,
}

impl Preparation {
    /// No step.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One step more.
    #[must_use]
    pub fn step(mut self, step: StepSettings) -> Self {
        self.steps.push(step);
        self
    }

    /// Missing cells, which are NaN, become the mean of their column, its median, or a constant.
    #[must_use]
    pub fn impute(self, with: Filling) -> Self {
        self.step(StepSettings::Impute { columns: None, with, indicator: false })
    }

    /// All columns to mean 0 and population standard deviation 1.
    #[must_use]
    pub fn standard(self) -> Self {
        self.step(StepSettings::Standard { columns: None })
    }

    /// All columns to least value 0 and greatest 1.
    #[must_use]
    pub fn min_max(self) -> Self {
        self.step(StepSettings::MinMax { columns: None })
    }

    /// All columns to median 0 and distance of the quartiles 1.
    #[must_use]
    pub fn robust(self) -> Self {
        self.step(StepSettings::Robust { columns: None })
    }

    /// Adds the products of up to `degree` columns.
    #[must_use]
    pub fn polynomial(self, degree: u32) -> Self {
        self.step(StepSettings::Polynomial { columns: None, degree, interaction_only: false })
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[StepSettings] {
        &self.steps
    }

    /// Learns what the steps have to know from rows of shape `[rows, columns]`.
    ///
    /// # Errors
    /// [`EstimatorError`] if rows and steps do not fit each other.
    pub fn fit(&self, x: ArrayView2<'_, f64>) -> Result<FittedPreparation, EstimatorError> {
        self.fit_with(x, Array1::zeros(x.nrows()).view())
    }

    /// As [`Self::fit`], for steps that look at the targets too, such as a selection.
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub fn fit_with(
        &self,
        x: ArrayView2<'_, f64>,
        y: ArrayView1<'_, f64>,
    ) -> Result<FittedPreparation, EstimatorError> {
        let (table, kind) = (ArrayTable::new(x, y, false)?, ModelKind::Linear);
        let data = DataSettings::of_all_rows();
        let job = TrainingJob {
            version: JOB_VERSION,
            name: "preparation".to_owned(),
            data: DataSettings { target: TARGET_COLUMN.to_owned(), path: "arrays".into(), ..data },
            prepare: PrepareSettings { scale: Scale::None, steps: self.steps.clone(), ..PrepareSettings::default() },
            model: ModelSettings::of_kind(kind),
            train: TrainSettings::default(),
            resources: ResourceSettings::default(),
        };
        let (steps, columns) = fit_steps(&job, &table.summary(kind), |numbers| Ok(table.rows(numbers, kind)))?;
        Ok(FittedPreparation { width: x.ncols(), steps, columns })
    }
}

/// Steps that have learned what they have to know.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedPreparation {
    width: usize,
    steps: Vec<FittedStep>,
    columns: Vec<PreparedColumn>,
}

impl FittedPreparation {
    /// Rows behind the steps.
    ///
    /// # Errors
    /// [`PredictError`] if the rows have other columns, or a cell that a step cannot take.
    pub fn transform(&self, x: ArrayView2<'_, f64>) -> Result<Array2<f64>, PredictError> {
        if x.ncols() != self.width {
            return Err(PredictError::Shape { expected: self.width, actual: x.ncols() });
        }
        Ok(apply(&self.steps, x.as_standard_layout().into_owned())?)
    }

    /// The names of the columns behind the steps; those of the array are `x0`, `x1`, …
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }
}
