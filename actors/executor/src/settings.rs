//! What an agent tells the executor process that it starts, through environment variables.
//!
//! Parsing is pure: it takes the variables as a map.

use crate::core::Identity;
use odeon_protocol::id::{ContainerId, ExecutorId, FrameworkId, IdError};
use odeon_runtime::Endpoint;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// `host:port` of the agent.
pub const AGENT_ENDPOINT: &str = "ODEON_AGENT_ENDPOINT";
/// `host:0`, where the actors of tasks listen; where the agent is, if not set.
pub const ACTORS_LISTEN: &str = "ODEON_ACTORS_LISTEN";
/// The host at which other hosts reach them; that of the agent, if not set.
pub const ACTORS_HOST: &str = "ODEON_ACTORS_HOST";
/// The framework.
pub const FRAMEWORK_ID: &str = "ODEON_FRAMEWORK_ID";
/// The executor.
pub const EXECUTOR_ID: &str = "ODEON_EXECUTOR_ID";
/// This run of the executor.
pub const CONTAINER_ID: &str = "ODEON_CONTAINER_ID";
/// The directory of the executor.
pub const SANDBOX: &str = "ODEON_SANDBOX";
/// The grace of its tasks if the agent is gone, in milliseconds.
pub const SHUTDOWN_GRACE_MS: &str = "ODEON_EXECUTOR_SHUTDOWN_GRACE_MS";
/// How long to wait for an agent that is gone, in milliseconds; set if the framework checkpoints.
pub const RECOVERY_TIMEOUT_MS: &str = "ODEON_RECOVERY_TIMEOUT_MS";
/// The file in which an agent that was restarted says where it listens; set if the framework checkpoints.
pub const AGENT_ENDPOINT_FILE: &str = "ODEON_AGENT_ENDPOINT_FILE";

