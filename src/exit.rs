//! How a command ends: the exit codes that scripts rely on.

use std::process::ExitCode;

/// The end of a command. `run` passes the code of its own work through instead, where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// The command did its part, but the work it ran or watched failed.
    WorkFailed = 1,
    /// The command line, the configuration or an input file is wrong; nothing was started.
    Usage = 2,
    /// The master, or whoever was to answer, cannot be reached.
    NotReachable = 3,
    /// The cluster refuses this to this user.
    NotPermitted = 4,
    /// The work was not placed on any agent within the time given.
    NotPlaced = 5,
    /// Training ended at its limit of rounds without converging.
    NotConverged = 6,
    /// The user interrupted the command.
    Interrupted = 130,
}

impl From<Exit> for i32 {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_that_scripts_know() {
        let ends = [
            Exit::Done,
            Exit::WorkFailed,
            Exit::Usage,
            Exit::NotReachable,
            Exit::NotPermitted,
            Exit::NotPlaced,
            Exit::NotConverged,
            Exit::Interrupted,
        ];
        assert_eq!(ends.map(i32::from), [0, 1, 2, 3, 4, 5, 6, 130]);
    }
}
