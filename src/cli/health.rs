//! The flags that say how a task is asked whether it is well.

use std::time::Duration;

use clap::Args;
use odeon_protocol::executor::CommandInfo;
use odeon_protocol::task::{Check, HealthCheck, Probe};

use crate::config::HumanDuration;
use crate::failure::Failure;

/// At most one way to ask; the times are those of Mesos unless told otherwise.
#[derive(Debug, Args)]
#[command(next_help_heading = "Health")]
pub(crate) struct HealthArgs {
    /// The task is well when this shell command ends with 0; it runs beside the task
    #[arg(long, value_name = "SCRIPT", group = "health")]
    health_cmd: Option<String>,
    /// The task is well when http://127.0.0.1:PORT/PATH answers with a status from 200 to 399
    #[arg(long, value_name = "PORT[/PATH]", group = "health", value_parser = http)]
    health_http: Option<Probe>,
    /// The task is well when this port of 127.0.0.1 takes a connection
    #[arg(long, value_name = "PORT", group = "health", value_parser = clap::value_parser!(u16).range(1..))]
    health_tcp: Option<u16>,
    /// Before the first question [default: 15s]
    #[arg(long, value_name = "DURATION", requires = "health")]
    health_delay: Option<HumanDuration>,
    /// Between an answer and the next question [default: 10s]
    #[arg(long, value_name = "DURATION", requires = "health")]
    health_interval: Option<HumanDuration>,
    /// How long an answer may take [default: 20s]
    #[arg(long, value_name = "DURATION", requires = "health")]
    health_timeout: Option<HumanDuration>,
    /// Bad answers in a row after which the task is killed [default: 3]
    #[arg(long, value_name = "COUNT", requires = "health")]
    health_failures: Option<u32>,
    /// How long bad answers do not count before the first good one [default: 10s]
    #[arg(long, value_name = "DURATION", requires = "health")]
    health_grace: Option<HumanDuration>,
}

impl HealthArgs {
    /// The health check, if one is wanted.
    pub(crate) fn check(&self) -> Result<Option<HealthCheck>, Failure> {
        let Some(probe) = self.probe() else { return Ok(None) };
        let usual = HealthCheck::new(probe);
        let or = |given: Option<HumanDuration>, usual: Duration| given.map_or(usual, HumanDuration::get);
        let health = HealthCheck {
            consecutive_failures: self.health_failures.unwrap_or(usual.consecutive_failures),
            grace: or(self.health_grace, usual.grace),
            check: Check {
                delay: or(self.health_delay, usual.check.delay),
                interval: or(self.health_interval, usual.check.interval),
                timeout: or(self.health_timeout, usual.check.timeout),
                ..usual.check
            },
        };
        health.validate().map_err(|error| Failure::usage(format!("the --health flags: {error}")))?;
        Ok(Some(health))
    }

    fn probe(&self) -> Option<Probe> {
        let command = self.health_cmd.as_ref().map(|script| {
            let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
            Probe::Command(CommandInfo { argv, environment: [].into(), working_directory: None })
        });
        let tcp = || self.health_tcp.map(|port| Probe::Tcp { port });
        command.or_else(|| self.health_http.clone()).or_else(tcp)
    }
}

/// A port, and the path behind it if there is one.
fn http(text: &str) -> Result<Probe, String> {
    let (port, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    let port =
        port.parse().map_err(|_| format!("`{port}` is not a port: give PORT or PORT/PATH, such as 8080/health"))?;
    Ok(Probe::Http { port, path: if path.is_empty() { "/".to_owned() } else { path.to_owned() } })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        health: HealthArgs,
    }

    fn check(arguments: &[&str]) -> Result<Option<HealthCheck>, Failure> {
        Line::try_parse_from([&["x"], arguments].concat()).expect("flags that parse").health.check()
    }

    #[test]
    fn flags_change_the_usual_times_one_by_one() {
        assert_eq!(check(&[]).expect("no check"), None);
        let probe = Probe::Http { port: 8080, path: "/health".to_owned() };
        let usual = HealthCheck::new(probe);
        assert_eq!(check(&["--health-http", "8080/health"]).expect("a check"), Some(usual.clone()));
        let given = check(&["--health-http", "8080/health", "--health-interval", "2s", "--health-failures", "5"]);
        let check = Check { interval: Duration::from_secs(2), ..usual.check.clone() };
        assert_eq!(given.expect("a check"), Some(HealthCheck { check, consecutive_failures: 5, ..usual }));
    }

    #[test]
    fn flags_that_make_no_check_are_refused_with_their_reason() {
        for bad in [&["--health-interval", "2s"][..], &["--health-tcp", "0"], &["--health-http", "x/y"]] {
            assert!(Line::try_parse_from([&["x"], bad].concat()).is_err(), "{bad:?}");
        }
        assert!(Line::try_parse_from(["x", "--health-tcp", "1", "--health-cmd", "true"]).is_err());
        let failure = check(&["--health-tcp", "80", "--health-failures", "0"]).expect_err("no failure is allowed");
        assert!(failure.to_string().contains("allows no failure"), "{failure}");
    }
}
