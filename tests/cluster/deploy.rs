//! Actors deployed on a cluster: reached by name, restarted where they are, placed anew, kept over their masters.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Client, Cluster, Roles, Stage, eventually, repository, text};

/// `examples/counter.rs`, which is the whole command line and knows one actor type more.
fn counter_stage() -> Stage {
    Stage::of_example("counter")
}

fn counter_file() -> String {
    repository().join("examples/deployments/counter.toml").display().to_string()
}

/// The deployment with other arguments, whose updates are watched for a moment only.
fn version(stage: &Stage, arguments: &str) -> String {
    let update = "[update]\nhealthy_after = \"200ms\"\nprogress_within = \"1m\"";
    let known = std::fs::read_to_string(counter_file()).expect("the file of the example");
    let text = format!("{}\n{update}\n", known.replace("start = 10", arguments));
    stage.write("version.toml", &text).to_str().expect("a path of text").to_owned()
}

fn deploy(client: &Client<'_>) {
    let deployed = client.odeon(["deploy", &counter_file()]).end().expect(0);
    assert_eq!(deployed.text(), "counter deployed, 3 actors\ncounter runs\n");
}

/// The reply of an actor to a message.
fn ask(client: &Client<'_>, actor: &str, message: &str) -> Value {
    client.odeon(["actor", "ask", actor, message]).end().expect(0).json()
}

fn actor(client: &Client<'_>, name: &str) -> Value {
    let actors = client.list("actors");
    actors.into_iter().find(|actor| actor["name"] == name).unwrap_or_else(|| panic!("no actor {name}"))
}

/// The hosts of the actors that run, in the order of their names.
fn running_on(client: &Client<'_>) -> Vec<String> {
    let actors = client.list("actors");
    actors.iter().filter(|actor| actor["state"] == "running").map(|actor| text(&actor["hostname"])).collect()
}

