//! Who belongs to the cluster, singletons that lose their hosts, and what can be seen of actors and links.

use nix::sys::signal::Signal;

use crate::support::{Client, Cluster, Process, Roles, Stage, eventually, repository, text as text_of};

#[test]
fn members_are_told_as_they_come_break_off_and_return() {
    let stage = Stage::new();
    let mut roles = Roles::start(&stage, 1);
    let mut watching = roles.client.odeon(["members", "-w"]).start();
    watching.stdout_value("agent  agent-1  up");
    roles.add_agent();
    assert_eq!(watching.stdout_value("joined  agent"), "agent-2");
    roles.restart_agent(0, &[]);
    assert_eq!(watching.stdout_value("disconnected  agent"), "agent-1");
    assert_eq!(watching.stdout_value("returned  agent"), "agent-1");
    let members = roles.client.list("members");
    let told: Vec<_> = members.iter().map(|member| (text_of(&member["name"]), text_of(&member["state"]))).collect();
    assert_eq!(told, [("agent-1".into(), "up".into()), ("agent-2".into(), "up".into())]);
    roles.kill_agent(1);
    roles.kill_agent(0);
    let roles = roles.restart_master();
    let anew = watching.stdout_value("agent  agent-1  disconnected");
    assert!(anew.ends_with("-S0"), "the same member under another master: {anew}");
    roles.interrupt();
}

/// What a singleton says its epoch is, if it can be reached.
fn epoch(client: &Client<'_>) -> Option<u64> {
    let asked = client.odeon(["actor", "ask", "scribe/0", "\"Epoch\""]).end();
    (asked.code == 0).then(|| asked.json().as_u64().expect("an epoch is a number"))
}

#[test]
fn a_singleton_comes_back_after_its_host_and_its_agent_are_killed_and_no_two_write_side_by_side() {
    let stage = Stage::of_example("singleton");
    let mut roles = Roles::start(&stage, 2);
    let epochs = stage.here().join("epochs.txt");
    let known = std::fs::read_to_string(repository().join("examples/deployments/singleton.toml")).expect("it is there");
    let text = known.replace("/tmp/odeon-singleton.txt", epochs.to_str().expect("a path of text"));
    let file = stage.write("singleton.toml", text);
    roles.client.odeon(["deploy", file.to_str().expect("a path of text")]).end().expect(0);
    let first = epoch(&roles.client).expect("it runs");
    let two = roles.client.odeon(["deployment", "scale", "scribe", "2"]).end().expect(2);
    assert!(two.stderr.contains("a singleton is one actor"), "{}", two.stderr);
    let written = || -> Vec<u64> {
        let text = std::fs::read_to_string(&epochs).unwrap_or_default();
        text.lines().map(|line| line.parse().expect("a line is an epoch")).collect()
    };
    let writes = |epoch: u64| eventually("a line of this run", || written().contains(&epoch).then_some(()));
    writes(first);
    stage.executors().iter().for_each(Process::kill);
    let after_host = eventually("another run", || epoch(&roles.client).filter(|epoch| *epoch > first));
    writes(after_host);
    let host = text_of(&roles.client.list("actors")[0]["hostname"]);
    roles.kill_agent(usize::from(host == "agent-2"));
    let after_agent =
        eventually("a run on the other agent", || epoch(&roles.client).filter(|epoch| *epoch > after_host));
    writes(after_agent);
    let written = written();
    assert!(written.is_sorted(), "one has written behind the back of a later one: {written:?}");
}

#[test]
fn what_waits_and_fails_and_the_traffic_of_links_are_shown_live_without_escape_codes_in_a_pipe() {
    let stage = Stage::of_example("counter");
    let cluster = Cluster::of_two_agents(&stage);
    let client = &cluster.client;
    let file = repository().join("examples/deployments/counter.toml").display().to_string();
    client.odeon(["deploy", &file]).end().expect(0);
    let mut watching = client.odeon(["actors", "-w", "--interval", "50ms", "-o", "json"]).start();
    watching.stdout_value("      \"state\": \"running\"");
    watching.stdout_value("        \"per_second\": 0");
    let mut table = client.odeon(["actors", "-w", "--interval", "50ms"]).start();
    assert_eq!(table.stdout_value("ACTOR      STATE    HOST     WAITING  MSGS/S  HANDLING  RESTARTS  LAST ERROR"), "");
    assert!(table.stdout_value("counter/0  running").starts_with("agent-"));
    let too_much = r#"{"Add": {"amount": 18446744073709551615}}"#;
    client.odeon(["actor", "ask", "counter/0", too_much]).end().expect(1);
    watching.stdout_value("        \"last_error\": \"the sum fits into 64 bits\"");
    table.signal(Signal::SIGINT);
    let shown = table.end();
    assert!(!shown.text().contains('\u{1b}'), "{}", shown.text());
    let wide = client.odeon(["actors", "-o", "wide", "--type", "examples.Counter"]).end().expect(0);
    assert!(wide.text().contains("WAITING  HANDLED  HANDLING"), "{}", wide.text());
    let links = client.odeon(["actors", "links", "-o", "json"]).end().expect(0).json();
    let links = links["links"].as_array().expect("a list").clone();
    let told_by = |name: &str| links.iter().filter(|link| text_of(&link["node"]).starts_with(name)).count();
    assert!(told_by("master#") >= 2, "the agents are linked to it: {links:?}");
    assert!(told_by("executor-") >= 2, "each host tells of its own: {links:?}");
    assert!(links.iter().all(|link| link["bytes_in"].as_u64() > Some(0)), "{links:?}");
}
