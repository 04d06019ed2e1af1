//! Executors as real processes: what they get, and that nothing of them survives.

use super::*;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use odeon_protocol::id::{ContainerId, ExecutorId, FrameworkId};
use std::io::Write;
use std::path::Path;

/// Leaves a process behind that has left the group, its number in the file `daemon`.
const DAEMON: &str =
    "(setsid sh -c 'sleep 600 & echo $! > daemon; wait' &) & while [ ! -s daemon ]; do sleep 0.01; done";

/// One for each test: a run ends what is marked with its container, whoever has started it.
fn place() -> ContainerPlace {
    let test = std::thread::current().name().unwrap_or_default().replace("::", "-");
    ContainerPlace {
        framework_id: FrameworkId::new("f").unwrap(),
        executor_id: ExecutorId::new("e").unwrap(),
        container_id: ContainerId::new(format!("{test}-{}", std::process::id())).unwrap(),
    }
}

/// A launcher whose executors are a shell script.
fn launcher(directory: &Path, script: &str) -> Launcher {
    let program = directory.join("executor.sh");
    write_program(&program, &format!("#!/bin/sh\n{script}\n"));
    let environment = [("PATH", "/usr/bin:/bin"), ("LC_ALL", "C"), ("ODEON_TOKEN", "secret"), ("AWS_KEY", "secret")];
    Launcher {
        sandboxes: Sandboxes::new(directory.join("sandboxes")),
        program,
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        endpoint: Endpoint::new("127.0.0.1:5051"),
        actors_listen: Endpoint::new("0.0.0.0:0"),
        actors_host: "node-7".into(),
        shutdown_grace: Duration::from_secs(5),
        credentials: Some(CredentialFiles { ca: "/c/ca".into(), cert: "/c/cert".into(), key: "/c/key".into() }),
        endpoint_file: directory.join("agent.endpoint"),
        recovery_timeout: Duration::from_secs(900),
    }
}

/// Written by another process: a child that another test forks meanwhile would hold the file open for writing, and a
/// program that somebody writes does not start.
fn write_program(path: &Path, text: &str) {
    let mut shell = std::process::Command::new("sh");
    let writing = shell.args(["-c", "cat > \"$0\" && chmod 700 \"$0\""]).arg(path).stdin(Stdio::piped()).spawn();
    let mut writing = writing.unwrap();
    writing.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writing.wait().unwrap().success());
}

/// Waits until a file holds a line, and returns it: the numbers of processes, written by the script.
async fn line_of(path: PathBuf) -> String {
    let began = std::time::Instant::now();
    loop {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing writes {}", path.display());
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if let Some((line, _)) = text.split_once('\n') {
            return line.to_owned();
        }
        tokio::task::yield_now().await;
    }
}

