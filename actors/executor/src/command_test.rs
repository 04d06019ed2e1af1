//! Commands, with real processes.

use super::*;
use crate::paper_task::PaperTask;
use odeon_protocol::id::ContainerId;
use odeon_runtime::Node;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;
use tokio::sync::watch;

struct Stage {
    sandbox: TempDir,
    task: CommandTask,
    urgency: watch::Sender<Urgency>,
    reports: watch::Receiver<String>,
    context: TaskContext,
}

async fn stage(argv: &[&str]) -> Stage {
    let sandbox = tempfile::tempdir().unwrap();
    let node = Node::builder("e").incarnation(1).start().await.unwrap();
    let PaperTask { context, urgency, reports } = PaperTask::new(&node, sandbox.path(), &[]);
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    let command = CommandInfo { argv, environment: BTreeMap::new(), working_directory: None };
    let surroundings = Surroundings {
        base_environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]).into(),
        container_id: ContainerId::new("c-1").unwrap(),
        task_id: context.task_id.clone(),
        sandbox: context.sandbox.clone(),
    };
    let task =
        CommandTask { command, surroundings, stragglers: Stragglers::Spared, turns: Semaphore::new(STARTS_MAX).into() };
    Stage { sandbox, task, urgency, reports, context }
}

impl Stage {
    async fn run(&self) -> Result<(), TaskFailure> {
        self.task.clone().run(self.context.clone()).await
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.sandbox.path().join(name)).unwrap()
    }

    /// Waits until the command has printed so many lines: it is up then.
    async fn printed(&self, lines: usize) -> Vec<String> {
        loop {
            let text = fs::read_to_string(self.sandbox.path().join("stdout")).unwrap_or_default();
            if text.lines().count() >= lines && text.ends_with('\n') {
                return text.lines().map(str::to_owned).collect();
            }
            tokio::task::yield_now().await;
        }
    }
}

fn exit_and_message(outcome: Result<(), TaskFailure>) -> (TaskExit, String) {
    let failure = outcome.expect_err("the command fails");
    (failure.exit.expect("it has an exit"), failure.message)
}

