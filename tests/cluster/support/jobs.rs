//! Training jobs, and what `odeon train -o json` says of them.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use super::{Finished, Stage, text};

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The path of a job in `examples/jobs`.
pub(crate) fn example_job(name: &str) -> String {
    let path = repository().join("examples/jobs").join(name).with_extension("toml");
    path.to_str().expect("the path of the repository is text").to_owned()
}

/// Writes a job that takes some hundred rounds, so that there is time to disturb it; returns its path.
///
/// The logistic example with next to no penalty: its optimum lies far out.
pub(crate) fn slow_job(stage: &Stage) -> String {
    let job = fs::read_to_string(example_job("breast_cancer")).expect("the example job is there");
    let data = repository().join("examples/data/breast_cancer.csv");
    let job = job.replace("../data/breast_cancer.csv", data.to_str().expect("the path of the repository is text"));
    let job = job.replace("l2 = 0.002197802197802198", "l2 = 0.00001");
    let job = job.replace("workers = 2", "workers = 2\nsolver = \"lbfgs\"");
    let path = stage.write("slow.toml", job);
    path.to_str().expect("the path of a stage is text").to_owned()
}

/// The digest of the slow job's model when nothing disturbs it; computed once.
pub(crate) fn slow_job_model() -> &'static str {
    static MODEL: OnceLock<String> = OnceLock::new();
    MODEL.get_or_init(|| {
        let stage = Stage::new();
        let trained = Trained::of(stage.odeon(["train", &slow_job(&stage), "-o", "json"]).end());
        assert!(trained.number("/rounds") > 300.0, "the slow job is not slow");
        trained.digest()
    })
}

/// The one JSON object of a training.
pub(crate) struct Trained(pub(crate) Value);

impl Trained {
    /// What a training has printed that went well.
    #[track_caller]
    pub(crate) fn of(finished: Finished) -> Self {
        Self(finished.expect(0).json())
    }

    /// A number at a place such as `/metrics/accuracy`.
    pub(crate) fn number(&self, place: &str) -> f64 {
        let value = self.0.pointer(place).unwrap_or_else(|| panic!("nothing at {place} in {}", self.0));
        value.as_f64().unwrap_or_else(|| panic!("{place} is {value}, not a number"))
    }

    /// The digest of the model.
    pub(crate) fn digest(&self) -> String {
        text(&self.0["model_sha256"])
    }

    /// The states of the workers' tasks.
    pub(crate) fn states(&self) -> Vec<String> {
        let tasks = self.0["tasks"].as_array().expect("a list of tasks");
        tasks.iter().map(|task| text(&task["state"])).collect()
    }
}
