//! Binaries that reach the agents of a plain cluster by themselves: from the client by way of the master, from files, from
//! web servers. What goes wrong on the way is told, and nothing of it is started.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::Value;

use crate::support::{Client, Process, Roles, Running, Stage, eventually, example, repository, text};

/// What an agent tells when it has fetched a binary.
const FETCHED: &str = "a binary was fetched";
/// Arguments of an agent that tells what it does.
const TELLING: &[&str] = &["--log", "info"];

fn counter() -> PathBuf {
    example("counter")
}

fn counter_file() -> String {
    repository().join("examples/deployments/counter.toml").display().to_string()
}

/// A deployment file for one counter whose failure is final; `rest` follows it.
fn file(stage: &Stage, rest: &str) -> String {
    let head = "name = \"counter\"\nactor = \"examples.Counter\"\n[args]\nstart = 10\n[restart]\nmax = 0\n";
    stage.write("file.toml", format!("{head}{rest}")).to_str().expect("a path of text").to_owned()
}

/// The binary of `examples/counter.rs` with a tail that changes its digest and nothing else.
fn another_build(stage: &Stage) -> PathBuf {
    let mut bytes = fs::read(counter()).expect("the example is built");
    bytes.extend_from_slice(b"another build");
    let path = stage.write("counter-next", bytes);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    path
}

fn sha256(path: &Path) -> String {
    let output = std::process::Command::new("sha256sum").arg(path).output().expect("sha256sum is there");
    let text = String::from_utf8(output.stdout).expect("digits");
    text.split_whitespace().next().expect("a digest").to_owned()
}

/// A plain cluster, whose agents tell what they do.
fn start(stage: &Stage, agents: usize) -> Roles<'_> {
    let mut roles = Roles::start(stage, 0);
    (0..agents).for_each(|_| roles.add_agent_with(TELLING));
    roles
}

fn deploy(client: &Client<'_>) {
    let deployed = client.of(&counter(), ["deploy", &counter_file()]).end().expect(0);
    assert_eq!(deployed.text(), "counter deployed, 3 actors\ncounter runs\n");
}

