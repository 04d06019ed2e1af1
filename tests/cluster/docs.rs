//! What the README and the examples say is what happens: each command in the README is run, or known to be run elsewhere.

use crate::support::{Cluster, Running, Stage, repository};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Commands of the README that other tests run, because they stay or build.
const RUN_ELSEWHERE: &[&str] = &[
    "cargo run --release -- train examples/jobs/iris.toml",
    "cargo test",
    "cargo build --release",
    "export PATH=\"$PWD/target/release:$PATH\"",
    "odeon local",
    "odeon master --config config/master.toml",
    "odeon agent --master 127.0.0.1:5050 --config config/agent.toml",
    "cargo run --example hello_actor",
    "cargo run --example custom_framework",
    "cargo run --example counter -- local",
    "cargo run --example counter -- deploy examples/deployments/counter.toml",
    "odeon actor ask counter/0 '{\"Add\": {\"amount\": 2}}'",
];

fn programs() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_odeon")).parent().expect("a binary lies in a directory")
}

/// The command lines of the README: all lines of `sh` blocks, and what follows a prompt in `text` blocks.
fn readme_commands() -> Vec<String> {
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("there is a README");
    let mut commands = Vec::new();
    let mut language = None;
    for line in readme.lines() {
        match (line.strip_prefix("```"), language) {
            (Some(fence), None) => language = Some(fence),
            (Some(_), Some(_)) => language = None,
            (None, Some("sh")) if !line.is_empty() => commands.push(line.to_owned()),
            (None, Some("text")) => commands.extend(line.strip_prefix("$ ").map(str::to_owned)),
            _ => {}
        }
    }
    commands
}

#[test]
fn the_commands_of_the_readme_do_what_they_are_shown_to_do() {
    let stage = Stage::new();
    let cluster = Cluster::of_two_agents(&stage);
    let path = format!("{}:{}", programs().display(), std::env::var("PATH").expect("there is a PATH"));
    let commands = readme_commands();
    assert!(commands.len() > RUN_ELSEWHERE.len(), "{commands:?}");
    for line in commands.iter().filter(|line| !RUN_ELSEWHERE.contains(&line.as_str())) {
        let line = line.replace("127.0.0.1:5050", &cluster.client.master);
        let mut shell = Command::new("sh");
        shell.args(["-c", &line]).current_dir(repository()).env("PATH", &path);
        shell.env("ODEON_MASTER", &cluster.client.master);
        Running::start(line, &mut shell).end().expect(0);
    }
}

#[test]
fn the_examples_say_what_they_should() {
    let stage = Stage::new();
    let example = |name: &str| -> String {
        let program: PathBuf = programs().join("examples").join(name);
        let mut command = Command::new(program);
        command.env("TMPDIR", stage.temporary());
        Running::start(name.to_owned(), &mut command).end().expect(0).text().to_owned()
    };
    let hello = example("hello_actor");
    assert!(hello.starts_with("near: Ok(2)\n") && hello.contains("far: Ok(4)\n"), "{hello}");
    assert!(example("key_value").starts_with("key-12 is Some(\"144\"), owned by store/"));
    assert_eq!(example("word_count"), "to Ok(4)\nbe Ok(3)\nthe Ok(2)\n");
    let change = |what: &str| format!("{what}, only their keys moved: true\n");
    let groups =
        [change("1 joined, 0 left"), change("0 joined, 1 left"), "a member sees member/0 and member/1\n".into()];
    assert_eq!(example("groups"), groups.concat().repeat(2), "near and far");
    // 0 to 99, and one for each of two stages.
    assert_eq!(example("pipeline"), "the sum is 5150\nat most 8 at once: true\n");
    let policy = example("supervisor_policy");
    let last = "half of 0: Err(Stopped)\nGaveUp { panic: \"the licence has expired\" }\n";
    assert!(policy.contains("half of 6: Ok(3)\n") && policy.ends_with(last), "{policy}");
    let estimators = "a tree on 100.0 %\nthree workers give the same bits: true\n";
    assert!(example("estimators").ends_with(estimators));
    assert!(example("custom_framework").ends_with("the sum of the squares is 30\n"));
    stage.assert_nothing_left();
}
