//! Estimators over arrays, in this process or on a cluster: `LogisticRegression::new().l2(0.1).on(&cluster)`.
//!
//! On a cluster rows travel by a file that this process writes and workers read: on one host in its temporary directory,
//! on several in a directory that all of them share. Deliberately absent: a way to send rows over the fabric.
//!
//! ```
//! use odeon::estimators::ndarray::array;
//! use odeon::estimators::{LinearRegression, Preparation};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (x, y) = (array![[0.0], [1.0], [2.0], [3.0]], array![1.0, 3.0, 5.0, 7.0]);
//! let line = LinearRegression::new().fit(x.view(), y.view())?;
//! assert!((line.predict(array![[10.0]].view())?[0] - 21.0).abs() < 1e-9);
//!
//! let scaled = Preparation::new().min_max().fit(x.view())?;
//! assert_eq!(scaled.transform(array![[1.5]].view())?, array![[0.5]]);
//! # Ok(())
//! # }
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use odeon_learning::estimator::ndarray::{ArrayView1, ArrayView2};

pub use odeon_learning::estimator::*;
pub use odeon_learning::job::{Filling, ResourceSettings, Scale, StepSettings};
pub use odeon_learning::optimiser::solver::SolverSetting;
pub use odeon_learning::tree::{Criterion, TreeSettings};

use odeon_learning::coordinator_core::CoordinatorLimits;
use odeon_learning::data::source;
use odeon_learning::job::TrainingJob;
use odeon_learning::training::{TrainingSettings, train, worker_resources};
use odeon_runtime::Endpoint;
use odeon_runtime::transport::{Tcp, Transport};

use crate::app::{Environment, fresh_seed};
use crate::cluster::LocalCluster;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};

/// A cluster to train on, and where its workers find rows.
#[derive(Debug, Clone)]
pub struct Place {
    master: Endpoint,
    listen: String,
    transport: Arc<dyn Transport>,
    directory: PathBuf,
}

impl Place {
    /// The cluster of a master at `HOST:PORT`, with the credentials of this process; workers find rows in `directory`, which
    /// all hosts have under this path, and reach this process at `listen`.
    ///
    /// # Errors
    /// If the credentials cannot be used.
    pub fn at(master: &str, listen: &str, directory: &Path, environment: &Environment) -> Result<Self, Failure> {
        let (master, transport) = (Endpoint::new(master), environment.transport()?);
        Ok(Self { master, listen: listen.to_owned(), transport, directory: directory.to_owned() })
    }
}

impl From<&LocalCluster> for Place {
    fn from(cluster: &LocalCluster) -> Self {
        let (master, directory) = (cluster.endpoint().clone(), std::env::temp_dir());
        Self { master, listen: "127.0.0.1:0".to_owned(), transport: Arc::new(Tcp), directory }
    }
}

/// An estimator that is fitted on a cluster.
#[derive(Debug, Clone)]
pub struct EstimatorOn {
    estimator: Estimator,
    place: Place,
}

/// What puts an estimator on a cluster.
pub trait OnCluster {
    /// The same, fitted by workers of a cluster; the model has the same bits.
    fn on(self, place: impl Into<Place>) -> EstimatorOn;
}

impl OnCluster for Estimator {
    fn on(self, place: impl Into<Place>) -> EstimatorOn {
        EstimatorOn { estimator: self, place: place.into() }
    }
}

impl EstimatorOn {
    /// As [`Estimator::fit`], on the cluster; the file with the rows is removed at the end.
    ///
    /// # Errors
    /// If arrays or settings do not fit, the file cannot be written, or the training fails.
    pub async fn fit(&self, x: ArrayView2<'_, f64>, y: ArrayView1<'_, f64>) -> Result<Fitted, Failure> {
        let table = self.estimator.table(x, y).or_exit(Exit::Usage)?;
        let rows = tempfile::Builder::new().prefix("odeon-rows-").suffix(".csv").tempfile_in(&self.place.directory);
        let rows = rows.or_exit(Exit::WorkFailed)?;
        let path = std::path::absolute(rows.path()).or_exit(Exit::WorkFailed)?;
        let job = self.estimator.job(&table, path.as_path().into());
        std::fs::write(rows.path(), table.to_csv(job.model.kind)).or_exit(Exit::WorkFailed)?;
        let data = source::scan(rows.path(), &job.data_spec()).or_exit(Exit::Usage)?.summary().clone();
        let worker = worker_of(&job)?;
        let settings = TrainingSettings {
            job,
            data,
            master: self.place.master.clone(),
            listen: Endpoint::new(&self.place.listen),
            transport: Arc::clone(&self.place.transport),
            seed: fresh_seed(),
            limits: CoordinatorLimits::default(),
            checkpoint: None,
        };
        let training = train(settings, worker, |_| {}, std::future::pending()).await.or_exit(Exit::WorkFailed)?;
        Ok(Fitted::new(training.model, table.classes().to_vec()))
    }
}

fn worker_of(job: &TrainingJob) -> Result<odeon_protocol::resources::Resources, Failure> {
    worker_resources(job).map_err(|cpus| Failure::usage(format!("{cpus} processors have more than three decimals")))
}