fn ask(client: &Client<'_>, actor: &str) -> Value {
    client.odeon(["actor", "ask", actor, r#""Get""#]).end().expect(0).json()
}

/// How often agents have fetched a binary.
fn fetches(agents: &[Running]) -> usize {
    agents.iter().map(|agent| agent.stderr_so_far().matches(FETCHED).count()).sum()
}

/// The binaries that an agent or the master keeps.
fn kept(stage: &Stage, name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(stage.here().join(name).join("binaries")).expect("there is a directory for binaries");
    entries.map(|entry| entry.expect("readable").path()).collect()
}

#[test]
fn a_binary_that_only_the_client_has_reaches_the_agents_and_outlives_the_client_and_an_agent() {
    let stage = Stage::new();
    let mut roles = start(&stage, 2);
    deploy(&roles.client);
    assert_eq!(fetches(&roles.agents), 2, "each agent has fetched it once, for all its actors");
    for name in ["agent-1", "agent-2", "master"] {
        let [binary] = &kept(&stage, name)[..] else { panic!("{name} keeps one binary") };
        assert_eq!(binary.metadata().expect("it is there").permissions().mode() & 0o777, 0o500);
        assert!(binary.ends_with(sha256(&counter())));
    }
    roles.add_agent_with(TELLING);
    roles.kill_agent(1);
    roles.kill_agent(0);
    for name in ["counter/0", "counter/1", "counter/2"] {
        eventually(&format!("{name} on the last agent"), || {
            let actors = roles.client.list("actors");
            actors
                .iter()
                .any(|one| one["name"] == name && one["hostname"] == "agent-3" && one["state"] == "running")
                .then_some(())
        });
        assert_eq!(ask(&roles.client, name), 10);
    }
    assert_eq!(fetches(&roles.agents), 1, "the new agent has got it from the master");
    roles.interrupt();
    stage.wait_for_no_process();
}

#[test]
fn a_binary_is_fetched_once_also_over_a_restart_unless_it_was_spoilt() {
    let stage = Stage::new();
    let mut roles = start(&stage, 1);
    deploy(&roles.client);
    roles.client.odeon(["deployment", "remove", "counter"]).end().expect(0);
    eventually("no deployment", || roles.client.list("deployments").is_empty().then_some(()));
    deploy(&roles.client);
    assert_eq!(fetches(&roles.agents), 1, "the second deployment needs no transfer");
    roles.client.odeon(["deployment", "remove", "counter"]).end().expect(0);
    eventually("no executor", || stage.executors().is_empty().then_some(()));
    roles.restart_agent(0, TELLING);
    eventually("no deployment", || roles.client.list("deployments").is_empty().then_some(()));
    deploy(&roles.client);
    assert_eq!(fetches(&roles.agents), 0, "nor does the next process of the agent");
    roles.client.odeon(["deployment", "remove", "counter"]).end().expect(0);
    eventually("no executor", || stage.executors().is_empty().then_some(()));
    let [binary] = &kept(&stage, "agent-1")[..] else { panic!("it keeps one binary") };
    fs::remove_file(binary).expect("it is ours");
    fs::write(binary, "#!/bin/sh\ntouch /tmp/never-run\n").expect("there is room");
    fs::set_permissions(binary, fs::Permissions::from_mode(0o500)).expect("it is ours");
    deploy(&roles.client);
    assert_eq!(fetches(&roles.agents), 1, "what was spoilt is fetched anew");
    roles.agents[0].wait_for_stderr("a binary is not what it was, and is removed");
    roles.interrupt();
    stage.wait_for_no_process();
}

#[test]
fn another_build_replaces_the_actors_in_an_update_and_is_taken_back() {
    let stage = Stage::new();
    let roles = start(&stage, 1);
    let client = &roles.client;
    deploy(client);
    let next = another_build(&stage);
    let update = "[update]\nhealthy_after = \"200ms\"";
    let known = fs::read_to_string(counter_file()).expect("the file of the example");
    let version = stage.write("next.toml", format!("{known}\n{update}\n[binary]\npath = \"counter-next\"\n"));
    let version = version.to_str().expect("a path of text");
    let planned = client.odeon(["deployment", "plan", version, "-o", "json"]).end().expect(0).json();
    let changes = planned["changes"].as_array().expect("a list");
    let binary = changes.iter().find(|change| change["key"] == "binary").expect("another binary");
    assert_eq!((&binary["now"], &binary["effect"]), (&sha256(&counter())[..12].into(), &"replaces_actors".into()));
    client.odeon(["deployment", "update", version]).end().expect(0);
    let hosts: Vec<Process> = stage.executors();
    let hosts = hosts.into_iter().filter(|host| host.arguments[0].ends_with(&sha256(&next))).collect::<Vec<_>>();
    assert_eq!(hosts.len(), 1, "the new version has a host of its own");
    assert_eq!(ask(client, "counter/2"), 10);
    client.odeon(["deployment", "rollback", "counter"]).end().expect(0);
    for host in hosts {
        host.kill();
    }
    assert_eq!(ask(client, "counter/2"), 10, "it runs from the first build again");
    assert_eq!(fetches(&roles.agents), 2, "which was there still");
    roles.interrupt();
    stage.wait_for_no_process();
}

#[test]
fn a_binary_comes_from_a_file_of_the_agents_and_one_that_is_another_is_refused_with_both_digests() {
    let stage = Stage::new();
    let roles = Roles::start(&stage, 1);
    let client = &roles.client;
    let (uri, right, wrong) = (format!("file://{}", counter().display()), sha256(&counter()), "0".repeat(64));
    let spoilt = file(&stage, &format!("[binary]\nuri = \"{uri}\"\nsha256 = \"{wrong}\"\n"));
    let refused = client.odeon(["deploy", &spoilt]).end().expect(1);
    assert!(refused.stderr.contains(&right) && refused.stderr.contains(&wrong), "{}", refused.stderr);
    assert_eq!(kept(&stage, "agent-1"), Vec::<PathBuf>::new(), "nothing of it is left");
    let failed = &client.list("tasks")[0];
    assert_eq!(failed["state"], "TASK_FAILED");
    assert!(text(&failed["message"]).contains("cannot be fetched from file:///"), "{failed}");
    client.odeon(["deployment", "remove", "counter"]).end().expect(0);
    eventually("no deployment", || client.list("deployments").is_empty().then_some(()));
    let sound = file(&stage, &format!("[binary]\nuri = \"{uri}\"\nsha256 = \"{right}\"\n"));
    client.odeon(["deploy", &sound]).end().expect(0);
    assert_eq!(ask(client, "counter/0"), 10);
    assert_eq!(kept(&stage, "master"), Vec::<PathBuf>::new(), "the master was not needed");
    roles.interrupt();
    stage.wait_for_no_process();
}

/// A web server for one file, one answer after the other; it answers with what `answer` makes of the file.
fn serve(answer: impl Fn(Vec<u8>) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            // The agent may have gone.
            let _ = stream.write_all(&answer(fs::read(counter()).expect("the example is built")));
        }
    });
    format!("http://{address}/counter")
}

fn answer(announced: usize, bytes: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {announced}\r\n\r\n").as_bytes(), bytes].concat()
}

#[test]
fn a_binary_comes_from_a_web_server_that_sends_all_of_it() {
    let stage = Stage::new();
    let roles = Roles::start(&stage, 1);
    let digest = sha256(&counter());
    let whole = serve(|bytes| answer(bytes.len(), &bytes));
    let half = serve(|bytes| answer(bytes.len(), &bytes[..bytes.len() / 2]));
    let elsewhere =
        serve(|_| b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n".to_vec());
    let huge = serve(|_| answer(1 << 40, b""));
    for (uri, told) in
        [(&half, "the server ended the connection after"), (&elsewhere, "sends elsewhere"), (&huge, "over the limit")]
    {
        let spoilt = file(&stage, &format!("[binary]\nuri = \"{uri}\"\nsha256 = \"{digest}\"\n"));
        let refused = roles.client.odeon(["deploy", &spoilt]).end().expect(1);
        assert!(refused.stderr.contains(told), "{told}: {}", refused.stderr);
        assert_eq!(kept(&stage, "agent-1"), Vec::<PathBuf>::new(), "nothing of it is left");
        roles.client.odeon(["deployment", "remove", "counter"]).end().expect(0);
        eventually("no deployment", || roles.client.list("deployments").is_empty().then_some(()));
    }
    let sound = file(&stage, &format!("[binary]\nuri = \"{whole}\"\nsha256 = \"{digest}\"\n"));
    roles.client.odeon(["deploy", &sound]).end().expect(0);
    assert_eq!(ask(&roles.client, "counter/0"), 10);
    roles.interrupt();
    stage.wait_for_no_process();
}
