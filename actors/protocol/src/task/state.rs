//! The states of a task, with the names that Mesos gives them.

use serde::{Deserialize, Serialize};

macro_rules! states {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, terminal: $terminal:literal;)+) => {
        /// The state of a task. Terminal ones are final, except that `LOST`, `UNREACHABLE` and `UNKNOWN`
        /// tell what the master knows, and such a task may turn out to run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum TaskState {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)+
        }

        impl TaskState {
            /// All states.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in Mesos.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Whether the task holds no resources any more and sends no further update by itself.
            #[must_use]
            pub fn is_terminal(self) -> bool {
                match self { $(Self::$variant => $terminal),+ }
            }
        }
    };
}

states! {
    /// Accepted by the master, not yet reported by an executor.
    Staging = "TASK_STAGING", terminal: false;
    /// Its executor prepares it.
    Starting = "TASK_STARTING", terminal: false;
    /// It runs.
    Running = "TASK_RUNNING", terminal: false;
    /// It was asked to end and has not yet.
    Killing = "TASK_KILLING", terminal: false;
    /// It ended well.
    Finished = "TASK_FINISHED", terminal: true;
    /// It ended badly.
    Failed = "TASK_FAILED", terminal: true;
    /// It was killed on request.
    Killed = "TASK_KILLED", terminal: true;
    /// Its description is not valid; it never ran.
    Error = "TASK_ERROR", terminal: true;
    /// Its agent is gone, or it never arrived; told to frameworks that are not partition aware.
    Lost = "TASK_LOST", terminal: true;
    /// It was never launched.
    Dropped = "TASK_DROPPED", terminal: true;
    /// Its agent does not answer; it may still run there.
    Unreachable = "TASK_UNREACHABLE", terminal: false;
    /// Its agent answers and does not know it.
    Gone = "TASK_GONE", terminal: true;
    /// An operator declared its agent gone.
    GoneByOperator = "TASK_GONE_BY_OPERATOR", terminal: true;
    /// The master does not know it.
    Unknown = "TASK_UNKNOWN", terminal: false;
}

impl TaskState {
    /// What a framework is told: those that are not partition aware know one word for all that is out of sight.
    #[must_use]
    pub fn as_told_to(self, partition_aware: bool) -> Self {
        match self {
            Self::Dropped | Self::Unreachable | Self::Gone | Self::GoneByOperator | Self::Unknown
                if !partition_aware =>
            {
                Self::Lost
            }
            state => state,
        }
    }
}

impl std::fmt::Display for TaskState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_framework_without_partition_awareness_hears_lost() {
        assert_eq!(TaskState::Unreachable.as_told_to(false), TaskState::Lost);
        assert_eq!(TaskState::Unreachable.as_told_to(true), TaskState::Unreachable);
        assert_eq!(TaskState::Running.as_told_to(false), TaskState::Running);
    }
}
