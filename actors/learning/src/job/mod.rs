//! What a user asks to be trained: the job file as a whole; each table has a file of its own.
//!
//! No text is parsed here and no path resolved; a relative data path is the caller's to resolve.

mod data;
mod model;
mod prepare;
mod resources;
mod train;

use serde::{Deserialize, Serialize};

pub use data::{DataSettings, FOLDS_MAX, REPEATS_MAX};
pub use model::{MarginLoss, ModelKind, ModelSettings, PENALTY_MAX, Penalty};
pub use prepare::{DEGREE_MAX, Filling, PrepareSettings, STEPS_MAX, Scale, SelectBy, StepSettings};
pub use resources::{CPUS_MAX, MEM_MIB_MAX, ResourceSettings};
pub use train::{CHECKPOINT_SECONDS_MAX, Combine, HISTORY_MAX, ROUNDS_MAX, STALENESS_MAX, TrainSettings, WORKERS_MAX};

use crate::data::DataSpec;

/// The job file version this code reads.
pub const JOB_VERSION: u32 = 1;
/// Longest job name, in characters.
pub const NAME_LENGTH_MAX: usize = 100;

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

impl TrainingJob {
    /// The columns the job reads.
    #[must_use]
    pub fn data_spec(&self) -> DataSpec {
        let (data, prepare) = (&self.data, &self.prepare);
        DataSpec {
            target: Some(data.target.clone()),
            features: data.features.clone(),
            binary_target: self.model.kind.is_classifier(),
            many_classes: self.model.kind.has_class_scores(),
            columns: data.columns.clone(),
            bad_rows: data.bad_rows,
            missing_words: data.missing_words.clone(),
            missing_is_filled: prepare.fills_missing(),
            drop_missing_rows: prepare.drop_missing_rows,
            drop_duplicate_rows: prepare.drop_duplicate_rows,
            dense: data.dense,
            stratified: data.split.is_stratified(),
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`JobError`] with the first key whose value is out of bounds.
    pub fn validate(&self) -> Result<(), JobError> {
        let named = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name = &self.name;
        require("version", self.version == JOB_VERSION, || format!("{} is not {JOB_VERSION}", self.version))?;
        require("name", (1..=NAME_LENGTH_MAX).contains(&name.len()) && name.chars().all(named), || {
            format!("\"{name}\" is not 1 to {NAME_LENGTH_MAX} letters, digits, \"-\", \"_\" or \".\"")
        })?;
        self.data.validate()?;
        self.prepare.validate()?;
        self.model.validate()?;
        require("data.split", !self.data.split.is_stratified() || self.model.kind.is_classifier(), || {
            "a stratified split is for classes, and the model predicts a number".to_owned()
        })?;
        self.train.validate()?;
        let (in_rounds, kind) = (self.train.combine == Combine::Synchronous, self.model.kind);
        let is_linear = !kind.is_of_trees() && !kind.is_kernel_machine() && kind.own().is_none();
        let is_smooth = is_linear && self.model.loss.is_squared();
        require("train.combine", in_rounds || is_smooth, || {
            let way = self.train.combine.name();
            format!(
                "\"{way}\" is for linear models with a smooth loss, not for trees, kernel machines, the hinge or models of one's own"
            )
        })?;
        self.resources.validate()
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
    use crate::data::{ColumnSetting, fold::Fold, split::SplitKind};
    use crate::optimiser::solver::SolverSetting;

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
        assert_eq!(job.data.split, SplitKind::Shuffled);
        assert_eq!((job.prepare.scale, job.train.workers, job.train.rounds_max), (Scale::Standard, 2, 1000));
        assert_eq!(job.resources, ResourceSettings { cpus: 0.5, mem_mib: 64 });
        assert_eq!(toml::from_str::<TrainingJob>(&toml::to_string(&job).unwrap()).unwrap(), job);
    }

    #[test]
    fn a_job_may_ask_for_a_split_in_file_order() {
        let ordered = SMALLEST.replace("target =", "split = \"ordered\", target =");
        assert_eq!(job(&ordered).data.split, SplitKind::Ordered);
        let unknown = toml::from_str::<TrainingJob>(&ordered.replace("ordered", "sorted")).unwrap_err().to_string();
        assert!(unknown.contains("one of `shuffled`, `ordered`, `stratified`, `stratified_ordered`"), "{unknown}");
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
        fn step(job: &mut TrainingJob, text: &str) {
            job.prepare = toml::from_str(&format!("steps = [{{ {text} }}]")).unwrap();
        }
        fn column(job: &mut TrainingJob, name: &str, setting: ColumnSetting) {
            job.data.columns.insert(name.to_owned(), setting);
        }
        let faults: [(&str, Break); 59] = [
            ("data.split", |job| {
                job.data.split = SplitKind::Whole;
                job.data.fold = Some(Fold { number: 0, of: 2, repeat: 0 });
            }),
            ("data.split", |job| job.data.split = SplitKind::Stratified),
            ("data.split", |job| job.data.split = SplitKind::StratifiedOrdered),
            ("data.fold", |job| job.data.fold = Some(Fold { number: 0, of: 2, repeat: REPEATS_MAX })),
            ("data.fold", |job| {
                job.data.split = SplitKind::Ordered;
                job.data.fold = Some(Fold { number: 0, of: 2, repeat: 1 });
            }),
            ("prepare.steps[0].keep", |job| step(job, "step = \"select\", by = \"f\"")),
            ("prepare.steps[0].keep", |job| step(job, "step = \"select\", by = \"f\", keep = 0")),
            ("data.columns.species", |job| column(job, "species", ColumnSetting::Ignored)),
            ("data.columns.a", |job| column(job, "a", ColumnSetting::Ordinal(vec!["x".into(), "x".into()]))),
            ("data.columns.a", |job| {
                job.data.features = Some(vec!["a".into()]);
                column(job, "a", ColumnSetting::Ignored);
            }),
            ("data.columns.b", |job| {
                job.data.features = Some(vec!["a".into()]);
                column(job, "b", ColumnSetting::Numeric);
            }),
            ("prepare.steps[0].columns", |job| step(job, "step = \"log\", columns = []")),
            ("prepare.steps[0].columns", |job| step(job, "step = \"log\", columns = [\"a\", \"a\"]")),
            ("prepare.steps[0].columns", |job| step(job, "step = \"drop_columns\"")),
            ("prepare.steps[0].with", |job| step(job, "step = \"impute\", with = { constant = inf }")),
            ("prepare.steps[0].upper", |job| step(job, "step = \"clip\", lower = 0.5, upper = 0.5")),
            ("prepare.steps[0].degree", |job| step(job, "step = \"polynomial\", degree = 1")),
            ("prepare.steps[0].missing_above", |job| step(job, "step = \"drop_columns\", missing_above = 2.0")),
            ("version", |job| job.version = 2),
            ("name", |job| job.name = String::new()),
            ("name", |job| job.name = "a/b".into()),
            ("data.path", |job| job.data.path = "".into()),
            ("data.test_path", |job| job.data.test_path = Some("".into())),
            ("data.test_path", |job| {
                job.data.test_path = Some("test.csv".into());
                job.data.fold = Some(Fold { number: 0, of: 2, repeat: 0 });
            }),
            ("data.test_path", |job| {
                job.data.test_path = Some("test.csv".into());
                job.data.split = SplitKind::Stratified;
            }),
            ("data.test_path", |job| {
                job.data.test_path = Some("synthetic:dense?rows=9&cols=1".into());
            }),
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
            ("model.C", |job| job.model.c = Some(1.0)),
            ("model.C", |job| (job.model.kind, job.model.c) = (ModelKind::Logistic, Some(0.0))),
            ("model.C", |job| {
                job.model = ModelSettings { kind: ModelKind::Logistic, c: Some(1.0), l2: 0.1, ..job.model };
            }),
            ("model.penalty", |job| job.model.penalty = Penalty::L1),
            ("model.loss", |job| job.model.loss = MarginLoss::Hinge),
            ("model.loss", |job| (job.model.kind, job.model.loss) = (ModelKind::LinearSvc, MarginLoss::Hinge)),
            ("model.loss", |job| {
                let (kind, loss) = (ModelKind::LinearSvc, MarginLoss::Hinge);
                job.model = ModelSettings { kind, loss, l1: 0.1, l2: 0.1, ..job.model };
            }),
            ("train.workers", |job| job.train.workers = 0),
            ("train.tolerance", |job| job.train.tolerance = f64::NAN),
            ("train.rounds_max", |job| job.train.rounds_max = 0),
            ("train.history", |job| job.train.history = 0),
            ("train.staleness", |job| job.train.staleness = STALENESS_MAX + 1),
            ("train.combine", |job| {
                job.train.combine = Combine::Asynchronous;
                job.model.kind = ModelKind::DecisionTreeRegressor;
            }),
            ("train.combine", |job| {
                job.train.combine = Combine::Asynchronous;
                job.model = toml::from_str("type = \"linear_svc\"\nloss = \"hinge\"\nl2 = 0.1").unwrap();
            }),
            ("train.combine", |job| {
                job.train.combine = Combine::Asynchronous;
                job.model = toml::from_str("type = \"svc\"").unwrap();
            }),
            ("train.solver", |job| {
                (job.train.combine, job.train.solver) = (Combine::StaleSynchronous, SolverSetting::Newton);
            }),
            ("train.checkpoint_rounds", |job| job.train.checkpoint_rounds = 0),
            ("train.checkpoint_seconds", |job| job.train.checkpoint_seconds = 0),
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
    fn a_model_that_is_not_built_in_is_one_that_somebody_has_to_know() {
        let unknown = job(&SMALLEST.replace("\"linear\"", "\"poisson\""));
        assert_eq!(unknown.model.kind.name(), "poisson");
        let refused = unknown.validate().unwrap_err();
        assert_eq!(refused.to_string(), "model.type: this binary has no model \"poisson\"");
        assert_eq!(toml::from_str::<TrainingJob>(&toml::to_string(&unknown).unwrap()).unwrap(), unknown);
        let no_name = SMALLEST.replace("\"linear\"", "\"Poisson regression\"");
        let error = toml::from_str::<TrainingJob>(&no_name).unwrap_err().to_string();
        assert!(error.contains("\"Poisson regression\" is not a name of a model"), "{error}");
        for kind in ModelKind::BUILT_IN {
            assert_eq!(ModelKind::built_in(kind.name()), Some(kind));
        }
    }

    #[test]
    fn every_example_job_is_valid() {
        let examples = [
            include_str!("../../../../examples/jobs/iris.toml"),
            include_str!("../../../../examples/jobs/breast_cancer.toml"),
            include_str!("../../../../examples/jobs/diabetes.toml"),
            include_str!("../../../../examples/jobs/diabetes_lasso.toml"),
            include_str!("../../../../examples/jobs/breast_cancer_svm.toml"),
            include_str!("../../../../examples/jobs/penguins.toml"),
            include_str!("../../../../examples/jobs/iris_classes.toml"),
            include_str!("../../../../examples/jobs/iris_svm.toml"),
            include_str!("../../../../examples/jobs/breast_cancer_boosted.toml"),
            include_str!("../../../../examples/jobs/iris_svc.toml"),
        ];
        for text in examples {
            assert_eq!(job(text).validate(), Ok(()));
        }
    }
}
