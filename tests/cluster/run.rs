//! `odeon run` against an all-in-one cluster: what the command prints, how it ends, what surrounds it.

use std::collections::BTreeSet;

use crate::support::{Cluster, Stage, text};

#[test]
fn stdout_and_stderr_pass_through_byte_for_byte() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    // Zero bytes, bytes that are no text, and no line end at the end.
    let finished = cluster.client.run_script(r"printf 'a\000\377\n\nb'; printf '\001\376 err' >&2").expect(0);
    assert_eq!(finished.stdout, b"a\x00\xff\n\nb");
    assert_eq!(finished.stderr, String::from_utf8_lossy(b"\x01\xfe err"));
}

#[test]
fn a_mebibyte_of_output_arrives_whole_on_both_streams() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let numbers: String = (1..=170_000).map(|number| format!("{number}\n")).collect();
    assert!(numbers.len() > 1 << 20);
    let finished = cluster.client.run_script("seq 1 170000; seq 1 170000 >&2").expect(0);
    assert!(finished.stdout == numbers.as_bytes(), "{} bytes of {}", finished.stdout.len(), numbers.len());
    assert!(finished.stderr == numbers, "{} bytes of {}", finished.stderr.len(), numbers.len());
}

#[test]
fn output_is_shown_while_the_command_still_runs() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let script = "echo first line; sleep 86396";
    let mut running = cluster.client.odeon(["run", "--", "sh", "-c", script]).start();
    assert_eq!(running.stdout_value("first "), "line");
    stage.wait_for_command("sleep 86396");
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    for code in [0, 1, 7, 255] {
        cluster.client.run_script(&format!("exit {code}")).expect(code);
    }
    let states = ["TASK_FINISHED", "TASK_FAILED", "TASK_FAILED", "TASK_FAILED"];
    assert_eq!(cluster.client.task_states(), states);
}

#[test]
fn a_command_that_a_signal_ends_gives_128_and_the_signal() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    cluster.client.run_script("kill -TERM $$").expect(128 + 15);
    cluster.client.run_script("kill -KILL $$").expect(128 + 9);
}

#[test]
fn a_program_that_is_not_there_gives_127_and_its_name() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let finished = cluster.client.run(&["--", "no-such-program-at-all"]).expect(127);
    assert!(finished.stderr.contains("no-such-program-at-all"), "{}", finished.stderr);
    assert_eq!(finished.text(), "");
    let script = stage.write("not-executable", "#!/bin/sh\n");
    let finished = cluster.client.run(&["--", script.to_str().expect("text")]).expect(126);
    assert!(finished.stderr.contains("not-executable"), "{}", finished.stderr);
}

#[test]
fn arguments_arrive_as_they_were_given() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let finished = cluster.client.run(&["--", "printf", "%s|", "a b", "", "$HOME", "--master", "*"]).expect(0);
    assert_eq!(finished.text(), "a b||$HOME|--master|*|");
}

#[test]
fn a_command_gets_the_variables_it_was_given_and_none_of_the_client() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let script = "echo $GIVEN; echo ${SECRET-none}; echo ${ODEON_MASTER-none}; echo $ODEON_TASK_ID; pwd";
    let arguments = ["run", "--env", "GIVEN=a=b c", "--", "sh", "-c", script];
    let finished = cluster.client.odeon(arguments).env("SECRET", "s").end().expect(0);
    let lines: Vec<&str> = finished.text().lines().collect();
    assert_eq!(lines[..3], ["a=b c", "none", "none"]);
    assert_eq!(lines[3], text(&cluster.client.list("tasks")[0]["task_id"]));
    assert!(lines[4].starts_with(stage.temporary().to_str().expect("text")), "not in a sandbox: {}", lines[4]);
}

#[test]
fn twenty_instances_run_though_not_all_fit_at_once() {
    let stage = Stage::new();
    // Eight places for twenty tasks.
    let cluster = Cluster::start(&stage, &["--agents", "2", "--cpus", "2", "--mem", "1GiB"]);
    let arguments = ["--instances", "20", "--cpus", "0.5", "--mem", "32MiB", "--", "sh", "-c", "echo $ODEON_TASK_ID"];
    let finished = cluster.client.run(&arguments).expect(0);
    let printed: BTreeSet<&str> = finished.text().lines().filter_map(|line| line.split_whitespace().last()).collect();
    let tasks = cluster.client.list("tasks");
    let ids: BTreeSet<&str> = tasks.iter().filter_map(|task| task["task_id"].as_str()).collect();
    assert_eq!(printed, ids);
    assert_eq!(cluster.client.task_states(), ["TASK_FINISHED"; 20]);
    let agents: BTreeSet<&str> = tasks.iter().filter_map(|task| task["agent_id"].as_str()).collect();
    assert_eq!(agents.len(), 2, "all on one agent");
    stage.wait_for_no_command("sh -c echo $ODEON_TASK_ID");
}

