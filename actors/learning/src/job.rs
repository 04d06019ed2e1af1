//! What a user asks to be trained: the types of a job file, their defaults and their validation.
//!
//! No text is parsed here and no path resolved; a relative data path is the caller's to resolve.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{data::DataSpec, kernel::Loss, optimiser::solver::SolverSetting};

/// The job file version this code reads.
pub const JOB_VERSION: u32 = 1;
/// Longest job name, in characters.
pub const NAME_LENGTH_MAX: usize = 100;
/// Most workers of one job.
pub const WORKERS_MAX: u32 = 1024;
/// Most evaluations a job may ask for.
pub const ROUNDS_MAX: u32 = 1_000_000;
/// Most processors a worker may ask for.
pub const CPUS_MAX: f64 = 1e6;
/// Most memory a worker may ask for, in MiB: an exbibyte.
pub const MEM_MIB_MAX: u64 = 1 << 40;
/// Largest penalty: above it, sums of squares of weights no longer fit a number.
pub const PENALTY_MAX: f64 = 1e100;
/// Most correction pairs a job may ask for.
pub const HISTORY_MAX: usize = 1000;

/// A training job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingJob {
    /// Version of this format.
    #[serde(default = "default_version")]
    pub version: u32,
    /// For people and task names: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// What to learn from.
    pub data: DataSettings,
    /// What is done to the columns first.
    #[serde(default)]
    pub prepare: PrepareSettings,
    /// What is learned.
    pub model: ModelSettings,
    /// How it is learned.
    #[serde(default)]
    pub train: TrainSettings,
    /// What one worker needs.
    #[serde(default)]
    pub resources: ResourceSettings,
}

/// `[data]`: the file, its columns, and the split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSettings {
    /// CSV file with a header, present on every host that runs a worker.
    pub path: PathBuf,
    /// Column to predict.
    pub target: String,
    /// Columns to predict from; all but the target if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
    /// Fraction of rows kept for testing, strictly between 0 and 1.
    #[serde(default = "default_test_size")]
    pub test_size: f64,
    /// Seed of the shuffle.
    #[serde(default = "default_seed")]
    pub seed: u32,
}

/// `[prepare]`: preprocessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepareSettings {
    /// Whether coefficients and penalty refer to standardised columns.
    #[serde(default)]
    pub scale: Scale,
}

/// The columns that coefficients and penalty refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Centred to mean 0 and divided by the standard deviation of the training rows.
    #[default]
    Standard,
    /// As they are in the file.
    None,
}

/// `[model]`: the model and its objective.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// Kind of model.
    #[serde(rename = "type")]
    pub kind: ModelKind,
    /// `l2/2 · |w|²` is added to the mean loss; scikit-learn's ridge `alpha` is `l2` times the training
    /// rows, its logistic `C` is 1 over that.
    #[serde(default)]
    pub l2: f64,
    /// `l1 · Σ|w|` is added to the mean loss: scikit-learn's lasso `alpha`; its elastic net of `alpha` and
    /// `l1_ratio` has `l1 = alpha · l1_ratio` and `l2 = alpha · (1 - l1_ratio)`.
    #[serde(default)]
    pub l1: f64,
    /// Whether `l2` also penalises the intercept, as scikit-learn's `LinearSVC` does.
    #[serde(default)]
    pub penalise_intercept: bool,
}

/// Kinds of model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Linear regression: mean half squared error.
    Linear,
    /// Binary logistic regression: mean logistic loss of labels 0 and 1.
    Logistic,
    /// Linear support vector machine of two classes: mean squared hinge loss of labels 0 and 1.
    LinearSvc,
}

/// `[train]`: workers and solver.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// Workers wanted. The model does not depend on it.
    pub workers: u32,
    /// Converged once no component of the gradient, in the solver's conditioned variables, exceeds
    /// this part of what it could be at the start.
    pub tolerance: f64,
    /// Most evaluations of the objective.
    pub rounds_max: u32,
    /// Correction pairs that L-BFGS keeps.
    pub history: usize,
    /// What minimises the objective; the optimum does not depend on it.
    pub solver: SolverSetting,
}

/// `[resources]`: what each worker needs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceSettings {
    /// Processors.
    pub cpus: f64,
    /// Memory in MiB.
    pub mem_mib: u64,
}