/// Where environments cannot be read, only a process group is ended.
fn is_skipped() -> bool {
    let is_skipped = !Path::new("/proc/self/environ").exists();
    if is_skipped {
        println!("skipped: this system has no /proc");
    }
    is_skipped
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn an_executor_gets_its_place_and_the_basics_and_its_output_is_logged() {
    let directory = tempfile::tempdir().unwrap();
    let launcher = launcher(directory.path(), "echo \"$1\"; env; exit 3");
    let (_switch, run) = launcher.run(place(), Program::Own, false, false);
    assert_eq!(run.await, RunEnd::Exited(Some(TaskExit::Code(3))));
    let sandbox = launcher.sandboxes.of_container(&place());
    let log = std::fs::read_to_string(sandbox.join("executor.log")).unwrap();
    let expected = [
        "executor".to_owned(),
        "LC_ALL=C".to_owned(),
        "ODEON_AGENT_ENDPOINT=127.0.0.1:5051".to_owned(),
        "ODEON_ACTORS_LISTEN=0.0.0.0:0".to_owned(),
        "ODEON_ACTORS_HOST=node-7".to_owned(),
        "ODEON_FRAMEWORK_ID=f".to_owned(),
        "ODEON_EXECUTOR_SHUTDOWN_GRACE_MS=5000".to_owned(),
        "ODEON_TLS__CA=/c/ca".to_owned(),
        "ODEON_TLS__CERT=/c/cert".to_owned(),
        "ODEON_TLS__KEY=/c/key".to_owned(),
        format!("ODEON_SANDBOX={}", sandbox.display()),
        format!("ODEON_CONTAINER_ID={}", place().container_id),
    ];
    expected.iter().for_each(|line| assert!(log.lines().any(|one| one == line), "{line} is not in {log}"));
    assert!(!log.contains("secret"), "{log}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let launcher = launcher(directory.path(), "");
    let (_switch, run) = launcher.run(place(), Program::At("/not/there".into()), false, false);
    let RunEnd::NotStarted(cause) = run.await else { panic!("it started") };
    assert!(cause.contains("/not/there"), "{cause}");
}

#[tokio::test]
async fn a_killed_executor_takes_its_process_group_along_even_if_it_ignores_the_polite_signal() {
    let directory = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; sleep 600 & echo $! > children; while :; do sleep 600; done";
    let launcher = launcher(directory.path(), script);
    let (switch, run) = launcher.run(place(), Program::Own, false, false);
    let run = tokio::spawn(run);
    let child = line_of(launcher.sandboxes.of_container(&place()).join("children")).await;
    switch.send(()).unwrap();
    assert_eq!(run.await.unwrap(), RunEnd::Exited(Some(TaskExit::Signal(9))));
    assert!(!is_alive(&child));
}

#[tokio::test]
async fn a_daemon_that_left_the_group_does_not_survive_the_executor() {
    if is_skipped() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let launcher = launcher(directory.path(), DAEMON);
    let (_switch, run) = launcher.run(place(), Program::Own, false, false);
    assert_eq!(run.await, RunEnd::Exited(Some(TaskExit::Code(0))));
    let daemon = line_of(launcher.sandboxes.of_container(&place()).join("daemon")).await;
    assert!(!is_alive(&daemon));
}

#[tokio::test]
async fn a_daemon_does_not_survive_the_executor_of_a_command_that_has_failed() {
    if is_skipped() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for (end, exit) in [("exit 1", TaskExit::Code(1)), ("kill -9 $$", TaskExit::Signal(9))] {
        let launcher = launcher(directory.path(), &format!("{DAEMON}; {end}"));
        let (_switch, run) = launcher.run(place(), Program::Own, true, false);
        assert_eq!(run.await, RunEnd::Exited(Some(exit)));
        let daemon = launcher.sandboxes.of_container(&place()).join("daemon");
        assert!(!is_alive(&line_of(daemon.clone()).await));
        std::fs::remove_file(daemon).unwrap();
    }
}

#[tokio::test]
async fn a_process_that_hides_its_environment_does_not_survive_within_the_group() {
    if is_skipped() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let launcher = launcher(directory.path(), "env -i sleep 600 & echo $! > hidden");
    let (_switch, run) = launcher.run(place(), Program::Own, false, false);
    assert_eq!(run.await, RunEnd::Exited(Some(TaskExit::Code(0))));
    assert!(!is_alive(&line_of(launcher.sandboxes.of_container(&place()).join("hidden")).await));
}

#[tokio::test]
async fn the_processes_of_others_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut other = std::process::Command::new("sleep").arg("600").env(CONTAINER_ID, "another").spawn().unwrap();
    let (_switch, run) = launcher(directory.path(), "exit 0").run(place(), Program::Own, false, false);
    assert_eq!(run.await, RunEnd::Exited(Some(TaskExit::Code(0))));
    assert!(other.try_wait().unwrap().is_none());
    kill(Pid::from_raw(i32::try_from(other.id()).unwrap()), Signal::SIGKILL).unwrap();
    other.wait().unwrap();
}
