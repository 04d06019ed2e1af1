//! `kill -9` to each kind of process: what is reported, what goes on, and that nothing survives.

use nix::sys::signal::Signal;

use crate::support::{
    Client, Cluster, Process, Roles, Running, Stage, Trained, eventually, slow_job, slow_job_model, text,
};

/// Starts the slow job on a cluster, and returns once its first rounds are done.
fn start_training(client: &Client<'_>, stage: &Stage) -> Running {
    let mut training = client.odeon(["train", &slow_job(stage), "-o", "json"]).start();
    training.wait_for_stderr("round");
    training
}

/// Requires the model, that a worker was lost on the way, and that all others ended well.
fn assert_survived(training: Running, model: &str) {
    let trained = Trained::of(training.end());
    let states = trained.states();
    let finished = states.iter().filter(|state| *state == "TASK_FINISHED").count();
    assert!(finished >= 1 && finished < states.len(), "the fault came too late, or nobody replaced it: {states:?}");
    assert_eq!(trained.digest(), model);
}

#[test]
fn a_task_whose_agent_is_killed_is_lost_and_its_processes_end() {
    let stage = Stage::new();
    let mut roles = Roles::start(&stage, 1);
    let client = roles.client.odeon(["run", "--", "sleep", "86360"]).start();
    stage.wait_for_command("sleep 86360");
    roles.client.wait_for_task("TASK_RUNNING");
    roles.kill_agent(0);
    let finished = client.end();
    assert_ne!(finished.code, 0);
    assert!(finished.stderr.contains("TASK_LOST"), "{}", finished.stderr);
    let state = text(&roles.client.list("tasks")[0]["state"]);
    assert!(["TASK_LOST", "TASK_UNREACHABLE"].contains(&state.as_str()), "{state}");
    stage.wait_for_no_command("sleep 86360");
    eventually("the end of its executor", || stage.executors().is_empty().then_some(()));
}

#[test]
fn after_the_loss_of_an_agent_the_others_serve_on() {
    let stage = Stage::new();
    let mut roles = Roles::start(&stage, 2);
    roles.kill_agent(0);
    let finished = roles.client.run(&["--instances", "4", "--", "echo", "alive"]).expect(0);
    assert_eq!(finished.text(), "alive\n".repeat(4));
    let states: Vec<String> = roles.client.list("agents").iter().map(|agent| text(&agent["state"])).collect();
    assert!(states.contains(&"ACTIVE".to_owned()) && states.iter().any(|state| state != "ACTIVE"), "{states:?}");
}

#[test]
fn a_retried_command_whose_agent_is_killed_runs_again_elsewhere() {
    let stage = Stage::new();
    let mut roles = Roles::start(&stage, 1);
    let marker = stage.here().join("may-end");
    let script = format!("until test -e {}; do sleep 0.05; done; echo done", marker.display());
    let client = roles.client.odeon(["run", "--retries", "3", "--", "sh", "-c", &script]).start();
    roles.client.wait_for_task("TASK_RUNNING");
    roles.add_agent();
    roles.kill_agent(0);
    eventually("a second attempt", || (roles.client.list("tasks").len() == 2).then_some(()));
    stage.write("may-end", "");
    assert_eq!(client.end().expect(0).text(), "done\n");
    let states = roles.client.task_states();
    assert_eq!(states, ["TASK_LOST", "TASK_FINISHED"]);
}

#[test]
fn training_survives_the_kill_of_an_agent_with_the_same_model() {
    let stage = Stage::new();
    let model = slow_job_model();
    let mut roles = Roles::start(&stage, 2);
    let training = start_training(&roles.client, &stage);
    roles.kill_agent(0);
    assert_survived(training, model);
}

#[test]
fn training_survives_the_kill_of_an_executor_with_the_same_model() {
    let stage = Stage::new();
    let model = slow_job_model();
    let cluster = Cluster::of_two_agents(&stage);
    let training = start_training(&cluster.client, &stage);
    stage.executors().first().expect("executors compute").kill();
    assert_survived(training, model);
}

#[test]
fn training_survives_the_kill_of_all_executors_at_once() {
    let stage = Stage::new();
    let model = slow_job_model();
    let cluster = Cluster::of_two_agents(&stage);
    let training = start_training(&cluster.client, &stage);
    stage.executors().iter().for_each(Process::kill);
    assert_survived(training, model);
}

#[test]
fn training_survives_the_kill_of_an_executor_that_has_just_started() {
    let stage = Stage::new();
    let model = slow_job_model();
    let cluster = Cluster::of_two_agents(&stage);
    let training = cluster.client.odeon(["train", &slow_job(&stage), "-o", "json"]).start();
    eventually("an executor", || stage.executors().pop()).kill();
    assert_survived(training, model);
}

