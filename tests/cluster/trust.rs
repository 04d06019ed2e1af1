//! A cluster whose members prove who they are, with real files and real processes; and who is turned away.

use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Finished, Running, Stage, Trained, eventually, example_job, repository};

/// An authority on a stage, and the certificates that it has issued there.
struct Trust<'a> {
    stage: &'a Stage,
    authority: &'static str,
}

/// The paths of an authority, a certificate and its key.
#[derive(Clone)]
struct Proof([String; 3]);

impl<'a> Trust<'a> {
    fn new(stage: &'a Stage, authority: &'static str) -> Self {
        stage.odeon(["cert", "init", authority]).end().expect(0);
        Self { stage, authority }
    }

    /// Issues a certificate into a directory of its name.
    fn issue(&self, role: &str, name: &str) -> Proof {
        let arguments = ["cert", "issue", "--ca", self.authority, "--role", role, "--name", name, "--out", name];
        self.stage.odeon(arguments).end().expect(0);
        let file = |file: String| self.stage.here().join(name).join(file).display().to_string();
        Proof([file("ca.pem".into()), file(format!("{role}.pem")), file(format!("{role}.key"))])
    }
}

/// A master and an agent that prove who they are, each a process of its own.
struct Proven<'a> {
    stage: &'a Stage,
    client: Proof,
    master: String,
    roles: Vec<Running>,
}

impl<'a> Proven<'a> {
    /// Starts both, and returns when the agent has registered.
    fn start(trust: &Trust<'a>) -> Self {
        let (stage, client) = (trust.stage, trust.issue("client", "alice"));
        let [ca, cert, key] = trust.issue("master", "m1").0;
        let work_dir = |name: &str| format!("work_dir={}", stage.here().join(name).display());
        let master = stage.odeon(["master", "--port", "0", "--set", &work_dir("master")]);
        let master = master.env("ODEON_TLS__CA", &ca).env("ODEON_TLS__CERT", &cert).env("ODEON_TLS__KEY", &key);
        let mut master = master.start();
        let endpoint = master.stdout_value("master ");
        let [ca, cert, key] = trust.issue("agent", "node-1").0;
        let [_, executor_cert, executor_key] = trust.issue("actor-host", "node-1").0;
        let agent = ["agent", "--master", &endpoint, "--port", "0", "--set", &work_dir("agent")];
        let tls = ["--tls-ca", &ca, "--tls-cert", &cert, "--tls-key", &key];
        let executors = [format!("tls.executor_cert={executor_cert}"), format!("tls.executor_key={executor_key}")];
        let executors = ["--set", &executors[0], "--set", &executors[1], "--resources", "cpus:4;mem:1024"];
        let agent = stage.odeon(agent.iter().chain(&tls).chain(&executors)).start();
        let proven = Self { stage, client, master: endpoint, roles: vec![agent, master] };
        eventually("the registration of the agent", || (proven.list("agents").len() == 1).then_some(()));
        proven
    }

    /// A command that presents these files, if any.
    fn odeon_as(&self, proof: Option<&Proof>, arguments: &[&str]) -> Finished {
        let mut command = self.stage.odeon(arguments).env("ODEON_MASTER", &self.master);
        if let Some(Proof([ca, cert, key])) = proof {
            command = command.env("ODEON_TLS__CA", ca).env("ODEON_TLS__CERT", cert).env("ODEON_TLS__KEY", key);
        }
        command.end()
    }

    fn odeon(&self, arguments: &[&str]) -> Finished {
        self.odeon_as(Some(&self.client), arguments)
    }

    fn list(&self, kind: &str) -> Vec<Value> {
        let listing = self.odeon(&[kind, "-o", "json"]).expect(0).json();
        listing[kind].as_array().expect("a list").clone()
    }

    fn interrupt(self) {
        for role in self.roles {
            role.signal(Signal::SIGINT);
            role.end().expect(0);
        }
    }
}

