//! Quota by the command line, with real processes.

use super::support::{Roles, Stage, eventually};

#[test]
fn a_limit_keeps_tasks_waiting_over_a_restart_of_the_master_until_it_is_raised() {
    let stage = Stage::new();
    let roles = Roles::start(&stage, 1);
    let set = ["role", "quota", "set", "ads", "--guarantee", "cpus=0.5,mem=64", "--limit", "cpus=0.5"];
    let said = roles.client.odeon(set).end().expect(0);
    assert_eq!(said.text(), "the quota of role ads is set\n");
    let shown = roles.client.odeon(["role", "quota", "show", "ads"]).end().expect(0);
    assert!(shown.text().contains("cpus=0.5,mem=64  cpus=0.5"), "{}", shown.text());

    let roles = roles.restart_master();
    let listed = roles.client.odeon(["role", "quota", "show", "-o", "json"]).end().expect(0).json();
    assert_eq!(listed["quotas"][0]["role"], "ads", "{listed}");
    let is_back = || roles.client.list("agents").iter().any(|agent| agent["state"] == "ACTIVE").then_some(());
    eventually("the agent at the new master", is_back);
    let waiting = roles.client.odeon(["run", "--role", "ads", "--cpus", "1", "--", "true"]).start();
    let waits = || (roles.client.list("frameworks").len() == 1).then_some(());
    eventually("a framework that waits", waits);
    roles.client.odeon(["run", "--role", "web", "--cpus", "1", "--", "true"]).end().expect(0);
    let tasks = roles.client.list("tasks");
    assert!(tasks.iter().all(|task| task["role"] == "web") && tasks.len() == 1, "{tasks:?}");
    roles.client.odeon(["role", "quota", "set", "ads", "--limit", "cpus=2"]).end().expect(0);
    waiting.end().expect(0);
    roles.client.odeon(["role", "quota", "remove", "ads"]).end().expect(0);
    roles.interrupt();
}

#[test]
fn quota_that_cannot_be_met_is_refused_with_its_reason_unless_it_is_forced() {
    let stage = Stage::new();
    let roles = Roles::start(&stage, 0);
    let cases: [(&[&str], &str); 5] = [
        (&["set", "ads"], "names nothing"),
        (&["set", "ads", "--guarantee", "cpus"], "NAME=AMOUNT"),
        (&["set", "ads", "--guarantee", "cpus=2", "--limit", "cpus=1"], "above the limit of 1"),
        (&["set", "ads", "--guarantee", "cpus=2"], "the agents have 0"),
        (&["remove", "ads"], "role ads has no quota"),
    ];
    for (arguments, reason) in cases {
        let refused = roles.client.odeon(["role", "quota"].iter().chain(arguments)).end().expect(2);
        assert!(refused.stderr.contains(reason), "{arguments:?}: {}", refused.stderr);
    }
    roles.client.odeon(["role", "quota", "set", "ads", "--guarantee", "cpus=2", "--force"]).end().expect(0);
    roles.interrupt();
}
