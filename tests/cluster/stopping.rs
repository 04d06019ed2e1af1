//! Orderly ends: a task is killed, a client is interrupted, a cluster is stopped.

use nix::sys::signal::Signal;

use crate::support::{Cluster, Running, Stage};

/// `odeon run` of a command that would run for a day, once it runs.
fn run_for_long(cluster: &Cluster<'_>, stage: &Stage, command: &[&str]) -> Running {
    let running = cluster.client.odeon(["run", "--"].iter().chain(command)).start();
    stage.wait_for_command(&command.join(" "));
    running
}

#[test]
fn a_task_that_is_killed_ends_its_command_and_its_client() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let running = run_for_long(&cluster, &stage, &["sleep", "86400"]);
    let task_id = cluster.client.wait_for_task("TASK_RUNNING");
    cluster.client.odeon(["task", "kill", &task_id]).end().expect(0);
    let finished = running.end();
    assert_ne!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stderr.contains("TASK_KILLED"), "{}", finished.stderr);
    assert_eq!(cluster.client.wait_for_task("TASK_KILLED"), task_id);
    stage.wait_for_no_command("sleep 86400");
}

#[test]
fn a_task_that_does_not_want_to_end_is_killed_after_its_grace() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let script = "trap '' TERM; while :; do sleep 86399; done";
    let running = cluster.client.odeon(["run", "--", "sh", "-c", script]).start();
    stage.wait_for_command("sleep 86399");
    let task_id = cluster.client.wait_for_task("TASK_RUNNING");
    cluster.client.odeon(["task", "kill", &task_id]).end().expect(0);
    running.end();
    cluster.client.wait_for_task("TASK_KILLED");
    stage.wait_for_no_command("sleep 86399");
}

#[test]
fn ctrl_c_ends_the_task_and_the_client_with_130() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let running = run_for_long(&cluster, &stage, &["sleep", "86398"]);
    cluster.client.wait_for_task("TASK_RUNNING");
    running.signal(Signal::SIGINT);
    let finished = running.end().expect(130);
    assert_eq!(finished.text(), "");
    cluster.client.wait_for_task("TASK_KILLED");
    stage.wait_for_no_command("sleep 86398");
    cluster.interrupt().expect(0);
    stage.assert_nothing_left();
}

#[test]
fn ctrl_c_ends_all_instances_those_that_wait_included() {
    let stage = Stage::new();
    let cluster = Cluster::start(&stage, &["--agents", "1", "--cpus", "1", "--mem", "1GiB"]);
    let arguments = ["run", "--instances", "5", "--cpus", "0.5", "--", "sleep", "86395"];
    let running = cluster.client.odeon(arguments).start();
    stage.wait_for_command("sleep 86395");
    running.signal(Signal::SIGINT);
    running.end().expect(130);
    stage.wait_for_no_command("sleep 86395");
    let states = cluster.client.task_states();
    assert!(states.iter().all(|state| state == "TASK_KILLED"), "{states:?}");
}

/// Stops a cluster under way by a signal and requires that nothing is left at the moment of its end.
fn assert_stops_in_order(signal: Signal, seconds: &str) {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let client = run_for_long(&cluster, &stage, &["sleep", seconds]);
    cluster.running.signal(signal);
    cluster.running.end().expect(0);
    assert_ne!(client.end().code, 0);
    stage.assert_nothing_left();
}

#[test]
fn ctrl_c_stops_a_cluster_with_all_that_it_runs() {
    assert_stops_in_order(Signal::SIGINT, "86390");
}

#[test]
fn sigterm_stops_a_cluster_as_ctrl_c_does() {
    assert_stops_in_order(Signal::SIGTERM, "86391");
}

#[test]
fn a_cluster_without_work_stops_and_leaves_nothing() {
    let stage = Stage::new();
    let cluster = Cluster::start(&stage, &[]);
    cluster.interrupt().expect(0);
    stage.assert_nothing_left();
    assert_eq!(stage.files_here(), Vec::<String>::new());
}