#[test]
fn a_cluster_of_proven_members_runs_commands_and_trains() {
    let stage = Stage::new();
    let cluster = Proven::start(&Trust::new(&stage, "authority"));
    let finished = cluster.odeon(&["run", "--", "sh", "-c", "echo out; env | grep -c ODEON_TLS; exit 7"]).expect(7);
    assert_eq!(finished.text(), "out\n0\n", "a command does not hear where the credentials of its executor are");
    let trained = Trained::of(cluster.odeon(&["train", &example_job("iris"), "--workers", "1", "-o", "json"]));
    assert_eq!(trained.states(), ["TASK_FINISHED"]);
    cluster.interrupt();
    stage.assert_nothing_left();
}

#[test]
fn deployed_actors_of_proven_members_are_found_and_answer() {
    let stage = Stage::of_example("counter");
    let cluster = Proven::start(&Trust::new(&stage, "authority"));
    let file = repository().join("examples/deployments/counter.toml").display().to_string();
    cluster.odeon(&["deploy", &file]).expect(0);
    let added = cluster.odeon(&["actor", "ask", "counter/0", r#"{"Add": {"amount": 2}}"#]).expect(0);
    assert_eq!(added.json(), 12);
    cluster.odeon(&["deployment", "remove", "counter"]).expect(0);
    cluster.interrupt();
    stage.assert_nothing_left();
}

#[test]
fn a_client_that_does_not_prove_to_be_one_is_not_permitted() {
    let stage = Stage::new();
    let trust = Trust::new(&stage, "authority");
    let cluster = Proven::start(&trust);
    let run = ["run", "--", "true"];
    let refused = cluster.odeon_as(None, &run).expect(4);
    assert!(refused.stderr.contains("the other end speaks TLS, and this node has no credentials"), "{refused:?}");
    assert!(refused.stderr.contains("odeon cert issue --role client"), "{refused:?}");
    for role in ["agent", "actor-host", "master"] {
        let proof = trust.issue(role, &format!("false-{role}"));
        let refused = cluster.odeon_as(Some(&proof), &run).expect(4);
        assert!(refused.stderr.contains(&format!("from a peer whose role is {role}")), "{refused:?}");
    }
    let stranger = Trust::new(&stage, "stranger").issue("client", "eve");
    let refused = cluster.odeon_as(Some(&stranger), &run).expect(4);
    assert!(refused.stderr.contains("was not issued by the authority of this cluster"), "{refused:?}");
    let Proof([_, cert, key]) = stranger;
    let own = cluster.client.clone();
    let mixed = cluster.odeon_as(Some(&Proof([own.0[0].clone(), cert, key])), &run).expect(2);
    assert!(mixed.stderr.contains("was not issued by the authority of this cluster"), "{mixed:?}");
    assert_eq!(cluster.list("tasks"), Vec::<Value>::new());
    cluster.interrupt();
    stage.assert_nothing_left();
}

#[test]
fn without_credentials_a_role_serves_its_own_host_only_and_says_what_to_do() {
    let stage = Stage::new();
    for role in ["master", "agent"] {
        let refused = stage.odeon([role, "--set", "bind=0.0.0.0", "--port", "0"]).end().expect(2);
        assert!(refused.stderr.contains(&format!("odeon cert issue --role {role}")), "{refused:?}");
        assert!(refused.stderr.contains("or bind to 127.0.0.1"), "{refused:?}");
    }
    let refused = stage.odeon(["tasks", "--master", "192.0.2.1:5050"]).end().expect(4);
    assert!(refused.stderr.contains("192.0.2.1:5050 is beyond this host"), "{refused:?}");
    assert_eq!(stage.files_here(), Vec::<String>::new());
}

#[test]
fn a_role_refuses_credentials_that_would_not_serve_it() {
    let stage = Stage::new();
    let trust = Trust::new(&stage, "authority");
    let (master, agent, host) =
        (trust.issue("master", "m1"), trust.issue("agent", "a1"), trust.issue("actor-host", "h1"));
    let refused = |role: &str, proof: &Proof, settings: &[&str]| {
        let Proof([ca, cert, key]) = proof;
        let arguments = [role, "--port", "0", "--tls-ca", ca, "--tls-cert", cert, "--tls-key", key];
        stage.odeon(arguments.iter().chain(settings)).end().expect(2).stderr
    };
    let told = refused("master", &agent, &[]);
    assert!(told.contains("that of a1 as agent, and this takes one of the role master"), "{told}");
    let told = refused("agent", &agent, &[]);
    assert!(told.contains("is set and tls.executor_cert is not"), "{told}");
    let executors =
        |proof: &Proof| [format!("tls.executor_cert={}", proof.0[1]), format!("tls.executor_key={}", proof.0[2])];
    let [cert, key] = executors(&agent);
    let told = refused("agent", &agent, &["--set", &cert, "--set", &key]);
    assert!(told.contains("this takes one of the role actor-host"), "{told}");
    let [cert, key] = executors(&host);
    let told = refused("agent", &agent, &["--set", &cert, "--set", &key, "--set", "advertise=node-7.example.com:1"]);
    assert!(told.contains("others dial node-7.example.com:1") && told.contains("--host"), "{told}");
    let told = refused("master", &master, &["--set", "bind=0.0.0.0"]);
    assert!(told.contains("advertise: must be set"), "{told}");
    let told = stage.odeon(["master", "--tls-ca", &master.0[0]]).end().expect(2).stderr;
    assert!(told.contains("is set and tls.cert is not"), "{told}");
}

#[test]
fn keys_are_for_their_owner_and_nothing_is_overwritten() {
    let stage = Stage::new();
    let told = stage.odeon(["cert", "init", "authority"]).end().expect(0);
    assert!(told.text().contains("authority/ca.key") && told.text().contains("odeon cert issue"), "{told:?}");
    let issue = ["cert", "issue", "--ca", "authority", "--role", "agent", "--name", "a", "--out", "a"];
    let told = stage.odeon(issue).end().expect(0);
    assert!(told.text().contains("a/agent.pem") && told.text().contains("--tls-cert"), "{told:?}");
    let mode = |file: &str| {
        let metadata = std::fs::metadata(stage.here().join(file)).expect("it was written");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(["authority/ca.key", "a/agent.key"].map(mode), [0o600, 0o600]);
    assert_eq!(["authority", "a"].map(mode), [0o700, 0o700]);
    let key = std::fs::read(stage.here().join("authority/ca.key")).expect("it is readable");
    for again in [&["cert", "init", "authority"][..], &issue] {
        let refused = stage.odeon(again).end().expect(2);
        assert!(refused.stderr.contains("is there already, and is not overwritten"), "{refused:?}");
    }
    assert_eq!(std::fs::read(stage.here().join("authority/ca.key")).expect("it is readable"), key);
    stage.odeon(["cert", "init", "other"]).end().expect(0);
    let foreign = ["cert", "issue", "--ca", "other", "--role", "client", "--name", "a", "--out", "a"];
    let refused = stage.odeon(foreign).end().expect(2);
    assert!(refused.stderr.contains("is that of another authority"), "{refused:?}");
    for (flag, value) in [("--name", "a/b"), ("--host", "0.0.0.0"), ("--role", "king")] {
        let mut arguments = vec!["cert", "issue", "--ca", "authority", "--role", "agent", "--out", "b"];
        arguments.extend([flag, value]);
        arguments.extend(["--name", "b"].iter().filter(|_| flag != "--name"));
        let refused = stage.odeon(arguments).end().expect(2);
        assert!(refused.stderr.contains(value), "{refused:?}");
    }
    std::fs::copy(stage.here().join("other/ca.pem"), stage.here().join("authority/ca.pem")).expect("it is writable");
    let mixed = ["cert", "issue", "--ca", "authority", "--role", "agent", "--name", "c", "--out", "c"];
    let refused = stage.odeon(mixed).end().expect(2);
    assert!(refused.stderr.contains("do not belong together"), "{refused:?}");
    assert!(!stage.here().join("c").exists());
}
