//! What operators do to a running cluster, by the command line, with real processes.

use serde_json::Value;

use super::support::{Client, Cluster, Roles, Stage, eventually, text};

/// The state of an agent, as the list has it.
fn state_of(client: &Client, agent_id: &str) -> String {
    let agents = client.list("agents");
    let agent = agents.iter().find(|agent| agent["agent_id"] == agent_id);
    agent.map_or_else(|| "not listed".to_owned(), |agent| text(&agent["state"]))
}

fn wait_for_state(client: &Client, agent_id: &str, state: &str) {
    eventually(&format!("{agent_id} in {state}"), || (state_of(client, agent_id) == state).then_some(()));
}

#[test]
fn a_drain_ends_the_tasks_survives_a_restart_of_the_master_and_ends_with_a_reactivation() {
    let stage = Stage::new();
    let roles = Roles::start(&stage, 1);
    let agent_id = text(&roles.client.list("agents")[0]["agent_id"]);
    let running = roles.client.odeon(["run", "--", "sleep", "86391"]).start();
    let task_id = roles.client.wait_for_task("TASK_RUNNING");

    let drain = ["agent", "drain", &agent_id, "--reason", "new disk", "--grace", "1s"];
    let said = roles.client.odeon(drain).end().expect(0);
    assert_eq!(said.text(), format!("draining {agent_id}\n"));
    assert_ne!(running.end().code, 0, "the task was killed");
    wait_for_state(&roles.client, &agent_id, "DRAINED");
    let shown = roles.client.odeon(["agent", "show", &agent_id, "-o", "json"]).end().expect(0).json();
    assert_eq!(shown["agent"]["drain"]["reason"], "new disk");
    let told = roles.client.odeon(["task", "show", &task_id, "-o", "json"]).end().expect(0).json();
    assert_eq!(told["task"]["state"], "TASK_KILLED");

    let roles = roles.restart_master();
    wait_for_state(&roles.client, &agent_id, "DRAINED");
    roles.client.odeon(["agent", "reactivate", &agent_id]).end().expect(0);
    assert_eq!(state_of(&roles.client, &agent_id), "ACTIVE");
    roles.client.run_script("exit 0").expect(0);
    roles.interrupt();
}

#[test]
fn a_framework_is_explained_and_ended_by_an_operator() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let client = &cluster.client;
    client.odeon(["agent", "deactivate", &text(&client.list("agents")[0]["agent_id"])]).end().expect(0);
    let _busy = client.odeon(["run", "--cpus", "4", "--", "sleep", "86392"]).start();
    client.wait_for_task("TASK_RUNNING");
    let waiting = client.odeon(["run", "--cpus", "4", "--", "sleep", "86393"]).start();
    let framework_id = eventually("a framework that waits", || {
        let frameworks = client.list("frameworks");
        let idle = |listed: &&Value| listed["state"] == "ACTIVE" && listed["active_tasks"] == 0;
        frameworks.iter().find(idle).map(|listed| text(&listed["framework_id"]))
    });
    let told = client.odeon(["framework", "explain", &framework_id]).end().expect(0);
    let told = told.text();
    assert_eq!(told.matches("an operator has deactivated it").count(), 1, "{told}");
    client.odeon(["framework", "teardown", &framework_id]).end().expect(0);
    assert_ne!(waiting.end().code, 0);
    let again = client.odeon(["framework", "teardown", &framework_id]).end().expect(2);
    assert!(again.stderr.contains("has ended already"), "{}", again.stderr);
}

#[test]
fn a_weight_is_listed_and_kept_over_a_restart_of_the_master() {
    let stage = Stage::new();
    let roles = Roles::start(&stage, 0);
    roles.client.odeon(["role", "weight", "set", "eng", "2.5"]).end().expect(0);
    let refused = roles.client.odeon(["role", "weight", "set", "eng", "0"]).end().expect(2);
    assert!(refused.stderr.contains("a weight is above 0"), "{}", refused.stderr);
    let roles = roles.restart_master();
    let listing = roles.client.odeon(["role", "weight", "list", "-o", "json"]).end().expect(0).json();
    let weights = listing["weights"].as_array().expect("a list");
    assert!(weights.iter().any(|listed| listed["role"] == "eng" && listed["weight"] == 2.5), "{listing}");
    roles.interrupt();
}

#[test]
fn what_is_not_there_is_named_and_ends_with_the_code_for_usage() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let commands = [
        ["agent", "drain", "nobody"],
        ["agent", "gone", "nobody"],
        ["agent", "show", "nobody"],
        ["task", "explain", "nobody"],
        ["task", "show", "nobody"],
        ["framework", "explain", "nobody"],
    ];
    for command in commands {
        let refused = cluster.client.odeon(command).end().expect(2);
        assert!(refused.stderr.contains("there is no") && refused.stderr.contains("nobody"), "{}", refused.stderr);
    }
}

#[test]
fn a_damaged_registry_is_refused_with_its_path_and_stays_as_it_was() {
    let stage = Stage::new();
    std::fs::create_dir(stage.here().join("m")).expect("a stage can be written to");
    let path = stage.write("m/registry.redb", "no registry at all");
    let work_dir = format!("work_dir={}", stage.here().join("m").display());
    let refused = stage.odeon(["master", "--port", "0", "--set", &work_dir]).end().expect(2);
    assert!(refused.stderr.contains("registry.redb is damaged"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(path).expect("it is still there"), "no registry at all");
}
