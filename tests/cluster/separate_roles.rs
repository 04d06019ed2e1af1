//! Master and agents as processes of their own, started by hand with the files of `config/`.

use nix::sys::signal::Signal;

use crate::support::{Cluster, Roles, Stage, Trained, eventually, example_job};

#[test]
fn separate_roles_do_what_an_all_in_one_cluster_does() {
    let stage = Stage::new();
    let roles = Roles::start(&stage, 2);
    let finished = roles.client.run_script("echo out; echo err >&2; exit 7").expect(7);
    assert_eq!((finished.text(), finished.stderr.as_str()), ("out\n", "err\n"));
    let arguments = ["--instances", "20", "--cpus", "0.5", "--", "true"];
    roles.client.run(&arguments).expect(0);
    let training = roles.client.odeon(["train", &example_job("iris"), "-o", "json"]).end();
    assert_eq!(Trained::of(training).states(), ["TASK_FINISHED", "TASK_FINISHED"]);
    assert_eq!(roles.client.task_states().len(), 1 + 20 + 2);
    roles.interrupt();
    stage.assert_nothing_left();
}

#[test]
fn an_agent_that_is_interrupted_ends_its_tasks_first() {
    let stage = Stage::new();
    let mut roles = Roles::start(&stage, 1);
    let client = roles.client.odeon(["run", "--", "sleep", "86370"]).start();
    stage.wait_for_command("sleep 86370");
    let agent = roles.agents.remove(0);
    agent.signal(Signal::SIGTERM);
    agent.end().expect(0);
    assert_eq!(stage.commands("sleep 86370"), Vec::new());
    assert_eq!(stage.executors(), Vec::new());
    assert_ne!(client.end().code, 0);
}

#[test]
fn a_command_waits_for_the_agent_that_has_room_for_it() {
    let stage = Stage::new();
    let cluster = Cluster::start(&stage, &["--agents", "1", "--cpus", "1", "--mem", "1GiB"]);
    let first = cluster.client.odeon(["run", "--cpus", "1", "--", "sleep", "86371"]).start();
    stage.wait_for_command("sleep 86371");
    let second = cluster.client.odeon(["run", "--cpus", "1", "--", "echo", "second"]).start();
    eventually("a second framework", || (cluster.client.list("frameworks").len() == 2).then_some(()));
    assert_eq!(cluster.client.list("tasks").len(), 1);
    first.signal(Signal::SIGINT);
    first.end().expect(130);
    assert_eq!(second.end().expect(0).text(), "second\n");
}
