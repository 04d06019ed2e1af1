//! Clusters to test against: all in one process, or each role a process of its own.

use nix::sys::signal::Signal;

use super::stage::Invocation;
use super::{Client, Finished, Running, Stage, eventually, repository};

/// `odeon local`, on a port of its own.
pub(crate) struct Cluster<'a> {
    pub(crate) client: Client<'a>,
    pub(crate) running: Running,
}

impl<'a> Cluster<'a> {
    /// Starts it with these arguments besides the port, and returns when it is ready.
    pub(crate) fn start(stage: &'a Stage, arguments: &[&str]) -> Self {
        let mut running = stage.odeon(["local", "--port", "0"].iter().chain(arguments)).start();
        let client = Client::new(stage, running.stdout_value("master "));
        Self { client, running }
    }

    /// Two agents with enough for any test, whatever the machine has.
    pub(crate) fn of_two_agents(stage: &'a Stage) -> Self {
        Self::start(stage, &["--agents", "2", "--cpus", "4", "--mem", "1GiB"])
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(self) -> Finished {
        self.running.signal(Signal::SIGINT);
        self.running.end()
    }
}

/// A master and agents, each a process of its own, started with the files of `config/`.
pub(crate) struct Roles<'a> {
    pub(crate) client: Client<'a>,
    /// In the order of their start.
    pub(crate) agents: Vec<Running>,
    stage: &'a Stage,
    master: Running,
}

impl<'a> Roles<'a> {
    /// Starts the master, then the agents one after the other, and returns when all have registered.
    pub(crate) fn start(stage: &'a Stage, agent_count: usize) -> Self {
        Self::start_with(stage, agent_count, &[])
    }

    /// As [`Self::start`], with these arguments for the master besides.
    pub(crate) fn start_with(stage: &'a Stage, agent_count: usize, arguments: &[&str]) -> Self {
        let arguments = ["--set", "port=0"].iter().chain(arguments).copied().collect::<Vec<_>>();
        let mut master = role(stage, "master", "master", &arguments).start();
        let client = Client::new(stage, master.stdout_value("master "));
        let mut roles = Self { client, agents: Vec::new(), stage, master };
        (0..agent_count).for_each(|_| roles.add_agent());
        roles
    }

    /// Starts one more agent, and returns when it has registered.
    pub(crate) fn add_agent(&mut self) {
        self.add_agent_with(&[]);
    }

    /// As [`Self::add_agent`], with these arguments besides.
    pub(crate) fn add_agent_with(&mut self, arguments: &[&str]) {
        let agents_before = self.client.list("agents").len();
        let agent = self.agent(agents_before + 1, arguments).start();
        self.agents.push(agent);
        let what = format!("the registration of agent {}", agents_before + 1);
        eventually(&what, || (self.client.list("agents").len() > agents_before).then_some(()));
    }

    /// The command line of an agent; the numbers begin with 1.
    fn agent(&self, number: usize, arguments: &[&str]) -> Invocation {
        let (name, master) = (format!("agent-{number}"), &self.client.master);
        let hostname = format!("hostname={name}");
        let own = ["--master", master, "--set", "port=0", "--set", &hostname];
        let resources = ["--resources", "cpus:4;mem:1024"];
        let resources = if arguments.contains(&"--resources") { &[][..] } else { &resources };
        role(self.stage, "agent", &name, &[&own, resources, arguments].concat())
    }

    /// `kill -9` to one agent, by the order of start.
    pub(crate) fn kill_agent(&mut self, index: usize) {
        self.agents.remove(index).kill();
    }

    /// `kill -9` to an agent, none of which was removed before, and another in its place: same directory.
    pub(crate) fn restart_agent(&mut self, index: usize, arguments: &[&str]) {
        self.kill_agent(index);
        self.start_agent_again(index, arguments);
    }

    /// The command line of an agent that was killed, by the order of start.
    pub(crate) fn agent_again(&self, index: usize, arguments: &[&str]) -> Invocation {
        self.agent(index + 1, arguments)
    }

    /// Starts an agent again that was killed, by the order of start.
    pub(crate) fn start_agent_again(&mut self, index: usize, arguments: &[&str]) {
        let agent = self.agent_again(index, arguments).start();
        self.agents.insert(index, agent);
    }

    /// `kill -9` to the master, and a new one in its place: same port, same directory.
    pub(crate) fn restart_master(self) -> Self {
        self.master.kill();
        let (_, port) = self.client.master.rsplit_once(':').expect("host:port");
        let mut master = role(self.stage, "master", "master", &["--port", port]).start();
        assert_eq!(master.stdout_value("master "), self.client.master);
        Self { master, ..self }
    }

    /// Ctrl-C to all, the master last; all must end well.
    pub(crate) fn interrupt(self) {
        for role in self.agents.into_iter().chain([self.master]) {
            role.signal(Signal::SIGINT);
            role.end().expect(0);
        }
    }
}

/// The command line of a role with its file of `config/`, and with its state in a directory of the stage.
fn role(stage: &Stage, role: &str, name: &str, arguments: &[&str]) -> Invocation {
    let file = repository().join("config").join(format!("{role}.toml"));
    let file = file.to_str().expect("the path of the repository is text");
    let work_dir = format!("work_dir={}", stage.here().join(name).display());
    let common = [role, "--config", file, "--set", &work_dir];
    stage.odeon(common.iter().chain(arguments))
}