/// A job that cannot be run; `key` is the dotted key at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{key}: {problem}")]
pub struct JobError {
    /// As written in the file, such as `train.workers`.
    pub key: String,
    /// What is wrong, with the value.
    pub problem: String,
}

fn default_version() -> u32 {
    JOB_VERSION
}

fn default_test_size() -> f64 {
    0.2
}

fn default_seed() -> u32 {
    42
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self { workers: 2, tolerance: 1e-14, rounds_max: 1000, history: 20, solver: SolverSetting::Auto }
    }
}

impl Default for ResourceSettings {
    fn default() -> Self {
        Self { cpus: 0.5, mem_mib: 64 }
    }
}

impl ModelKind {
    /// The loss of one row.
    #[must_use]
    pub fn loss(self) -> Loss {
        match self {
            Self::Linear => Loss::HalfSquared,
            Self::Logistic => Loss::Logistic,
            Self::LinearSvc => Loss::SquaredHinge,
        }
    }

    /// Whether the target is a class, 0 or 1.
    #[must_use]
    pub fn is_classifier(self) -> bool {
        match self {
            Self::Linear => false,
            Self::Logistic | Self::LinearSvc => true,
        }
    }
}

impl TrainingJob {
    /// The columns the job reads.
    #[must_use]
    pub fn data_spec(&self) -> DataSpec {
        let binary_target = self.model.kind.is_classifier();
        DataSpec { target: self.data.target.clone(), features: self.data.features.clone(), binary_target }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`JobError`] with the first key whose value is out of bounds.
    pub fn validate(&self) -> Result<(), JobError> {
        let named = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let (name, train) = (&self.name, &self.train);
        require("version", self.version == JOB_VERSION, || format!("{} is not {JOB_VERSION}", self.version))?;
        require("name", (1..=NAME_LENGTH_MAX).contains(&name.len()) && name.chars().all(named), || {
            format!("\"{name}\" is not 1 to {NAME_LENGTH_MAX} letters, digits, \"-\", \"_\" or \".\"")
        })?;
        self.validate_data()?;
        for (key, penalty) in [("model.l2", self.model.l2), ("model.l1", self.model.l1)] {
            require(key, (0.0..=PENALTY_MAX).contains(&penalty), || {
                format!("{penalty:?} is not between 0 and {PENALTY_MAX:?}")
            })?;
        }
        within("train.workers", u64::from(train.workers), u64::from(WORKERS_MAX))?;
        require("train.tolerance", train.tolerance > 0.0 && train.tolerance < 1.0, || {
            format!("{} is not strictly between 0 and 1", train.tolerance)
        })?;
        within("train.rounds_max", u64::from(train.rounds_max), u64::from(ROUNDS_MAX))?;
        within("train.history", train.history as u64, HISTORY_MAX as u64)?;
        let cpus = self.resources.cpus;
        require("resources.cpus", cpus > 0.0 && cpus <= CPUS_MAX, || {
            format!("{cpus:?} is not above 0 and at most {CPUS_MAX}")
        })?;
        within("resources.mem_mib", self.resources.mem_mib, MEM_MIB_MAX)
    }

    fn validate_data(&self) -> Result<(), JobError> {
        let data = &self.data;
        require("data.path", !data.path.as_os_str().is_empty(), || "the path is empty".to_owned())?;
        require("data.target", !data.target.is_empty(), || "the name is empty".to_owned())?;
        require("data.test_size", data.test_size > 0.0 && data.test_size < 1.0, || {
            format!("{} is not strictly between 0 and 1", data.test_size)
        })?;
        let Some(features) = &data.features else { return Ok(()) };
        require("data.features", !features.is_empty(), || "the list is empty".to_owned())?;
        for (position, feature) in features.iter().enumerate() {
            require("data.features", *feature != data.target, || format!("\"{feature}\" is the target"))?;
            require("data.features", !features[..position].contains(feature), || {
                format!("\"{feature}\" is listed twice")
            })?;
        }
        Ok(())
    }
}

fn require(key: &str, holds: bool, problem: impl FnOnce() -> String) -> Result<(), JobError> {
    if holds { Ok(()) } else { Err(JobError { key: key.to_owned(), problem: problem() }) }
}

