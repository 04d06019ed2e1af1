//! Bad input: the exit code, a message that names what is at fault and what to do, and nothing done.

use std::net::TcpListener;

use crate::support::{Cluster, Finished, Stage, repository};

/// What is wrong with what the user gave.
const USAGE: i32 = 2;
/// Nobody answers.
const NOT_REACHABLE: i32 = 3;

/// A sound job on `data.csv`, before a test spoils one of both.
const JOB: &str = "version = 1\nname = \"bad\"\n\n[data]\npath = \"data.csv\"\ntarget = \"y\"\n\n\
                   [model]\ntype = \"linear\"\n";

/// Sound data.
fn data() -> String {
    let rows: String = (0..20).map(|row| format!("{row},{},{}\n", row * row % 7, 3 * row + 1)).collect();
    format!("width,height,y\n{rows}")
}

/// Requires the code, nothing on stdout, and each of the texts on stderr.
#[track_caller]
fn assert_refused(finished: Finished, code: i32, texts: &[&str]) {
    let finished = finished.expect(code);
    assert_eq!(finished.text(), "");
    for text in texts {
        assert!(finished.stderr.contains(text), "no \"{text}\" in: {}", finished.stderr);
    }
    // A panic tells of itself, and is no message for a user.
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
}

/// Trains on this job and these data, which must be refused before anything is started.
#[track_caller]
fn assert_training_refused(job: &str, data: impl AsRef<[u8]>, texts: &[&str]) {
    let stage = Stage::new();
    stage.write("job.toml", job);
    stage.write("data.csv", data);
    assert_refused(stage.odeon(["train", "job.toml"]).end(), USAGE, texts);
    stage.assert_nothing_left();
    assert_eq!(stage.files_here(), ["data.csv", "job.toml"]);
}

#[test]
fn the_job_that_the_other_tests_spoil_is_sound() {
    let stage = Stage::new();
    stage.write("job.toml", JOB);
    stage.write("data.csv", data());
    stage.odeon(["train", "job.toml"]).end().expect(0);
}

#[test]
fn a_missing_job_file_is_named() {
    let stage = Stage::new();
    assert_refused(stage.odeon(["train", "no-such-job.toml"]).end(), USAGE, &["no-such-job.toml"]);
    stage.assert_nothing_left();
}

#[test]
fn a_missing_data_file_is_named() {
    assert_training_refused(
        &JOB.replace("data.csv", "no-such-data.csv"),
        data(),
        &["no-such-data.csv", "no such file"],
    );
}

#[test]
fn text_in_a_number_is_named_by_file_row_and_column() {
    let data = data().replacen("3,2,10", "3,two,10", 1);
    assert_training_refused(JOB, data, &["data.csv", "row 5", "height", "\"two\""]);
}

#[test]
fn nan_and_infinity_are_named_by_file_row_and_column() {
    for value in ["NaN", "inf", "-inf", "1e999"] {
        let data = data().replacen("2,4,7", &format!("2,4,{value}"), 1);
        assert_training_refused(JOB, data, &["data.csv", "row 4", "\"y\"", value]);
    }
}

#[test]
fn a_number_whose_square_overflows_is_named_by_file_row_and_column() {
    let data = data().replacen("2,4,7", "2,4,1e160", 1);
    assert_training_refused(JOB, data, &["data.csv", "row 4", "\"y\"", "1e160", "larger unit"]);
}

#[test]
fn a_pipe_in_place_of_the_data_is_refused_and_not_waited_for() {
    let stage = Stage::new();
    stage.write("job.toml", JOB);
    nix::unistd::mkfifo(&stage.here().join("data.csv"), nix::sys::stat::Mode::S_IRUSR).expect("a pipe");
    assert_refused(stage.odeon(["train", "job.toml"]).end(), USAGE, &["data.csv", "not a regular file"]);
}

#[test]
fn what_a_cell_holds_cannot_steer_the_terminal() {
    let data = data().replacen("2,4,7", "2,4,\u{1b}[31mred", 1);
    let stage = Stage::new();
    stage.write("job.toml", JOB);
    stage.write("data.csv", data);
    let finished = stage.odeon(["train", "job.toml"]).end().expect(USAGE);
    assert!(finished.stderr.contains("\\u{1b}[31mred") && !finished.stderr.contains('\u{1b}'), "{}", finished.stderr);
}