#[test]
fn a_task_whose_executor_is_killed_fails_and_its_command_ends() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let client = cluster.client.odeon(["run", "--", "sleep", "86361"]).start();
    stage.wait_for_command("sleep 86361");
    cluster.client.wait_for_task("TASK_RUNNING");
    stage.executors().iter().for_each(Process::kill);
    let finished = client.end();
    assert!(finished.code != 0 && finished.stderr.contains("TASK_"), "{finished:?}");
    stage.wait_for_no_command("sleep 86361");
    let state = text(&cluster.client.list("tasks")[0]["state"]);
    assert!(["TASK_FAILED", "TASK_LOST"].contains(&state.as_str()), "{state}");
    cluster.interrupt().expect(0);
    stage.assert_nothing_left();
}

#[test]
fn the_tasks_of_a_killed_client_end() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let client = cluster.client.odeon(["run", "--", "sleep", "86362"]).start();
    stage.wait_for_command("sleep 86362");
    cluster.client.wait_for_task("TASK_RUNNING");
    client.kill();
    stage.wait_for_no_command("sleep 86362");
    cluster.client.wait_for_task("TASK_KILLED");
    assert_eq!(text(&cluster.client.list("frameworks")[0]["state"]), "COMPLETED");
    cluster.client.run(&["--", "true"]).expect(0);
}

#[test]
fn the_workers_of_a_killed_training_end_and_their_resources_return() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    start_training(&cluster.client, &stage).kill();
    eventually("the end of the workers", || stage.executors().is_empty().then_some(()));
    eventually("all resources to be free", || {
        let agents = cluster.client.list("agents");
        agents.iter().all(|agent| agent["active_tasks"] == 0).then_some(())
    });
    cluster.client.run(&["--instances", "2", "--cpus", "4", "--", "true"]).expect(0);
}

#[test]
fn the_executors_and_clients_of_a_killed_cluster_end_by_themselves() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let client = cluster.client.odeon(["run", "--", "sleep", "86363"]).start();
    stage.wait_for_command("sleep 86363");
    cluster.running.kill();
    stage.wait_for_no_command("sleep 86363");
    assert_ne!(client.end().code, 0);
    stage.wait_for_no_process();
}

#[test]
fn an_agent_that_does_not_answer_loses_its_tasks_and_may_come_back() {
    let stage = Stage::new();
    let silence = ["--set", "agent_ping_timeout=300ms", "--set", "agent_ping_timeouts_max=3"];
    let roles = Roles::start_with(&stage, 1, &silence);
    let client = roles.client.odeon(["run", "--", "sleep", "86364"]).start();
    stage.wait_for_command("sleep 86364");
    roles.client.wait_for_task("TASK_RUNNING");
    roles.agents[0].signal(Signal::SIGSTOP);
    let wait_for_agent = |state: &str| {
        eventually(&format!("an agent in {state}"), || {
            (roles.client.list("agents")[0]["state"] == state).then_some(())
        });
    };
    wait_for_agent("UNREACHABLE");
    roles.agents[0].signal(Signal::SIGCONT);
    wait_for_agent("ACTIVE");
    // The run was told that its task is lost; hence the task must not go on.
    assert!(client.end().expect(1).stderr.contains("TASK_LOST"));
    stage.wait_for_no_command("sleep 86364");
    roles.client.run(&["--", "true"]).expect(0);
}

#[test]
fn a_command_and_its_client_outlive_their_master() {
    let stage = Stage::new();
    let roles = Roles::start(&stage, 1);
    let marker = stage.here().join("may-end");
    let script = format!("echo before; until test -e {}; do sleep 0.05; done; echo after", marker.display());
    let mut client = roles.client.odeon(["run", "--", "sh", "-c", &script]).start();
    client.stdout_value("before");
    let roles = roles.restart_master();
    roles.client.wait_for_task("TASK_RUNNING");
    stage.write("may-end", "");
    assert_eq!(client.end().expect(0).text(), "before\nafter\n");
    roles.client.wait_for_task("TASK_FINISHED");
}

#[test]
fn training_does_not_notice_that_its_master_was_killed_and_started_again() {
    let stage = Stage::new();
    let model = slow_job_model();
    let roles = Roles::start(&stage, 2);
    let training = start_training(&roles.client, &stage);
    let _roles = roles.restart_master();
    let trained = Trained::of(training.end());
    assert_eq!((trained.digest().as_str(), trained.states()), (model, vec!["TASK_FINISHED".to_owned(); 2]));
}

#[test]
fn agents_come_back_to_a_master_that_was_killed_and_started_again() {
    let stage = Stage::new();
    let roles = Roles::start(&stage, 2).restart_master();
    eventually("both agents at the new master", || {
        let agents = roles.client.list("agents");
        (agents.iter().filter(|agent| agent["state"] == "ACTIVE").count() == 2).then_some(())
    });
    roles.client.run(&["--", "true"]).expect(0);
}