/// Of the executor's own environment, what a command gets: enough to find programs and to speak the
/// user's language, and nothing that belongs to the cluster.
const INHERITED: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM"];
/// The `PATH` of a command if the executor has none.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why the environment does not describe an executor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The process was not started by an agent.
    #[error("{0} is not set: an executor is started by an agent, not by hand")]
    Missing(&'static str),
    /// Not an id.
    #[error("{variable} is not valid")]
    Id {
        /// The variable.
        variable: &'static str,
        /// The rule that its value breaks.
        #[source]
        source: IdError,
    },
    /// Not a number.
    #[error("{variable} is {value:?}, not a number of milliseconds")]
    Milliseconds {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// Not an absolute path.
    #[error("{variable} is {value:?}, not an absolute path")]
    Path {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
}

/// All that an executor process needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutorSettings {
    /// Where the agent listens.
    pub agent: Endpoint,
    /// Where it says so if it is started again; absolute.
    pub agent_file: Option<PathBuf>,
    /// Where the actors of tasks listen, once one wants to be reached.
    pub actors_listen: Endpoint,
    /// The host at which others reach them.
    pub actors_host: String,
    /// Who this executor is.
    pub identity: Identity,
    /// The directory of the executor; absolute.
    pub sandbox: PathBuf,
    /// Whether the process is the executor's alone: then nothing below it outlives its tasks.
    pub owns_process: bool,
    /// What every command finds in its environment.
    pub base_environment: BTreeMap<String, String>,
}

impl ExecutorSettings {
    /// Reads the settings from environment variables.
    ///
    /// # Errors
    /// [`SettingsError`] names the variable at fault.
    pub fn from_environment(variables: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let get = |name| variables.get(name).cloned().ok_or(SettingsError::Missing(name));
        let given = |name| variables.get(name).cloned();
        let bad_id = |variable| move |source| SettingsError::Id { variable, source };
        let identity = Identity {
            framework_id: FrameworkId::new(get(FRAMEWORK_ID)?).map_err(bad_id(FRAMEWORK_ID))?,
            executor_id: ExecutorId::new(get(EXECUTOR_ID)?).map_err(bad_id(EXECUTOR_ID))?,
            container_id: ContainerId::new(get(CONTAINER_ID)?).map_err(bad_id(CONTAINER_ID))?,
            shutdown_grace: milliseconds(SHUTDOWN_GRACE_MS, get(SHUTDOWN_GRACE_MS)?)?,
            recovery_timeout: given(RECOVERY_TIMEOUT_MS)
                .map(|text| milliseconds(RECOVERY_TIMEOUT_MS, text))
                .transpose()?,
        };
        let agent_file = given(AGENT_ENDPOINT_FILE).map(|text| absolute(AGENT_ENDPOINT_FILE, text)).transpose()?;
        let sandbox = absolute(SANDBOX, get(SANDBOX)?)?;
        let agent = get(AGENT_ENDPOINT)?;
        let agent_host = agent.rsplit_once(':').map_or(agent.as_str(), |(host, _)| host);
        Ok(Self {
            actors_listen: Endpoint::new(given(ACTORS_LISTEN).unwrap_or_else(|| format!("{agent_host}:0"))),
            actors_host: given(ACTORS_HOST).unwrap_or_else(|| agent_host.to_owned()),
            agent: Endpoint::new(agent),
            agent_file,
            identity,
            sandbox,
            owns_process: true,
            base_environment: base_environment(variables),
        })
    }
}

fn milliseconds(variable: &'static str, value: String) -> Result<Duration, SettingsError> {
    let number = value.parse().map(Duration::from_millis);
    number.map_err(|_| SettingsError::Milliseconds { variable, value })
}

fn absolute(variable: &'static str, value: String) -> Result<PathBuf, SettingsError> {
    let path = PathBuf::from(&value);
    if path.is_absolute() { Ok(path) } else { Err(SettingsError::Path { variable, value }) }
}

fn base_environment(variables: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let inherited = |name: &str| INHERITED.contains(&name) || name.starts_with("LC_");
    let mut base: BTreeMap<String, String> = variables
        .iter()
        .filter(|(name, _)| inherited(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    base.entry("PATH".to_owned()).or_insert_with(|| PATH_DEFAULT.to_owned());
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> BTreeMap<String, String> {
        let pairs = [
            (AGENT_ENDPOINT, "127.0.0.1:5051"),
            (FRAMEWORK_ID, "m-F1"),
            (EXECUTOR_ID, "e"),
            (CONTAINER_ID, "c"),
            (SANDBOX, "/sandboxes/t"),
            (SHUTDOWN_GRACE_MS, "3000"),
            ("LC_ALL", "C"),
            ("SECRET", "x"),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn the_variables_of_an_agent_are_read() {
        let settings = ExecutorSettings::from_environment(&variables()).unwrap();
        assert_eq!(settings.agent, Endpoint::new("127.0.0.1:5051"));
        assert_eq!(settings.identity.shutdown_grace, Duration::from_secs(3));
        assert_eq!(settings.sandbox, PathBuf::from("/sandboxes/t"));
    }

    #[test]
    fn actors_listen_where_the_agent_says_and_else_where_it_is() {
        let settings = ExecutorSettings::from_environment(&variables()).unwrap();
        assert_eq!((settings.actors_listen.as_str(), settings.actors_host.as_str()), ("127.0.0.1:0", "127.0.0.1"));
        let mut variables = variables();
        variables.insert(ACTORS_LISTEN.to_owned(), "0.0.0.0:0".to_owned());
        variables.insert(ACTORS_HOST.to_owned(), "node-7".to_owned());
        let settings = ExecutorSettings::from_environment(&variables).unwrap();
        assert_eq!((settings.actors_listen.as_str(), settings.actors_host.as_str()), ("0.0.0.0:0", "node-7"));
    }

    #[test]
    fn an_executor_waits_for_its_agent_only_if_it_is_told_to() {
        let settings = ExecutorSettings::from_environment(&variables()).unwrap();
        assert_eq!((settings.identity.recovery_timeout, settings.agent_file), (None, None));
        let mut variables = variables();
        variables.insert(RECOVERY_TIMEOUT_MS.to_owned(), "900000".to_owned());
        variables.insert(AGENT_ENDPOINT_FILE.to_owned(), "/srv/agent.endpoint".to_owned());
        let settings = ExecutorSettings::from_environment(&variables).unwrap();
        assert_eq!(settings.identity.recovery_timeout, Some(Duration::from_secs(900)));
        assert_eq!(settings.agent_file, Some(PathBuf::from("/srv/agent.endpoint")));
    }

    #[test]
    fn a_command_inherits_the_basics_only_and_always_has_a_path() {
        let settings = ExecutorSettings::from_environment(&variables()).unwrap();
        let expected = [("LC_ALL", "C"), ("PATH", PATH_DEFAULT)];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(settings.base_environment, BTreeMap::from(expected));
    }

    #[test]
    fn the_variable_at_fault_is_named() {
        for (name, bad) in [(FRAMEWORK_ID, "a/b"), (CONTAINER_ID, ""), (SANDBOX, "rel"), (SHUTDOWN_GRACE_MS, "-1")] {
            let mut variables = variables();
            variables.insert(name.to_owned(), bad.to_owned());
            let error = ExecutorSettings::from_environment(&variables).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let error = ExecutorSettings::from_environment(&BTreeMap::new()).unwrap_err();
        assert!(matches!(error, SettingsError::Missing(_)));
    }
}