#[test]
fn directories_for_a_cluster_of_its_own_are_refused_beside_a_master() {
    let stage = Stage::new();
    stage.write("job.toml", JOB);
    stage.write("data.csv", data());
    for flag in [["--keep", "--output=json"], ["--data-dir", "kept"]] {
        let arguments = ["train", "job.toml", "--master", "127.0.0.1:1"].iter().chain(&flag);
        assert_refused(stage.odeon(arguments).end(), USAGE, &["--keep", "--data-dir", "a master is given"]);
    }
    assert_eq!(stage.files_here(), ["data.csv", "job.toml"]);
}

#[test]
fn an_empty_command_and_a_variable_without_a_name_are_refused_before_anything_starts() {
    let stage = Stage::new();
    assert_refused(stage.odeon(["run", "--", ""]).end(), USAGE, &["the command is empty"]);
    assert_refused(stage.odeon(["run", "--env", "=x", "--", "true"]).end(), USAGE, &["NAME=VALUE"]);
}

#[test]
fn an_empty_cell_and_a_short_row_are_named_by_file_and_row() {
    assert_training_refused(JOB, data().replacen("2,4,7", "2,,7", 1), &["data.csv", "row 4", "height"]);
    assert_training_refused(JOB, data().replacen("2,4,7", "2,4", 1), &["data.csv", "row 4"]);
}

#[test]
fn an_empty_file_is_named() {
    assert_training_refused(JOB, "", &["data.csv", "empty"]);
    assert_training_refused(JOB, "width,height,y\n", &["data.csv", "no rows"]);
}

#[test]
fn bytes_that_are_no_text_are_named() {
    assert_training_refused(JOB, b"width,height,y\n1,2,3\n\xff\xfe,2,3\n", &["data.csv", "row 3"]);
}

#[test]
fn a_column_that_is_not_there_is_named_with_the_nearest_one() {
    assert_training_refused(&JOB.replace("\"y\"", "\"heihgt\""), data(), &["data.csv", "heihgt", "\"height\""]);
    let job = JOB.replace("target = \"y\"", "target = \"y\"\nfeatures = [\"widht\"]");
    assert_training_refused(&job, data(), &["data.csv", "widht", "\"width\""]);
}

#[test]
fn labels_that_are_no_classes_are_refused() {
    assert_training_refused(&JOB.replace("linear", "logistic"), data(), &["0 or 1"]);
}

#[test]
fn too_few_rows_to_split_are_refused() {
    assert_training_refused(JOB, "width,height,y\n1,2,3\n", &["row"]);
}

#[test]
fn an_unknown_key_of_a_job_is_named_by_line_with_the_nearest_one() {
    let job = JOB.replace("target = \"y\"", "taget = \"y\"");
    assert_training_refused(&job, data(), &["job.toml", "6", "taget", "target"]);
}

#[test]
fn a_value_of_a_job_that_makes_no_sense_is_named_by_its_key() {
    assert_training_refused(&JOB.replace("linear", "quadratic"), data(), &["job.toml", "quadratic", "linear"]);
    let with = |line: &str| format!("{JOB}\n[train]\n{line}\n");
    assert_training_refused(&with("workers = 0"), data(), &["job.toml", "workers", "0"]);
    assert_training_refused(&with("tolerance = -1.0"), data(), &["job.toml", "tolerance", "-1"]);
    assert_training_refused(&with("workers = \"many\""), data(), &["job.toml", "workers"]);
    let with = |line: &str| format!("{JOB}\n[resources]\n{line}\n");
    assert_training_refused(&with("mem_mib = 9223372036854775807"), data(), &["job.toml", "resources.mem_mib"]);
    assert_training_refused(&with("cpus = 1e300"), data(), &["job.toml", "resources.cpus", "1e300"]);
}

#[test]
fn a_job_that_is_no_toml_is_named_by_line() {
    assert_training_refused(&JOB.replace("name = ", "name "), data(), &["job.toml", "2"]);
}

