//! Priorities of roles by the command line, with real processes.

use super::support::{Roles, Stage, eventually, text};

#[test]
fn a_role_of_a_higher_priority_takes_back_what_others_hold_above_their_part() {
    let stage = Stage::new();
    let roles = Roles::start_with(&stage, 1, &["--set", "preemption_grace=300ms"]);
    let client = &roles.client;
    let said = client.odeon(["role", "priority", "set", "prod", "10"]).end().expect(0);
    assert_eq!(said.text(), "role prod has priority 10\n");
    let script = "if [ -e \"$MARK\" ]; then exit 0; fi; sleep 86391";
    let mark = stage.here().join("the-others-may-end");
    let variable = format!("MARK={}", mark.display());
    let crowd =
        ["run", "--role", "batch", "--instances", "4", "--cpus", "1", "--env", &variable, "--", "sh", "-c", script];
    let crowd = client.odeon(crowd).start();
    eventually("four tasks that fill the agent", || (stage.commands("sleep 86391").len() == 4).then_some(()));
    client.odeon(["run", "--role", "prod", "--cpus", "1", "--", "true"]).end().expect(0);
    let tasks = client.list("tasks");
    let killed: Vec<_> = tasks.iter().filter(|task| task["state"] == "TASK_KILLED").collect();
    assert_eq!(killed.len(), 1, "{tasks:?}");
    assert_eq!(text(&killed[0]["reason"]), "REASON_CONTAINER_PREEMPTED");
    assert_eq!(text(&killed[0]["role"]), "batch");
    // The batch is whole in the end: what was taken from it runs again.
    std::fs::write(&mark, "").expect("a file");
    stage.commands("sleep 86391").iter().for_each(|sleeper| sleeper.kill());
    crowd.end();
    let listed = client.odeon(["role", "priority", "list", "-o", "json"]).end().expect(0).json();
    assert!(
        listed["priorities"]
            .as_array()
            .is_some_and(|rows| { rows.iter().any(|row| row["role"] == "prod" && row["priority"] == 10) }),
        "{listed}"
    );
    roles.interrupt();
}