/// Gone, or waiting to be reaped by whoever inherited it.
fn is_gone(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[actix_rt::test]
async fn a_command_prints_into_private_files_and_ends_well() {
    let stage = stage(&["sh", "-c", "echo out; echo err >&2"]).await;
    assert_eq!(stage.run().await, Ok(()));
    assert_eq!((stage.read("stdout"), stage.read("stderr")), ("out\n".into(), "err\n".into()));
    for name in ["stdout", "stderr"] {
        let mode = fs::metadata(stage.sandbox.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert!(stage.reports.has_changed().unwrap());
}

#[actix_rt::test]
async fn arguments_reach_the_program_without_a_shell_between() {
    let stage = stage(&["printf", "%s|", "$HOME", "a b", "*", ";"]).await;
    assert_eq!(stage.run().await, Ok(()));
    assert_eq!(stage.read("stdout"), "$HOME|a b|*|;|");
}

#[actix_rt::test]
async fn a_command_sees_its_own_environment_and_nothing_else_of_the_executor() {
    let mut stage = stage(&["env"]).await;
    stage.task.command.environment =
        BTreeMap::from([("GREETING".into(), "hello".into()), ("ODEON_TASK_ID".into(), "forged".into())]);
    assert_eq!(stage.run().await, Ok(()));
    let sandbox = stage.sandbox.path().display().to_string();
    let mut lines: Vec<String> = stage.read("stdout").lines().map(str::to_owned).collect();
    lines.sort();
    let expected = [
        "GREETING=hello".to_owned(),
        format!("MESOS_SANDBOX={sandbox}"),
        "MESOS_TASK_ID=t-1".to_owned(),
        "ODEON_CONTAINER_ID=c-1".to_owned(),
        format!("ODEON_SANDBOX={sandbox}"),
        "ODEON_TASK_ID=t-1".to_owned(),
        "PATH=/usr/bin:/bin".to_owned(),
    ];
    assert_eq!(lines, expected);
}

#[actix_rt::test]
async fn a_command_runs_in_its_sandbox_or_where_it_wants() {
    let mut stage = stage(&["pwd", "-P"]).await;
    assert_eq!(stage.run().await, Ok(()));
    let sandbox = stage.sandbox.path().canonicalize().unwrap();
    assert_eq!(stage.read("stdout"), format!("{}\n", sandbox.display()));
    stage.task.command.working_directory = Some("/".into());
    assert_eq!(stage.run().await, Ok(()));
    assert!(stage.read("stdout").ends_with("\n/\n"));
    stage.task.command.working_directory = Some("nowhere".into());
    let (exit, message) = exit_and_message(stage.run().await);
    assert_eq!(exit, TaskExit::Code(126));
    assert!(message.contains("nowhere is not there"), "{message}");
}

#[actix_rt::test]
async fn a_failure_keeps_its_code_or_its_signal() {
    let code = stage(&["sh", "-c", "exit 7"]).await.run().await;
    assert_eq!(exit_and_message(code), (TaskExit::Code(7), "the command exited with status 7".into()));
    let signal = stage(&["sh", "-c", "kill -SEGV $$"]).await.run().await;
    assert_eq!(exit_and_message(signal), (TaskExit::Signal(11), "the command terminated by signal 11".into()));
}

#[actix_rt::test]
async fn a_program_that_is_not_there_or_cannot_run_has_the_code_of_a_shell() {
    let missing = stage(&["no-such-program"]).await;
    let (exit, message) = exit_and_message(missing.run().await);
    assert_eq!(exit, TaskExit::Code(127));
    assert!(message.contains("no-such-program is not on the PATH"), "{message}");
    assert!(!missing.reports.has_changed().unwrap());
    let plain = stage(&["./plain"]).await;
    let program = plain.sandbox.path().join("plain");
    fs::write(&program, "echo hi\n").unwrap();
    assert_eq!(exit_and_message(plain.run().await).0, TaskExit::Code(126));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let (exit, message) = exit_and_message(plain.run().await);
    assert_eq!(exit, TaskExit::Code(126));
    assert!(message.contains("neither a program nor a script"), "{message}");
}

#[actix_rt::test]
async fn a_command_that_is_asked_to_end_may_clean_up() {
    let stage = stage(&["sh", "-c", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.01; done"]).await;
    let asked = async {
        stage.printed(1).await;
        stage.urgency.send_replace(Urgency::Asked);
    };
    let (outcome, ()) = tokio::join!(stage.run(), asked);
    assert_eq!(exit_and_message(outcome).0, TaskExit::Code(3));
    assert_eq!(stage.read("stdout"), "up\nbye\n");
}

#[actix_rt::test]
async fn a_command_that_does_not_want_to_end_is_killed() {
    let stage = stage(&["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.01; done"]).await;
    let killed = async {
        stage.printed(1).await;
        stage.urgency.send_replace(Urgency::Asked);
        stage.urgency.send_replace(Urgency::Forced);
    };
    let (outcome, ()) = tokio::join!(stage.run(), killed);
    assert_eq!(exit_and_message(outcome).0, TaskExit::Signal(9));
}

#[actix_rt::test]
async fn what_a_command_leaves_behind_is_killed_with_its_end() {
    let stage = stage(&["sh", "-c", "sleep 1000 & echo $!"]).await;
    assert_eq!(stage.run().await, Ok(()));
    let pid = stage.printed(1).await.remove(0);
    while !is_gone(&pid) {
        tokio::task::yield_now().await;
    }
}

#[actix_rt::test]
async fn a_command_whose_task_is_dropped_leaves_no_process() {
    let stage = stage(&["sh", "-c", "echo $$; exec sleep 1000"]).await;
    let run = stage.task.clone().run(stage.context.clone());
    let pid = tokio::select! {
        _ = run => panic!("it sleeps"),
        mut lines = stage.printed(1) => lines.remove(0),
    };
    while !is_gone(&pid) {
        tokio::task::yield_now().await;
    }
}