#[test]
fn one_failing_instance_fails_the_run_with_its_code() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let script = "case $ODEON_TASK_ID in *.1) exit 9;; esac";
    cluster.client.run(&["--instances", "3", "--cpus", "0.5", "--", "sh", "-c", script]).expect(9);
    let mut states = cluster.client.task_states();
    states.sort();
    assert_eq!(states, ["TASK_FAILED", "TASK_FINISHED", "TASK_FINISHED"]);
}

#[test]
fn what_a_command_leaves_in_the_background_ends_with_it() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    cluster
        .client
        .run_script("sleep 86397 >/dev/null 2>&1 & (setsid sleep 86397 >/dev/null 2>&1 &) ; exit 0")
        .expect(0);
    stage.wait_for_no_command("sleep 86397");
}

#[test]
fn copies_that_share_an_executor_run_in_one_process_an_agent_and_leave_nothing_behind() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    // The executor lives on: it has to end what a task has left, whichever way it has gone.
    let left = "sleep 86393 >/dev/null 2>&1 & (setsid sleep 86393 >/dev/null 2>&1 &)";
    let script = format!("echo $ODEON_CONTAINER_ID $ODEON_TASK_ID; pwd >&2; {left}");
    let arguments = ["--share-executor", "--instances", "20", "--cpus", "0.2", "--", "sh", "-c", &script];
    let finished = cluster.client.run(&arguments).expect(0);
    let column = |index| -> BTreeSet<&str> {
        finished.text().lines().filter_map(|line| line.split_whitespace().nth(index)).collect()
    };
    assert!((1..=2).contains(&column(0).len()), "as many processes as agents: {:?}", column(0));
    assert_eq!(column(1).len(), 20);
    assert_eq!(finished.stderr.lines().collect::<BTreeSet<_>>().len(), 20, "each has a sandbox of its own");
    assert_eq!(cluster.client.task_states(), ["TASK_FINISHED"; 20]);
    stage.wait_for_no_command("sleep 86393");
}

#[test]
fn one_copy_that_is_killed_leaves_the_others_of_its_executor_alone() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let script = "case $ODEON_TASK_ID in *.1) kill -9 $$;; esac; sleep 0.3";
    let arguments = ["--share-executor", "--instances", "4", "--cpus", "0.2", "--", "sh", "-c", script];
    cluster.client.run(&arguments).expect(128 + 9);
    let mut states = cluster.client.task_states();
    states.sort();
    assert_eq!(states, ["TASK_FAILED", "TASK_FINISHED", "TASK_FINISHED", "TASK_FINISHED"]);
}

#[test]
fn the_flag_wins_over_the_variable() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let arguments = ["run", "--master", &cluster.client.master, "--", "echo", "found"];
    let finished = stage.odeon(arguments).env("ODEON_MASTER", "127.0.0.1:1").end().expect(0);
    assert_eq!(finished.text(), "found\n");
}

#[test]
fn a_role_and_a_name_that_were_given_are_those_of_the_task() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    cluster.client.run(&["--role", "analytics", "--name", "nightly", "--", "true"]).expect(0);
    let task = &cluster.client.list("tasks")[0];
    assert_eq!((text(&task["role"]), text(&task["name"])), ("analytics".to_owned(), "nightly".to_owned()));
}

#[test]
fn clients_at_the_same_time_do_not_disturb_each_other() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let running: Vec<_> = (0..6)
        .map(|code| {
            let script = format!("echo {code}; exit {code}");
            cluster.client.odeon(["run", "--cpus", "0.5", "--", "sh", "-c", &script]).start()
        })
        .collect();
    for (code, running) in running.into_iter().enumerate() {
        let finished = running.end().expect(i32::try_from(code).expect("a small number"));
        assert_eq!(finished.text(), format!("{code}\n"));
    }
    assert_eq!(cluster.client.list("frameworks").len(), 6);
}

#[test]
fn a_command_whose_output_nobody_reads_any_more_is_ended() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let line = format!("{} run -- yes | head -1", env!("CARGO_BIN_EXE_odeon"));
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &line]).env("ODEON_MASTER", &cluster.client.master);
    let finished = crate::support::Running::start(line, &mut shell).end().expect(0);
    assert_eq!(finished.text(), "y\n");
    cluster.client.wait_for_task("TASK_KILLED");
}
