//! The directory of a training run (`--out`): what it goes on from if it is killed, then the model and what was measured.
//!
//! The model is written last and put in place by a rename, so a directory with a model is complete. One with a
//! checkpoint is not, and the same command goes on from there.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use odeon_learning::checkpoint::{CheckpointBinding, CheckpointFile, OpenedCheckpoint, replace_durably};
use odeon_learning::data::DataSummary;
use odeon_learning::job::TrainingJob;
use odeon_learning::model::TrainedModel;
use odeon_learning::model_file;
use odeon_learning::model_registry::ModelRegistry;
use odeon_learning::training::Training;

use crate::exit::Exit;
use crate::failure::{Failure, OrExit};

/// The model with its checksum; what `odeon predict` takes.
pub(super) const MODEL: &str = "model";
/// The bytes of the model alone.
const MODEL_JSON: &str = "model.json";
/// What a training that was ended goes on from.
const CHECKPOINT: &str = "checkpoint";
/// Locked by the one command that writes to the directory.
const LOCK: &str = ".lock";
/// Largest model file that is read.
const MODEL_BYTES_MAX: u64 = 1 << 30;

/// Where the models of a command go: into one directory, or, of a cross-validation, into one for each fold.
pub(super) struct RunDirectories(Vec<RunDirectory>);

impl RunDirectories {
    /// Makes those that are not there, for each of several trainings one in its directory; none if there is no place given.
    pub(super) fn open(path: Option<&Path>, folds: Option<usize>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self(Vec::new())) };
        let paths = match folds {
            None => vec![path.to_owned()],
            Some(of) => (0..of).map(|number| path.join(format!("fold-{number}"))).collect(),
        };
        Ok(Self(paths.iter().map(|path| RunDirectory::open(path)).collect::<Result<_, _>>()?))
    }

    /// What each of the jobs goes on from, if it was begun before; nothing if there is no place given.
    pub(super) fn checkpoints(
        &self,
        jobs: &[TrainingJob],
        data: &DataSummary,
        content_sha256: &str,
    ) -> Result<Vec<OpenedCheckpoint>, Failure> {
        let open = |(directory, job): (&RunDirectory, &TrainingJob)| {
            let path = directory.path.join(CHECKPOINT);
            let opened = CheckpointFile::open(&path, CheckpointBinding::new(job, data, content_sha256));
            opened.map_err(|error| {
                let told = Err::<(), _>(error).or_exit(Exit::Usage).expect_err("an error was given");
                Failure::usage(format!("{told}; remove it to begin anew, or name another directory"))
            })
        };
        self.0.iter().zip(jobs).map(open).collect()
    }

    /// Writes all models.
    pub(super) fn write(&self, trainings: &[Training]) -> Result<(), Failure> {
        self.0.iter().zip(trainings).try_for_each(|(directory, training)| directory.write(&training.model))
    }
}

/// A directory that a run may write to, and no other run meanwhile.
struct RunDirectory {
    path: PathBuf,
    _lock: File,
}

impl RunDirectory {
    /// Makes the directory if it is not there.
    fn open(path: &Path) -> Result<Self, Failure> {
        if path.join(MODEL).exists() {
            let text = format!("{}: holds a model; name another directory, or remove it", path.display());
            return Err(Failure::usage(text));
        }
        let made = fs::create_dir_all(path);
        made.map_err(|error| Failure::usage(format!("cannot make {}: {error}", path.display())))?;
        let lock = File::create(path.join(LOCK));
        let lock = lock.map_err(|error| Failure::usage(format!("cannot write to {}: {error}", path.display())))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let text = format!("{}: another training writes there; name another directory", path.display());
                Err(Failure::usage(text))
            }
            Err(TryLockError::Error(error)) => {
                Err(Failure::usage(format!("cannot lock {}: {error}", path.join(LOCK).display())))
            }
        }
    }

    /// Writes all files, and removes what is of no use any more.
    fn write(&self, model: &TrainedModel) -> Result<(), Failure> {
        let metrics = serde_json::to_string_pretty(&all_metrics(model)).or_exit(Exit::WorkFailed)?;
        let lines: String = all_metrics(model).iter().map(|(name, value)| format!("{name},{value}\n")).collect();
        self.put(MODEL_JSON, &model.canonical_bytes())?;
        self.put("metrics.json", (metrics + "\n").as_bytes())?;
        self.put("metrics.csv", format!("metric,value\n{lines}").as_bytes())?;
        self.put(MODEL, &model_file::encode(model))?;
        for name in [CHECKPOINT, LOCK] {
            // The model is there: a file that cannot be removed does no harm.
            let removed = fs::remove_file(self.path.join(name));
            tracing::debug!(name, ?removed, "the training is done");
        }
        Ok(())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path.join(name);
        replace_durably(&path, bytes)
            .map_err(|error| Failure::new(Exit::WorkFailed, format!("cannot write {}: {error}", path.display())))
    }
}

/// The metrics of a model and what is known of its training.
pub(super) fn all_metrics(model: &TrainedModel) -> BTreeMap<&str, f64> {
    let mut metrics: BTreeMap<&str, f64> = model.metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    metrics.extend([("objective", model.objective), ("gradient_norm", model.gradient_norm)]);
    metrics.extend([("rounds", f64::from(model.rounds)), ("converged", f64::from(u8::from(model.converged)))]);
    metrics.extend([("train_rows", model.train_row_count as f64), ("test_rows", model.test_row_count as f64)]);
    metrics
}

/// As [`read_model`], a model that can predict: of a user's own, this binary has the code.
pub(super) fn read_usable_model(path: &Path, models: &ModelRegistry) -> Result<TrainedModel, Failure> {
    let mut model = read_model(path)?;
    let refused = |error| Failure::usage(format!("{}: {error}", path.display()));
    models.resolve_model(&mut model).map_err(refused)?;
    Ok(model)
}

/// Reads a model: a model file, `model.json`, or the directory of a run.
pub(super) fn read_model(path: &Path) -> Result<TrainedModel, Failure> {
    let path = if path.is_dir() { path.join(MODEL) } else { path.to_owned() };
    let refused = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", path.display()));
    let size = fs::metadata(&path).map_err(|error| refused(&error))?.len();
    if size > MODEL_BYTES_MAX {
        return Err(refused(&format!("{size} bytes are more than the {MODEL_BYTES_MAX} of a model")));
    }
    let bytes = fs::read(&path).map_err(|error| refused(&error))?;
    model_file::decode(&bytes).map_err(|error| refused(&error))
}