#[test]
fn more_workers_than_the_cluster_holds_are_refused_with_what_is_missing() {
    let stage = Stage::new();
    stage.write("job.toml", JOB);
    stage.write("data.csv", data());
    let cluster = Cluster::start(&stage, &["--agents", "2", "--cpus", "1", "--mem", "1GiB"]);
    // Two agents with one processor each hold four workers with half a processor each.
    let finished = cluster.client.odeon(["train", "job.toml", "--workers", "7"]).end();
    assert_refused(finished, USAGE, &["7", "4 fit", "cpus:1.5"]);
    assert_eq!(cluster.client.list("tasks"), Vec::<serde_json::Value>::new());
    cluster.client.odeon(["train", "job.toml", "--workers", "4"]).end().expect(0);
    cluster.interrupt().expect(0);
    let own = stage.odeon(["train", "job.toml", "--workers", "1000"]).end();
    assert_refused(own, USAGE, &["1000", "cpus"]);
    stage.assert_nothing_left();
}

#[test]
fn resources_that_no_agent_has_are_refused_at_once() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let refused = |arguments: &[&str], texts: &[&str]| {
        let finished = cluster.client.odeon(["run"].iter().chain(arguments).chain(&["--", "true"])).end();
        assert_refused(finished, USAGE, texts);
    };
    // The agents have four processors and a gibibyte each: eight together, but no task spans two agents.
    refused(&["--cpus", "5"], &["cpus:5", "cpus:4"]);
    refused(&["--mem", "2GiB"], &["mem:2048", "mem:1024"]);
    refused(&["--resources", "gpus:1"], &["gpus:1"]);
    assert_eq!(cluster.client.list("tasks"), Vec::<serde_json::Value>::new());
}

#[test]
fn amounts_that_make_no_sense_are_refused() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let refused = |arguments: &[&str], texts: &[&str]| {
        let finished = cluster.client.odeon(["run"].iter().chain(arguments).chain(&["--", "true"])).end();
        assert_refused(finished, USAGE, texts);
    };
    refused(&["--cpus", "many"], &["--cpus", "many"]);
    refused(&["--cpus=-1"], &["-1"]);
    refused(&["--cpus", "nan"], &["cpus"]);
    refused(&["--mem", "lots"], &["--mem", "lots"]);
    refused(&["--instances", "0"], &["0"]);
    refused(&["--env", "NOVALUE"], &["NOVALUE", "="]);
    refused(&["--role", "a//b"], &["--role", "a//b"]);
    assert_eq!(cluster.client.list("tasks"), Vec::<serde_json::Value>::new());
}

#[test]
fn a_run_without_a_command_is_refused() {
    let stage = Stage::new();
    assert_refused(stage.odeon(["run"]).end(), USAGE, &["CMD"]);
}

#[test]
fn a_port_in_use_is_named() {
    let stage = Stage::new();
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = holder.local_addr().expect("it is bound").port().to_string();
    assert_refused(stage.odeon(["local", "--port", &port]).end(), USAGE, &[&port, "--port"]);
    let set = format!("port={port}");
    assert_refused(stage.odeon(["master", "--set", &set, "--set", "work_dir=m"]).end(), USAGE, &[&port, "port"]);
    let agent = ["agent", "--set", &set, "--set", "work_dir=a"];
    assert_refused(stage.odeon(agent).end(), USAGE, &[&port, "port"]);
    stage.assert_nothing_left();
}

/// A port at which nobody listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("it is bound").port()
}

#[test]
fn a_master_that_does_not_answer_is_named_with_what_to_do() {
    let stage = Stage::new();
    stage.write("job.toml", JOB);
    stage.write("data.csv", data());
    let master = format!("127.0.0.1:{}", free_port());
    let commands: [&[&str]; 7] = [
        &["tasks"],
        &["agents", "-o", "json"],
        &["frameworks", "-q"],
        &["roles"],
        &["task", "kill", "some-task"],
        &["run", "--", "true"],
        &["train", "job.toml"],
    ];
    let started = commands.map(|command| stage.odeon(command).env("ODEON_MASTER", &master).start());
    for running in started {
        assert_refused(running.end(), NOT_REACHABLE, &[&master, "odeon local", "--master"]);
    }
    stage.assert_nothing_left();
}