#[test]
fn deployed_actors_spread_over_the_agents_and_answer_by_name() {
    let stage = counter_stage();
    let cluster = Cluster::of_two_agents(&stage);
    let client = &cluster.client;
    deploy(client);
    let mut hosts = running_on(client);
    hosts.sort();
    hosts.dedup();
    assert_eq!(hosts, ["agent-1", "agent-2"]);
    assert_eq!(ask(client, "counter/0", r#"{"Add": {"amount": 2}}"#), 12);
    client.odeon(["actor", "tell", "counter/0", r#"{"counter.v1.Add": {"amount": 5}}"#]).end().expect(0);
    assert_eq!(ask(client, "counter/0", r#""Get""#), 17);
    assert_eq!(ask(client, "counter/1", r#""Get""#), 10, "another one has its own value");
    let described = client.odeon(["actors", "describe", "counter/2", "-o", "json"]).end().expect(0).json();
    assert_eq!(described["actor"]["messages"], serde_json::json!(["counter.v1.Add", "counter.v1.Get"]));
    let tree = client.odeon(["actors", "tree"]).end().expect(0);
    assert!(tree.text().starts_with("counter  examples.Counter\n  counter/0  running on agent-"), "{}", tree.text());
    cluster.interrupt().expect(0);
    stage.assert_nothing_left();
}

#[test]
fn a_deployment_is_made_once_scaled_and_removed() {
    let stage = counter_stage();
    let cluster = Cluster::of_two_agents(&stage);
    let client = &cluster.client;
    deploy(client);
    let again = client.odeon(["deploy", &counter_file()]).end().expect(0);
    assert!(again.text().starts_with("counter unchanged, 3 actors\n"), "{}", again.text());
    let other = stage.write("other.toml", "name = \"counter\"\nactor = \"examples.Counter\"\n[args]\nstart = 1");
    let refused = client.odeon(["deploy", other.to_str().expect("a path of text")]).end().expect(2);
    assert!(refused.stderr.contains("another deployment counter, and it differs"), "{}", refused.stderr);
    client.odeon(["deployment", "scale", "counter", "1"]).end().expect(0);
    eventually("one actor", || (client.list("actors").len() == 1).then_some(()));
    let many = client.odeon(["deployment", "scale", "counter", "200", "--wait", "100ms"]).end().expect(5);
    assert!(many.stderr.contains("they stay deployed"), "{}", many.stderr);
    client.odeon(["deployment", "remove", "counter"]).end().expect(0);
    eventually("no deployment", || client.list("deployments").is_empty().then_some(()));
    eventually("no executor", || stage.executors().is_empty().then_some(()));
    let frameworks = client.list("frameworks");
    assert!(frameworks.iter().all(|framework| framework["state"] == "COMPLETED"), "{frameworks:?}");
    let gone = client.odeon(["deployment", "scale", "counter", "1"]).end().expect(2);
    assert!(gone.stderr.contains("there is no deployment counter"), "{}", gone.stderr);
}

#[test]
fn an_update_replaces_the_actors_behind_their_names() {
    let stage = counter_stage();
    let cluster = Cluster::of_two_agents(&stage);
    let client = &cluster.client;
    deploy(client);
    let file = version(&stage, "start = 20");
    let planned = client.odeon(["deployment", "plan", &file, "-o", "json"]).end().expect(0).json();
    let keys: Vec<String> =
        planned["changes"].as_array().expect("a list").iter().map(|one| text(&one["key"])).collect();
    assert_eq!(keys, ["args", "update.healthy_after", "update.progress_within"]);
    assert_eq!(ask(client, "counter/0", r#""Get""#), 10, "nothing was done");
    let updated = client.odeon(["deployment", "update", &file]).end().expect(0);
    assert_eq!(updated.text(), "counter is being updated, 3 actors\ncounter runs\n");
    for name in ["counter/0", "counter/1", "counter/2"] {
        assert_eq!(ask(client, name, r#""Get""#), 20);
    }
    client.odeon(["deployment", "rollback", "counter"]).end().expect(0);
    assert_eq!(ask(client, "counter/1", r#""Get""#), 10);
    client.odeon(["deployment", "rollback", "counter"]).end().expect(2);
}

#[test]
fn an_update_whose_actors_cannot_be_built_is_taken_back_with_the_reason() {
    let stage = counter_stage();
    let cluster = Cluster::of_two_agents(&stage);
    let client = &cluster.client;
    deploy(client);
    let tasks: Vec<Value> = client.list("actors").iter().map(|actor| actor["task_id"].clone()).collect();
    let failed = client.odeon(["deployment", "update", &version(&stage, "begin = 20")]).end().expect(1);
    assert!(failed.stderr.contains("the update of counter was taken back: counter/0 has failed"), "{}", failed.stderr);
    assert!(failed.stderr.contains("missing field `start`"), "the argument at fault is named: {}", failed.stderr);
    for name in ["counter/0", "counter/1", "counter/2"] {
        assert_eq!(ask(client, name, r#""Get""#), 10);
    }
    let after: Vec<Value> = client.list("actors").iter().map(|actor| actor["task_id"].clone()).collect();
    assert_eq!(after[1..], tasks[1..], "only the first one was touched");
}

#[test]
fn what_is_wrong_with_a_message_is_told_and_the_actor_lives() {
    let stage = counter_stage();
    let cluster = Cluster::of_two_agents(&stage);
    let client = &cluster.client;
    deploy(client);
    for (name, message, told) in [
        ("counter/0", r#"{"Add": {"amount": 1, "colour": 2}}"#, "counter.v1.Add: there is no field colour"),
        ("counter/0", r#"{"Sub": {}}"#, "it takes counter.v1.Add, counter.v1.Get"),
        ("counter/0", "{", "EOF"),
        ("counter/9", r#""Get""#, "there is no actor counter/9"),
        ("counter/00", r#""Get""#, "there is no actor counter/00"),
    ] {
        let refused = client.odeon(["actor", "ask", name, message]).end().expect(2);
        assert!(refused.stderr.contains(told), "{name} {message}: {}", refused.stderr);
    }
    assert_eq!(ask(client, "counter/0", r#""Get""#), 10);
}

#[test]
fn an_actor_that_panics_is_started_again_in_place_and_in_the_end_given_up() {
    let stage = counter_stage();
    let cluster = Cluster::of_two_agents(&stage);
    let client = &cluster.client;
    let file = "name = \"counter\"\nactor = \"examples.Counter\"\n[args]\nstart = 10\n[restart]\nmax = 1";
    let file = stage.write("counter.toml", file);
    client.odeon(["deploy", file.to_str().expect("a path of text")]).end().expect(0);
    let overflow = format!(r#"{{"Add": {{"amount": {}}}}}"#, u64::MAX);
    let task = text(&actor(client, "counter/0")["task_id"]);
    let failed = client.odeon(["actor", "ask", "counter/0", &overflow]).end().expect(1);
    assert!(failed.stderr.contains("the actor stopped before it replied"), "{}", failed.stderr);
    assert_eq!(ask(client, "counter/0", r#""Get""#), 10, "it begins again");
    let restarted = actor(client, "counter/0");
    assert_eq!((&restarted["restarts"], &restarted["task_id"]), (&1.into(), &task.into()), "the same task hosts it");
    client.odeon(["actor", "ask", "counter/0", &overflow]).end().expect(1);
    eventually("an actor that is given up", || (actor(client, "counter/0")["state"] == "given_up").then_some(()));
    let refused = client.odeon(["actor", "ask", "counter/0", r#""Get""#]).end().expect(2);
    assert!(refused.stderr.contains("given up: panics too often: the sum fits"), "{}", refused.stderr);
    client.odeon(["actors", "start", "counter/0"]).end().expect(0);
    assert_eq!(ask(client, "counter/0", r#""Get""#), 10);
}

#[test]
fn an_actor_is_stopped_until_it_is_started() {
    let stage = counter_stage();
    let cluster = Cluster::of_two_agents(&stage);
    let client = &cluster.client;
    deploy(client);
    client.odeon(["actors", "stop", "counter/1"]).end().expect(0);
    eventually("a stopped actor", || (actor(client, "counter/1")["state"] == "stopped").then_some(()));
    let refused = client.odeon(["actor", "ask", "counter/1", r#""Get""#]).end().expect(2);
    assert!(refused.stderr.contains("the actor counter/1 is stopped"), "{}", refused.stderr);
    client.odeon(["actors", "start", "counter/1"]).end().expect(0);
    assert_eq!(ask(client, "counter/1", r#""Get""#), 10);
}

#[test]
fn actors_whose_host_is_killed_come_back_behind_their_names() {
    let stage = counter_stage();
    let cluster = Cluster::of_two_agents(&stage);
    let client = &cluster.client;
    deploy(client);
    for executor in stage.executors() {
        executor.kill();
    }
    for name in ["counter/0", "counter/1", "counter/2"] {
        // The first one may still be looked for where it was.
        let value = eventually(&format!("an answer of {name}"), || {
            let asked = client.odeon(["actor", "ask", name, r#""Get""#]).end();
            (asked.code == 0).then(|| asked.json())
        });
        assert_eq!(value, 10);
        assert_eq!(actor(client, name)["restarts"], 1);
    }
}

#[test]
fn actors_are_reached_at_the_host_that_their_agent_advertises() {
    let stage = counter_stage();
    let mut roles = Roles::start(&stage, 0);
    roles.add_agent_with(&["--set", "advertise=localhost:5051"]);
    deploy(&roles.client);
    let endpoint = text(&actor(&roles.client, "counter/0")["location"]["endpoint"]);
    assert!(endpoint.starts_with("localhost:") && endpoint != "localhost:5051", "{endpoint}");
    assert_eq!(ask(&roles.client, "counter/0", r#""Get""#), 10);
    roles.interrupt();
    stage.wait_for_no_process();
}

#[test]
fn actors_of_an_agent_that_is_killed_come_back_on_another_one() {
    let stage = counter_stage();
    let mut roles = Roles::start(&stage, 2);
    deploy(&roles.client);
    roles.kill_agent(0);
    let client = &roles.client;
    eventually("three actors on the agent that is left", || {
        (running_on(client) == ["agent-2", "agent-2", "agent-2"]).then_some(())
    });
    for name in ["counter/0", "counter/1", "counter/2"] {
        assert_eq!(ask(client, name, r#""Get""#), 10);
    }
    roles.interrupt();
    stage.wait_for_no_process();
}

#[test]
fn actors_go_only_where_resources_attributes_and_the_most_for_an_agent_allow() {
    let stage = counter_stage();
    let mut roles = Roles::start(&stage, 1);
    roles.add_agent_with(&["--set", "attributes=rack:a"]);
    let client = &roles.client;
    let deploy = |name: &str, rest: &str, code: i32| {
        let text = format!("name = \"{name}\"\nactor = \"examples.Counter\"\ninstances = 2\n[args]\nstart = 1\n{rest}");
        let file = stage.write(&format!("{name}.toml"), text);
        client.odeon(["deploy", file.to_str().expect("a path of text"), "--wait", "3s"]).end().expect(code)
    };
    deploy("there", "[placement]\nattributes = { rack = \"a\" }", 0);
    assert_eq!(running_on(client), ["agent-2", "agent-2"]);
    let none = deploy("nowhere", "[placement]\nattributes = { rack = \"z\" }", 5);
    assert!(none.stderr.contains("nowhere/0: waiting"), "{}", none.stderr);
    let one = deploy("alone", "[placement]\nattributes = { rack = \"a\" }\nper_agent_max = 1", 5);
    assert!(one.stderr.contains("alone/1: waiting") && !one.stderr.contains("alone/0"), "{}", one.stderr);
    let large = deploy("large", "[resources]\ncpus = 3", 0);
    assert_eq!(large.text(), "large deployed, 2 actors\nlarge runs\n");
    let hosts: Vec<String> = client
        .list("actors")
        .iter()
        .filter(|actor| text(&actor["name"]).starts_with("large/"))
        .map(|actor| text(&actor["hostname"]))
        .collect();
    assert!(hosts.contains(&"agent-1".to_owned()) && hosts.contains(&"agent-2".to_owned()), "{hosts:?}");
    deploy("larger", "[resources]\ncpus = 3", 5);
    roles.interrupt();
    stage.wait_for_no_process();
}

#[test]
fn actors_live_through_the_death_of_the_master_with_all_that_they_know() {
    let stage = counter_stage();
    let roles = Roles::start(&stage, 2);
    deploy(&roles.client);
    assert_eq!(ask(&roles.client, "counter/0", r#"{"Add": {"amount": 7}}"#), 17);
    let before: Vec<Value> = roles.client.list("actors").iter().map(|actor| actor["location"].clone()).collect();
    let roles = roles.restart_master();
    let client = &roles.client;
    eventually("three actors that are known again", || (running_on(client).len() == 3).then_some(()));
    let after: Vec<Value> = client.list("actors").iter().map(|actor| actor["location"].clone()).collect();
    assert_eq!(after, before, "none was moved");
    assert_eq!(ask(client, "counter/0", r#""Get""#), 17);
    client.odeon(["deployment", "scale", "counter", "4"]).end().expect(0);
    client.odeon(["deployment", "remove", "counter"]).end().expect(0);
    eventually("no executor", || stage.executors().is_empty().then_some(()));
    roles.interrupt();
    stage.assert_nothing_left();
}

#[test]
fn what_a_binary_does_not_know_is_given_up_with_the_reason() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let unknown = cluster.client.odeon(["deploy", &counter_file()]).end().expect(1);
    assert!(unknown.stderr.contains("examples.Counter"), "{}", unknown.stderr);
    assert_eq!(cluster.client.list("deployments").len(), 1, "it stays, to be looked at");
    let wrong = stage.write("wrong.toml", "name = \"a\"\nactor = \"b\"\ninstances = -1");
    let refused = cluster.client.odeon(["deploy", wrong.to_str().expect("a path of text")]).end().expect(2);
    assert!(refused.stderr.contains("wrong.toml:3"), "{}", refused.stderr);
    cluster.running.signal(Signal::SIGINT);
    cluster.running.end().expect(0);
    stage.assert_nothing_left();
}