fn within(key: &str, value: u64, max: u64) -> Result<(), JobError> {
    require(key, (1..=max).contains(&value), || format!("{value} is not between 1 and {max}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = r#"
        name = "iris"
        data = { path = "iris.csv", target = "species" }
        model = { type = "linear" }
    "#;

    fn job(text: &str) -> TrainingJob {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_smallest_job_has_the_documented_defaults() {
        let job = job(SMALLEST);
        assert_eq!(job.validate(), Ok(()));
        assert_eq!((job.data.test_size, job.data.seed), (0.2, 42));
        assert_eq!((job.model.l2, job.model.l1, job.train.solver), (0.0, 0.0, SolverSetting::Auto));
        assert_eq!((job.prepare.scale, job.train.workers, job.train.rounds_max), (Scale::Standard, 2, 1000));
        assert_eq!(job.resources, ResourceSettings { cpus: 0.5, mem_mib: 64 });
        assert_eq!(toml::from_str::<TrainingJob>(&toml::to_string(&job).unwrap()).unwrap(), job);
    }

    #[test]
    fn an_unknown_key_is_refused_in_every_table() {
        for table in ["", "[data]", "[prepare]", "[model]", "[train]", "[resources]"] {
            let text = format!(
                "name = \"a\"\n{}\n{table}\ntyop = 1\n",
                ["[data]\npath = \"a\"\ntarget = \"y\"", "[model]\ntype = \"linear\""]
                    .iter()
                    .filter(|text| !text.starts_with(table) || table.is_empty())
                    .copied()
                    .collect::<Vec<_>>()
                    .join("\n"),
            );
            let error = toml::from_str::<TrainingJob>(&text).unwrap_err().to_string();
            assert!(error.contains("tyop"), "{table}: {error}");
        }
    }

    #[test]
    fn each_value_out_of_bounds_is_named_by_its_key() {
        type Break = fn(&mut TrainingJob);
        let faults: [(&str, Break); 23] = [
            ("version", |job| job.version = 2),
            ("name", |job| job.name = String::new()),
            ("name", |job| job.name = "a/b".into()),
            ("data.path", |job| job.data.path = PathBuf::new()),
            ("data.target", |job| job.data.target.clear()),
            ("data.test_size", |job| job.data.test_size = f64::NAN),
            ("data.test_size", |job| job.data.test_size = 1.0),
            ("data.features", |job| job.data.features = Some(vec![])),
            ("data.features", |job| job.data.features = Some(vec!["species".into()])),
            ("data.features", |job| job.data.features = Some(vec!["a".into(), "a".into()])),
            ("model.l2", |job| job.model.l2 = -1.0),
            ("model.l2", |job| job.model.l2 = f64::INFINITY),
            ("model.l1", |job| job.model.l1 = -0.5),
            ("model.l1", |job| job.model.l1 = f64::NAN),
            ("train.workers", |job| job.train.workers = 0),
            ("train.tolerance", |job| job.train.tolerance = f64::NAN),
            ("train.rounds_max", |job| job.train.rounds_max = 0),
            ("train.history", |job| job.train.history = 0),
            ("resources.cpus", |job| job.resources.cpus = f64::NAN),
            ("resources.mem_mib", |job| job.resources.mem_mib = 0),
            ("resources.mem_mib", |job| job.resources.mem_mib = u64::MAX),
            ("resources.cpus", |job| job.resources.cpus = 1e300),
            ("model.l2", |job| job.model.l2 = 1e300),
        ];
        for (key, break_it) in faults {
            let mut broken = job(SMALLEST);
            break_it(&mut broken);
            assert_eq!(broken.validate().unwrap_err().key, key);
        }
    }

    #[test]
    fn every_example_job_is_valid() {
        let examples = [
            include_str!("../../../examples/jobs/iris.toml"),
            include_str!("../../../examples/jobs/breast_cancer.toml"),
            include_str!("../../../examples/jobs/diabetes.toml"),
            include_str!("../../../examples/jobs/diabetes_lasso.toml"),
            include_str!("../../../examples/jobs/breast_cancer_svm.toml"),
        ];
        for text in examples {
            assert_eq!(job(text).validate(), Ok(()));
        }
    }
}
