//! The task types that an executor's binary knows: a value, not a global.

use crate::deployable::Deployable;
use crate::host::host;
use crate::runner::Work;
use crate::task::{Task, TaskContext, TaskFailure};
use futures_util::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Starts a task of one type.
pub(crate) type Run = Arc<dyn Fn(TaskContext) -> Work + Send + Sync>;

/// Why a task type cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterTaskError {
    /// Two types have one name.
    #[error("a task type {0:?} is registered already")]
    Twice(&'static str),
    /// It could not be asked for.
    #[error("a task type has no name")]
    NoName,
}

/// Task types by name.
#[derive(Clone, Default)]
pub struct TaskRegistry {
    types: BTreeMap<&'static str, Run>,
}

impl TaskRegistry {
    /// An empty registry: its executor runs commands only.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a task type.
    ///
    /// # Errors
    /// [`RegisterTaskError`] if its name is empty or taken.
    pub fn register<T: Task>(self) -> Result<Self, RegisterTaskError> {
        self.register_with(T::NAME, T::run)
    }

    /// Adds a task type that is a function, which may hold what its tasks need to know of this binary.
    ///
    /// # Errors
    /// As [`register`](Self::register).
    pub fn register_with<F>(
        self,
        name: &'static str,
        run: impl Fn(TaskContext) -> F + Clone + Send + Sync + 'static,
    ) -> Result<Self, RegisterTaskError>
    where
        F: Future<Output = Result<(), TaskFailure>>,
    {
        // The call stands inside the future, so that a panic in it is the task's as well.
        self.add(
            name,
            Arc::new(move |context| {
                let run = run.clone();
                async move { run(context).await }.boxed_local()
            }),
        )
    }

    /// Adds an actor type: each of its actors is a task of this name.
    ///
    /// # Errors
    /// As [`register`](Self::register).
    pub fn register_actor<A: Deployable>(self, name: &'static str) -> Result<Self, RegisterTaskError> {
        self.add(name, Arc::new(|context| host::<A>(context).boxed_local()))
    }

    fn add(mut self, name: &'static str, run: Run) -> Result<Self, RegisterTaskError> {
        if name.is_empty() {
            return Err(RegisterTaskError::NoName);
        }
        match self.types.insert(name, run) {
            None => Ok(self),
            Some(_) => Err(RegisterTaskError::Twice(name)),
        }
    }

    /// The names, in order.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        self.types.keys().map(|name| (*name).to_owned()).collect()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Run> {
        self.types.get(name).cloned()
    }
}

impl fmt::Debug for TaskRegistry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.types.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nap;
    impl Task for Nap {
        const NAME: &'static str = "nap";
        async fn run(_context: TaskContext) -> Result<(), TaskFailure> {
            Ok(())
        }
    }

    #[test]
    fn a_name_is_taken_once() {
        let registry = TaskRegistry::new().register::<Nap>().unwrap();
        assert_eq!(registry.names(), BTreeSet::from(["nap".to_owned()]));
        assert_eq!(registry.register::<Nap>().unwrap_err(), RegisterTaskError::Twice("nap"));
        let nothing = TaskRegistry::new().register_with("", Nap::run);
        assert_eq!(nothing.unwrap_err(), RegisterTaskError::NoName);
    }
}
