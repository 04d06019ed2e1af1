//! Tasks that are watched: health checks and the longest time, on real processes.

use crate::support::{Cluster, Stage};

/// A check that asks at once and often, and gives up soon.
const SOON: [&str; 8] =
    ["--health-delay", "0s", "--health-interval", "20ms", "--health-failures", "2", "--health-grace", "0s"];

fn watched<'a>(check: [&'a str; 2], script: &'a str) -> Vec<&'a str> {
    [&check[..], &SOON, &["--", "sh", "-c", script]].concat()
}

#[test]
fn a_task_that_becomes_unhealthy_is_killed_and_the_reason_is_told() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    // The check runs where the task does. The task is well until it has seen that it was asked.
    let script = "touch well; while ! test -e asked; do sleep 0.01; done; rm well; exec sleep 86398";
    let check = ["--health-cmd", "test -e well && touch asked"];
    let finished = cluster.client.run(&watched(check, script)).expect(128 + 15);
    let told = "is TASK_KILLED (REASON_TASK_HEALTH_CHECK_STATUS_UPDATED): unhealthy, 2 of 2 times: \
                the command of the check exited with status 1";
    assert!(finished.stderr.contains(told), "{}", finished.stderr);
    stage.wait_for_no_command("sleep 86398");
}

#[test]
fn a_task_that_is_well_runs_to_its_own_end() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let script = "while ! test -s asked; do sleep 0.01; done; exit 6";
    cluster.client.run(&watched(["--health-cmd", "echo x >> asked"], script)).expect(6);
}

#[test]
fn a_port_that_nobody_listens_on_is_unhealthy_over_tcp_and_http() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    // Of the service that it was given to, hardly anybody has heard.
    let port = "1";
    for (flag, found) in [("--health-tcp", "the port takes no connection"), ("--health-http", "there was no answer")] {
        let finished = cluster.client.run(&watched([flag, port], "exec sleep 86398")).expect(128 + 15);
        assert!(finished.stderr.contains(found), "{}", finished.stderr);
    }
}

#[test]
fn a_task_that_takes_too_long_is_ended_after_its_grace_and_has_failed() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    // It does not end when it is asked to.
    let script = "trap '' TERM; while :; do sleep 0.05; done";
    let arguments = ["--max-time", "100ms", "--grace", "50ms", "--", "sh", "-c", script];
    let finished = cluster.client.run(&arguments).expect(128 + 9);
    let told = "is TASK_FAILED (REASON_MAX_COMPLETION_TIME_REACHED): \
                the task did not end within its max completion time of 100ms";
    assert!(finished.stderr.contains(told), "{}", finished.stderr);
    // One that obeys and ends well has failed all the same.
    let script = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
    let finished = cluster.client.run(&["--max-time", "100ms", "--", "sh", "-c", script]).expect(1);
    assert!(finished.stderr.contains("REASON_MAX_COMPLETION_TIME_REACHED"), "{}", finished.stderr);
}
