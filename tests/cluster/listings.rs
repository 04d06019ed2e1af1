//! `odeon tasks`, `agents`, `frameworks` and `roles`, in every form.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Cluster, Running, Stage, eventually, text};

/// A cluster with one finished, one failed and one running task, in this order.
fn cluster_at_work(stage: &Stage) -> (Cluster<'_>, Running) {
    let cluster = Cluster::of_two_agents(stage);
    cluster.client.run(&["--name", "good", "--", "true"]).expect(0);
    cluster.client.run(&["--name", "bad", "--", "false"]).expect(1);
    let running = cluster.client.odeon(["run", "--name", "long", "--cpus", "0.5", "--", "sleep", "86380"]).start();
    stage.wait_for_command("sleep 86380");
    eventually("a running task", || cluster.client.task_states().contains(&"TASK_RUNNING".to_owned()).then_some(()));
    (cluster, running)
}

/// The words of each line of a listing.
fn table(cluster: &Cluster<'_>, arguments: &[&str]) -> Vec<Vec<String>> {
    let finished = cluster.client.odeon(arguments).end().expect(0);
    assert_eq!(finished.stderr, "");
    finished.text().lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

fn column(rows: &[Value], key: &str) -> Vec<String> {
    rows.iter().map(|row| text(&row[key])).collect()
}

#[test]
fn tasks_have_the_states_of_mesos_in_every_form() {
    let stage = Stage::new();
    let (cluster, _running) = cluster_at_work(&stage);
    let states = ["TASK_FINISHED", "TASK_FAILED", "TASK_RUNNING"];
    let tasks = cluster.client.list("tasks");
    assert_eq!(column(&tasks, "state"), states);
    let names = column(&tasks, "name");
    assert!(names.iter().zip(["good", "bad", "long"]).all(|(name, given)| name.starts_with(given)), "{names:?}");

    let rows = table(&cluster, &["tasks"]);
    assert_eq!(rows[0], ["TASK", "NAME", "STATE", "AGENT"]);
    let shown: Vec<&str> = rows[1..].iter().map(|row| row[2].as_str()).collect();
    assert_eq!(shown, states);
    let first_of = |rows: &[Vec<String>]| -> Vec<String> { rows.iter().map(|row| row[0].clone()).collect() };
    let ids = column(&tasks, "task_id");
    assert_eq!(first_of(&rows[1..]), ids);

    let wide = table(&cluster, &["tasks", "-o", "wide"]);
    assert!(wide[0].len() > rows[0].len() && wide[0].starts_with(&rows[0]), "{:?}", wide[0]);
    assert_eq!(first_of(&wide[1..]), ids);
    assert_eq!(first_of(&table(&cluster, &["tasks", "-q"])), ids);
    assert_eq!(first_of(&table(&cluster, &["tasks", "-q", "--active"])), ids[2..]);
}

#[test]
fn agents_tell_what_they_have_and_what_is_used() {
    let stage = Stage::new();
    let (cluster, _running) = cluster_at_work(&stage);
    let agents = cluster.client.list("agents");
    assert_eq!(column(&agents, "state"), ["ACTIVE", "ACTIVE"]);
    let names: BTreeSet<String> = column(&agents, "hostname").into_iter().collect();
    assert_eq!(names, BTreeSet::from(["agent-1".to_owned(), "agent-2".to_owned()]));
    let active: u64 = agents.iter().filter_map(|agent| agent["active_tasks"].as_u64()).sum();
    assert_eq!(active, 1);

    let rows = table(&cluster, &["agents"]);
    assert_eq!(rows[0], ["AGENT", "HOST", "STATE", "TASKS", "USED", "TOTAL"]);
    assert!(rows[1..].iter().all(|row| row.iter().any(|word| word.contains("cpus:4"))), "{rows:?}");
    assert_eq!(rows[1..].iter().filter(|row| row.iter().any(|word| word.contains("cpus:0.5"))).count(), 1);
    let ids: Vec<Vec<String>> = column(&agents, "agent_id").into_iter().map(|id| vec![id]).collect();
    assert_eq!(table(&cluster, &["agents", "-q"]), ids);
}

#[test]
fn frameworks_that_ended_are_still_listed() {
    let stage = Stage::new();
    let (cluster, _running) = cluster_at_work(&stage);
    let mut states = column(&cluster.client.list("frameworks"), "state");
    states.sort();
    assert_eq!(states, ["ACTIVE", "COMPLETED", "COMPLETED"]);
    let rows = table(&cluster, &["frameworks"]);
    assert_eq!(rows[0], ["FRAMEWORK", "NAME", "STATE", "ROLES", "TASKS", "USED"]);
    assert_eq!(table(&cluster, &["frameworks", "-q"]).len(), 3);
}

#[test]
fn a_role_shows_its_share_while_it_uses_something() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let arguments = ["run", "--role", "analytics", "--cpus", "2", "--mem", "32MiB", "--", "sleep", "86381"];
    let _running = cluster.client.odeon(arguments).start();
    stage.wait_for_command("sleep 86381");
    let roles = cluster.client.list("roles");
    let role = roles.iter().find(|role| role["role"] == "analytics").expect("the role is listed");
    // Two of eight processors, and what is offered at this moment.
    assert!(role["share"].as_f64().expect("a number") >= 0.25, "{role}");
    assert!(table(&cluster, &["roles", "-q"]).contains(&vec!["analytics".to_owned()]));
}

#[test]
fn listings_of_an_idle_cluster_are_empty_and_no_failure() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    assert_eq!(cluster.client.list("tasks"), Vec::<Value>::new());
    assert_eq!(table(&cluster, &["tasks"]), [["TASK", "NAME", "STATE", "AGENT"]]);
    assert_eq!(table(&cluster, &["tasks", "-q"]), Vec::<Vec<String>>::new());
}

#[test]
fn the_configuration_in_force_tells_where_each_value_came_from() {
    let stage = Stage::new();
    stage.write("agent.toml", "version = 1\n\nattributes = \"rack:a\"\n");
    let arguments = ["config", "show", "agent", "--config", "agent.toml", "--set", "port=7", "--origin", "-o", "json"];
    let shown = stage.odeon(arguments).env("ODEON_AGENT__WORK_DIR", "/w").end().expect(0).json();
    let origin = |key: &str| {
        let entries = shown["config"].as_array().expect("a list");
        let entry = entries.iter().find(|entry| entry["key"] == key).expect("every key is listed");
        text(&entry["origin"])
    };
    assert!(origin("attributes").contains("agent.toml:3"), "{}", origin("attributes"));
    assert!(origin("work_dir").contains("ODEON_AGENT__WORK_DIR"), "{}", origin("work_dir"));
    assert_eq!((origin("port"), origin("bind")), ("flag".to_owned(), "default".to_owned()));
}
