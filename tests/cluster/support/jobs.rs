//! Training jobs, and what `odeon train -o json` says of them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Finished, text};

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The path of a job in `examples/jobs`.
pub(crate) fn example_job(name: &str) -> String {
    let path = repository().join("examples/jobs").join(name).with_extension("toml");
    path.to_str().expect("the path of the repository is text").to_owned()
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
