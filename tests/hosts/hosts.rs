//! A cluster over several hosts: the master on host 1, an agent on each, ledgers on all of them, and a desk beside.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use odeon::prelude::PeerError;
use odeon_runtime::trust::{Authority, PeerRole};
use serde_json::Value;

use super::book::Book;
use super::credentials;
use super::network::{DESK, Network, address};
use super::writers::{Writers, ask_run};
use crate::support::stage::Invocation;
use crate::support::{Client, Process, Running, Stage, eventually, repository, text};

/// The host of the master.
pub(crate) const MASTER: usize = 1;
const MASTER_PORT: u16 = 5050;

/// A cluster, looked at from the desk.
pub(crate) struct Hosts<'a> {
    pub(crate) client: Client<'a>,
    pub(crate) network: &'a Network,
    stage: &'a Stage,
    /// Nobody while it is killed.
    master: Option<Running>,
    /// By host; one that is killed is absent.
    agents: BTreeMap<usize, Running>,
}

/// When a fault was noticed, and when every name had an actor again, both since the fault.
pub(crate) struct Times {
    pub(crate) noticed: Duration,
    pub(crate) recovered: Duration,
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noticed, recovered) = (self.noticed.as_secs_f64(), self.recovered.as_secs_f64());
        write!(f, "noticed after {noticed:.1} s, all names answer after {recovered:.1} s")
    }
}

/// Shows a figure.
#[expect(clippy::print_stdout, reason = "the figures are for those who run the tests with `--nocapture`")]
pub(crate) fn show(scenario: &str, figure: &str) {
    println!("{scenario}: {figure}");
}