#[test]
fn someone_who_is_no_master_is_not_taken_for_one() {
    let stage = Stage::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    assert_refused(stage.odeon(["tasks", "--master", &address]).end(), NOT_REACHABLE, &[&address]);
}

#[test]
fn an_address_that_is_none_is_refused_by_where_it_was_given() {
    let stage = Stage::new();
    assert_refused(
        stage.odeon(["tasks", "--master", "localhost"]).end(),
        USAGE,
        &["--master", "localhost", "HOST:PORT"],
    );
    let by_variable = stage.odeon(["tasks"]).env("ODEON_MASTER", "localhost:none");
    assert_refused(by_variable.end(), USAGE, &["ODEON_MASTER", "localhost:none"]);
}

#[test]
fn a_task_that_is_not_there_is_named() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let kill = |task_id: &str| cluster.client.odeon(["task", "kill", task_id]).end();
    assert_refused(kill("no-such-task"), USAGE, &["no-such-task"]);
    cluster.client.run(&["--", "true"]).expect(0);
    let ended = cluster.client.wait_for_task("TASK_FINISHED");
    assert_refused(kill(&ended), USAGE, &[&ended, "TASK_FINISHED"]);
}

#[test]
fn an_unknown_command_is_named_with_the_nearest_one() {
    let stage = Stage::new();
    assert_refused(stage.odeon(["tarin"]).end(), USAGE, &["tarin", "train"]);
    assert_refused(stage.odeon(["tasks", "--ouptut", "json"]).end(), USAGE, &["--ouptut", "--output"]);
    assert_refused(stage.odeon(["tasks", "-o", "yaml"]).end(), USAGE, &["yaml", "json"]);
}

#[test]
fn an_unknown_key_of_a_role_is_named_by_line_with_the_nearest_one() {
    let stage = Stage::new();
    stage.write("master.toml", "version = 1\n\noffer_timeuot = \"10s\"\n");
    let file = stage.odeon(["master", "--config", "master.toml", "--set", "port=0"]).end();
    assert_refused(file, USAGE, &["master.toml:3", "offer_timeuot", "offer_timeout"]);
    let flag = stage.odeon(["agent", "--set", "work_dri=a"]).end();
    assert_refused(flag, USAGE, &["work_dri", "work_dir"]);
    let variable = stage.odeon(["local", "--port", "0"]).env("ODEON_LOCAL__AGENST", "1").end();
    assert_refused(variable, USAGE, &["ODEON_LOCAL__AGENST", "AGENTS"]);
    stage.assert_nothing_left();
    assert_eq!(stage.files_here(), ["master.toml"]);
}

#[test]
fn a_value_of_a_role_that_makes_no_sense_is_named_by_its_key() {
    let stage = Stage::new();
    assert_refused(stage.odeon(["local", "--agents", "0"]).end(), USAGE, &["agents", "0"]);
    assert_refused(stage.odeon(["master", "--set", "offer_timeout=soon"]).end(), USAGE, &["offer_timeout", "soon"]);
    let resources = ["agent", "--set", "port=0", "--set", "work_dir=a", "--resources", "cpus:lots"];
    assert_refused(stage.odeon(resources).end(), USAGE, &["resources", "\"lots\""]);
    let missing = repository().join("config/no-such.toml").display().to_string();
    assert_refused(stage.odeon(["master", "--config", &missing]).end(), USAGE, &["no-such.toml"]);
    assert_refused(stage.odeon(["tasks", "--log", "loud"]).end(), USAGE, &["--log", "loud"]);
    stage.assert_nothing_left();
    assert_eq!(stage.files_here(), Vec::<String>::new());
}

#[test]
fn an_executor_started_by_hand_says_who_starts_it() {
    let stage = Stage::new();
    assert_refused(stage.odeon(["executor"]).end(), USAGE, &["started by an agent"]);
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named() {
    let stage = Stage::new();
    stage.write("a-file", "");
    let finished = stage.odeon(["local", "--port", "0", "--data-dir", "a-file"]).end();
    assert_refused(finished, USAGE, &["a-file"]);
    stage.assert_nothing_left();
}
