//! Reservations by the command line, with real processes.

use super::support::{Roles, Stage, eventually, text};

#[test]
fn a_reservation_outlives_agent_and_master_and_keeps_others_waiting_until_it_ends() {
    let stage = Stage::new();
    let mut roles = Roles::start(&stage, 1);
    let agent_id = text(&roles.client.list("agents")[0]["agent_id"]);
    let reserve = ["reserve", &agent_id, "--role", "ads", "--cpus", "3", "--mem", "512", "--label", "by=ops"];
    let said = roles.client.odeon(reserve).end().expect(0);
    assert_eq!(said.text(), format!("reserved cpus:3;mem:512 of {agent_id} for ads\n"));

    roles.restart_agent(0, &[]);
    let roles = roles.restart_master();
    let is_back = || roles.client.list("agents").iter().any(|agent| agent["state"] == "ACTIVE").then_some(());
    eventually("the agent at the new master", is_back);
    let listed = roles.client.odeon(["reservations", "-o", "json"]).end().expect(0).json();
    let listed = &listed["reservations"][0];
    assert_eq!((&listed["role"], &listed["kind"]), (&"ads".into(), &"dynamic".into()), "{listed}");
    assert_eq!((&listed["labels"]["by"], text(&listed["agent_id"])), (&"ops".into(), agent_id.clone()), "{listed}");

    let waiting = roles.client.odeon(["run", "--role", "web", "--cpus", "2", "--", "true"]).start();
    let waits = || (roles.client.list("frameworks").len() == 1).then_some(());
    eventually("a framework that waits", waits);
    roles.client.odeon(["run", "--role", "ads", "--cpus", "2", "--", "true"]).end().expect(0);
    let tasks = roles.client.list("tasks");
    assert!(tasks.iter().all(|task| task["role"] == "ads") && tasks.len() == 1, "{tasks:?}");

    let said = roles.client.odeon(["unreserve", &agent_id, "--role", "ads", "--all"]).end().expect(0);
    assert_eq!(
        said.text(),
        format!("unreserved cpus(dynamic:ads#by=ops):3;mem(dynamic:ads#by=ops):512 of {agent_id}\n")
    );
    waiting.end().expect(0);
    assert_eq!(roles.client.odeon(["reservations", "-q"]).end().expect(0).text(), "");
    roles.interrupt();
}

#[test]
fn what_cannot_be_reserved_is_refused_with_its_reason() {
    let stage = Stage::new();
    let mut roles = Roles::start(&stage, 0);
    roles.add_agent_with(&["--resources", "cpus:3;mem:1024;cpus(ads):1"]);
    let agent_id = text(&roles.client.list("agents")[0]["agent_id"]);
    let _busy = roles.client.odeon(["run", "--cpus", "2", "--", "sleep", "86394"]).start();
    roles.client.wait_for_task("TASK_RUNNING");
    let cases: [(&[&str], &str); 7] = [
        (&["reserve", &agent_id, "--role", "web", "--cpus", "2"], "cpus:2 is not free: there is cpus:1"),
        (&["reserve", &agent_id, "--role", "web"], "no resources are named"),
        (&["reserve", &agent_id, "--role", "*", "--cpus", "1"], "the default role"),
        (&["reserve", "nobody", "--role", "web", "--cpus", "1"], "there is no agent nobody"),
        (&["reserve", &agent_id, "--role", "web", "--from", "ads", "--cpus", "1"], "does not refine"),
        (&["unreserve", &agent_id, "--role", "ads", "--cpus", "1"], "cpus:1 too little that is reserved for role ads"),
        (&["unreserve", &agent_id, "--role", "web", "--all"], "no resources are named"),
    ];
    for (arguments, reason) in cases {
        let refused = roles.client.odeon(arguments).end().expect(2);
        assert!(refused.stderr.contains(reason), "{arguments:?}: {}", refused.stderr);
    }
    let table = roles.client.odeon(["reservations"]).end().expect(0);
    assert!(table.text().contains("ads   static  cpus:1     cpus:1"), "{}", table.text());
    let refine = ["reserve", &agent_id, "--role", "ads/eu", "--from", "ads", "--cpus", "0.5"];
    let said = roles.client.odeon(refine).end().expect(0);
    assert_eq!(said.text(), format!("reserved cpus(ads):0.5 of {agent_id} for ads/eu\n"));
}