/// Plays a scenario on so many hosts, with one ledger on each; all messages that the writers send meanwhile must be
/// accounted for. Says `SKIP` where hosts cannot be had.
pub(crate) fn on_hosts(scenario: &str, count: usize, play: impl FnOnce(&mut Hosts<'_>) + Send) {
    let network = match Network::of(count) {
        Ok(network) => network,
        Err(reason) => return show(scenario, &format!("SKIP, {reason}")),
    };
    let mut stage = Stage::of_example("ledger");
    credentials::give(&mut stage);
    network.at(DESK).within(|| {
        let mut hosts = Hosts::start(&stage, &network, count);
        hosts.deploy(count);
        let writers = Writers::start(network.at(DESK), &hosts.client.master, hosts.names());
        play(&mut hosts);
        let sent = writers.end();
        let account = Book::read(&hosts.pages()).account(&sent);
        show(scenario, &account.to_string());
        assert!(account.answered > 0, "{account:?}");
        assert_eq!((account.lost, account.doubled, account.denied), (0, 0, 0), "{account:?}");
        hosts.interrupt();
    });
    stage.wait_for_no_process();
}

impl<'a> Hosts<'a> {
    fn start(stage: &'a Stage, network: &'a Network, count: usize) -> Self {
        let client = Client::new(stage, format!("{}:{MASTER_PORT}", address(MASTER)));
        let mut hosts = Self { client, network, stage, master: None, agents: BTreeMap::new() };
        hosts.start_master();
        for host in 1..=count {
            hosts.start_agent(host);
        }
        eventually("the registration of all agents", || (hosts.client.list("agents").len() == count).then_some(()));
        hosts
    }

    /// Starts the master, at first or again: same address, same directory.
    pub(crate) fn start_master(&mut self) {
        let command = self.role(MASTER, PeerRole::Master, MASTER_PORT, &[]);
        let mut master = self.start_at(MASTER, credentials::of_role(self.stage, PeerRole::Master, MASTER, command));
        assert_eq!(master.stdout_value("master "), self.client.master);
        self.master = Some(master);
    }

    /// Starts the agent of a host, at first or again.
    pub(crate) fn start_agent(&mut self, host: usize) {
        let command = credentials::of_role(self.stage, PeerRole::Agent, host, self.agent(host));
        let agent = self.start_at(host, command);
        self.agents.insert(host, agent);
    }

    /// Starts another agent on a host, with a certificate that this authority has issued to an agent.
    pub(crate) fn start_agent_of(&self, authority: &Authority, host: usize) -> Running {
        let ca = self.stage.write("other-ca.pem", authority.cert_pem());
        let command = self.agent(host).env("ODEON_AGENT__TLS__CA", ca);
        let issued = |role, command| credentials::shown(self.stage, authority, role, host, command);
        self.start_at(host, issued(PeerRole::ActorHost, issued(PeerRole::Agent, command)))
    }

    /// Starts another agent on a host, with the certificate of a client instead of its own.
    pub(crate) fn start_agent_as_client(&self, host: usize) -> Running {
        let command = self.agent(host);
        let command = credentials::of_role(self.stage, PeerRole::Agent, host, command);
        let here = |file: &str| self.stage.here().join(file);
        let (cert, key) = (here("client.pem"), here("client.key"));
        self.start_at(host, command.env("ODEON_AGENT__TLS__CERT", cert).env("ODEON_AGENT__TLS__KEY", key))
    }

    fn agent(&self, host: usize) -> Invocation {
        let hostname = format!("hostname={}", name(host));
        let own = ["--master", &self.client.master, "--resources", "cpus:4;mem:1024", "--set", &hostname];
        let often = ["--set", "registration_backoff_max=2s"];
        self.role(host, PeerRole::Agent, 5051, &[&own[..], &often].concat())
    }

    fn role(&self, host: usize, role: PeerRole, port: u16, arguments: &[&str]) -> Invocation {
        let role = role.to_string();
        let file = repository().join("config").join(&role).with_extension("toml").display().to_string();
        let work_dir = format!("work_dir={}", self.stage.here().join(format!("{role}-{host}")).display());
        let (bind, port) = (format!("bind={}", address(host)), format!("port={port}"));
        let common = [&role, "--config", &file, "--set", &work_dir, "--set", &bind, "--set", &port];
        self.stage.odeon(common.iter().chain(arguments))
    }

    fn start_at(&self, host: usize, command: Invocation) -> Running {
        self.network.at(host).within(|| command.start())
    }

    fn deploy(&self, count: usize) {
        let pages = self.pages();
        fs::create_dir(&pages).expect("the stage has room");
        let file = format!(
            "name = \"ledger\"\nactor = \"examples.Ledger\"\ninstances = {count}\n[args]\ndirectory = \"{}\"\n\
             [resources]\ncpus = 0.1\nmem = \"16MiB\"\n",
            pages.display()
        );
        let file = self.stage.write("ledger.toml", file);
        self.client.odeon(["deploy", file.to_str().expect("a path of text")]).end().expect(0);
    }

    fn pages(&self) -> std::path::PathBuf {
        self.stage.here().join("pages")
    }

    /// What the deployer tells of every actor, in the order of their names.
    pub(crate) fn actors(&self) -> Vec<Value> {
        self.client.list("actors")
    }

    fn names(&self) -> Vec<String> {
        self.actors().iter().map(|actor| text(&actor["name"])).collect()
    }

    /// The host of each actor that runs, sorted.
    pub(crate) fn places(&self) -> Vec<String> {
        let actors = self.actors();
        let mut places: Vec<String> = actors.iter().filter(|actor| runs(actor)).map(host_of).collect();
        places.sort();
        places
    }

    /// The actors that run on a host.
    pub(crate) fn actors_on(&self, host: usize) -> Vec<Value> {
        self.actors().into_iter().filter(|actor| runs(actor) && host_of(actor) == name(host)).collect()
    }

    /// Waits until the tasks of these actors, as they were listed, have been replaced, and each has answered.
    pub(crate) fn wait_for_replacement(&self, of: &[Value], fault: Instant) -> Times {
        let is_old = |actor: &Value| of.iter().any(|old| old["task_id"] == actor["task_id"]);
        let noticed = eventually("the deployer to notice", || {
            let actors = self.actors();
            (!actors.iter().any(|actor| is_old(actor) && runs(actor))).then(|| fault.elapsed())
        });
        eventually("every actor to run", || self.actors().iter().all(runs).then_some(()));
        for name in self.names() {
            self.ask(&name);
        }
        Times { noticed, recovered: fault.elapsed() }
    }

    /// Asks an actor by name, until it answers.
    pub(crate) fn ask(&self, name: &str) {
        // Beyond all numbers of the writers.
        let message = format!(r#"{{"Enter": {{"number": {}}}}}"#, u64::MAX);
        eventually(&format!("an answer of {name}"), || {
            (self.client.odeon(["actor", "ask", name, &message]).end().code == 0).then_some(())
        });
    }

    /// Tells an actor by name.
    pub(crate) fn tell(&self, name: &str) {
        let message = format!(r#"{{"Enter": {{"number": {}}}}}"#, u64::MAX);
        self.client.odeon(["actor", "tell", name, &message]).end().expect(0);
    }

    /// The actor hosts of a host.
    pub(crate) fn executors_on(&self, host: usize) -> Vec<Process> {
        let place = |path: String| fs::read_link(path).ok();
        let there = self.network.at(host).within(|| place("/proc/thread-self/ns/net".into()));
        let executors = self.stage.executors().into_iter();
        executors.filter(|executor| place(format!("/proc/{}/ns/net", executor.pid)) == there).collect()
    }

    /// Waits until these processes have ended.
    pub(crate) fn wait_for_the_end_of(&self, processes: &[Process]) {
        eventually(&format!("the end of {processes:?}"), || {
            let live = self.stage.processes();
            (!processes.iter().any(|process| live.contains(process))).then_some(())
        });
    }

    /// Waits until a run of an actor that was replaced is out of reach or gone: what is sent to it is certainly not handled.
    pub(crate) fn wait_for_refusal(&self, location: &Value) {
        eventually(&format!("the end of the run at {location}"), || {
            let asked = ask_run(self.network.at(DESK), location);
            asked
                .is_err_and(|error| matches!(error, PeerError::NoSuchActor { .. } | PeerError::Unreachable { .. }))
                .then_some(())
        });
    }

    /// Waits until so many agents are in service.
    pub(crate) fn wait_for_agents(&self, count: usize) {
        eventually(&format!("{count} agents in service"), || (self.agents_in_service() == count).then_some(()));
    }

    /// How many agents the master counts on.
    pub(crate) fn agents_in_service(&self) -> usize {
        self.client.list("agents").iter().filter(|agent| agent["state"] == "ACTIVE").count()
    }

    /// `kill -9` to the agent of a host.
    pub(crate) fn kill_agent(&mut self, host: usize) {
        self.agents.remove(&host).expect("the agent runs").kill();
    }

    /// `kill -9` to the master.
    pub(crate) fn kill_master(&mut self) {
        self.master.take().expect("the master runs").kill();
    }

    /// Ctrl-C to all, the master last; all must end well.
    fn interrupt(&mut self) {
        for role in std::mem::take(&mut self.agents).into_values().chain(self.master.take()) {
            role.signal(Signal::SIGINT);
            role.end().expect(0);
        }
    }
}

/// The name of a host.
pub(crate) fn name(host: usize) -> String {
    format!("host-{host}")
}

fn runs(actor: &Value) -> bool {
    actor["state"] == "running"
}

fn host_of(actor: &Value) -> String {
    actor["hostname"].as_str().unwrap_or_default().to_owned()
}
