//! Who belongs to the cluster and who is told of it.

use crate::support::{Roles, Stage, text};

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
    let told: Vec<_> = members.iter().map(|member| (text(&member["name"]), text(&member["state"]))).collect();
    assert_eq!(told, [("agent-1".into(), "up".into()), ("agent-2".into(), "up".into())]);
    roles.kill_agent(1);
    roles.kill_agent(0);
    let roles = roles.restart_master();
    let anew = watching.stdout_value("agent  agent-1  disconnected");
    assert!(anew.ends_with("-S0"), "the same member under another master: {anew}");
    roles.interrupt();
}
