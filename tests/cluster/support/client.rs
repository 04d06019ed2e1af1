//! What is asked of a running master, by the command line alone.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::Value;

use super::stage::Invocation;
use super::{Finished, Stage, eventually};

/// Commands from a stage to one master.
pub(crate) struct Client<'a> {
    stage: &'a Stage,
    /// `host:port` of the master.
    pub(crate) master: String,
}

impl<'a> Client<'a> {
    /// A client of the master at `host:port`.
    pub(crate) fn new(stage: &'a Stage, master: String) -> Self {
        Self { stage, master }
    }

    /// A command line of the binary under test that finds the master in its environment.
    pub(crate) fn odeon<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Invocation {
        self.stage.odeon(arguments).env("ODEON_MASTER", &self.master)
    }

    /// As [`Self::odeon`], of another binary that has the whole command line.
    pub(crate) fn of<I: IntoIterator<Item: AsRef<OsStr>>>(&self, program: &Path, arguments: I) -> Invocation {
        self.stage.invoke(program, arguments).env("ODEON_MASTER", &self.master)
    }

    /// `odeon run` with these arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        self.odeon(["run"].iter().chain(arguments)).end()
    }

    /// `odeon run -- sh -c SCRIPT`.
    pub(crate) fn run_script(&self, script: &str) -> Finished {
        self.run(&["--", "sh", "-c", script])
    }

    /// The rows of a listing, `tasks` for example.
    pub(crate) fn list(&self, kind: &str) -> Vec<Value> {
        let listing = self.odeon([kind, "-o", "json"]).end().expect(0).json();
        listing[kind].as_array().unwrap_or_else(|| panic!("no list of {kind}: {listing}")).clone()
    }

    /// The states of all tasks, in the order of their launch.
    pub(crate) fn task_states(&self) -> Vec<String> {
        self.list("tasks").iter().map(|task| text(&task["state"])).collect()
    }

    /// Waits until the only task there has ever been is in this state; returns its id.
    pub(crate) fn wait_for_task(&self, state: &str) -> String {
        eventually(&format!("one task, in {state}"), || {
            let tasks = self.list("tasks");
            let is_there = tasks.len() == 1 && tasks[0]["state"] == state;
            is_there.then(|| text(&tasks[0]["task_id"]))
        })
    }
}

/// A JSON text without its quotes.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text")).to_owned()
}
